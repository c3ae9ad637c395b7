"""The command line. Errors are one sentence on stderr that says what to do; exit codes: 0 done, 1 found, 2 usage."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from gateway import __version__

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

app = typer.Typer(
    name="gateway",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""The front door of a city's 12345 hotline: every citizen's message becomes one clear hotline matter, exactly once.

Start with `gateway demo`. Edit config.yaml, ask `gateway check`, then run `gateway serve`.""",
)
keys_app = typer.Typer(no_args_is_help=True, help="Keys of API clients.")
app.add_typer(keys_app, name="keys")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        help="Only what arrived from this time on (UTC unless it has an offset).",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
    ),
]
DEFAULT_CONFIG = Path("config.yaml")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    """Entry point of the ``gateway`` command."""
    app()


def fail(sentence: str, code: int = 1) -> NoReturn:
    """End with one sentence on stderr."""
    err.print(f"[red]✗[/red] {_plain(sentence)}")
    raise typer.Exit(code)


def _plain(text: str) -> str:
    """Text that rich must not read as markup."""
    from rich.markup import escape  # noqa: PLC0415 - see above

    return escape(text)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    os.umask(0o077)  # what we write is for nobody else on this machine
    if version:
        typer.echo(f"gateway {__version__}")
        raise typer.Exit


def _load(path: Path) -> tuple[Any, Any]:
    """The configuration and its channels, or one sentence per fault and exit 1."""
    from gateway.loading import ConfigFaults, load_config  # noqa: PLC0415

    try:
        return load_config(path)
    except ConfigFaults as faults:
        for fault in faults.faults:
            err.print(f"[red]✗[/red] {_plain(str(fault))}")
        raise typer.Exit(1) from None


def _run(job: Coroutine[Any, Any, int]) -> None:
    """Run a command's coroutine; known errors become one sentence."""
    import uvloop  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from gateway.demo.run import DemoFailed  # noqa: PLC0415
    from store.errors import StoreError  # noqa: PLC0415

    try:
        code = uvloop.run(job)
    except KeyboardInterrupt:
        code = 0
    except BaseExceptionGroup as group:
        known = [e for e in _leaves(group) if isinstance(e, StoreError | DemoFailed | OSError | TimeoutError)]
        if not known:
            raise
        fail(str(known[0]))
    except (StoreError, DemoFailed, OSError, TimeoutError) as error:
        fail((isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__)
    except DBAPIError as error:
        cause = error.orig and (error.orig.__cause__ or error.orig)
        fail(f"the database refuses ({type(cause).__name__}): see store.url")
    raise typer.Exit(code)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


@app.command()
def demo(
    config: ConfigOption = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Exit 0 when all has arrived at the core, else 1.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show it working: citizens write on every channel, over real sockets, and matters arrive at a case core.

    Makes test secrets under var/, starts the gateway and a stand-in case core, lets invented citizens send real protocol
    messages (signed, encrypted), prints one line per matter as the core gets it, and keeps serving until Ctrl-C.
    """
    from gateway.commands.demo import keep_showing, show_once  # noqa: PLC0415
    from gateway.demo.secrets import make_secrets  # noqa: PLC0415
    from gateway.logs import set_up_logging  # noqa: PLC0415

    set_up_logging("WARNING")
    folder = config.parent / "var" / "secrets"
    make_secrets(folder)
    loaded, channels = _load(config)
    if once or json_output:
        _run(show_once(loaded, channels, folder, out, as_json=json_output))
    else:
        _run(keep_showing(loaded, channels, folder, out))


@app.command()
def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    roles: Annotated[
        str, typer.Option(help="What this process does; split them over machines on PostgreSQL only.")
    ] = "edge,pipeline,handoff,console",
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C. Logs are JSON lines on stderr."""
    from gateway.commands.serve import serve_until_stopped  # noqa: PLC0415
    from gateway.logs import set_up_logging  # noqa: PLC0415
    from gateway.node import Role  # noqa: PLC0415

    try:
        chosen = [Role(name.strip()) for name in roles.split(",")]
    except ValueError as error:
        fail(f"--roles: {error}; choose from {', '.join(Role)}", code=2)
    loaded, channels = _load(config)
    if loaded.store.url.startswith("sqlite") and {Role.EDGE, Role.PIPELINE, Role.HANDOFF} - set(chosen):
        fail("--roles: on SQLite one process does everything; use PostgreSQL to split roles", code=2)
    set_up_logging("INFO")
    _run(serve_until_stopped(loaded, channels, chosen))


@app.command()
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    live: Annotated[bool, typer.Option("--live", help="Also try the store, the core and the addresses.")] = False,
) -> None:
    """Say what is wrong with config.yaml: file, line, key and the mend for each fault."""
    from gateway.commands.check import probe  # noqa: PLC0415

    loaded, channels = _load(config)
    out.print(f"[green]✓[/green] {config}: {len(channels)} channels, store {_plain(_shown_store(loaded))}")
    if live:
        _run(probe(loaded, channels, out))


def _shown_store(config: Any) -> str:
    return str(config.store.url).split(":", 1)[0].split("+", 1)[0]


@app.command()
def migrate(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the store's schema up to date. Stop all nodes first."""
    from gateway.node import open_node_store  # noqa: PLC0415

    loaded, _ = _load(config)

    async def job() -> int:
        store = await open_node_store(loaded, migrate=True)
        await store.close()
        out.print("[green]✓[/green] the store is up to date")
        return 0

    _run(job())


@app.command()
def channels(config: ConfigOption = DEFAULT_CONFIG, json_output: JsonOption = False) -> None:
    """List the kinds of channel there are, their settings, and whether each configured one is well."""
    from gateway.commands.channels import list_channels, print_channels  # noqa: PLC0415

    listing = list_channels(config)
    if json_output:
        typer.echo(json.dumps(listing, ensure_ascii=False, indent=1))
    else:
        print_channels(listing, out)


@app.command()
def reconcile(
    config: ConfigOption = DEFAULT_CONFIG, since: SinceOption = None, json_output: JsonOption = False
) -> None:
    """Prove that the books balance: every envelope unpacked or pending, every message with one outcome, every event
    delivered, waiting or parked. Exit 1 with the offending rows if not.
    """
    from gateway.commands.reconcile import print_books  # noqa: PLC0415
    from gateway.node import open_node_store  # noqa: PLC0415

    loaded, _ = _load(config)

    async def job() -> int:
        store = await open_node_store(loaded, owner=False)
        try:
            books = await store.reconcile(_aware(since))
        finally:
            await store.close()
        if json_output:
            typer.echo(json.dumps(asdict(books) | {"balanced": books.balanced}, ensure_ascii=False))
        else:
            print_books(books, out)
        return 0 if books.balanced else 1

    _run(job())


@app.command()
def replay(
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = None,
    outcome: Annotated[
        str, typer.Option(help="Envelopes that ended so; only malformed and failed are filed anew.")
    ] = "malformed,failed",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come out.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; name the fields that would change.")] = False,
) -> None:
    """Run kept raw envelopes through the present code and rules: after a fix, what was malformed or failed is filed."""
    from gateway.commands.replay import preview_on, replay_on  # noqa: PLC0415
    from gateway.replay import Selection  # noqa: PLC0415
    from normalizer.model import Outcome  # noqa: PLC0415

    try:
        outcomes = tuple(Outcome(name.strip()) for name in outcome.split(","))
    except ValueError as error:
        fail(f"--outcome: {error}; choose from {', '.join(Outcome)}", code=2)
    loaded, built = _load(config)
    selection = Selection(outcomes, _aware(since))
    if dry_run or diff:
        _run(preview_on(loaded, built, selection, out, fields=diff))
    else:
        _run(replay_on(loaded, built, selection, out, err))


def _aware(since: datetime | None) -> datetime | None:
    return since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since


@keys_app.command("new-client")
def new_client(
    client_id: Annotated[str, typer.Argument(help="The client's name, for example city-app.")],
    scopes: Annotated[str, typer.Option(help="What it may do, separated by commas.")] = "messages:write,messages:read",
) -> None:
    """Make a key for an API client: the key, shown once, and the lines for config.yaml."""
    from pydantic import ValidationError  # noqa: PLC0415

    from channels.clients import key_hash  # noqa: PLC0415
    from channels.settings import Client  # noqa: PLC0415

    key, chosen = secrets.token_urlsafe(32), [scope.strip() for scope in scopes.split(",")]
    try:
        Client.model_validate({"id": client_id, "key_hash": key_hash(key), "scopes": chosen})
    except ValidationError as error:
        first = error.errors()[0]
        fail(f"{first['loc'][0]}: {first['msg']}", code=2)
    typer.echo(f"key (give it to the client; it is not shown again): {key}")
    typer.echo(
        f'line for config.yaml:\n  - {{id: {client_id}, key_hash: "{key_hash(key)}", scopes: {json.dumps(chosen)}}}'
    )


if __name__ == "__main__":
    main()
