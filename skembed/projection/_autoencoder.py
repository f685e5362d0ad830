"""The numpy side of method="autoencoder": the linear start, and codes and reconstructions without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import config_context

from skembed.data.mixed import MixedColumns, MixedRows
from skembed.memory import check_memory
from skembed.projection._linear import reciprocal, with_fixed_signs
from skembed.projection._spectral import principal_map
from skembed.projection._task import Task
from skembed.state import stored
from skembed.threads import blas_threads_for
from skembed.training.autoencoder import AutoencoderRows, AutoencoderSettings, level_weight
from skembed.training.passes import History
from skembed.training.run import Run

__all__ = ["Codec", "fit_codec"]

BLOCK_ROWS = 16_384  # encoded or decoded in one go
DENSE_VALUES = 1 << 26  # of the one-hot matrix from which the start is learned; above, it stays sparse
MIN_ROWS = 20  # fewer rows tell a net nothing that validation could confirm
HELD_OUT_ROWS = 20  # at least, to tell whether a net is better than its start, but no more than a quarter of all
SHARE_FLOOR = 1e-9  # of a level that no row has, so that its logarithm is finite


@stored
@dataclass
class Codec:
    """An encoder and a decoder of mixed columns, as arrays.

    Attributes
    ----------
    columns : MixedColumns
    weights : dict
        As `train_autoencoder` returns them.
    """

    columns: MixedColumns
    weights: dict[str, Any]

    @property
    def dim(self) -> int:
        """Columns of a code."""
        return self.weights["decode_out"].shape[0] - self._width

    @property
    def _width(self) -> int:
        return self.weights["encoder"][0][0].shape[0] if self.weights["encoder"] else 0

    def check(self) -> None:
        """Raise ValueError if the layers do not follow each other and fit the columns."""
        columns, weights = self.columns, self.weights
        levels, n_numeric = sum(map(len, columns.shares)), len(columns.numeric)
        dim, width = self.dim, self._width
        shapes = {
            "encode_in": (n_numeric + len(columns.flagged) + levels, width + dim),
            "encode_bias": (width + dim,),
            "decode_out": (width + dim, n_numeric + levels),
            "decode_bias": (n_numeric + levels,),
        }
        if set(weights) != {*shapes, "encoder", "decoder"} or dim < 1:
            raise ValueError(f"Codec: expected weights {sorted(shapes)}, got {sorted(weights)}")
        for name, shape in shapes.items():
            if weights[name].shape != shape:
                raise ValueError(f"Codec: expected {name!r} of shape {shape}, got {weights[name].shape}")
        for name, first, last in (("encoder", width, dim), ("decoder", dim, width)):
            for weight, bias in weights[name]:
                if weight.ndim != 2 or len(weight) != first or bias.shape != weight.shape[1:]:
                    raise ValueError(f"Codec: expected layers of the {name} that follow each other")
                first = weight.shape[1]
            if weights[name] and first != last:
                raise ValueError(f"Codec: expected the {name} to end with {last} values, got {first}")
        if columns.flagged.size and (columns.flagged.min() < 0 or columns.flagged.max() >= n_numeric):
            raise ValueError("Codec: expected flagged columns among the numeric ones")

    def encode(self, rows: MixedRows) -> np.ndarray:
        """Return codes, (n_samples, dim), in the dtype of the rows' numbers."""
        out = np.empty((len(rows.ids), self.dim), dtype=rows.numbers.dtype)
        weights = _cast(self.weights, out.dtype)
        first = self.columns.first_ids()
        for start in range(0, len(out), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            missing = None if rows.missing is None else rows.missing[part]
            inputs = with_flags(rows.numbers[part], missing, self.columns.flagged)
            out[part] = self._encode(weights, inputs, rows.ids[part] + first)
        return out

    def _encode(self, weights: dict[str, Any], inputs: np.ndarray, ids: np.ndarray) -> np.ndarray:
        n = inputs.shape[1]
        read = inputs @ weights["encode_in"][:n] + weights["encode_bias"]
        for column in ids.T:
            read += weights["encode_in"][n:].take(column, axis=0)
        hidden, code = read[:, : self._width], read[:, self._width :]
        for weight, bias in weights["encoder"]:
            hidden = np.maximum(hidden, 0) @ weight + bias
        return code + hidden if weights["encoder"] else code

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the rows that codes stand for, (n_samples, n_features): numbers, or objects with likeliest levels."""
        columns = self.columns
        n_numeric = len(columns.numeric)
        weights = _cast(self.weights, codes.dtype)
        n_features = n_numeric + len(columns.categorical)
        out = np.empty((len(codes), n_features), dtype=object if columns.categorical else codes.dtype)
        for start in range(0, len(codes), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            hidden = code = codes[part]
            for weight, bias in weights["decoder"]:
                hidden = np.maximum(hidden @ weight + bias, 0)
            both = np.hstack([hidden, code]) if weights["decoder"] else code
            found = both @ weights["decode_out"] + weights["decode_bias"]
            out[part, columns.numeric] = columns.unscaled(found[:, :n_numeric])
            begin = n_numeric
            for position, vocabulary in zip(columns.categorical, columns.vocabularies):
                stop = begin + len(vocabulary) + 1
                if len(vocabulary):  # the first of them is the unknown level, which has no name; without others: None
                    out[part, position] = vocabulary.shared_keys.array[found[:, begin + 1 : stop].argmax(axis=1)]
                begin = stop
        return out

    def level_vectors(self) -> list[np.ndarray]:
        """Return for each categorical column the codes of its levels, all else being average: (n_levels + 1, dim)."""
        weights, columns = self.weights, self.columns
        n = len(columns.numeric) + len(columns.flagged)
        table = weights["encode_in"][n:]
        first = columns.first_ids()
        means = [s.astype(np.float32) @ table[f : f + len(s)] for s, f in zip(columns.shares, first)]
        out = []
        for c, (begin, shares) in enumerate(zip(first, columns.shares)):
            others = sum((m for k, m in enumerate(means) if k != c), np.zeros(table.shape[1], dtype=table.dtype))
            read = table[begin : begin + len(shares)] + others + weights["encode_bias"]
            hidden, code = read[:, : self._width], read[:, self._width :]
            for weight, bias in weights["encoder"]:
                hidden = np.maximum(hidden, 0) @ weight + bias
            out.append(code + hidden if weights["encoder"] else code)
        return out


def fit_codec(
    columns: MixedColumns, rows: MixedRows, task: Task, settings: AutoencoderSettings, run: Run
) -> tuple[Codec, History | None]:
    """Learn an autoencoder of rows.

    Parameters
    ----------
    columns : MixedColumns
        Fitted on `rows`.
    rows : MixedRows
    task : Task
        Its `random_state` decides all that is random, the seed of `run` nothing.
    settings : AutoencoderSettings
    run : Run

    Returns
    -------
    codec : Codec
        Its codes have mean 0 on `rows` and uncorrelated columns by falling variance, of variance 1 if whitened.
    history : History or None
        None where no net was trained.
    """
    n = len(rows.ids)
    rng = task.random_state
    predict_memory(columns, n, task, settings.hidden_layer_sizes)
    start = linear_start(columns, rows, task)
    missing = rows.missing
    inputs = with_flags(rows.numbers, missing, columns.flagged).astype(np.float32, copy=False)
    validation = settings.held_out_rows(n, rng, at_least=min(HELD_OUT_ROWS, n // 4))
    weights: dict[str, Any]
    history: History | None
    if n < MIN_ROWS or settings.max_iter == 0:
        weights, history = _untrained(start), None
    else:
        from skembed.training.nets.autoencoder import train_autoencoder

        present, ids = None if missing is None else ~missing, rows.ids + columns.first_ids()
        n_levels = [len(s) for s in columns.shares]
        level_weights = [level_weight(s) for s in columns.shares]
        numbered = AutoencoderRows(inputs, present, ids, n_levels, len(columns.numeric), level_weights)
        weights, history = train_autoencoder(numbered, start, validation, settings, run.seeded(rng))
    codec = Codec(columns, weights)
    _set_unknown(codec)
    _set_axes(codec, codec.encode(rows), whiten=task.whiten)
    return codec, history


def predict_memory(columns: MixedColumns, n_samples: int, task: Task, hidden_layer_sizes: Sequence[int]) -> None:
    """Raise MemoryError if what is surely held at one time is more than the machine has."""
    levels = sum(map(len, columns.shares))
    width = len(columns.numeric) + levels
    dim = task.embedding_dim if task.share is None else 1
    sizes = [width, *hidden_layer_sizes, dim]
    weights = 2 * (width * dim + sum(a * b for a, b in pairwise(sizes)))
    copies = 7  # weights, gradient, two moments, and the states kept: first, last and best
    check_memory(
        4 * (copies * weights + n_samples * (len(columns.numeric) + 2 * len(columns.names) + dim)),
        f"an autoencoder of {len(columns.numeric)} numbers and {levels} levels with {dim} dimensions",
        "lower embedding_dim, hidden_layer_sizes or max_categories, or raise min_frequency",
    )


def with_flags(values: np.ndarray, missing: np.ndarray | None, flagged: np.ndarray) -> np.ndarray:
    """Put a column of 0 and 1 behind the numbers for each column that had missing values."""
    if not len(flagged):
        return values
    flags = np.zeros((len(values), len(flagged))) if missing is None else missing[:, flagged]
    return np.hstack([values, flags.astype(values.dtype)])


def linear_start(columns: MixedColumns, rows: MixedRows, task: Task) -> dict[str, np.ndarray]:
    """Return principal components of numbers and categories together, as `AutoencoderNet` takes them.

    Levels enter as indicators divided by the root of their share (factor analysis of mixed data, Pagès 2004). In the
    decoder their shares, changed by what components say, become logits to first order.
    """
    n_numeric = len(columns.numeric)
    scale = [np.where(s > 0, 1 / np.sqrt(np.maximum(s, SHARE_FLOOR)), 0.0) for s in columns.shares]
    matrix = _indicators(columns, rows, scale)
    dim = task.embedding_dim if task.share is not None else min(task.embedding_dim, *matrix.shape)
    blas = blas_threads_for(matrix.shape[0] * matrix.shape[1] * min(matrix.shape))
    with config_context(assume_finite=True), np.errstate(all="ignore"), blas:
        found = principal_map(matrix, replace(task, embedding_dim=dim, params={}))
    components: Any = found.inverse
    dim = len(components) if task.share is not None else task.embedding_dim
    n_extra = dim - len(components)
    encode = np.zeros((n_numeric + len(columns.flagged) + matrix.shape[1] - n_numeric, dim))
    decode = np.zeros((dim, matrix.shape[1]))
    place = np.r_[0:n_numeric, n_numeric + len(columns.flagged) : len(encode)]
    factor = np.concatenate([np.ones(n_numeric), *scale])
    encode[place, : len(components)] = components.T * factor[:, None]
    decode[: len(components)] = components * factor
    if n_extra:  # dimensions beyond those of the input begin as random directions that the decoder does not read
        random = task.random_state.standard_normal((matrix.shape[1], n_extra)) / max(matrix.shape[1], 1) ** 0.5
        encode[place, len(components) :] = random * factor[:, None]
    shares = np.concatenate([np.empty(0), *columns.shares])
    center = np.concatenate([found.mean[:n_numeric], shares])
    decode_bias = np.concatenate([found.mean[:n_numeric], np.log(np.maximum(shares, SHARE_FLOOR))])
    return {"encode": encode, "encode_bias": -center @ encode[place], "decode": decode, "decode_bias": decode_bias}


def _indicators(columns: MixedColumns, rows: MixedRows, scale: list[np.ndarray]) -> Any:
    """Return numbers and scaled indicators of levels side by side, dense where that is small."""
    if not scale:
        return rows.numbers
    n = len(rows.ids)
    width = sum(map(len, scale))
    first = columns.first_ids()
    values = np.concatenate(scale)[rows.ids + first].ravel()
    indptr = np.arange(0, values.size + 1, rows.ids.shape[1])
    indicators = sparse.csr_matrix((values, (rows.ids + first).ravel(), indptr), shape=(n, width))
    if n * (width + rows.numbers.shape[1]) <= DENSE_VALUES:
        return np.hstack([rows.numbers.astype(np.float64), indicators.toarray()])
    return sparse.csr_matrix(sparse.hstack([sparse.csr_matrix(rows.numbers.astype(np.float64)), indicators]))


def _untrained(start: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "encode_in": start["encode"].astype(np.float32),
        "encode_bias": start["encode_bias"].astype(np.float32),
        "decode_out": start["decode"].astype(np.float32),
        "decode_bias": start["decode_bias"].astype(np.float32),
        "encoder": [],
        "decoder": [],
    }


def _set_unknown(codec: Codec) -> None:
    """Give the unknown level of a column that had none in fit the average of the column's levels."""
    columns = codec.columns
    table = codec.weights["encode_in"][len(columns.numeric) + len(columns.flagged) :]
    for begin, shares in zip(columns.first_ids(), columns.shares):
        if shares[0] == 0:
            table[begin] = shares.astype(np.float32) @ table[begin : begin + len(shares)]


def _set_axes(codec: Codec, codes: np.ndarray, *, whiten: bool) -> None:
    """Turn the code to its principal axes, in place, and divide by their spreads if asked to; decoders follow."""
    weights, width = codec.weights, codec._width
    codes = codes.astype(np.float64)
    mean = codes.mean(axis=0)
    with blas_threads_for(codes.size * codes.shape[1]):
        variances, axes = np.linalg.eigh((codes - mean).T @ (codes - mean) / max(len(codes) - 1, 1))
    axes = with_fixed_signs(axes[:, ::-1])
    spread = np.sqrt(np.maximum(variances[::-1], 0))
    turn = axes * reciprocal(spread) if whiten else axes
    back = (axes * np.where(reciprocal(spread) > 0, spread, 0) if whiten else axes).T
    weights["encode_in"] = np.hstack([weights["encode_in"][:, :width], weights["encode_in"][:, width:] @ turn])
    weights["encode_bias"] = np.concatenate(
        [weights["encode_bias"][:width], (weights["encode_bias"][width:] - mean) @ turn]
    )
    if weights["encoder"]:
        weight, bias = weights["encoder"][-1]
        weights["encoder"][-1] = weight @ turn, bias @ turn
        weight, bias = weights["decoder"][0]
        weights["decoder"][0] = back @ weight, bias + mean @ weight
    out = weights["decode_out"]
    weights["decode_bias"] = weights["decode_bias"] + mean @ out[width:]
    weights["decode_out"] = np.vstack([out[:width], back @ out[width:]])
    codec.weights = _cast(weights, np.float32)


def _cast(weights: dict[str, Any], dtype: Any) -> dict[str, Any]:
    def to(value: Any) -> Any:
        if isinstance(value, list):
            return [tuple(part.astype(dtype, copy=False) for part in pair) for pair in value]
        return value.astype(dtype, copy=False)

    return {name: to(value) for name, value in weights.items()}
