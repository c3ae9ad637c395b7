"""What Twilio's webhook says, field by field.

https://www.twilio.com/docs/messaging/guides/webhook-request (messages) and …/guides/track-outbound-message-status (what
became of ours).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from channels.errors import Malformed
from normalizer.clean import clean
from normalizer.cues import read_cues
from normalizer.model import (
    Assurance,
    Attachment,
    AttachmentKind,
    Contact,
    ContactType,
    CoordinateSystem,
    Message,
    Notice,
    Parsed,
    Place,
    Report,
)

KEY_SPACE = "sms_twilio"
#: An MMS holds at most ten (https://www.twilio.com/docs/messaging/guides/accepted-mime-types).
MAX_MEDIA = 10
#: The longest address of a file that is kept.
MAX_REFERENCE = 4096
E164 = re.compile(r"\+[1-9][0-9]{1,14}")
KINDS = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.VOICE, "video": AttachmentKind.VIDEO}
#: WhatsApp's addresses; what follows is the number.
WHATSAPP = "whatsapp:"
#: How a message of ours ended; every other status is a step on the way.
DELIVERED, FAILED = frozenset({"delivered", "read"}), frozenset({"undelivered", "failed", "canceled"})
_CODE = re.compile("[0-9]{1,10}")
#: The citizen has sent STOP (https://www.twilio.com/docs/api/errors/21610).
UNSUBSCRIBED = "21610"


def read(fields: Mapping[str, Any]) -> Parsed:
    """One message, or a notice. Raise Malformed."""
    try:
        if "MessageStatus" in fields and "Body" not in fields:
            return _status(fields)
        return _opted(fields) or (_message(fields),)
    except ValidationError:
        raise Malformed("limits") from None


def _status(fields: Mapping[str, Any]) -> Notice:
    """What became of a message of ours: we are ``From``, the citizen is ``To``."""
    sid, status, code = (_text(fields, name) for name in ("MessageSid", "MessageStatus", "ErrorCode"))
    if not sid or status not in DELIVERED | FAILED:
        return Notice(reason="status")
    if status in DELIVERED:
        return Notice(reason="status", reports=(Report(provider_id=sid, state="delivered"),))
    reports = (Report(provider_id=sid, state="failed", reason=f"code_{code}" if _CODE.fullmatch(code) else status),)
    ours, his = _text(fields, "From"), _text(fields, "To").removeprefix(WHATSAPP)
    if code != UNSUBSCRIBED or not (ours and his):
        return Notice(reason="status", reports=reports)
    return Notice(reason="opted_out", account=ours, sender=_sender(his), reachable=False, reports=reports)


def _opted(fields: Mapping[str, Any]) -> Notice | None:
    """Advanced Opt-Out: Twilio knows words of its own, in many languages, and has answered the citizen already.

    https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out. A STOP that we would know as well is his message.
    """
    kind, body = _text(fields, "OptOutType"), _text(fields, "Body")
    if kind == "HELP":
        return Notice(reason="help")
    if kind not in {"STOP", "START"} or (kind == "STOP" and read_cues(clean(body)).opt_out):
        return None
    sender, account = _text(fields, "From").removeprefix(WHATSAPP), _text(fields, "To")
    for lack in (name for name, value in (("sender", sender), ("account", account)) if not value):
        raise Malformed(lack)
    stops = kind == "STOP"
    reason = "opted_out" if stops else "opted_in"
    return Notice(reason=reason, account=account, sender=_sender(sender), reachable=not stops)


def _sender(number: str) -> Contact:
    """A caller id can be forged on its way through the networks, whatever Twilio signs."""
    return Contact(type=ContactType.PHONE, value=number, assurance=Assurance.SPOOFABLE)


def _text(fields: Mapping[str, Any], name: str) -> str:
    """A parameter as text; empty when it is missing. JSON may give numbers as such."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise Malformed("field")


def _message(fields: Mapping[str, Any]) -> Message:
    # WhatsApp writes ``whatsapp:+8613…``; the prefix stays in ``account``, which tells the way back.
    sender = _text(fields, "From").removeprefix(WHATSAPP)
    required = {"sender": sender, "account": _text(fields, "To"), "message_sid": _text(fields, "MessageSid")}
    for lack in (name for name, value in required.items() if not value):
        raise Malformed(lack)
    attachments, place = _attachments(fields), _place(fields)
    return Message(
        key_space=KEY_SPACE,
        account=required["account"],
        sender=_sender(sender),
        provider_id=required["message_sid"],
        text=_text(fields, "Body"),
        attachments=attachments,
        place=place,
        name=_text(fields, "ProfileName") or None,
        flags=_flags(fields, sender, attachments, place),
    )


def _flags(
    fields: Mapping[str, Any], sender: str, attachments: tuple[Attachment, ...], place: Place | None
) -> tuple[str, ...]:
    stated = _text(fields, "NumMedia") or "0"
    located = bool(_text(fields, "Latitude") or _text(fields, "Longitude"))
    oddities = {
        "sender_not_e164": E164.fullmatch(sender) is None,
        "media_missing": stated != str(sum(a.reference is not None for a in attachments)),
        "place_unreadable": located and (place is None or place.longitude is None),
    }
    return tuple(name for name, odd in oddities.items() if odd)


def _attachments(fields: Mapping[str, Any]) -> tuple[Attachment, ...]:
    found = [(_text(fields, f"MediaUrl{n}"), _text(fields, f"MediaContentType{n}")) for n in range(MAX_MEDIA)]
    return tuple(
        Attachment(
            id=str(n),
            kind=KINDS.get(media_type.partition("/")[0].lower(), AttachmentKind.FILE),
            media_type=media_type or None,
            reference=url if 0 < len(url) <= MAX_REFERENCE else None,
        )
        for n, (url, media_type) in enumerate(found)
        if url or media_type
    )


def _place(fields: Mapping[str, Any]) -> Place | None:
    """WhatsApp shares a location: Latitude, Longitude, Label, Address, from the phone's GPS."""
    longitude, latitude = _degrees(_text(fields, "Longitude"), 180), _degrees(_text(fields, "Latitude"), 90)
    text = " ".join(filter(None, (_text(fields, "Label"), _text(fields, "Address"))))[:1000] or None
    if longitude is None or latitude is None:
        return Place(text=text) if text else None
    return Place(text=text, longitude=longitude, latitude=latitude, crs=CoordinateSystem.WGS_84)


def _degrees(text: str, most: float) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if -most <= value <= most else None
