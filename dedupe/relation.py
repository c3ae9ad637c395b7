"""What a message is to the matters before it. Redeliveries never come here: the database's unique key settled them."""

from __future__ import annotations

from normalizer.model import HotlineMatter, Message, Outcome, Past, Verdict

#: What one matter may hold: every event carries all of it. Beyond, a message is a matter of its own.
MOST_MESSAGES, MOST_CHARACTERS = 50, 100_000


def relation(message: Message, past: Past) -> Verdict:
    """A message that names a matter of the same caller adds to it; any other is a new matter.

    A named matter of somebody else is no link: a number alone opens nobody's file.
    """
    if past.named is not None and _is_full(past.named):
        return Verdict(outcome=Outcome.FILED, reason="the matter it names holds as much as one matter may")
    if past.named is not None:
        return Verdict(
            outcome=Outcome.ATTACHED, matter_id=past.named.matter_id, reason="names this matter of its caller"
        )
    if message.in_reply_to is not None:
        return Verdict(outcome=Outcome.FILED, reason="names a matter that is not its caller's")
    return Verdict(outcome=Outcome.FILED, reason="no earlier matter named")


def _is_full(matter: HotlineMatter) -> bool:
    return len(matter.messages) >= MOST_MESSAGES or len(matter.content) >= MOST_CHARACTERS
