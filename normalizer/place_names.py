"""Names of places in a text: estates, roads, schools, sites - as far as a name's last characters give it away."""

from __future__ import annotations

import re

#: What a name of a place ends with; the longer first.
_ENDS = (
    "居民小区|住宅小区|小区|花园|家园|公寓|新村|社区|大厦|广场|公园|市场|商城|菜场|医院|学校|小学|中学|大学|幼儿园|"
    "搅拌站|加油站|垃圾站|变电站|中转站|车站|工地|工厂|大桥|立交|大道|大街|路口|路|街|巷|村|镇|街道"
)
#: Characters that stand before a name and are none of it, and what ends a larger place.
_BEFORE = "在位于于是的了我们住从到与和及至对把被给请让有由将为靠近说向往经过沿区县市省旁边附内外前后里个条处这那某本该之又也都很"
_NAME = re.compile(rf"([^\W\d_{_BEFORE}]{{1,6}}?(?:{_ENDS}))(?![路街巷村镇])")
#: Names that name nothing.
_COMMON = re.compile(
    rf"^(?:{_ENDS}|[一二三四五六七八九十每各大小老新两几]+(?:{_ENDS})|马路|公路|道路|铁路|网路|线路|电路)$"
)


def place_names(text: str) -> tuple[str, ...]:
    """Each name once, in order; without house numbers: where somebody lives is not told of."""
    found = (match.group(1) for match in _NAME.finditer(text))
    return tuple(dict.fromkeys(name for name in found if len(name) > 2 and not _COMMON.match(name)))
