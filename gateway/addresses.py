"""Addresses as config.yaml holds them. Each check raises ValueError with the mend."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

HOST_PORT = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$"
SCANNER = rf"^unix:/[^\0]+$|{HOST_PORT}"
HTTP_URL = r"^https?://[^\s/?#]+[^\s?#]*$"
_SERVER = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
BROKER_URL = rf"^((nats|kafka)://{_SERVER}|amqp://{_SERVER}(/[^\s/?#]*)?)$"
SUBJECT = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
#: Kafka takes 249 characters, RabbitMQ 255 bytes; a NATS stream is named after it.
SUBJECT_LENGTH = 200
#: Where a broker listens if the address does not say (IANA; RabbitMQ's with TLS is 5671).
BROKER_PORTS = {"nats": 4222, "kafka": 9092, "amqp": 5672}


def host_port(value: str) -> str:
    """The value itself, if it is a host and a port."""
    if not re.fullmatch(HOST_PORT, value) or int(value.rpartition(":")[2]) > 65_535:
        raise ValueError("write host:port, for example 127.0.0.1:8080")
    return value


def _is_address(value: str, pattern: str) -> bool:
    try:
        parts = urlsplit(value)
        (parts.hostname or "").encode("idna")
        return bool(re.fullmatch(pattern, value) and parts.hostname and parts.port != 0)
    except ValueError:  # a port, an IPv6 address or a host name that is none
        return False


def http_url(value: str) -> str:
    """The value itself, if it is an address of http or https."""
    if not _is_address(value, HTTP_URL):
        raise ValueError("not an address; write http://host:port/path or https://…, without a query")
    return value


def broker_url(value: str, *, tls: bool) -> str:
    """The address of one broker, with its port; a cluster's others are learned from it."""
    if "@" in value:
        raise ValueError("an address holds no password; set username and password beside it")
    if not _is_address(value, BROKER_URL):
        raise ValueError("not a broker's address; write nats://host:port, kafka://host:port or amqp://host:port/vhost")
    parts = urlsplit(value)
    if parts.port is not None:
        return value
    port = 5671 if tls and parts.scheme == "amqp" else BROKER_PORTS[parts.scheme]
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


def subject(value: str) -> str:
    """The value itself, if NATS, Kafka and RabbitMQ all take it for the name of one place."""
    if len(value) > SUBJECT_LENGTH or not re.fullmatch(SUBJECT, value):
        raise ValueError("write words of A-Z a-z 0-9 _ - with dots between, for example hotline.events")
    return value


def scanner_address(value: str) -> str:
    """The value itself, if it is a socket of this machine or host and port."""
    if not re.fullmatch(SCANNER, value) or (value[:5] != "unix:" and int(value.rpartition(":")[2]) > 65_535):
        raise ValueError("write unix:/path/of/the/socket or host:port")
    return value


HostPort = Annotated[str, AfterValidator(host_port), WithJsonSchema({"type": "string", "pattern": HOST_PORT})]
SinkUrl = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"{HTTP_URL}|{BROKER_URL}"})]
HttpUrl = Annotated[str, AfterValidator(http_url), WithJsonSchema({"type": "string", "pattern": HTTP_URL})]
ScannerAddress = Annotated[str, AfterValidator(scanner_address), WithJsonSchema({"type": "string", "pattern": SCANNER})]
Subject = Annotated[
    str,
    AfterValidator(subject),
    WithJsonSchema({"type": "string", "pattern": SUBJECT, "maxLength": SUBJECT_LENGTH}),
]
