"""scikit-learn's callbacks (1.9 and newer) behind one door; below 1.9 they are not called."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _torn_down

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn < 1.9
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def _torn_down(method: Callable) -> Callable:
        @wraps(method)
        def as_deep(self: Any, *arguments: Any, **named: Any) -> Any:  # as scikit-learn's; warnings count frames
            return method(self, *arguments, **named)

        return as_deep


__all__ = [
    "HAS_CALLBACKS",
    "CallbackSupportMixin",
    "PassCallbacks",
    "PassObserver",
    "whole_or_nothing",
    "with_callbacks",
]


def with_callbacks(method: Callable) -> Callable:
    """Return a method that fits, whose callbacks are told of its end; where it fails the estimator is as before."""
    return whole_or_nothing(_torn_down(method))


def whole_or_nothing(method: Callable) -> Callable:
    """Return a method that fits; where it fails the estimator is as before.

    What an error or Ctrl-C ends would else leave an estimator that is half of this fit and half of an earlier one.
    """

    @wraps(method)
    def as_before_or_fitted(self: Any, *arguments: Any, **named: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *arguments, **named)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return as_before_or_fitted


class PassObserver(Protocol):
    """Who is told of each pass."""

    def begin_pass(self) -> None:
        """Learn that a pass begins."""

    def end_pass(self, loss: float, score: float | None = None) -> bool:
        """Learn how it went; return True to stop."""


class PassCallbacks:
    """A `PassObserver` that tells an estimator's callbacks about each pass over the data.

    Parameters
    ----------
    estimator : CallbackSupportMixin
    max_iter : int
        Passes at most.
    X, y
        The training data, as callbacks may ask for them.
    """

    def __init__(self, estimator: Any, max_iter: int, X: Any, y: Any = None) -> None:
        self.estimator, self.X, self.y = estimator, X, y
        self.context: Any = None
        if HAS_CALLBACKS:
            self.context = estimator._init_callback_context(max_subtasks=max_iter)
            self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def begin_pass(self) -> None:
        """Report that a pass begins."""
        if self.context is not None:
            self._pass = self.context.subcontext(task_name="pass")
            self._pass.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def end_pass(self, loss: float, score: float | None = None) -> bool:
        """Report that a pass has ended; return True where a callback asks to stop."""
        if self.context is None:
            return False
        metadata = {"loss": loss} if score is None else {"loss": loss, "validation_score": score}
        return bool(self._pass.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y, metadata=metadata))

    def end(self) -> None:
        """Report that the fit has ended."""
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y)
