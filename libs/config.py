"""The configuration of a process: a YAML file, overridden by `BAZARUTO_*` variables, checked before anything starts.

One file describes the whole suite, so that a process knows where its neighbours are. Nested keys are joined by
two underscores in the environment: `BAZARUTO_DB__MAX_CONNECTIONS=20`. An unknown key or a bad value stops the
process with the key named.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

PREFIX = "BAZARUTO_"
CONFIG_FILE = "BAZARUTO_CONFIG"  # path of the YAML file; the only variable that is not a key
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class ConfigError(Exception):
    """The configuration cannot be used; the message names each wrong key and why."""


def _duration(value: Any) -> Any:
    """Read `250ms`, `30s`, `15m`, `1h`, `1h30m`."""
    if isinstance(value, timedelta):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", str(value))
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

    max_connections: int = Field(10, ge=1, le=1000)
    min_connections: int = Field(1, ge=0)
    max_lifetime: Duration = timedelta(hours=1)
    idle_timeout: Duration = timedelta(minutes=10)
    acquire_timeout: Duration = timedelta(seconds=2)
    statement_timeout: Duration = timedelta(seconds=5)
    lock_timeout: Duration = timedelta(seconds=2)
    slow_query: Duration = timedelta(milliseconds=500)
    prepare_threshold: int = Field(5, ge=0)
    replica_max_lag: Duration = timedelta(seconds=5)


class ServiceSettings(Section):
    """Where one service listens, where others reach it, and its database."""

    listen: Address
    address: str = ""
    metrics: Address
    worker_metrics: Address
    db_url: str = ""
    db_url_file: str = ""
    db_replica_url: str = ""
    workers: int = Field(1, ge=1, le=64)

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

    listen: Address = "127.0.0.1:8080"
    workers: int = Field(1, ge=1, le=64)
    trusted_proxies: tuple[str, ...] = ()
    max_body_bytes: int = Field(1 << 20, ge=1024)
    max_in_flight: int = Field(1000, ge=1)
    descriptors: str = ""
    alerts_url: str = Field("", pattern=r"^(https?://\S+)?$")


class AuthSettings(Section):
    """Tokens. The users service signs with the keys of `key_folder`; services sign for each other with a secret."""

    issuer: str = "bazaruto"
    audience: str = "bazaruto"
    access_token_lifetime: Duration = timedelta(minutes=15)
    refresh_token_lifetime: Duration = timedelta(days=30)
    key_folder: Path = Path(".run/secrets/keys")
    internal_secret_file: Path = Path(".run/secrets/internal")


class JobSettings(Section):
    """How workers work."""

    concurrency: int = Field(4, ge=1, le=64)
    heartbeat: Duration = timedelta(seconds=10)
    stalled_after: Duration = timedelta(seconds=30)
    max_attempts: int = Field(8, ge=1)
    retry_wait: Duration = timedelta(seconds=1)
    retry_cap: Duration = timedelta(hours=1)
    time_limit: Duration = timedelta(minutes=15)
    kept: Duration = timedelta(days=7)


class MailSettings(Section):
    """The SMTP server that letters to people go through; without a host none is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    host: str = ""
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["none", "starttls", "tls"] = "starttls"
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    from_: str = Field(
        "Bazaruto <no-reply@bazaruto.com>",
        alias="from",
        pattern=r"^([^<>@\s][^<>@\r\n]* <[!-;=?A-~]+@[!-;=?A-~]+>|[!-;=?A-~]+@[!-;=?A-~]+)$",
    )
    timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _keep_the_password(self) -> MailSettings:
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and password_file belong together")
        if self.username and self.tls == "none":
            raise ValueError("a password is not sent without TLS; set tls to starttls or tls")
        return self


class PaymentSettings(Section):
    """Who collects money. Outside production the sandbox need not be named."""

    provider: Literal["", "sandbox"] = ""


class RedisSettings(Section):
    """Redis; without a URL each process keeps to itself."""

    url: str = ""


class TelemetrySettings(Section):
    """Traces. The exporter's own variables (`OTEL_EXPORTER_OTLP_*`) apply when the endpoint is set."""

    sampling: float = Field(1.0, ge=0, le=1)
    otlp_endpoint: str = ""
    spans_folder: str = ""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    environment: Literal["development", "test", "production"] = "development"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_file: str = ""
    log_email: Literal["masked", "full", "hidden"] = "masked"
    reflection: bool | None = None
    drain: Duration = timedelta(0)
    threads: int = Field(10, ge=1, le=256)
    db: DbSettings = DbSettings()
    redis: RedisSettings = RedisSettings()
    auth: AuthSettings = AuthSettings()
    jobs: JobSettings = JobSettings()
    mail: MailSettings = MailSettings()
    payments: PaymentSettings = PaymentSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    gateway: GatewaySettings = GatewaySettings()
    services: dict[str, ServiceSettings] = Field(default_factory=dict, validate_default=True)

    @field_validator("services", mode="before")
    @classmethod
    def _fill_in_ports(cls, given: Any) -> Any:
        from bazarutod.stack import DEFAULT_SERVICES  # the table of processes knows the ports

        given = given or {}
        unknown = set(given) - set(DEFAULT_SERVICES)
        if unknown:
            raise ValueError(f"unknown service {sorted(unknown)[0]!r}")
        return {name: {**ports, **given.get(name, {})} for name, ports in DEFAULT_SERVICES.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = os.environ.get(CONFIG_FILE, "")
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, YamlConfigSettingsSource(settings_cls, yaml_file=path)) if path else sources

    @property
    def reflection_on(self) -> bool:
        """Whether gRPC reflection is served: asked for, or by default outside production."""
        return self.environment != "production" if self.reflection is None else self.reflection


def load() -> Settings:
    """Read and check the configuration. `ConfigError` names every wrong key."""
    path = os.environ.get(CONFIG_FILE, "")
    if path and not Path(path).is_file():
        raise ConfigError(f"{CONFIG_FILE}: there is no file {path}")
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG_FILE}
    for name in os.environ:
        if name.startswith(PREFIX) and name.split("__")[0] not in known:
            raise ConfigError(f"{name}: unknown key")
    try:
        return Settings()
    except ValidationError as error:
        told = (f"{'.'.join(map(str, e['loc']))}: {_reason(e)}" for e in error.errors())
        raise ConfigError("\n".join(told)) from error
    except SettingsError as error:
        raise ConfigError(str(error)) from error


def load_or_exit() -> Settings:
    """Read the configuration, or end the process with every wrong key named."""
    try:
        return load()
    except ConfigError as error:
        sys.exit(f"configuration: {error}")


def _reason(error: Any) -> str:
    """A short reason for one wrong key."""
    return "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")
