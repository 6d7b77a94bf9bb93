"""`bazarutod policy`: what became of a policy, as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from bazarutod.running import RUN_FOLDER, RunFolder, use_running

app = typer.Typer(help="Look at policies.", no_args_is_help=True)


@app.callback()
def policy() -> None:
    """Look at policies."""


@app.command(
    epilog="Examples: policy show MOT-2026-000042 --email ops@example.com; policy show --json MOT-2026-000042 …"
)
def show(
    number: Annotated[str, typer.Argument(help="Number of the policy, as it is printed.")],
    email: Annotated[str, typer.Option(help="Whom to log in as: somebody who is shown the policy.", prompt=True)],
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, help="Their password; asked for when not given.")
    ],
    gateway: Annotated[str, typer.Option(help="Address of the gateway; the running platform's by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Draw the timeline of a policy: its terms and segments over the months, its transactions, and its money.

    Everything comes from the public API, with the rights of who logs in: the ledger is shown to finance and
    administrators, the account also to the policyholder and to the partner.
    """
    from bazarutod.policy import showing
    from libs import clock
    from libs.config import load

    use_running(folder)
    settings = load()
    clock.follow(settings.clock.file)
    showing.run(gateway or f"http://{settings.gateway.listen}", email, password, number, as_json=as_json)
