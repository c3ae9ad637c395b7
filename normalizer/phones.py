"""Telephone numbers at which a citizen can be called back, as they stand in his words.

Found by Google's libphonenumber (``PhoneNumberMatcher``, leniency VALID), which reads full-width digits as well; this file
refuses what it cannot know of a Chinese letter: order numbers, numbers of years and months, service lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from phonenumbers import (
    Leniency,
    PhoneNumberFormat,
    PhoneNumberMatch,
    PhoneNumberMatcher,
    PhoneNumberType,
    format_number,
    number_type,
)

#: Characters looked at: the matcher reads some 80,000 a second where numbers stand close, and mail holds a million.
SEARCHED = 20_000
#: Candidates that may fail before the matcher gives up.
_MOST_TRIES = 2_000
#: Seven digits among signs that can stand in a number (ITU-T E.123); without them the matcher need not start.
_ENOUGH_DIGITS = re.compile(r"\d(?:[^\w\n]{0,4}\d){6}")
#: Someone answers there; 400 and 800 numbers, 95xxx and premium lines are a company's.
_ANSWERED = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
        PhoneNumberType.PERSONAL_NUMBER,
    }
)
#: A landline is written with its trunk 0 or its country; ten digits without are a date, a contract, an account.
_TRUNK = re.compile("[(（\\[［]?(?:[+＋0０]|[8８]\\s?[6６])")
#: What a number is called that is none of a telephone, right before it.
_OTHER_NUMBER = re.compile(
    "(?:订单|单|编|流水|案|合同|证|身份证|帐|账|卡|户|票|运单|批次|档案|工|学|文|凭证|社保)(?:号码?|编码)"
    "[\\s:：为是#№(（\\[【]{0,4}$"
    "|(?:账户|帐户|编码|身份证|信用代码|\\bid|\\b(?:order|invoice|ticket|account)(?: ?(?:no\\.?|number))?)[\\s:：为是#№(（\\[【]{0,4}$",
    re.IGNORECASE,
)
#: Longest name of a number, and the signs between it and the number.
_NAME_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Phone:
    """One number and where it stands."""

    #: ITU-T E.164, for example +8613800138000.
    value: str
    #: Its first character in the text.
    start: int
    #: Behind its last character.
    end: int


def phones(text: str, region: str = "CN") -> list[Phone]:
    """Return the numbers in the first 20,000 characters of ``text``, in its own offsets and order.

    ``region`` (ISO 3166-1 alpha-2) says where a number without a country code belongs.
    """
    text = text[:SEARCHED]
    if not _ENOUGH_DIGITS.search(text):
        return []
    matches = PhoneNumberMatcher(text, region, leniency=Leniency.VALID, max_tries=_MOST_TRIES)
    return [_phone(match) for match in matches if _is_callable(match, text)]


def _phone(match: PhoneNumberMatch) -> Phone:
    return Phone(format_number(match.number, PhoneNumberFormat.E164), match.start, match.end)


def _is_callable(match: PhoneNumberMatch, text: str) -> bool:
    """Tell whether someone answers there, and the citizen did not call it something else."""
    kind = number_type(match.number)
    if kind not in _ANSWERED or _OTHER_NUMBER.search(text[max(0, match.start - _NAME_LENGTH) : match.start]):
        return False
    return kind != PhoneNumberType.FIXED_LINE or bool(_TRUNK.match(match.raw_string))
