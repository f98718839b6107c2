"""The `ctxplug` command. typer and rich are imported when it runs, and not before."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the exit code is 0, 1 for an error, 2 for wrong usage."""
    from ctxplug.cli.app import run

    run()
