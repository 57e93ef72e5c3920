"""`python -m aiops` and the `aiops` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from aiops.cli.main import app  # deferred: importing this module stays free of cost

    app()


if __name__ == "__main__":
    main()
