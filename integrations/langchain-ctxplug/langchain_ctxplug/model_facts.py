"""What a chat model says of itself."""

from __future__ import annotations

from typing import Any

from ctxplug.errors import InvalidValueError


def window_of(model: Any) -> int | None:
    """Return what the model takes, if its profile says so; wrapped models have none."""
    profile = getattr(model, "profile", None)
    takes = profile.get("max_input_tokens") if isinstance(profile, dict) else None
    return takes if isinstance(takes, int) and takes > 0 else None


def name_of(model: Any) -> str | None:
    """Return the name by which the provider knows the model, if it tells."""
    name = getattr(model, "model_name", None) or getattr(model, "model", None)
    return name if isinstance(name, str) else None


def checked_budget(budget: int | None, otherwise: int | None) -> int | None:
    """Return `budget` or what stands in for it; raise InvalidValueError for no budget."""
    if budget is None:
        return otherwise
    if isinstance(budget, bool) or not isinstance(budget, int) or budget <= 0:
        raise InvalidValueError(
            f"budget is a number of tokens above zero, not {budget!r}.", path="budget"
        )
    return budget
