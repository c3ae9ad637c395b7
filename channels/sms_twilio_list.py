"""The messages that Twilio says came in, by its REST interface.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources: GET …/Messages.json, filtered by
``To`` and ``DateSent>``, at most 1,000 a page, pages by ``next_page_uri``. Of an inbound message ``date_sent`` is when
Twilio called our webhook; dates are RFC 2822, GMT.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from channels.recount import Listed, Period, Reply, Unanswered, ask
from normalizer.model import Assurance, Contact, ContactType

#: Of one version of the interface; each ``next_page_uri`` begins so.
ROOT = "/2010-04-01/"
PAGE = 1000
#: Pages of one list; a list that has more does not end.
MOST_PAGES = 10_000
SID = re.compile("(SM|MM)[0-9a-f]{32}")


async def inbound(
    client: httpx.AsyncClient, api_base: str, account_sid: str, to: str, period: Period
) -> AsyncIterator[Listed]:
    """The messages that came in for ``to`` since ``period.since``, each once. Raise Unanswered."""
    base, seen, pages = api_base.rstrip("/"), set[str](), set[str]()
    since = period.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = httpx.QueryParams({"To": to, "DateSent>": since, "PageSize": PAGE})
    uri = f"{ROOT}Accounts/{quote(account_sid, safe='')}/Messages.json?{asked}"
    while uri and len(pages) < MOST_PAGES:
        if uri in pages:
            raise Unanswered("repeats")
        pages.add(uri)
        items, uri = _page(await ask(client, base + uri, _retry_after))
        fresh = [one for one in map(_sid, items) if one not in seen]
        if items and not fresh:
            raise Unanswered("repeats")
        for item in items:
            if item["sid"] not in seen and (listed := _listed(item, period)) is not None:
                yield listed
            seen.add(item["sid"])
    if uri:
        raise Unanswered("endless")


def _page(document: Any) -> tuple[list[Any], str]:
    """The messages of a page, and where the next is; empty at the end."""
    if not isinstance(document, dict) or not isinstance(document.get("messages"), list):
        raise Unanswered("garbage")
    following = document.get("next_page_uri") or ""
    # It is put behind our own api_base: another host must never see the Auth Token.
    if not isinstance(following, str) or (following and not following.startswith(ROOT)):
        raise Unanswered("garbage")
    return document["messages"], following


def _sid(item: Any) -> str:
    sid = item.get("sid") if isinstance(item, dict) else None
    if not isinstance(sid, str) or SID.fullmatch(sid) is None:
        raise Unanswered("garbage")
    return sid


def _listed(item: Mapping[str, Any], period: Period) -> Listed | None:
    """None for what we sent, and for what is older than asked for: the filter may count in days."""
    at = _date(item.get("date_sent")) or _date(item.get("date_created"))
    if item.get("direction") != "inbound" or (at is not None and at < period.since):
        return None
    try:
        sender = Contact(
            type=ContactType.PHONE,
            value=str(item["from"]).removeprefix("whatsapp:"),
            assurance=Assurance.SPOOFABLE,
        )
        return Listed(item["sid"], "sms_twilio", str(item["to"]), sender, item["sid"], at)
    except (KeyError, ValidationError):
        raise Unanswered("garbage") from None


def _date(value: Any) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _retry_after(reply: Reply) -> float:
    """Seconds (https://www.twilio.com/docs/usage/rate-limits); 1 where it says none."""
    try:
        return max(0.0, float(reply.headers.get("retry-after", 1)))
    except ValueError:
        return 1.0
