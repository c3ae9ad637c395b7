"""What can go wrong at a channel.

ChannelError
├── Unauthenticated   the request does not prove who sent it: nothing is kept, the reason is counted
├── Unacceptable      an API client broke the contract: nothing is kept, told in one sentence
│   └── TooMany       it calls more often than it may
├── Rebound           a key already stands for another body (raised by ``deliver``): nothing is kept
├── StateConflict     a change of state did not find what it expected (raised by ``deliver``): another node was faster
├── Unavailable       we could not keep it (raised by ``deliver``): the provider shall try again; retryable
├── Malformed         kept, but cannot be read: theirs
├── NotSent           a reply surely did not go out, and may if it is tried again (raised by ``send``); retryable
├── Undeliverable     a reply surely did not go out and never will this way (raised by ``send``): the next way is tried
├── Uncertain         a reply may have gone out (raised by ``send``): it is never sent again by itself
└── Missing           the provider does not have the picture or recording any more (raised by ``download``)
"""

from __future__ import annotations

from typing import Any


class ChannelError(Exception):
    """Base of all; ``reason`` is one word for the metrics and never holds anything a citizen or attacker wrote."""

    #: Whether the same delivery may succeed later.
    retryable = False

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        #: A sentence for the API client that may see it.
        self.detail = detail

    def __reduce__(self) -> tuple[type[ChannelError], tuple[Any, ...]]:
        return type(self), (self.reason, self.detail)


class Unauthenticated(ChannelError):
    """The request does not prove who sent it."""


class Unacceptable(ChannelError):
    """The request is authentic and breaks the API contract; ``status`` is the HTTP status to answer."""

    def __init__(self, reason: str, detail: str = "", status: int = 422) -> None:
        super().__init__(reason, detail)
        self.status = status


class TooMany(Unacceptable):
    """An API client calls more often than it may; ``after_seconds`` is how long it shall wait."""

    retryable = True

    def __init__(self, reason: str, after_seconds: float) -> None:
        super().__init__(reason, "This client calls more often than it may; try again later.", status=429)
        self.after_seconds = after_seconds

    def __reduce__(self) -> tuple[type[ChannelError], tuple[Any, ...]]:
        return type(self), (self.reason, self.after_seconds)


class Rebound(ChannelError):
    """The key of the envelope's binding already stands for another body."""


class StateConflict(ChannelError):
    """A compare-and-set found another value: another node was faster; nothing was kept."""

    retryable = True


class Unavailable(ChannelError):
    """The store cannot keep anything now."""

    retryable = True


class Malformed(ChannelError):
    """A kept envelope that cannot be read, through no fault of ours."""


class NotSent(ChannelError):
    """The provider did not take the reply; ``after_seconds`` is how long it asks us to wait, 0 where it does not say."""

    retryable = True

    def __init__(self, reason: str, after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Undeliverable(ChannelError):
    """The provider will not take the reply; ``unreachable`` when the citizen does not want to hear from us there."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class Uncertain(ChannelError):
    """Whether the provider took the reply cannot be known: it did not answer, or not in its own words."""


class Missing(ChannelError):
    """The provider has no such file, or not any more."""
