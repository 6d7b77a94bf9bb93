"""The configuration of a process, in three layers, checked before anything starts.

The packaged `config.yaml` is the lowest one: it has every key with its default, and it alone names the services. A
file of the operator lies above it, and variables above both: `BAZARUTO_DB__MAX_CONNECTIONS=20` joins nested keys by
two underscores. One configuration describes the whole suite, so that a process knows where its neighbours are. An
unknown key or a bad value stops the process with the key named.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

PREFIX = "BAZARUTO_"
CONFIG_FILE = "BAZARUTO_CONFIG"  # path of the operator's YAML file; the only variable that is not a key
_PACKAGED = Path(__file__).parents[1] / "config.yaml"  # beside the packages, in the tree as where they are installed
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class ConfigError(Exception):
    """The configuration cannot be used; the message names each wrong key and why."""


def _duration(value: Any) -> Any:
    """Read `250ms`, `30s`, `15m`, `1h`, `1h30m`, `2w`."""
    if isinstance(value, timedelta):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", str(value))
    if not parts or "".join(n + u for n, u in parts) != str(value):
        raise ValueError(f"{value!r} is not a duration such as 250ms, 30s, 15m or 1h30m")
    return timedelta(seconds=sum(float(n) * _UNITS[u] for n, u in parts))


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$")]


class Section(BaseModel):
    """A part of the configuration that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DbSettings(Section):
    """The connection pool of each process. The sum over all processes must stay below what the server allows."""

    max_connections: int = Field(ge=1, le=1000)
    min_connections: int = Field(ge=0)
    max_lifetime: Duration
    idle_timeout: Duration
    acquire_timeout: Duration
    statement_timeout: Duration
    lock_timeout: Duration
    slow_query: Duration
    prepare_threshold: int = Field(ge=0)
    replica_max_lag: Duration


class ServiceSettings(Section):
    """Where one service listens, where others reach it, and its database."""

    listen: Address
    address: str
    metrics: Address
    worker_metrics: Address
    db_url: str
    db_url_file: str
    db_replica_url: str
    workers: int = Field(ge=1, le=64)

    @model_validator(mode="before")
    @classmethod
    def _read_url(cls, given: Any) -> Any:
        """A URL holds a password; a file keeps it out of the environment and of the configuration."""
        path = given.get("db_url_file") if isinstance(given, dict) else None
        if not path or given.get("db_url"):
            return given
        try:
            return {**given, "db_url": Path(path).read_text().strip()}
        except OSError as error:
            raise ValueError(f"db_url_file: {error}") from error

    @property
    def target(self) -> str:
        """The gRPC target that callers dial."""
        return self.address or self.listen


class GatewaySettings(Section):
    """The HTTP front."""

    listen: Address
    workers: int = Field(ge=1, le=64)
    trusted_proxies: tuple[str, ...]
    max_body_bytes: int = Field(ge=1024)
    max_in_flight: int = Field(ge=1)
    descriptors: str
    alerts_url: str = Field(pattern=r"^(https?://\S+)?$")


class AuthSettings(Section):
    """Tokens. Those of people are signed with the keys of `key_folder`; services sign for each other with a secret."""

    issuer: str
    audience: str
    access_token_lifetime: Duration
    refresh_token_lifetime: Duration
    key_folder: Path
    internal_secret_file: Path


class ClockSettings(Section):
    """By how much the clock of the domain is moved: a file says so, outside production."""

    file: Path


class SecretsSettings(Section):
    """Keys of what is sealed in databases."""

    field_keys: Path


class JobSettings(Section):
    """How workers work."""

    concurrency: int = Field(ge=1, le=64)
    heartbeat: Duration
    stalled_after: Duration
    max_attempts: int = Field(ge=1)
    retry_wait: Duration
    retry_cap: Duration
    time_limit: Duration
    kept: Duration


class MailSettings(Section):
    """The SMTP server that letters to people go through; without a host none is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    host: str
    port: int = Field(ge=1, le=65535)
    tls: Literal["none", "starttls", "tls"]
    ca_file: str
    username: str
    password_file: str
    from_: str = Field(
        alias="from",
        pattern=r"^([^<>@\s][^<>@\r\n]* <[!-;=?A-~]+@[!-;=?A-~]+>|[!-;=?A-~]+@[!-;=?A-~]+)$",
    )
    timeout: Duration

    @model_validator(mode="after")
    def _keep_the_password(self) -> MailSettings:
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and password_file belong together")
        if self.username and self.tls == "none":
            raise ValueError("a password is not sent without TLS; set tls to starttls or tls")
        return self


class RedisSettings(Section):
    """Redis; without a URL each process keeps to itself."""

    url: str


class TelemetrySettings(Section):
    """Traces. The exporter's own variables (`OTEL_EXPORTER_OTLP_*`) apply when the endpoint is set."""

    sampling: float = Field(ge=0, le=1)
    otlp_endpoint: str
    spans_folder: str


class Settings(BaseSettings):
    """What every process can be set to. A process that has a section of its own adds it in a subclass."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    environment: Literal["development", "test", "production"]
    log_level: Literal["debug", "info", "warning", "error"]
    log_file: str
    log_email: Literal["masked", "full", "hidden"]
    reflection: bool | None
    drain: Duration
    threads: int = Field(ge=1, le=256)
    db: DbSettings
    redis: RedisSettings
    auth: AuthSettings
    secrets: SecretsSettings
    clock: ClockSettings
    jobs: JobSettings
    mail: MailSettings
    telemetry: TelemetrySettings
    gateway: GatewaySettings
    services: dict[str, ServiceSettings]

    @model_validator(mode="before")
    @classmethod
    def _leave_sections_of_others(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The packaged file has sections that only one service knows; that one checks them."""
        return {name: value for name, value in given.items() if name in cls.model_fields or name not in _packaged()}

    @field_validator("services", mode="before")
    @classmethod
    def _know_every_service(cls, given: dict[str, Any] | None) -> dict[str, Any]:
        known = _packaged()["services"]
        for name in given or {}:
            if name not in known:
                raise ValueError(f"unknown service {name!r}")
        return given or known

    @field_validator("clock")
    @classmethod
    def _keep_real_time_in_production(cls, clock: ClockSettings, info: ValidationInfo) -> ClockSettings:
        """What a moved clock makes is sold, billed and booked on days that have not come."""
        if info.data.get("environment") == "production":
            if str(clock.file) != _packaged()["clock"]["file"]:
                raise ValueError(f"file: production goes by real time; do not set {clock.file}")
            if os.path.exists(clock.file):  # not so where it may not be looked at
                raise ValueError(f"file: {clock.file} moves the clock, and production goes by real time; remove it")
        return clock

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers, highest first."""
        path = os.environ.get(CONFIG_FILE, "")
        file = (YamlConfigSettingsSource(settings_cls, yaml_file=path),) if path else ()
        return (init_settings, env_settings, *file, InitSettingsSource(settings_cls, _packaged()))

    @property
    def reflection_on(self) -> bool:
        """Whether gRPC reflection is served: asked for, or by default outside production."""
        return self.environment != "production" if self.reflection is None else self.reflection


Kind = TypeVar("Kind", bound=Settings)


def load() -> Settings:
    """Read and check the configuration. `ConfigError` names every wrong key."""
    return load_as(Settings)


def load_as(kind: type[Kind]) -> Kind:
    """Read and check the configuration of a process that has a section of its own."""
    path = os.environ.get(CONFIG_FILE, "")
    if path and not Path(path).is_file():
        raise ConfigError(f"{CONFIG_FILE}: there is no file {path}")
    known = {f"{PREFIX}{name.upper()}" for name in _packaged()} | {CONFIG_FILE}
    for name in os.environ:
        if name.startswith(PREFIX) and name.split("__")[0] not in known:
            raise ConfigError(f"{name}: unknown key")
    try:
        return kind()
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {_reason(e)}" for e in error.errors())
        raise ConfigError("\n".join(problems)) from error
    except SettingsError as error:
        raise ConfigError(str(error)) from error


def load_or_exit(kind: type[Kind]) -> Kind:
    """Read the configuration, or end the process with every wrong key named."""
    try:
        return load_as(kind)
    except ConfigError as error:
        sys.exit(f"configuration: {error}")


class _Defaults(Settings):
    """The lowest layer alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (InitSettingsSource(settings_cls, _packaged()),)


@cache
def defaults() -> Settings:
    """What the packaged file says, whatever is set above it."""
    return _Defaults()


@cache
def _packaged() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(_PACKAGED.read_text())
    return settings


def _reason(error: Any) -> str:
    """A short reason for one wrong key."""
    return "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")
