"""SMS by Tencent Cloud (腾讯云短信).

Vendor pages, below https://cloud.tencent.com/document/ : product/382/5807 (短信下发状态通知), api/382/43548 at tencentcloud.com
(短信回复通知), api/382/55981 (SendSms), api/382/59177 (error codes). A reply has no id: what names it is its second and its
words. It has no word on the pieces of a long message either, and two short ones of the same second would look alike, so
nothing is joined here: pieces become one matter by the settle window, in the order in which they come.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import Field, ValidationError, model_validator

from channels.base import Answer, State
from channels.errors import Malformed, NotSent, Uncertain, Undeliverable
from channels.reading import plausible
from channels.rest import Told, call
from channels.settings import Secret
from channels.sms import (
    E164,
    Codes,
    SmsSettings,
    UnsignedSms,
    e164,
    number_of,
    read_json,
    report,
    sender_of,
    template_values,
    text_of,
)
from channels.sms_tencent_signature import Asked, signed
from normalizer.model import Envelope, Kept, Message, Notice, Parsed, Report
from normalizer.reply import Outgoing, Sent

VERSION = "2021-01-11"
#: Limits, money, keys and rights an operator can mend while the reply waits. ``InternalError`` says nothing of how far it came.
CODES = Codes(
    waits={
        "LimitExceeded": 60,
        "RequestLimitExceeded": 60,
        "FailedOperation.InsufficientBalance": 600,
        "AuthFailure": 600,
        "UnauthorizedOperation": 600,
        "IpInBlacklist": 600,
        "IpNotInWhitelist": 600,
    },
    uncertain=("InternalError",),
    unreachable=("FailedOperation.PhoneNumberInBlacklist",),
)


class SmsTencentSettings(SmsSettings):
    """Settings of an SMS channel by Tencent Cloud; the five in the middle are needed only to write back."""

    kind: Literal["sms_tencent"] = "sms_tencent"
    """Which adapter."""
    secret_id: Annotated[str, Field(min_length=1)] | None = None
    """Of an API key that may call SendSms."""
    secret_key: Secret | None = None
    """Its secret."""
    sdk_app_id: Annotated[str, Field(min_length=1)] | None = None
    """短信 SdkAppId."""
    sign_name: Annotated[str, Field(min_length=1)] | None = None
    """短信签名, approved."""
    template_id: Annotated[str, Field(min_length=1)] | None = None
    """模板 ID, approved; its variables {1}, {2} are those of ``template_parameters``."""
    region: str = "ap-guangzhou"
    """地域 of the interface."""
    api_base: str = "https://sms.tencentcloudapi.com"
    """Where Tencent's interface is."""

    @model_validator(mode="after")
    def _sends_or_not(self) -> Self:
        wanted = (self.secret_id, self.secret_key, self.sdk_app_id, self.sign_name, self.template_id)
        if any(wanted) and not all(wanted):
            raise ValueError(
                "to write back, set secret_id, secret_key, sdk_app_id, sign_name and template_id, all five"
            )
        return self


class SmsTencent(UnsignedSms[SmsTencentSettings]):
    """One application's messages."""

    kind = "sms_tencent"
    Settings = SmsTencentSettings
    summary = "SMS by Tencent Cloud (webhook)"

    @property
    def writes(self) -> bool:
        """With an approved template."""
        return self.settings.template_id is not None

    def apparent_sender(self, body: bytes) -> str:
        """The number that wrote."""
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return ""
        return _number(found) if isinstance(found, dict) else ""

    def acknowledge(self, kept: Kept) -> Answer:
        """``result`` 0: taken."""
        return Answer(body=b'{"result":0,"errmsg":"OK"}', media_type="application/json")

    def parse(self, envelope: Envelope) -> Parsed:
        """An object is a citizen's message, an array holds reports about ours."""
        found, flags = read_json(envelope.body)
        if isinstance(found, list):
            return Notice(reason="report", reports=tuple(one for each in found for one in _reports(each)))
        if not isinstance(found, dict) or not isinstance(found.get("text"), str):
            raise Malformed("text")
        try:
            return (self._message(found, envelope, flags),)
        except ValidationError:
            raise Malformed("mobile") from None

    def _message(self, fields: dict[str, Any], envelope: Envelope, flags: tuple[str, ...]) -> Message:
        number, sent_at = _number(fields), _sent_at(fields.get("time"), envelope)
        odd = {"sender_not_e164": not E164.fullmatch(number), "odd_time": sent_at is None}
        return Message(
            key_space=self.kind,
            account=text_of(fields.get("extend")) or text_of(fields.get("sign")) or self.name,
            sender=sender_of(number),
            provider_id=None,
            sent_at=sent_at,
            text=text_of(fields["text"]),
            flags=(*flags, *(name for name, is_so in odd.items() if is_so)),
        )

    async def send(self, outgoing: Outgoing, state: State) -> Sent:
        """SendSms, once: Tencent does not tell a second call from a second message."""
        asked, payload = self._asked(outgoing)
        headers = signed(asked, orjson.dumps(payload))
        told = await call("POST", f"{asked.base}/", json=payload, headers=headers, seconds=self.send_seconds)
        return _understood(told)

    def _asked(self, outgoing: Outgoing) -> tuple[Asked, dict[str, Any]]:
        ours = self.settings
        if ours.secret_id is None or ours.secret_key is None:
            raise Undeliverable("no_template")
        asked = Asked(
            key_id=ours.secret_id,
            secret=ours.secret_key,
            base=ours.api_base.rstrip("/"),
            host=urlsplit(ours.api_base).netloc,
            service="sms",
            action="SendSms",
            version=VERSION,
            region=ours.region,
            timestamp=int(time.time()),
        )
        return asked, {
            "PhoneNumberSet": [number_of(outgoing)],
            "SmsSdkAppId": ours.sdk_app_id,
            "SignName": ours.sign_name,
            "TemplateId": ours.template_id,
            "TemplateParamSet": list(template_values(outgoing, ours.template_parameters).values()),
            "SessionContext": str(outgoing.id),
        }


def _understood(told: Told) -> Sent:
    """Every answer comes with 200; ``Error`` is of the call, ``Code`` of the one message in it."""
    if told.status == 429:
        raise NotSent("throttled", told.retry_after())
    if told.status >= 500:
        raise Uncertain(f"status_{told.status}")
    answer = told.json().get("Response")
    if not isinstance(answer, dict):
        raise Uncertain("answer")
    if isinstance(answer.get("Error"), dict):
        raise CODES.error(text_of(answer["Error"].get("Code")))
    match answer.get("SendStatusSet"):
        case [{"Code": "Ok", **rest}]:
            return Sent(text_of(rest.get("SerialNo")) or None)
        case [{"Code": str(code)}] if code:
            raise CODES.error(code)
    raise Uncertain("answer")


def _number(fields: dict[str, Any]) -> str:
    return e164(text_of(fields.get("mobile")), text_of(fields.get("nationcode")))


def _sent_at(stated: Any, envelope: Envelope) -> datetime | None:
    """Seconds since 1970."""
    digits = text_of(stated)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        return None
    moment = datetime.fromtimestamp(int(digits), UTC)
    return moment if plausible(moment, envelope) else None


def _reports(element: Any) -> tuple[Report, ...]:
    sid = text_of(element.get("sid")) if isinstance(element, dict) else ""
    if not sid:
        return ()
    return (report(sid, element.get("report_status") == "SUCCESS", text_of(element.get("errmsg"))),)
