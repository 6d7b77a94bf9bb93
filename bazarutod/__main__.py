"""Where `bazarutod` begins. Its health check runs every few seconds, so it is told apart before anything is loaded."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    match sys.argv[1:]:
        case ["health", address] if not address.startswith("-"):
            from bazarutod.health import run

            run(address)
        case _:
            from bazarutod.command import main as run_command

            run_command()


if __name__ == "__main__":
    main()
