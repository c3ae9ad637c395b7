"""SMS by Aliyun (阿里云短信服务), HTTP batch push.

Vendor pages, below https://help.aliyun.com/zh/sms/developer-reference/ : smsup-http (what citizens write), smsreport-http
(what became of ours), api-dysmsapi-2017-05-25-sendsms, api-error-codes. Aliyun waits 700 ms for the answer, tries again
after 1, 5 and 10 minutes, and then no more. It names no field for the pieces of a long message.

Every element of a batch is one message in the books. What is not readable in one does not spoil the others: an element
without a usable number or words is filed as it came, flagged, for a person to look at. Only a batch in which nothing can
be read is ``malformed``.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import Field, ValidationError, model_validator

from channels.base import Answer, State
from channels.errors import Malformed, NotSent, Uncertain, Undeliverable
from channels.rest import Told, call
from channels.settings import Secret
from channels.sms import (
    E164,
    Codes,
    SmsSettings,
    UnsignedSms,
    china_time,
    e164,
    number_of,
    read_json,
    report,
    sender_of,
    shown,
    template_values,
    text_of,
)
from channels.sms_aliyun_signature import Asked, signed
from normalizer.model import Envelope, Kept, Message, Notice, Parsed, Report
from normalizer.reply import Outgoing, Sent

#: More in one delivery is no batch of Aliyun's.
MOST_ELEMENTS = 10_000
VERSION = "2017-05-25"
#: Of the body, which is empty.
FORM = "application/x-www-form-urlencoded"
#: ``isv``: we are refused. ``isp``: Aliyun failed, and does not say how far it had come; its calls are not idempotent.
#: Limits and money an operator can mend while the reply waits; so with keys and rights.
CODES = Codes(
    waits={
        "isv.BUSINESS_LIMIT_CONTROL": 60,
        "Throttling": 60,
        "isv.DAY_LIMIT_CONTROL": 600,
        "isv.MONTH_LIMIT_CONTROL": 600,
        "isv.AMOUNT_NOT_ENOUGH": 600,
        "isv.OUT_OF_SERVICE": 600,
        "isv.DENY_IP_RANGE": 600,
        "isp.RAM_PERMISSION_DENY": 600,
        "InvalidAccessKeyId": 600,
        "SignatureDoesNotMatch": 600,
        "InvalidTimeStamp": 600,
        "Forbidden": 600,
    },
    uncertain=("isp.", "InternalError", "ServiceUnavailable"),
)


class SmsAliyunSettings(SmsSettings):
    """Settings of an SMS channel by Aliyun; the four in the middle are needed only to write back."""

    kind: Literal["sms_aliyun"] = "sms_aliyun"
    """Which adapter."""
    access_key_id: Annotated[str, Field(min_length=1)] | None = None
    """Of a RAM user that may call SendSms."""
    access_key_secret: Secret | None = None
    """Its secret."""
    sign_name: Annotated[str, Field(min_length=1)] | None = None
    """短信签名, approved."""
    template_code: Annotated[str, Field(min_length=1)] | None = None
    """短信模板CODE, approved; its variables are named as in ``template_parameters``."""
    api_base: str = "https://dysmsapi.aliyuncs.com"
    """Where Aliyun's interface is."""

    @model_validator(mode="after")
    def _sends_or_not(self) -> Self:
        wanted = (self.access_key_id, self.access_key_secret, self.sign_name, self.template_code)
        if any(wanted) and not all(wanted):
            raise ValueError(
                "to write back, set access_key_id, access_key_secret, sign_name and template_code, all four"
            )
        return self


class SmsAliyun(UnsignedSms[SmsAliyunSettings]):
    """One Aliyun account's messages."""

    kind = "sms_aliyun"
    Settings = SmsAliyunSettings
    summary = "SMS by Aliyun (webhook)"

    @property
    def writes(self) -> bool:
        """With an approved template."""
        return self.settings.template_code is not None

    def apparent_sender(self, body: bytes) -> str:
        """The number, where the whole batch is one citizen's."""
        try:
            elements = orjson.loads(body)
        except orjson.JSONDecodeError:
            return ""
        numbers = {_number(one) for one in elements} if isinstance(elements, list) else set()
        return numbers.pop() if len(numbers) == 1 else ""

    def acknowledge(self, kept: Kept) -> Answer:
        """Only 200 and a numeric code count."""
        return Answer(body=b'{"code":0,"msg":"OK"}', media_type="application/json")

    def parse(self, envelope: Envelope) -> Parsed:
        """A batch of messages, or of reports about ours; Aliyun pushes the two apart."""
        elements, flags = read_json(envelope.body)
        if not isinstance(elements, list) or len(elements) > MOST_ELEMENTS:
            raise Malformed("batch")
        said = [one for one in elements if not _is_report(one)]
        if not said:
            return Notice(reason="report", reports=tuple(found for one in elements for found in _reports(one)))
        if not any(_says_something(one) for one in said):
            raise Malformed("elements")
        return tuple(self._message(one, envelope, flags) for one in said)

    def _message(self, element: Any, envelope: Envelope, flags: tuple[str, ...]) -> Message:
        number = _number(element)
        try:
            sender = sender_of(number)
        except ValidationError:  # empty, or endless
            return self._unreadable(element, flags)
        stated, account = text_of(element.get("send_time")), text_of(element.get("dest_code"))
        content, sent_at = element.get("content"), china_time(stated, envelope)
        odd = {
            "sender_not_e164": not E164.fullmatch(number),
            "odd_time": bool(stated) and sent_at is None,
            "odd_content": not isinstance(content, str),
        }
        return Message(
            key_space=self.kind,
            account=account or self.name,
            sender=sender,
            provider_id=_sequence_id(element),
            sent_at=sent_at,
            text=_words(content),
            flags=(*flags, *(name for name, is_so in odd.items() if is_so)),
        )

    def _unreadable(self, element: Any, flags: tuple[str, ...]) -> Message:
        """Nobody's, and each of them another's: two such have nothing in common."""
        whole = shown(element)
        mark = hashlib.sha256(whole.encode()).hexdigest()[:32]
        words = _words(element.get("content")) if isinstance(element, dict) else ""
        return Message(
            key_space=self.kind,
            account=self.name,
            sender=sender_of(f"unknown-{mark}"),
            provider_id=_sequence_id(element) or mark,
            text=words or whole,
            flags=(*flags, "sender_unknown"),
        )

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """SendSms, once: Aliyun does not tell a second call from a second message."""
        asked = self._asked(outgoing)
        told = await call("POST", f"{asked.base}/?{asked.query}", headers=signed(asked), seconds=self.send_seconds)
        return _understood(told)

    def _asked(self, outgoing: Outgoing) -> Asked:
        ours = self.settings
        if ours.access_key_id is None or ours.access_key_secret is None:
            raise Undeliverable("no_template")
        values = template_values(outgoing, ours.template_parameters)
        return Asked(
            key_id=ours.access_key_id,
            secret=ours.access_key_secret,
            base=ours.api_base.rstrip("/"),
            host=urlsplit(ours.api_base).netloc,
            action="SendSms",
            version=VERSION,
            content_type=FORM,
            parameters={
                # 国内短信 without its country, 国际 with it and without the +.
                "PhoneNumbers": number_of(outgoing).removeprefix("+86").removeprefix("+"),
                "SignName": ours.sign_name or "",
                "TemplateCode": ours.template_code or "",
                "TemplateParam": orjson.dumps(values).decode(),
                "OutId": str(outgoing.id),
            },
        )


def _understood(told: Told) -> Sent:
    """Also an error comes with 200: only ``Code`` tells."""
    if told.status == 429:
        raise NotSent("throttled", told.retry_after())
    if told.status >= 500:
        raise Uncertain(f"status_{told.status}")
    found = told.json()
    code = text_of(found.get("Code"))
    if code == "OK":
        return Sent(text_of(found.get("BizId")) or None)
    if not code:
        raise Uncertain("answer")
    raise CODES.error(code)


# -- Elements ----------------------------------------------------------------------------------------------------------


def _number(element: Any) -> str:
    return e164(text_of(element.get("phone_number"))) if isinstance(element, dict) else ""


def _is_report(element: Any) -> bool:
    return isinstance(element, dict) and "content" not in element and ("success" in element or "biz_id" in element)


def _says_something(element: Any) -> bool:
    return isinstance(element, dict) and bool(_number(element) or _words(element.get("content")))


def _words(content: Any) -> str:
    """Of a value that is no text, what it is."""
    if content is None or content in ({}, []):
        return ""
    return text_of(content) or (shown(content) if not isinstance(content, str) else "")


def _sequence_id(element: Any) -> str | None:
    """A number in the older pages, a string in the newer."""
    found = text_of(element.get("sequence_id")).strip() if isinstance(element, dict) else ""
    return found if found.strip("0") else None


def _reports(element: Any) -> tuple[Report, ...]:
    biz_id = text_of(element.get("biz_id"))
    if not biz_id:
        return ()
    delivered = str(element.get("success")).lower() == "true"
    return (report(biz_id, delivered, text_of(element.get("err_code"))),)
