"""A recurrent net over sequences: its settings, what it learns from and its weights, as plain arrays without torch."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skembed.data.cases import Cases
from skembed.state import check_state, stored
from skembed.training.passes import BatchSettings

__all__ = ["CELLS", "POOLINGS", "CaseProblem", "InputWeights", "RecurrentSettings", "RecurrentWeights"]

CELLS = {"lstm": 4, "gru": 3}  # gates of each
POOLINGS = ("last", "mean", "max")


@dataclass(frozen=True, kw_only=True)
class RecurrentSettings(BatchSettings):
    """Settings of `skembed.training.nets.recurrent_net`, parameters of `SequenceEmbedder` by their names."""

    cell: str
    pooling: str
    embedding_dim: int
    dropout: float
    weight_decay: float


@dataclass(eq=False)
class CaseProblem:
    """What is to be learned.

    Attributes
    ----------
    cases : Cases
        A net goes over each of these once.
    tables : list of ndarray of shape (n_levels + 1, dim), float32
        Where the vectors of each column of categories begin, those of sequences first; row 0 is for unknown levels.
    n_knots : list of int
        Of each number, those of sequences first.
    flagged : list of bool
        Whether it may be missing.
    read_case, read_length : ndarray of shape (n_reads,), int64
        The loss is taken of what the net says of the first events of a case, which may be none.
    target : ndarray of shape (n_reads,), int64, or (n_reads, n_targets), float32
        Numbers of classes, or coded targets.
    weight : ndarray of shape (n_reads,), float32
    parts : list of (kind, start, stop)
        Of coded targets, as `skembed.training.nets.losses.MultiLoss` takes them.
    n_targets : int
    held_out : ndarray of int64
        Cases that early stopping looks at.
    """

    cases: Cases
    tables: list[np.ndarray]
    n_knots: list[int]
    flagged: list[bool]
    read_case: np.ndarray
    read_length: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    parts: list[tuple[str, int, int]]
    n_targets: int
    held_out: np.ndarray


@stored
@dataclass(frozen=True, eq=False)
class InputWeights:
    """What the columns of an event, or of a case, add to the gates or to the state that a case begins in.

    Attributes
    ----------
    categories : list of ndarray of shape (dim, n_outputs), float32
        What the vector of a level is multiplied by.
    numbers : list of ndarray of shape (1 + n_knots, n_outputs), float32
        Row 0 is added for a missing number, row 1 + k for the value of knot k, and between knots what lies between.
    """

    categories: list[np.ndarray]
    numbers: list[np.ndarray]

    def fit_together(self, dims: list[int], n_knots: list[int], n_outputs: int) -> bool:
        """Whether the shapes are those of vectors of these dimensions and these numbers of knots."""
        return [w.shape for w in self.categories] == [(dim, n_outputs) for dim in dims] and [
            w.shape for w in self.numbers
        ] == [(1 + n, n_outputs) for n in n_knots]


@stored
@dataclass(frozen=True, eq=False)
class RecurrentWeights:
    """A recurrent net as plain arrays, float32.

    Attributes
    ----------
    cell : {"lstm", "gru"}
    events : InputWeights
        To the gates: of an LSTM input, forget, cell and output (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber &
        Cummins 2000), of a GRU reset, update and new (Cho et al. 2014), the reset gate applied to the product with the
        recurrent weights.
    cases : InputWeights
        To the gates of each event, then to the state that a case begins in.
    recurrent : ndarray of shape (dim, n_gates * dim)
    bias : ndarray of shape (n_gates * dim,)
    recurrent_bias : ndarray of shape (n_gates * dim,)
        Within the product with the recurrent weights; zero for an LSTM.
    start : ndarray of shape (n_states * dim,)
        The state that a case begins in, before its tanh: the output, and of an LSTM the cell's memory.
    output : ndarray of shape (dim + 1, n_targets)
        From a vector to the target; the last row is the bias.
    """

    cell: str
    events: InputWeights
    cases: InputWeights
    recurrent: np.ndarray
    bias: np.ndarray
    recurrent_bias: np.ndarray
    start: np.ndarray
    output: np.ndarray

    @property
    def dim(self) -> int:
        """Columns of a state."""
        return self.recurrent.shape[0]

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_state(RecurrentWeights, state, [f.name for f in fields(RecurrentWeights)])
        if state["cell"] not in CELLS:
            raise ValueError(f"RecurrentWeights: expected one of the cells {list(CELLS)}, got {state['cell']!r:.40}")
        arrays = [value for value in state.values() if isinstance(value, np.ndarray)]
        for part in (state["events"], state["cases"]):
            arrays += [*part.categories, *part.numbers]
        if any(a.dtype != np.float32 or not np.isfinite(a).all() for a in arrays):
            raise ValueError("RecurrentWeights: expected finite weights of float32")
        if state["recurrent"].ndim != 2 or state["output"].ndim != 2:
            raise ValueError("RecurrentWeights: expected matrices of recurrent and output weights")
        dim, n_gates = len(state["recurrent"]), CELLS[state["cell"]]
        n_states = 2 if state["cell"] == "lstm" else 1
        if (
            dim < 1
            or state["recurrent"].shape != (dim, n_gates * dim)
            or state["bias"].shape != (n_gates * dim,)
            or state["recurrent_bias"].shape != (n_gates * dim,)
            or state["start"].shape != (n_states * dim,)
            or state["output"].shape[0] != dim + 1
        ):
            raise ValueError(f"RecurrentWeights: expected weights of one dimension, {dim}")
        for name, value in state.items():
            object.__setattr__(self, name, value)
