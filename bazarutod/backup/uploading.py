"""Finished backups go to a bucket, by the command `aws`, and the store is asked how much has arrived."""

from __future__ import annotations

from bazarutod.backup import BackupError, programs
from bazarutod.backup.settings import Settings


def upload(settings: Settings, *names: str) -> None:
    """Upload files of the folder of backups, and see that all of the first has arrived."""
    if not settings.backup_bucket:
        return
    # The endpoint is an option of the command, because old ones ignore the variable.
    endpoint = ["--endpoint-url", settings.s3_endpoint_url] if settings.s3_endpoint_url else []
    aws, place = programs.of_system("aws"), settings.backup_bucket.rstrip("/")
    for name in names:
        copy = ("s3", "cp", "--only-show-errors", settings.backup_dir / name, f"{place}/{name}")
        programs.call(aws, *endpoint, *copy, failure=f"{name} was not uploaded to {settings.backup_bucket}")
    first = f"{place}/{names[0]}"
    bucket, _, key = first.removeprefix("s3://").partition("/")
    question = (
        "s3api",
        "head-object",
        "--bucket",
        bucket,
        "--key",
        key,
        "--query",
        "ContentLength",
        "--output",
        "text",
    )
    arrived = programs.call(aws, *endpoint, *question, failure=f"{first} cannot be looked at").strip()
    if arrived != str((settings.backup_dir / names[0]).stat().st_size):
        raise BackupError(f"{first} has {arrived} bytes, which is not all of it")
