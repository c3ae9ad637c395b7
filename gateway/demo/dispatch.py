"""What the stand-in core does with a matter: it tells the citizen at once that somebody looks at it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from normalizer.model import HotlineMatter

WORDS = "已转市住建部门办理，三个工作日内回复您。"


class Dispatcher:
    """Posts an update for each new matter, as a case core would; `posted` counts those that were taken."""

    def __init__(self, secrets: Path) -> None:
        self._key = (secrets / "core-key").read_text(encoding="ascii")
        self._tasks: set[asyncio.Task[None]] = set()
        #: Where the gateway listens; empty until it does.
        self.url = ""
        #: Matters about which the gateway will tell their citizens.
        self.told: set[str] = set()

    def heard(self, event_type: str, matter: HotlineMatter) -> None:
        """An event has come."""
        if event_type == "hotline.matter.filed.v1" and self.url:
            self._tasks.add(task := asyncio.create_task(self._tell(matter)))
            task.add_done_callback(self._tasks.discard)

    async def finished(self) -> None:
        """Return when everything was posted."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _tell(self, matter: HotlineMatter) -> None:
        headers = {"authorization": f"Bearer {self._key}", "idempotency-key": f"accepted-{matter.matter_id}"}
        body = {"type": "accepted", "text": WORDS, "case_number": f"C{matter.tracking_code}"}
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            url = f"{self.url}/v1/matters/{matter.matter_id}/updates"
            answer = (await client.post(url, json=body, headers=headers)).raise_for_status()
        if answer.json()["reply_state"] == "queued":
            self.told.add(matter.tracking_code)
