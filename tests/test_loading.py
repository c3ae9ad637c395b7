"""config.yaml: every fault is told with file, line, key and mend, all at once, and never with a secret."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels import registry
from channels.registry import kinds, load
from channels.settings import PLACEHOLDERS
from gateway.config import Config
from gateway.demo.secrets import make_secrets
from gateway.loading import ConfigFaults, Fault, load_config
from gateway.testing import settings

ROOT = Path(__file__).parent.parent
HASH = "sha256:" + "0" * 64
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()

#: A configuration that is right; the cases below replace a piece of it.
GOOD = f"""\
city:
  name: 济南12345
server:
  listen: "127.0.0.1:8080"
core:
  sink: webhook
  url: "http://127.0.0.1:9090/events"
  secret: "{WHSEC}"
channels:
  app:
    kind: app
    clients:
      - id: city-app
        key_hash: "{HASH}"
        scopes: ["messages:read"]
  wechat:
    kind: wechat
    app_id: wx0123456789abcdef
    token: wechat-token-1
    encoding_aes_key: jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C
    app_secret: wechat-app-secret-1
dedupe:
  settle_seconds: 0
"""


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "config.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def faults(path: Path) -> list[tuple[int | None, str, str]]:
    """Line, key and mend of each; fails when the file is taken."""
    with pytest.raises(ConfigFaults) as caught:
        load_config(path)
    assert {fault.file for fault in caught.value.faults} == {str(path)}
    return [(fault.line, fault.key, fault.mend) for fault in caught.value.faults]


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


def test_the_good_one_is_taken(tmp_path: Path) -> None:
    config, channels = load_config(write(tmp_path, GOOD))
    assert (config.city.name, sorted(channels)) == ("济南12345", ["app", "wechat"])
    assert config.keys.file == tmp_path / "var" / "keys.json"  # paths are relative to the file
    assert config.store.url == f"sqlite:///{tmp_path}/var/gateway.db"


def test_a_fault_reads_file_line_key_and_mend() -> None:
    assert str(Fault("config.yaml", 3, "city.name", "set it")) == "config.yaml:3: city.name: set it"
    assert str(Fault("config.yaml", None, "", "cannot be read")) == "config.yaml: cannot be read"


# -- One fault each: what is replaced by what; the piece whose line is told, the key, words of the mend ----------------

OTHER_HASH = HASH[:-1] + ("1" if HASH.endswith("0") else "0")
ONE, OTHER = (f"{{id: {name}, key_hash: '{key}', scopes: []}}" for name, key in (("a", HASH), ("b", OTHER_HASH)))

SECRET_LINE = f'  secret: "{WHSEC}"'
ONE_FAULT = {
    "unknown section": ("dedupe:", "dedup:", "dedup:", "dedup", "did you mean dedupe?"),
    "unknown setting": ("  listen:", "  lissen:", "  lissen", "server.lissen", "did you mean listen?"),
    "unknown setting of a channel": ("    app_id", "    app_idd: x\n    app_id", "    app_idd", "channels.wechat.app_idd", "did you mean app_id?"),
    "unknown setting of a client": ("      - id", "      - keyhash: x\n        id", "      - key", "channels.app.clients.0.keyhash", "did you mean key_hash?"),
    "unknown setting like no other": ("dedupe:", "zzz:", "zzz", "zzz", "choose from"),
    "unknown kind": ("kind: wechat", "kind: wechatt", "    kind: wechatt", "channels.wechat.kind", "did you mean wechat?"),
    "no kind": ("    kind: wechat\n", "", "  wechat:", "channels.wechat.kind", "choose from app, "),
    "kind is a list": ("kind: wechat", "kind: [zzz]", "    kind: [zzz]", "channels.wechat.kind", "choose from app, "),
    "missing setting": ("    app_secret: wechat-app-secret-1\n", "", "  wechat:", "channels.wechat.app_secret", "is missing; set it"),
    "channel without settings": (GOOD[GOOD.index("    kind: wechat") : GOOD.index("dedupe")], "", "  wechat:", "channels.wechat", "settings are missing"),
    "missing sub-setting": ('        scopes: ["messages:read"]\n', "", "      - id", "channels.app.clients.0.scopes", "is missing"),
    "unknown scope": ("messages:read", "messages:reed", "        scopes", "channels.app.clients.0.scopes.0", "'messages:read'"),
    "no client": (GOOD[GOOD.index("    clients:") : GOOD.index("  wechat:")], "    clients: []\n", "    clients", "channels.app.clients", "at least 1"),
    "section is a text": ("  settle_seconds: 0", "  x", "dedupe", "dedupe", "must be a map of settings"),
    "section is empty": ("  settle_seconds: 0\n", "", "dedupe", "dedupe", "must be a map of settings"),
    "number is a text": ("settle_seconds: 0", "settle_seconds: soon", "  settle", "dedupe.settle_seconds", "valid number"),
    "number too large": ("settle_seconds: 0", "settle_seconds: 181", "  settle", "dedupe.settle_seconds", "less than or equal to 180"),
    "list is a text": ("server:\n", "server:\n  trusted_proxies: 10.0.0.0/8\n", "  trusted", "server.trusted_proxies", "must be a list"),
    "not a network": ("server:\n", "server:\n  trusted_proxies: [10.0.0.0/8, 10.0.0.0/99]\n", "  trusted", "server.trusted_proxies.1", "not a network"),
    "host bits set": ("server:\n", "server:\n  trusted_proxies: [10.0.0.1/8]\n", "  trusted", "server.trusted_proxies.0", "not a network"),
    "not a network of a channel": ("    app_id", "    allowed_networks: [nowhere]\n    app_id", "    allowed", "channels.wechat.allowed_networks.0", "not a network"),
    "no port": ("127.0.0.1:8080", "127.0.0.1", "  listen", "server.listen", "write host:port"),
    "no such port": ("127.0.0.1:8080", "127.0.0.1:65536", "  listen", "server.listen", "write host:port"),
    "digits of another script": ("127.0.0.1:8080", "127.0.0.1:８０８０", "  listen", "server.listen", "write host:port"),
    "core url without scheme": ("http://127.0.0.1:9090/events", "127.0.0.1:9090", "  url", "core.url", "not an address"),
    "core url of a file": ("http://127.0.0.1:9090/events", "file:///etc/hosts", "  url", "core.url", "not an address"),
    "core url with no such port": ("http://127.0.0.1:9090/events", "http://core:99999/", "  url", "core.url", "not an address"),
    "core url with half an address": ("http://127.0.0.1:9090/events", "http://[::1/", "  url", "core.url", "not an address"),
    "core url with no host": ("http://127.0.0.1:9090/events", "http://:9090/", "  url", "core.url", "not an address"),
    "core url with an impossible host": ("http://127.0.0.1:9090/events", "http://a..b/", "  url", "core.url", "not an address"),
    "public url with a query": ("server:\n", "server:\n  public_url: https://h/?x=1\n", "  public", "server.public_url", "not an address"),
    "unknown sink": ("sink: webhook", "sink: brokers", "  sink", "core.sink", "'webhook', 'broker' or 'file'"),
    "webhook without url": ('  url: "http://127.0.0.1:9090/events"\n', "", "core:", "core", "needs url"),
    "webhook without secret": (SECRET_LINE, "", "core:", "core", "needs secret"),
    "file without path": ("sink: webhook", "sink: file", "core:", "core", "needs path"),
    "core secret of another make": (WHSEC, "d41d8cd98f00b204e9800998ecf8427e", "  secret", "core.secret", "whsec_"),
    "core secret only a prefix": (WHSEC, "whsec_", "  secret", "core.secret", "whsec_"),
    "core secret too short": (WHSEC, "whsec_" + base64.b64encode(b"x" * 23).decode(), "  secret", "core.secret", "24 to 64 bytes"),
    "core secret not base64": (WHSEC, "whsec_" + "!" * 32, "  secret", "core.secret", "base64"),
    "core secret empty": (WHSEC, "", "  secret", "core.secret", "the secret is empty"),
    "secret a placeholder": ("wechat-token-1", "Change-Me", "    token", "channels.wechat.token", "is a placeholder"),
    "secret a number": ("wechat-token-1", "123456", "    token", "channels.wechat.token", "put it in quotes"),
    "secret a map": ("wechat-token-1", "{flie: x}", "    token", "channels.wechat.token", "{file: path}"),
    "secret file missing": ("wechat-token-1", "{file: nowhere}", "    token", "channels.wechat.token", "cannot read secret file nowhere"),
    "secret file a folder": ("wechat-token-1", "{file: .}", "    token", "channels.wechat.token", "cannot read secret file ."),
    "time zone": ("city:\n", "city:\n  timezone: Mars\n", "  timezone", "city.timezone", "Asia/Shanghai"),
    "time zone a path": ("city:\n", "city:\n  timezone: ../../etc/passwd\n", "  timezone", "city.timezone", "Asia/Shanghai"),
    "profile": ("city:\n", "city:\n  profile: jinann\n", "  profile", "city.profile", "choose one of jinan, "),
    "division code without quotes": ("city:\n", "city:\n  division_code: 370100\n", "  division", "city.division_code", "put it in quotes"),
    "division code too short": ("city:\n", 'city:\n  division_code: "3701"\n', "  division", "city.division_code", "pattern"),
    "store of another kind": ("city:\n", "store:\n  url: mysql://h/d\ncity:\n", "  url: my", "store.url", "mysql is not supported"),
    "store url is none": ("city:\n", "store:\n  url: var/gateway.db\ncity:\n", "  url: var", "store.url", "not a database URL"),
    "channel name": ("  wechat:", "  We Chat:", "  We Chat:", "channels.We Chat", "pattern"),
    "channel name a number": ("  wechat:", "  5:", "  5:", "channels.5", "pattern"),
    "stands twice": ("dedupe:", "city:\n  profile: jinan\ndedupe:", "city:\n  profile", "city", "stands twice"),
    "stands twice inside": ("    app_id", "    token: other-token-2\n    app_id", "    token: wechat", "channels.wechat.token", "stands twice"),
    "second app": ("  wechat:", f"  app2: {{kind: app, clients: [{{id: b, key_hash: '{HASH}', scopes: []}}]}}\n  wechat:", "  app2", "channels.app2", "channel app serves the same path"),
    "two clients of one id": ("  wechat:", f"  desk: {{kind: telephone, clients: [{ONE}, {OTHER}]}}\n  wechat:".replace("id: b", "id: a"), "  desk", "channels.desk.clients", "give each its own"),
    "two clients of one key": ("  wechat:", f"  desk: {{kind: telephone, clients: [{ONE}, {OTHER}]}}\n  wechat:".replace(OTHER_HASH, HASH), "  desk", "channels.desk.clients", "gateway keys new-client"),
    "a new key that is another's old one": ("  wechat:", f"  desk: {{kind: telephone, clients: [{ONE}, {OTHER}]}}\n  wechat:".replace("scopes", f"previous_key_hash: '{OTHER_HASH}', scopes", 1), "  desk", "channels.desk.clients", "gateway keys new-client"),
    "a path secret for the API": ("  wechat:", f"  desk: {{kind: telephone, path_secret: a-long-secret-1, clients: [{ONE}]}}\n  wechat:", "  desk", "channels.desk", "path_secret has no use here"),
    "a path secret for Open311": ("  wechat:", f"  reports: {{kind: open311, path_secret: a-long-secret-1, jurisdiction_id: a.example, api_keys: [{{id: a, key_hash: '{HASH}'}}]}}\n  wechat:", "  reports", "channels.reports", "path_secret has no use here"),
    "tab": ("  name:", "\tname:", "\tname", "", "YAML: "),
    "bracket left open": ('["messages:read"]', '["messages:read"', "  wechat:", "", "YAML: "),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "at", "key", "mend"), ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_a_fault_is_told_once_with_line_key_and_mend(
    tmp_path: Path, old: str, new: str, at: str, key: str, mend: str
) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    ((line, found_key, found_mend),) = faults(write(tmp_path, text))
    assert (line, found_key) == (line_of(text, at), key)
    assert mend in found_mend


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("app", f"clients: [{ONE}]"),
        ("telephone", f"clients: [{ONE}]"),
        ("partner", f"clients: [{ONE}]"),
        ("open311", f"jurisdiction_id: a.example, api_keys: [{{id: a, key_hash: '{HASH}'}}]"),
    ],
)
def test_a_path_of_the_contract_has_one_channel_and_the_second_is_told_where_its_callers_belong(
    tmp_path: Path, kind: str, more: str
) -> None:
    """None of them wins in silence: whoever has a key of the other would be turned away."""
    channels = "".join(f"  {name}: {{kind: {kind}, {more}}}\n" for name in ("first", "second"))
    text = GOOD[: GOOD.index("channels:")] + "channels:\n" + channels
    mend = "channel first serves the same path; keep one of them, with the callers of both"
    assert faults(write(tmp_path, text)) == [(line_of(text, "  second"), "channels.second", mend)]


WHOLE_FILE = {
    "empty": ("", 1, "must be a map of sections"),
    "a list": ("- a\n", 1, "must be a map of sections"),
    "a text": ("12345\n", 1, "must be a map of sections"),
    "GB 18030": (GOOD.encode("gb18030"), None, "is not UTF-8"),
    "binary": (b"city: \x00", None, "does not allow"),
    "an impossible date": (GOOD.replace("wechat-token-1", "2026-13-01"), None, "put it in quotes"),
    "100,000 deep": ("[" * 100_000, None, "nested too deep"),
    "a list within itself": ("city: &a [*a]\n", None, "nested too deep"),
}


@pytest.mark.parametrize(("content", "line", "mend"), WHOLE_FILE.values(), ids=WHOLE_FILE.keys())
def test_a_file_that_is_no_configuration_is_told_so(
    tmp_path: Path, content: str | bytes, line: int | None, mend: str
) -> None:
    ((found_line, key, found_mend),) = faults(write(tmp_path, content))
    assert (found_line, key) == (line, "")
    assert mend in found_mend


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    assert faults(tmp_path / "nowhere.yaml") == [(None, "", "cannot be read: No such file or directory")]


@pytest.mark.parametrize(
    "channels", ["", "channels:\n", "channels: {}\n", "channels: []\n"], ids=["missing", "null", "map", "list"]
)
def test_no_channel_is_a_fault(tmp_path: Path, channels: str) -> None:
    text = GOOD[: GOOD.index("channels:")] + channels
    assert faults(write(tmp_path, text)) == [
        (line_of(text, "channels") if channels else None, "channels", "no channel is configured; add at least one")
    ]


def test_all_faults_are_told_at_once_in_order_of_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("  name:", "  nam:")
        .replace('"127.0.0.1:8080"', "nowhere")
        .replace(WHSEC, "")
        .replace("messages:read", "all")
        .replace("wechat-token-1", "secret")
        .replace("settle_seconds: 0", "settle_seconds: -1")
    )
    assert [(line, key) for line, key, _ in faults(write(tmp_path, text))] == [
        (2, "city.nam"),
        (4, "server.listen"),
        (8, "core.secret"),
        (15, "channels.app.clients.0.scopes.0"),
        (19, "channels.wechat.token"),
        (line_of(text, "  settle"), "dedupe.settle_seconds"),
    ]


# -- Secrets -----------------------------------------------------------------------------------------------------------


#: Lists of programs that may call, each with a key.
CLIENTS = (("app", "clients"), ("telephone", "clients"), ("partner", "clients"), ("open311", "api_keys"))


#: Left out only where its other is set: a mailbox may have ``oauth2`` instead.
ONE_OF_TWO = {("imap", "password")}


def secret_settings() -> list[Any]:
    """Every secret of every built-in kind and of the top sections, from the models, and whether it may be left out."""
    found: dict[tuple[Any, ...], bool] = {("core", "secret"): False, ("server", "token"): True}
    found |= {("channels", *of_clients, 0, "key_hash"): False for of_clients in CLIENTS}
    for name, values in settings("http://127.0.0.1:1/")["channels"].items():
        schema = load(values["kind"]).Settings.model_json_schema()
        for key, shape in schema["properties"].items():
            if '"file"' in json.dumps(shape):
                found["channels", name, key] = key not in schema["required"] and (name, key) not in ONE_OF_TWO
    return [pytest.param(place, optional, id=".".join(map(str, place))) for place, optional in found.items()]


def test_the_secrets_of_all_kinds_are_found() -> None:
    """Guards the table below: a kind that is not in the shipped test settings, or a secret not seen, would not be tried."""
    values = settings("http://127.0.0.1:1/")["channels"]
    assert {channel["kind"] for channel in values.values()} == set(kinds())
    named = {case.values[0] for case in secret_settings()}
    in_use = {
        ("channels", name, key) for name, channel in values.items() for key in channel if "file" in str(channel[key])
    }
    assert in_use - {("channels", *of_clients) for of_clients in CLIENTS} <= named


BAD_SECRETS = {
    "empty": "",
    "blank": "  ",
    "null": None,
    "missing": None,
    "empty file": {"file": "empty"},
    "no file": {"file": "nowhere"},
    "placeholder": "change-me",
}


@pytest.mark.parametrize(("place", "optional"), secret_settings())
def test_an_empty_default_or_missing_secret_refuses(
    tmp_path: Path, place: tuple[str | int, ...], optional: bool
) -> None:
    make_secrets(tmp_path / "secrets")
    (tmp_path / "empty").write_text("\n")
    told: dict[str, list[str]] = {}
    for label, bad in BAD_SECRETS.items():
        document = settings("http://127.0.0.1:1/")
        inner: Any = document
        for step in place[:-1]:
            inner = inner[step]
        if label == "missing":
            inner.pop(place[-1], None)
        else:
            inner[place[-1]] = bad
        path = write(tmp_path, yaml.safe_dump(document))
        if optional and bad is None:
            load_config(path)
        else:
            told[label] = [fault[1] for fault in faults(path)]
    key = ".".join(map(str, place))
    unset = "core" if place == ("core", "secret") else key  # only the webhook needs it
    assert told == {label: [unset if bad is None else key] for label, bad in BAD_SECRETS.items() if label in told}


@pytest.mark.parametrize("word", [*sorted(PLACEHOLDERS), "CHANGEME", " todo "])
def test_a_placeholder_is_no_secret(tmp_path: Path, word: str) -> None:
    ((_, key, mend),) = faults(write(tmp_path, GOOD.replace("wechat-token-1", f'"{word}"')))
    assert (key, mend) == ("channels.wechat.token", "the secret is a placeholder; set your own")


SENTINEL = "s3cr3t-Kx7Qp9"
LEAKS = {
    "wrong type around it": GOOD.replace("token: wechat-token-1", f"token: [{SENTINEL}]"),
    "unquoted star": GOOD.replace("wechat-token-1", f"*{SENTINEL}"),
    "unquoted bang": GOOD.replace("wechat-token-1", f"!{SENTINEL} x"),
    "anchor twice": GOOD.replace("wechat-token-1", f"&{SENTINEL} x").replace("wechat-app-secret-1", f"&{SENTINEL} y"),
    "open quote": GOOD.replace("wechat-token-1", f'"{SENTINEL}'),
    "colon in it": GOOD.replace("wechat-token-1", f"a: {SENTINEL}: b"),
    "percent": GOOD.replace("wechat-token-1", f"%{SENTINEL}"),
    "core secret": GOOD.replace(WHSEC, SENTINEL),
    "bot token of wrong shape": GOOD.replace("dedupe:", f"  bot: {{kind: telegram, bot_token: {SENTINEL}, secret_token: abc}}\ndedupe:"),
    "path secret and no kind": GOOD.replace("  wechat:", f"  weibo: {{path_secret: {SENTINEL}}}\n  wechat:"),
    "password in the store's port": f"store: {{url: 'postgresql://u:p@h:{SENTINEL}/d'}}\n" + GOOD,
    "password in a store of another kind": f"store: {{url: 'mysql://u:{SENTINEL}@h/d'}}\n" + GOOD,
    "password in a public url": GOOD.replace("server:\n", f"server:\n  public_url: http://u:{SENTINEL}@h:x/\n"),
    "AES key of wrong length": GOOD.replace("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", SENTINEL),
}  # fmt: skip


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_no_error_quotes_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigFaults) as caught:
        load_config(write(tmp_path, text))
    assert SENTINEL not in str(caught.value) + repr(caught.value.faults)
    assert caught.value.__cause__ is None


def test_what_is_loaded_does_not_show_its_secrets(tmp_path: Path) -> None:
    config, channels = load_config(write(tmp_path, GOOD))
    shown = repr(config) + str(config) + "".join(repr(channel.settings) for channel in channels.values())
    for secret in (WHSEC, HASH, "wechat-token-1", "wechat-app-secret-1"):
        assert secret not in shown


# -- The environment ---------------------------------------------------------------------------------------------------


def test_the_environment_lies_on_top_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "core").write_text("whsec_" + base64.b64encode(b"e" * 32).decode())
    for name, value in {
        "SERVER__LISTEN": "0.0.0.0:1",
        "SERVER__TRUSTED_PROXIES": '["10.0.0.0/8", "fd00::/8"]',
        "CITY__DIVISION_CODE": "370200",
        "CORE__SECRET__FILE": "core",
        "CHANNELS__WECHAT__TOKEN": "123456",
        "CHANNELS__WECHAT__APP_SECRET": "[not a list",
        "DEDUPE__SETTLE_SECONDS": "7",
    }.items():
        monkeypatch.setenv(f"HOTLINE__{name}", value)
    text = GOOD.replace(SECRET_LINE, "  secret: {file: nowhere}")
    config, channels = load_config(write(tmp_path, text))
    assert (config.server.listen, config.city.division_code, config.city.name) == ("0.0.0.0:1", "370200", "济南12345")
    assert [str(network) for network in config.server.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]
    assert config.core.secret is not None
    assert config.core.secret.get_secret_value() == (tmp_path / "core").read_text()
    assert config.dedupe.settle_seconds == 7
    wechat = channels["wechat"].settings
    assert wechat.token.get_secret_value() == "123456"  # digits stay text
    assert wechat.app_secret.get_secret_value() == "[not a list"
    assert wechat.app_id == "wx0123456789abcdef"


def test_a_fault_from_the_environment_is_told_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE__SERVER__LISTEN", SENTINEL)
    assert faults(write(tmp_path, GOOD)) == [(4, "server.listen", "write host:port, for example 127.0.0.1:8080")]


@pytest.mark.parametrize("value", ["{bad", "words", ""])
def test_a_section_from_the_environment_must_be_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HOTLINE__CITY", value)
    with pytest.raises(ConfigFaults, match="environment: HOTLINE__…: a whole section must be a JSON object"):
        load_config(write(tmp_path, GOOD))


# -- What is shipped ---------------------------------------------------------------------------------------------------


def test_the_committed_configuration_loads_once_the_demo_has_made_its_secrets(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    missing = faults(tmp_path / "config.yaml")
    assert missing and all("`gateway demo` makes test secrets" in mend for _, _, mend in missing)
    make_secrets(tmp_path / "var" / "secrets")
    config, channels = load_config(tmp_path / "config.yaml")
    assert {channel.kind for channel in channels.values()} == set(kinds())
    assert isinstance(config, Config)


PLUGIN = """
from typing import ClassVar, Literal
from channels.base import Webhook
from channels.settings import WebhookSettings

class Settings(WebhookSettings):
    kind: Literal["pigeon"] = "pigeon"
    loft: str

class Pigeon(Webhook[Settings]):
    kind: ClassVar[str] = "pigeon"
    Settings = Settings
    summary: ClassVar[str] = "carrier pigeon"
    def parse(self, envelope): return ()
    def authenticate(self, request): raise NotImplementedError
"""


def test_a_plug_in_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "pigeon.py").write_text(PLUGIN)
    metadata = tmp_path / "pigeon-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[hotline.channels]\npigeon = pigeon:Pigeon\n")
    text = GOOD.replace("dedupe:", "  birds: {kind: pigeon, loft: roof}\ndedupe:").replace(":8080", ":1")
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "channels", "--json", "--config", str(write(tmp_path, text))],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    listing = json.loads(done.stdout)
    assert listing["kinds"]["pigeon"] == {
        "summary": "carrier pigeon",
        "required": ["loft"],
        "optional": ["allowed_networks", "path_secret"],
    }
    assert listing["configured"]["birds"] == {
        "kind": "pigeon",
        "state": "not running, or not telling without server.token",
    }


def test_a_variable_of_an_unknown_section_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE__SERVR__LISTEN", "127.0.0.1:1")
    with pytest.raises(ConfigFaults, match="environment: HOTLINE__SERVR: unknown section 'servr'; did you mean server"):
        load_config(write(tmp_path, GOOD))


@pytest.mark.parametrize("content", ["raise RuntimeError('inside')", "Broken = 5"], ids=["fails", "no channel"])
def test_a_plug_in_that_cannot_be_used_is_told_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "broken_plug_in.py").write_text(content)
    folder = tmp_path / "broken_plug_in-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plug-in\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[hotline.channels]\nbroken = broken_plug_in:Broken\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("broken_plug_in", None)
    registry._points.cache_clear()
    try:
        with pytest.raises(ConfigFaults) as caught:
            load_config(write(tmp_path, GOOD.replace("    kind: wechat", "    kind: broken")))
    finally:
        registry._points.cache_clear()
        registry.load.cache_clear()
    (fault,) = caught.value.faults
    assert fault.key == "channels.wechat.kind"
    assert fault.mend.startswith("broken_plug_in:Broken ")
    assert "inside" not in fault.mend
