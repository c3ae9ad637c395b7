"""WeChat's access token: one for all nodes, kept in the channel's state.

Vendor page: https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/getStableAccessToken.html . A stable token
stays the same however often it is asked for, until its last five minutes; only a forced refresh replaces it before that.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from channels.base import State, StateChange
from channels.errors import NotSent, Uncertain
from channels.rest import call

if TYPE_CHECKING:
    from channels.wechat import WeChatSettings

log = structlog.get_logger(__name__)

#: Where it stands in the channel's state.
KEY = "access_token"
#: WeChat gives a new token in the last five minutes of the old one, seconds; both count then.
LAST_SECONDS = 300.0
#: A forced refresh sooner than this after another does nothing, says WeChat; seconds.
FORCE_SECONDS = 30.0
#: How long a node may take to ask; then another does, seconds.
ASK_SECONDS = 20.0
#: How long a reply waits when there is no token, seconds: WeChat is busy, or somebody must mend the settings.
BUSY_SECONDS, MEND_SECONDS = 5.0, 60.0
BUSY = -1


@dataclass(frozen=True, slots=True)
class Token:
    """What stands in the state, as JSON."""

    value: str
    #: Seconds since 1970, as all times here.
    expires_at: float
    #: When a refresh was last forced.
    forced_at: float = 0.0
    #: Since when a node has been asking for the next one; 0: none is.
    asked_at: float = 0.0

    @property
    def lasts(self) -> bool:
        """Whether it need not be renewed yet."""
        return time.time() < self.expires_at - LAST_SECONDS


class Tokens:
    """Gives the token; of many that want a new one, one asks WeChat."""

    def __init__(self, channel: str, settings: WeChatSettings) -> None:
        self._channel, self._settings = channel, settings
        self._one_asks = asyncio.Lock()

    async def current(self, state: State) -> str:
        """A token that counts, as far as we know. Raise NotSent."""
        token, _ = await _read(state)
        if token is not None and token.lasts:
            return token.value
        async with self._one_asks:
            return await self._renewed(state, None)

    async def instead_of(self, refused: str, state: State) -> str:
        """Another one, since WeChat has refused this. Raise NotSent."""
        async with self._one_asks:
            return await self._renewed(state, refused)

    async def _renewed(self, state: State, refused: str | None) -> str:
        """Of all nodes the one asks that has written so first; the others go on with the old one, or wait."""
        token, raw = await _read(state)
        if token is not None and token.lasts and token.value != refused:
            return token.value
        known, now = token or Token("", 0.0), time.time()
        claim = replace(known, asked_at=now)
        if now - known.asked_at < ASK_SECONDS or not await _change(state, raw, claim):
            return _meanwhile(
                (await _read(state))[0] or known, refused, NotSent("token_renewed_elsewhere", BUSY_SECONDS)
            )
        try:
            found = await self._ask(forced=False)
            if found.value == refused:
                found, claim = await self._force(state, claim)
        except NotSent as error:
            held, raw = await _read(state)
            if held is not None and held.asked_at == now:
                await _change(state, raw, replace(held, asked_at=0.0))
            return _meanwhile(known, refused, error)
        return await _keep(state, claim, replace(found, forced_at=claim.forced_at))

    async def _force(self, state: State, claim: Token) -> tuple[Token, Token]:
        """WeChat has refused a token that it calls good. Written down first: who dies now forces no second time."""
        now = time.time()
        if now - claim.forced_at < FORCE_SECONDS:
            raise NotSent("token_refused", MEND_SECONDS)
        forcing = replace(claim, forced_at=now)
        if not await _change(state, _written(claim), forcing):
            raise NotSent("token_renewed_elsewhere", BUSY_SECONDS)
        return await self._ask(forced=True), forcing

    async def _ask(self, *, forced: bool) -> Token:
        """Nothing of a reply has gone out yet, whatever becomes of this."""
        asked = {
            "grant_type": "client_credential",
            "appid": self._settings.app_id,
            "secret": self._settings.app_secret.get_secret_value(),
            "force_refresh": forced,
        }
        try:
            answer = (
                await call("POST", f"{self._settings.api_base.rstrip('/')}/cgi-bin/stable_token", json=asked)
            ).json()
        except (NotSent, Uncertain) as error:
            raise NotSent(f"token_{error.reason}", BUSY_SECONDS) from None
        value, seconds = answer.get("access_token"), answer.get("expires_in")
        if isinstance(value, str) and value and isinstance(seconds, int):
            return Token(value, time.time() + seconds)
        raise self._lacking(answer.get("errcode"))

    def _lacking(self, code: Any) -> NotSent:
        """The secret is wrong, our address is not on WeChat's list, or WeChat is busy."""
        code = code if isinstance(code, int) else None
        if code == BUSY:
            return NotSent("token_busy", BUSY_SECONDS)
        log.error("no_token", channel=self._channel, errcode=code)
        return NotSent(f"token_errcode_{code}", MEND_SECONDS)


async def _read(state: State) -> tuple[Token | None, str | None]:
    raw = await state.get(KEY)
    return (Token(**orjson.loads(raw)) if raw else None), raw


async def _change(state: State, raw: str | None, token: Token) -> bool:
    return await state.change(StateChange(KEY, raw, _written(token)))


async def _keep(state: State, claim: Token, found: Token) -> str:
    """Found by another node in the meantime, his counts."""
    if await _change(state, _written(claim), found):
        return found.value
    theirs, _ = await _read(state)
    return theirs.value if theirs is not None and theirs.lasts else found.value


def _meanwhile(known: Token, refused: str | None, error: NotSent) -> str:
    """The old one, while it counts; else ``error``."""
    if known.value == refused or time.time() >= known.expires_at:
        raise error
    return known.value


def _written(token: Token) -> str:
    return orjson.dumps(asdict(token)).decode()
