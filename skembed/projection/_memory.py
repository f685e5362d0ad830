"""A cache of what was learned, by joblib: the same rows, parameters and seed are learned from once."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skembed.training.callbacks import PassObserver
from skembed.training.run import Run

__all__ = ["Cache"]


@dataclass(frozen=True)
class Cache:
    """Learns where the same was not learned before, and otherwise reads the result.

    Attributes
    ----------
    memory : joblib.Memory or an object with its interface
    random_state : int, RandomState or None
        As the user gave it, for it is part of what is compared: with None the first draw is kept.
    """

    memory: Any
    random_state: Any

    def learned(self, learn: Callable[..., Any], *arguments: Any, run: Run | None = None) -> Any:
        """Return ``learn(*arguments, random_state=...)``, computed now or before.

        A generator is left as `learn` leaves it, whether it was called or not.

        Parameters
        ----------
        learn : callable
            A function of a module.
        *arguments
            All that the result depends on.
        run : Run or None
            How passes are run, if there are any, and no part of what is compared. A result that its callbacks stopped,
            or that Ctrl-C or a loss that is not finite ended, is returned and not kept.
        """
        for argument in arguments:
            if sparse.issparse(argument):
                # once asked they are attributes, which are compared too
                _ = argument.has_sorted_indices, argument.has_canonical_format
        seed: Any = self.random_state
        seed = seed if seed is None or isinstance(seed, np.random.RandomState) else int(seed)
        if run is None:
            found, state = self.memory.cache(_learn)(learn, arguments, seed)
        else:
            try:
                found, state = self.memory.cache(_learn_watched, ignore=["run"])(learn, arguments, seed, run)
            except _UnfinishedError as unfinished:
                found, state = unfinished.result
        if state is not None:
            seed.set_state(state)
        return found


def _learn(learn: Callable[..., Any], arguments: tuple, seed: Any, **run: Run) -> tuple[Any, Any]:
    rng = check_random_state(seed)
    found = learn(*arguments, random_state=rng, **run)
    return found, rng.get_state() if isinstance(seed, np.random.RandomState) else None


def _learn_watched(learn: Callable[..., Any], arguments: tuple, seed: Any, run: Run) -> tuple[Any, Any]:
    watch = _Watch(run.callbacks)
    result = _learn(learn, arguments, seed, run=replace(run, callbacks=watch))
    if watch.unfinished:
        raise _UnfinishedError(result)
    return result


class _UnfinishedError(Exception):
    """Carries a result past joblib, which would keep it."""

    def __init__(self, result: tuple[Any, Any]) -> None:
        super().__init__()
        self.result = result


class _Watch:
    """An observer that tells another, if any, and notes whether something from outside ended the last pass."""

    def __init__(self, observer: PassObserver | None) -> None:
        self.observer = observer
        self.unfinished = False

    def begin_pass(self) -> None:
        self.unfinished = True  # what interrupts a pass never comes to its end
        if self.observer is not None:
            self.observer.begin_pass()

    def end_pass(self, loss: float, score: float | None = None) -> bool:
        stop = self.observer is not None and self.observer.end_pass(loss, score)
        self.unfinished = bool(stop) or not math.isfinite(loss) or not (score is None or math.isfinite(score))
        return stop
