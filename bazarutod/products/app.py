"""`bazarutod products`: what a product file says, what risks cost with it, and what it does to the quotes there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bazarutod.running import RUN_FOLDER, RunFolder, use_running

app = typer.Typer(help="Check product files, price with them, and see what they change.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A product file; YAML or JSON.")]


@app.command(epilog="Examples: products check docs/examples/bicycle.yaml; products check --json products/*.yaml")
def check(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, help="Product files.")],
    as_json: AsJson = False,
) -> None:
    """Print every fault of product files with its line and its reason, or that a file is in order.

    Golden risks are priced: one that costs something else than the file says is a fault too, as it is when the version
    is published. Ends with 1 when there is a fault.
    """
    from bazarutod.products import check as checking

    checking.run(files, as_json)


@app.command(
    epilog="Examples: products price docs/examples/bicycle.yaml; products price docs/examples/bicycle.yaml risks.json"
)
def price(
    file: File,
    risks: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="A risk, or a list of them, as JSON."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what risks cost with a product file, step by step, and how they are decided.

    A risk has what a golden risk of the file has: `answers`, and where they matter `name`, `start_date` (today
    without), `objects` and `coverages`. Without a file of risks the golden risks are priced. Ends with 1 when a risk
    has no price, or a golden risk another one than its file says.
    """
    from bazarutod.products import price as pricing

    pricing.run(file, risks, as_json)


@app.command(
    epilog="Examples: products impact docs/examples/bicycle.yaml; products impact --only-bound --json motor.yaml;"
    " products impact --database postgresql://bazaruto_quotes@db.example.com/bazaruto_quotes motor.yaml"
)
def impact(
    file: File,
    only_bound: Annotated[
        bool, typer.Option("--only-bound", help="Only quotes that a policy was issued from.")
    ] = False,
    database: Annotated[str, typer.Option(help="URL of a database of quotes; the running platform's by default.")] = "",
    as_json: AsJson = False,
    folder: RunFolder = RUN_FOLDER,
) -> None:
    """Rate the stored quotes of a product again with a file, published or not, and show what changes.

    Each quote is rated for its own term and compared with the price that it has. Nothing is written.
    """
    from bazarutod.products import impact as analyzing
    from libs.config import load

    use_running(folder)
    analyzing.run(file, load(), database, only_bound=only_bound, as_json=as_json)
