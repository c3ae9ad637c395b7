"""受理编号, the number a citizen reads out over the telephone: sixteen digits of which the last guards the others.

Two digits each of year, month and day, nine of a number, one check digit by ISO/IEC 7064 MOD 11,10. That catches every
single wrong digit and all but a few swaps of neighbours.
"""

from __future__ import annotations

import re
from datetime import date

#: Codes a day can hold.
NUMBERS = 10**9
#: ISO/IEC 7064 section 8: the modulus and one more.
_MODULUS = 10
#: The century of the two year digits.
_CENTURY = 2000
_SIXTEEN_DIGITS = re.compile("[0-9]{16}")


def tracking_code(day: date, number: int) -> str:
    """Return the code of the matter ``number`` (0 to 999,999,999) filed on ``day`` (2000 to 2099)."""
    if not 0 <= number < NUMBERS:
        raise ValueError(f"{number} does not fit into nine digits")
    if not _CENTURY <= day.year < _CENTURY + 100:
        raise ValueError(f"two digits cannot tell the year {day.year}")
    payload = f"{day:%y%m%d}{number:09d}"
    return payload + str((1 - _carry(payload)) % _MODULUS)


def valid(code: str) -> bool:
    """Tell whether ``code`` is sixteen ASCII digits that start with a date and end with their check digit."""
    if not _SIXTEEN_DIGITS.fullmatch(code) or not _is_date(code[:6]):
        return False
    return (_carry(code[:-1]) + int(code[-1])) % _MODULUS == 1


def _carry(digits: str) -> int:
    """Return what the hybrid system carries to the check digit (ISO/IEC 7064 section 8.2)."""
    carry = _MODULUS
    for digit in digits:
        carry = ((carry + int(digit)) % _MODULUS or _MODULUS) * 2 % (_MODULUS + 1)
    return carry


def _is_date(yymmdd: str) -> bool:
    """Tell whether the six digits are a day of the calendar; a bank card's seldom are."""
    try:
        date(_CENTURY + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:]))
    except ValueError:
        return False
    return True
