"""read: the values of a program's settings, each with where it comes from."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ctxplug.errors import InvalidValueError
from ctxplug.settings.file import NAME, VARIABLE, SettingsFile, find_file, parse
from ctxplug.settings.memory import ENVIRONMENT_ALONE
from ctxplug.settings.setting import PREFIX, Setting

__all__ = ["Configuration", "Given", "Source", "read"]

Source: TypeAlias = Literal["argument", "environment", "file", "default"]
GROUPS = ("", "log", "server")  # the tables of the file
CLOSE = 0.8  # how alike two names are, of which one is meant to be the other
# What Kubernetes sets in every pod for a service that is called like us.
_OF_KUBERNETES = re.compile(r"_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP)\w*$")
_ADDRESS = re.compile(r"(?:tcp|udp)://")


@dataclass(frozen=True, slots=True)
class Given:
    """The value of a setting; `where` is the argument, the variable or the line that gave it."""

    setting: Setting
    value: Any
    source: Source
    where: str

    @property
    def text(self) -> str:
        """The value as it may be shown: secrets in addresses are hidden."""
        return self.setting.text(self.value)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What `read` found: a Given for each setting, by name, and the file, if there was one."""

    given: Mapping[str, Given]
    file: str | None

    def __getitem__(self, name: str) -> Any:
        """Return the value of a setting."""
        return self.given[name].value

    def placed(self, name: str, error: InvalidValueError) -> InvalidValueError:
        """Return `error`, which a value of the setting `name` raised, with the place to mend."""
        where = self.given[name].where
        return InvalidValueError(f"{where}: {error}" if where else str(error), path=name)


def read(
    settings: Sequence[Setting],
    arguments: Mapping[str, tuple[str, Any]] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] = "",
) -> Configuration:
    """Return the value of each setting: an argument's, else the environment's, the file's, its own.

    `arguments` are by the setting's name: how it was said, such as "--port", and its value. A
    variable that is empty says nothing. Raises InvalidValueError for a value that does not fit,
    for a name in the file or the environment that is like that of a setting and is none, and for
    what a file that nobody named may not say; CannotOpenError where one that is named cannot be
    read.
    """
    environ = os.environ if environ is None else environ
    path = find_file(environ, folder)
    file = None if path is None else parse(path)
    if file is not None:
        _refuse_unknown(file, settings)
    _refuse_variables(environ, settings)
    given = {}
    for setting in settings:
        said = (arguments or {}).get(setting.name)
        if said is not None:
            given[setting.name] = Given(setting, said[1], "argument", said[0])
        else:
            given[setting.name] = _found(setting, environ, file)
            if VARIABLE not in environ:
                _refuse_unasked(given[setting.name])
    return Configuration(given, path)


def _found(setting: Setting, environ: Mapping[str, str], file: SettingsFile | None) -> Given:
    if text := environ.get(setting.variable, "").strip():
        value = setting.converted(text, setting.variable)
        return Given(setting, value, "environment", setting.variable)
    if file is not None and setting.name in file.values:
        where = file.where(setting.name)
        return Given(setting, setting.converted(file.values[setting.name], where), "file", where)
    return Given(setting, setting.default, "default", "")


def _refuse_unasked(found: Given) -> None:
    """Raise where a file that nobody named says what may only be said on purpose.

    It may have come with somebody else's work, as a checkout does.
    """
    reaches = found.setting.reaches
    if found.source == "file" and reaches is not None and reaches(found.value):
        raise InvalidValueError(
            f"{found.where} sets {found.setting.name} to {found.text!r:.80}, which may let others"
            " in, send what is stored elsewhere or load code; a file that nobody named may not, as"
            f" it can come with anybody's folder. If it is yours: export {VARIABLE}={NAME}.",
            path=found.setting.name,
        )


def _refuse_unknown(file: SettingsFile, settings: Sequence[Setting]) -> None:
    """Raise for a table that is none, and for a name that is none of these settings' tables."""
    known = {setting.name for setting in settings}
    groups = {setting.group for setting in settings}
    for table in file.tables:
        if table not in GROUPS:
            raise _none(file.where(table), f"has the table [{table}]", _like(table, GROUPS))
    for name in file.values:
        table = name.partition(".")[0] if "." in name else ""
        if name not in known and table in groups:
            raise _none(file.where(name), f"has {name!r}", _like(name, known))


def _refuse_variables(environ: Mapping[str, str], settings: Sequence[Setting]) -> None:
    """Raise for a variable of these settings' groups that is none, or is like one of theirs.

    Others that begin as ours do may be those of a plugin.
    """
    variables = {setting.variable for setting in settings}
    groups = {setting.group for setting in settings}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in variables or name in ENVIRONMENT_ALONE:
            continue
        group = name.removeprefix(PREFIX).partition("_")[0].lower()
        group = group if group in GROUPS else ""
        of_a_service = _OF_KUBERNETES.search(name) or _ADDRESS.match(environ[name])
        if group not in groups or of_a_service:
            continue
        like = _like(name, variables)
        if group or like:
            raise _none(name, "is set", like)


def _none(where: str, what: str, like: str) -> InvalidValueError:
    return InvalidValueError(
        f"{where} {what}, and there is no such setting.{like} docs/configuration.md lists them.",
        path=where,
    )


def _like(name: str, known: Iterable[str]) -> str:
    """Return the question whether one of `known` is meant, "" if none is like `name`."""
    short = {_short(one): one for one in sorted(known) if one}
    tails = {re.split("[._]", tail, maxsplit=1)[-1]: one for tail, one in short.items()}
    close = difflib.get_close_matches(_short(name), short, 1, CLOSE)
    found = short[close[0]] if close else tails.get(_short(name), "")
    return f" Did you mean {found}?" if found else ""


def _short(name: str) -> str:
    return name.removeprefix(PREFIX)
