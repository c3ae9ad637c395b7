"""People of the stories, and the contacts they write from. Numbers and ids are made from the story's own number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from gateway.stories.places import person_name
from normalizer.model import Assurance, Contact, ContactType, Proof

#: Our address on each kind of channel.
ACCOUNTS = {
    "app": "city-app",
    "smtp": "mayor@example.gov.cn",
    "sms_aliyun": "1069012345",
    "telegram": "12345bot",
    "telephone": "cti",
    "wechat": "gh_12345hotline",
    "weibo": "1234500000",
}
#: Prime to 10^8, so that telephone numbers never repeat.
_STRIDE = 48_271


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody writes: the channel, his contact on it, and what comes with his messages."""

    channel: str
    sender: Contact
    account: str
    name: str | None = None
    unit: str | None = None
    contacts: tuple[Contact, ...] = ()
    proofs: tuple[Proof, ...] = ()

    def showing(self, kind: str, value: str, evidence: str) -> Way:
        """The same, with a proof."""
        proof = Proof.model_validate({"kind": kind, "value": value, "evidence": evidence})
        return replace(self, proofs=(*self.proofs, proof))

    def stating(self, number: str) -> Way:
        """The same, with a number merely written in a form."""
        return replace(self, contacts=(*self.contacts, phone(number, Assurance.ASSERTED)))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody."""

    label: str
    name: str
    #: E.164.
    number: str


def phone(number: str, assurance: Assurance) -> Contact:
    """A telephone number as a contact."""
    return Contact(type=ContactType.PHONE, value=number, assurance=assurance)


class People:
    """Makes the people of one story; those of another story number never share a contact with them."""

    def __init__(self, rng: Random, story: int) -> None:
        self._rng, self._next = rng, story * 200

    def person(self) -> Person:
        """Somebody new."""
        serial = self._serial()
        return Person(f"person {serial}", person_name(self._rng), self._number(serial))

    def way(self, person: Person, channel: str) -> Way:
        """A new contact of his there; by telephone and SMS his number, which the network does not vouch for."""
        name = person.name if channel in {"app", "telephone"} or self._rng.random() < 0.3 else None
        return Way(channel, self._contact(person, channel), ACCOUNTS[channel], name)

    def spoofed(self, way: Way) -> Way:
        """As anybody can write in the name of another's mail address."""
        return replace(way, sender=way.sender.model_copy(update={"assurance": Assurance.SPOOFABLE}))

    def vouched(self, person: Person) -> Way:
        """An SMS from his number by a provider that vouches for the number."""
        return Way("sms_aliyun", phone(person.number, Assurance.VERIFIED), ACCOUNTS["sms_aliyun"])

    def union(self) -> str:
        """A unionid."""
        return f"u{self._rng.getrandbits(130):036x}"[:28]

    def _contact(self, person: Person, channel: str) -> Contact:
        serial = self._serial()
        if channel in {"sms_aliyun", "telephone"}:
            return phone(person.number, Assurance.SPOOFABLE)
        kind, value = {
            "app": (ContactType.APP, f"resident-{serial}"),
            "smtp": (ContactType.MAIL, f"citizen{serial}@mail.example"),
            "telegram": (ContactType.TELEGRAM, str(700_000_000 + serial)),
            "wechat": (ContactType.WECHAT, f"o{self._rng.getrandbits(130):036x}"[:28]),
            "weibo": (ContactType.WEIBO, str(5_000_000_000 + serial)),
        }[channel]
        return Contact(type=kind, value=value, assurance=Assurance.VERIFIED)

    def _serial(self) -> int:
        self._next += 1
        return self._next

    def _number(self, serial: int) -> str:
        return f"+86199{serial * _STRIDE % 10**8:08d}"
