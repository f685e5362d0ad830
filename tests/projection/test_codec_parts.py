"""The autoencoder's arrays beside the same written out, row by row: linear start, codes, levels, axes and states."""

import re

import numpy as np
import pytest
from sklearn.utils import check_random_state

from skembed.data.columns import read_columns
from skembed.data.mixed import MixedColumns
from skembed.projection import _autoencoder
from skembed.projection._autoencoder import Codec, fit_codec, linear_start, predict_memory, with_flags
from skembed.projection._task import Task
from skembed.training.autoencoder import AutoencoderSettings
from skembed.training.run import Run

N = 60


def table(n=N, seed=0, dtype=object):
    rng = np.random.default_rng(seed)
    X = np.empty((n, 5), dtype=dtype)
    kind = rng.integers(4, size=n)
    X[:, 0] = np.array(["oak", "fir", "elm", "yew"], dtype=object)[kind]
    X[:, 1] = rng.normal(size=n) + kind
    X[:, 2] = np.where(rng.random(n) < 0.2, np.nan, 3 * rng.normal(size=n) - 5)
    X[:, 3] = np.array(["x", None, "y"], dtype=object)[rng.integers(3, size=n)]
    X[:, 4] = 100.0 * kind
    return X


def read(X, max_categories=None):
    mixed = MixedColumns([0, 3], None, max_categories)
    return mixed, mixed.fit(read_columns(X), X)


def task_of(dim=3, *, whiten=False, seed=0):
    return Task("autoencoder", dim, whiten, {}, 5, check_random_state(seed))


def settings_of(**changes):
    chosen = {"hidden_layer_sizes": (6, 4), "max_iter": 4, "batch_size": 16, "learning_rate": 0.05, "device": "cpu"}
    return AutoencoderSettings(**chosen | changes)


def slow_matrix(mixed, rows):
    """Numbers beside indicators of levels divided by the root of their share (Pagès 2004)."""
    parts = [rows.numbers]
    for c, shares in enumerate(mixed.shares):
        indicators = np.eye(len(shares))[rows.ids[:, c]]
        parts.append(indicators * np.where(shares > 0, 1 / np.sqrt(np.maximum(shares, 1e-9)), 0))
    return np.hstack(parts).astype(float)


@pytest.mark.parametrize("max_categories", [None, 3])
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("dim", [2, 3, 0.7, "auto", 20])
def test_the_start_is_principal_components_of_numbers_and_indicators(dim, dense, max_categories, monkeypatch):
    monkeypatch.setattr(_autoencoder, "DENSE_VALUES", 1 << 26 if dense else 0)
    mixed, rows = read(table(), max_categories)
    start = linear_start(mixed, rows, task_of(dim))
    matrix = slow_matrix(mixed, rows)
    n_numbers, flags = 3, 1
    centered = matrix - matrix.mean(axis=0)
    _, values, axes = np.linalg.svd(centered, full_matrices=False)
    kept = np.cumsum(values**2) / (values**2).sum()
    if isinstance(dim, int):
        n = min(dim, *matrix.shape)
    else:
        n = int((kept <= (0.95 if dim == "auto" else dim)).sum()) + 1
    width = dim if isinstance(dim, int) else n
    assert start["encode"].shape == (matrix.shape[1] + flags, width)
    assert start["decode"].shape == (width, matrix.shape[1])
    scale = np.concatenate([np.ones(3), *[np.where(s > 0, np.maximum(s, 1e-9) ** -0.5, 0) for s in mixed.shares]])
    raw = np.hstack(
        [rows.numbers, np.zeros((N, 1)), *[np.eye(len(s))[rows.ids[:, c]] for c, s in enumerate(mixed.shares)]]
    )
    codes = raw @ start["encode"] + start["encode_bias"]
    n_clear = int((values[:n] > 1e-6 * values[0]).sum())
    expected = centered @ axes[:n_clear].T
    np.testing.assert_allclose(np.abs(codes[:, :n_clear]), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(codes[:, :n_clear].mean(axis=0), 0, atol=1e-9)
    assert not start["encode"][n_numbers : n_numbers + flags].any()
    shares = np.concatenate(mixed.shares)
    logits = np.log(np.maximum(shares, 1e-9))
    np.testing.assert_allclose(start["decode_bias"][3:], logits)
    np.testing.assert_allclose(start["decode_bias"][:3], rows.numbers.mean(axis=0), atol=1e-9)
    back = codes[:, :n_clear] @ start["decode"][:n_clear]
    np.testing.assert_allclose(back, expected @ axes[:n_clear] * scale, atol=1e-5)
    if width > n:
        assert not start["decode"][n:].any()
        random = start["encode"][[0, 1, 2, *range(4, len(start["encode"]))], n:]
        assert random.shape == (matrix.shape[1], width - n)
        np.testing.assert_allclose(
            (random / np.where(scale > 0, scale, 1)[:, None])[scale > 0].std() * matrix.shape[1] ** 0.5, 1, rtol=0.2
        )


@pytest.mark.parametrize("form", [np.float32, np.float64])
def test_flags_stand_behind_the_numbers(form):
    values, flagged = np.arange(6, dtype=form).reshape(2, 3), np.array([2, 0])
    missing = np.array([[True, False, False], [False, False, True]])
    found = with_flags(values, missing, flagged)
    np.testing.assert_array_equal(found, [[0, 1, 2, 0, 1], [3, 4, 5, 1, 0]])
    assert found.dtype == form
    np.testing.assert_array_equal(with_flags(values, None, flagged)[:, 3:], np.zeros((2, 2)))
    assert with_flags(values, missing, flagged[:0]) is values


def slow_code(codec, numbers, flags, ids):
    """Of one row."""
    w, first = codec.weights, codec.columns.first_ids()
    n = len(numbers) + len(flags)
    read = np.concatenate([numbers, flags]) @ w["encode_in"][:n] + w["encode_bias"]
    for c, i in enumerate(ids):
        read = read + w["encode_in"][n + first[c] + i]
    width = len(read) - codec.dim
    hidden = read[:width]
    for weight, bias in w["encoder"]:
        hidden = np.maximum(hidden, 0) @ weight + bias
    return read[width:] + hidden if w["encoder"] else read[width:]


def slow_decode(codec, code):
    w, hidden = codec.weights, code
    for weight, bias in w["decoder"]:
        hidden = np.maximum(hidden @ weight + bias, 0)
    return (np.concatenate([hidden, code]) if w["decoder"] else code) @ w["decode_out"] + w["decode_bias"]


@pytest.mark.parametrize("sizes", [(), (6, 4)])
@pytest.mark.parametrize("at_once", [7, 16_384])
@pytest.mark.parametrize("whiten", [False, True])
def test_codes_and_reconstructions_are_those_of_each_row(sizes, at_once, whiten, monkeypatch):
    monkeypatch.setattr(_autoencoder, "BLOCK_ROWS", at_once)
    X = table()
    mixed, rows = read(X)
    settings = settings_of(hidden_layer_sizes=sizes)
    codec, history = fit_codec(mixed, rows, task_of(whiten=whiten), settings, Run(0))
    codec.check()
    assert len(history.loss_curve) == 4
    codes = codec.encode(rows)
    assert codes.dtype == rows.numbers.dtype
    expected = [slow_code(codec, n, m[mixed.flagged], i) for n, m, i in zip(rows.numbers, rows.missing, rows.ids)]
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    covariance = np.cov(codes.T)
    np.testing.assert_allclose(covariance - np.diag(np.diagonal(covariance)), 0, atol=1e-3 * covariance.max())
    if whiten:
        np.testing.assert_allclose(np.diagonal(covariance), 1, rtol=1e-3)
    else:
        assert (np.diff(np.diagonal(covariance)) < 0).all()
    found = codec.decode(codes)
    assert found.shape == (N, 5)
    assert found.dtype == object
    for row, code in zip(found, codes):
        out = slow_decode(codec, code)
        np.testing.assert_allclose(row[[1, 2, 4]].astype(float), mixed.unscaled(out[None, :3])[0], rtol=1e-3, atol=1e-3)
        begin = 3
        for position, vocabulary in zip((0, 3), mixed.vocabularies):
            logits = out[begin + 1 : begin + 1 + len(vocabulary)]
            assert row[position] == vocabulary.shared_keys.array[int(np.argmax(logits))]
            begin += len(vocabulary) + 1
    for array in [
        codec.weights["encode_in"],
        *[a for part in ("encoder", "decoder") for pair in codec.weights[part] for a in pair],
    ]:
        assert array.dtype == np.float32


@pytest.mark.parametrize("sizes", [(), (6, 4)])
def test_turning_the_code_changes_no_reconstruction(sizes, monkeypatch):
    mixed, rows = read(table())
    kept = {}
    set_axes = _autoencoder._set_axes

    def noted(codec, codes, *, whiten):
        kept["before"] = [slow_decode(codec, code) for code in codes]
        set_axes(codec, codes, whiten=whiten)

    monkeypatch.setattr(_autoencoder, "_set_axes", noted)
    for whiten in (False, True):
        codec, _ = fit_codec(mixed, rows, task_of(whiten=whiten), settings_of(hidden_layer_sizes=sizes), Run(0))
        after = [slow_decode(codec, code) for code in codec.encode(rows)]
        np.testing.assert_allclose(after, kept["before"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sizes", [(), (6, 4)])
def test_levels_are_codes_of_rows_that_are_average_otherwise(sizes):
    mixed, rows = read(table())
    codec, _ = fit_codec(mixed, rows, task_of(), settings_of(hidden_layer_sizes=sizes), Run(0))
    w, first = codec.weights, mixed.first_ids()
    vectors = codec.level_vectors()
    for c, shares in enumerate(mixed.shares):
        assert vectors[c].shape == (len(shares), 3)
        for level in range(len(shares)):
            read_ = w["encode_in"][4 + first[c] + level] + w["encode_bias"]
            other = 1 - c
            part = w["encode_in"][4 + first[other] : 4 + first[other] + len(mixed.shares[other])]
            read_ = read_ + mixed.shares[other] @ part
            width = len(read_) - 3
            hidden = read_[:width]
            for weight, bias in w["encoder"]:
                hidden = np.maximum(hidden, 0) @ weight + bias
            np.testing.assert_allclose(
                vectors[c][level], read_[width:] + (hidden if sizes else 0), rtol=1e-3, atol=1e-4
            )


def test_a_level_that_no_row_had_is_the_average_of_the_others():
    mixed, rows = read(table())
    codec, _ = fit_codec(mixed, rows, task_of(), settings_of(max_iter=0), Run(0))
    first = mixed.first_ids()
    encode_in = codec.weights["encode_in"][4:]
    for begin, shares in zip(first, mixed.shares):
        assert shares[0] == 0
        mean = shares[1:] @ encode_in[begin + 1 : begin + len(shares)]
        np.testing.assert_allclose(encode_in[begin], mean, atol=1e-4)
    rare, few = read(table(), 3)
    assert rare.shares[0][0] > 0
    codec, _ = fit_codec(rare, few, task_of(), settings_of(max_iter=0), Run(0))
    start = linear_start(rare, few, task_of())
    mean = rare.shares[0][1:] @ start["encode"][5 : 4 + len(rare.shares[0])]
    assert not np.allclose(start["encode"][4], mean)


@pytest.mark.parametrize(("n", "max_iter", "trained"), [(19, 4, False), (20, 4, True), (60, 0, False)])
def test_few_rows_or_no_passes_leave_the_start(n, max_iter, trained):
    mixed, rows = read(table(n))
    codec, history = fit_codec(mixed, rows, task_of(), settings_of(max_iter=max_iter, early_stopping=False), Run(0))
    assert (history is not None) == trained
    assert bool(codec.weights["encoder"]) == trained


def test_columns_of_numbers_alone_come_back_in_their_own_type():
    for dtype in (np.float32, np.float64):
        X = np.random.default_rng(0).normal(size=(30, 3)).astype(dtype)
        mixed = MixedColumns("from_dtype", None, None)
        rows = mixed.fit(read_columns(X), X)
        codec, _ = fit_codec(mixed, rows, task_of(2), settings_of(max_iter=0), Run(0))
        codes = codec.encode(rows)
        assert codes.dtype == codec.decode(codes).dtype == dtype
        assert codec.level_vectors() == []


def test_a_column_that_is_missing_throughout_comes_back_as_none():
    X = table(30)
    X[:, 3] = None
    mixed, rows = read(X)
    if len(mixed.vocabularies[1]):
        mixed.vocabularies[1] = mixed.vocabularies[1].__class__.from_counts([], [])
        mixed.shares[1] = np.array([1.0])
        rows.ids[:, 1] = 0
    codec, _ = fit_codec(mixed, rows, task_of(), settings_of(max_iter=0), Run(0))
    assert all(cell is None for cell in codec.decode(codec.encode(rows))[:, 3])


def test_memory_is_that_of_weights_and_rows(monkeypatch):
    asked = []
    monkeypatch.setattr(_autoencoder, "check_memory", lambda *told: asked.append(told))
    mixed, _ = read(table())
    levels = sum(map(len, mixed.shares))
    width = 3 + levels
    predict_memory(mixed, 1000, task_of(2), (6, 4))
    predict_memory(mixed, 1000, task_of("auto"), ())
    layers = width * 6 + 6 * 4 + 4 * 2
    assert asked[0][0] == 4 * (7 * 2 * (width * 2 + layers) + 1000 * (3 + 4 + 2))
    assert asked[1][0] == 4 * (7 * 2 * (width + width) + 1000 * (3 + 4 + 1))
    assert asked[0][1] == f"an autoencoder of 3 numbers and {levels} levels with 2 dimensions"
    assert asked[0][2].startswith("lower embedding_dim, hidden_layer_sizes or max_categories")


def broken(codec, name, change):
    weights = {n: (list(w) if isinstance(w, list) else w) for n, w in codec.weights.items()}
    weights[name] = change(weights[name])
    return Codec(codec.columns, weights)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("encode_in", lambda w: w[1:], "expected 'encode_in' of shape"),
        ("encode_bias", lambda w: w[1:], "expected 'encode_bias' of shape (9,), got (8,)"),
        ("decode_out", lambda w: w[:, 1:], "expected 'decode_out' of shape"),
        ("decode_bias", lambda w: w[1:], "expected 'decode_bias' of shape"),
        ("encoder", lambda w: [w[0]], "expected the encoder to end with 3 values, got 4"),
        ("encoder", lambda w: [w[0], w[0]], "expected layers of the encoder that follow each other"),
        ("encoder", lambda w: [w[0], (w[1][0], w[1][1][1:])], "expected layers of the encoder that follow each other"),
        ("encoder", lambda w: [w[0], (w[1][0][0], w[1][1])], "expected layers of the encoder that follow each other"),
        ("decoder", lambda w: [w[0]], "expected the decoder to end with 6 values, got 4"),
        ("decoder", lambda w: w[1:], "expected layers of the decoder that follow each other"),
        ("more", lambda w: 1, "expected weights ['decode_bias', 'decode_out', 'encode_bias', 'encode_in'], got ["),
    ],
)
def test_weights_that_do_not_follow_each_other_are_refused(name, change, message):
    mixed, rows = read(table())
    codec, _ = fit_codec(mixed, rows, task_of(), settings_of(max_iter=1), Run(0))
    codec.check()
    codec.weights.setdefault("more", 0) if name == "more" else None
    with pytest.raises(ValueError, match=re.escape(f"Codec: {message}")):
        broken(codec, name, change).check()


def test_flags_and_dimensions_have_to_be_there():
    mixed, rows = read(table())
    codec, _ = fit_codec(mixed, rows, task_of(), settings_of(max_iter=0), Run(0))
    for flagged in ([3], [-1]):
        mixed.flagged = np.array(flagged)
        with pytest.raises(ValueError, match="Codec: expected flagged columns among the numeric ones"):
            codec.check()
    mixed.flagged = np.array([2])
    codec.check()
    empty = {**codec.weights, "decode_out": codec.weights["decode_out"][:0]}
    with pytest.raises(ValueError, match="Codec: expected weights"):
        Codec(mixed, empty).check()
