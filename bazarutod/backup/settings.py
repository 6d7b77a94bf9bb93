"""What a schedule gives the backups: environment variables with the names of these fields, in capital letters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bazarutod.backup import BackupError
from bazarutod.stack import SERVICES

_NOWHERE: Final = "backup_bucket"  # the one variable that says something by being empty


class Settings(BaseModel):
    """Where the server is, where backups go, and with what they are sealed.

    `PG_BIN`, the folder of PostgreSQL's programs, is read where they are started.
    """

    model_config = ConfigDict(frozen=True)

    db_host: str = Field("", description="the server")
    db_port: int = Field(5432, description="its port")
    db_user: str = Field("", description="the role; for base backups one with REPLICATION")
    db_password_file: Path | None = Field(
        None, description="its password, for files that PGPASSFILE refuses because others may read them"
    )
    db_name: str = Field("bazaruto", description='one database, several, or "all": those of the suite')
    pg_folder: Path | None = Field(
        None, description="instead of DB_HOST and DB_PORT: the data folder of a server on this machine"
    )
    backup_dir: Path = Field(Path("/backups"), description="where backups lie")
    backup_bucket: str = Field("s3://bazaruto-backups/", description="where they are uploaded; empty: nowhere")
    s3_endpoint_url: str = Field("", description="another S3 than Amazon's")
    backup_keep_days: int = Field(30, ge=0, description="days that a local copy is kept")
    age_recipients_file: Path | None = Field(
        None, description="public keys: seal with age, so that this machine cannot open what it has written"
    )
    age_identity_file: Path | None = Field(None, description="the private key, only where backups are opened")
    gpg_passphrase_file: Path | None = Field(None, description="without age: seal with gpg and this passphrase")
    metrics_dir: Path | None = Field(
        None, description="of node_exporter's textfile collector; by default Debian's, where it exists"
    )
    wal_archive: Path | None = Field(
        None, description="the archive of wal-archive.sh: what no kept base backup needs is removed from it"
    )
    config_dir: Path = Field(Path("/etc/bazaruto"), description="the folder of config.yaml and secrets/")
    app_data_dir: Path = Field(Path("/var/lib/bazaruto"), description="the application's data")
    pg_owner: str = Field("postgres", description="who gets a recovered data folder, when root makes it")
    backup_at: str = Field("02:00", description="when a schedule's night begins, HH:MM")
    retry_after: float = Field(3600, gt=0, description="seconds until a schedule tries again what failed")

    @property
    def databases(self) -> list[str]:
        """The names in `DB_NAME`."""
        if self.db_name == "all":
            return [f"bazaruto_{service}" for service in SERVICES]
        return self.db_name.replace(",", " ").split()


VARIABLES: Final = frozenset(name.upper() for name in Settings.model_fields)


def load() -> Settings:
    """The settings in the environment. An empty variable is one that is not set."""
    variables = {name: os.environ.get(name.upper()) for name in Settings.model_fields}
    try:
        return Settings.model_validate(
            {name: value for name, value in variables.items() if value or (name == _NOWHERE and value is not None)}
        )
    except ValidationError as error:
        problems = [f"{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
        raise BackupError("; ".join(problems)) from None
