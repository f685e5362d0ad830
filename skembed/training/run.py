"""One run of a trainer: its seed, workers, progress bar, callbacks and what is left of it after Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from skembed import forks as forks  # notes forks from now on, before torch may have run
from skembed.training.callbacks import PassObserver
from skembed.warning import warn

__all__ = ["Run", "draw_seed", "plain_number", "settings_of"]

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Run:
    """How a trainer runs, which changes nothing of what it learns but by its seed.

    Attributes
    ----------
    seed : int
        Non-negative; decides everything.
    n_jobs : int or None
        As in scikit-learn. It changes no bit of the result.
    verbose : int
        A progress bar when positive.
    callbacks : PassObserver or None
        Are told of each pass, and may ask to stop after it.
    label : str
        What the progress bar says: what it counts, or whose passes.
    """

    seed: int
    n_jobs: int | None = None
    verbose: int = 0
    callbacks: PassObserver | None = None
    label: str = "tokens"

    def seeded(self, rng: np.random.RandomState) -> "Run":
        """Return the same run with the next draw of `rng` as its seed."""
        return replace(self, seed=draw_seed(rng))

    def bar(self, total: int, **look: Any) -> tqdm:
        """Return a progress bar, which shows nothing unless `verbose`, and stays when it is above 1."""
        return tqdm(total=total, desc=self.label, disable=self.verbose <= 0, leave=self.verbose > 1, **look)

    def begin_pass(self) -> None:
        """Tell callbacks that a pass begins."""
        if self.callbacks is not None:
            self.callbacks.begin_pass()

    def end_pass(self, loss: float, score: float | None = None) -> bool:
        """Tell callbacks that a pass has ended; return True where one asks to stop."""
        return self.callbacks is not None and self.callbacks.end_pass(loss, score)

    @contextmanager
    def interruptible(self, warning: Callable[[], str | None]) -> Iterator[None]:
        """Let Ctrl-C end what is within, with a warning that says what was kept.

        Parameters
        ----------
        warning : callable
            Returns its text; None while nothing is there to be kept, and KeyboardInterrupt goes on.
        """
        try:
            yield
        except KeyboardInterrupt:
            text = warning()
            if text is None:
                raise
            warn(text)  # who called the loop

    def passes(self, train: Callable[[Callable, Callable], Any], max_iter: int, *, total: int) -> Any:
        """Train with a progress bar and callbacks; Ctrl-C after the first pass keeps what was learned, with a warning.

        Parameters
        ----------
        train : callable
            ``train(on_pass, progress)`` returns tables with a `loss_curve`. It calls ``on_pass(pass, tables)`` after
            each pass and ends where that returns something true, and ``progress(n)`` when n more of `total` are done.
        max_iter : int
            Passes at most.
        total : int
            Of what is done in all of them.

        Returns
        -------
        object
            What `train` returns, or the tables after the last whole pass.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C before the first pass has ended.

        Warns
        -----
        UserWarning
            On Ctrl-C later.
        """
        finished: Any = None  # after the last whole pass; the next one goes on in the same arrays

        def end_pass(pass_: int, tables: Any) -> bool:
            nonlocal finished
            finished = tables
            bar.set_postfix(loss=f"{tables.loss_curve[-1]:.4g}")
            stop = self.end_pass(tables.loss_curve[-1])
            if not stop and pass_ + 1 < max_iter:
                self.begin_pass()
            return stop

        def warning() -> str | None:
            if finished is None:
                return None
            n_passes = len(finished.loss_curve)
            return f"interrupted in pass {n_passes + 1} of {max_iter}; kept what was learned so far."

        with self.bar(total, unit="", unit_scale=True) as bar, self.interruptible(warning):
            self.begin_pass()
            return train(end_pass, bar.update)
        return finished


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed below 2**31; None gives a fresh one, and leaves numpy's global state as it is."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return int(check_random_state(random_state).randint(2**31 - 1))


def settings_of(cls: type[Settings], estimator: Any, **resolved: Any) -> Settings:
    """Return the settings of a trainer: those given here, then the estimator's parameters of the same names.

    Numbers of numpy become those of Python: an int8 overflows in a product, and torch takes no int64 for a size.

    Parameters
    ----------
    cls : type
        A frozen dataclass, whose fields are all that the trainer takes.
    estimator : estimator instance
    **resolved
        What the estimator has under another name, or as "auto".
    """
    parameters = estimator.get_params(deep=False)
    names = [f.name for f in fields(cls) if f.name in parameters]  # type: ignore[arg-type]
    values = {name: parameters[name] for name in names} | resolved
    return cls(**{name: plain_number(value) for name, value in values.items()})


def plain_number(value: Any) -> Any:
    """Return a number of numpy as one of Python, and whatever else as it is."""
    return value.item() if isinstance(value, np.number) else value
