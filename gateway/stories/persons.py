"""Stories about who is who: one person on several channels, several persons on one number, and those who pretend."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gateway.stories import letters
from gateway.stories.people import Person, Way
from gateway.stories.story import CODE, Relation, Written
from gateway.stories.teller import DAY, HOUR, OWN, Teller

NEW, CHASE, ADDS = Relation.NEW, Relation.CHASE, Relation.ADDS


def ordinary(told: Teller) -> None:
    """Somebody writes once: most do."""
    person, way = told.somebody()
    told.writes(person, way, told.cause(), NEW)


def proven_by_number(told: Teller) -> None:
    """The app knows his number, he has confirmed it by code on WeChat, and an SMS comes from it as well."""
    person = told.people.person()
    app = told.people.way(person, "app").showing("phone", person.number, "app_login")
    chat = told.people.way(person, "wechat").showing("phone", person.number, "code")
    vouched = told.people.vouched(person)
    ways = [app, chat, vouched]
    told.rng.shuffle(ways)
    _one_person(told, person, ways)


def proven_by_union(told: Teller) -> None:
    """He logs into the app by WeChat, and writes to two official accounts of the city."""
    person, union = told.people.person(), told.people.union()
    app = told.people.way(person, "app").showing("unionid", union, "app_login")
    chat = told.people.way(person, "wechat").showing("unionid", union, "provider")
    other = replace(told.people.way(person, "wechat").showing("unionid", union, "provider"), account="gh_district")
    ways = [app, chat, other]
    told.rng.shuffle(ways)
    _one_person(told, person, ways)


def _one_person(told: Teller, person: Person, ways: list[Way]) -> None:
    """He tells a matter on one, asks for it or adds to it on the next, tells another on the last."""
    about = told.cause()
    told.writes(person, ways[0], about, NEW)
    told.later(6 * HOUR, 5 * DAY)
    _comes_back(told, person, ways[1], about)
    told.later(6 * HOUR, 5 * DAY)
    told.writes(person, ways[2], told.cause(), NEW)


def _comes_back(told: Teller, person: Person, way: Way, about: letters.Cause) -> None:
    if told.rng.random() < 0.5:
        told.writes(person, way, about, CHASE, letters.urge(told.rng, about))
    else:
        told.writes(person, way, about, ADDS, letters.news(told.rng, about))


def proven_by_operator(told: Teller) -> None:
    """An operator knows that two accounts are one person."""
    person, about = told.people.person(), told.cause()
    one, other = (told.people.way(person, channel) for channel in told.rng.sample(OWN, 2))
    first = told.writes(person, one, about, NEW)
    told.later(HOUR, DAY)
    second = told.writes(person, other, told.cause(), NEW)
    told.later(HOUR, DAY)
    told.operator(first, second, "核对过身份")
    told.later(3 * DAY, 5 * DAY)
    _comes_back(told, person, other, about)


def not_proven(told: Teller) -> None:
    """The same person on three channels, who only writes down his name and number: three callers."""
    person, about = told.people.person(), told.cause()
    channels = ("wechat", *told.rng.sample(("app", "smtp", "telegram", "weibo"), 2))
    for place, channel in enumerate(channels):
        way = told.people.way(person, channel).stating(person.number)
        words = letters.letter(told.rng, about, channel, person.name)
        words = replace(words, text=f"{words.text}我叫{person.name}，电话{person.number.removeprefix('+86')}。")
        caller = f"{person.label} on {channel}"
        told.writes(person, way, about, Relation.INCIDENT if place else NEW, words, caller=caller)
        told.later(6 * HOUR, 3 * DAY)


def forged_number(told: Teller) -> None:
    """His number is proven in the app; an SMS that claims to come from it is nobody's word."""
    person, about = told.people.person(), told.cause()
    app = told.people.way(person, "app").showing("phone", person.number, "app_login")
    told.writes(person, app, about, NEW)
    told.later(6 * HOUR, 5 * DAY)
    rogue = told.people.person()
    claimed = told.people.way(replace(rogue, number=person.number), "sms_aliyun")
    told.writes(rogue, claimed, told.cause(), NEW)


def family(told: Teller) -> None:
    """Two have given the app one number; a third account of the number is believed only until that is known."""
    mother, daughter = told.people.person(), told.people.person()
    number = mother.number
    ways = [told.people.way(mother, "app"), told.people.way(daughter, "app")]
    first, second = (way.showing("phone", number, "app_login") for way in ways)
    chat = told.people.way(daughter, "wechat").showing("phone", number, "code")
    told.writes(mother, first, told.cause(), NEW)
    told.later(HOUR, 10 * DAY)
    if told.rng.random() < 0.5:
        told.writes(daughter, chat, told.cause(), NEW, caller=f"{daughter.label} on wechat")
        told.later(HOUR, 10 * DAY)
    told.certain_from = told.writes(daughter, second, told.cause(), NEW)
    told.later(HOUR, 10 * DAY)
    told.writes(mother, first, told.cause(), NEW)


def office(told: Teller) -> None:
    """Many employees call from an office's single number, each with a matter of his own: one line, many matters."""
    line, unit = told.people.person(), f"{told.cause().place.firm}实业有限公司"
    way = told.people.way(line, "telephone")
    for _ in range(told.rng.randint(4, 7)):
        caller = told.people.person()
        who = replace(way, name=caller.name, unit=unit)
        told.writes(caller, who, told.cause(), NEW, caller=line.label)
        told.later(2 * HOUR, 3 * DAY)


def recycled(told: Teller) -> None:
    """A number is given to somebody else, who registers it months or a year later: another person."""
    before, after = told.people.person(), told.people.person()
    old = told.people.way(before, "app").showing("phone", before.number, "app_login")
    chat = told.people.way(before, "wechat").showing("phone", before.number, "code")
    told.writes(before, old, about := told.cause(), NEW)
    told.later(DAY, 3 * DAY)
    _comes_back(told, before, chat, about)
    told.later(120 * DAY, 390 * DAY)
    telegram = told.people.way(after, "telegram").showing("phone", before.number, "code")
    told.writes(after, telegram, told.cause(), NEW)


def spoofed(told: Teller) -> None:
    """Somebody writes in the name of a citizen's mail address, about his matter or to hear of it."""
    person, about = told.people.person(), told.cause()
    mail = told.people.way(person, "smtp")
    first = told.writes(person, mail, about, NEW)
    told.later(HOUR, 4 * DAY)
    rogue = told.people.person()
    forged = replace(told.people.spoofed(mail), name=person.name)
    asking = Written("查询", f"请问受理编号{CODE}的办理进度怎么样了？")
    stranger = f"{rogue.label} as {person.label}"
    told.writes(rogue, forged, about, Relation.STRANGER, asking, cites=first, caller=stranger)
    told.later(HOUR, 2 * DAY)
    told.writes(rogue, forged, told.cause(), NEW, caller=stranger)
    told.later(HOUR, 2 * DAY)
    _comes_back(told, person, mail, about)


def wrong_join(told: Teller) -> None:
    """An operator joins two accounts, one writes on, and the join is undone: everything is as if it had never been."""
    people = (told.people.person(), told.people.person())
    ways = [told.people.way(one, channel) for one, channel in zip(people, told.rng.sample(OWN, 2), strict=True)]
    causes = (told.cause(), told.cause())
    one = told.writes(people[0], ways[0], causes[0], NEW)
    told.later(HOUR, DAY)
    other = told.writes(people[1], ways[1], causes[1], NEW)
    told.later(HOUR, DAY)
    told.operator(one, other, "同名同住址", timedelta(days=3))
    told.later(HOUR, DAY)
    told.writes(people[0], ways[0], told.cause(), NEW)
    told.later(4 * DAY, 6 * DAY)
    told.certain_from = other + 2
    for person, way, about in zip(people, ways, causes, strict=True):
        _comes_back(told, person, way, about)
        told.later(HOUR, DAY)
