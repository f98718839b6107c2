"""Parameters that several routes have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Path, Query

Session: TypeAlias = Annotated[str, Path(description="The session's name.", examples=["trip"])]
MemoryId: TypeAlias = Annotated[
    str, Path(description="The id of a memory.", examples=["0c6f1de2a4b84f5f9d4c6f6d0a9b3e11"])
]
When: TypeAlias = Annotated[
    str | None,
    Query(description="ISO 8601, such as 2026-05-01T18:30+08:00.", examples=["2026-05-01"]),
]
SaidIn: TypeAlias = Annotated[
    str | None, Query(description="The session in which it is done: where its steps are kept.")
]
