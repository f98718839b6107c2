"""`python -m ctxplug.cli` is the `ctxplug` command."""

from ctxplug.cli import main

main()
