"""A real IMAP server for tests: Dovecot from the distribution, own configuration, loopback, ended by its pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import imapclient
import pytest

from tests.conftest import missing
from tests.ports import free_port, until_free

USERNAME, PASSWORD = "mayor@example.gov.cn", "secret-of-the-tests"
CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
log_path = {folder}/log
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
disable_plaintext_auth = no
default_internal_user = root
default_internal_group = root
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:{folder}/mail
mail_max_userip_connections = 300
auth_mechanisms = plain login {mechanisms}
{passdb}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/home
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


class Dovecot:
    """One server with one mailbox; ``start`` and ``kill`` as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        asked = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        files = ("-keyout", folder / "server.key", "-out", folder / "server.pem")
        subprocess.run(["openssl", *asked.split(), *files], check=True, capture_output=True)
        self.configure()

    def configure(self, mechanisms: str = "", passdb: str = "") -> None:
        """How users are let in, beside the one password."""
        config = CONFIG.format(
            folder=self.folder,
            port=self.port,
            tls_port=self.tls_port,
            password=PASSWORD,
            mechanisms=mechanisms,
            passdb=passdb,
        )
        (self.folder / "dovecot.conf").write_text(config)

    def start(self) -> None:
        """Return when it answers."""
        for name in ("home", "mail"):
            (self.folder / name).mkdir(exist_ok=True)
            os.chown(self.folder / name, 65534, 65534)  # Dovecot lets nobody's mail be root's
        self._process = subprocess.Popen(
            ["dovecot", "-F", "-c", self.folder / "dovecot.conf"], start_new_session=True, stderr=subprocess.DEVNULL
        )
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
                if line.recv(4) == b"* OK":
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """At once, all of its processes: they are in a session of their own."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            for port in (self.port, self.tls_port):  # its children end a little later than itself
                until_free(port)
            shutil.rmtree(self.folder / "run", ignore_errors=True)

    @contextlib.contextmanager
    def client(self, folder: str = "INBOX") -> Iterator[imapclient.IMAPClient]:
        """Another user of the mailbox."""
        with imapclient.IMAPClient("127.0.0.1", self.port, ssl=False, timeout=20) as client:
            client.login(USERNAME, PASSWORD)
            client.select_folder(folder)
            yield client

    def put(self, *mails: bytes, folder: str = "INBOX", at: datetime | None = None) -> None:
        """Mail arrives, now unless told otherwise."""
        with self.client() as client:
            for mail in mails:
                client.append(folder, mail, (), at)

    def uids(self, folder: str = "INBOX") -> list[int]:
        """What lies there."""
        with self.client() as client:
            if not client.folder_exists(folder):
                return []
            client.select_folder(folder, readonly=True)
            return [*client.search()]

    def flags(self, folder: str) -> set[bytes]:
        """All that any mail there has, but for ``\\Recent``."""
        with self.client(folder) as client:
            told = client.get_flags(client.search())
            return {flag for flags in told.values() for flag in flags} - {b"\\Recent"}


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    """A running one."""
    if shutil.which("dovecot") is None or os.geteuid() != 0:
        missing("Dovecot, as root")
    # Not below pytest's folder: others may not enter that, and the names of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="dovecot-") as folder:
        Path(folder).chmod(0o755)
        server = Dovecot(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
