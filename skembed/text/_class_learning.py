"""Learning of a classifier of bags, and of how sure it may be: all that `FastTextClassifier` does with numbers."""

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skembed.state import stored
from skembed.text._calibration import HeldOutLosses, held_out_folds, without_unseen
from skembed.text._class_model import ClassModel
from skembed.training.run import Run
from skembed.warning import warn

if TYPE_CHECKING:
    from skembed.training.documents import ClassSettings, ClassTables, LabelledBags

__all__ = ["ClassTask", "ClassesSeen", "LearnedClasses", "StartingRows", "class_task", "finished"]

NARROW = 16  # dimensions of the model that is learned without held-out documents


@stored
@dataclass(frozen=True)
class ClassesSeen:
    """What further documents go on from, beside the model.

    Attributes
    ----------
    counts : ndarray of shape (n_classes,), int64
        How many documents of each class were learned.
    tree_counts : ndarray of shape (n_classes,), int64
        Those that the tree of hierarchical softmax was made of.
    weights : ndarray of shape (n_classes,), float64
        Sums of their weights.
    losses : HeldOutLosses
    """

    counts: np.ndarray
    tree_counts: np.ndarray
    weights: np.ndarray
    losses: HeldOutLosses

    @property
    def frequencies(self) -> np.ndarray:
        """The share of each class, by weight, (n_classes,)."""
        return self.weights / self.weights.sum()

    def check(self, n_classes: int) -> None:
        """Raise ValueError unless this is of so many classes."""
        for counted in (self.counts, self.tree_counts, self.weights):
            if counted.shape != (n_classes,):
                raise ValueError(f"expected a count of each of {n_classes} classes, got shape {counted.shape}")
        self.losses.check()


class StartingRows(NamedTuple):
    """What training begins with.

    Attributes
    ----------
    n_rows : int
    n_words : int
        Rows that are words: they come behind the first, and n-grams behind them.
    rows : ndarray of shape (n_rows, embedding_dim), float32
    given : bool
        Whether some of them were learned elsewhere, so that a narrower model would not be one of the same kind.
    output : ndarray, float32, or None
    """

    n_rows: int
    n_words: int
    rows: np.ndarray
    given: bool
    output: np.ndarray | None = None


class LearnedClasses(NamedTuple):
    """What was learned.

    Attributes
    ----------
    model : ClassModel
        Its output is multiplied by `factor`.
    factor : float
    seen : ClassesSeen
    loss_curve : list of float
    """

    model: ClassModel
    factor: float
    seen: ClassesSeen
    loss_curve: list[float]


class ClassTask(NamedTuple):
    """A training, as it is about to begin.

    Attributes
    ----------
    data : LabelledBags
    start : StartingRows
    settings : ClassSettings
    run : Run
    seen : ClassesSeen
        These documents among them.
    calibrate : bool
    beginning : ndarray of shape (n_rows, embedding_dim), or None
        A copy of the starting rows, for a second training, where a narrow one would not be of the same kind.
    is_first : bool
        Whether there were no earlier calls.
    """

    data: "LabelledBags"
    start: StartingRows
    settings: "ClassSettings"
    run: Run
    seen: ClassesSeen
    calibrate: bool
    beginning: np.ndarray | None
    is_first: bool


def class_task(
    data: "LabelledBags",
    start: StartingRows,
    settings: "ClassSettings",
    run: Run,
    *,
    calibrate: bool,
    earlier: ClassesSeen | None = None,
) -> ClassTask:
    """Return the training of documents and their classes.

    Parameters
    ----------
    data : LabelledBags
        Its counts are not looked at, but for how many classes there are.
    start : StartingRows
    settings : ClassSettings
    run : Run
    calibrate : bool
        Whether to choose the factor of the scores by documents that are held out of another training; of later calls,
        `earlier.losses` choose it.
    earlier : ClassesSeen, default=None
        What earlier calls have learned.
    """
    n_classes = len(data.counts)
    counts = np.bincount(data.labels, minlength=n_classes)
    weights = np.bincount(data.labels, data.weights.astype(np.float64), minlength=n_classes)
    seen = ClassesSeen(counts, counts, weights, HeldOutLosses.none())
    if earlier is not None:
        seen = ClassesSeen(earlier.counts + counts, earlier.tree_counts, earlier.weights + weights, earlier.losses)
    data = data._replace(counts=seen.tree_counts if settings.loss == "hierarchical-softmax" else seen.counts)
    beginning = start.rows.copy() if start.given and calibrate and earlier is None else None
    return ClassTask(data, start, settings, run, seen, calibrate, beginning, earlier is None)


def finished(task: ClassTask, tables: "ClassTables") -> LearnedClasses:
    """Return what was learned, calibrated."""
    seen = task.seen
    if task.calibrate and task.is_first:
        seen = replace(seen, losses=_held_out_losses(task, len(tables.loss_curve)))
    factor = seen.losses.best_factor() if task.calibrate else 1.0
    model = ClassModel.of(tables, task.data.counts, task.settings, seen.frequencies)
    return LearnedClasses(model.scaled(factor), factor, seen, tables.loss_curve)


def _held_out_losses(task: ClassTask, n_passes: int) -> HeldOutLosses:
    """Losses of documents that were held out of a training of so many passes; none, with a warning, on Ctrl-C."""
    from skembed.training.documents import random_rows, train_classes  # numba: not to predict

    data, start, settings, run = task.data, task.start, task.settings, task.run
    dim = min(start.rows.shape[1], NARROW)
    losses = HeldOutLosses.none()
    try:
        for held in held_out_folds(data.labels, run.seed) if n_passes else ():
            rest = data.take(np.flatnonzero(~held))
            given = task.beginning
            rows = random_rows(start.n_rows, dim, run.seed) if given is None else given.copy()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # it was said already
                again = replace(run, verbose=0, callbacks=_EndAfter(n_passes))
                tables = train_classes(rest, rows, settings, again, given=given is not None)
            if len(tables.loss_curve) < n_passes:  # Ctrl-C, and a warning said so
                return HeldOutLosses.none()
            was_seen = np.zeros(start.n_rows, dtype=bool)
            was_seen[rest.bags.indices] = True
            held_data = data.take(np.flatnonzero(held))
            held_data = held_data._replace(bags=without_unseen(held_data.bags, was_seen, start.n_words))
            losses = losses.add(ClassModel.of(tables, data.counts, settings), held_data)
    except KeyboardInterrupt:
        warn("interrupted while probabilities were calibrated; they are as they were learned.")
        return HeldOutLosses.none()
    return losses


class _EndAfter:
    """A `PassObserver` that ends training after so many passes, as the one that is repeated has ended."""

    def __init__(self, n_passes: int) -> None:
        self.n_left = n_passes

    def begin_pass(self) -> None:
        pass

    def end_pass(self, loss: float, score: float | None = None) -> bool:
        self.n_left -= 1
        return self.n_left == 0
