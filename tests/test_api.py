"""The API beside the channels: what operations sees, and what nobody sees without a credential."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from channels.clients import key_hash
from channels.simulated.app import AppPeer
from gateway.clock import now
from gateway.testing import RunningGateway, Start
from tests.test_door import only

TOKEN = "operations-token-1"
#: A proxy in front is declared; a caller behind it is elsewhere.
ELSEWHERE = {"x-forwarded-for": "203.0.113.7"}
OPERATIONS = ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/docs/oauth2-redirect", "/metrics/", "/docs/")

#: By CONTRACT.md, without hotline_replies_total, which comes with the replies.
METRICS = {
    "hotline_envelopes": {"channel"},
    "hotline_outcomes": {"channel", "outcome"},
    "hotline_refused_requests": {"channel", "reason"},
    "hotline_ack_seconds": {"channel"},
    "hotline_pipeline_seconds": set(),
    "hotline_pending_envelopes": set(),
    "hotline_handoff_waiting": set(),
    "hotline_handoff_seconds": set(),
    "hotline_sink_paused": {"sink"},
    "hotline_journal_envelopes": set(),
    "hotline_store_away": set(),
    "hotline_disk_full": set(),
    "hotline_channel_last_progress_timestamp_seconds": {"channel"},
}


async def get(gateway: RunningGateway, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gateway.http_url, trust_env=False, verify=False) as client:
        return await client.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})


def behind_proxy(document: dict[str, Any]) -> None:
    only("app", server={"trusted_proxies": ["127.0.0.1/32"], "token": TOKEN})(document)


def with_token(document: dict[str, Any]) -> None:
    only("app", server={"token": TOKEN})(document)


@pytest.mark.parametrize("settings", [behind_proxy, with_token], ids=["declared proxy", "undeclared proxy"])
async def test_operations_are_for_this_machine_or_the_token(start_gateway: Start, settings: Any) -> None:
    async with start_gateway(settings) as gateway:
        for path in OPERATIONS:
            # From this machine; with a proxy declared on it, whoever comes without its header is unknown.
            at_home = {404} if settings is behind_proxy else {200, 307}
            assert (await get(gateway, path)).status_code in at_home, path
            for wrong in ("", f"bearer {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN):
                refused = await get(gateway, path, **ELSEWHERE, authorization=wrong)
                assert (refused.status_code, refused.json()["status"]) == (404, 404), path
            assert (await get(gateway, path, **ELSEWHERE, authorization=f"Bearer {TOKEN}")).status_code in {200, 307}, (
                path
            )


async def test_without_a_token_there_is_no_way_in_from_elsewhere(start_gateway: Start) -> None:
    async with start_gateway(only("app")) as gateway:
        for path in OPERATIONS:
            for authorization in ("Bearer ", "Bearer None", "Bearer"):
                answer = await get(gateway, path, **ELSEWHERE, authorization=authorization.strip())
                assert answer.status_code == 404, path


async def test_an_entry_the_caller_wrote_himself_does_not_make_him_local(start_gateway: Start) -> None:
    async with start_gateway(behind_proxy) as gateway:
        for forwarded in ("127.0.0.1, 203.0.113.7", "::1, 203.0.113.7", "unknown", "", "127.0.0.1:80", "127.0.0.1, x"):
            answer = await get(gateway, "/metrics", x_forwarded_for=forwarded)
            assert answer.status_code == 404, forwarded


async def test_without_a_credential_only_operations_on_this_machine_answer(start_gateway: Start) -> None:
    """Every path of the OpenAPI document, of the framework and of the channels, by every method."""

    def change(document: dict[str, Any]) -> None:
        for name in ("mailbox", "sms_aliyun", "sms_tencent"):  # by no HTTP; their path is the credential
            del document["channels"][name]

    async with start_gateway(change) as gateway:
        described = (await get(gateway, "/openapi.json")).json()["paths"]
        framework = {path for route in gateway.node.http.config.app._api.routes if (path := getattr(route, "path", ""))}
        served = {route.path for channel in gateway.node.channels.values() for route in channel.routes()}
        paths = {
            path.replace("{receipt}", "0" * 32).replace("{matter_id}", "0" * 32)
            for path in {*described, *framework, *served}
        }
        assert {"/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/messages"} <= paths
        answered = set()
        for path in paths:
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
                answer = await get(gateway, path, method)
                assert answer.status_code < 500, (method, path)
                if answer.is_success:
                    answered.add((method, path))
        public = {"/docs/oauth2-redirect", *(path for _, path in answered if path.startswith("/open311/v2/services"))}
        assert {path for _, path in answered} - public == set(OPERATIONS[:5])
        assert {method for method, _ in answered} <= {"GET", "HEAD"}
        assert (await gateway.books())["envelopes"] == 0


async def test_the_docs_load_nothing_from_elsewhere(start_gateway: Start) -> None:
    async with start_gateway(only("app")) as gateway:
        page = (await get(gateway, "/docs")).text
        references = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page)
        assert len(references) >= 3 and not any(re.match(r"(https?:)?//", reference) for reference in references)
        for reference in references:
            assert (await get(gateway, reference)).status_code == 200, reference


async def test_the_metrics_of_the_contract_are_there_with_their_labels(start_gateway: Start) -> None:
    async with start_gateway(only("app")) as gateway:
        app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
        await app.say("路灯不亮", sender="4711000", message_id="1", at=now()).send(gateway)
        await get(gateway, "/v1/messages")
        await gateway.settle()
        await get(gateway, "/readyz")
        text = (await get(gateway, "/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert METRICS.keys() <= families.keys()
    for name, labels in METRICS.items():
        found = {label for sample in families[name].samples for label in sample.labels} - {"le"}
        assert found == labels, name
    samples = {(s.name, *s.labels.values()): s.value for family in families.values() for s in family.samples}
    assert samples["hotline_envelopes_total", "app"] == samples["hotline_outcomes_total", "app", "filed"] == 1
    assert samples["hotline_refused_requests_total", "app", "method"] == 1
    assert (
        samples["hotline_pending_envelopes",]
        == samples["hotline_handoff_waiting",]
        == samples["hotline_sink_paused", "core"]
        == samples["hotline_journal_envelopes",]
        == samples["hotline_store_away",]
        == samples["hotline_disk_full",]
        == 0
    )
    assert "路灯" not in text and "4711000" not in text and "city-app" not in text


async def test_not_ready_says_why(start_gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_gateway(only("app")) as gateway:
        assert (await get(gateway, "/readyz")).json() == {"status": "ready", "complaints": [], "notes": []}

        async def fails(*_: Any, **__: Any) -> Any:
            from store.errors import StoreUnavailable  # noqa: PLC0415

            raise StoreUnavailable("connection to 10.0.0.5 refused")

        monkeypatch.setattr(gateway.node.store._database, "read", fails)
        answer = await get(gateway, "/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "complaints": ["the store is not available"], "notes": []}
        assert (await get(gateway, "/livez")).json() == {"status": "alive"}
        receipt = await get(
            gateway, f"/v1/receipts/{'0' * 32}", authorization=f"Bearer {(gateway.secrets / 'app-key').read_text()}"
        )
        assert (receipt.status_code, receipt.headers["retry-after"]) == (503, "2")
        monkeypatch.undo()


async def test_what_a_client_did_not_bring_it_cannot_tell_from_what_does_not_exist(start_gateway: Start) -> None:
    other = "o" * 43

    def two_clients(document: dict[str, Any]) -> None:
        only("app")(document)
        document["channels"]["app"]["clients"].append(
            {"id": "other", "key_hash": key_hash(other), "scopes": ["messages:read"]}
        )

    async with start_gateway(two_clients) as gateway:
        app = AppPeer("app", gateway.channel("app").settings, key=(gateway.secrets / "app-key").read_text())
        await app.say("路灯不亮", sender="1", message_id="1", at=now()).send(gateway)
        await gateway.settle()
        (matter,) = await gateway.matters()
        (envelope,) = await gateway.envelopes()
        for found, invented in (
            (f"/v1/matters/{matter.matter_id}", f"/v1/matters/{'0' * 32}"),
            (f"/v1/receipts/{envelope.id}", f"/v1/receipts/{'0' * 32}"),
        ):
            foreign, missing = [await get(gateway, path, authorization=f"Bearer {other}") for path in (found, invented)]
            assert foreign.status_code == missing.status_code == 404
            assert foreign.content == missing.content


async def test_a_node_that_can_keep_nothing_is_not_ready_until_it_can(start_gateway: Start) -> None:
    async with start_gateway(only("app")) as gateway:
        key = (gateway.secrets / "app-key").read_text()
        app = AppPeer("app", gateway.channel("app").settings, key=key)
        async with gateway.store_down():
            ack = await app.say("路灯不亮", sender="1", message_id="1", at=now()).send(gateway)
            assert ack.status == 503
            assert (await get(gateway, "/readyz")).status_code == 503
        assert (await get(gateway, "/readyz")).status_code == 200
