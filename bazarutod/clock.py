"""`bazarutod clock`: what time it is for the domain, and moving that time forward."""

from __future__ import annotations

from typing import Annotated

import typer

from bazarutod.running import RUN_FOLDER, RunFolder, use_running

app = typer.Typer(help="Look at the clock of the domain, and move it forward; not in production.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command()
def show(as_json: AsJson = False, folder: RunFolder = RUN_FOLDER) -> None:
    """Print the time of the domain, by how much it is ahead of the machine's, and what waits for a moment to come."""
    from bazarutod.advance import Advance
    from libs.config import load

    use_running(folder)
    Advance(load(), as_json).show()


@app.command(
    epilog="Examples: clock advance 45d; clock advance 36h; clock advance 2w; clock advance --until 2027-01-01"
)
def advance(
    span: Annotated[str, typer.Argument(help="How far: 36h, 45d, 2w; without, to where the last one was going.")] = "",
    until: Annotated[str, typer.Option(help="A day, 2027-01-01, or a moment, 2027-01-01T09:30:00Z; in UTC.")] = "",
    patience: Annotated[str, typer.Option(help="How long to wait while no job ends, before giving up.")] = "60s",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Move the clock of the domain forward. Time never goes back.

    What falls due on the way is done at its moment: jobs that wait for it, and what is done every day. The platform
    must be running. When a job does not come to an end, the clock stands still at its moment; the same command without
    a span goes on from there, as it does after Ctrl-C.
    """
    from bazarutod.advance import Advance
    from libs.config import load

    use_running(folder)
    Advance(load(), as_json).advance(span, until, patience)
