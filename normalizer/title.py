"""A line that tells a person what a message is about: the citizen's own subject, or his first sentence that says it."""

from __future__ import annotations

import re

from normalizer.clean import single_line

#: What stands where nothing was written.
NO_WORDS = "（无文字）"
#: Longest subject of the citizen's own (HotlineMatter.title), in characters.
LONGEST_SUBJECT = 200
#: Characters of the text looked at: nobody comes to the point later.
_READ = 4_000
#: A sentence shorter than this takes the next one along: 停水了！已经三天了。
_SHORT = 12
#: A title is cut at a clause when this share of the limit is kept, else inside one.
_LEAST_SHARE = 0.4

#: What mail programs put before a subject (RFC 5322 section 3.6.5, and its translations).
_REPLY_PREFIX = re.compile(r"(?:re|fwd?|aw|tr|答复|回复|转发)\s*(?:\[\d+\]|[(（]\d+[)）])?\s*[:：]\s*", re.IGNORECASE)
#: Subjects that nobody wrote: of mail programs and web forms.
_NO_SUBJECT = re.compile(
    r"(?:[无没]有?(?:主题|标题|题目?|内容)?|主题|标题|新邮件|未命名|转发|回复|自动转发"
    r"|no (?:subject|title)|untitled|subject|title|none|null|n/a|re|fwd?)",
    re.IGNORECASE,
)
#: Two letters in a row: less says nothing.
_SAYING = re.compile(r"[^\W\d_]{2}")
_LINK = re.compile("https?://[!-~]+", re.IGNORECASE)
_EDGE = " \t\n，,。.！!？?：:；;、…~～-—_*#=|·•"

_HELLO = "(?:[您你]们?|大家|各位)?(?:早上|上午|中午|下午|晚上|新年|节日)?(?:好|早安|晚安|快乐|辛苦了|在吗)[啊呀吗]?"
_OFFICE = (
    "(?:书记|[市县区镇省州乡局厅处科部所院校行站队会]长|主任|主席|委员|领导|干部|同志|政府|部门|单位|[市省县区]委|机关"
    "|\\w局|信访办|热线|客服|话务员|接线员|工作人员|负责人|管理员|老师|先生|女士|朋友|大人|青天|公仆|父母官|[您你]们?|们)"
)
_REVERED = "(?:各位)?(?:尊[敬重贵]|敬[爱业重]|敬|亲爱|可敬)的?[:：]?"
#: An office behind one of these is what the letter is about, not whom it speaks to.
_PLEA = "投诉|举报|反映|有(?!关)|反应|反馈|建议|表扬|感谢|关于|因为|[请求我对被向在是没不给找问说让由把和与跟到去的]"
_NO_STOP = "[^，。！？!?,：:；;\\s]"
#: Whom a letter speaks to: 尊敬的……, or up to ten characters of name and place, and an office.
_ADDRESSEE = f"(?:{_REVERED}{_NO_STOP}{{0,24}}?|(?:(?!{_PLEA})\\w){{0,10}}?的?){_OFFICE}{{1,6}}"
_ASKING = "(?:请问|我?想?(?:咨询|请教|请问|问)一?下?|冒昧|打扰了?|打搅了?|不好意思|辛苦了?|抱歉|首先|急|救命|喂)"
_PAUSE = r"(?:[\s，,。.！!？?：:∶；;、…~～—-]+|$)"
#: Openings that say nothing, one after the other: whom, greetings, excuses, a list's first number, a link.
_OPENING = re.compile(
    f"(?:{_ADDRESSEE})?{_HELLO}{_PAUSE}|{_ADDRESSEE}{_PAUSE}|{_ADDRESSEE}(?:[您你]们?好|好(?=[我请本想现关]))"
    f"|{_REVERED}{_NO_STOP}{{1,24}}[，,：:！!]|{_REVERED}{_NO_STOP}{{1,24}}?[您你]们?好|[您你]们?好(?=[我请本想现关])"
    f"|{_ASKING}(?:{_ADDRESSEE})?{_PAUSE}"
    "|(?:dear|hi|hello|hey|greetings|good (?:morning|day|afternoon|evening)|to whom)\\b[^,.:!\\n，：！]{0,40}(?:[,.:!\\n，：！]|$)"
    "|第[一二三][，、]|(?:\\d{1,2}|[一二三四五])\\s?[.、．)）：:](?!\\d)|[(（](?:\\d{1,2}|[一二三四五])[)）]"
    '|https?://[!-~]+|[^\\w《“"「【(（]+',
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。！？!?；;\n]+|\.(?=\s|$)|(?<=[\u4e00-\u9fff])\.(?=[\u4e00-\u9fff])")
_CLAUSE_END = re.compile(r"[，,、：:—]|\s")


def title(given: str | None, text: str, limit: int = 40) -> tuple[str, str]:
    """Return a title and the rule that made it: ``title.subject``, ``title.first_sentence`` or ``title.none``.

    A subject stands as given, without reply prefixes, up to 200 characters. A sentence is cut at a clause to at most
    ``limit`` characters, and ends in ``…`` then. Greetings are a title only where nothing else was said.
    """
    subject, words = _subject(given), text[:_READ]
    if _says(subject):
        return _cut(subject, LONGEST_SUBJECT), "title.subject"
    if told := _first_sentence(words) or single_line(words):
        return _cut(told, limit), "title.first_sentence"
    return (_cut(subject, LONGEST_SUBJECT), "title.subject") if subject else (NO_WORDS, "title.none")


def _subject(given: str | None) -> str:
    """Return what the citizen wrote of a subject: nothing where a program did."""
    subject = single_line((given or "")[:_READ])
    while prefix := _REPLY_PREFIX.match(subject):
        subject = subject[prefix.end() :]
    return "" if _NO_SUBJECT.fullmatch(subject.strip("()（）[]【】<>" + _EDGE)) else subject


def _says(line: str) -> bool:
    """Tell whether more than a greeting is left."""
    return bool(_SAYING.search(_LINK.sub("", line[_opened(line) :])))


def _opened(text: str) -> int:
    """Return where the openings end."""
    end = 0
    while (opening := _OPENING.match(text, end)) and opening.end() > end:
        end = opening.end()
    return end


def _first_sentence(text: str) -> str:
    """Return the first sentence that says something, with the next when it is short; empty where none does."""
    found, end = "", _opened(text)
    while end < len(text) and len(found) < _SHORT:
        start, stop = end, _SENTENCE_END.search(text, end)
        end = stop.end() if stop else len(text)
        if found or _says(text[start:end]):
            found = single_line(found + text[start:end])
        end = end if found else end + _opened(text[end:])
    return found.strip(_EDGE.replace("！", "").replace("？", ""))


def _cut(line: str, limit: int) -> str:
    """Shorten to ``limit`` characters, at a clause where that leaves enough."""
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    ends = [clause.start() for clause in _CLAUSE_END.finditer(head, int(limit * _LEAST_SHARE))]
    return (single_line(head[: ends[-1]] if ends else head).rstrip(_EDGE) or head) + "…"
