"""Levels of categorical columns as rows of tables, 0 the unknown one; warnings of columns that tell nothing."""

from typing import Any

import numpy as np

from skembed.data.columns import Columns, factorize
from skembed.data.factor import Factor
from skembed.data.vocabulary import Vocabulary
from skembed.warning import warn

__all__ = [
    "degenerate_columns",
    "encode_levels",
    "factorize_columns",
    "warn_degenerate",
    "warn_identifiers",
    "warn_strangers",
    "weighted_counts",
    "weighted_vocabulary",
]

_LEAST_ROWS = 50  # that tell an identifier from levels that happen to differ
IDENTIFIER_SHARE = 0.9  # of the rows, by themselves in their level


def factorize_columns(columns: Columns, positions: list[int]) -> list[Factor]:
    """Return codes and keys of some columns."""
    return [factorize(columns.values[i], columns.label(i)) for i in positions]


def weighted_vocabulary(
    factor: Factor,
    weight: np.ndarray,
    rows: np.ndarray,
    min_frequency: int | float | None,
    max_categories: int | None,
) -> Vocabulary:
    """Build the vocabulary of the rows with positive weight.

    Weights that are whole numbers count as repeated rows, others as one row each. In a column that identifies rows,
    most of its levels being met once, those levels are infrequent without being told: their vectors would hold single
    targets.

    Parameters
    ----------
    factor : Factor
    weight : ndarray of shape (n_samples,)
    rows : ndarray of int
        Where `weight` is positive.
    min_frequency, max_categories
        As in `Vocabulary`.

    Returns
    -------
    Vocabulary
    """
    if len(rows) == len(factor.codes) and (weight == 1).all():
        vocabulary = Vocabulary.from_factor(factor, min_frequency=min_frequency, max_categories=max_categories)
    else:
        vocabulary = Vocabulary.from_counts(
            *weighted_counts(factor, weight, rows), min_frequency=min_frequency, max_categories=max_categories
        )
    if min_frequency is None and (vocabulary.counts == 1).sum() > IDENTIFIER_SHARE * vocabulary.n_rows:
        return weighted_vocabulary(factor, weight, rows, 2, max_categories)
    return vocabulary


def weighted_counts(factor: Factor, weight: np.ndarray, rows: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the keys of some rows in order of first appearance, and how many rows each has, repeated ones too."""
    counted = weight[rows]
    if not np.array_equal(counted, np.round(counted)):
        counted = np.ones(len(rows))
    found, first, inverse = np.unique(factor.codes[rows], return_index=True, return_inverse=True)
    counts = np.bincount(inverse, counted).astype(np.int64)
    order = np.argsort(first)
    return [None if found[i] < 0 else factor.keys[found[i]] for i in order], counts[order]


def degenerate_columns(names: list[str], factors: list[Factor], rows: np.ndarray) -> list[str]:
    """Return what there is to say of columns that cannot tell one row from another, or tell each from every other."""
    missing: list[str] = []
    constant: list[str] = []
    unique: list[str] = []
    nearly: list[str] = []
    for name, factor in zip(names, factors):
        seen = np.bincount(factor.codes[rows] + 1, minlength=1)
        n_levels = int((seen > 0).sum())
        if n_levels == 1:
            (missing if seen[0] else constant).append(name)
        elif n_levels == len(rows) > 2:
            unique.append(name)
        elif len(rows) >= _LEAST_ROWS and (seen == 1).sum() > IDENTIFIER_SHARE * len(rows):
            nearly.append(name)
    what = [
        ("holds no value", "hold no value", missing),
        ("has one level only", "have one level only", constant),
        ("has a level of its own in every row", "have a level of their own in every row", unique),
        ("has a level of its own in nearly every row", "have a level of their own in nearly every row", nearly),
    ]
    texts = []
    for one, many, which in what:
        if which:
            shown = ", ".join(repr(name) for name in which[:5]) + (", ..." if len(which) > 5 else "")
            texts.append(f"column {shown} {one}" if len(which) == 1 else f"columns {shown} {many}")
    return texts


def warn_degenerate(texts: list[str]) -> None:
    """Warn of what `degenerate_columns` has found."""
    for text in texts:
        warn(f"{text}: its vectors cannot tell rows apart; leave it out of X.")


def warn_identifiers(names: list[str], vocabularies: list[Vocabulary], units: list[str]) -> None:
    """Warn of columns in which nearly every row or event has a level of its own, as where times are text.

    Parameters
    ----------
    names : list of str
    vocabularies : list of Vocabulary
        Of these columns.
    units : list of str
        What has a level in each: "row", "event".
    """
    for name, vocabulary, unit in zip(names, vocabularies, units):
        single = vocabulary.counts == 1
        if vocabulary.n_rows >= _LEAST_ROWS and single.sum() > IDENTIFIER_SHARE * vocabulary.n_rows:
            warn(
                f"column {name!r} has a level of its own in nearly every {unit}, such as {vocabulary.keys[-1]!r:.60}: "
                "its vectors say nothing of further ones. If it holds numbers or times as text, make numbers or dates "
                "of them before; otherwise leave it out of X, or set min_frequency."
            )


def encode_levels(
    columns: Columns, positions: list[int], vocabularies: list[Vocabulary], *, check_unknown: bool
) -> list[np.ndarray]:
    """Return the table rows of every categorical column.

    Raises
    ------
    ValueError
        If asked to check, and a column holds levels that fit never met.
    """
    ids = []
    for position, vocabulary in zip(positions, vocabularies):
        factor = factorize(columns.values[position], columns.label(position))
        if check_unknown:
            infrequent = set(vocabulary.infrequent)
            keys = [*factor.keys, *([None] if (factor.codes < 0).any() else [])]
            unknown = [k for k in keys if k not in vocabulary and k not in infrequent]
            if unknown:
                shown = ", ".join(repr(k) for k in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
                raise ValueError(
                    f"Found unknown categories in column {columns.label(position)!r} during transform: {shown} "
                    f"({len(unknown)} levels that fit never met). Use handle_unknown='embed' to give them the unknown "
                    "vector."
                )
        ids.append(vocabulary.encode(factor))
    return ids


def warn_strangers(
    columns: Columns, positions: list[int], vocabularies: list[Vocabulary], ids: list[np.ndarray]
) -> None:
    """Warn once of columns all of whose values are unknown, and of which kind they are: int in fit, str now."""
    strange, differ = [], False
    for position, vocabulary, rows in zip(positions, vocabularies, ids):
        if len(rows) < 2 or not len(vocabulary) or rows.any():
            continue
        factor = factorize(columns.values[position], columns.label(position))
        infrequent = set(vocabulary.infrequent)
        if not factor.keys or any(key in infrequent for key in factor.keys):
            continue
        known = next((key for key in vocabulary.keys if key is not None), None)
        differ = differ or type(known) is not type(factor.keys[0])
        strange.append(
            f"column {columns.label(position)!r} holds values such as {factor.keys[0]!r} "
            f"({type(factor.keys[0]).__name__}), fit met such as {known!r} ({type(known).__name__})"
        )
    if strange:
        advice = "; convert the column to the type that it had in fit" if differ else ""
        warn(f"no value is known: {'; '.join(strange)}. All rows get the unknown vector{advice}.")
