"""Passes over the data, whatever a pass does: early stopping, Ctrl-C, losses that are not finite. Needs no torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skembed.state import stored
from skembed.training.run import Run
from skembed.warning import warn

__all__ = ["MAX_LEARNING_RATE", "BatchSettings", "History", "PassSettings", "Resumable", "repeat_passes"]

MAX_LEARNING_RATE = 1e6  # Adam's steps have about this length; float32 ends at 3e38, far behind any use


@dataclass(frozen=True, kw_only=True)
class PassSettings:
    """Settings of `repeat_passes`.

    Attributes
    ----------
    max_iter : int
        Passes at most.
    early_stopping : bool
        Score the model on rows held out after each pass, stop when `n_iter_no_change` passes in a row have not raised
        the best score by `tol`, and keep the best state.
    validation_fraction : float
        Share of the rows that is held out.
    n_iter_no_change : int
    tol : float
    """

    max_iter: int
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 3
    tol: float = 1e-4

    def held_out_rows(self, n_rows: int, rng: np.random.RandomState, *, at_least: int = 1) -> np.ndarray:
        """Return the rows to hold out, drawn at random and sorted, and never all; none without early stopping."""
        if not self.early_stopping:
            return np.empty(0, dtype=np.int64)
        n_held_out = min(max(at_least, round(self.validation_fraction * n_rows)), n_rows - 1)
        return np.sort(rng.permutation(n_rows)[:n_held_out])


@dataclass(frozen=True, kw_only=True)
class BatchSettings(PassSettings):
    """Settings of passes that learn batch by batch, as nets do.

    Attributes
    ----------
    max_iter, early_stopping, validation_fraction, n_iter_no_change, tol
        As in `PassSettings`.
    batch_size : int
    learning_rate : float
    device : str
        "auto" is the first GPU if there is one.
    """

    batch_size: int
    learning_rate: float = 1e-3
    device: str = "auto"


class Resumable(Protocol):
    """A model whose state can be kept and brought back."""

    def validation_score(self) -> float:
        """Return a score of the present state on rows held out, higher is better."""

    def snapshot(self) -> Any:
        """Return a copy of the state."""

    def restore(self, state: Any) -> None:
        """Go back to a state that `snapshot` returned."""


@stored
@dataclass
class History:
    """What happened, one value a pass.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss of a row.
    validation_scores : list of float
        Empty where nothing was held out.
    n_iter : int
        Passes that were begun and ended.
    best_iter : int
        Passes that the kept state has seen.
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    n_iter: int = 0
    best_iter: int = 0


def repeat_passes(
    model: Resumable,
    one_pass: Callable[[], float],
    settings: PassSettings,
    run: Run,
    *,
    advice: str = "Lower learning_rate, or look for extreme values among the side inputs.",
) -> History:
    """Call `one_pass` at most `max_iter` times.

    Parameters
    ----------
    model : Resumable
        What the passes change.
    one_pass : callable
        Takes one pass and returns the mean loss of a row.
    settings : PassSettings
    run : Run
        Its seed is not looked at.
    advice : str
        What to do about a loss that is not finite.

    Returns
    -------
    History

    Warns
    -----
    ConvergenceWarning
        When a loss is not finite: training ends at the last finite state.
    UserWarning
        On Ctrl-C after the first pass: training ends at the best state so far. Before, KeyboardInterrupt goes on.
    """
    history = History()
    best: tuple[float, Any] | None = None
    last_finite = model.snapshot()
    stale = 0

    def warning() -> str | None:
        n_iter = history.n_iter
        return f"interrupted in pass {n_iter + 1}; kept the best state of {n_iter} finished passes." if n_iter else None

    with run.interruptible(warning), run.bar(settings.max_iter, unit="pass") as bar:
        for n_iter in range(1, settings.max_iter + 1):
            run.begin_pass()
            loss = one_pass()
            score = model.validation_score() if settings.early_stopping else None
            if not math.isfinite(loss) or (score is not None and not math.isfinite(score)):
                run.end_pass(loss, score)
                warn(
                    f"the loss of pass {n_iter} is not finite ({loss}); kept the state of pass {history.n_iter}. "
                    + advice,
                    ConvergenceWarning,
                )
                break
            history.loss_curve.append(loss)
            history.n_iter = n_iter
            last_finite = model.snapshot()
            if score is None:
                history.best_iter = n_iter
            else:
                history.validation_scores.append(score)
                stale = 0 if best is None or score > best[0] + settings.tol else stale + 1
                if best is None or score > best[0]:
                    best = (score, last_finite)
                    history.best_iter = n_iter
            bar.set_postfix(loss=f"{loss:.4g}", **({} if score is None else {"score": f"{score:.4g}"}))
            bar.update()
            if run.end_pass(loss, score) or (settings.early_stopping and stale >= settings.n_iter_no_change):
                break
    model.restore(last_finite if best is None else best[1])  # a pass that was cut short may have left it in between
    return history
