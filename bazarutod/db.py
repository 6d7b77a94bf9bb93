"""`bazarutod db`: look at the databases of all services, and change what their servers log."""

from __future__ import annotations

from typing import Annotated

import typer

from bazarutod.running import RUN_FOLDER, RunFolder

app = typer.Typer(
    help="Look at the databases: what is slow, who is connected, who waits for whom.", no_args_is_help=True
)

Login = Annotated[str, typer.Option(help="Role to ask with, when the services' own may not see all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@app.command()
def slow(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many statements.")] = 10,
    login: Login = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """The statements that take longest, by their mean, over all services."""
    from bazarutod.databases import show_slow

    show_slow(folder, login, as_json, limit)


@app.command()
def status(login: Login = "", as_json: AsJson = False, folder: RunFolder = RUN_FOLDER) -> None:
    """Connections by state, the pools' settings, locks that are waited for with who is in the way, replicas."""
    from bazarutod.databases import show_status

    show_status(folder, login, as_json)


@app.command()
def logging(
    state: Annotated[str, typer.Argument(help="on: every statement, with its parameters, is logged; off: as before.")],
    slower_than: Annotated[int, typer.Option(min=0, help="Log the time of statements slower than this, in ms.")] = 1000,
    login: Login = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Have the servers log every statement while somebody looks for a fault, and take it back."""
    from bazarutod.databases import change_logging

    if state not in ("on", "off"):
        raise typer.BadParameter(f"{state!r} is neither on nor off")
    change_logging(folder, login, as_json, state == "on", slower_than)
