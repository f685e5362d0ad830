"""The state of what is fitted, by names, plain values and arrays: one description for pickle, skops and `skembed.save`.

A class whose objects are part of a fitted estimator is registered with `stored`. Its state is what ``__getstate__``
returns, for dataclasses their fields; it holds plain values, arrays and objects of registered classes alone. Where a
state is restored its names and types are compared with their description, so that no file makes an object that its own
class could not have made.
"""

import types
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

__all__ = ["STORED", "check_state", "conforms", "state_types", "stored"]

STORED: dict[str, type] = {}  # by the names that files call them
_DESCRIBED: dict[type, dict[str, Any]] = {}
Class = TypeVar("Class", bound=type)


def stored(cls: Class) -> Class:
    """Register a class, so that its objects may be parts of a fitted estimator.

    Dataclasses and named tuples are described by their annotations, another class by the dict `_state` of the names and
    types that its ``__getstate__`` returns. Without a ``__setstate__`` of its own the class gets one that compares.

    Parameters
    ----------
    cls : type

    Returns
    -------
    type
        The same.
    """
    known = STORED.get(cls.__name__, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):  # else it is defined anew
        raise TypeError(f"{cls.__name__} is the name of two classes that are stored; files would confuse them.")
    STORED[cls.__name__] = cls
    if not hasattr(cls, "__setstate__") and not hasattr(cls, "_fields"):
        cls.__setstate__ = _set_described  # type: ignore[attr-defined]
    return cls


def _set_described(self: Any, state: dict[str, Any]) -> None:
    names = [field.name for field in fields(self)] if is_dataclass(self) else state_types(type(self))
    check_state(type(self), state, required=names)
    for name, value in state.items():
        object.__setattr__(self, name, value)  # frozen ones, too


def state_types(cls: type) -> dict[str, Any]:
    """Return the type of each value of the state of a class, those of its base classes among them."""
    if cls not in _DESCRIBED:
        if "_state" not in cls.__dict__ and (is_dataclass(cls) or hasattr(cls, "_fields")):
            _DESCRIBED[cls] = get_type_hints(cls)
        else:
            bases = [base.__dict__.get("_state", {}) for base in reversed(cls.__mro__)]
            _DESCRIBED[cls] = {name: kind for base in bases for name, kind in base.items()}
    return _DESCRIBED[cls]


def check_state(cls: type, state: Any, required: Iterable[str] = ()) -> None:
    """Raise ValueError naming what is missing, not known, or of another type than it is described to be.

    Parameters
    ----------
    cls : type
    state : dict
    required : iterable of str
        Names that have to be there.
    """
    described = state_types(cls)
    if not isinstance(state, dict):
        raise ValueError(f"{cls.__name__}: expected a dict of its state, got {type(state).__name__}")
    for name in required:
        if name not in state:
            raise ValueError(f"{cls.__name__}: {name!r} is missing")
    for name, value in state.items():
        if name not in described:
            raise ValueError(f"{cls.__name__}: expected {sorted(described)}, got {name!r}")
        if not conforms(value, described[name]):
            raise ValueError(f"{cls.__name__}: expected {name!r} to be {_spelled(described[name])}, got {value!r:.60}")


def conforms(value: Any, hint: Any) -> bool:
    """Whether a value is of a type as annotations spell it, its items too.

    Examples
    --------
    >>> conforms([1, None], list[int | None]), conforms({"a": 1}, dict[str, str]), conforms(True, int)
    (True, False, False)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is None:
        return value is None
    if origin in (Union, types.UnionType):
        return any(conforms(value, option) for option in arguments)
    if origin in (list, set, frozenset):
        return type(value) is origin and all(conforms(item, arguments[0]) for item in value)
    if origin is tuple:
        if arguments[1:] == (...,):
            return type(value) is tuple and all(conforms(item, arguments[0]) for item in value)
        return type(value) is tuple and len(value) == len(arguments) and all(map(conforms, value, arguments))
    if origin is dict:
        return type(value) is dict and all(
            conforms(key, arguments[0]) and conforms(item, arguments[1]) for key, item in value.items()
        )
    if hint is float:
        return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    return isinstance(value, origin or hint)


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
