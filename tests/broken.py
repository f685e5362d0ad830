"""Estimators one of whose methods does something else, for tests of what the checks of `skembed.testing` say."""

from collections.abc import Callable
from functools import wraps
from typing import Any


def changed(base: type, method: str, change: Callable) -> type:
    """A class like `base` but for a method; `change` is given what it was, the estimator, and the arguments."""
    plain = getattr(base, method)

    @wraps(plain)
    def other(self: Any, *rest: Any, **named: Any) -> Any:
        return change(plain, self, *rest, **named)

    return type("Broken", (base,), {method: other})
