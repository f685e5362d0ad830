"""Labels of documents and the classes that there may be: what `FastTextClassifier` asks of y."""

from collections.abc import Set
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from skembed.data.columns import filled
from skembed.data.target_type import is_missing

__all__ = ["all_classes", "class_numbers", "read_labels"]


def read_labels(y: Any) -> np.ndarray:
    """Return y as an array of one dimension; ValueError if it is no classes, or a document has none.

    A list is looked at before numpy makes the class "nan" of a missing value among strings, and "1" of a number.
    """
    y = filled(y)
    labels = y if isinstance(y, list | tuple) else column_or_1d(y, warn=True)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind == "O":
        for position, label in enumerate(labels):
            if not isinstance(label, str) and np.ndim(label) == 0 and is_missing(label):
                raise ValueError(
                    f"y has no class for document {position}, got {label!r}; drop such documents, or give them a class."
                )
            if isinstance(label, Set) or (isinstance(label, list | tuple) and len(label) != 1):
                raise ValueError(
                    f"y has the labels {label!r:.60} for document {position}, expected one class. Documents of several "
                    "are for sklearn.multiclass.OneVsRestClassifier(FastTextClassifier()), with the matrix that "
                    "sklearn.preprocessing.MultiLabelBinarizer makes of y."
                )
        if len({isinstance(label, str) for label in labels}) > 1:
            other = next(label for label in labels if not isinstance(label, str))
            raise TypeError(
                f"y holds strings beside {other!r:.60} of type {type(other).__name__}, expected classes of one type; "
                "turn them into strings: [str(label) for label in y]."
            )
    labels = column_or_1d(labels, warn=True)
    check_classification_targets(labels)
    return labels


def all_classes(y: np.ndarray, announced: Any, known: np.ndarray | None) -> np.ndarray:
    """Return all classes there may be.

    Parameters
    ----------
    y : ndarray of shape (n_documents,)
    announced : array-like or None
        Those that a first call announces; None: those of `y`.
    known : ndarray or None
        Those of earlier calls, if there were any; they stay.
    """
    named = None if announced is None else _read_classes(announced)
    if known is not None:
        if named is not None and not np.array_equal(named, known):
            raise ValueError(f"classes must be those of the first call, {_shown(known)}, or None.")
        return known
    return np.unique(y) if named is None else named


def _read_classes(announced: Any) -> np.ndarray:
    """Return the distinct classes that are announced; numpy would make the class "nan" of a missing value."""
    classes = list(filled(announced)) if np.iterable(announced) and not isinstance(announced, str | bytes) else []
    if not classes:
        raise ValueError(f"classes must be a list of all classes, got {announced!r:.60}.")
    for label in classes:
        if not isinstance(label, str) and np.ndim(label) == 0 and is_missing(label):
            raise ValueError(f"classes holds {label!r}, which is no class; leave it out.")
    if len({isinstance(label, str) for label in classes}) > 1:
        raise TypeError("classes holds strings beside other values; expected classes of one type.")
    return np.unique(classes if isinstance(announced, Set) else filled(announced))


def class_numbers(n_documents: int, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the number of the class of each document; ValueError if they are not labels of so many documents."""
    if n_documents != len(y):
        raise ValueError(f"X has {n_documents} documents and y has {len(y)} labels; expected one for each.")
    if not n_documents:
        raise ValueError(
            "X and y are empty; expected documents and the class of each. A generator that was read before is empty."
        )
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, got 1 class: {_shown(classes)}.")
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y holds the class {unknown.tolist()[0]!r}, expected one of {_shown(classes)}; name all "
            "classes in the first call: partial_fit(X, y, classes=...)."
        )
    return np.searchsorted(classes, y).astype(np.int32)


def _shown(classes: np.ndarray) -> str:
    return ", ".join(map(repr, classes[:5].tolist())) + (", ..." if len(classes) > 5 else "")
