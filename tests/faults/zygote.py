"""Starting a gateway hundreds of times: one process has imported everything and forks a child for each run.

A start costs some 50 ms instead of 1.5 s. The child runs the command line as ``gateway`` would; only the imports have
been made before. Everybody dies with the test: the parent when its socket closes, its children with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
ROOT = Path(__file__).parent.parent.parent


# -- the test's side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Child:
    """A gateway process, forked for one run."""

    pid: int
    #: Where its output and, at the end, its exit code are.
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """To the process alone, as an operator or the kernel would; nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end_all(self) -> None:
        """SIGKILL to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def exit_code(self) -> int | None:
        """As subprocess has it: negative for a signal; None while it runs."""
        try:
            return int(self._exit_file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    @property
    def _exit_file(self) -> Path:
        return exit_file(self.log)

    async def exited(self, seconds: float = 30) -> int:
        """Its exit code, once it has ended. Raise TimeoutError."""
        async with asyncio.timeout(seconds):
            while (code := self.exit_code) is None:
                await asyncio.sleep(0.005)
        return code

    def printed(self) -> str:
        """What it wrote to stdout and stderr so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class Zygote:
    """Forks gateways on demand."""

    def __init__(self, library: Path) -> None:
        self._socket, theirs = socket.socketpair()
        self._answers = self._socket.makefile("rb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno()), str(library)],
            cwd=ROOT,
            env=os.environ | {"LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        assert self._answers.readline() == b"ready\n", "the parent of all gateways did not start"

    def run(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        control: Path | None = None,
        open_files: int | None = None,
        careless: bool = False,
    ) -> Child:
        """Start ``gateway`` with these arguments.

        ``control`` attaches the shim, ``open_files`` limits its descriptors, ``careless`` turns SQLite's syncs off.
        """
        exit_file(log).unlink(missing_ok=True)
        asked = {
            "arguments": list(arguments),
            "log": str(log),
            "control": str(control) if control else None,
            "open_files": open_files,
            "careless": careless,
        }
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        return Child(int(self._answers.readline()), log)

    def close(self) -> None:
        """End it and every child."""
        self._answers.close()
        self._socket.close()
        self._process.wait(30)


def exit_file(log: Path) -> Path:
    """Beside the output."""
    return log.with_name(f"{log.name}.exit")


# -- the parent of all gateways ----------------------------------------------------------------------------------------


def main() -> None:
    """Serve requests from the socket until it closes."""
    ours, library = socket.socket(fileno=int(sys.argv[1])), ctypes.CDLL(sys.argv[2])
    _import_everything()
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose the other threads"  # noqa: PTH208 - not a folder
    rung, bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(bell)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # The workers of a gateway run the main module of their parent: ours is not the one they mean.
    del sys.modules["__main__"].__file__
    ours.sendall(b"ready\n")
    logs: dict[int, Path] = {}
    requests = ours.makefile("rb")
    while True:
        ready = select.select([ours.fileno(), rung], [], [])[0]
        if rung in ready:
            os.read(rung, 1000)
        _bury(logs)
        if ours.fileno() in ready:
            line = requests.readline()
            if not line:
                return
            asked = json.loads(line)
            pid = os.fork()
            if not pid:
                _run(asked, library)
            logs[pid] = Path(asked["log"])
            ours.sendall(f"{pid}\n".encode())


def _bury(logs: dict[int, Path]) -> None:
    """Write down how children ended."""
    while logs:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        found = exit_file(logs.pop(pid))
        draft = found.with_suffix(".draft")
        draft.write_text(str(os.waitstatus_to_exitcode(status)), encoding="ascii")
        draft.rename(found)


def _import_everything() -> None:
    import gateway.commands.reconcile  # noqa: PLC0415 - only in this process: the test must not pay for it
    import gateway.commands.serve  # noqa: PLC0415
    import gateway.demo.run  # noqa: PLC0415
    import gateway.loading  # noqa: PLC0415
    from channels.registry import kinds  # noqa: PLC0415

    assert gateway
    assert kinds()


def _run(asked: dict[str, Any], library: ctypes.CDLL) -> NoReturn:
    """In the child: become a gateway."""
    from gateway.cli import app  # noqa: PLC0415 - see above

    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _redirect(Path(asked["log"]))
        if asked["open_files"]:
            resource.setrlimit(resource.RLIMIT_NOFILE, (asked["open_files"],) * 2)
        if asked["careless"]:
            _never_sync()
        attached = asked["control"] is None or library.shim_attach(asked["control"].encode()) == 0
        assert attached, "the shim could not be attached"
        app(asked["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the child must end here, and say why
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.closerange(3, 256)


def _never_sync() -> None:
    """What a careless setting would do: SQLite then never waits for the disk."""
    from sqlalchemy import event  # noqa: PLC0415
    from sqlalchemy.pool import Pool  # noqa: PLC0415

    @event.listens_for(Pool, "checkout")
    def careless(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")


if __name__ == "__main__":
    main()
