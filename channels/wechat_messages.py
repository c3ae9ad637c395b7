"""Reading what WeChat pushes: messages of every type, and events.

Vendor pages below https://developers.weixin.qq.com/doc/offiaccount/ : Message_Management/Receiving_standard_messages
and Receiving_event_pushes, Message_Management/Template_Message_Interface (TEMPLATESENDJOBFINISH), Subscription_Messages
(subscribe_msg_sent_event). wechatpy knows the oldest types; the others are read here from their fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from wechatpy.messages import MESSAGE_TYPES

from channels.reading import attached, one_word, place, plausible
from channels.xml import rows
from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    Envelope,
    Message,
    Notice,
    Parsed,
    Report,
)

#: The reply windows, by the citizen's step that opens them.
MESSAGE, MENU = "message", "menu"

_SECONDS = re.compile(r"[0-9]{1,10}")
_SIZE = re.compile(r"[0-9]{1,12}")
_MESSAGE_ID = re.compile(r"0*[1-9][0-9]{0,31}")
_FORMAT = re.compile(r"[0-9a-z]{1,10}")
_EVENTS = frozenset({"event", "device_event"})
#: Steps that let us write for a minute: following, scanning, and of the menu's buttons these only; ``view``, ``pic_*``
#: and ``location_select`` open nothing, and the picture or place that follows is a message (Service_Center_messages).
_OPENING = frozenset({"subscribe", "scan", "click", "scancode_push", "scancode_waitmsg"})
_REACHABLE = {"subscribe": True, "unsubscribe": False}
#: Fields that hold words in message types we do not know.
_WORDS = ("Content", "Recognition", "Title", "Description", "Label", "Url")


def read_push(fields: Mapping[str, str], body: bytes, envelope: Envelope) -> Parsed:
    """What a push says; ``fields`` are those of ``body``, decrypted. Raise ValidationError."""
    kind = fields.get("MsgType", "").lower()
    if kind in _EVENTS:
        return _event(kind, fields, body, envelope)
    content = _content(kind, fields)
    said = content["text"].strip() or content.get("attachments")
    if kind not in _TYPES and not said and (who := _who(fields)):
        return Notice(
            reason="unknown_type", opens=MESSAGE, sent_at=_sent_at(fields.get("CreateTime"), envelope)[0], **who
        )
    return (_message(fields, content, envelope),)


# -- Events ------------------------------------------------------------------------------------------------------------


def _event(kind: str, fields: Mapping[str, str], body: bytes, envelope: Envelope) -> Notice:
    name = fields.get("Event", "").strip().lower()
    return Notice(
        reason=one_word(name, kind),
        sent_at=_sent_at(fields.get("CreateTime"), envelope)[0],
        opens=MENU if name in _OPENING else None,
        reachable=_REACHABLE.get(name),
        reports=_reports(name, fields, body),
        **_who(fields),
    )


def _who(fields: Mapping[str, str]) -> dict[str, Any]:
    """Account and citizen; of events that name no citizen neither."""
    account, sender = fields.get("ToUserName"), fields.get("FromUserName")
    return {"account": account, "sender": _contact(sender)} if account and sender else {}


def _contact(openid: str) -> Contact:
    return Contact(type=ContactType.WECHAT, value=openid, assurance=Assurance.VERIFIED)


def _reports(event: str, fields: Mapping[str, str], body: bytes) -> tuple[Report, ...]:
    if event == "templatesendjobfinish":
        return _report(fields.get("MsgID", ""), fields.get("Status", ""))
    if event != "subscribe_msg_sent_event":
        return ()
    return tuple(report for row in rows(body, "List") for report in _report(row.get("MsgID", ""), _ended(row)))


def _ended(row: Mapping[str, str]) -> str:
    return "success" if row.get("ErrorCode", "").strip() == "0" else row.get("ErrorStatus", "")


def _report(message_id: str, status: str) -> tuple[Report, ...]:
    """``success``, ``failed:user block``, ``failed: system failed``."""
    if not _MESSAGE_ID.fullmatch(message_id.strip()):
        return ()
    said = status.strip().lower()
    if said == "success":
        return (Report(provider_id=message_id.strip(), state="delivered"),)
    why = one_word(said.removeprefix("failed:"), "failed")
    return (Report(provider_id=message_id.strip(), state="failed", reason=why),)


# -- Messages ----------------------------------------------------------------------------------------------------------


def _message(fields: Mapping[str, str], content: dict[str, Any], envelope: Envelope) -> Message:
    sent_at, odd = _sent_at(fields.get("CreateTime"), envelope)
    message_id = fields.get("MsgId", "").strip()
    return Message(
        key_space="wechat",
        account=fields.get("ToUserName", ""),
        sender=_contact(fields.get("FromUserName", "")),
        provider_id=message_id if _MESSAGE_ID.fullmatch(message_id) else None,
        sent_at=sent_at,
        # Who picks from a menu in a message has clicked, by WeChat's count.
        opens=MENU if "bizmsgmenuid" in fields else MESSAGE,
        flags=(*envelope.flags, *odd, *content.pop("flags", ())),
        **content,
    )


def _sent_at(stated: str | None, envelope: Envelope) -> tuple[datetime | None, tuple[str, ...]]:
    if stated is None:
        return None, ()
    if _SECONDS.fullmatch(stated.strip()):
        moment = datetime.fromtimestamp(int(stated), UTC)
        if plausible(moment, envelope):
            return moment, ()
    return None, ("odd_time",)


def _content(kind: str, fields: Mapping[str, str]) -> dict[str, Any]:
    if (known := _KNOWN.get(kind)) is not None:
        return {"text": "", **known(MESSAGE_TYPES[kind](dict(fields)))}
    return {"text": "", **_FURTHER.get(kind, _unknown)(fields)}


def _media(heard: Any) -> str | None:
    return f"media:{heard.media_id}" if heard.media_id else None


def _voice(heard: Any) -> dict[str, Any]:
    """Recognition is WeChat's own transcript, where the account has switched it on."""
    form = (heard.format or "").lower()
    media_type = f"audio/{form}" if _FORMAT.fullmatch(form) else None
    return {"text": heard.recognition or "", **attached(AttachmentKind.VOICE, _media(heard), media_type)}


def _link(heard: Any) -> dict[str, Any]:
    """The address is among the words too: references are not handed on."""
    words = _lines(heard.title, heard.description, heard.url)
    return {"text": words, **attached(AttachmentKind.LINK, heard.url or None)}


def _file(fields: Mapping[str, str]) -> dict[str, Any]:
    """WeChat names and measures a file, and gives accounts no way to its content: it has a key, not a media id."""
    name, size, media = fields.get("Title", ""), fields.get("FileTotalLen", ""), fields.get("MediaId")
    attachment = Attachment(
        id="0",
        kind=AttachmentKind.FILE,
        file_name=name[:255] or None,
        size=int(size) if _SIZE.fullmatch(size) else None,
        reference=f"media:{media}" if media else None,
    )
    return {"text": _lines(name, fields.get("Description")), "attachments": (attachment,)}


def _music(fields: Mapping[str, str]) -> dict[str, Any]:
    url = fields.get("Url") or fields.get("MusicUrl") or fields.get("HQMusicUrl")
    words = _lines(fields.get("Title"), fields.get("Description"), url)
    return {"text": words, **(attached(AttachmentKind.LINK, url) if url else {})}


def _mini_program(fields: Mapping[str, str]) -> dict[str, Any]:
    """A card of a mini program: its title and picture; the page behind it opens in WeChat only."""
    picture = f"media:{fields['ThumbMediaId']}" if fields.get("ThumbMediaId") else fields.get("ThumbUrl")
    return {"text": fields.get("Title", ""), **(attached(AttachmentKind.IMAGE, picture) if picture else {})}


def _unknown(fields: Mapping[str, str]) -> dict[str, Any]:
    """What WeChat adds next year: kept with whatever it says."""
    media = fields.get("MediaId")
    found = attached(AttachmentKind.FILE, f"media:{media}") if media else {}
    return {"text": _lines(*(fields.get(name) for name in _WORDS)), "flags": ("unknown_type",), **found}


def _lines(*texts: str | None) -> str:
    return "\n".join(text for text in texts if text)


#: By MsgType; each takes the wechatpy message of that type, whose fields are None or empty where WeChat sent none.
_KNOWN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "text": lambda heard: {"text": heard.content or ""},
    "image": lambda heard: attached(AttachmentKind.IMAGE, _media(heard) or heard.image or None),
    "voice": _voice,
    "video": lambda heard: attached(AttachmentKind.VIDEO, _media(heard)),
    "shortvideo": lambda heard: attached(AttachmentKind.VIDEO, _media(heard)),
    # Location_X is the latitude.
    "location": lambda heard: place(heard.location_y or "", heard.location_x or "", heard.label or None),
    "link": _link,
}
#: By MsgType; each takes the fields as they came.
_FURTHER: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
    "file": _file,
    "music": _music,
    "miniprogrampage": _mini_program,
}
_TYPES = {*_KNOWN, *_FURTHER}
