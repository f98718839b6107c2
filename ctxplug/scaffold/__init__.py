"""Scaffold: a new plugin as a distribution that installs and passes its tests at once.

The texts are files in `templates/`: `common/` is written for every kind, and a folder for each
kind holds its component, its hooks, its tests and its part of the README.
"""

from __future__ import annotations

from ctxplug.scaffold.kinds import KINDS, Kind
from ctxplug.scaffold.names import Names, names_of
from ctxplug.scaffold.writing import files_of, write_plugin

__all__ = ["KINDS", "Kind", "Names", "files_of", "names_of", "write_plugin"]
