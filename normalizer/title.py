"""A line that tells a person what a message is about: the citizen's own subject, or his first sentence that says it."""

from __future__ import annotations

import re

from normalizer.clean import single_line

#: What stands where nothing was written.
NO_WORDS = "（无文字）"
#: Longest subject of the citizen's own (HotlineMatter.title), in characters.
LONGEST = 200
#: Characters of the text looked at; nobody's first sentence comes later.
_READ = 4_000
#: A cut title is at least this share of the limit, or it is cut inside a clause.
_LEAST_SHARE = 0.4

#: What mail programs put before a subject (RFC 5322 section 3.6.5, and its translations).
_PREFIX = re.compile(
    r"^(?:\s*(?:re|fwd?|aw|答复|回复|转发|自动转发|自动回复)\s*(?:[\[(（]\d+[\])）])?\s*[:：]|\s*\[(?:转发|回复)\])+\s*|^(?:转发|回复)$", re.IGNORECASE
)
#: Subjects of mail and web forms that nobody wrote.
_EMPTY_SUBJECT = re.compile(
    r"[\W_]*(?:无|没有|暂无|空)?(?:主题|标题|题|题目)?[\W_]*|(?:no|without|untitled|none|null|undefined)?[\W_]*(?:subject|title|untitled|none|null)?[\W_]*",
    re.IGNORECASE,
)

_GREETING = "(?:您们?|你们?|大家|各位)?(?:早上|上午|中午|下午|晚上|新年|节日)?(?:好|快乐)(?:[啊呀吗]|了)?"
_OFFICE = (
    "(?:书记|市长|县长|区长|镇长|省长|州长|乡长|局长|厅长|处长|科长|部长|所长|院长|校长|行长|站长|队长|主任|主席|委员|领导|干部|同志|政府|部门|单位"
    "|市委|省委|县委|区委|机关|公安局|教育局|热线|客服|话务员|接线员|管理员|工作人员|负责人|老师|先生|女士|小姐|朋友|大人|青天|公仆|父母官|12345)"
)
#: Words that say something before an office: then it is no address but the matter.
_NO_VERB = "(?:(?!投诉|举报|反映|反应|反馈|建议|请|求|关于|因为|我|本人|对|被|向|在|是|有|没|不|给|找|问|说|让|为|由|把|和|与)[^，。！？!?,：:；;、\\s]){0,14}?"
_ADDRESSED = f"(?:(?:尊敬|敬爱|亲爱|可敬)的?)?{_NO_VERB}{_OFFICE}+(?:们|及)*(?:{_OFFICE}|们)*"
