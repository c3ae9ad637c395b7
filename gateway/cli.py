"""The command line. Errors are one sentence on stderr that says what to do; exit codes: 0 done, 1 found, 2 usage."""

from __future__ import annotations

import gc
import json
import os
import secrets
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway import (
    __version__,
    cli_callers,
    cli_conduct,
    cli_evaluate,
    cli_held,
    cli_identity,
    cli_index,
    cli_links,
    cli_store,
)
from gateway.cli_shared import DEFAULT_CONFIG, ConfigOption, JsonOption, fail, load, out, run

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
app.add_typer(cli_store.handoff, name="handoff")
app.add_typer(cli_links.links, name="links")
app.add_typer(cli_callers.callers, name="callers")
app.add_typer(cli_held.held, name="held")
app.add_typer(cli_conduct.conduct, name="conduct")
app.add_typer(cli_identity.identity, name="identity")
app.add_typer(cli_evaluate.evaluate, name="evaluate")
app.add_typer(cli_index.index, name="index")


def main() -> None:
    """Entry point of the ``gateway`` command."""
    gc.set_threshold(
        50_000, 50, 100
    )  # what is imported stays: looking through it again and again is a tenth of a start
    app()


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    os.umask(0o077)  # what we write is for nobody else on this machine
    if version:
        typer.echo(f"gateway {__version__}")
        raise typer.Exit


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
    from gateway.demo.run import DemoFailed  # noqa: PLC0415
    from gateway.demo.secrets import make_secrets  # noqa: PLC0415
    from gateway.logs import set_up_logging  # noqa: PLC0415

    set_up_logging("WARNING")
    folder = config.parent / "var" / "secrets"
    make_secrets(folder)
    loaded, channels = load(config)
    if once or json_output:
        run(show_once(loaded, channels, folder, out, as_json=json_output), DemoFailed)
    else:
        run(keep_showing(loaded, channels, folder, out), DemoFailed)


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
    loaded, channels = load(config)
    if loaded.store.url.startswith("sqlite") and {Role.EDGE, Role.PIPELINE, Role.HANDOFF} - set(chosen):
        fail("--roles: on SQLite one process does everything; use PostgreSQL to split roles", code=2)
    set_up_logging("INFO")
    run(serve_until_stopped(loaded, channels, chosen))


@app.command()
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    live: Annotated[bool, typer.Option("--live", help="Also try the store, the core and the addresses.")] = False,
) -> None:
    """Say what is wrong with config.yaml: file, line, key and the mend for each fault."""
    loaded, channels = load(config)
    out.print(f"[green]✓[/green] {config}: {len(channels)} channels, store {escape(_shown_store(loaded))}")
    if live:
        from gateway.commands.check import probe  # noqa: PLC0415

        run(probe(loaded, channels, out))


def _shown_store(config: Any) -> str:
    return str(config.store.url).split(":", 1)[0].split("+", 1)[0]


@app.command()
def channels(config: ConfigOption = DEFAULT_CONFIG, json_output: JsonOption = False) -> None:
    """List the kinds of channel there are, their settings, and whether each configured one is well."""
    from gateway.commands.channels import list_channels, print_channels  # noqa: PLC0415

    listing = list_channels(config)
    if json_output:
        typer.echo(json.dumps(listing, ensure_ascii=False, indent=1))
    else:
        print_channels(listing, out)


for command in cli_store.COMMANDS:
    app.command()(command)


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
