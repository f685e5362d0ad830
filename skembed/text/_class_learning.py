"""Learning of a classifier of bags, how far and how sure: all that `FastTextClassifier` does with numbers."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skembed.state import stored
from skembed.text._calibration import (
    FACTORS,
    WORST,
    HeldOutLosses,
    RatePath,
    held_out_folds,
    learned_share,
    without_unseen,
)
from skembed.text._class_model import ClassModel
from skembed.training.run import Run

if TYPE_CHECKING:
    from skembed.training.documents import ClassSettings, ClassTables, LabelledBags

__all__ = [
    "FIRST_RATE",
    "ClassLearning",
    "ClassTask",
    "ClassTraining",
    "ClassesSeen",
    "LearnedClasses",
    "StartingRows",
    "class_task",
]

NARROW = 16  # dimensions of the model that is learned without held-out documents
FIRST_RATE = 0.5  # of those that held-out documents choose from
MAX_PATHS = 3  # which they choose from, of lower or of higher rates each
FEW_DOCUMENTS = 2000  # of more, higher rates gain little, and another path takes time


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
    learning_rate : float
        At which it was learned.
    """

    model: ClassModel
    factor: float
    seen: ClassesSeen
    loss_curve: list[float]
    learning_rate: float


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
    choose_rate : bool
        Whether the rate of the settings is where held-out documents begin to look for theirs.
    is_first : bool
        Whether there were no earlier calls.
    """

    data: "LabelledBags"
    start: StartingRows
    settings: "ClassSettings"
    run: Run
    seen: ClassesSeen
    calibrate: bool
    choose_rate: bool
    is_first: bool


def class_task(
    data: "LabelledBags",
    start: StartingRows,
    settings: "ClassSettings",
    run: Run,
    *,
    calibrate: bool,
    choose_rate: bool = False,
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
    choose_rate : bool, default=False
        Whether these documents choose the rate, too, beginning with that of the settings.
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
    is_first = earlier is None
    return ClassTask(data, start, settings, run, seen, calibrate, choose_rate and calibrate and is_first, is_first)


@dataclass
class ClassTraining:
    """A training that is to be done, and what it has learned.

    Attributes
    ----------
    arguments : tuple
        Of `skembed.training.documents.train_classes`.
    options : dict
        By name.
    tables : ClassTables
        To be set by who trains.
    """

    arguments: "tuple[LabelledBags, np.ndarray, ClassSettings, Run]"
    options: dict[str, Any]
    tables: "ClassTables" = field(init=False)


class ClassLearning:
    """The trainings of a task, one after the other: what comes next depends on what was learned.

    Iterating yields each `ClassTraining`, whose `tables` are set before the next one: so no function lies between `fit`
    and what trains.

    Attributes
    ----------
    learned : LearnedClasses
        When all are done, calibrated.
    """

    learned: LearnedClasses

    def __init__(self, task: ClassTask) -> None:
        self.task = task

    def __iter__(self) -> Iterator[ClassTraining]:
        task, settings, path = self.task, self.task.settings, None
        if task.calibrate and task.is_first:
            path = yield from _rate_path(task, settings.learning_rate)
        if path is not None and task.choose_rate:
            path = yield from _better_path(task, path)
            settings = replace(settings, learning_rate=float(path.rates[path.best()]))
        start, seen = task.start, task.seen
        training = ClassTraining(
            (task.data, start.rows, settings, task.run), {"output": start.output, "given": start.given}
        )
        yield training
        tables, n_passes = training.tables, len(training.tables.loss_curve)
        if path is not None and n_passes:  # a callback or Ctrl-C may have ended it
            share = float(learned_share(n_passes, settings.max_iter))
            seen = replace(seen, losses=path.losses_at(settings.learning_rate * share))
        factor = seen.losses.best_factor() if task.calibrate else 1.0
        model = ClassModel.of(tables, task.data.counts, settings, seen.frequencies)
        self.learned = LearnedClasses(model.scaled(factor), factor, seen, tables.loss_curve, settings.learning_rate)


def _better_path(task: ClassTask, path: RatePath) -> Generator[ClassTraining, None, RatePath]:
    """Go on to lower rates, or to higher ones, while these are better."""
    goes_down = path.best() == 0 < len(path.rates) - 1
    for _ in range(MAX_PATHS - 1):
        if path.best() > 0 if goes_down else len(task.data.labels) > FEW_DOCUMENTS or not path.is_unfinished():
            break
        other = yield from _rate_path(task, float(path.rates[0] if goes_down else 2 * path.rates[-1]))
        if not goes_down and not other.is_better_than(path):
            break
        path = other
    return path


def _rate_path(task: ClassTask, learning_rate: float) -> Generator[ClassTraining, None, RatePath]:
    """What held-out documents lost while the others were learned; of no documents where none can be held out."""
    settings = replace(task.settings, learning_rate=learning_rate)
    points = RatePath.passes(settings.max_iter)
    losses = [np.empty((len(points), len(FACTORS), 0))]
    for held in held_out_folds(task.data.labels, task.run.seed):
        losses.append((yield from _held_out_losses(task, settings, held)))
    return RatePath(learning_rate * learned_share(points, settings.max_iter), np.concatenate(losses, axis=2))


def _held_out_losses(
    task: ClassTask, settings: "ClassSettings", held: np.ndarray
) -> Generator[ClassTraining, None, np.ndarray]:
    """Losses of the held-out documents at the points of a `RatePath`, (n_points, n_factors, n_held)."""
    from skembed.training.documents import random_rows  # numba: not to predict

    data, start = task.data, task.start
    rest, held_data = data.take(np.flatnonzero(~held)), data.take(np.flatnonzero(held))
    was_seen = np.zeros(start.n_rows, dtype=bool)
    was_seen[rest.bags.indices] = True
    bags = without_unseen(held_data.bags, was_seen, start.n_words)
    weights = held_data.weights.astype(np.float64)
    points = RatePath.passes(settings.max_iter)
    # those of a training that diverges, and ends early, stay the worst there are
    losses = np.full((len(points), len(FACTORS), len(weights)), WORST)

    def note(n_passes: int, tables: "ClassTables") -> None:
        if n_passes in points:
            model = ClassModel.of(tables, data.counts, settings)
            losses[np.searchsorted(points, n_passes)] = model.losses(bags, held_data.labels, weights, FACTORS)

    dim = min(start.rows.shape[1], NARROW)
    rows = start.rows.copy() if start.given else random_rows(start.n_rows, dim, task.run.seed)
    yield ClassTraining((rest, rows, settings, task.run), {"given": start.given, "watch": note})
    return losses
