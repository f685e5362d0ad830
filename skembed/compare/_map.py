"""The table of one column as points in the plane: which column says the most, and where its levels lie."""

from dataclasses import dataclass

import numpy as np

from skembed.data.columns import factorize
from skembed.inspection.plane import principal_plane

_MAX_POINTS = 1_000  # more circles than this neither fit a screen nor a page that is quick to open
_MIN_LEVELS = 5  # fewer points are no map


@dataclass
class LevelMap:
    """Levels of one column in the plane.

    Attributes
    ----------
    column : str
    keys : list
        Levels, most frequent first.
    xy : float64 array of shape (n_levels, 2)
    counts : int64 array of shape (n_levels,)
    values : float64 array of shape (n_levels,)
        Mean target, or share of the second class; for more classes, the place of the commonest in `classes`.
    classes : list
        Labels for a classification.
    task : str
    n_left_out : int
        Rarer levels beyond the points that are drawn.
    shown_share : float
        Share of the spread of the vectors that the plane shows.
    """

    column: str
    keys: list
    xy: np.ndarray
    counts: np.ndarray
    values: np.ndarray
    classes: list
    task: str
    n_left_out: int
    shown_share: float


def map_levels(problem, *, random_state=0):
    """Fit the entity encoder on all rows and lay out the levels of the column whose vectors differ most.

    Returns
    -------
    level_map : LevelMap or None
        None if no column has at least 5 levels with vectors of their own.
    """
    from skembed.compare._evaluate import pipeline, routed_groups

    columns = pipeline("entity", "linear", problem, random_state=random_state).named_steps["columns"]
    with routed_groups(problem, slice(None), encoder="entity") as groups:
        tables = columns.fit(problem.X, problem.y, **groups).named_transformers_["categorical"].embeddings_
    best, best_spread = None, -1.0
    for column, table in zip(problem.categorical, tables.values()):
        levels = _Levels.of(problem, column, table)
        if levels is not None and levels.spread > best_spread:
            best, best_spread = levels, levels.spread
    return None if best is None else best.lay_out(problem)


@dataclass
class _Levels:
    """The levels of a column that have vectors, with the rows that hold each."""

    column: object
    keys: list
    vectors: np.ndarray  # (n_levels, embedding_dim)
    codes: np.ndarray  # (n_rows,), -1 for rows of other levels
    counts: np.ndarray  # (n_levels,)

    @classmethod
    def of(cls, problem, column, table):
        X = problem.X
        factor = factorize(X[column] if hasattr(X, "iloc") else X[:, column])
        codes, keys = np.asarray(factor.codes).copy(), list(factor.keys)
        codes[codes < 0] = len(keys)  # missing is a level like others
        keys.append(None)
        counts = np.bincount(codes, minlength=len(keys))
        kept = [j for j, key in enumerate(keys) if counts[j] and key in table]
        if len(kept) < _MIN_LEVELS:
            return None
        kept.sort(key=lambda j: -counts[j])
        place = np.full(len(keys), -1)
        place[kept] = np.arange(len(kept))
        keys = [keys[j] for j in kept]
        return cls(column, keys, table.lookup(keys).astype(np.float64), place[codes], counts[kept])

    @property
    def spread(self):
        """Variance of the vectors over the rows, summed over the dimensions."""
        mean = np.average(self.vectors, axis=0, weights=self.counts)
        return float(np.average(((self.vectors - mean) ** 2).sum(axis=1), weights=self.counts))

    def lay_out(self, problem):
        xy, share = principal_plane(self.vectors, self.counts)
        values, classes = self._colours(problem)
        n = min(len(self.keys), _MAX_POINTS)
        return LevelMap(
            column=problem.name_of(self.column),
            keys=self.keys[:n],
            xy=xy[:n],
            counts=self.counts[:n],
            values=values[:n],
            classes=classes,
            task=problem.task,
            n_left_out=len(self.keys) - n,
            shown_share=share,
        )

    def _colours(self, problem):
        rows = self.codes >= 0
        codes, y = self.codes[rows], problem.y[rows]
        if problem.task == "regression":
            return np.bincount(codes, weights=y, minlength=len(self.keys)) / self.counts, []
        classes, labels = np.unique(problem.y, return_inverse=True)
        table = np.zeros((len(self.keys), len(classes)))
        np.add.at(table, (codes, labels[rows]), 1)
        values = table[:, 1] / self.counts if problem.task == "binary" else table.argmax(axis=1).astype(float)
        return values, classes.tolist()
