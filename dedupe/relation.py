"""What a message is to the matters before it. Redeliveries never come here: the database's unique key settled them."""

from __future__ import annotations

from normalizer.model import Message, Outcome, Past, Verdict


def relation(message: Message, past: Past) -> Verdict:
    """A message that names a matter of the same caller adds to it; any other is a new matter.

    A named matter of somebody else is no link: a number alone opens nobody's file.
    """
    if past.named is not None:
        return Verdict(
            outcome=Outcome.ATTACHED, matter_id=past.named.matter_id, reason="names this matter of its caller"
        )
    if message.in_reply_to is not None:
        return Verdict(outcome=Outcome.FILED, reason="names a matter that is not its caller's")
    return Verdict(outcome=Outcome.FILED, reason="no earlier matter named")
