"""How a mailbox answers: the submission server, the signature on what goes out, and whom we believe about what comes in."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import AfterValidator, Field, SecretStr, model_validator

from channels.settings import CertificatesFile, Secret, Strict, on_this_machine

#: A domain in its ASCII form (RFC 1035 section 2.3.1, underscores for selectors).
Domain = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$"), AfterValidator(str.lower)]
#: Bits of an RSA key that signers should use at least (RFC 8301 section 3.2).
SMALLEST_KEY = 2048


def _signing(secret: SecretStr) -> SecretStr:
    """The key in the one form that dkimpy reads (PKCS #1, RFC 8017 appendix A.1.2)."""
    try:
        key = load_pem_private_key(secret.get_secret_value().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA private key in PEM; make one by `openssl genrsa 2048`")
    if key.key_size < SMALLEST_KEY:
        raise ValueError("the key is too short to be believed; make one by `openssl genrsa 2048`")
    return SecretStr(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode())


class Submission(Strict):
    """The mail server that takes what we send, and carries it on (RFC 6409)."""

    host: Annotated[str, Field(min_length=1)]
    """Its name, as in its certificate."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 by STARTTLS, 465 by TLS from the start."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """``none`` only on this machine."""
    username: Annotated[str, Field(min_length=1)] | None = None
    """Who we are to it."""
    password: Secret | None = None
    """Goes with ``username``."""
    ca_file: CertificatesFile | None = None
    """Certificates (PEM) of the authority that signed its own, if it is none of the system's."""
    from_name: Annotated[str, Field(max_length=60)] = "12345"
    """Shown to citizens beside our address."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; set both or neither")
        if self.tls == "none" and not on_this_machine(self.host):
            raise ValueError("tls: none shows citizens' mail to the network; use starttls or implicit")
        return self


class Dkim(Strict):
    """What signs mail of ours (RFC 6376), where the submission server does not."""

    selector: Domain
    """Its public key stands in DNS as ``<selector>._domainkey.<domain>``."""
    domain: Domain
    """Ours: that of every address of the mailbox, or one above."""
    private_key: Annotated[Secret, AfterValidator(_signing)]
    """RSA, PEM."""


def below(name: str, domain: str) -> bool:
    """Whether ``name`` is ``domain`` or lies in it; both in lower case."""
    return name == domain or name.endswith("." + domain)
