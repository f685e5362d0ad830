"""Results of the evaluations: they read well, and turn into plain Python for logs and tables."""

from dataclasses import fields
from numbers import Real
from typing import Any

__all__ = ["Result"]


class Result:
    """Base of the frozen dataclasses that evaluations return."""

    def to_dict(self) -> dict[str, Any]:
        """The numbers, by name, as JSON could hold them; what is only for reading on screen is left out."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self) if field.repr}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        parts = (f"{name}={_short(value)}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({', '.join(parts)})"


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, Real) and not isinstance(value, int) else repr(value)
