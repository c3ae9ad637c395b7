"""Reading one update of Telegram's Bot API (https://core.telegram.org/bots/api#update) into a message or a notice.

python-telegram-bot gives the types and checks nothing: every value is looked at here before it is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard

import orjson
from pydantic import ValidationError

from channels.errors import Malformed
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
)

if TYPE_CHECKING:
    import telegram

#: What we read of a message. Nothing else reaches python-telegram-bot, whose types fail on any odd value they hold.
FIELDS = (
    *("message_id", "media_group_id", "from", "chat", "text", "caption", "entities", "caption_entities", "sticker"),
    *("photo", "voice", "audio", "video", "video_note", "animation", "document", "location", "venue", "contact"),
)
FILES = {
    "voice": AttachmentKind.VOICE,
    "audio": AttachmentKind.VOICE,
    "video": AttachmentKind.VIDEO,
    "video_note": AttachmentKind.VIDEO,
    "animation": AttachmentKind.VIDEO,
    "document": AttachmentKind.FILE,
}
#: Telegram sends it for the citizen who opens the bot (https://core.telegram.org/bots/features#deep-linking).
START = re.compile(r"/start(@[A-Za-z0-9_]+)?( [A-Za-z0-9_-]{1,64})?")
#: Any other update: ``callback_query``, ``channel_post``, …
KIND = re.compile("(?!update_id$)[a-z0-9_]{1,60}")
LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


def read_update(body: bytes, account: str) -> Parsed:
    """A message, new or edited, to the bot whose id is ``account``; a notice for all other updates. Raise Malformed."""
    update = _object(body)
    number = update.get("update_id")
    if not is_id(number):
        raise Malformed("update_id")
    found = next((kind for kind in ("message", "edited_message") if kind in update), None)
    if found is None:
        return _notice(update, account)
    raw, edited = update[found], found == "edited_message"
    message = _typed(raw)
    if (word := _unspoken(message, edited)) is not None:
        return Notice(reason=word)
    try:
        return (_message(message, _when(raw.get("edit_date", raw.get("date"))), edited, account, str(number)),)
    except ValidationError:
        raise Malformed("limits") from None


#: Of the bot in a private chat: the citizen has blocked it, or lets it write again
#: (https://core.telegram.org/bots/api#update: my_chat_member).
STEPS = {"kicked": ("blocked", False), "member": ("unblocked", True)}


def _notice(update: dict[str, Any], account: str) -> Notice:
    notice = Notice(reason=next((word for word in update if KIND.fullmatch(word)), "unknown"))
    step = update.get("my_chat_member")
    chat, new = (_part(step, "chat"), _part(step, "new_chat_member")) if isinstance(step, dict) else ({}, {})
    status = new.get("status")
    if chat.get("type") != "private" or not is_id(chat.get("id")) or not isinstance(status, str) or status not in STEPS:
        return notice
    citizen = Contact(type=ContactType.TELEGRAM, value=str(chat["id"]), assurance=Assurance.VERIFIED)
    reason, reachable = STEPS[status]
    return Notice(
        reason=reason,
        account=account,
        sender=citizen,
        reachable=reachable,
        sent_at=_when(_part(update, "my_chat_member").get("date")),
    )


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("json") from None
    if not isinstance(found, dict):
        raise Malformed("json")
    return found


def _typed(raw: Any) -> telegram.Message:
    import telegram  # noqa: PLC0415  0.25 s, which a gateway without this channel need not spend

    if not isinstance(raw, dict):
        raise Malformed("message")
    picked = {name: raw[name] for name in FIELDS if name in raw}
    try:
        # It demands a date and fails on odd ones: ``_when`` reads the true one.
        return telegram.Message.de_json({**picked, "date": 1}, None)
    except Exception:  # noqa: BLE001  it checks nothing, so that anything may come out of it
        raise Malformed("message") from None


def _unspoken(message: telegram.Message, edited: bool) -> str | None:
    """Why no citizen speaks in a message; None when one does."""
    if message.from_user is None or not is_id(message.from_user.id):
        raise Malformed("sender")
    if message.from_user.is_bot is True:
        return "bot"
    if START.fullmatch(_words(message.text)):
        return "start"
    if message.location is not None:
        return "live_location" if edited else None
    if any((_words(message.text), _words(message.caption), message.contact, message.venue, *_files(message))):
        return None
    return "sticker" if message.sticker is not None else "no_words"


def _message(message: telegram.Message, sent_at: datetime | None, edited: bool, account: str, number: str) -> Message:
    person: Any = message.from_user
    attachments, place, contacts = _attachments(message), _place(message), _contacts(message)
    oddities = {
        "edited": edited,
        "date_unreadable": sent_at is None,
        "attachment_unreadable": any(a.reference is None for a in attachments),
        "place_unreadable": bool(message.location or message.venue) and (place is None or place.crs is None),
        "contact_unreadable": message.contact is not None and not contacts,
    }
    name = _name(message)
    return Message(
        key_space="telegram",
        account=account,
        sender=Contact(type=ContactType.TELEGRAM, value=str(person.id), assurance=Assurance.VERIFIED),
        provider_id=name if name and not edited else f"{name or 'update'}#{number}",
        sent_at=sent_at,
        text=_words(message.text) or _words(message.caption) or _card(message.contact),
        attachments=attachments,
        place=place,
        name=_joined(person.first_name, person.last_name) or None,
        contacts=contacts,
        reply_to=_group(message),
        group=_lenient(message.media_group_id)[:200] or None,
        amends=name if edited else None,
        flags=tuple(name for name, odd in oddities.items() if odd),
    )


def _name(message: telegram.Message) -> str | None:
    """The message's number, which its edits keep; unique in its chat. The update's own number is not told with an edit."""
    if not is_id(message.message_id):
        return None
    chat = _group(message)
    return f"{chat}/{message.message_id}" if chat else str(message.message_id)


def _group(message: telegram.Message) -> str | None:
    """In a group the answer goes to the group; a private chat has its citizen's id."""
    chat = getattr(message.chat, "id", None)
    person = message.from_user
    return str(chat) if isinstance(chat, int) and person is not None and chat != person.id else None


def _files(message: telegram.Message) -> Iterator[tuple[AttachmentKind, Any]]:
    """A photo comes in several sizes; an animation comes as a document too, for programs that do not know it."""
    if message.photo:
        yield AttachmentKind.IMAGE, max(message.photo, key=_area)
    for name, kind in FILES.items():
        found = getattr(message, name)
        if found is not None and not (name == "document" and message.animation is not None):
            yield kind, found


def _area(photo: telegram.PhotoSize) -> int:
    return photo.width * photo.height if is_id(photo.width) and is_id(photo.height) else 0


def _attachments(message: telegram.Message) -> tuple[Attachment, ...]:
    entities = (*message.entities, *message.caption_entities)
    links = [entity.url for entity in entities if entity.type == "text_link"]
    files = [_file(str(n), kind, thing) for n, (kind, thing) in enumerate(_files(message))]
    return (*files, *(_link(str(n), url) for n, url in enumerate(links, len(files))))


def _file(n: str, kind: AttachmentKind, thing: Any) -> Attachment:
    """Only some kinds have a name, a media type and a size."""
    size, name = getattr(thing, "file_size", None), _lenient(getattr(thing, "file_name", None))
    file_id, media_type = _lenient(thing.file_id), _lenient(getattr(thing, "mime_type", None))
    return Attachment(
        id=n,
        kind=kind,
        media_type=media_type or None,
        size=size if is_id(size) else None,
        file_name=name[:255] or None,
        reference=f"file:{file_id}" if 0 < len(file_id) <= 4000 else None,
    )


def _link(n: str, url: Any) -> Attachment:
    """The address behind a word; one written out stays in the text."""
    address = _lenient(url)
    return Attachment(id=n, kind=AttachmentKind.LINK, reference=address if 0 < len(address) <= 4096 else None)


def _place(message: telegram.Message) -> Place | None:
    """https://core.telegram.org/bots/api#location: as the phone's GPS says it."""
    venue, location = message.venue, message.venue.location if message.venue else message.location
    text = _joined(venue.title, venue.address)[:1000] or None if venue else None
    longitude, latitude = _degrees(location, "longitude", 180), _degrees(location, "latitude", 90)
    if longitude is None or latitude is None:
        return Place(text=text) if text else None
    return Place(text=text, longitude=longitude, latitude=latitude, crs=CoordinateSystem.WGS_84)


def _degrees(location: telegram.Location | None, name: str, most: float) -> float | None:
    value = getattr(location, name, None)
    known = isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most
    return float(value) if known and value is not None else None


def _contacts(message: telegram.Message) -> tuple[Contact, ...]:
    """The citizen's own number. The card of someone else is no way to reach him and stays in the text."""
    card, person = message.contact, message.from_user
    if card is None or person is None or card.user_id not in (None, person.id):
        return ()
    phone = _e164(_lenient(card.phone_number), of_account=card.user_id is not None)
    return () if phone is None else (Contact(type=ContactType.PHONE, value=phone, assurance=Assurance.ASSERTED),)


def _e164(written: str, *, of_account: bool) -> str | None:
    """An account's number is international, mostly without the plus; one from an address book may be national."""
    digits = re.sub(r"[\s().-]", "", written)
    if re.fullmatch(r"1[3-9][0-9]{9}", digits) and not of_account:
        return f"+86{digits}"
    found = re.fullmatch(r"\+?([1-9][0-9]{6,14})", digits)
    return f"+{found[1]}" if found and (of_account or digits.startswith("+")) else None


def _card(contact: telegram.Contact | None) -> str:
    return "" if contact is None else _joined(contact.first_name, contact.last_name, contact.phone_number)


def _when(value: Any) -> datetime | None:
    """Unix seconds; None for what cannot be one."""
    return datetime.fromtimestamp(value, UTC) if is_id(value) and value < LATEST else None


def _joined(*parts: Any) -> str:
    return " ".join(filter(None, map(_lenient, parts)))


def _words(value: Any) -> str:
    """What a citizen says: not to be dropped because it is odd."""
    if value is not None and not isinstance(value, str):
        raise Malformed("text")
    return value or ""


def _lenient(value: Any) -> str:
    """What stands beside it: left out when it is odd."""
    return value if isinstance(value, str) else ""


def is_id(value: Any) -> TypeGuard[int]:
    """Whether it is an id: a positive int64 and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63
