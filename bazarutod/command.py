"""`bazarutod`: the one command to run, inspect and try the platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from bazarutod import clock, db, jobs
from bazarutod.backup.app import app as backups
from bazarutod.masking import without_passwords
from bazarutod.policy.app import app as policies
from bazarutod.products.app import app as products
from bazarutod.running import RUN_FOLDER, RunFolder, use_running
from bazarutod.stack import SERVICES
from libs.config import ConfigError, load
from libs.version import VERSION

app = typer.Typer(help="Run, inspect and try the Bazaruto insurance platform.", no_args_is_help=True)
app.add_typer(backups, name="backup")
app.add_typer(clock.app, name="clock")
app.add_typer(db.app, name="db")
app.add_typer(jobs.jobs, name="jobs")
app.add_typer(policies, name="policy")
app.add_typer(products, name="products")
app.add_typer(jobs.queues, name="queues")


def main() -> None:
    """Run every verb but `health`, which begins in `bazarutod/__main__.py`."""
    try:
        app()
    except ConfigError as error:
        sys.exit(f"configuration: {error}")


@app.command()
def up(folder: RunFolder = RUN_FOLDER) -> None:
    """Start the whole platform with everything it needs; Ctrl-C stops it."""
    from bazarutod.up import run

    run(folder.absolute())


@app.command()
def restart(
    processes: Annotated[
        list[str] | None, typer.Argument(help="users, users-worker, gateway …; all by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Replace the running processes one after another, with the code and configuration of now; no request fails."""
    from bazarutod.restart import run

    run(folder, processes or [], as_json)


@app.command()
def demo(
    gateway: Annotated[str, typer.Option(help="Address of the gateway; the running platform's by default.")] = "",
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Buy a policy over HTTP, and print each step and the trace."""
    from bazarutod.demo import run

    run(gateway or f"http://{load().gateway.listen}", folder)


@app.command()
def trace(
    trace_id: Annotated[str, typer.Argument(help="32 hexadecimal digits, as in the x-trace-id header and in logs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the spans as JSON.")] = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Print the waterfall of a recent trace."""
    from bazarutod.waterfall import run

    run(trace_id, folder, as_json)


@app.command()
def create_admin(
    email: Annotated[str, typer.Argument(help="E-mail address to log in with.")],
    full_name: Annotated[str, typer.Option(help="Name as people read it.")] = "Administrator",
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
    ] = "",
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Make a user who is an administrator: the first one can come from nowhere else."""
    use_running(folder)
    account = json.dumps({"email": email, "full_name": full_name, "password": password})
    command = [sys.executable, "-m", "services.users.main", "create-admin"]
    done = subprocess.run(command, input=account, capture_output=True, text=True, check=False)  # noqa: S603
    reply = json.loads(done.stdout or "{}")
    if done.returncode:
        sys.exit(reply.get("error") or done.stderr)
    typer.echo(f"{email} is an administrator: {reply['user_id']}")


@app.command()
def serve(service: Annotated[str, typer.Argument(help=f"gateway, {', '.join(SERVICES)}")]) -> None:
    """Run the server of one service, or the gateway, in the foreground."""
    _become(service, "serve", (*SERVICES, "gateway"))


@app.command()
def work(service: Annotated[str, typer.Argument(help=", ".join(SERVICES))]) -> None:
    """Run the worker of one service in the foreground."""
    _become(service, "work", SERVICES)


@app.command()
def migrate(
    service: Annotated[str, typer.Argument(help="One service; all of them by default.")] = "",
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Bring databases to the revision that this program needs."""
    from bazarutod.provisioning import migrate as migrate_all

    use_running(folder)
    if service:
        _become(service, "migrate", SERVICES)
    migrate_all(load(), typer.echo)


@app.command()
def health(
    address: Annotated[str, typer.Argument(help="HOST:PORT of a process's metrics or of the gateway, or a URL.")],
) -> None:
    """Ask one process whether it can do its work; ends with 1 when it cannot."""
    from bazarutod.health import run

    run(address)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Look at everything that may be wrong, and say what to do about it; ends with 1 when something failed."""
    from bazarutod.doctor import run

    use_running(folder)
    run(folder, as_json)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="Folder that `bazarutod backup` made.")],
    server: Annotated[
        str, typer.Option(help="URL of a server, as its superuser; the own one of --folder without.")
    ] = "",
    only_check: Annotated[bool, typer.Option("--check", help="Check the files and restore nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Restore a backup into empty databases, and compare all that came out with what went in."""
    from bazarutod.backup.command import restore as run

    run(backup, folder, server, only_check, as_json)


@app.command()
def drill(
    rows: Annotated[int, typer.Option(min=6, help="Rows to lose and get back.")] = 100_000,
    within: Annotated[float, typer.Option(help="Seconds that the recovery may take.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Practise the recovery to a moment on a server of its own: destroy it, restore it, compare."""
    from bazarutod.backup.command import run_drill

    run_drill(rows, within, as_json)


@app.command()
def simulate(
    policies: Annotated[int, typer.Option(min=1, max=100_000, help="How many policies are bought.")] = 60,
    months: Annotated[int, typer.Option(min=1, max=60, help="How many months go by.")] = 12,
    seed: Annotated[int, typer.Option(help="What all decisions are drawn by: the same seed, the same book.")] = 1,
    begins: Annotated[
        str, typer.Option("--from", help="The first day, that of a month to come; the next one by default.")
    ] = "",
    html: Annotated[Path | None, typer.Option(help="Write the report into this file too, with charts.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="An empty folder for the platform's data, which stays there afterwards.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Live through months of a book of policies, on a platform of its own, and prove the books at each month's end.

    Policies of all products are bought, paid or not, changed, cancelled, lapsed, put back and renewed over the public
    API, under a moved clock. It ends with 1 and says which policy, when something is not as it always has to be. No
    other platform of the machine is touched.
    """
    from bazarutod.simulate.command import Wish
    from bazarutod.simulate.command import run as run_simulation

    run_simulation(Wish(policies, months, seed, begins, html, keep, as_json))


@app.command()
def config() -> None:
    """Check the configuration and print it as it is in force, without secrets."""
    from bazarutod.settings import load_suite

    # Passwords of URLs are the only secrets that a configuration can hold; the others are in files.
    typer.echo(without_passwords(load_suite().model_dump_json(indent=2)))


@app.command()
def version(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Print the version."""
    typer.echo(json.dumps({"version": VERSION}) if as_json else VERSION)


def _become(service: str, verb: str, known: tuple[str, ...]) -> None:
    """Replace this process by the service's own main, so that signals reach it."""
    if service not in known:
        raise typer.BadParameter(f"{service!r} is none of {', '.join(known)}")
    load()
    module = "gateway.main" if service == "gateway" else f"services.{service}.main"
    os.execv(sys.executable, [sys.executable, "-m", module, verb])  # noqa: S606 - our own modules
