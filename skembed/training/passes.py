"""Passes over the data, whatever a pass does: early stopping, Ctrl-C, losses that are not finite. Needs no torch."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from skembed.state import stored

__all__ = ["History", "Observer", "Resumable", "repeat_passes"]


class Resumable(Protocol):
    """A model whose state can be kept and brought back."""

    def validation_score(self) -> float:
        """Return a score of the present state on rows held out, higher is better."""

    def snapshot(self) -> Any:
        """Return a copy of the state."""

    def restore(self, state: Any) -> None:
        """Go back to a state that `snapshot` returned."""


class Observer(Protocol):
    """Who is told of each pass."""

    def begin_pass(self) -> None:
        """Learn that a pass begins."""

    def end_pass(self, loss: float, score: float | None) -> bool:
        """Learn how it went; return True to stop."""


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
    *,
    max_iter: int,
    early_stopping: bool = False,
    n_iter_no_change: int = 3,
    tol: float = 1e-4,
    verbose: int = 0,
    observer: Observer | None = None,
    name: str = "fit",
    advice: str = "Lower learning_rate, or look for extreme values among the side inputs.",
) -> History:
    """Call `one_pass` at most `max_iter` times.

    Parameters
    ----------
    model : Resumable
        What the passes change.
    one_pass : callable
        Takes one pass and returns the mean loss of a row.
    max_iter : int
    early_stopping : bool
        Score the model on held-out rows after each pass, stop when `n_iter_no_change` passes in a row have not raised
        the best score by `tol`, and keep the best state.
    n_iter_no_change : int
    tol : float
    verbose : int
        A bar on stderr when positive.
    observer : Observer, optional
        Told of each pass, and may stop the training.
    name : str
        What the bar says.
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
    bar = tqdm(total=max_iter, desc=name, unit="pass", disable=verbose <= 0, leave=verbose > 1)
    try:
        with bar:
            for n_iter in range(1, max_iter + 1):
                if observer is not None:
                    observer.begin_pass()
                loss = one_pass()
                score = model.validation_score() if early_stopping else None
                if not math.isfinite(loss) or (score is not None and not math.isfinite(score)):
                    model.restore(last_finite)
                    if observer is not None:
                        observer.end_pass(loss, score)
                    warnings.warn(
                        f"the loss of pass {n_iter} is not finite ({loss}); kept the state of pass {history.n_iter}. "
                        + advice,
                        ConvergenceWarning,
                        stacklevel=2,
                    )
                    break
                history.loss_curve.append(loss)
                history.n_iter = n_iter
                last_finite = model.snapshot()
                if score is None:
                    history.best_iter = n_iter
                else:
                    history.validation_scores.append(score)
                    stale = 0 if best is None or score > best[0] + tol else stale + 1
                    if best is None or score > best[0]:
                        best = (score, last_finite)
                        history.best_iter = n_iter
                bar.set_postfix(loss=f"{loss:.4g}", **({} if score is None else {"score": f"{score:.4g}"}))
                bar.update()
                stop = observer.end_pass(loss, score) if observer is not None else False
                if stop or (early_stopping and stale >= n_iter_no_change):
                    break
    except KeyboardInterrupt:
        if history.n_iter == 0:
            raise
        model.restore(last_finite)
        warnings.warn(
            f"interrupted in pass {history.n_iter + 1}; kept the best state of {history.n_iter} finished passes.",
            stacklevel=2,
        )
    if best is not None:
        model.restore(best[1])
    return history
