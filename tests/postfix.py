"""A real mail server for tests: Postfix from the distribution, own configuration and queue, loopback, ended with its pipe."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.brokers import Server
from tests.conftest import missing
from tests.ports import free_port

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {name}
mydestination =
mynetworks = 127.0.0.0/8
transport_maps = texthash:{folder}/transport
default_transport = error:nowhere
recipient_delimiter = +
disable_dns_lookups = yes
default_database_type = texthash
header_checks = regexp:{folder}/header_checks
alias_maps =
alias_database =
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def postfix(
    transports: Mapping[str, str], name: str = "mx.example.gov.cn", *, settings: str = "", header_checks: str = ""
) -> Iterator[Server]:
    """``transports``: domain or address → ``smtp:[127.0.0.1]:2525`` and the like; what has none is refused.

    ``settings`` are further lines of main.cf, ``header_checks`` a table of regular expressions (header_checks(5)).
    """
    if shutil.which("postfix") is None or os.geteuid() != 0:
        missing("postfix, and root to start it")
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)  # postfix looks into it under another user
    port = free_port()
    before = os.umask(0o022)  # the command line, run in this process, tightens it for good
    try:
        for place in ("queue", "data", "etc"):
            (folder / place).mkdir()
        shutil.chown(folder / "data", "postfix")
        (folder / "etc/main.cf").write_text(MAIN.format(folder=folder, name=name) + settings)
        (folder / "header_checks").write_text(header_checks)
        (folder / "etc/master.cf").write_text(MASTER.format(port=port))
        (folder / "transport").write_text("".join(f"{one} {where}\n" for one, where in transports.items()))
        subprocess.run(["postfix", "-c", folder / "etc", "check"], check=True)  # makes what is missing of the queue
        # -d: it stays in our process group, and goes with it.
        server = Server("smtp", folder, ["/usr/lib/postfix/sbin/master", "-c", folder / "etc", "-d"], port)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        os.umask(before)
        shutil.rmtree(folder, ignore_errors=True)
