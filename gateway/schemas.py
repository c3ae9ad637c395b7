"""The machine-readable contract, generated from the code into docs/schema/; a test fails when they drift apart.

``python -m gateway.schemas`` writes it anew (``make schema``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from channels.base import AnyChannel
from channels.registry import kinds, load
from gateway.api import Condition, build_api, describe
from gateway.attachments import attachments
from gateway.clock import now
from gateway.config import Config, Server
from gateway.metrics import Metrics
from gateway.updates import updates
from gateway.uploads import uploads
from normalizer.model import HotlineMatter
from store.files import Files
from store.store import Store
from store.uploads import Uploads

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def matter_schema() -> dict[str, Any]:
    """JSON Schema of the hotline matter as it is sent."""
    return {"$schema": DIALECT, **HotlineMatter.model_json_schema(mode="serialization")}


def config_schema() -> dict[str, Any]:
    """JSON Schema of config.yaml, for editors; a channel's settings depend on its kind."""
    schema = Config.model_json_schema(mode="validation")
    choices = []
    for kind in kinds():
        settings = load(kind).Settings.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
        schema["$defs"] |= settings.pop("$defs", {})
        settings["properties"]["kind"] = {"const": kind, "description": load(kind).summary}
        settings["required"] = sorted({"kind", *settings.get("required", [])})
        choices.append(settings)
    schema["properties"]["channels"]["additionalProperties"] = {"oneOf": choices}
    schema["properties"]["channels"].pop("patternProperties", None)
    return {"$schema": DIALECT, **schema}


def openapi() -> dict[str, Any]:
    """OpenAPI of the API, as a gateway with every channel of the API serves it."""
    client = {"id": "client", "key_hash": "sha256:" + "0" * 64, "scopes": ["messages:write"]}
    channels: dict[str, AnyChannel] = {
        kind: load(kind)(kind, load(kind).Settings.model_validate({"clients": [client]}))
        for kind in ("app", "telephone", "partner")
    }
    store, files = cast("Store", None), cast("Files", None)  # nothing is served, only described
    config = cast("Config", None)
    routes = (
        updates(store, config, channels, now, lambda: None),
        attachments(store, config, files),
        uploads(channels, files, cast("Uploads", None), now),
    )
    api = build_api(store, channels, server=Server(), metrics=Metrics(), ready=_never, beside=routes)
    return describe(api, channels)


async def _never() -> Condition:
    return Condition([], [])


def documents() -> dict[str, str]:
    """File name below docs/schema/ → content."""
    made = {"hotline-matter.json": matter_schema(), "config.json": config_schema(), "openapi.json": openapi()}
    return {name: json.dumps(content, ensure_ascii=False, indent=1) + "\n" for name, content in made.items()}


def main() -> None:
    """Write all documents."""
    folder = Path(__file__).parent.parent / "docs" / "schema"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
