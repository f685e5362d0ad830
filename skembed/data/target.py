"""The target as columns of numbers: standardised where it is continuous, one column a class where it is not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_array

from skembed.data.columns import filled
from skembed.data.standardised import StandardisedTarget
from skembed.data.target_type import as_own_dtype, check_not_dates, infer_target_type, is_missing
from skembed.memory import check_memory
from skembed.state import stored
from skembed.warning import warn

__all__ = ["Output", "Target"]

MIN_MAGNITUDE, MAX_MAGNITUDE = 1e-140, 1e140  # of the largest number of y; between them its squares are numbers too

_CONTINUOUS, _BINARY, _MULTICLASS = "continuous", "binary", "multiclass"


@stored
@dataclass
class Output:
    """One column of y.

    Attributes
    ----------
    kind : {"continuous", "binary", "multiclass"}
    classes : ndarray or None
        The sorted classes, None for a continuous output.
    start, stop : int
        Its columns in the coded target: one, or one a class where there are more than two.
    """

    kind: str
    classes: np.ndarray | None
    start: int
    stop: int


@stored
@dataclass(frozen=True, eq=False)
class Target:
    """What is learned from y once, and how any y is coded by it; `Target.learn` makes one.

    Attributes
    ----------
    outputs : list of Output
    one_column : bool
        Whether y is a single output.
    unit : ndarray of shape (n_targets,)
        What numbers are divided by before: 1, or the largest of them where it is too large or small to be squared.
    mean, scale : ndarray of shape (n_targets,)
        Of the coded columns; a scale of 1 where a column does not vary.
    varies : bool
        Whether any column does.
    """

    outputs: list[Output]
    one_column: bool
    unit: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    varies: bool

    @classmethod
    def learn(cls, y: Any, target_type: str, sample_weight: np.ndarray, classes: Any = None) -> "Target":
        """Learn how y is coded.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        target_type : {"auto", "continuous", "binary", "multiclass"}
            "auto" is what `skembed.data.target_type.infer_target_type` tells, with a warning where it takes whole
            numbers for amounts. All outputs are of one type.
        sample_weight : ndarray of shape (n_samples,)
        classes : sequence, optional
            The classes of a single output that y may not show all of. Whole numbers are then classes, however many.

        Returns
        -------
        Target
        """
        y = as_columns(y)
        outputs = _outputs(y, _kinds(y, target_type, float(np.sum(sample_weight)), classes), classes)
        n_targets = outputs[-1].stop
        unit = _units(y, outputs)
        mean, spread = np.empty(n_targets), np.empty(n_targets)
        for j, output in enumerate(outputs):
            part = slice(output.start, output.stop)
            if output.kind == _MULTICLASS:
                of_class = np.bincount(_positions(output, y[:, j]), sample_weight, output.stop - output.start)
                mean[part] = of_class / of_class.sum()
                spread[part] = np.sqrt(mean[part] * (1.0 - mean[part]))
            else:
                coded = _one_column(output, y[:, j], unit)[:, None]
                mean[part] = np.average(coded, axis=0, weights=sample_weight)
                spread[part] = np.sqrt(np.average((coded - mean[part]) ** 2, axis=0, weights=sample_weight))
        varies = spread > 1e-12 * np.maximum(np.abs(mean), 1e-300)
        scale = np.ones(n_targets)
        for output in outputs:
            if output.kind == _CONTINUOUS:
                scale[output.start] = spread[output.start] if varies[output.start] else 1.0
            else:  # one scale for all classes, so that rare ones are not blown up
                scale[output.start : output.stop] = max(np.sqrt(np.mean(spread[output.start : output.stop] ** 2)), 1e-6)
        return cls(outputs, y.shape[1] == 1, unit, mean, scale, bool(varies.any()))

    @property
    def n_targets(self) -> int:
        """How many columns the coded target has."""
        return self.outputs[-1].stop

    @property
    def type_(self) -> str:
        """The type of the first output, with ``-multioutput`` behind it where there are several."""
        return self.outputs[0].kind + ("" if self.one_column else "-multioutput")

    def code(self, y: Any) -> np.ndarray:
        """Code y: (value - mean) / scale for numbers, 0 and 1 for classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples, n_targets), float64
        """
        y = self._columns(y)
        check_memory(
            8 * len(y) * self.n_targets,
            f"a target of {len(y)} rows and {self.n_targets} columns, one for each class,",
            "join rare classes, or set target_type='continuous' if y is a number",
        )
        coded = _coded(y, self.outputs, self.unit)
        numbers = self._is_continuous()
        coded[:, numbers] = (coded[:, numbers] - self.mean[numbers]) / self.scale[numbers]
        return coded

    def standardise(self, y: Any) -> StandardisedTarget:
        """Center and scale every coded column, classes too: what least squares works on.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        StandardisedTarget
        """
        y = self._columns(y)
        single, places, codes, parts = [np.empty((len(y), 0))], [], [], []
        for j, output in enumerate(self.outputs):
            if output.kind == _MULTICLASS:
                codes.append(_positions(output, y[:, j]))
                parts.append(slice(output.start, output.stop))
            else:
                column = _one_column(output, y[:, j], self.unit)
                single.append(((column - self.mean[output.start]) / self.scale[output.start])[:, None])
                places.append(output.start)
        where = np.array(places, dtype=np.int64)
        return StandardisedTarget(np.hstack(single), where, codes, parts, self.mean, self.scale)

    def offset(self, effects: np.ndarray) -> np.ndarray:
        """Turn a least-squares prediction of `standardised` into the net's scale: numbers as they are, logits else.

        A linear probability can leave (0, 1): it is kept away from both ends by a third of the rarer outcome.
        """
        out = np.array(effects, dtype=np.float64)
        for output in (output for output in self.outputs if output.kind != _CONTINUOUS):
            part = slice(output.start, output.stop)
            mean = self.mean[part]
            p = mean + self.scale[part] * effects[:, part]
            floor = np.minimum(0.02, np.minimum(mean, 1 - mean).clip(1e-6) / 3)
            p = np.clip(p, floor, 1 - floor)
            if output.kind == _BINARY:
                out[:, part] = np.log(p / (1 - p))
            else:
                out[:, part] = np.log(p / p.sum(axis=1, keepdims=True))
        return out

    def losses(self, scores: np.ndarray, coded: np.ndarray) -> np.ndarray:
        """Return the loss of each row, (n_samples,): that of nets, squared error / 2, logistic loss, cross-entropy.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_targets)
            As `offset` returns them: numbers and logits.
        coded : ndarray of shape (n_samples, n_targets)
        """
        total = np.zeros(len(coded))
        for output in self.outputs:
            s, t = scores[:, output.start : output.stop], coded[:, output.start : output.stop]
            if output.kind == _CONTINUOUS:
                total += 0.5 * ((s - t) ** 2)[:, 0]
            elif output.kind == _BINARY:
                total += (np.logaddexp(0, s) - t * s)[:, 0]
            else:
                total += logsumexp(s, axis=1) - (t * s).sum(axis=1)
        return total

    def _columns(self, y: Any) -> np.ndarray:
        """Return y as columns; ValueError where they are not as many as `learn` had."""
        y = as_columns(y)
        if y.shape[1] != len(self.outputs):
            raise ValueError(f"y has {y.shape[1]} columns; expected {len(self.outputs)} as in the first fit.")
        return y

    def _is_continuous(self) -> np.ndarray:
        return np.repeat([o.kind == _CONTINUOUS for o in self.outputs], [o.stop - o.start for o in self.outputs])


def _kinds(y: np.ndarray, target_type: str, n_rows: float, classes: Any) -> list[str]:
    """Return the kind of each output; "auto" tells it from y, or from `classes` being given."""
    kind = target_type
    if target_type == "auto":
        inferred = infer_target_type(y, n_rows=n_rows)
        kind = inferred.kind
        if inferred.n_amounts and classes is not None:
            kind = _MULTICLASS
        elif inferred.n_amounts:
            warn(
                f"target_type='auto' takes y for continuous: it holds {', '.join(map(str, inferred.n_amounts))} "
                "distinct whole numbers. Set target_type='multiclass' if they are classes, or 'continuous' to "
                "learn numbers without this warning."
            )
    if target_type == _BINARY and y.shape[1] == 1 and len(np.unique(y)) > 2:
        raise ValueError(
            f"target_type is 'binary' and y has {len(np.unique(y))} distinct values; expected two. "
            "Use target_type='multiclass' or 'continuous'."
        )
    return [kind] * y.shape[1]


def _outputs(y: np.ndarray, kinds: list[str], classes: Any) -> list[Output]:
    """Return the outputs with their classes and columns; ValueError where there are no two classes."""
    if classes is not None and (y.shape[1] > 1 or kinds[0] == _CONTINUOUS):
        raise ValueError(
            f"classes is given and y is {kinds[0]} with {y.shape[1]} output(s); expected one output of classes. "
            "Leave classes out."
        )
    outputs: list[Output] = []
    start = 0
    for j, kind in enumerate(kinds):
        if kind == _CONTINUOUS:
            outputs.append(Output(kind, None, start, start + 1))
        else:
            found = np.unique(y[:, j] if classes is None else as_columns(list(classes), "classes"))
            if classes is not None and len(found) < 2:
                raise ValueError(f"classes is {classes!r:.60}; expected two or more, all that y may hold.")
            if len(found) < 2:
                raise ValueError(
                    f"y has one class only, {as_python(found[0])!r}; a target needs two or more classes to learn "
                    "from. Give more rows, or target_type='continuous' if y is a number."
                )
            is_binary = len(found) == 2
            width = 1 if is_binary else len(found)
            outputs.append(Output(_BINARY if is_binary else _MULTICLASS, found, start, start + width))
        start = outputs[-1].stop
    return outputs


def _units(y: np.ndarray, outputs: list[Output]) -> np.ndarray:
    """Return what each coded column is divided by so that its squares are numbers: 1 but for extreme values."""
    unit = np.ones(outputs[-1].stop)
    for j, output in enumerate(outputs):
        if output.kind == _CONTINUOUS:
            largest = float(np.abs(as_numbers(y[:, j])).max())
            if largest > 0 and not MIN_MAGNITUDE < largest < MAX_MAGNITUDE:
                unit[output.start] = largest
    return unit


def _coded(y: np.ndarray, outputs: list[Output], unit: np.ndarray) -> np.ndarray:
    """Return numbers in their unit, and 0 and 1 for classes, (n_samples, n_targets)."""
    coded = np.empty((len(y), len(unit)))
    for j, output in enumerate(outputs):
        if output.kind == _MULTICLASS:
            position = _positions(output, y[:, j])
            coded[:, output.start : output.stop] = position[:, None] == np.arange(output.stop - output.start)
        else:
            coded[:, output.start] = _one_column(output, y[:, j], unit)
    return coded


def _one_column(output: Output, values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return numbers in their unit, or which of two classes each value is, (n_samples,)."""
    if output.kind == _CONTINUOUS:
        return as_numbers(values) / unit[output.start]
    return _positions(output, values).astype(np.float64)


def _positions(output: Output, values: np.ndarray) -> np.ndarray:
    """Return where each value is among the classes of its output."""
    classes: Any = output.classes
    if (values.dtype.kind in "US") != (classes.dtype.kind in "US"):  # numpy would compare them as strings
        known = np.zeros(len(values), dtype=bool)
    else:
        position = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
        known = classes[position] == values
    if not known.all():
        hint = " If y is a number, begin again with target_type='continuous'." if classes.dtype.kind in "iuf" else ""
        raise ValueError(
            f"y holds {as_python(values[~known][0])!r}; expected one of the classes {classes.tolist()!r}.{hint}"
        )
    return position


def as_columns(y: Any, what: str = "y") -> np.ndarray:
    """Return y as a 2-D array of shape (n_samples, n_outputs): no missing or infinite values, no dates."""
    y = _with_own_types(y)
    if getattr(y, "ndim", 1) == 2 or (isinstance(y, (list, tuple)) and len(y) and isinstance(y[0], (list, tuple))):
        array = check_array(y, dtype=None, ensure_all_finite=False, input_name="y", ensure_min_samples=0)
    else:
        array = np.asarray(y)
        array = column_or_1d(array)[:, None] if array.ndim <= 1 else array
    if array.ndim > 2:
        raise ValueError(f"{what} has shape {array.shape}, expected (n_samples,) or (n_samples, n_outputs).")
    if not array.dtype.isnative:  # which scikit-learn before 1.7 does not take for numbers
        array = array.astype(array.dtype.newbyteorder("="))
    check_not_dates(array)
    if array.dtype.kind == "O":
        missing = np.array([is_missing(v) for v in array.ravel()], dtype=bool)
        if missing.any():
            row = int(np.flatnonzero(missing)[0]) // array.shape[1]
            raise ValueError(f"{what} contains NaN or None in row {row}; remove or fill these rows.")
        array = as_own_dtype(array)
        types = sorted({type(v).__name__ for v in array.ravel()}) if array.dtype.kind == "O" else []
        if len(types) > 1:
            raise ValueError(f"{what} mixes values of type {', '.join(types)}; expected all strings or all numbers.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise ValueError(
            f"{what} contains NaN or infinity: {array[row].tolist()} in row {row}; remove or fill these rows."
        )
    return array


def _with_own_types(y: Any) -> Any:
    """Return frames and lists as arrays of the types that they hold, and what is masked as missing.

    numpy takes what is beside a text for a text, NaN too; scikit-learn takes pandas' nullable columns for float64.
    """
    y = filled(y)
    if getattr(y, "ndim", 1) == 2 and hasattr(y, "to_numpy"):
        return y.to_numpy()
    return np.array(y, dtype=object) if isinstance(y, (list, tuple)) and np.asarray(y).dtype.kind in "US" else y


def as_python(value: Any) -> Any:
    """Return a numpy scalar as Python's own, which reads better in a message."""
    return value.item() if isinstance(value, np.generic) else value


def as_numbers(values: np.ndarray) -> np.ndarray:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"target_type is 'continuous' and y holds {as_python(values[0])!r}, which is not a number."
        ) from error
