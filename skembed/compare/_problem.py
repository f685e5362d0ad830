"""A supervised problem made of a table: kinds of columns, the rows that are taken, what is left out, and why."""

from collections import Counter
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from skembed.compare._columns import LARGEST, as_levels, is_code, is_huge, to_numbers
from skembed.compare._left_out import held_type, is_hashable, leave_out
from skembed.compare._read import InputError, read_table
from skembed.compare._target import as_targets, binary_or_multiclass, counted, drop_rare_classes, read_target

MAX_ROWS = 50_000
MIN_CHARACTERS = 20  # of a class of Unicode's


@dataclass(frozen=True)
class ComparisonProblem:
    """Rows, target and kinds of column, ready to be given to a pipeline.

    Attributes
    ----------
    X : DataFrame or object array of shape (n_rows, n_columns)
    y : array of shape (n_rows,)
        float64 for regression, else the labels.
    task : {"regression", "binary", "multiclass"}
    categorical, numeric : list of str or of int
        Columns of `X`, by name or, for an array, by place.
    source, target : str
        What to call the data and the target.
    column_names : list of str
    left_out : dict of str to str
        Column and the reason.
    notes : list of str
        What was done to the rows and columns, one sentence each.
    groups : int64 array of shape (n_rows,) or None
        Which rows are kept together by the folds, as all of a customer.
    """

    X: Any
    y: np.ndarray
    task: str
    categorical: list
    numeric: list
    source: str
    target: str
    column_names: list
    left_out: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    groups: Any = None

    def name_of(self, column):
        return self.column_names[column] if isinstance(column, int) else column


def read_problem(
    path,
    target,
    *,
    task="auto",
    drop=(),
    categorical=(),
    numeric=(),
    group=None,
    header_rows=1,
    max_rows=MAX_ROWS,
    cv=5,
    random_state=0,
):
    """Read a file and make a supervised problem of it.

    Parameters
    ----------
    path : str or path-like
        csv and its relatives in any compression, or parquet.
    target : str
        The column to predict.
    task : {"auto", "regression", "classification"}, default="auto"
        "auto": text, booleans and few whole numbers are classes, all else is regression, by the rule of
        `skembed.data.target_type.infer_target_type`: more than 50 whole numbers are amounts, and so are more than 20
        that are more than a tenth as many as the rows.
    drop, categorical, numeric : sequence of str
        Columns to leave out, and columns whose kind is not to be guessed.
    group : str, optional
        A column whose rows of one value belong together, as all of a customer: folds keep them together, so that
        scores are those of new customers. It is no input; a row without a value is a group of its own.
    header_rows : int, default=1
        Lines that hold the column names, 0 to 2.
    max_rows : int or None, default=50_000
        More rows than this are sampled. None: all.
    cv : int, default=5
        Classes of fewer rows, or groups, than this are left out: they would miss in some of the folds.
    random_state : int, default=0
        Of the sampling.

    Returns
    -------
    problem : ComparisonProblem

    Raises
    ------
    InputError
        A ValueError whose message is one line: what is wrong with the file or a column, and what to do.
    """
    table = read_table(path, header_rows=header_rows)
    if header_rows == 0 and target is not None and target not in table.columns and target.isdigit():
        target = f"column_{target}"
    return make_problem(
        table,
        target,
        task=task,
        drop=drop,
        categorical=categorical,
        numeric=numeric,
        group=group,
        max_rows=max_rows,
        cv=cv,
        random_state=random_state,
        source=Path(path).name,
    )


def make_problem(
    table,
    target,
    *,
    task="auto",
    drop=(),
    categorical=(),
    numeric=(),
    group=None,
    max_rows=MAX_ROWS,
    cv=5,
    random_state=0,
    source="the table",
):
    """Make a supervised problem of a DataFrame, or a table of polars or pyarrow; parameters as in `read_problem`.

    Names of columns that are no texts are made such, those of several levels joined by ``": "``.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        if not hasattr(table, "to_pandas"):
            raise InputError(
                f"{source} is of type {type(table).__name__}, expected a DataFrame; read_problem reads files."
            )
        table = table.to_pandas()
    table = table.set_axis(list(map(_as_text, table.columns)), axis=1)
    target, group = (None if name is None else _as_text(name) for name in (target, group))
    drop, categorical, numeric = (list(map(_as_text, names)) for names in (drop, categorical, numeric))
    grouping = [] if group is None else [group]
    asked = {"drop": drop, "categorical": categorical, "numeric": numeric, "group": grouping}
    _check_names(table, target, source, asked)
    _check_values(table, target, {name: asked[name] for name in ("categorical", "numeric", "group")})
    notes: list[str] = []
    y, task = read_target(table[target], target, task, notes)
    known = ~pd.isna(y)
    if not known.all():
        notes.append(f'{counted((~known).sum(), "row")} without a value of "{target}" left out')
    table, y = table[known], y[known]
    # identifiers show themselves among all rows, so columns are judged before rows are sampled
    groups = None if group is None else _number_groups(table[group], notes)
    inputs = table.drop(columns=[target, *drop, *(name for name in grouping if name not in drop)])
    table, left_out = leave_out(inputs, keep={*categorical, *numeric})
    left_out = {**dict.fromkeys(drop, "as asked"), **dict.fromkeys(grouping, "its rows are kept together"), **left_out}
    rows = _sample(len(y), max_rows, random_state, notes)
    table, y = table.iloc[rows].reset_index(drop=True), y[rows]
    groups = None if groups is None else groups[rows]
    if task != "regression":
        kept = drop_rare_classes(y, target, notes, n_min=cv, groups=groups)
        table, y = table[kept].reset_index(drop=True), y[kept]
        groups = None if groups is None else groups[kept]
        task = binary_or_multiclass(y, target)
    elif len(np.unique(y)) < 2:
        raise InputError(f'target "{target}" has one value only ({y[0]:g}): nothing to predict.')
    if groups is not None:
        notes.append(f'rows of one "{group}" kept together by the folds: {counted(len(np.unique(groups)), "group")}')
    X, kinds, more_left_out = _kinds_of_columns(table, as_targets(y, task), categorical, numeric, notes)
    if not kinds["categorical"]:
        way_out = "name one with --categorical COLUMN"
        if kinds["numeric"]:
            way_out = f"numbers in {_list_of(kinds['numeric'])}; name those that are codes with --categorical COLUMN"
        raise InputError(f"{source} has no column of categories left: {way_out}.")
    return ComparisonProblem(
        X=X,
        y=y,
        task=task,
        **kinds,
        source=source,
        target=target,
        column_names=list(X.columns),
        left_out={**left_out, **more_left_out},
        notes=notes,
        groups=groups,
    )


def unicode_problem(*, max_rows=8_000, cv=5, random_state=0):
    """The problem of `skembed.datasets.load_unicode`, sampled; works without pandas.

    Parameters as in `read_problem`; classes of fewer than 20 rows are left out in any case.
    """
    from skembed.datasets import load_unicode

    unicode = load_unicode()
    notes: list[str] = []
    rows = _sample(len(unicode.target), max_rows, random_state, notes)
    y = unicode.target[rows]
    kept = drop_rare_classes(y, "category", notes, n_min=max(cv, MIN_CHARACTERS))
    rows, y = rows[kept], y[kept]
    is_frame = hasattr(unicode.data, "iloc")
    columns = unicode.feature_names if is_frame else list(range(len(unicode.feature_names)))
    return ComparisonProblem(
        X=unicode.data.iloc[rows].reset_index(drop=True) if is_frame else unicode.data[rows],
        y=y,
        task="multiclass",
        categorical=columns[:-1],
        numeric=columns[-1:],  # name_length
        source="the characters of Unicode",
        target="category",
        column_names=unicode.feature_names,
        notes=notes,
    )


def _number_groups(column, notes):
    """The group of each row as a number; a row without a value is a group of its own."""
    import pandas as pd

    codes, names = pd.factorize(as_levels(column))
    alone = codes < 0
    if alone.any():
        notes.append(f'{counted(alone.sum(), "row")} without a value of "{column.name}", each a group of its own')
    codes[alone] = len(names) + np.arange(alone.sum())
    return codes.astype(np.int64)


def _as_text(name):
    """The name of a column, by which scikit-learn would else take a place."""
    return ": ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _check_names(table, target, source, asked):
    names = list(table.columns)
    for name, times in Counter(names).items():
        if times > 1:
            raise InputError(f'{source} has {times} columns named "{name}": rename all but one.')
    if target is None:
        raise InputError(f"which column is to be predicted? Give --target COLUMN: {source} has {_list_of(names)}.")
    if target not in names:
        raise InputError(f'{source} has no column "{target}".{_names_like(target, names)}')
    for option, columns in asked.items():
        for column in columns:
            if column not in names:
                raise InputError(f'--{option}: {source} has no column "{column}".{_names_like(column, names)}')
            if column == target:
                raise InputError(f'--{option}: "{column}" is the target.')
            if option not in ("group", "drop") and column in asked["group"]:
                raise InputError(f'"{column}" is asked to be both --group and --{option}: choose one.')
    for column in {*asked["categorical"]} & {*asked["numeric"]}:
        raise InputError(f'"{column}" is asked to be both --categorical and --numeric: choose one.')


def _check_values(table, target, asked):
    named = [(f"--{option}: column", column) for option, columns in asked.items() for column in columns]
    for what, column in [("target", target), *named]:
        held = held_type(table[column].dropna(), is_hashable)
        if held:
            raise InputError(f'{what} "{column}" holds values of type {held}: turn them into text or numbers first.')


def _names_like(name, names):
    lowered = {n.lower(): n for n in reversed(names)}
    near = [lowered[n] for n in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    near += [n for n in names if name.lower() in n.lower() and n not in near][: 3 - len(near)]
    if near:
        return " Is it " + " or ".join(f'"{n}"' for n in near) + "?"
    if sum(_is_number(n) for n in names) >= 2:
        return (
            f' Its first line looks like data ("{names[0]}", "{names[1]}" ...): for a file without names, give '
            f"--no-header and a target from column_1 to column_{len(names)}."
        )
    return f" It has {_list_of(names)}."


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _list_of(names, n_max=12):
    return ", ".join(f'"{n}"' for n in names[:n_max]) + (
        f" and {len(names) - n_max} more" if len(names) > n_max else ""
    )


def _sample(n_rows, max_rows, random_state, notes):
    if max_rows is None or n_rows <= max_rows:
        return np.arange(n_rows)
    notes.append(f"{max_rows:,} of {n_rows:,} rows drawn at random (--max-rows 0 takes all)")
    return np.sort(np.random.default_rng(random_state).permutation(n_rows)[:max_rows])


def _kinds_of_columns(table, targets, categorical, numeric, notes):
    """Convert each column to levels or numbers; return the table, the two lists of names, and what had to go."""
    import pandas as pd

    columns, left_out = {}, {}
    kinds: dict[str, list] = {"categorical": [], "numeric": []}
    read: dict[str, list] = {}
    for name in table.columns:
        numbers, how = (None, "") if name in categorical else to_numbers(table[name])
        if name in numeric and numbers is None:
            raise InputError(
                f'--numeric: column "{name}" does not hold numbers (such as "{table[name].dropna().iloc[0]}").'
            )
        if numbers is not None:
            numbers = np.where(np.isfinite(numbers), numbers, np.nan)
            if np.isnan(numbers).all():
                left_out[name] = "empty in the rows that remain"
                continue
            if is_huge(numbers):
                left_out[name] = f"holds numbers beyond {LARGEST:g}"
                continue
        if numbers is None or (not how and name not in numeric and is_code(numbers, targets)):
            columns[name] = as_levels(table[name])
            kinds["categorical"].append(name)
        else:
            columns[name] = pd.Series(numbers, index=table.index)
            kinds["numeric"].append(name)
            if how:
                read.setdefault(how, []).append(name)
    notes.extend(f"read as {how}: {_list_of(names)}" for how, names in read.items())
    return pd.DataFrame(columns, index=table.index), kinds, left_out
