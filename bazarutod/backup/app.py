"""`bazarutod backup`: by hand a dump of everything with a manifest; its commands are what schedules run.

The scripts of `deploy/backup` call the commands by the names that the operations guide gives them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from bazarutod.backup import BackupError
from bazarutod.backup.settings import Settings, load
from bazarutod.masking import without_passwords
from bazarutod.running import RUN_FOLDER, RunFolder, use_running

_VARIABLES = "\n\n".join(
    f"{name.upper()}: {field.description}{f' ({field.default})' if field.default else ''}"
    for name, field in Settings.model_fields.items()
)
app = typer.Typer(epilog=f"The commands read environment variables.\n\n{_VARIABLES}")


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="Folder to make; backups/backup_<time> by default.")] = None,
    login: Annotated[str, typer.Option(help="Role to read with, when the service's own may not read all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Dump every service's database into a folder, with counts and checksums of all that is in it."""
    if context.invoked_subcommand:
        return
    from bazarutod.backup.command import back_up

    use_running(folder)
    back_up(folder, to, login, as_json)


@app.command()
def dump() -> None:
    """Dump databases as SQL, check the dumps, seal and upload them, and only then forget old ones."""
    from bazarutod.backup import sql_dumps

    with _unattended() as settings:
        sql_dumps.back_up(settings)


@app.command()
def base(
    incremental: Annotated[bool, typer.Option(help="Only what changed since the last copy, if there is one.")] = False,
) -> None:
    """Copy the data folder of a running server, as the start of a recovery to a moment."""
    from bazarutod.backup import base_backups

    with _unattended() as settings:
        base_backups.back_up(settings, incremental=incremental)


@app.command()
def config() -> None:
    """Back up config.yaml and secrets/, sealed: without a key it refuses."""
    from bazarutod.backup import file_archives

    with _unattended() as settings:
        file_archives.back_up_config(settings)


@app.command()
def app_data() -> None:
    """Back up the application's data, without data folders of PostgreSQL."""
    from bazarutod.backup import file_archives

    with _unattended() as settings:
        file_archives.back_up_app_data(settings)


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A dump or the roles, as `dump` left them.")]) -> None:
    """Restore one dump into DB_NAME, made beforehand and empty; or make the roles that the server lacks."""
    from bazarutod.backup import sql_dumps

    with _unattended() as settings:
        sql_dumps.restore(settings, file)


@app.command()
def recover(
    copy: Annotated[Path, typer.Argument(help="The folder of a base backup or of an increment.")],
    archive: Annotated[Path, typer.Argument(help="The folder of the archived log.")],
    moment: Annotated[str, typer.Argument(help="With its zone, as '2024-01-15 14:29:00+00'; '' for all of the log.")],
    data: Annotated[Path, typer.Argument(help="The data folder to make.")],
) -> None:
    """Make a data folder that recovers to a moment when a server is started on it."""
    from bazarutod.backup import recovery

    with _unattended() as settings:
        recovery.recover(settings, copy, archive, moment, data)


@app.command()
def schedule() -> None:
    """Dump every night, copy the server in full every week and by increments between; runs until SIGTERM."""
    from bazarutod.backup import schedule as schedules

    with _unattended(stopped=0) as settings:
        try:
            schedules.run(settings)
        except schedules.NoTimeOfDay as error:
            print(error, file=sys.stderr)
            sys.exit(2)


@contextmanager
def _unattended(stopped: int | None = None) -> Iterator[Settings]:
    """The settings of the environment. A failure ends the program with 1, a signal as it would, but with clean-up.

    `stopped` is the code after a signal, where being stopped is no failure.
    """

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number if stopped is None else stopped)

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, end)
    os.umask(0o077)
    try:
        yield load()
    except (BackupError, OSError) as error:
        sys.exit(without_passwords(f"backup: {error}"))
