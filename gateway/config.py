"""config.yaml: the one file an operator edits. Every fault is told with file, line, key and mend.

Values may be overridden from the environment (``HOTLINE__SERVER__LISTEN``); paths are relative to the file's folder.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    Field,
    SecretStr,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from channels.settings import (
    CertificatesFile,
    ChannelSettings,
    Client,
    LocalPath,
    Secret,
    Strict,
    is_webhook_secret,
    located,
)
from gateway.addresses import HostPort, HttpUrl, ScannerAddress, SinkUrl, Subject, broker_url, http_url

#: Profiles that ship with the gateway (gateway/profiles/).
PROFILES = ("jinan", "weifang", "lianyungang", "mayors-telephone", "xiangyang")


def is_path(profile: str) -> bool:
    """Whether a profile is named by its file: my-city.yaml, ../rules/city.yml."""
    return profile.endswith((".yaml", ".yml"))


class City(Strict):
    """Whose hotline this is."""

    name: str = "12345"
    """Shown to citizens and operators."""
    profile: str = "jinan"
    """The city's rules: jinan, weifang, lianyungang, mayors-telephone or xiangyang; or a file of your own, my-city.yaml."""
    timezone: str = "Asia/Shanghai"
    """IANA name; tracking codes carry the date of this zone."""
    division_code: Annotated[str, Field(pattern=r"^\d{6}$")] = "370100"
    """GB/T 2260; in quotes."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("not an IANA time zone; write for example Asia/Shanghai") from None
        return value

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, value: str, info: ValidationInfo) -> str:
        if value in PROFILES:
            return value
        if not is_path(value):
            raise ValueError(f"unknown profile; choose one of {', '.join(PROFILES)}, or write the path of a YAML file")
        path = located(Path(value), info)
        if not path.is_file():
            raise ValueError(f"{value} is no file; write the path of your profile from this file's folder")
        return str(path)


class Server(Strict):
    """The HTTP entrance."""

    listen: HostPort = "127.0.0.1:8080"
    """Host and port; port 0 takes any free one."""
    operations_listen: HostPort = "127.0.0.1:0"
    """Where a process without the role edge tells how it fares (/livez, /readyz, /metrics); 0: any free port, logged."""
    public_url: HttpUrl = "http://127.0.0.1:8080"
    """How providers reach the entrance; request signatures cover it. Without a slash at the end."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks whose X-Forwarded-For is believed."""
    token: Secret | None = None
    """Bearer token for /metrics, /readyz and /docs from elsewhere than loopback."""

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")


class ScanSettings(Strict):
    """The virus scanner: ClamAV's clamd."""

    clamd: ScannerAddress
    """Its socket, ``unix:/run/clamav/clamd.ctl``, or its host:port; files go over it as they are, so not over a network."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 60
    """How long one file may take."""
    withhold_unscanned: bool = True
    """Files that could not be scanned are not given out either; see OPERATING.md."""


class StoreSettings(Strict):
    """Where everything is kept."""

    url: str = "sqlite:///var/gateway.db"
    """``sqlite:///path`` for one node, ``postgresql://…`` for one or many."""
    files: str = "var/files"
    """What citizens sent beside words: a folder, or ``s3://bucket/prefix`` with the credentials in the environment."""
    scan: ScanSettings | None = None
    """The virus scanner that every file is shown to; without one all stay ``unscanned``."""
    journal: LocalPath = Path("var/journal")
    """Folder on this machine's own disk: deliveries are kept there while PostgreSQL does not answer."""
    reserve_megabytes: Annotated[int, Field(ge=0, le=10_000)] = 16
    """Space kept back on the disk that deliveries are written to, at most a twentieth of it; 0: none."""

    @field_validator("files")
    @classmethod
    def _known_place(cls, value: str, info: ValidationInfo) -> str:
        if value.startswith("s3://"):
            return value
        if "://" in value or not value.strip():
            raise ValueError("write a folder or s3://bucket/prefix")
        return str(located(Path(value), info))

    @field_validator("url")
    @classmethod
    def _known_database(cls, value: str, info: ValidationInfo) -> str:
        try:
            url = make_url(value)
            backend = url.get_backend_name()
        except (ArgumentError, NoSuchModuleError, ValueError):  # ValueError of a port would quote a password
            raise ValueError("not a database URL; write sqlite:///var/gateway.db or postgresql://…") from None
        if backend not in {"sqlite", "postgresql"}:
            raise ValueError(f"{backend} is not supported; write sqlite:///… or postgresql://…")
        if backend == "sqlite":
            url = url.set(database=str(located(Path(url.database or "var/gateway.db"), info)))
        return url.render_as_string(hide_password=False)


class Keys(Strict):
    """The key file."""

    file: LocalPath = Path("var/keys.json")
    """Made at the first start, mode 0600; back it up apart from the database."""


class SinkSettings(Strict):
    """Where events go, and how."""

    sink: Literal["webhook", "broker", "file"] = "webhook"
    """``webhook``: CloudEvents by POST; ``broker``: to NATS, Kafka or RabbitMQ; ``file``: one JSON line per event."""
    tls: bool = False
    """Whether the broker is spoken to by TLS; its certificate is checked. A webhook's address says it: https."""
    url: SinkUrl | None = None
    """Where the webhook posts to, or the broker: ``nats://``, ``kafka://`` or ``amqp://``, host and port."""
    secret: Secret | None = None
    """Standard Webhooks secret, ``whsec_`` and base64 of 24 to 64 bytes."""
    path: LocalPath | None = None
    """The file of sink ``file``."""
    subject: Subject = "hotline.events"
    """Where a broker puts the events: NATS subject, Kafka topic, RabbitMQ queue."""
    username: str | None = None
    """Who we are to the broker."""
    password: Secret | None = None
    """Goes with ``username``."""
    sasl: Literal["plain", "scram-sha-256", "scram-sha-512"] = "scram-sha-512"
    """How Kafka is told the password; ``plain`` shows it to whoever listens, unless ``tls`` is set."""
    ca_file: CertificatesFile | None = None
    """Certificates (PEM) of the authority that signed the broker's, if it is none of the system's."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 15
    """How long one delivery may take (Standard Webhooks advises 15 to 30 s)."""
    events_per_second: Annotated[float, Field(gt=0, le=10_000)] = 600
    """The most that is sent in a second, also after an outage; a node that leads the sink keeps it for all."""

    @field_validator("url")
    @classmethod
    def _of_its_sink(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or "sink" not in info.data:
            return value
        if info.data["sink"] == "broker":
            return broker_url(value, tls=info.data.get("tls", False))
        return http_url(value)

    @field_validator("secret")
    @classmethod
    def _usable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_webhook_secret(value.get_secret_value()):
            raise ValueError("must be whsec_ and base64 of 24 to 64 bytes; `gateway demo` makes one")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SinkSettings:
        if self.sink == "file":
            if self.path is None:
                raise ValueError("sink file needs path, the file to append to")
        elif self.url is None:
            raise ValueError(f"sink {self.sink} needs url, the address it delivers to")
        if self.sink == "webhook" and self.secret is None:
            raise ValueError("sink webhook needs secret, a Standard Webhooks secret (whsec_…)")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; set both or neither")
        return self


class Core(SinkSettings):
    """The case core that dispatches matters, and how it gets them."""

    clients: tuple[Client, ...] = ()
    """Who may post updates."""
    copies: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")], SinkSettings] = Field(default_factory=dict)
    """Further sinks that get every event, by a name of yours; each has its own queue, and none waits for another."""

    @field_validator("copies")
    @classmethod
    def _other_names(cls, value: dict[str, SinkSettings]) -> dict[str, SinkSettings]:
        if "core" in value:
            raise ValueError("core is the name of the case core itself; choose another")
        return value


class RepliesSettings(Strict):
    """What goes back to citizens."""

    acknowledge: bool = True
    """Tell a citizen the number of his new matter, where his channel can be answered."""
    ride: bool = True
    """Let a provider wait up to 2 s for its acknowledgement, so that the answer rides on it (WeChat, Weibo)."""
    fallback: tuple[str, ...] = ()
    """Channels, by name, on which the core's word is tried in this order when his own cannot take it."""


class Dedupe(Strict):
    """Same matter, same citizen, same incident."""

    settle_seconds: Annotated[float, Field(ge=0, le=180)] = 60
    """How long the pieces of a conversation are waited for before the core is told."""
    same_caller_days: Annotated[int, Field(ge=1, le=365)] = 30
    """Window for the same caller."""
    incident_days: Annotated[int, Field(ge=1, le=365)] = 14
    """Window for one incident."""
    linking: Literal["join", "suggest", "off"] = "join"
    """What is done about messages that are alike: joined where it is sure and else suggested to a person; only suggested;
    or nothing."""
    link_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """From which score on another caller's matter is surely the same cause; none: as measured (docs/EVALUATING.md)."""
    suggestion_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """From which score on a person should look; none: as measured."""
    index_messages: Annotated[int, Field(ge=1000, le=1_000_000)] = 200_000
    """How many messages a node keeps in memory to compare with, the newest; about 1.5 KB each."""


class Conduct(Strict):
    """What is noticed of how somebody writes, and what then waits for a person. Nothing here refuses anybody."""

    hold_minutes: Annotated[float, Field(ge=0, le=1440)] = 60
    """How long after it came a message waits for a person at most; then it goes on with its flags. 0: nothing waits."""
    hold_score: Annotated[float, Field(gt=0, le=1)] = 0.9
    """From which score of a flag on a message waits, and its matter is marked for review."""
    flag_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long a flag counts."""
    flood_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Messages of one caller within a minute, a conversation counted as one: from here on a flag, at five times of it .9."""
    flood_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 200
    """The same within an hour."""
    pieces_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 60
    """The same within a minute, every piece of a conversation counted."""
    pieces_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 400
    """The same within an hour."""
    copies_per_minute: Annotated[int, Field(ge=2, le=10_000)] = 6
    """The very same words of one caller within a minute."""
    copies_per_hour: Annotated[int, Field(ge=2, le=10_000)] = 20
    """The same within an hour, where they do not ask for what is owed to him."""
    calls_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Calls of one caller that operators took within an hour, those about what is owed to him aside."""
    repeats_30d: Annotated[int, Field(ge=1, le=10_000)] = 3
    """How often somebody asks again within 30 days about what was answered, with nothing new."""


class Empty(Strict):
    """A section without settings in this version."""


class Config(Strict):
    """The whole of config.yaml."""

    city: City = City()
    server: Server = Server()
    store: StoreSettings = StoreSettings()
    keys: Keys = Keys()
    core: Core
    channels: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")], SerializeAsAny[ChannelSettings]]
    triage: Empty = Empty()
    dedupe: Dedupe = Dedupe()
    replies: RepliesSettings = RepliesSettings()
    conduct: Conduct = Conduct()
    retention: Empty = Empty()
    console: Empty = Empty()

    @model_validator(mode="after")
    def _known_fallback(self) -> Config:
        unknown = [name for name in self.replies.fallback if name not in self.channels]
        if unknown:
            raise ValueError(f"replies.fallback names {unknown[0]}, which is no channel here; use a key of channels")
        return self

    @field_validator("channels", mode="before")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if not value:
            raise ValueError("no channel is configured; add at least one")
        return value
