"""A cache of learned results, by joblib: equal arguments are learned from once, and what was cut short is not kept."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skembed.training.callbacks import PassObserver
from skembed.training.run import Run

__all__ = ["learn_once"]


def learn_once(memory: Any, learn: Callable[..., Any], *arguments: Any, run: Run) -> Any:
    """Return ``learn(*arguments, run=run)``, computed now or before.

    Parameters
    ----------
    memory : joblib.Memory or an object with its interface
    learn : callable
        A function of a module.
    *arguments
        All that the result depends on.
    run : Run
        How passes are run, and no part of what is compared but by its seed. A result that its callbacks stopped, or
        that Ctrl-C or a loss that is not finite ended, is returned and not kept.

    Returns
    -------
    object
    """
    try:
        return memory.cache(_learn_watched, ignore=["run"])(learn, arguments, run.seed, run)
    except _UnfinishedError as unfinished:
        return unfinished.result


def _learn_watched(learn: Callable[..., Any], arguments: tuple, seed: int, run: Run) -> Any:
    watch = _Watch(run.callbacks)
    result = learn(*arguments, run=replace(run, callbacks=watch))
    if watch.n_begun > watch.n_whole:
        raise _UnfinishedError(result)
    return result


class _UnfinishedError(Exception):
    """Carries a result past joblib, which would keep it."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


class _Watch:
    """An observer that tells another, if any, and counts the passes that nothing from outside cut short.

    They are counted, as one fit may run passes more than once: what interrupts the first run is not known to the next.
    """

    def __init__(self, observer: PassObserver | None) -> None:
        self.observer = observer
        self.n_begun = self.n_whole = 0

    def begin_pass(self) -> None:
        self.n_begun += 1
        if self.observer is not None:
            self.observer.begin_pass()

    def end_pass(self, loss: float, score: float | None = None) -> bool:
        stop = self.observer is not None and self.observer.end_pass(loss, score)
        self.n_whole += not stop and math.isfinite(loss) and (score is None or math.isfinite(score))
        return stop
