"""Rules behind ``embedding_dim``: how many of a vector's ordered dimensions become columns."""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["RULES", "cut", "fastai_dim", "fourth_root_dim", "hidden_dim", "resolve_dims"]

MAX_NET_DIM = 8


def hidden_dim(n_levels: int) -> int:
    """Dimensions that a net with hidden layers learns: 1, 2, 4 or 8, at least half of the levels if they are few."""
    return min(MAX_NET_DIM, 2 ** math.ceil(math.log2(max(n_levels / 2, 1))))


def fourth_root_dim(n_levels: int) -> int:
    """The fourth root of the number of levels, rounded up, as TensorFlow's guide to feature columns advises."""
    return max(1, math.ceil(n_levels**0.25))


def fastai_dim(n_levels: int) -> int:
    """``min(600, round(1.6 * n_levels ** 0.56))``, the rule of thumb of the fastai library."""
    return max(1, min(600, round(1.6 * n_levels**0.56)))


RULES: dict[str, Callable[[int], int] | None] = {
    "auto": None,  # all dimensions that say something
    "fourth_root": fourth_root_dim,
    "fastai": fastai_dim,
}


def resolve_dims(embedding_dim: Any, names: list[str], n_levels: list[int]) -> list[int | None]:
    """Turn the parameter into a number of columns for each categorical column.

    Parameters
    ----------
    embedding_dim : int, str, callable or dict
        As in `EntityEmbeddingEncoder`.
    names : list of str
        The categorical columns.
    n_levels : list of int
        Levels of each, missing among them, the unknown level not.

    Returns
    -------
    list of int or None
        None for as many as say something.

    Raises
    ------
    ValueError
        If a rule is not known, a dict names a column that is not there, or a dimension is not a positive integer.
    """
    if isinstance(embedding_dim, Mapping):
        strangers = [name for name in embedding_dim if name not in names]
        if strangers:
            raise ValueError(
                f"embedding_dim names columns that are not categorical columns of X: {strangers!r}; "
                f"they are {names!r}. Columns left out of the dict follow the 'auto' rule."
            )
        rules = [embedding_dim.get(name, "auto") for name in names]
    else:
        rules = [embedding_dim] * len(names)
    return [_one_dim(rule, name, n) for rule, name, n in zip(rules, names, n_levels)]


def _one_dim(rule: Any, name: str, n_levels: int) -> int | None:
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(
                f"embedding_dim for column {name!r} is {rule!r}; expected an int or one of {sorted(RULES)}."
            )
        known = RULES[rule]
        return None if known is None else known(n_levels)
    # of a column whose levels are all rare the unknown one is left, and rules such as (n + 1) // 2 count from one
    dim = rule(max(n_levels, 1)) if callable(rule) else rule
    if isinstance(dim, bool) or not isinstance(dim, numbers.Integral) or dim < 1:
        raise ValueError(
            f"embedding_dim for column {name!r} is {dim!r}; expected an int of at least 1, one of {sorted(RULES)}, "
            "or a callable from the number of levels to such an int."
        )
    return int(dim)


def cut(rows: np.ndarray, dim: int | None) -> np.ndarray:
    """Return the first `dim` dimensions of some vectors, all by default; zeros where they have fewer.

    Examples
    --------
    >>> cut(np.array([[3.0, 2.0]]), 1), cut(np.array([[3.0, 2.0]]), 3)
    (array([[3.]]), array([[3., 2., 0.]]))
    """
    if dim is None or dim == rows.shape[1]:
        return rows
    if dim < rows.shape[1]:
        return np.ascontiguousarray(rows[:, :dim])
    return np.hstack([rows, np.zeros((len(rows), dim - rows.shape[1]), dtype=rows.dtype)])
