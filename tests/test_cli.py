"""The command line: exit codes, one sentence on stderr, and what a command leaves behind."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from channels.clients import key_hash
from channels.registry import kinds
from channels.settings import Client
from channels.simulated.wechat import WeChatPeer
from channels.wechat import WeChatSettings
from gateway import __version__
from gateway.cli import app
from gateway.clock import now
from gateway.demo.secrets import make_secrets
from gateway.testing import RunningGateway, Start, settings
from normalizer.model import Outcome
from tests.test_door import only

HELP = {
    "demo": "citizens write on every channel",
    "serve": "Run the gateway until SIGTERM",
    "check": "what is wrong with config.yaml",
    "migrate": "schema up to date",
    "channels": "kinds of channel",
    "reconcile": "the books balance",
    "replay": "kept raw envelopes",
    "backup": "Save the store and its attachments",
    "restore": "Put a backup in place",
    "evaluate": "How well we do on texts and mails of one's own",
    "evaluate mail": "every file of a folder as a raw mail",
    "keys": "Keys of API clients",
    "keys new-client": "Make a key for an API client",
}

#: The state of a channel when no node tells.
QUIET = "not running, or not telling without server.token"


def run(*words: str) -> Result:
    """In this process; for commands that do not set up logging."""
    result = CliRunner().invoke(app, words, terminal_width=200)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


async def start(*words: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def run_apart(*words: str | Path) -> tuple[int | None, str, str]:
    """In a process of its own: exit code, stdout and what on stderr is no log line."""
    process = await start(*words)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert b"Traceback" not in err
    said = [line for line in err.decode().splitlines() if not line.startswith("{")]
    return process.returncode, out.decode(), "\n".join(said)


async def run_beside(*words: str | Path) -> tuple[int, str, str]:
    """In a thread of this process, which saves the imports; while no gateway runs here, which would log into it."""
    result = await asyncio.to_thread(run, *map(str, words))
    return result.exit_code, result.stdout, result.stderr


def write(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None, channel: str = "app") -> Path:
    """A configuration that is right, with its secrets."""
    make_secrets(folder / "secrets")
    document = settings("http://127.0.0.1:9/events")
    only(channel)(document)
    change(document)
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    return folder / "config.yaml"


# -- Usage -------------------------------------------------------------------------------------------------------------


def test_the_version_is_told() -> None:
    assert run("--version").output == f"gateway {__version__}\n"


def test_every_command_says_what_it_does() -> None:
    named = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    assert named | {"keys", "keys new-client", "evaluate", "evaluate mail"} == HELP.keys()
    for command, words in HELP.items():
        result = run(*command.split(), "--help")
        assert result.exit_code == 0 and words in " ".join(result.output.split()), command


def test_help_does_not_wait_for_what_only_commands_need() -> None:
    heavy = "{'fastapi', 'starlette', 'uvicorn', 'sqlalchemy', 'pydantic', 'httpx', 'cryptography'}"
    script = f"import sys, gateway.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


WRONG_USAGE = {
    "unknown command": ("serv",),
    "unknown option": ("serve", "--rolls", "edge"),
    "unknown role": ("serve", "--roles", "edge,cook"),
    "unknown outcome": ("replay", "--outcome", "malformed,lost"),
    "time that is none": ("reconcile", "--since", "yesterday"),
    "client without a name": ("keys", "new-client"),
    "client of a wrong name": ("keys", "new-client", "city app"),
    "unknown scope": ("keys", "new-client", "city-app", "--scopes", "messages:write,all"),
}


@pytest.mark.parametrize("words", WRONG_USAGE.values(), ids=WRONG_USAGE.keys())
def test_wrong_usage_is_2(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_wrong_usage_names_what_there_is() -> None:
    assert "choose from edge, pipeline, handoff, console" in run("serve", "--roles", "cook").stderr
    assert f"choose from {', '.join(Outcome)}" in run("replay", "--outcome", "lost").stderr


def test_roles_cannot_be_split_on_sqlite(tmp_path: Path) -> None:
    result = run("serve", "--roles", "edge,pipeline", "--config", str(write(tmp_path)))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "✗ --roles: on SQLite one process does everything; use PostgreSQL to split roles"
    ]
    assert not (tmp_path / "gateway.db").exists()


# -- check, channels, keys ---------------------------------------------------------------------------------------------


def test_check_takes_what_is_right(tmp_path: Path) -> None:
    path = write(tmp_path)
    result = run("check", "--config", str(path))
    assert (result.exit_code, result.output) == (0, f"✓ {path}: 1 channels, store sqlite\n")


@pytest.mark.parametrize("command", ["check", "serve", "reconcile", "replay", "migrate"])
def test_a_faulty_configuration_is_1_and_a_sentence_for_each_fault(tmp_path: Path, command: str) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["server"]["lissen"] = "x"
        document["channels"]["app"]["clients"] = []

    path = write(tmp_path, spoil)
    result = run(command, "--config", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(rf"✗ {re.escape(str(path))}:\d+: channels.app.clients: .*at least 1.*", lines[0])
    assert re.fullmatch(rf"✗ {re.escape(str(path))}:\d+: server.lissen: .*did you mean listen\?", lines[1])
    assert not (tmp_path / "gateway.db").exists()


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = run("check", "--config", str(tmp_path / "nowhere.yaml"))
    assert result.exit_code == 1
    assert result.stderr == f"✗ {tmp_path}/nowhere.yaml: cannot be read: No such file or directory\n"


def test_check_live_tries_store_core_and_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as core:
        port = core.getsockname()[1]
        right = write(tmp_path, lambda d: d["core"].update(url=f"http://127.0.0.1:{port}/"))
        assert run("check", "--live", "--config", str(right)).exit_code == 0
        busy = write(tmp_path, lambda d: d["server"].update(listen=f"127.0.0.1:{port}"))
        result = run("check", "--live", "--config", str(busy))
    assert result.exit_code == 1
    assert "core.url: nothing answers on 127.0.0.1:9" in result.stdout
    assert f"cannot listen on 127.0.0.1:{port}" in result.stdout


def test_channels_are_listed_for_programs_and_for_people(tmp_path: Path) -> None:
    path = write(tmp_path, lambda d: d["server"].update(listen="127.0.0.1:1"))
    result = run("channels", "--json", "--config", str(path))
    listing = json.loads(result.stdout)
    assert (result.exit_code, list(listing["kinds"])) == (0, kinds())
    assert listing["kinds"]["wechat"]["required"] == ["app_id", "app_secret", "encoding_aes_key", "token"]
    assert listing["configured"] == {"app": {"kind": "app", "state": QUIET}}
    shown = run("channels", "--config", str(path)).stdout
    assert all(kind in shown for kind in kinds()) and QUIET.split(",", maxsplit=1)[0] in shown


async def test_a_running_channel_is_listed_as_well(start_gateway: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    async with start_gateway(only("app", server={"listen": listen})):
        code, out, _ = await run_apart("channels", "--json", "--config", tmp_path / "config.yaml")
    assert (code, json.loads(out)["configured"]) == (0, {"app": {"kind": "app", "state": "ok"}})


def test_a_new_key_comes_with_the_line_that_lets_it_in(tmp_path: Path) -> None:
    first, second = (run("keys", "new-client", "city-app", "--scopes", "messages:read").stdout for _ in "12")
    assert first != second
    key = re.search(r"shown again\): (\S+)", first)
    assert key is not None
    (line,) = yaml.safe_load(first[first.index("  - {") :])
    client = Client.model_validate(line)
    assert (client.id, client.scopes) == ("city-app", ("messages:read",))
    assert client.key_hash.get_secret_value() == key_hash(key[1])
    path = write(tmp_path, lambda d: d["channels"]["app"].update(clients=[line]))
    assert run("check", "--config", str(path)).exit_code == 0


# -- reconcile ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("reconcile",), ("reconcile", "--json"), ("replay", "--dry-run")])
def test_without_a_store_there_is_nothing_to_read_and_nothing_is_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = run(*words, "--config", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"✗ there is no store at \S+ yet: .*\n", result.stderr)
    assert sorted(tmp_path.rglob("*")) == before


# -- serve -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_ends_in_good_order_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    process = await start("serve", "--config", write(tmp_path))
    assert process.stderr is not None
    events = []
    async with asyncio.timeout(20):
        while "serving" not in events:
            events.append(json.loads(await process.stderr.readline())["event"])
        process.send_signal(number)
        rest = await process.stderr.read()
        assert await process.wait() == 0
    logged = [json.loads(line) for line in rest.splitlines()]  # every line is JSON: no traceback
    assert "stopping" in [entry["event"] for entry in logged]
    assert {entry["level"] for entry in logged} == {"info"}
    assert not (tmp_path / "gateway.db.sock").exists()


async def test_a_second_node_on_one_sqlite_file_is_refused(start_gateway: Start, tmp_path: Path) -> None:
    async with start_gateway(only("app")):
        code, out, err = await run_apart("serve", "--config", tmp_path / "config.yaml")
    assert (code, out) == (1, "")
    assert err == (
        f"✗ {tmp_path}/gateway.db is in use by a running gateway: stop it, or use PostgreSQL for several nodes"
    )


async def test_a_busy_port_is_told_with_the_mend(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        path = write(tmp_path, lambda d: d["server"].update(listen=listen))
        code, out, err = await run_apart("serve", "--config", path)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert f"cannot listen on {listen}: " in err and "choose another server.listen" in err


# -- replay ------------------------------------------------------------------------------------------------------------


def wechat(key: dict[str, str] | str) -> Callable[[dict[str, Any]], None]:
    return only("wechat", wechat={"encoding_aes_key": key})


RIGHT_KEY = {"file": "secrets/wechat-aes-key"}


async def malformed_by_a_wrong_key(start_gateway: Start) -> dict[str, Any]:
    """A message that could not be decrypted: the operator had set another account's key. The books after it."""
    async with start_gateway(wechat("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C")) as gateway:
        right_key = (gateway.secrets / "wechat-aes-key").read_text()
        wrong = gateway.channel("wechat").settings
        right: WeChatSettings = wrong.model_copy(update={"encoding_aes_key": type(wrong.token)(right_key)})
        sent = WeChatPeer("wechat", right).say("路灯不亮", sender="1", message_id="1", at=now())
        assert (await sent.send(gateway)).ok
        await gateway.settle()
        books = await gateway.books()
        assert named(books) == {"malformed": 1}
        return books


def named(books: dict[str, Any]) -> dict[str, int]:
    return {name: number for name, number in books["outcomes"].items() if number}


async def reconciled(path: Path) -> dict[str, Any]:
    code, out, _ = await run_beside("reconcile", "--json", "--config", path)
    assert code == 0
    return json.loads(out)


async def test_replay_files_what_can_be_read_now_while_no_node_runs(start_gateway: Start, tmp_path: Path) -> None:
    before, path = await malformed_by_a_wrong_key(start_gateway), tmp_path / "config.yaml"
    code, out, _ = await run_beside("replay", "--dry-run", "--config", path)
    assert (code, "1 envelopes read again, 0 would come out differently; nothing was written" in out) == (0, True)
    write(tmp_path, wechat(RIGHT_KEY), "wechat")
    for option in ("--dry-run", "--diff"):
        code, out, _ = await run_beside("replay", option, "--config", path)
        assert (code, "1 envelopes read again, 1 would come out differently; nothing was written" in out) == (0, True)
        assert "malformed" in out and "路灯" not in out
        assert await reconciled(path) == before
    assert await run_beside("replay", "--config", path) == (0, "1 envelopes queued again\n", "")
    after = await reconciled(path)
    assert (named(after), after["envelopes"], after["balanced"]) == ({"filed": 1}, 1, True)
    assert await run_beside("replay", "--config", path) == (0, "nothing to replay\n", "")


async def test_replay_reaches_the_node_that_owns_the_store(start_gateway: Start, tmp_path: Path) -> None:
    before, path = await malformed_by_a_wrong_key(start_gateway), tmp_path / "config.yaml"
    async with start_gateway(wechat(RIGHT_KEY)) as gateway:
        code, out, _ = await run_apart("replay", "--diff", "--config", path)
        assert (code, "1 would come out differently" in out) == (0, True)
        assert await gateway.books() == before
        assert await run_apart("replay", "--config", path) == (0, "1 envelopes queued again\n", "")
        await gateway.settle()
        assert named(await gateway.books()) == {"filed": 1}
        await the_core_has_it(gateway)


async def the_core_has_it(gateway: RunningGateway) -> None:
    (event,) = gateway.core.events.values()
    assert (event["type"], event["data"]["content"]) == ("hotline.matter.filed.v1", "路灯不亮")


async def test_replay_selects_by_time(start_gateway: Start, tmp_path: Path) -> None:
    await malformed_by_a_wrong_key(start_gateway)
    write(tmp_path, wechat(RIGHT_KEY), "wechat")
    path = tmp_path / "config.yaml"
    assert await run_beside("replay", "--since", "2999-01-01", "--config", path) == (0, "nothing to replay\n", "")
