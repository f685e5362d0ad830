"""CCAEmbedder: canonical correlations beside scikit-learn and beside formulas, choices within fit, faults."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.cross_decomposition import CCA, PLSSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from unchecked import save_unchecked

import skembed
from skembed import CCAEmbedder
from skembed.formats import FormatError
from skembed.testing._pair_checks import pairs
from skembed.training import canonical
from skembed.training.canonical import _equal_rows, _folds, _linked, _reciprocal_ranks


def cosine_of_columns(A, B):
    A, B = A - A.mean(axis=0), B - B.mean(axis=0)
    return np.abs((A * B).sum(axis=0)) / np.linalg.norm(A, axis=0) / np.linalg.norm(B, axis=0)


# ------------------------------------------------------------------------------------------------------ closed form


def test_without_shrinkage_it_is_canonical_correlation_analysis():
    X, Y = pairs()
    embedder = CCAEmbedder(3, shrinkage=0).fit(X, Y)
    expected = CCA(3, max_iter=5_000, tol=1e-12).fit(X, Y)
    for ours, theirs in zip(embedder.transform(X, Y), expected.transform(X, Y)):
        np.testing.assert_allclose(cosine_of_columns(ours, theirs), 1, atol=1e-6)
    left, right = embedder.transform(X, Y)
    np.testing.assert_allclose(embedder.correlations_, cosine_of_columns(left, right), rtol=1e-9)
    assert (np.diff(embedder.correlations_) < 0).all()
    np.testing.assert_allclose(np.corrcoef(left.T), np.eye(3), atol=1e-8)


def test_with_all_shrinkage_it_is_partial_least_squares():
    X, Y = pairs()
    embedder = CCAEmbedder(4, shrinkage=1).fit(X, Y)
    expected = PLSSVD(4, scale=False).fit(X, Y)
    for ours, theirs in zip(embedder.transform(X, Y), expected.transform(X, Y)):
        np.testing.assert_allclose(cosine_of_columns(ours, theirs), 1, atol=1e-8)


@pytest.mark.parametrize("shrinkage", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("n", [200, 8])  # more pairs than columns, and fewer
def test_canonical_values_are_those_of_the_formula(n, shrinkage):
    X, Y = (side[:n] for side in pairs())
    A, B = X - X.mean(axis=0), Y - Y.mean(axis=0)

    def root(side):
        S = side.T @ side / n
        values, axes = np.linalg.eigh((1 - shrinkage) * S + shrinkage * np.trace(S) / len(S) * np.eye(len(S)))
        return (axes / np.sqrt(values)) @ axes.T

    u, _, v = np.linalg.svd(root(A) @ (A.T @ B / n) @ root(B))
    dim = min(n - 1, 9)
    embedder = CCAEmbedder(shrinkage=shrinkage).fit(X, Y)
    left, right = embedder.transform(X, Y)
    assert left.shape == (n, dim)
    np.testing.assert_allclose(cosine_of_columns(left, A @ root(A) @ u[:, :dim]), 1, atol=1e-6)
    np.testing.assert_allclose(cosine_of_columns(right, B @ root(B) @ v[:dim].T), 1, atol=1e-6)
    penalty = penalty_by_generalized_cross_validation(A, B)
    T = left - left.mean(axis=0)
    square = embedder.x_rotations_.T @ (A.T @ A / n + penalty * np.eye(12)) @ embedder.x_rotations_
    expected = T @ np.linalg.lstsq(square, T.T @ B / n, rcond=None)[0]
    np.testing.assert_allclose(embedder.predict(X), expected + Y.mean(axis=0), rtol=1e-6, atol=1e-9)


def penalty_by_generalized_cross_validation(A, B):
    n = len(A)
    variances = np.linalg.eigvalsh(A.T @ A / n)
    variances = variances[variances > 1e-10 * variances[-1]]
    penalties = np.geomspace(1e-4 * variances[0], 1e4 * variances[-1], 65)
    scores = []
    for penalty in penalties:
        hat = A @ np.linalg.solve(A.T @ A / n + penalty * np.eye(A.shape[1]), A.T / n)
        scores.append(((B - hat @ B) ** 2).sum() / (n - 1 - np.trace(hat)) ** 2)
    return penalties[np.argmin(scores)]


@pytest.mark.parametrize(("n", "columns", "shrinkage"), [(30, (100, 80), "auto"), (200, (40, 40), 0.9)])
def test_predictions_are_as_good_as_those_of_ridge_regression(n, columns, shrinkage):
    """Of covariances that were shrunk by s they were 1 / (1 - s) too long: worse than the mean of y."""
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(n + 200, 5)) * 2.0 ** -np.arange(5)
    X, Y = (meaning @ rng.normal(size=(5, width)) + 0.2 * rng.normal(size=(n + 200, width)) for width in columns)
    expected = RidgeCV(np.logspace(-3, 5, 17)).fit(X[:n], Y[:n]).score(X[n:], Y[n:])
    predicted = CCAEmbedder(shrinkage=shrinkage).fit(X[:n], Y[:n]).predict(X[n:])
    assert r2_score(Y[n:], predicted) > expected - 0.02


def test_without_shrinkage_predictions_are_least_squares():
    X, Y = pairs()
    np.testing.assert_allclose(
        CCAEmbedder(shrinkage=0).fit(X, Y).predict(X), LinearRegression().fit(X, Y).predict(X), rtol=1e-7
    )
    flat = CCAEmbedder().fit(X, Y[:, 0])
    assert flat.predict(X).shape == (240,)
    assert flat.transform(X).shape == (240, 1)


@pytest.mark.parametrize("classes", [False, True])
def test_of_one_column_it_is_ridge_regression(classes):
    """Cosines of one dimension say nothing but signs, and its shrinkage was chosen by them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 40)) * np.exp(0.5 * rng.normal(size=40))
    y = X @ rng.normal(size=40) + 8 * rng.normal(size=200)
    Y = np.eye(2)[(y > 0).astype(int)] if classes else y[:, None]
    embedder = CCAEmbedder().fit(X, Y)
    assert embedder.trials_ == []
    A, B = X - X.mean(axis=0), Y - Y.mean(axis=0)
    penalty = penalty_by_generalized_cross_validation(A, B)
    expected = A @ np.linalg.solve(A.T @ A / 200 + penalty * np.eye(40), A.T @ B / 200)
    np.testing.assert_allclose(embedder.predict(X), expected + Y.mean(axis=0), rtol=1e-6, atol=1e-9)
    assert embedder.shrinkage_ == pytest.approx(penalty / (penalty + A.var(axis=0).mean()))
    assert CCAEmbedder().fit(Y, X).shrinkage_ == pytest.approx(embedder.shrinkage_)


def test_one_dimension_is_shrunk_as_all_of_them_are():
    X, Y = pairs()
    one, whole = CCAEmbedder(1).fit(X[:60], Y[:60]), CCAEmbedder().fit(X[:60], Y[:60])
    assert one.trials_ == whole.trials_
    np.testing.assert_allclose(one.transform(X), whole.transform(X)[:, :1], rtol=1e-9)


def test_both_sides_are_alike():
    X, Y = pairs()
    one, other = CCAEmbedder(4).fit(X, Y), CCAEmbedder(4).fit(Y, X)
    assert one.shrinkage_ == other.shrinkage_
    for ours, theirs in zip(one.transform(X, Y), reversed(other.transform(Y, X))):
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-6, atol=1e-8)


def test_the_first_dimensions_are_an_embedding():
    X, Y = pairs()
    whole, few = CCAEmbedder(shrinkage=0.2).fit(X, Y), CCAEmbedder(3, shrinkage=0.2).fit(X, Y)
    np.testing.assert_allclose(whole.transform(X)[:, :3], few.transform(X), rtol=1e-10)
    assert few.get_feature_names_out().tolist() == ["ccaembedder0", "ccaembedder1", "ccaembedder2"]
    assert CCAEmbedder(99).fit(X, Y).transform(X).shape == (240, 9)


@pytest.mark.parametrize("n", [240, 8])
def test_float32_sparse_and_blocks_change_little(n, monkeypatch):
    X, Y = (np.where(side[:n] > 0, side[:n], 0) for side in pairs())
    expected = CCAEmbedder(3, shrinkage=0.1).fit(X, Y).transform(X, Y)
    single = CCAEmbedder(3, shrinkage=0.1).fit(X.astype(np.float32), Y.astype(np.float32))
    found = single.transform(X.astype(np.float32), Y.astype(np.float32))
    assert found[0].dtype == found[1].dtype == np.float32
    monkeypatch.setattr("skembed.training.whitening.VALUES_AT_ONCE", 50)
    mixed = CCAEmbedder(3, shrinkage=0.1).fit(sparse.csr_matrix(X), Y).transform(sparse.csc_matrix(X), Y)
    for one, two, three in zip(expected, found, mixed):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(three, one, rtol=1e-8, atol=1e-10)


# ------------------------------------------------------------------------------------------------ the choice in fit


def test_noise_is_shrunk_more():
    X, Y = pairs()
    clear = CCAEmbedder().fit(X, Y)
    rng = np.random.default_rng(0)
    noisy = CCAEmbedder().fit(
        np.hstack([X[:60], 0.5 * rng.normal(size=(60, 80))]), np.hstack([Y[:60], 0.5 * rng.normal(size=(60, 80))])
    )
    assert noisy.shrinkage_ > clear.shrinkage_
    assert len(clear.trials_) == len(canonical.SHRINKAGES) * len(canonical.POWERS)
    best = max(score for *_, score in clear.trials_)
    assert max(score for shrinkage, _, score in clear.trials_ if shrinkage == clear.shrinkage_) > best - 0.05
    assert CCAEmbedder(shrinkage=0.3).fit(X, Y).trials_ == []
    assert CCAEmbedder().fit(X[:10], Y[:10]).trials_ == []


def test_few_pairs_are_shrunk_no_more_than_is_as_good_within_a_hundredth():
    """A standard error is wide with so few: what is no worse by more lost an eighth of the later partners here."""
    rng = np.random.default_rng(5)
    meaning, n = rng.normal(size=(160, 20)) * np.arange(1, 21) ** -0.5, 60
    X, Y = (meaning @ rng.normal(size=(20, width)) + 2 * rng.normal(size=(160, width)) for width in (100, 80))
    embedder = CCAEmbedder().fit(X[:n], Y[:n])
    best = max(score for *_, score in embedder.trials_)
    chosen = max(score for shrinkage, _, score in embedder.trials_ if shrinkage == embedder.shrinkage_)
    assert chosen >= (1 - canonical.TOLERANCE) * best
    assert embedder.shrinkage_ < 1
    others = ~np.eye(100, dtype=bool)
    by_shrinkage = [
        _reciprocal_ranks(*CCAEmbedder(shrinkage=s).fit(X[:n], Y[:n]).transform(X[n:], Y[n:]), others).mean()
        for s in canonical.SHRINKAGES
    ]
    found = _reciprocal_ranks(*embedder.transform(X[n:], Y[n:]), others).mean()
    assert max(by_shrinkage) - found < 0.03 < max(by_shrinkage) - by_shrinkage[-1]


def test_rows_that_share_a_side_are_held_out_together():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4))[np.arange(60) // 3], rng.normal(size=(60, 3))
    Y[0] = Y[59]  # links two groups by their y
    for A, B in ((X, Y), (sparse.csr_matrix(X), sparse.csr_matrix(Y))):
        held = list(_folds(_linked(_equal_rows(A), _equal_rows(B))))
        assert np.bincount(np.concatenate([part for _, part in held])).tolist() == [canonical.REPEATS] * 60
        assert len({tuple(part) for _, part in held}) > 2 * canonical.N_FOLDS  # in other ways each time
        for train, part in held:
            assert not set(train) & set(part)
            assert not {i // 3 for i in train} & {i // 3 for i in part}
            assert (0 in part) == (59 in part)


def test_captions_that_all_are_the_same_or_nearly_leave_something_to_choose_from():
    X, Y = pairs()
    Y = np.tile(Y[:2], (120, 1))
    assert np.isfinite(CCAEmbedder().fit(X, Y).transform(X)).all()


def test_columns_of_unlike_scales_are_no_noise():
    """A hundredth of the mean variance was the least shrinkage: all that a column of small numbers has."""
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(300, 4))
    X, Y = (meaning @ rng.normal(size=(4, width)) + 0.2 * rng.normal(size=(300, width)) for width in (12, 9))
    X[:, 0] *= 1e4
    Y[:, 0] *= 1e3
    left, right = CCAEmbedder().fit(X[:200], Y[:200]).transform(X[200:], Y[200:])
    assert _reciprocal_ranks(left, right, ~np.eye(100, dtype=bool)).mean() > 0.8


def test_strong_directions_that_the_other_side_lacks_are_left_out():
    """Their canonical correlation is chance, and its product with their spread outweighed what both sides share."""
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(500, 6))
    X, Y = (
        meaning @ rng.normal(size=(6, width))
        + 20 * rng.normal(size=(500, 3)) @ rng.normal(size=(3, width))
        + 0.5 * rng.normal(size=(500, width))
        for width in (40, 30)
    )
    left, right = CCAEmbedder().fit(X[:400], Y[:400]).transform(X[400:], Y[400:])
    assert _reciprocal_ranks(left, right, ~np.eye(100, dtype=bool)).mean() > 0.9


@pytest.mark.parametrize("n_classes", [5, 40])
def test_classes_are_found_among_columns_of_noise(n_classes):
    """Rows of a class were held out together, of which the others say nothing: partial least squares were chosen."""
    rng = np.random.default_rng(0)
    classes, centers = rng.integers(n_classes, size=800), 3 * rng.normal(size=(n_classes, 6))
    X = np.hstack([centers[classes] + rng.normal(size=(800, 6)), 20 * rng.normal(size=(800, 10))])
    Y = np.eye(n_classes)[classes]
    embedder = CCAEmbedder().fit(X[:600], Y[:600])
    left, right = embedder.transform(X[600:], np.eye(n_classes))
    cosines = left @ (right / np.linalg.norm(right, axis=1, keepdims=True)).T
    expected = LinearDiscriminantAnalysis().fit(X[:600], classes[:600]).score(X[600:], classes[600:])
    assert (cosines.argmax(axis=1) == classes[600:]).mean() > expected - 0.1


# ------------------------------------------------------------------------------------------------------- as others


def test_frames_and_pipelines_and_grids():
    X, Y = pairs()
    frame, other = pd.DataFrame(X).rename(columns="x{}".format), pd.DataFrame(Y).rename(columns="y{}".format)
    embedder = CCAEmbedder(2).set_output(transform="pandas").fit(frame, other)
    assert embedder.transform(frame).columns.tolist() == ["ccaembedder0", "ccaembedder1"]
    assert embedder.feature_names_in_.tolist() == frame.columns.tolist()
    other.iloc[5, 2] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN in row 5 of column 'y2'"):
        CCAEmbedder().fit(frame, other)
    frame.iloc[7, 1] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity in row 7 of column 'x1'"):
        embedder.transform(frame)
    names = other.columns.tolist()
    other.iloc[5, 2] = 0.0
    with pytest.raises(
        ValueError, match=f"^column 0 of y is {names[-1]!r}, and {names[0]!r} in `fit`; expected the same"
    ):
        embedder.transform(None, other[names[::-1]])
    assert embedder.transform(None, other.to_numpy()).shape == (240, 2)
    copied = pickle.loads(pickle.dumps(embedder))
    with pytest.raises(ValueError, match="expected the same columns in the same order"):
        copied.transform(None, other[names[::-1]])
    del copied._y_names  # as of a file of before
    assert copied.transform(None, other[names[::-1]]).shape == (240, 2)
    pipeline = make_pipeline(StandardScaler(), CCAEmbedder(3)).fit(X, Y)
    assert pipeline.transform(X).shape == (240, 3)
    np.testing.assert_allclose(pipeline.predict(X[:2]).shape, (2, 9))
    search = GridSearchCV(
        CCAEmbedder(), {"embedding_dim": [1, 6]}, cv=3,
        scoring=lambda estimator, X, y: -((estimator.predict(X) - y) ** 2).mean(),
    )  # fmt: skip
    assert search.fit(X, Y).best_params_ == {"embedding_dim": 6}


def test_one_side_alone():
    X, Y = pairs()
    embedder = CCAEmbedder(2).fit(X, Y)
    left, right = embedder.fit_transform(X, Y)
    np.testing.assert_array_equal(embedder.transform(None, Y), right)
    np.testing.assert_array_equal(embedder.transform(X), left)
    with pytest.raises(ValueError, match="needs X, or y, or both"):
        embedder.transform(None)


# ---------------------------------------------------------------------------------------------------------- faults


def test_what_cannot_be_learned_is_named():
    X, Y = pairs()
    for arguments, message in (
        ((np.ones((9, 3)), Y[:9]), "X is constant: all of its 9 rows are equal"),
        ((X, np.full((240, 2), 0.1)), "y is constant"), ((X[:5], Y[:6]), "inconsistent numbers of samples"),
        ((X[:1], Y[:1]), "minimum of 2 is required"), ((X, None), r"requires y to be passed.*fit\(X, Y\)"),
        ((X * 1e200, Y), "X holds numbers whose squares are beyond float64"), ((X, Y * 1e200), "y holds numbers"),
        (([["a"], ["b"]], [[1.0], [2.0]]), "encode the column before"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            CCAEmbedder().fit(*arguments)
    embedder = CCAEmbedder().fit(X, Y)
    with pytest.raises(ValueError, match="y has 3 columns, but CCAEmbedder was fitted with 9"):
        embedder.transform(X, Y[:, :3])
    with pytest.raises(ValueError, match="12 features"):
        embedder.transform(X[:, :3])


@pytest.mark.parametrize(
    ("parameters", "name"), [({"embedding_dim": 0}, "embedding_dim"), ({"shrinkage": 1.5}, "shrinkage")]
)
def test_parameters_that_are_wrong_are_named(parameters, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        CCAEmbedder(**parameters).fit(*pairs())


def test_repeated_and_constant_columns_and_two_pairs():
    X, Y = pairs()
    X[:, 1], X[:, 2], Y[:, 0] = X[:, 3], 4.0, 4.0
    left, right = CCAEmbedder(shrinkage=0).fit_transform(X, Y)
    assert left.shape[1] == 8
    assert np.isfinite(np.hstack([left, right])).all()
    two = CCAEmbedder().fit_transform(X[:2], Y[:2])
    assert two[0].shape == (2, 1)
    assert np.sign(two[0]).tolist() == np.sign(two[1]).tolist()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("correlations_", lambda array: array[:, None]),
        ("x_mean_", lambda array: array[:-1]),
        ("x_rotations_", lambda array: array[:, :-1]),
        ("y_rotations_", lambda array: array.astype(np.float32)),
        ("y_loadings_", lambda array: array * np.inf),
    ],
)
def test_a_file_of_arrays_that_do_not_fit_is_refused(name, change, tmp_path):
    embedder = CCAEmbedder(3, shrinkage=0.1).fit(*pairs())
    with np.errstate(invalid="ignore"):
        vars(embedder)[name] = change(vars(embedder)[name])
    save_unchecked(embedder, tmp_path / "kept")
    with pytest.raises(FormatError, match=r"expected \w+_ to be finite float64 of shape"):
        skembed.load(tmp_path / "kept")


def test_what_is_masked_is_missing():
    X, Y = pairs()
    masked = np.ma.array(Y, mask=np.arange(Y.size).reshape(Y.shape) == 13)
    with pytest.raises(ValueError, match="Input y contains NaN in row 1 of column 4"):
        CCAEmbedder().fit(X, masked)
    with pytest.raises(ValueError, match=r"y holds text \('a' in row 0 of column 0\), expected numbers"):
        CCAEmbedder().fit(X[:2], np.array([["a"], ["b"]]))


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_text_in_a_y_of_one_value_a_row_is_named(kind):
    X, _ = pairs()
    with pytest.raises(ValueError, match=r"^y holds text \('b' in row 1 of column 0\), expected numbers"):
        CCAEmbedder().fit(X[:3], kind(["1", "b", "2"]))


def test_entries_of_y_that_repeat_are_added_up_beyond_their_type():
    counts = sparse.coo_matrix((np.full(200, 100, np.int8), (np.tile(np.arange(50), 4), np.zeros(200, int))))
    counts.data[:50] = np.arange(50)
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert CCAEmbedder().fit(X, counts).y_mean_.tolist() == [300 + 24.5]


def test_predictions_have_the_digits_of_a_y_that_is_far_from_zero():
    X, Y = pairs()
    fitted = CCAEmbedder(3, shrinkage=0.1).fit(X.astype(np.float32), Y + 1.7e9)  # as of seconds since 1970
    expected = CCAEmbedder(3, shrinkage=0.1).fit(X, Y).predict(X) + 1.7e9
    np.testing.assert_allclose(fitted.predict(X.astype(np.float32)), expected, rtol=0, atol=1e-3)


def test_a_file_with_other_than_a_name_for_each_column_of_y_is_refused(tmp_path):
    embedder = CCAEmbedder(3, shrinkage=0.1).fit(*pairs())
    embedder._y_names = ["a"]
    save_unchecked(embedder, tmp_path / "kept")
    with pytest.raises(FormatError, match="expected a name for each of 9 columns of y, or none"):
        skembed.load(tmp_path / "kept")


@pytest.mark.parametrize("changes", [{"shrinkage_": 1.5}, {"shrinkage_": -0.1}, {"_y_is_flat": True}])
def test_a_file_of_numbers_that_do_not_fit_is_refused(changes, tmp_path):
    embedder = CCAEmbedder(3, shrinkage=0.1).fit(*pairs())
    vars(embedder).update(changes)
    save_unchecked(embedder, tmp_path / "kept")
    with pytest.raises(FormatError, match="a dimension at least, and a shrinkage from 0 to 1"):
        skembed.load(tmp_path / "kept")
