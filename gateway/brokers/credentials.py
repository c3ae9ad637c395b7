"""Who we are to a broker, and how we know that it is ours."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from faststream.security import BaseSecurity, SASLPlaintext

from gateway.config import SinkSettings


def security(settings: SinkSettings, mechanism: Callable[..., BaseSecurity] = SASLPlaintext) -> BaseSecurity:
    """User and password by this mechanism, if any; a certificate of the system's authorities or ``ca_file``."""
    context = ssl.create_default_context(cafile=settings.ca_file) if settings.tls else None
    if settings.username is None or settings.password is None:
        return BaseSecurity(ssl_context=context)
    return mechanism(settings.username, settings.password.get_secret_value(), ssl_context=context)
