"""What the gateway itself says to citizens, in one place, in Chinese and English. The core's own words come inside.

``{code}`` is the tracking code (受理编号), ``{text}`` the core's words, ``{state}`` a line of ``STATES``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from normalizer.model import HotlineMatter, PastMatter
from normalizer.reply import ReplyKind

Language = Literal["zh", "en"]

TEXTS: dict[ReplyKind, dict[Language, str]] = {
    ReplyKind.ACKNOWLEDGEMENT: {
        "zh": "您的诉求已收到，受理编号：{code}。回复“进度 {code}”可查询办理情况。",
        "en": "We have received your request. Its number is {code}. Reply “status {code}” to ask how it stands.",
    },
    ReplyKind.WARNING: {
        "zh": "{text}您的来信已按紧急事项转办，受理编号：{code}。",
        "en": "{text} Your message is being passed on as urgent. Its number is {code}.",
    },
    ReplyKind.STATUS: {
        "zh": "受理编号 {code}：{state}",
        "en": "Number {code}: {state}",
    },
    ReplyKind.ACCEPTED: {
        "zh": "您的诉求（受理编号 {code}）已受理。{text}",
        "en": "Your request (number {code}) has been accepted. {text}",
    },
    ReplyKind.NOT_ACCEPTED: {
        "zh": "您的诉求（受理编号 {code}）未予受理。{text}",
        "en": "Your request (number {code}) was not accepted. {text}",
    },
    ReplyKind.PROGRESS: {
        "zh": "您的诉求（受理编号 {code}）办理进展：{text}",
        "en": "Your request (number {code}), progress: {text}",
    },
    ReplyKind.QUESTION: {
        "zh": "关于您的诉求（受理编号 {code}），承办单位想了解：{text}（直接回复即可）",
        "en": "About your request (number {code}) we would like to know: {text} (simply reply)",
    },
    ReplyKind.RESULT: {
        "zh": "您的诉求（受理编号 {code}）办理结果：{text}请回复1至5分评价（5分为非常满意），有异议请直接回复说明。",
        "en": "Your request (number {code}), result: {text} Please reply with a mark from 1 to 5 (5: very satisfied), or "
        "tell us what you object to.",
    },
    ReplyKind.CLOSED: {
        "zh": "您的诉求（受理编号 {code}）已办结。{text}",
        "en": "Your request (number {code}) has been closed. {text}",
    },
    ReplyKind.RETURN_VISIT: {
        "zh": "关于您的诉求（受理编号 {code}）的回访：{text}请回复1至5分（5分为非常满意）。",
        "en": "About your request (number {code}): {text} Please reply with a mark from 1 to 5 (5: very satisfied).",
    },
}

#: What a provider's template calls it. Templates are approved in Chinese, whoever reads them, and a WeChat ``phrase``
#: takes five Chinese characters and nothing else.
LABELS: dict[ReplyKind, str] = {
    ReplyKind.ACKNOWLEDGEMENT: "已收到",
    ReplyKind.WARNING: "紧急提示",
    ReplyKind.STATUS: "办理情况",
    ReplyKind.CODE: "验证码",
    ReplyKind.BINDING: "绑定手机",
    ReplyKind.ACCEPTED: "已受理",
    ReplyKind.NOT_ACCEPTED: "不予受理",
    ReplyKind.PROGRESS: "办理进展",
    ReplyKind.QUESTION: "待您补充",
    ReplyKind.RESULT: "办理结果",
    ReplyKind.CLOSED: "已办结",
    ReplyKind.RETURN_VISIT: "回访",
}

#: What becomes of showing that a telephone number is one's own. Whether others have it, and why a code does not count, is
#: told to nobody.
PROVING: dict[str, dict[Language, str]] = {
    "code": {
        "zh": "验证码：{code}，10分钟内有效，请在申请绑定手机号码的渠道回复这6位数字。如非本人操作，请勿告知他人。",
        "en": "Your code: {code}. Within 10 minutes, send these 6 digits where you asked to link your number. If it was not "
        "you, tell nobody.",
    },
    "asked": {
        "zh": "如该号码可以绑定，6位验证码将以短信发送至该号码，请在10分钟内在此回复验证码。",
        "en": "If this number can be linked, a text message with a 6-digit code is on its way to it. Please send the code "
        "here within 10 minutes.",
    },
    "impossible": {
        "zh": "此处暂不能绑定手机号码。",
        "en": "A telephone number cannot be linked here.",
    },
    "right": {"zh": "您的手机号码已确认。", "en": "Your telephone number is confirmed."},
    "wrong": {
        "zh": "验证码不正确或已失效。如需重新获取，请再次发送“绑定”和手机号码。",
        "en": "The code is wrong or has expired. To get another, send “bind” and your number again.",
    },
}

#: For who writes English: what the profile says in Chinese, by line; and to whoever may harm himself.
WARNINGS = {
    "110": "If you are in danger now, call 110 (police) at once; if you cannot speak, send a text message to 12110.",
    "119": "Get to a safe place and call 119 (fire and rescue) at once.",
    "120": "Call 120 (ambulance) at once.",
    "122": "Call 122 (traffic police) at once; for the injured call 120.",
}
CRISIS = "You are not alone. Please call 12356 (psychological help, day and night); if you are in danger, 110 or 120."

#: How a matter stands, as a citizen may know it.
STATES: dict[str, dict[Language, str]] = {
    "filed": {"zh": "已收到，正在转办。", "en": "received, being passed on."},
    "asked": {"zh": "等待您的回复。", "en": "waiting for your answer."},
    "answered": {"zh": "已答复。", "en": "answered."},
    "closed": {"zh": "已办结。", "en": "closed."},
    "withdrawn": {"zh": "已撤回。", "en": "withdrawn."},
    "unknown": {"zh": "没有查到与您本人对应的诉求。", "en": "there is no request of yours under this number."},
}

#: On another way than the citizen's own, to an address that he only stated: nothing that others may not read.
NEUTRAL: dict[Language, str] = {
    "zh": "您的诉求（受理编号 {code}）有新的答复，请通过您提交诉求的渠道查看。",
    "en": "There is news about your request (number {code}). Please look where you wrote to us.",
}


def language_of(code: str | None) -> Language:
    """English for who writes English, Chinese for everybody else."""
    return "en" if code == "en" else "zh"


def written(kind: ReplyKind, language: Language, code: str, text: str = "") -> str:
    """A reply's whole text."""
    return TEXTS[kind][language].format(code=code, text=_sentence(text, language)).strip()


def warned(language: Language, told: Sequence[str], matter: HotlineMatter) -> str:
    """The number to call at once, in the words of the city's profile (``told``), or in English."""
    if language == "en":
        told = [CRISIS] if matter.crisis else [WARNINGS[matter.emergency_line]] if matter.emergency_line else told
    return written(ReplyKind.WARNING, language, matter.tracking_code, "".join(told))


def neutral(language: Language, code: str) -> str:
    """The text for a way that others may read."""
    return NEUTRAL[language].format(code=code)


def standing(matter: PastMatter | None, language: Language, code: str) -> str:
    """The answer to "how does it stand?"."""
    return TEXTS[ReplyKind.STATUS][language].format(code=code, state=STATES[_state(matter)][language])


def _state(matter: PastMatter | None) -> str:
    if matter is None:
        return "unknown"
    marks = {"withdrawn": matter.withdrawn_at, "asked": matter.asked, "closed": matter.closed_at}
    for name, mark in (marks | {"answered": matter.answered_at}).items():
        if mark is not None:
            return name
    return "filed"


def _sentence(text: str, language: Language) -> str:
    """The core's words, ended, so that ours can follow."""
    text = text.strip()
    if not text or text[-1] in "。！？.!?…”）)":
        return text
    return text + ("。" if language == "zh" else ".")
