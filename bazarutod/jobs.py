"""`bazarutod jobs` and `bazarutod queues`: what waits, what failed, and what to do about it, over all services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bazarutod.running import RUN_FOLDER, RunFolder, use_running
from bazarutod.stack import SERVICES

if TYPE_CHECKING:
    from bazarutod.backlog import Backlog
    from bazarutod.nights import Nights

jobs = typer.Typer(help="Look at jobs, retry, cancel and delete them.", no_args_is_help=True)
queues = typer.Typer(help="Look at queues and workers, pause and resume.", no_args_is_help=True)

Queue = Annotated[str, typer.Option(help="One queue; all of them by default.")]
QueueName = Annotated[str, typer.Argument(help="mailers, notifications, payments, processing or default.")]
Service = Annotated[str, typer.Option(help=f"One of {', '.join(SERVICES)}; all of them by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="A job, as users:42; can be given several times.")]
All = Annotated[bool, typer.Option("--all", help="Every job that fits, of --queue if that is given.")]
Status = Annotated[str, typer.Option(help="pending, processing, completed, failed or cancelled; all by default.")]


@jobs.command("list")
def list_jobs(
    queue: Queue = "",
    status: Status = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many of each service.")] = 50,
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """List jobs, newest first."""
    _backlog(folder, service, as_json).list_jobs(queue, status, limit)


@jobs.command()
def show(
    job: Annotated[str, typer.Argument(help="The job, as users:42; without one, how far the nightly runs are.")] = "",
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Show one job with its arguments and everything that happened to it, or how far the nightly runs are."""
    if job:
        _backlog(folder, "", as_json).show(job)
    else:
        _nights(folder, service, as_json).show()


@jobs.command()
def parked(
    run: Annotated[str, typer.Option(help="One kind of run, as payments.earn_period; all of them by default.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many of each service.")] = 50,
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """List what nightly runs could not do, and why. Each later run tries it again."""
    _nights(folder, service, as_json).list_parked(run, limit)


@jobs.command()
def retry(
    ids: Ids = None,
    queue: Queue = "",
    all_: All = False,
    parked: Annotated[str, typer.Option(help="Try again at once what this kind of nightly run has parked.")] = "",
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Put jobs that failed back into their queue, with all their tries. By id, also those that were cancelled."""
    if not parked:
        _backlog(folder, service, as_json).change("retry", ids or [], queue, everything=all_)
    elif ids or queue or all_:
        raise typer.BadParameter("give either --parked, or which jobs are meant")
    else:
        _nights(folder, service, as_json).retry(parked)


@jobs.command()
def cancel(
    ids: Ids = None,
    queue: Queue = "",
    all_: All = False,
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Take jobs that wait out of their queue. By id, also those that failed; one that runs ends its run."""
    _backlog(folder, service, as_json).change("cancel", ids or [], queue, everything=all_)


@jobs.command()
def stats(
    queue: Queue = "",
    duration: Annotated[str, typer.Option(help="How far to look back: 15m, 1h, 7d.")] = "1h",
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Count jobs: what waits now, and what became of those that ended."""
    _backlog(folder, service, as_json).stats(queue, duration)


@jobs.command()
def cleanup(
    older_than: Annotated[str, typer.Option(help="How long ago they ended: 12h, 7d.")] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
    queue: Queue = "",
    failed: Annotated[bool, typer.Option("--failed", help="Delete failed jobs too.")] = False,
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Delete jobs that succeeded or were cancelled long ago. Workers do so by themselves after `jobs.kept`."""
    _backlog(folder, service, as_json).cleanup(older_than, queue, failed=failed, dry_run=dry_run)


@queues.command("list")
def list_queues(service: Service = "", as_json: AsJson = False, folder: RunFolder = RUN_FOLDER) -> None:
    """List queues with the jobs in them, and workers with the time of their last sign of life."""
    _backlog(folder, service, as_json).list_queues()


@queues.command()
def pause(queue: QueueName, service: Service = "", as_json: AsJson = False, folder: RunFolder = RUN_FOLDER) -> None:
    """Let workers take no more jobs from a queue. Jobs under way end, new ones wait."""
    _backlog(folder, service, as_json).pause(queue)


@queues.command()
def resume(queue: QueueName, service: Service = "", as_json: AsJson = False, folder: RunFolder = RUN_FOLDER) -> None:
    """Let workers take jobs from a queue again."""
    _backlog(folder, service, as_json).resume(queue)


@queues.command()
def monitor(
    interval: Annotated[str, typer.Option(help="Time between two looks.")] = "2s",
    duration: Annotated[str, typer.Option(help="When to end; by default, with Ctrl-C.")] = "",
    service: Service = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Watch queues and workers."""
    _backlog(folder, service, as_json).monitor(interval, duration)


def _backlog(folder: Path, service: str, as_json: bool) -> Backlog:
    from bazarutod.backlog import Backlog  # with the queue and its database; the other commands start without
    from libs.config import load

    if service and service not in SERVICES:
        raise typer.BadParameter(f"there is no service {service!r}; the services are {', '.join(SERVICES)}")
    use_running(folder)
    return Backlog(load(), (service,) if service else SERVICES, as_json)


def _nights(folder: Path, service: str, as_json: bool) -> Nights:
    from bazarutod.nights import Nights
    from libs.config import load

    if service and service not in SERVICES:
        raise typer.BadParameter(f"there is no service {service!r}; the services are {', '.join(SERVICES)}")
    use_running(folder)
    return Nights(load(), (service,) if service else SERVICES, as_json)
