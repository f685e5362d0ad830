"""Assertions of the checks of all kinds of estimators, and the estimators that they are made of."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone

__all__ = ["assert_equal", "assert_raises", "assert_same", "dense", "seeded"]


def seeded(estimator: Any, **parameters: Any) -> Any:
    """Return a clone whose seeds are 0, also those of its parts, and which has those of `parameters` that it knows."""
    made = clone(estimator)
    names = made.get_params()
    seeds = {name: 0 for name in names if name.split("__")[-1] == "random_state"}
    return made.set_params(**seeds, **{name: value for name, value in parameters.items() if name in names})


def dense(output: Any) -> np.ndarray:
    """Return what `transform` gave as an array."""
    return output.toarray() if issparse(output) else np.asarray(output)


def assert_same(actual: Any, expected: Any, message: str, *, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Raise AssertionError where two outputs differ in shape or by more than rounding; `atol` is of the largest one."""
    actual, expected = dense(actual), dense(expected)
    if actual.shape != expected.shape:
        raise AssertionError(f"{message}: shape {actual.shape}, expected {expected.shape}.")
    size = max(float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)), 1e-30)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol * size, err_msg=message)


def assert_equal(outputs: Iterable[Any], message: str) -> None:
    """Raise AssertionError where two outputs differ in a bit."""
    first, second = map(dense, outputs)
    np.testing.assert_array_equal(first, second, err_msg=message)


def assert_raises(error: Any, function: Callable, *arguments: Any, message: str) -> str:
    """Return what the error says that a call raises; AssertionError with `message` if it raises none of that kind."""
    try:
        function(*arguments)
    except error as raised:
        return str(raised)
    raise AssertionError(message)
