"""Archives of what is in no database: the configuration with its secrets, and the application's data."""

from __future__ import annotations

from bazarutod.backup import programs, sealing
from bazarutod.backup.folder import taken
from bazarutod.backup.settings import Settings
from libs import clock

_FILE_CHANGED = 1  # tar's code for a file that grew while it was read, as logs do; all else is a failure


def back_up_config(settings: Settings) -> None:
    """Back up config.yaml and secrets/, sealed: without a key it is refused."""
    sealing.must_seal(settings)
    options = ("-C", settings.config_dir, "config.yaml", "secrets/")
    _back_up(settings, "config", options, "the configuration could not be read")


def back_up_app_data(settings: Settings) -> None:
    """Back up the application's data, without data folders of PostgreSQL: a copy of one in use is worthless."""
    folder = settings.app_data_dir
    options = ("--exclude-tag-all=PG_VERSION", "-C", folder.parent, folder.name)
    _back_up(settings, "app_data", options, f"{folder} could not be read")


def _back_up(settings: Settings, kind: str, options: tuple[object, ...], failure: str) -> None:
    tar = programs.of_system("tar")
    with taken(settings) as folder:
        file = folder.work / f"{kind}_backup_{clock.real_now().astimezone():%Y%m%d}.tar.gz"
        try:
            programs.call(tar, "-czf", file, *options, failure=failure)
        except programs.ProgramFailed as error:
            if error.code != _FILE_CHANGED:
                raise
        programs.call(tar, "-tzf", file, failure="the archive is not whole")
        name = folder.publish(sealing.seal(settings, file))
        folder.upload(name)
        folder.prune(f"{kind}_backup_*.tar.gz*")
        folder.report_success(kind)
