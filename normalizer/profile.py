"""A city's rules as data: what its regulation says of a matter at the door, each rule with the article it comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from normalizer.model import ContactType, EmergencyLine, Frozen, MatterKind, PartyType, RegistrationSource

Words = Annotated[str, Field(min_length=1, max_length=500)]
Days = Annotated[int, Field(ge=1, le=365)]


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
    """As the text counts: 第十九条第一款第一项; 四、建立健全…网络; operation sequence 3.1; ¶2."""
    own: Words | None = None
    """Why we chose so, where the text says nothing."""

    @model_validator(mode="after")
    def _from_somewhere(self) -> Self:
        if (self.article is None) == (self.own is None):
            raise ValueError("say where the rule comes from: either article, or own with the reason for our choice")
        return self


class WayIn(Rule):
    """A way in which citizens come."""

    way: RegistrationSource | ContactType | Literal["partner", "open311"]
    """An address's type, or how an operator wrote it down."""
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

    number: Annotated[str, Field(pattern=r"^[0-9]{3,8}$")]
    name: Words
    subjects: Annotated[tuple[Words, ...], Field(max_length=200)] = ()
    """Words that tell a matter for it: 消费投诉, 假冒伪劣."""
    refer: bool = False
    """Whether a matter for it is suggested for referral, or only marked for it."""


class EmergencyRule(Rule):
    """An emergency line."""

    line: EmergencyLine
    name: Words
    tell: Words
    """What the citizen is told at once."""


class CrisisRule(Rule):
    """What is said to somebody whose own life is in danger."""

    tell: Words


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


class Profile(Frozen):
    """The rules of one city."""

    title: Words
    """The regulation they come from, by its own name."""
    ways_in: tuple[WayIn, ...]
    parties: tuple[PartyRule, ...]
    kinds: tuple[KindRule, ...]
    records: tuple[RecordRule, ...]
    grounds: tuple[GroundRule, ...]
    platforms: tuple[PlatformRule, ...]
    emergencies: tuple[EmergencyRule, ...]
    crisis: CrisisRule
    limits: tuple[LimitRule, ...]
    confidentiality: ConfidentialityRule
    conduct: tuple[ConductRule, ...]
    rights: tuple[RightRule, ...]
    intake_articles: tuple[Words, ...]
    """Every article or section that touches the entrance: each has a rule here and a test."""
