"""A net over tables of levels: its settings and what is learned of it, as plain arrays that need no torch."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from skembed.state import stored
from skembed.training.passes import BatchSettings, History
from skembed.training.run import settings_of

__all__ = ["DEFAULT_SHRINKAGE", "DIRECTION_FLOOR", "LevelProblem", "NetPart", "NetSettings"]

DEFAULT_SHRINKAGE = 50.0  # where there are no validation rows to choose it on
ADAPTING_LAYERS = (128, 64)
DIRECTION_FLOOR = 0.35  # a direction of the net's rows along which the prediction changes less than this is not read


class LevelProblem(Protocol):
    """What the net is to learn from.

    Attributes
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
    numeric : ndarray of shape (n_samples, n_numeric)
    coded : ndarray of shape (n_samples, n_targets)
    weight : ndarray of shape (n_samples,)
    target : object
        With `n_targets` and `outputs`, each of a `kind` between `start` and `stop`.
    offset : ndarray of shape (n_samples, n_targets) or None
        What scores begin from: each row's from effects that were learned without it. None is zero.
    initial, warm_start : list of ndarray of shape (n_table_rows, dim), float32
        What tables are pulled towards, and where they begin; `warm_start` may be empty.
    head : list of ndarray
        Weights and biases that the layers above the tables begin from, those of an earlier fit; may be empty.
    from_init, frozen : set of int
        Columns whose tables came from elsewhere, and those of them that stay as they are.
    folds : list of (train, test)
    holds_out : bool
    """

    ids: np.ndarray
    numeric: np.ndarray
    coded: np.ndarray
    weight: np.ndarray
    target: Any
    offset: np.ndarray | None
    initial: list[np.ndarray]
    warm_start: list[np.ndarray]
    head: list[np.ndarray]
    from_init: set[int]
    frozen: set[int]
    folds: list[tuple[np.ndarray, np.ndarray]]
    holds_out: bool


@dataclass(frozen=True, kw_only=True)
class NetSettings(BatchSettings):
    """Settings of `skembed.training.nets.level_net.learn_net`, parameters of the estimator by their names."""

    hidden_layer_sizes: tuple[int, ...]

    @classmethod
    def of(cls, estimator: Any, n_rows: int) -> "NetSettings":
        """Read the settings off an estimator, and choose the batch size for `n_rows` where it is "auto"."""
        sizes, batch_size = estimator.hidden_layer_sizes, estimator.batch_size
        if isinstance(sizes, str):  # "auto": tables from elsewhere need a net to be adapted by
            sizes = ADAPTING_LAYERS if estimator.init and not estimator.init_frozen else ()
        if batch_size == "auto":
            batch_size = int(np.clip(n_rows // 400, 64, 1024))
        return settings_of(cls, estimator, hidden_layer_sizes=tuple(map(int, sizes)), batch_size=batch_size)


@stored
@dataclass
class NetPart:
    """A net with hidden layers: what was learned by it.

    Attributes
    ----------
    initial : list of ndarray of shape (n_table_rows, dim), float32
        The vectors that the tables began from.
    raw : list of ndarray of shape (n_table_rows, dim), float32
        The net's own rows, before they are scaled.
    fold_raw : list of such lists
        One for each fold, learned without its test rows; empty if not asked for.
    scalings : list of ndarray of shape (dim, n_read)
        From a row to the directions that the net reads, in units of the prediction.
    head : list of ndarray
        Weights and biases of the head, none if no net was trained.
    shrinkage : float
    history : History
    """

    initial: list[np.ndarray]
    raw: list[np.ndarray]
    fold_raw: list[list[np.ndarray]]
    scalings: list[np.ndarray]
    head: list[np.ndarray] = field(default_factory=list)
    shrinkage: float = float("inf")
    history: History = field(default_factory=History)
