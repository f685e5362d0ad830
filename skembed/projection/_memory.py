"""A cache of what was learned, by joblib: the same rows, parameters and seed are learned from once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skembed.training.cache import learn_once
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
            As for `learn_once`, if there are passes.
        """
        for argument in arguments:
            if sparse.issparse(argument):
                # once asked they are attributes, which are compared too
                _ = argument.has_sorted_indices, argument.has_canonical_format
        seed: Any = self.random_state
        seed = seed if seed is None or isinstance(seed, np.random.RandomState) else int(seed)
        found, state = learn_once(self.memory, _learn, learn, arguments, seed, run=run).result
        if state is not None:
            seed.set_state(state)
        return found


def _learn(learn: Callable[..., Any], arguments: tuple, seed: Any, **run: Run) -> tuple[Any, Any]:
    rng = check_random_state(seed)
    found = learn(*arguments, random_state=rng, **run)
    return found, rng.get_state() if isinstance(seed, np.random.RandomState) else None
