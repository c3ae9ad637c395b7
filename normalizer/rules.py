"""The rules that a city's profile is made of, each with the article it comes from or the reason for our choice."""

from __future__ import annotations

from enum import StrEnum
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from normalizer.model import Disposition, EmergencyLine, Frozen, MatterKind, PartyType

Words = Annotated[str, Field(min_length=1, max_length=500)]
Days = Annotated[int, Field(ge=1, le=365)]
Way = Literal[
    "telephone", "letter", "fax", "visit", "wechat", "weibo", "phone", "mail", "telegram", "app", "partner", "open311"
]
"""How a citizen comes: as an operator wrote it down, the type of his address (``phone``: SMS), or an interface."""
CitizenText = Literal["referred", "refused", "confidential", "held"]
"""What is told beside the rules' own words: his matter may belong elsewhere, or nowhere; he stays unnamed; a person looks."""

#: What parts two articles in a rule's ``article``.
AND = "；"
#: The words that a text may leave open.
_OPEN = frozenset({"reason", "where_to"})


def _text(value: object) -> object:
    """Refuse a number: YAML reads 0123 as eighty-three."""
    if isinstance(value, int):
        raise ValueError("must be text; put it in quotes")
    return value


class Ground(StrEnum):
    """Why the hotline may not be the place for a matter."""

    LITIGATION = "litigation"
    """To be decided by a court, or decided: 诉讼."""
    ARBITRATION = "arbitration"
    """Of labour or commerce: 仲裁."""
    DISCIPLINE = "discipline"
    """Discipline inspection and supervision: 纪检监察."""
    RECONSIDERATION = "reconsideration"
    """Administrative reconsideration: 行政复议."""
    DISCLOSURE = "disclosure"
    """Disclosure of government information on request: 政府信息公开."""
    PETITION = "petition"
    """Already in the procedure of letters and calls: 信访."""
    SECRETS = "secrets"
    """State or trade secrets: 国家秘密、商业秘密."""
    PRIVACY = "privacy"
    """Another person's privacy or personal data: 个人隐私."""
    PUBLIC_MORALS = "public_morals"
    """Against public order and good morals: 公序良俗."""
    CONCLUDED = "concluded"
    """Handled by the unit lawfully, with a lawful and reasonable conclusion: 已有合法合理结论."""
    OUT_OF_AREA = "out_of_area"
    """Outside the city: 本行政区域以外."""
    OTHER_PLATFORM = "other_platform"
    """A linked platform has its own number for it: 12315 and the like."""


class Rule(Frozen):
    """One rule, and where it comes from: the regulation, or a choice of ours where that is silent."""

    article: Words | None = None
    """As the text counts: 第十九条第一款第一项; 第四部分; 工作程序（三）1; several parted by ；."""
    own: Words | None = None
    """Why we chose so where the text says nothing; beside an article, in what we go further than it."""

    @model_validator(mode="after")
    def _from_somewhere(self) -> Self:
        if self.article is None and self.own is None:
            raise ValueError("say where the rule comes from: article, or own with the reason for the choice")
        return self

    @property
    def articles(self) -> tuple[str, ...]:
        """Where it comes from, one by one; none for a choice of ours."""
        return tuple(self.article.split(AND)) if self.article else ()


class HoursRule(Rule):
    """When the hotline takes what it is told."""

    all_day: bool
    """At every hour of every day."""
    name: Words
    """In the city's words: 24小时受理."""


class WayIn(Rule):
    """A way in which citizens come."""

    way: Way
    name: Words
    """In the city's words: 市长信箱."""


class PartyRule(Rule):
    """Who may turn to the hotline."""

    type: PartyType
    name: Words


class KindRule(Rule):
    """A kind of matter that the hotline accepts."""

    kind: MatterKind
    name: Words
    """In the city's words: 咨询."""


class GroundRule(Rule):
    """A ground on which a matter may not be accepted; a person decides."""

    ground: Ground
    name: Words
    """In the city's words: 应当通过诉讼解决的."""
    suggestion: Literal["refer", "refuse"]
    """Whether another way is open to the citizen."""
    where_to: Words | None = None
    """That way, in words for him: 向人民法院提起诉讼."""
    explain: Words
    """What he can be told, in plain words."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.suggestion == "refer" and self.where_to is None:
            raise ValueError("where_to is missing: who is referred must be told where to")
        return self


class PlatformRule(Rule):
    """A linked platform with a number of its own."""

    number: Annotated[str, BeforeValidator(_text), Field(pattern=r"^[0-9]{3,8}$")]
    name: Words
    subjects: Annotated[tuple[Words, ...], Field(max_length=200)] = ()
    """Words that tell a matter for it: 消费投诉, 假冒伪劣."""
    refer: bool = False
    """Whether a matter for it is suggested for referral, or only marked for it."""


class EmergencyRule(Rule):
    """An emergency line."""

    line: Annotated[EmergencyLine, BeforeValidator(_text)]
    name: Words
    tell: Words
    """What the citizen is told at once."""


class CrisisRule(Rule):
    """What is said to somebody whose own life is in danger."""

    tell: Words


class DispositionRule(Rule):
    """What becomes of a matter at the desk."""

    disposition: Disposition
    name: Words
    """In the city's words: 当场答复."""


class LimitRule(Rule):
    """How soon an answer is owed."""

    name: Words
    working_days: Days
    extended_to: Days | None = None
    """The longest, where it may be extended."""
    kinds: tuple[MatterKind, ...] = ()
    """Of these only; none: of all."""
    platforms: tuple[str, ...] = ()
    """Of matters for these linked platforms only: consumers' complaints (12315)."""

    @model_validator(mode="after")
    def _extended_further(self) -> Self:
        if self.extended_to is not None and self.extended_to <= self.working_days:
            raise ValueError("extended_to must be more than working_days, or be left out")
        return self


class ConfidentialityRule(Rule):
    """Whose identity is sealed."""

    on_request: bool = True
    """Whoever asks for it."""
    kinds: tuple[MatterKind, ...] = ()
    """These always."""


class ConductRule(Rule):
    """Conduct that the regulation names; a person judges."""

    kind: Literal["insult", "threat", "harassment", "spam", "flood", "repeat_without_reason"]
    name: Words
    """In the city's words: 无正当理由反复占用热线资源."""
    public_security: bool = False
    """Whether it may be handed to the public-security organs."""


class RecordRule(Rule):
    """What must be written down of a matter."""

    field: Literal["name", "unit", "contact_phone", "received_at", "content", "place"]
    name: Words


class RightRule(Rule):
    """A right of the citizen that no filter may take."""

    right: Literal["progress", "answer", "explanation", "objection", "evaluation", "complaint_about_staff"]
    name: Words


class TextRule(Rule):
    """What a citizen is told, in words of the city's own."""

    text: CitizenText
    tell: Words
    """``{reason}`` is the ground's ``explain``, ``{where_to}`` its ``where_to``."""

    @field_validator("tell")
    @classmethod
    def _fits(cls, value: str) -> str:
        try:
            names = {
                name for _, name, form, turn in Formatter().parse(value) if name is not None and not form and not turn
            }
            whole = value.format_map(dict.fromkeys(_OPEN, ""))
        except (ValueError, LookupError, AttributeError):
            names, whole = {""}, ""
        if not (whole and names <= _OPEN):
            raise ValueError("only {reason} and {where_to} may stand in braces")
        return value
