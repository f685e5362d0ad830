"""How many columns a level's vector has, and what they hold: the rules behind ``embedding_dim``."""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["RULES", "Allocation", "allocate", "auto_dim", "fastai_dim", "fourth_root_dim", "resolve_dims"]

# "auto": enough of the target's directions that the additive part keeps its say, and a net that is not a one-hot code
MAX_TARGET_DIM = 16
MAX_NET_DIM = 8


class Allocation(NamedTuple):
    """What the columns of one vector hold, in this order.

    Attributes
    ----------
    crossed : int
        Directions of the level's effect with the other columns accounted for.
    marginal : int
        Directions of its effect on its own.
    net : int
        Dimensions that the net learns.
    """

    crossed: int
    marginal: int
    net: int


def auto_dim(n_levels: int, n_targets: int) -> int:
    """Twice the directions of the target that the levels can tell apart (16 at most), and 1, 2, 4 or 8 for the net."""
    directions = min(n_targets, max(n_levels - 1, 1), MAX_TARGET_DIM)
    net = min(MAX_NET_DIM, 2 ** math.ceil(math.log2(max(n_levels / 2, 1))))
    return 2 * directions + net


def fourth_root_dim(n_levels: int, n_targets: int = 1) -> int:
    """The fourth root of the number of levels, rounded up, as TensorFlow's guide to feature columns advises."""
    return max(1, math.ceil(n_levels**0.25))


def fastai_dim(n_levels: int, n_targets: int = 1) -> int:
    """``min(600, round(1.6 * n_levels ** 0.56))``, the rule of thumb of the fastai library."""
    return max(1, min(600, round(1.6 * n_levels**0.56)))


RULES: dict[str, Callable[[int, int], int]] = {
    "auto": auto_dim,
    "fourth_root": fourth_root_dim,
    "fastai": fastai_dim,
}


def allocate(dim: int, n_levels: int, n_targets: int) -> Allocation:
    """Share `dim` columns among the effects of the levels and the net.

    The crossed effects come first, since they serve every learner; the net has what is left, and at least a quarter
    as soon as there is room for it.

    Examples
    --------
    >>> allocate(1, 100, 1), allocate(3, 100, 1)
    (Allocation(crossed=1, marginal=0, net=0), Allocation(crossed=1, marginal=1, net=1))
    >>> allocate(24, 1000, 9)
    Allocation(crossed=9, marginal=7, net=8)
    """
    useful = min(n_targets, max(n_levels - 1, 1))
    crossed = min(useful, math.ceil(dim / 2))
    net = min(dim - crossed, math.ceil(dim / 3) if dim > 2 else 1)
    marginal = min(useful, dim - crossed - net)
    return Allocation(crossed, marginal, dim - crossed - marginal)


def resolve_dims(embedding_dim: Any, names: list[str], n_levels: list[int], n_targets: int) -> list[int]:
    """Turn the parameter into a number of columns for each categorical column.

    Parameters
    ----------
    embedding_dim : int, str, callable or dict
        As in `EntityEmbeddingEncoder`.
    names : list of str
        The categorical columns.
    n_levels : list of int
        Levels of each, missing among them, the unknown level not.
    n_targets : int
        Columns of the target once classes are spread out.

    Returns
    -------
    list of int

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
    return [_one_dim(rule, name, n, n_targets) for rule, name, n in zip(rules, names, n_levels)]


def _one_dim(rule: Any, name: str, n_levels: int, n_targets: int) -> int:
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(
                f"embedding_dim for column {name!r} is {rule!r}; expected an int or one of {sorted(RULES)}."
            )
        return RULES[rule](n_levels, n_targets)
    dim = rule(n_levels) if callable(rule) else rule
    if isinstance(dim, bool) or not isinstance(dim, numbers.Integral) or dim < 1:
        raise ValueError(
            f"embedding_dim for column {name!r} is {dim!r}; expected an int of at least 1, one of {sorted(RULES)}, "
            "or a callable from the number of levels to such an int."
        )
    return int(dim)
