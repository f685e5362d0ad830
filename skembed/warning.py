"""Warnings that name the line of whoever called the library."""

import sys
import warnings

__all__ = ["warn"]

# what a call may pass on its way here: scikit-learn's wrappers, pipelines and searches, and what runs them
_ON_THE_WAY = {"skembed", "sklearn", "joblib", "numba", "contextlib", "functools"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called skembed, by itself or through scikit-learn.

    How many calls lie between depends on what the line calls: `fit` or `fit_transform`, an estimator or a Pipeline of
    it. Where none lies outside, as in a worker process, the line is that of the caller of this function.

    Parameters
    ----------
    message : str
    category : type of Warning, UserWarning by default
    """
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _ON_THE_WAY:
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, category, stacklevel=2 if frame is None else level)
