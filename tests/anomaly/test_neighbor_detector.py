"""NeighborAnomalyDetector: distances, thresholds of rows that were left out, explanations, and faults."""

import warnings
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.covariance import ledoit_wolf
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from unchecked import save_unchecked

import skembed
from skembed import CooccurrenceEncoder, EmbeddingTable, NeighborAnomalyDetector
from skembed.anomaly._own_distances import gains_without
from skembed.formats import FormatError
from skembed.training import whitening
from skembed.training.whitening import DualWhitening, learn_whitening

SHAPES = [(120, 8), (20, 60), (30, 30), (31, 30), (12, 11)]  # more rows than columns, fewer, as many


def rows(n=120, width=8, seed=0, dtype=np.float64):
    mixing = np.random.default_rng(5).normal(size=(width, width))
    return (np.random.default_rng(seed).normal(size=(n, width)) @ mixing + 20).astype(dtype)


def pairwise(A, B, precision):
    differences = A[:, None] - B[None]
    return np.sqrt(np.einsum("ijk,kl,ijl->ij", differences, precision, differences))


def detector(**parameters):
    return NeighborAnomalyDetector(**({"novelty": True} | parameters))


# ---------------------------------------------------------------------------------------------------- the covariance


def distances_to(placing, X, new):
    """Distances of new rows to those of fit, by whichever form."""
    if isinstance(placing, DualWhitening):
        lengths, products = placing.products(placing.center(new))
        return np.sqrt(lengths[:, None] + placing.squared_lengths - 2 * products)
    return np.sqrt(((placing.apply(new)[:, None] - placing.apply(X)[None]) ** 2).sum(axis=2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_whitened_distances_are_mahalanobis_distances_by_the_covariance_of_ledoit_and_wolf(shape, container):
    X, new = rows(*shape), rows(5, shape[1], seed=1)
    covariance, shrinkage = ledoit_wolf(X)
    learned = learn_whitening(container(X))
    assert learned.shrinkage == pytest.approx(shrinkage, rel=1e-9)
    assert isinstance(learned, DualWhitening) == (shape[0] <= shape[1])
    expected = pairwise(new, X, np.linalg.inv(covariance))
    np.testing.assert_allclose(distances_to(learned, container(X), container(new)), expected, rtol=1e-5)
    fitted = detector().fit(container(X))
    points = fitted.embedding_.vectors
    found = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(found, pairwise(X, X, np.linalg.inv(covariance)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 7), (9, 25)])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_blocks_change_nothing(shape, container, monkeypatch):
    X, new = container(rows(*shape)), container(rows(6, shape[1], seed=1))

    def answers():
        fitted = detector(n_neighbors=3).fit(X)
        return fitted.training_scores_, fitted.score_samples(new), fitted.explain(new), fitted.explain()

    expected = answers()
    monkeypatch.setattr(whitening, "VALUES_AT_ONCE", 13)
    monkeypatch.setattr("skembed.anomaly._dual_distances.PAIRS_AT_ONCE", 20)
    for found, one in zip(answers(), expected):
        found, one = np.array(found, dtype=float), np.array(one, dtype=float)
        np.testing.assert_allclose(found, one, rtol=1e-5)


def kinds_of_rows(kind, shape, dtype):
    X = rows(*shape, dtype=dtype)
    if kind == "constant columns":
        X[:, [1, 4]] = 3.0
    if kind == "equal rows":
        X[1:4], X[-1] = X[0], X[-2]
    if kind == "near rows":
        X[1], X[2] = X[0] * dtype(1 + 1e-5), X[0] * dtype(1 - 3e-4)
    if kind == "one direction":
        X = (X[:, :1] * 1e3 + np.arange(shape[1]) + 1e-2 * X).astype(dtype)
    if kind == "no direction":
        X = np.vstack([np.eye(*shape), -np.eye(*shape)]).astype(dtype)[: shape[0]]
    return X


@pytest.mark.parametrize("shape", [(24, 70), (70, 200), (30, 30), (29, 30)])
@pytest.mark.parametrize(
    "kind", ["usual", "constant columns", "equal rows", "near rows", "one direction", "no direction"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_products_with_rows_say_what_a_factor_of_the_covariance_among_columns_says(shape, kind, dtype, container):
    X = kinds_of_rows(kind, shape, dtype)
    new = np.vstack([kinds_of_rows(kind, shape, dtype)[:4], rows(5, shape[1], seed=1, dtype=dtype)])
    fitted = detector(n_neighbors=3).fit(container(X))
    dual = fitted._placing
    assert isinstance(dual, DualWhitening)

    # the twin: the same covariance, factorized among columns in float64
    exact, mean = X.astype(np.float64), X.mean(axis=0, dtype=np.float64)
    S = (exact - mean).T @ (exact - mean) / len(X)
    covariance = (1 - dual.shrinkage) * S + dual.floor * np.eye(shape[1])
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    usual, whitened = (exact - mean) @ root.T, (new.astype(np.float64) - mean) @ root.T

    squares = ((whitened[:, None] - usual[None]) ** 2).sum(axis=2)
    length = np.linalg.norm(usual, axis=1).max()
    expected = np.sort(np.sqrt(squares), axis=1)[:, :3]
    np.testing.assert_allclose(
        fitted.score_samples(container(new)), -expected.mean(axis=1), rtol=1e-6, atol=1e-7 * length
    )
    found = fitted.explain(container(new))
    np.testing.assert_allclose([[d for _, d in one] for one in found], expected, rtol=1e-6, atol=1e-7 * length)
    for squared, one in zip(squares, found):
        np.testing.assert_allclose(
            [np.sqrt(squared[key]) for key, _ in one], [d for _, d in one], rtol=1e-6, atol=1e-7 * length
        )

    # each row of fit by the covariance without it
    gains, factor = gains_without((usual**2).sum(axis=1), dual.shrinkage)
    along = usual @ usual.T
    own = ((usual[:, None] - usual[None]) ** 2).sum(axis=2)
    own = factor * (own + gains[:, None] * (along.diagonal()[:, None] - along) ** 2)
    np.fill_diagonal(own, np.inf)
    expected = np.sort(np.sqrt(own), axis=1)[:, :3]
    np.testing.assert_allclose(fitted.training_scores_, -expected.mean(axis=1), rtol=1e-5, atol=1e-6 * length)
    found = [[d for _, d in one] for one in fitted.explain()]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * length)


def test_products_of_rows_that_weigh_nearly_nothing_are_not_made_of_a_difference(monkeypatch):
    X = rows(20, 60)
    expected = learn_whitening(X)
    monkeypatch.setattr(whitening, "LEAST_WEIGHT", 2.0)
    found = learn_whitening(X)
    np.testing.assert_allclose(found.squared_lengths, expected.squared_lengths, rtol=1e-9)
    monkeypatch.undo()
    products = expected.own_products(slice(5, 12))
    monkeypatch.setattr(whitening, "LEAST_WEIGHT", 2.0)
    np.testing.assert_allclose(found.own_products(slice(5, 12)), products, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(products[:, 5:12].diagonal(), expected.squared_lengths[5:12], rtol=1e-9)


def test_equal_and_near_rows_have_all_the_digits_of_their_distance():
    X = rows(30, 80)
    step = 1e-6 * rows(1, 80, seed=3)[0]
    X[1], X[2], X[4] = X[0], X[0] + step, X[3] + 1e-3
    fitted = detector(n_neighbors=1).fit(X)
    placing = fitted._placing
    covariance = (1 - placing.shrinkage) * np.cov(X.T, bias=True) + placing.floor * np.eye(80)
    precision = np.linalg.inv(covariance)
    for rounded, other in ((X[2], X[0]), (X[4], X[3])):
        (((key, distance),),) = fitted.explain([rounded + 5 * (rounded - other)])
        expected = min(
            pairwise((rounded + 5 * (rounded - other))[None], X[[row]], precision)[0, 0] for row in (0, 1, 2, 3, 4)
        )
        assert distance == pytest.approx(expected, rel=1e-5)
        assert key in (2, 4)
    assert (fitted.training_scores_[:2] == 0).all()  # to the last bit, or `offset_` would take it for a distance
    assert fitted.training_scores_[2] < 0
    assert (fitted.score_samples(X) == 0).all()


@pytest.mark.parametrize("shape", [*SHAPES, (300, 3)])
def test_scores_of_training_rows_are_those_of_a_fit_without_them(shape):
    X, (n, width) = rows(*shape), shape
    X[0] += 30  # one that draws the covariance towards itself
    fitted = detector(n_neighbors=3).fit(X)
    s, target = fitted.shrinkage_, X.var(axis=0).mean() * n / (n - 1)
    expected = []
    for i in range(n):
        others = np.delete(X, i, axis=0)
        S = np.cov(others.T, bias=True)
        C = (n - 2) / (n - 2 + s) * ((1 - s) * S + s * target * np.eye(width))
        distances = pairwise(X[i : i + 1], others, np.linalg.inv(C))[0]
        expected.append(-np.sort(distances)[:3].mean())
    np.testing.assert_allclose(fitted.training_scores_, expected, rtol=1e-4)


@pytest.mark.parametrize("contamination", ["auto", 0.1, 0.3])
def test_of_rows_that_have_equals_none_is_an_outlier_by_rounding(contamination):
    """Their covariance is not shrunk, and products lose most of their digits."""
    for seed in range(20):
        kinds = rows(1 + seed % 2, 20, seed=seed)
        X = kinds[np.arange(14) % len(kinds)]
        fitted = detector(n_neighbors=5, contamination=contamination).fit(X)
        assert fitted.shrinkage_ < 1e-15
        assert (fitted.training_scores_ == 0).all()
        assert (fitted.score_samples(X) == 0).all()
        assert (fitted.predict(X) == 1).all()
        assert (fitted.predict(rows(3, 20, seed=100)) == -1).all()


def test_of_rows_that_are_as_far_from_each_other_none_is_an_outlier_by_rounding():
    for seed in range(40):
        kinds = rows(2, 20, seed=seed)
        fitted = NeighborAnomalyDetector(5)
        assert (fitted.fit_predict(kinds[np.arange(8) % 2]) == 1).all()
        assert np.ptp(fitted.training_scores_) < 1e-6  # three equals and two others each


def test_scores_of_one_column_do_not_depend_on_the_order_of_rows():
    for seed in range(20):
        X = rows(30, 1, seed=seed)
        fitted, backwards = detector().fit(X), detector().fit(X[::-1])
        assert fitted.shrinkage_ == backwards.shrinkage_ == 0.0
        np.testing.assert_allclose(fitted.training_scores_, backwards.training_scores_[::-1], rtol=1e-5)


def test_new_usual_rows_are_as_seldom_outliers_as_was_asked_for():
    """By a covariance that has seen the rows which make the threshold, most of these are."""
    for n, width in ((50, 200), (200, 100), (400, 6)):
        fitted = detector(contamination=0.1).fit(rows(n, width))
        assert 0.02 < (fitted.predict(rows(500, width, seed=1)) < 0).mean() < 0.2
        seen = fitted.embedding_.kneighbors(fitted.embedding_.vectors, 6).scores[:, 1:].mean(axis=1)
        naive = (-fitted.score_samples(rows(500, width, seed=1)) > np.quantile(seen, 0.9)).mean()
        assert naive > (0.95 if n < width else 0.3 if n < 5 * width else 0.05)


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("shape", [(10, 100), (20, 100), (19, 4)])
def test_of_few_rows_new_usual_ones_are_as_seldom_outliers_as_was_asked_for(shape, whiten):
    """Two to four times as many were, by the quantile between n - 1 gaps and a target that had not lost the row."""
    alarms = []
    for seed in range(40):
        fitted = detector(contamination=0.1, whiten=whiten).fit(rows(*shape, seed=seed))
        alarms.append((fitted.predict(rows(200, shape[1], seed=1000 + seed)) < 0).mean())
        assert (fitted.training_scores_ < fitted.offset_).sum() in (1, 2)  # and of those of fit
    assert 0.07 < np.mean(alarms) < 0.135


# -------------------------------------------------------------------------------------------------- as it is promised


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_a_covariance_distances_are_those_of_nearest_neighbors(dtype):
    X, new = rows(dtype=dtype), rows(9, seed=1, dtype=dtype)
    fitted = detector(n_neighbors=4, whiten=False).fit(X)
    neighbors = NearestNeighbors(n_neighbors=4).fit(X)
    np.testing.assert_allclose(fitted.score_samples(new), -neighbors.kneighbors(new)[0].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(fitted.training_scores_, -neighbors.kneighbors()[0].mean(axis=1), rtol=1e-5)
    assert fitted.shrinkage_ is None


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_lengths_whose_squares_float32_has_not(scale):
    X = rows(60, 4)
    near, far = (detector(whiten=False).fit(x) for x in (X, X * scale))
    assert far.offset_ == pytest.approx(near.offset_ * scale, rel=1e-5)
    np.testing.assert_array_equal(far.predict(2 * X * scale), near.predict(2 * X))
    assert -1 in far.predict(2 * X * scale)


def test_a_large_offset_costs_no_digits():
    X = rows()
    expected = detector(whiten=False).fit(X).training_scores_
    np.testing.assert_allclose(detector(whiten=False).fit(X + 1e9).training_scores_, expected, rtol=1e-5)


@pytest.mark.parametrize("whiten", [True, False])
def test_float32_gives_what_float64_gives(whiten):
    one, two = (detector(whiten=whiten).fit(rows(dtype=dtype)) for dtype in (np.float32, np.float64))
    np.testing.assert_allclose(one.score_samples(rows(9, seed=1)), two.score_samples(rows(9, seed=1)), rtol=1e-4)


def test_outliers_among_the_rows_themselves():
    X = rows()
    X[[3, 70]] += 100
    fitted = NeighborAnomalyDetector(contamination=2 / 120)
    assert np.flatnonzero(fitted.fit_predict(X) == -1).tolist() == [3, 70]
    found = np.flatnonzero(NeighborAnomalyDetector().fit_predict(X) == -1).tolist()
    assert {3, 70} <= set(found)
    assert len(found) < 6
    for name in ("predict", "decision_function", "score_samples"):
        assert not hasattr(fitted, name)
        with pytest.raises(AttributeError, match=name):
            getattr(fitted, name)
        assert hasattr(detector(), name)
    assert not hasattr(detector(), "fit_predict")


@pytest.mark.parametrize("contamination", ["auto", 0.05, 0.5])
def test_decisions_follow_from_scores(contamination):
    fitted, new = detector(contamination=contamination).fit(rows()), rows(50, seed=1) * 1.5
    decisions = fitted.decision_function(new)
    np.testing.assert_array_equal(decisions, fitted.score_samples(new) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(new), np.where(decisions < 0, -1, 1))
    if contamination != "auto":
        assert (fitted.training_scores_ < fitted.offset_).sum() == round(contamination * 120)


def test_neighbours_have_the_keys_of_a_table_an_index_or_numbers():
    X = rows(30)
    keys = [f"image {i}" for i in range(30)]
    frame = pd.DataFrame(X, index=keys).rename(columns=str)
    for given, expected in (
        (EmbeddingTable(keys, X), keys), (frame, keys), (X, list(range(30))),
        (frame.set_axis(["same"] * 30), list(range(30))),
    ):  # fmt: skip
        fitted = detector().fit(given)
        (pairs,) = fitted.explain(frame[7:8] if isinstance(given, pd.DataFrame) else X[7:8], n_neighbors=3)
        assert pairs[0] == (expected[7], pytest.approx(0, abs=1e-3))
        assert len(pairs) == 3
        own = fitted.explain()
        assert all(key != expected[row] for row, found in enumerate(own) for key, _ in found)
        means = [-np.mean([distance for _, distance in found]) for found in own]
        np.testing.assert_allclose(means, fitted.training_scores_, rtol=1e-6)
    assert fitted.explain(frame[:1], n_neighbors=99)[0][29][0] in range(30)
    assert len(fitted.explain(n_neighbors=99)[0]) == 29


def test_new_rows_may_be_a_table():
    X, new = rows(dtype=np.float32), rows(4, seed=1, dtype=np.float32)
    fitted = detector().fit(EmbeddingTable(range(120), X))
    np.testing.assert_array_equal(fitted.predict(EmbeddingTable(list("abcd"), new)), fitted.predict(new))


def test_behind_an_embedder_in_a_pipeline_and_in_a_grid():
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=300)
    X = pd.DataFrame({"a": kind * 10 + rng.integers(2, size=300), "b": kind, "c": kind}).astype(str)
    pipeline = make_pipeline(CooccurrenceEncoder(random_state=0), detector()).fit(X)
    strange = pd.DataFrame({"a": ["0"], "b": ["1"], "c": ["2"]})
    assert pipeline.score_samples(strange)[0] < pipeline.score_samples(X).min()
    search = GridSearchCV(
        detector(), {"n_neighbors": [1, 3], "whiten": [True, False]}, cv=2,
        scoring=lambda estimator, X, y=None: estimator.decision_function(X).mean(),
    )  # fmt: skip
    assert search.fit(rows(60)).best_params_["n_neighbors"] == 1


# ---------------------------------------------------------------------------------------------------------- faults


def test_few_rows():
    with pytest.warns(UserWarning, match=r"n_neighbors is 5 and there are 4 rows.*; n_neighbors_ is 3"):
        fitted = detector().fit(rows(4))
    assert fitted.n_neighbors_ == 3
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        detector().fit(rows(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector(n_neighbors=1).fit(rows(2))


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("shape", [(30, 3), (6, 20)])
def test_rows_that_are_all_equal(whiten, shape):
    X = np.full(shape, 4.5)
    fitted = detector(n_neighbors=2, whiten=whiten).fit(X)
    assert (fitted.training_scores_ == 0).all()
    assert fitted.predict(np.vstack([X[:1], X[:1] + 1])).tolist() == [1, -1]
    assert fitted.score_samples(X[:1] + 1)[0] == pytest.approx(-np.sqrt(shape[1]), rel=1e-6)


@pytest.mark.parametrize("shape", [(60, 6), (20, 40)])
def test_constant_and_repeated_columns_and_repeated_rows(shape):
    X = rows(*shape)
    X[:, 1], X[:, 3] = 2.0, X[:, 4]
    X[5:15] = X[5]
    fitted = detector().fit(X)
    assert np.isfinite(fitted.training_scores_).all()
    assert (fitted.training_scores_[5:15] > -1e-2).all()  # nine others are the same
    changed = X[:1].copy()
    changed[0, 1] += 50  # along what no row varied
    assert fitted.predict(changed)[0] == -1


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("n", [120, 7])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_missing_and_infinite_values_are_named(value, word, n, whiten):
    frame = pd.DataFrame(rows(n), columns=list("abcdefgh"))
    fitted = detector(whiten=whiten).fit(frame)
    by_numbers = detector(whiten=whiten).fit(frame.to_numpy())
    frame.iloc[2, 3] = value
    for call in (detector(whiten=whiten).fit, fitted.predict, fitted.explain):
        with pytest.raises(ValueError, match=rf"contains {word} in row 2 of column 'd'.*SimpleImputer"):
            call(frame)
    for container in (np.ascontiguousarray, sparse.csr_matrix):
        for call in (detector(whiten=whiten).fit, by_numbers.score_samples, by_numbers.explain):
            with pytest.raises(ValueError, match=rf"contains {word} in row 2 of column 3"):
                call(container(frame.to_numpy()))


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("n", [120, 7])
def test_numbers_beyond_what_can_be_squared(whiten, n, recwarn):
    beyond = "beyond float64" if whiten else "row 0 of X is so far from the mean that it is beyond float32"
    with pytest.raises(ValueError, match=beyond):
        detector(whiten=whiten).fit(rows(n) * 1e200)
    fitted = detector(whiten=whiten).fit(rows(n))
    usual_first = np.concatenate([rows(3), rows(3) * 1e200])
    with pytest.raises(ValueError, match="beyond float64" if whiten and n == 7 else "row 3 of X is so far"):
        fitted.score_samples(usual_first)
    with pytest.raises(ValueError, match="beyond float64" if whiten and n == 7 else "row 3 of X is so far"):
        fitted.explain(usual_first)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors"), ({"contamination": 0.6}, "contamination"),
        ({"contamination": "all"}, "contamination"), ({"whiten": "yes"}, "whiten"), ({"novelty": 2}, "novelty"),
    ],
)  # fmt: skip
def test_parameters_that_are_wrong_are_named(parameters, message):
    with pytest.raises(ValueError, match=f"'{message}' parameter"):
        NeighborAnomalyDetector(**parameters).fit(rows())


def test_wrong_calls_are_named():
    fitted = detector().fit(rows())
    with pytest.raises(ValueError, match="n_neighbors must be a positive int or None, got 0"):
        fitted.explain(rows(2), n_neighbors=0)
    with pytest.raises(ValueError, match="9 features"):
        fitted.predict(rows(2, 9))
    with pytest.raises(ValueError, match=r"text.*encode the column before"):
        detector().fit([["a", 1.0], ["b", 2.0]])
    assert len(fitted.explain(rows(2))) == 2


@pytest.mark.parametrize("first", [120, 7])
@pytest.mark.parametrize("second", [30, 8])
def test_a_fit_that_is_interrupted_leaves_what_was_fitted(first, second, monkeypatch):
    fitted = detector().fit(rows(first))
    before = fitted.score_samples(rows(5, seed=1)), fitted.offset_, fitted.embedding_.vectors

    def interrupted(*_):
        raise KeyboardInterrupt

    for name in ("own_neighbors", "mean_distances"):
        monkeypatch.setattr(f"skembed.anomaly._neighbor_detector.{name}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(rows(second) * 9)
    monkeypatch.undo()
    np.testing.assert_array_equal(fitted.score_samples(rows(5, seed=1)), before[0])
    assert fitted.offset_ == before[1]
    np.testing.assert_array_equal(fitted.embedding_.vectors, before[2])


@pytest.mark.parametrize("first", [120, 7])
@pytest.mark.parametrize("second", [30, 8])
def test_a_second_fit_leaves_nothing_of_the_first(first, second):
    again, once = detector(n_neighbors=3).fit(rows(first)), detector(n_neighbors=3)
    assert len(again.embedding_) == first
    again.fit(rows(second)), once.fit(rows(second))
    np.testing.assert_array_equal(again.embedding_.vectors, once.embedding_.vectors)
    assert again.__getstate__().keys() == once.__getstate__().keys()


def test_a_table_that_follows_from_the_rest_is_not_kept(tmp_path):
    X, new = rows(20, 90), rows(4, 90, seed=1)
    fitted = detector().fit(EmbeddingTable([f"image {i}" for i in range(20)], X))
    skembed.save(fitted, tmp_path / "before")
    table = fitted.embedding_
    skembed.save(fitted, tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()
    # float64 rows and what they are multiplied with, and little else
    assert (tmp_path / "after").stat().st_size < 8 * (20 * 90 + 20 * 20) + 6_000
    again = skembed.load(tmp_path / "after")
    np.testing.assert_array_equal(again.embedding_.vectors, table.vectors)
    assert again.embedding_.keys.tolist() == table.keys.tolist()
    assert again.explain(new) == fitted.explain(new)
    np.testing.assert_array_equal(again.score_samples(new), fitted.score_samples(new))
    assert not hasattr(NeighborAnomalyDetector(), "embedding_")


def test_a_new_row_that_equals_usual_ones_is_usual():
    X = np.random.default_rng(7).normal(size=(5, 100))
    detector = NeighborAnomalyDetector(novelty=True).fit(np.repeat(X, 6, axis=0))
    assert detector.predict(X).tolist() == [1] * 5
    assert detector.predict(X + 1.0).tolist() == [-1] * 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda fitted: {"n_features_in_": 9}, "from 9 columns"),
        (lambda fitted: {"embedding_": fitted.embedding_.truncate(7)}, "rows of 8 coordinates"),
        (lambda fitted: {"training_scores_": fitted.training_scores_[1:]}, "a score for each of 120 rows"),
        (lambda fitted: {"training_scores_": fitted.training_scores_.astype(np.float32)}, "a score for each"),
        (lambda fitted: {"n_neighbors_": 0}, "1 to 119 of 120 rows"),
        (lambda fitted: {"n_neighbors_": 120}, "1 to 119 of 120 rows"),
        (lambda fitted: {"embedding_": EmbeddingTable(range(120), rows(), metric="dot")}, "Euclidean distances"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(changes, message, tmp_path):
    fitted = detector().fit(rows())
    vars(fitted).update(changes(fitted))
    save_unchecked(fitted, tmp_path / "kept")
    with pytest.raises(FormatError, match=message):
        skembed.load(tmp_path / "kept")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_features_in_": 61}, "20 rows of 61 columns"),
        ({"_keys": EmbeddingTable(range(19), rows(19)).shared_keys}, "20 rows of 60 columns and their keys"),
        ({"training_scores_": np.zeros(19)}, "a score for each of 20 rows"),
        ({"n_neighbors_": 20}, "1 to 19 of 20 rows"),
        ({"mean": np.zeros(59)}, "a mean and rows of one space"),
        ({"rows": np.zeros((61, 60)), "inverse": np.eye(61)}, "a mean and rows of one space"),
        ({"inverse": np.eye(19)}, "a length for each of 20 rows"),
        ({"squared_lengths": np.zeros(19)}, "a length for each of 20 rows"),
        ({"squared_lengths": np.full(20, np.nan)}, "finite float64"),
        ({"inverse": np.eye(20, dtype=np.float32)}, "finite float64"),
        ({"floor": 0.0}, "a variance above 0"),
        ({"shrinkage": 1.5}, "a shrinkage from 0 to 1"),
    ],
)
def test_a_file_of_few_rows_whose_parts_do_not_fit_is_refused(changes, message, tmp_path):
    fitted = detector().fit(rows(20, 60))
    of_placing = {field.name for field in fields(DualWhitening)}
    for name, value in changes.items():
        if name in of_placing:
            fitted._placing = replace(fitted._placing, **{name: value})
        else:
            setattr(fitted, name, value)
    save_unchecked(fitted, tmp_path / "kept")
    with pytest.raises(FormatError, match=message):
        skembed.load(tmp_path / "kept")
