"""What a command loads: one that only reads the store does not wait for what a node, a channel or the demo is made of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.test_cli import write

#: Ours, and others', that only a node, a worker or a channel that is not configured needs.
HEAVY = (
    *("gateway.node", "gateway.control", "gateway.pipeline", "gateway.filing", "gateway.offload", "gateway.demo"),
    *("channels.imap", "channels.smtp", "channels.wechat", "normalizer.normalize", "dedupe.incident"),
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "cloudevents"),
    *("phonenumbers", "py3langid", "wechatpy", "dns", "imaplib", "nats", "aiokafka", "aio_pika"),
)
#: Each with how it ends on an empty store.
LIGHT = {
    "migrate": 0,
    "check": 0,
    "reconcile --json": 0,
    "links show 123": 1,
    "callers show 123": 1,
    "handoff list": 0,
    "index status": 0,
}
#: Runs the commands one after the other; after each: how it ended, and what is loaded that should not be.
SCRIPT = """
import json, sys
from gateway.cli import app
heavy, commands, config = json.loads(sys.argv[1])
told = {}
for command in commands:
    try:
        app([*command.split(), "--config", config])
    except SystemExit as ended:
        told[command] = ended.code, sorted(set(heavy) & set(sys.modules))
print(json.dumps(told))
"""


def test_a_command_that_reads_the_store_loads_neither_node_nor_demo(tmp_path: Path) -> None:
    asked = json.dumps([HEAVY, list(LIGHT), str(write(tmp_path))])
    done = subprocess.run([sys.executable, "-c", SCRIPT, asked], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {command: [code, []] for command, code in LIGHT.items()}
