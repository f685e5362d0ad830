"""Faults and bad input, and what a person sees: tables of categories (1-12) and running (27-31)."""

import datetime
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, ShuffleSplit, TimeSeriesSplit

from skembed import EntityEmbeddingEncoder, memory
from skembed.categorical._folds import make_folds

N = 400


def encoder(**parameters):
    return EntityEmbeddingEncoder(**({"max_iter": 2, "random_state": 0} | parameters))


def objects(values, n_columns=1):
    out = np.empty((len(values), n_columns), dtype=object)
    out[:] = [[v] * n_columns for v in values]
    return out


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return np.stack([rng.choice(list("abcdefgh"), N), rng.choice(list("xyz"), N)], axis=1).astype(object)


@pytest.fixture
def y(X):
    return np.array([ord(v) for v in X[:, 0]]) + np.random.default_rng(1).standard_normal(N)


# 1 ------------------------------------------------------------------------------------------------ unknown levels


def test_unknown_levels_have_the_trained_vector(X, y):
    fitted = encoder(max_iter=5).fit(X, y)
    table = fitted.embeddings_["x0"]
    vector = fitted.transform([["new", "x"]])[0, : table.embedding_dim]
    assert vector.any()
    np.testing.assert_array_equal(vector, table.unknown)


def test_unknown_levels_are_an_error_if_asked(X, y):
    fitted = encoder(handle_unknown="error", min_frequency=60).fit(X, y)
    assert len(fitted.infrequent_categories_[0])
    fitted.transform(X)  # infrequent levels are known
    with pytest.raises(ValueError, match=r"column 'x0' during transform: 'new', None .*handle_unknown='embed'"):
        fitted.transform([["new", "x"], [None, "y"]])


# 2, 3 --------------------------------------------------------------------------------- one missing level, identity


def test_missing_values_are_one_level(y):
    pd = pytest.importorskip("pandas")
    missing = [None, np.nan, pd.NA, pd.NaT, float("nan"), np.datetime64("NaT")]
    X = objects([*missing, "a", "b"] * 50)
    fitted = encoder().fit(X, y)
    assert set(fitted.embeddings_["x0"].keys) == {None, "a", "b"}
    out = fitted.transform(objects(missing))
    np.testing.assert_array_equal(out, np.repeat(fitted.embeddings_["x0"][None][None], 6, axis=0))


def test_identity_of_levels_is_that_of_python(y):
    X = objects([1, 1.0, "1", True, np.int8(1), "True", 2, 2.5] * 50)
    fitted = encoder().fit(X, y + np.array([0, 0, 9, 0, 0, 3, 6, 7] * 50))
    assert set(fitted.embeddings_["x0"].keys) == {1, "1", "True", 2, 2.5}
    out = fitted.transform(objects([1, 1.0, True, np.float32(1), "1"]))
    np.testing.assert_array_equal(out[:4], out[[0] * 4])
    assert not np.array_equal(out[0], out[4])
    np.testing.assert_array_equal(fitted.transform(np.array([[1.0], [2.5]])), fitted.transform(objects([True, 2.5])))


def test_dates_numbers_and_booleans_are_levels(y):
    for values in (
        [datetime.date(2020, 1, k) for k in (1, 2)],
        [1.5, -np.inf],
        [True, False],
        [10**30, -1],
        [b"a", "a"],
    ):
        fitted = encoder().fit(objects(values * (N // 2)), y)
        assert len(fitted.embeddings_["x0"]) == 2
        assert np.isfinite(fitted.transform(objects(values))).all()


# 4 ------------------------------------------------------------------------------------------- pandas Categorical


@pytest.mark.parametrize("ordered", [True, False])
def test_categorical_dtype_is_as_its_strings(X, y, ordered):
    pd = pytest.importorskip("pandas")
    plain = pd.DataFrame(X, columns=["u", "v"])
    levels = ["unused", *"hgfedcba"]
    typed = plain.assign(u=pd.Categorical(plain["u"], categories=levels, ordered=ordered))
    expected = encoder().fit(plain, y)
    found = encoder().fit(typed, y)
    assert found.embeddings_ == expected.embeddings_
    np.testing.assert_array_equal(found.transform(plain), expected.transform(typed))


# 5 --------------------------------------------------------------------------- columns that cannot tell rows apart


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None] * N, "column 'x0' holds no value"),
        (["a"] * N, "column 'x0' has one level only"),
        ([str(i) for i in range(N)], "column 'x0' has a level of its own in every row"),
    ],
)
def test_degenerate_columns_warn_and_stay_finite(values, message, y):
    with pytest.warns(UserWarning, match=message):
        out = encoder().fit_transform(objects(values), y)
    assert np.isfinite(out).all()
    if "own" in message:
        half = np.arange(N) < N // 2
        coefficients = np.linalg.lstsq(np.c_[out[half], np.ones(half.sum())], y[half], rcond=None)[0]
        residual = y[~half] - np.c_[out[~half], np.ones((~half).sum())] @ coefficients
        assert residual.var() > 0.95 * y[~half].var()


# 6 ---------------------------------------------------------------------------------------------------- columns


def test_columns_reordered_missing_added_repeated(X, y):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["u", "v"])
    fitted = encoder().fit(frame, y)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(frame[["v", "u"]])
    with pytest.raises(ValueError, match="yet now missing"):
        fitted.transform(frame[["u"]])
    with pytest.raises(ValueError, match="unseen at fit time"):
        fitted.transform(frame.assign(w=1))
    with pytest.raises(ValueError, match="features"):
        encoder().fit(X, y).transform(X[:, :1])
    with pytest.raises(ValueError, match="more than one column named 'u'"):
        encoder().fit(frame.set_axis(["u", "u"], axis=1), y)
    for bad, message in [(["w"], "names 'w', which is not in X"), ([7], "holds 7"), ([True], "mask of 1 values")]:
        with pytest.raises(ValueError, match=f"categorical_features.*{message}"):
            encoder(categorical_features=bad).fit(frame, y)
    with pytest.raises(ValueError, match=r"column 'v'.*Declare the column categorical"):
        encoder(categorical_features=["u"]).fit(frame, y)


# 7 ------------------------------------------------------------------------------------------------------------ y


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["a"] * N, "y has one class only, 'a'"),
        ([1.0] * N, "one class only, 1.0.*target_type='continuous'"),
        ([np.nan] + [1.5] * (N - 1), "y contains NaN or infinity.*row 0"),
        ([1.5] * (N - 1) + [np.inf], f"y contains NaN or infinity.*row {N - 1}"),
        ([None] + ["a", "b"] * (N // 2 - 1) + ["a"], "NaN or None in row 0"),
        ([1.5] * (N - 1), "inconsistent numbers of samples"),
        (["a", 1] * (N // 2), "y mixes values of type int, str"),
        (None, "requires y"),
    ],
)
def test_bad_y(X, bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        encoder().fit(X, np.array(bad, dtype=object) if isinstance(bad, list) and isinstance(bad[1], int) else bad)


def test_y_with_pandas_na(X):
    pd = pytest.importorskip("pandas")
    for dtype, values in (("Int64", [1, 0]), ("string", ["a", "b"]), ("boolean", [True, False])):
        with pytest.raises(ValueError, match=r"y contains NaN.*row 0"):
            encoder().fit(X, pd.Series([pd.NA, *(values * N)][:N], dtype=dtype))


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e305])
def test_y_of_extreme_numbers(X, y, scale):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = encoder().fit_transform(X, (y - 100) * scale)
    np.testing.assert_allclose(out, encoder().fit_transform(X, y - 100), rtol=1e-3, atol=1e-4)


def test_y_does_not_vary(X):
    out = encoder(target_type="continuous").fit_transform(X, np.full(N, 7.0))
    assert np.isfinite(out).all()


def test_target_type_that_does_not_fit(X, y):
    with pytest.raises(ValueError, match="target_type is 'binary' and y has 400 distinct values"):
        encoder(target_type="binary").fit(X, y)
    with pytest.raises(ValueError, match="target_type is 'continuous' and y holds 'a'"):
        encoder(target_type="continuous").fit(X, ["a", "b"] * (N // 2))


# 8 -------------------------------------------------------------------------------------------- weights and groups


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(N), "[Ss]ample.weight.* zero|non-zero"),
        (np.r_[-1.0, np.ones(N - 1)], r"sample_weight is negative in row 0 \(-1.0\)"),
        (np.r_[np.nan, np.ones(N - 1)], "sample_weight contains NaN"),
        (np.ones(N - 1), "sample_weight"),
        (np.r_[1.0, np.zeros(N - 1)], "1 sample"),
    ],
)
def test_bad_weights(X, y, weight, message):
    with pytest.raises(ValueError, match=message):
        encoder().fit(X, y, sample_weight=weight)


def test_extreme_weights(X, y):
    for weight in (np.full(N, 1e300), np.full(N, 1e-300), np.r_[1e9, np.ones(N - 1)]):
        assert np.isfinite(encoder().fit_transform(X, y, sample_weight=weight)).all()


def test_groups(X, y):
    with pytest.raises(ValueError, match="groups"):
        encoder(cv=GroupKFold(3)).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent"):
        encoder(cv=GroupKFold(3)).fit(X, y, groups=np.arange(N - 1))
    with pytest.warns(UserWarning, match="groups parameter is ignored"):
        encoder(cv=5).fit(X, y, groups=np.arange(N))


@pytest.mark.parametrize("cv", [ShuffleSplit(3), [1, 2], [([0, 1], [2, N])]])
def test_splits_that_do_not_hold_each_row_out_once(X, y, cv):
    with pytest.raises(ValueError, match=r"^cv=") as caught:
        encoder(cv=cv).fit(X, y)
    assert len(str(caught.value)) < 500


def test_rows_in_the_order_of_time_are_held_out_from_what_comes_later(X, y):
    fitted = encoder(cv=TimeSeriesSplit(3))
    assert np.isfinite(fitted.fit_transform(X, y)).all()
    folds = make_folds(TimeSeriesSplit(3), y[:, None], np.arange(N), None, stratify=False, rng=np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(N))
    for train, test in folds:
        assert train.max() < test.min() or max(train.max(), test.max()) < N // 4
        assert not np.intersect1d(train, test).size


# 9 ---------------------------------------------------------------------------------------------------------- sizes


def test_sizes(X, y):
    with pytest.raises(ValueError, match="0 sample"):
        encoder().fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="1 sample"):
        encoder().fit(X[:1], y[:1])
    fitted = encoder().fit(X, y)
    with pytest.raises(ValueError, match="0 sample"):
        fitted.transform(X[:0])
    assert fitted.transform(X[:1]).shape == (1, 2)
    assert np.isfinite(encoder().fit_transform(X[:2], y[:2])).all()
    assert np.isfinite(encoder().fit_transform(X[:, :1], y)).all()
    nothing_left = encoder(max_categories=1).fit(X, y)
    assert len(nothing_left.embeddings_["x0"]) == 0
    assert (nothing_left.inverse_transform(nothing_left.transform(X)) == None).all()  # noqa: E711


# 10 ----------------------------------------------------------------------------------------------------- layouts


def test_layouts(tmp_path):
    rng = np.random.default_rng(0)
    plain = rng.integers(5, size=(N, 2)).astype(np.int64)
    y = plain[:, 0] + rng.standard_normal(N)
    expected = encoder().fit_transform(plain, y)
    mapped = np.memmap(tmp_path / "x", dtype=np.int64, mode="w+", shape=plain.shape)
    mapped[:] = plain
    frozen = plain.copy()
    frozen.setflags(write=False)
    wide = np.zeros((N, 4), dtype=np.int64)
    wide[:, ::2] = plain
    others = [frozen, np.asfortranarray(plain), plain[::-1][::-1], plain.astype(">i8"), plain.astype(object), mapped]
    others += [wide[:, ::2], plain.astype(np.float32), plain.astype("<i2")]
    for other in others:
        np.testing.assert_array_equal(encoder().fit_transform(other, y), expected)
    for other_y in (y.astype(">f8"), y[::-1][::-1], y.tolist()):
        np.testing.assert_array_equal(encoder().fit_transform(plain, other_y), expected)
    pd = pytest.importorskip("pandas")
    index = np.zeros(N, dtype=int)
    framed = pd.DataFrame(plain, index=index)
    np.testing.assert_array_equal(encoder().fit_transform(framed, pd.Series(y, index=index)), expected)


# 11 ---------------------------------------------------------------------------------------------- extreme numbers


@pytest.mark.parametrize(
    "side", [[1e300, -1e300], [5e-324, 0.0], [np.nan, np.nan], [np.inf, -np.inf], [np.nan, 3.0], [7.0, 7.0]]
)
def test_extreme_side_inputs(X, y, side):
    Z = np.column_stack([X, np.array(side * (N // 2), dtype=object)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = encoder(categorical_features=[0, 1]).fit_transform(Z, y)
    assert np.isfinite(out).all()


# 12 ------------------------------------------------------------------------------------------ a loss not finite


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_loss_that_is_not_finite(X, y, early_stopping):
    diverging = encoder(hidden_layer_sizes=(128, 64), learning_rate=1e4, early_stopping=early_stopping, max_iter=9)
    with pytest.warns(ConvergenceWarning, match="learning_rate"):
        diverging.fit(X, y)
    assert np.isfinite(diverging.transform(X)).all()
    assert np.isfinite(diverging.loss_curve_).all()


@pytest.mark.parametrize("sizes", [(0,), (-3,), (2.5,), (True,), ("a",)])
def test_hidden_layers(X, y, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes is .* holds"):
        encoder(hidden_layer_sizes=sizes).fit(X, y)


# 27 ------------------------------------------------------------------------------------------------------- Ctrl-C


def test_ctrl_c(X, y, monkeypatch):
    from skembed.training.nets.table_net import TableNet

    step, calls = TableNet.step, []

    def interrupted(self, rows):
        calls.append(1)
        if len(calls) == interrupt_at:
            signal.raise_signal(signal.SIGINT)
        return step(self, rows)

    monkeypatch.setattr(TableNet, "step", interrupted)
    interrupt_at = 2  # in the first pass
    with pytest.raises(KeyboardInterrupt):
        encoder(max_iter=50, hidden_layer_sizes=(128, 64)).fit(X, y)
    calls.clear()
    interrupt_at = 20  # six steps a pass
    with pytest.warns(UserWarning, match="interrupted in pass"):
        fitted = encoder(max_iter=50, hidden_layer_sizes=(128, 64), early_stopping=False).fit(X, y)
    assert 1 <= fitted.n_iter_ == len(fitted.loss_curve_) < 5
    assert np.isfinite(fitted.transform(X)).all()


def test_ctrl_c_while_interactions_are_learned(X, monkeypatch):
    from skembed.categorical._backfitting import Backfitting

    odd = np.array([ord(v) for v in X[:, 0]]) % 2
    y = (odd == (X[:, 1] == "x")) + 0.1 * np.random.default_rng(0).standard_normal(N)
    one_pass, calls = Backfitting.one_pass, []

    def interrupted(self):
        calls.append(1)
        if len(calls) == interrupt_at:
            signal.raise_signal(signal.SIGINT)
        return one_pass(self)

    monkeypatch.setattr(Backfitting, "one_pass", interrupted)
    interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        encoder(max_iter=50).fit(X, y)
    calls.clear()
    interrupt_at = 3
    with pytest.warns(UserWarning, match="interrupted in pass 3"):
        fitted = encoder(max_iter=50, tol=0).fit(X, y)
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 2
    assert fitted.interactions_ == [("x0", "x1")]


# 28 ------------------------------------------------------------------------------------------------------ threads


def test_eight_threads_in_transform(X, y):
    import pickle

    fitted = pickle.loads(pickle.dumps(encoder().fit(X, y)))  # what is built on first use is not there yet
    barrier = threading.Barrier(8)

    def work(_):
        barrier.wait()
        return fitted.transform(X)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    for out in found:
        np.testing.assert_array_equal(out, fitted.transform(X))


# 30 ------------------------------------------------------------------------------------------------------ devices


@pytest.mark.parametrize("rows", [N, 50])  # with and without a net
def test_devices(X, y, rows):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device is 'cuda' and cannot be used here"):
            encoder(device="cuda").fit(X[:rows], y[:rows])
    with pytest.raises(ValueError, match="device is 'potato'"):
        encoder(device="potato").fit(X[:rows], y[:rows])
    assert np.isfinite(encoder(device="auto").fit_transform(X[:rows], y[:rows])).all()


# 31 ------------------------------------------------------------------------------------------------------- memory


def test_too_little_memory_is_predicted(X, y, monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"needs at least \d+ bytes and this machine has 10000; lower embedding_dim"):
        encoder().fit(X, y)
    with pytest.raises(MemoryError, match=r"for 100 classes, outputs or directions of y needs.*join rare classes"):
        encoder(target_type="multiclass").fit(X, np.arange(N) % 100)


def test_more_columns_than_any_machine_can_hold(X, y):
    with pytest.raises(MemoryError, match="bytes"):
        encoder(embedding_dim=10**12).fit(X, y)
