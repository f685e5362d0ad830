"""A cache of learned results, by joblib: equal arguments are learned from once, and what was cut short is not kept."""

import hashlib
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import Any

import joblib

from skembed.training.callbacks import PassObserver
from skembed.training.run import Run

__all__ = ["Call", "call_key", "learn_once"]

LIBRARIES = ("skembed", "numpy", "scipy", "scikit-learn", "numba", "torch")  # whose versions may change a result


@dataclass(frozen=True)
class Call:
    """A call of `learn_once`: its result, and where that is kept.

    Attributes
    ----------
    result : object
    kept : joblib.MemorizedFunc or what another cache has in its place, or None
        None where something from outside cut learning short: the result is not kept.
    key : str
        Of the arguments.
    """

    result: Any
    kept: Any
    key: str

    def is_kept(self) -> bool:
        """Whether the cache has the result still, as far as it can tell."""
        holds = getattr(self.kept, "check_call_in_cache", None)
        return holds is not None and bool(holds(self.key, None, None, None))


def learn_once(memory: Any, learn: Callable[..., Any], *arguments: Any, run: Run | None = None) -> Call:
    """Return ``learn(*arguments, run=run)``, computed now or before.

    What the cache holds is read only if it is, to the bit, what was written; if not, it is learned and written anew.

    Parameters
    ----------
    memory : joblib.Memory or an object with its interface
    learn : callable
        A function of a module.
    *arguments
        All that the result depends on.
    run : Run or None
        How passes are run, and no part of what is compared but by its seed. A result that its callbacks stopped, or
        that Ctrl-C or a loss that is not finite ended, is returned and not kept. None of what has no passes: `learn`
        is then called without it.

    Returns
    -------
    Call
    """
    key = call_key(learn, arguments, None if run is None else run.seed)
    kept = memory.cache(_learn_watched, ignore=["learn", "arguments", "run"])
    try:
        return Call(kept(key, learn, arguments, run).value, kept, key)
    except _UnfinishedError as unfinished:
        return Call(unfinished.result, None, key)


def call_key(*what: Any) -> str:
    """Return a hash, of 160 bits, of all of some values' content, their types, and the versions of the libraries.

    Raises
    ------
    pickle.PicklingError
        If a value cannot be pickled.
    """
    return joblib.hash((what, versions()), hash_name="sha1")  # on today's processors in a quarter of md5's time


@cache
def versions() -> tuple[str | None, ...]:
    """Return the version of each of `LIBRARIES`, None where one is not installed."""
    found: list[str | None] = []
    for name in LIBRARIES:
        try:
            found.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            found.append(None)
    return tuple(found)


def _learn_watched(key: str, learn: Callable[..., Any], arguments: tuple, run: Run | None) -> "Sealed":
    if run is None:
        return Sealed(learn(*arguments))
    watch = _Watch(run.callbacks)
    result = learn(*arguments, run=replace(run, callbacks=watch))
    if watch.n_begun > watch.n_whole:
        raise _UnfinishedError(result)
    return Sealed(result)


class Sealed:
    """A value that is pickled beside the hash of its bytes, so that none is read of a file with a bit amiss."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Callable[[bytes, bytes], "Sealed"], tuple[bytes, bytes]]:
        content = pickle.dumps(self.value, protocol=5)
        return unsealed, (content, hashlib.sha256(content).digest())


def unsealed(content: bytes, digest: bytes) -> Sealed:
    """Return what was sealed; ValueError, on which joblib learns anew, if it is not what was written."""
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("what the cache holds is damaged: its bytes do not have the hash that was written with them.")
    return Sealed(pickle.loads(content))


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
