"""The generated contract: no drift, and real documents keep to it by the word of an independent validator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from channels.registry import kinds
from channels.simulated.app import AppPeer
from gateway import schemas
from gateway.clock import now
from gateway.testing import Start
from gateway.testing import settings as shipped
from tests.test_door import only

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "schema"


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


MATTER = validator(schemas.matter_schema())
CONFIG = validator(schemas.config_schema())


def test_what_is_committed_is_what_the_code_says() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert committed == schemas.documents(), "run make schema"


def test_writing_them_twice_gives_the_same() -> None:
    assert schemas.documents() == schemas.documents()


# -- The matter --------------------------------------------------------------------------------------------------------


async def real_matter(start_gateway: Start) -> dict[str, Any]:
    """As it arrives at the core."""
    async with start_gateway(only("app")) as gateway:
        app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
        place = {"text": "文化路", "longitude": 117.02, "latitude": 36.66, "crs": "GCJ-02"}
        body = {"user": {"id": "1", "phone": "+8613800138000"}, "text": "路灯不亮", "title": "路灯", "place": place}
        body["attachments"] = [{"attachment_id": "a1", "media_type": "image/png"}]
        await app.post(body | {"sent_at": now().isoformat(), "kind": "complaint"}, key="1").send(gateway)
        await gateway.settle()
        event = list(gateway.core.events.values())[-1]
        return event["data"]


async def test_a_real_matter_keeps_to_the_schema(start_gateway: Start) -> None:
    matter = await real_matter(start_gateway)
    MATTER.validate(matter)
    assert (matter["title"], matter["kind"], len(matter["attachments"])) == ("路灯", "complaint", 1)
    for spoil in (
        {"status": "lost"},
        {"matter_id": 7},
        {"revision": "first"},
        {"kind": "joke"},
        {"surprise": True},
        {"attachments": [{"id": "a1"}]},
    ):
        assert not MATTER.is_valid(matter | spoil), spoil
    for name in ("matter_id", "tracking_code", "channel", "content"):
        assert not MATTER.is_valid({key: value for key, value in matter.items() if key != name}), name


def test_every_field_of_the_matter_is_described() -> None:
    definitions = {"HotlineMatter": MATTER.schema, **MATTER.schema["$defs"]}
    bare = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        for field, shape in definition.get("properties", {}).items()
        if "description" not in shape
    ]
    assert bare == []


# -- config.yaml -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")), shipped("http://127.0.0.1:1/")],
    ids=["committed", "of the tests"],
)
def test_the_configuration_keeps_to_the_schema(document: dict[str, Any]) -> None:
    CONFIG.validate(document)
    assert {channel["kind"] for channel in document["channels"].values()} == set(kinds())


FAULTY: dict[str, Callable[[dict[str, Any]], object]] = {
    "no core": lambda d: d.pop("core"),
    "no channels": lambda d: d.pop("channels"),
    "unknown section": lambda d: d.update(servr={}),
    "unknown setting": lambda d: d["server"].update(lissen="x"),
    "unknown setting of a channel": lambda d: d["channels"]["wechat"].update(app_idd="x"),
    "unknown kind": lambda d: d["channels"]["wechat"].update(kind="wechatt"),
    "no kind": lambda d: d["channels"]["wechat"].pop("kind"),
    "missing setting": lambda d: d["channels"]["wechat"].pop("app_secret"),
    "settings of another kind": lambda d: d["channels"]["wechat"].update(kind="weibo"),
    "empty secret": lambda d: d["channels"]["wechat"].update(token=""),
    "secret a number": lambda d: d["channels"]["wechat"].update(token=5),
    "secret a map": lambda d: d["channels"]["wechat"].update(token={"flie": "x"}),
    "listen without port": lambda d: d["server"].update(listen="localhost"),
    "url of another scheme": lambda d: d["core"].update(url="ftp://h/"),
    "division code a number": lambda d: d.update(city={"division_code": 370100}),
    "number too large": lambda d: d.update(dedupe={"settle_seconds": 181}),
    "unknown scope": lambda d: d["channels"]["app"]["clients"][0].update(scopes=["all"]),
}


@pytest.mark.parametrize("spoil", FAULTY.values(), ids=FAULTY.keys())
def test_an_editor_sees_the_fault(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = shipped("http://127.0.0.1:1/")
    spoil(document)
    assert not CONFIG.is_valid(document)


# -- OpenAPI -----------------------------------------------------------------------------------------------------------


def test_the_api_is_described_with_its_paths_limits_and_credentials() -> None:
    document = schemas.openapi()
    post = document["paths"]["/v1/messages"]["post"]
    assert post["security"] == [{"bearer": []}]
    assert {"202", "400", "401", "403", "413", "422", "503"} <= post["responses"].keys()
    for path in ("/v1/receipts/{receipt}", "/v1/matters/{matter_id}"):
        (parameter,) = document["paths"][path]["get"]["parameters"]
        assert (parameter["in"], parameter["required"], parameter["schema"]["format"]) == ("path", True, "uuid")
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()


async def test_a_running_gateway_serves_the_committed_description(start_gateway: Start) -> None:
    api = only("app", "telephone", "partner")
    async with start_gateway(api) as gateway, httpx.AsyncClient(trust_env=False) as client:
        served = (await client.get(f"{gateway.http_url}/openapi.json")).json()
    assert served == json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))
