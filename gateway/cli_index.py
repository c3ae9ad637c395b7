"""The commands on the index of what was written lately; gateway/cli.py has the others."""

from __future__ import annotations

from datetime import datetime

import typer

from gateway.cli_shared import DEFAULT_CONFIG, ConfigOption, JsonOption, SinceOption, aware, err, load, out, run

# Commands import what they need inside: `gateway --help` must not wait for the web framework.

index = typer.Typer(no_args_is_help=True, help="The index by which repeats and incidents are found.")


@index.command()
def status(config: ConfigOption = DEFAULT_CONFIG, since: SinceOption = None, json_output: JsonOption = False) -> None:
    """Say what the index holds - of the last year, unless --since says less - and what it lacks.

    Exit 1 when messages are not in it, or only in a version that is not searched.
    """
    from gateway.commands.index import show_index  # noqa: PLC0415

    loaded, _ = load(config)
    run(show_index(loaded, _from(since), out, as_json=json_output))


@index.command()
def rebuild(config: ConfigOption = DEFAULT_CONFIG, since: SinceOption = None, json_output: JsonOption = False) -> None:
    """Make the fingerprints that are lacking from the kept messages: after an upgrade that changed how they are made, or for
    a store from before there were any. Nodes may run; when it is stopped, the next one goes on.

    Exit 1 when a message could not be read again.
    """
    from gateway.commands.index_rebuild import rebuild_on  # noqa: PLC0415
    from gateway.logs import set_up_logging  # noqa: PLC0415

    set_up_logging("WARNING")
    loaded, _ = load(config)
    run(rebuild_on(loaded, _from(since), out, err, as_json=json_output))


def _from(since: datetime | None) -> datetime:
    from gateway.clock import now  # noqa: PLC0415
    from store.fingerprints import KEPT  # noqa: PLC0415

    return aware(since) or now() - KEPT
