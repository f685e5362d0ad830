"""Models in memory, one for all who name the same files: opened on first use, freed with the last who uses it."""

import os
import threading
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from skembed.apply.contextual_model import ContextualModel, ModelOptions, open_contextual_model

__all__ = ["ModelHolder", "shared_model"]

_MODELS: WeakValueDictionary[tuple, Any] = WeakValueDictionary()
_lock = threading.Lock()


def _new_lock() -> None:
    """A process that was forked while a model was opened has nobody who would open the lock."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def shared_model(source: str | os.PathLike, options: ModelOptions) -> ContextualModel:
    """Return the model of these files, the same object as long as someone holds it and the files stay as they are.

    Parameters
    ----------
    source : str or os.PathLike
    options : ModelOptions
        Given vectors that are a table in memory are of a model of their own.

    Returns
    -------
    ContextualModel

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As of `open_contextual_model`.
    """
    with _lock:
        path = Path(source)
        if not path.exists() or not isinstance(options.vectors, str | os.PathLike | None):
            return open_contextual_model(source, options)
        place = path.resolve()
        key = (place, _stamps(place), str(options.device), options.dtype, os.fspath(options.vectors or ""))
        model = _MODELS.get(key)
        if model is None:
            model = _MODELS[key] = open_contextual_model(source, options)
        return model


def _stamps(path: Path) -> tuple:
    """What changes when a file is written: names, sizes and times of the files of a directory, and one level below."""
    files = sorted({*path.glob("*"), *path.glob("*/*")} if path.is_dir() else [path])
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())


class ModelHolder:
    """The model of an estimator and its clones, kept from one call to the next; no part of what is saved."""

    def __init__(self) -> None:
        self._held: tuple[Any, ContextualModel] | None = None
        self._trusted: tuple[Any, ContextualModel] | None = None

    def get(self, source: str | os.PathLike, options: ModelOptions, *, anew: bool = False) -> ContextualModel:
        """Return the model, which is opened where it is another one than before, or with `anew` if files changed.

        Parameters
        ----------
        source : str or os.PathLike
        options : ModelOptions
        anew : bool, default=False
            Look at the files again.
        """
        key = (os.fspath(source), str(options.device), options.dtype, id(options.vectors) if options.vectors else None)
        held = self._held
        if held is None or held[0] != key or anew:
            held = self._held = key, shared_model(source, options)
        return held[1]

    def trust(self, fitted: Any, model: ContextualModel) -> None:
        """Remember that a model is the one of what was fitted."""
        self._trusted = fitted, model

    def trusted(self, fitted: Any) -> ContextualModel | None:
        """Return the model that was trusted for what was fitted, the same object, if there is one."""
        trusted = self._trusted
        return trusted[1] if trusted is not None and trusted[0] is fitted else None
