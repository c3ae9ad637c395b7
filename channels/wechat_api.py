"""WeChat's REST interface: replies, and what citizens sent beside words.

Vendor pages below https://developers.weixin.qq.com/doc/offiaccount/ : Message_Management/Service_Center_messages
(message/custom/send), Message_Management/Template_Message_Interface, Subscription_Messages/api (bizsend),
Asset_Management/Get_temporary_materials (media/get), User_Management/Get_user_basic_information_UnionID (user/info),
Getting_Started/Global_Return_Code. Errors come as HTTP 200 with an ``errcode``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from channels.base import File, State
from channels.errors import Missing, NotSent, Unavailable, Uncertain, Undeliverable
from channels.rest import call, fetch
from channels.wechat_token import BUSY, BUSY_SECONDS, MEND_SECONDS, Tokens
from normalizer.reply import Outgoing, Sent

if TYPE_CHECKING:
    from channels.wechat import WeChatSettings

#: Bytes of UTF-8 in a text.
TEXT_BYTES = 2048
CUSTOM, TEMPLATE, SUBSCRIBED = "message/custom/send", "message/template/send", "message/subscribe/bizsend"
#: The token is not valid, has expired, is missing.
_TOKEN = frozenset({40001, 40014, 41001, 42001})
#: Too long since the citizen's last step; too many since.
_CLOSED = frozenset({45015, 45047})
#: Seconds to wait: busy, today's quota is used up, too many in this minute.
_LATER = {BUSY: BUSY_SECONDS, 45009: 3600.0, 45011: 60.0}
#: He does not follow the account, or is on its black list.
_GONE = frozenset({43004, 43019, 50005})
_NO_MEDIA = 40007
#: The openid is none of the account's.
_NOBODY = frozenset({40003, 46004})
_UNIONID = re.compile("[0-9A-Za-z_-]{16,64}")
#: Where pictures and videos lie.
_HOSTS = (".qq.com", ".qpic.cn")
#: Characters that a keyword of a template may hold, by the beginning of its name; longer ones are refused (47003).
_LENGTHS = {"thing": 20, "phrase": 5, "character_string": 32, "const": 20}
_LONGEST = 200


class WeChatApi:
    """One account's REST interface."""

    def __init__(self, channel: str, settings: WeChatSettings) -> None:
        self._settings = settings
        self._tokens = Tokens(channel, settings)

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """By customer-service message while a window is open, else by template. Raise NotSent, Undeliverable, Uncertain."""
        closed = "window_closed"
        if outgoing.window is not None:
            code, answer = await self._call(CUSTOM, _custom(outgoing), state)
            if code not in _CLOSED:
                return _judged(code, answer)
            closed = _reason(code)  # WeChat counts otherwise than we do
        filled = self._template(outgoing)
        if filled is None:
            raise Undeliverable(closed)
        return _judged(*await self._call(*filled, state))

    def _template(self, outgoing: Outgoing) -> tuple[str, dict[str, Any]] | None:
        chosen = self._settings
        path, template = (
            (TEMPLATE, chosen.template_id) if chosen.template_id else (SUBSCRIBED, chosen.subscribe_template_id)
        )
        if template is None:
            return None
        ours = {"code": outgoing.tracking_code or "", "text": outgoing.text, "kind": outgoing.label}
        data = {name: {"value": _shortened(name, ours[field])} for name, field in chosen.template_fields}
        return path, {"touser": outgoing.to.value, "template_id": template, "data": data}

    async def _call(self, path: str, body: dict[str, Any], state: State) -> tuple[int, dict[str, Any]]:
        """The errcode and all of the answer; a refused token is renewed once."""
        token = await self._tokens.current(state)
        code, answer = await self._post(path, body, token)
        if code in _TOKEN:
            code, answer = await self._post(path, body, await self._tokens.instead_of(token, state))
        return code, answer

    async def _post(self, path: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        told = await call("POST", self._url(path, access_token=token), json=body)
        if told.status == 429:
            raise NotSent("status_429", told.retry_after() or MEND_SECONDS)
        if told.status != 200:
            raise Uncertain(f"status_{told.status}")
        answer = told.json()
        code = answer.get("errcode")
        if not isinstance(code, int):
            raise Uncertain("no_errcode")
        return code, answer

    async def unionid(self, openid: str, state: State) -> str:
        """Whose an openid is, over all accounts of one Open Platform account. Raise Missing, NotSent or Uncertain.

        User_Management/Get_user_basic_information_UnionID: ``subscribe`` 0 says nothing of him, and there is no unionid
        where the account is not bound. The rest of the answer is not looked at.
        """
        token = await self._tokens.current(state)
        answer = await self._info(openid, token)
        if answer.get("errcode") in _TOKEN:
            answer = await self._info(openid, await self._tokens.instead_of(token, state))
        code, found = answer.get("errcode", 0), answer.get("unionid")
        if code in _NOBODY:
            raise Missing(_reason(code))
        if code:
            raise (
                NotSent(_reason(code), _LATER.get(code, MEND_SECONDS))
                if isinstance(code, int)
                else Uncertain("errcode")
            )
        if answer.get("subscribe") == 0:
            raise Missing("not_subscribed")
        if answer.get("openid") != openid or not isinstance(found, str) or not _UNIONID.fullmatch(found):
            raise Missing("no_unionid")
        return found

    async def _info(self, openid: str, token: str) -> dict[str, Any]:
        told = await call("GET", self._url("user/info", access_token=token, openid=openid))
        if told.status != 200:
            raise NotSent(f"status_{told.status}", told.retry_after() or MEND_SECONDS)
        return told.json()

    def _url(self, path: str, **query: str) -> str:
        return f"{self._settings.api_base.rstrip('/')}/cgi-bin/{path}?{urlencode(query)}"

    async def download(self, reference: str, state: State) -> File:
        """``media:ID``, or the address of a picture. Raise Missing or Unavailable."""
        kind, _, media_id = reference.partition(":")
        if kind != "media":
            return await self._fetch(reference)
        try:
            token = await self._tokens.current(state)
            file, told = await self._material(media_id, token)
            if told.get("errcode") in _TOKEN:
                file, told = await self._material(media_id, await self._tokens.instead_of(token, state))
        except NotSent as error:
            raise Unavailable(error.reason) from None
        if isinstance(address := told.get("video_url"), str):
            return await self._fetch(address)
        if told:
            raise _no_file(told.get("errcode"))
        return file

    async def _material(self, media_id: str, token: str) -> tuple[File, dict[str, Any]]:
        """The file, and what WeChat says instead of one."""
        file = await self._fetch(self._url("media/get", access_token=token, media_id=media_id))
        return file, _said_instead(file)

    async def _fetch(self, url: str) -> File:
        """WeChat still writes http:// into some addresses; its servers know https."""
        own = self._settings.api_base
        if not url.startswith(own):
            url = re.sub("^http://", "https://", url)
        _, file = await fetch(url, _HOSTS, own=own)
        return file


# -- What is sent ------------------------------------------------------------------------------------------------------


def fitted(text: str) -> str:
    """No more than WeChat takes, cut between characters."""
    whole = text.encode()
    if len(whole) <= TEXT_BYTES:
        return text
    return whole[: TEXT_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def _custom(outgoing: Outgoing) -> dict[str, Any]:
    return {"touser": outgoing.to.value, "msgtype": "text", "text": {"content": fitted(outgoing.text)}}


def _shortened(keyword: str, value: str) -> str:
    most = _LENGTHS.get(keyword.rstrip("0123456789"), _LONGEST)
    return value if len(value) <= most else value[: most - 1] + "…"


# -- What comes back ---------------------------------------------------------------------------------------------------


def _judged(code: int, answer: dict[str, Any]) -> Sent:
    if code == 0:
        number = answer.get("msgid")
        return Sent(str(number) if number and isinstance(number, int | str) else None)
    if code in _LATER:
        raise NotSent(_reason(code), _LATER[code])
    if code in _TOKEN:
        raise NotSent(_reason(code), MEND_SECONDS)
    raise Undeliverable(_reason(code), unreachable=code in _GONE)


def _reason(code: int) -> str:
    return "busy" if code == BUSY else f"errcode_{code}"


def _said_instead(file: File) -> dict[str, Any]:
    """A JSON object without a file's name is WeChat's own word: a video's address, an error."""
    if file.name is not None or not file.content.startswith(b"{"):
        return {}
    try:
        found = orjson.loads(file.content)
    except orjson.JSONDecodeError:
        return {}
    return found if "errcode" in found or "video_url" in found else {}


def _no_file(code: Any) -> Missing | Unavailable:
    reason = _reason(code) if isinstance(code, int) else "not_understood"
    return Missing(reason) if code == _NO_MEDIA else Unavailable(reason)
