"""Interactions of users and items: baskets, matrices and long tables as one CSR matrix beside the keys of items."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skembed.data.canonical import canonical_key
from skembed.data.columns import (
    as_table,
    check_labels,
    check_same_order,
    column_labels,
    factorize,
    read_columns,
    series_values,
    to_float,
)
from skembed.data.lists import encode_lists, read_lists
from skembed.data.matrix import read_matrix
from skembed.data.ragged import Ragged
from skembed.data.sequences import holds_times, to_seconds
from skembed.data.twins import warn_of_twins
from skembed.warning import warn

__all__ = ["FOR_TEXT", "Interactions", "as_lists", "holds_baskets", "read_baskets", "read_interactions"]

FOR_TEXT = (
    "expected a row a user and a column an item. A table with a row an interaction is read by "
    "skembed.interactions.read_interactions; else "
)


class Interactions(NamedTuple):
    """What `read_interactions` returns.

    Attributes
    ----------
    X : csr_matrix of shape (n_users, n_items), float32
        Their values, summed where a pair occurs more than once.
    users, items : ndarray of object
        The ids of rows and of columns, in order of first appearance.
    times : csr_matrix of shape (n_users, n_items), float64, or None
        When each pair last occurred; its entries lie as those of X. Of dates seconds since 1970.
    """

    X: sparse.csr_matrix
    users: np.ndarray
    items: np.ndarray
    times: sparse.csr_matrix | None = None


def read_interactions(
    frame: Any, *, user: Any = "user", item: Any = "item", value: Any = None, time: Any = None
) -> Interactions:
    """Make a matrix of users and items of a long table, one row an interaction.

    It stands outside a Pipeline, since it changes what a row is.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, pyarrow Table, or array-like of shape (n_interactions, n_columns)
    user, item : column names, of an array positions
        Ids of any hashable kind; none may be missing.
    value : column name or position, default=None
        Weights or ratings, at least 0. None: 1 each.
    time : column name or position, default=None
        Numbers or dates; for `basket_split` by time.

    Returns
    -------
    Interactions

    Raises
    ------
    ValueError
        If there is no such column, an id is missing, or a value is negative, NaN or infinite, the row is named; if the
        values of a pair add up to more than float32 has, the pair.

    Warns
    -----
    UserWarning
        If a number and its text, as 1 and "1", are both users or both items.

    Examples
    --------
    >>> from skembed.interactions import read_interactions
    >>> X, users, items, _ = read_interactions([("eva", "tea"), ("eva", "rye"), ("max", "tea")], user=0, item=1)
    >>> X.toarray(), items.tolist()
    (array([[1., 1.],
           [1., 0.]], dtype=float32), ['tea', 'rye'])
    """
    columns = read_columns(frame, estimator="read_interactions")
    labels = column_labels(frame)
    names = list(range(len(columns.values))) if labels is None else labels

    def column(parameter: str, name: Any) -> Any:
        if name not in names:
            raise ValueError(f"{parameter}={name!r} is no column of the table, which has {names}.")
        return columns.values[names.index(name)]

    factors = []
    for parameter, name in (("user", user), ("item", item)):
        factor = factorize(column(parameter, name), name)
        if (factor.codes < 0).any():
            row = int(np.argmax(factor.codes < 0))
            raise ValueError(f"row {row} has no {parameter}: column {name!r} is missing there; drop such rows before.")
        warn_of_twins(factor.keys, f"{parameter}s", "the column", f" of column {name!r}")
        factors.append(factor)
    codes = [factor.codes for factor in factors]
    values = np.ones(columns.n_rows)
    if value is not None:
        values = to_float(
            column("value", value), value, expected="a number of at least 0. Turn the column into numbers."
        )
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"row {row} has the value {values[row]} in column {value!r}, expected a finite one of at least 0."
        )
    shape = len(factors[0].keys), len(factors[1].keys)
    X = sparse.coo_matrix((values, codes), shape=shape).tocsr()  # sums what occurs more than once
    X.sort_indices()
    times = None
    if time is not None:
        when = _seconds(column("time", time), time)
        order = np.lexsort((when, codes[1], codes[0]))
        pair = codes[0][order] * shape[1] + codes[1][order]
        last = np.append(pair[1:] != pair[:-1], True)
        times = sparse.csr_matrix((when[order][last], X.indices, X.indptr), shape=shape)
    users, names_of_items = (_objects(factor.keys) for factor in factors)
    with np.errstate(over="ignore"):  # said below
        narrow = X.astype(np.float32)
    if not np.isfinite(narrow.data).all():
        place = int(np.argmin(np.isfinite(narrow.data)))
        user_row = int(np.searchsorted(X.indptr, place, side="right")) - 1
        raise ValueError(
            f"the values in column {value!r} of user {users[user_row]!r} and item {names_of_items[X.indices[place]]!r} "
            f"add up to {X.data[place]:.3g}, which is beyond float32; divide the column."
        )
    return Interactions(narrow, users, names_of_items, times)


def _seconds(column: Any, name: Any) -> np.ndarray:
    if hasattr(column, "iloc"):
        values = series_values(column)
    else:
        values = column.to_numpy() if hasattr(column, "to_numpy") else column
    expected = (
        "a number, or a date or time with a date. Turn the column into dates, for instance by pandas.to_datetime."
    )
    when = to_seconds(values, name) if holds_times(values) else to_float(column, name, expected=expected)
    if not np.isfinite(when).all():
        row = int(np.argmin(np.isfinite(when)))
        raise ValueError(f"row {row} has no time in column {name!r}; drop such rows before.")
    return when


def holds_baskets(X: Any) -> bool:
    """Whether X is a list or column of lists of keys, not a matrix or a frame of numbers.

    A list of rows of equally many numbers, among which is a float, is a matrix: floats are no keys of items.
    """
    if sparse.issparse(X):
        return False
    if isinstance(X, (str, bytes)):
        return True  # said to be wrong when it is read
    column = _only_column(X)
    if column is not None:
        return any(_is_list(cell) for cell in itertools.islice(as_lists(column), 100))
    if hasattr(X, "shape"):  # a column of numbers is no matrix, which is said when it is read as one
        return len(X.shape) == 1 and getattr(X.dtype, "kind", "O") not in "fiubc"
    if hasattr(X, "to_pylist"):
        return not hasattr(X, "column_names")
    if not isinstance(X, Sequence):
        return isinstance(X, Iterable)
    rows = [list(itertools.islice(row, 100)) if _is_list(row) else [row] for row in itertools.islice(X, 100)]
    values = list(itertools.chain.from_iterable(rows))
    return not (
        len(set(map(len, rows))) == 1
        and all(isinstance(value, Real) for value in values)
        and any(isinstance(value, (float, np.floating)) for value in values)
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def _only_column(X: Any) -> Any:
    """Return the column of a frame or array that has one, None of anything else."""
    if hasattr(X, "columns"):
        return read_columns(X).values[0] if len(X.columns) == 1 and len(X) else None
    return X[:, 0] if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1 and X.dtype.kind == "O" else None


def as_lists(X: Any) -> list[Any]:
    """Return the baskets of a list or column of any container."""
    if isinstance(X, Mapping):
        raise TypeError(
            f"X is a {type(X).__name__}, of which the keys alone would be read; pass its baskets, list(X.values()), or "
            "where its keys are pairs, what read_interactions makes of [(*pair, value) for pair, value in X.items()]."
        )
    column = _only_column(X)
    X = X if column is None else column
    for method in ("to_pylist", "to_list", "tolist"):  # of pyarrow, polars, pandas and numpy
        if hasattr(X, method):
            return getattr(X, method)()
    return list(X)


def read_baskets(
    estimator: Any, X: Any, *, items: Any = None, known: np.ndarray | None = None
) -> tuple[sparse.csr_matrix, list[Any]]:
    """Return X as a matrix of users and items, float32 without explicit zeros, and the keys of the items.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_`, and names, are checked, or set where nothing is known.
    X : sparse matrix, array-like or frame of shape (n_users, n_items), or list or column of lists of keys
    items : array-like of shape (n_items,), optional
        Names of the columns of a matrix.
    known : ndarray of keys, optional
        Of the items that `fit` met; others in lists are left out.

    Returns
    -------
    X : csr_matrix
    keys : list

    Raises
    ------
    ValueError
        If a value is negative, NaN, infinite or beyond float32, or names do not fit; the user and the item are named.
    TypeError
        If X is all that `read_interactions` returns.
    """
    if isinstance(X, Interactions):
        raise TypeError(
            "X is all that read_interactions returns, expected its matrix: pass its X, and items= its items."
        )
    X = as_table(X)
    if holds_baskets(X):
        if items is not None:
            raise ValueError("items names the columns of a matrix, but X is a list of baskets: leave items=None.")
        lists = X if isinstance(X, str) else as_lists(X)
        if known is None:
            ragged, keys = read_lists(lists)
            warn_of_twins(keys, "items", "the items of baskets")
            _warn_of_a_matrix(lists, keys)
            estimator.n_features_in_ = len(keys)
            vars(estimator).pop("feature_names_in_", None)  # of an earlier fit
        else:
            ragged, keys = encode_lists(lists, known), known.tolist()
            if not len(ragged.indices):
                _warn_of_another_type(lists, keys)
        if not len(ragged):
            raise ValueError("Found array with 0 sample(s): X holds no basket, expected at least one.")
        return _ones(ragged, len(keys)), keys
    given = read_matrix(estimator, X, reset=known is None, for_text=FOR_TEXT, ensure_all_finite=False)
    with np.errstate(over="ignore"):  # said below
        matrix = sparse.csr_matrix(given, dtype=np.float32, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    keys = _item_keys(X, items, matrix.shape[1]) if known is None else known.tolist()
    if known is not None:
        check_labels(estimator, X, keys)
    wrong = ~(np.isfinite(matrix.data) & (matrix.data >= 0))
    if wrong.any():
        place = int(np.argmax(wrong))
        row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
        value, before = matrix.data[place], given[row, matrix.indices[place]]
        where = f"for row {row} and item {keys[matrix.indices[place]]!r}"
        if np.isinf(value) and np.isfinite(before):
            raise ValueError(f"X holds {before:.3g} {where}, which is beyond float32; divide X by a number.")
        told, way_out = f"Negative values in data: X holds {value}", ""
        if not np.isfinite(value):
            told = f"Input X contains {'NaN' if np.isnan(value) else 'infinity'}"
            way_out = ", and 0 where a user does not have an item: X.fillna(0) of a pivoted frame"
        raise ValueError(f"{told} {where}, expected counts, weights or ratings of at least 0{way_out}.")
    return matrix, keys


def _warn_of_a_matrix(lists: Any, keys: list[Any]) -> None:
    """Warn of lists of one length in which there is nothing but 0 and 1: of a matrix, more likely than of two items."""
    if not keys or not set(keys) <= {0, 1} or not all(isinstance(entry, (list, tuple)) for entry in lists):
        return
    if len(set(map(len, lists))) == 1:
        warn(
            f"X is a list of lists that hold nothing but {keys}, and is read as baskets of {len(keys)} items of these "
            "names. Where it is a matrix, a row a user and a column an item, pass numpy.array(X)."
        )


def _warn_of_another_type(lists: Any, keys: list[Any]) -> None:
    """Warn where no item is known and none is of a type that the known ones have, as numbers that became strings."""
    given = [canonical_key(key) for entry in lists for key in entry]
    types = set(map(type, keys))
    if given and not any(type(key) in types for key in given):
        warn(
            f"none of the {len(given)} items in X was met in fit: they are such as {given[0]!r} of type "
            f"{type(given[0]).__name__}, those of fit such as {keys[0]!r} of type {type(keys[0]).__name__}; turn them "
            "into the same type."
        )


def _item_keys(X: Any, items: Any, n_items: int) -> list[Any]:
    columns = column_labels(X)
    labels = columns if items is None else items
    if labels is None:
        return list(range(n_items))
    if isinstance(labels, set | frozenset):
        raise TypeError("items is a set, which has no order; expected a sequence of names in the order of the columns.")
    keys = [canonical_key(key) for key in labels]
    if len(keys) != n_items:
        raise ValueError(f"items has {len(keys)} names, but X has {n_items} columns; name each column once.")
    first: dict[Any, int] = {}
    twice = [key for place, key in enumerate(keys) if first.setdefault(key, place) != place]
    if twice:
        raise ValueError(f"items names {twice[0]!r} twice; expected a name of its own for each column.")
    if items is not None:
        check_same_order("items", keys, columns)
    return keys


def _ones(ragged: Ragged, n_items: int) -> sparse.csr_matrix:
    data = np.ones(len(ragged.indices), np.float32)
    X = sparse.csr_matrix((data, ragged.indices, ragged.indptr), shape=(len(ragged), n_items))
    X.sort_indices()
    return X


def _objects(keys: list[Any]) -> np.ndarray:
    return np.fromiter(keys, dtype=object, count=len(keys))
