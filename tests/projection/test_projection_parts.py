"""Parts of ProjectionEmbedder at their edges: linear maps, what solvers are asked, batches, scales, and state."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.random_projection import johnson_lindenstrauss_min_dim
from sklearn.utils import get_tags

from skembed import ProjectionEmbedder
from skembed.projection import _incremental, _projection, _solvers, _spectral
from skembed.projection._incremental import Increments, incremental_map, partial_pca
from skembed.projection._linear import LinearMap, reciprocal, whitened, with_fixed_signs
from skembed.projection._parameters import METHODS
from skembed.projection._solvers import check_dim, solve
from skembed.projection._spectral import principal_map
from skembed.projection._task import Task, check_params


def map_of(n=5, dim=3, seed=0, **parts):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(n, dim)))[0]
    fields = {"projection": axes, "mean": rng.normal(size=n), "inverse": axes.T, "is_unit": True, "n_iter": 7,
              "variance": np.array([4.0, 2, 1])[:dim], "share": np.array([0.5, 0.25, 0.125])[:dim],
              "output": rng.normal(size=(9, dim))}  # fmt: skip
    return LinearMap(**fields | parts)


def task_of(method="pca", embedding_dim=2, **changes):
    fields = {"whiten": False, "params": {}, "max_iter": 5, "random_state": np.random.RandomState(0)}
    return Task(method, embedding_dim, **fields | changes)


# ---------------------------------------------------------------------------------------------------- linear maps


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_map_takes_off_the_mean_and_leaves_what_it_is_given(form, dtype):
    found, X = map_of(), np.random.default_rng(1).normal(size=(6, 5)).astype(dtype)
    given = form(X)
    Z = found.apply(given)
    assert Z.dtype == dtype
    np.testing.assert_allclose(Z, (X - found.mean) @ found.projection, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(given.toarray() if sparse.issparse(given) else given, X)
    back = found.invert(Z)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, Z @ found.inverse + found.mean, rtol=1e-4, atol=1e-5)
    without = replace(found, inverse=None, projection=found.projection * 2)
    np.testing.assert_allclose(without.invert(Z), Z @ found.projection.T / 2 + found.mean, rtol=1e-4, atol=1e-5)
    scattered = replace(found, projection=sparse.csr_matrix(found.projection))
    np.testing.assert_allclose(scattered.apply(given), Z, rtol=1e-4, atol=1e-5)
    assert isinstance(scattered.apply(given), np.ndarray)
    np.testing.assert_allclose(replace(scattered, inverse=None).invert(Z), back, rtol=1e-3, atol=1e-4)


def test_a_cut_has_the_first_dimensions_of_all_parts():
    found = map_of()
    cut = found.cut(2)
    np.testing.assert_array_equal(cut.projection, found.projection[:, :2])
    np.testing.assert_array_equal(cut.inverse, found.inverse[:2])
    np.testing.assert_array_equal(cut.variance, [4, 2])
    np.testing.assert_array_equal(cut.share, [0.5, 0.25])
    np.testing.assert_array_equal(cut.mean, found.mean)
    assert (cut.output, cut.is_unit, cut.n_iter) == (None, True, 7)
    for dim in (3, 4):
        assert found.cut(dim) is found
    bare = map_of(inverse=None, variance=None, share=None).cut(1)
    assert (bare.inverse, bare.variance, bare.share) == (None, None, None)
    assert bare.projection.shape == (5, 1)


def test_components_that_are_uncorrelated_are_whitened_by_their_spreads():
    found = map_of(variance=np.array([4.0, 1.0, 0.0]))
    white = found.whitened_components()
    np.testing.assert_allclose(white.projection, found.projection * [0.5, 1, 0])
    np.testing.assert_allclose(white.inverse, found.inverse * np.array([[2.0], [1.0], [0.0]]))
    assert (white.is_unit, white.output) == (False, None)
    np.testing.assert_array_equal(white.variance, found.variance)


def test_reciprocals_of_rounding_are_zero():
    np.testing.assert_allclose(reciprocal(np.array([4.0, 5e-5, 3e-5, 0.0])), [0.25, 2e4, 0, 0])
    np.testing.assert_array_equal(reciprocal(np.zeros(2)), [0, 0])
    assert reciprocal(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("projection", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("with_inverse", [False, True])
def test_any_map_is_whitened_by_the_nearest_axes(projection, with_inverse):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5)) + 3
    found = map_of(projection=projection(rng.normal(size=(5, 3))), mean=np.zeros(5))
    dense = found.projection.toarray() if sparse.issparse(found.projection) else found.projection
    found = replace(found, inverse=np.linalg.pinv(dense) if with_inverse else None)
    white = whitened(found, X, is_principal=False)
    covariance = np.cov((X @ dense).T)
    values, axes = np.linalg.eigh(covariance)
    root = (axes / np.sqrt(values)) @ axes.T
    np.testing.assert_allclose(white.projection, dense @ root, rtol=1e-8)
    np.testing.assert_allclose(white.mean, X.mean(axis=0))
    np.testing.assert_allclose(np.cov(white.apply(X).T), np.eye(3), atol=1e-8)
    if with_inverse:
        np.testing.assert_allclose(white.projection @ white.inverse, dense @ np.linalg.pinv(dense), atol=1e-8)
    else:
        assert white.inverse is None
    assert (white.is_unit, white.output) == (False, None)
    principal = map_of()
    np.testing.assert_array_equal(
        whitened(principal, None, is_principal=True).projection, principal.whitened_components().projection
    )


def test_one_row_has_no_spread_to_be_whitened_by():
    white = whitened(map_of(mean=np.zeros(5)), np.ones((1, 5)), is_principal=False)
    np.testing.assert_array_equal(white.projection, np.zeros((5, 3)))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_maps_that_are_not_finite_or_have_lost_their_variance_are_not_sound(form):
    good = map_of()
    good = replace(good, projection=form(good.projection))
    bad = good.projection.copy()
    bad[0, 0] = np.inf
    assert good.is_sound()
    assert replace(good, variance=None).is_sound()
    assert not replace(good, projection=bad).is_sound()
    assert not replace(good, mean=np.array([0, 0, np.nan, 0, 0])).is_sound()
    assert not replace(good, variance=np.array([1.0, np.nan, 1.0])).is_sound()
    for dtype in (np.float32, np.float64):
        limits = np.finfo(dtype)
        least = limits.tiny / limits.eps
        assert replace(good, variance=np.array([2 * least, 0], dtype)).is_sound()
        assert not replace(good, variance=np.array([least, 0], dtype)).is_sound()
        assert not replace(good, variance=np.empty(0, dtype)).is_sound()


@pytest.mark.parametrize("is_unit", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_map_learned_in_another_unit_is_that_of_the_rows(is_unit, form):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 5))
    found = map_of(is_unit=is_unit)
    found = replace(found, projection=form(found.projection))
    kept = found.projection.copy()
    scaled = found.rescaled(3)
    np.testing.assert_allclose(scaled.mean, 8 * found.mean)
    np.testing.assert_allclose(scaled.variance, 64 * found.variance)
    np.testing.assert_array_equal(scaled.share, found.share)
    assert scaled.output is None
    factor = 8 if is_unit else 1
    np.testing.assert_allclose(scaled.apply(8 * X), factor * found.apply(X))
    np.testing.assert_allclose(scaled.invert(scaled.apply(8 * X)), 8 * found.invert(found.apply(X)))
    assert abs(found.projection - kept).sum() == 0
    assert replace(found, variance=None, inverse=None).rescaled(2).variance is None


def test_copies_are_contiguous_and_of_one_dtype():
    found = map_of()
    part = replace(found, projection=found.projection[:, ::-1], mean=found.mean[::-1])
    copied = part.contiguous()
    np.testing.assert_array_equal(copied.projection, part.projection)
    for name in ("projection", "mean", "inverse", "variance", "share"):
        assert not np.shares_memory(getattr(copied, name), getattr(part, name))
    assert copied.mean.flags.c_contiguous
    assert replace(found, inverse=None).contiguous().inverse is None
    single = found.cast(np.float32)
    for name in ("projection", "mean", "inverse", "variance", "share", "output"):
        assert getattr(single, name).dtype == np.float32
        assert getattr(found.cast(np.float64), name) is getattr(found, name)
    assert replace(found, inverse=None).cast(np.float32).inverse is None


def test_signs_are_those_of_the_largest_entries():
    found = with_fixed_signs(np.array([[1.0, -3.0, 0.5], [-2.0, 2.0, 0.5]], np.float32))
    np.testing.assert_array_equal(found, [[-1, 3, 0.5], [2, -2, 0.5]])
    assert found.dtype == np.float32
    for shape in ((0, 3), (3, 0)):
        assert with_fixed_signs(np.empty(shape)).shape == shape


# -------------------------------------------------------------------------------------------------------- solvers


@pytest.mark.parametrize(
    ("embedding_dim", "share"), [(3, None), (np.int64(3), None), ("auto", 0.95), (0.5, 0.5), (np.float32(0.25), 0.25)]
)
def test_what_is_no_number_of_dimensions_is_a_share(embedding_dim, share):
    assert task_of(embedding_dim=embedding_dim).share == share


@pytest.mark.parametrize(
    ("method", "dim", "shape", "message"),
    [
        ("pca", 5, (4, 9), "embedding_dim is 5, but method='pca' gives at most min(n_samples, n_features) = 4"),
        ("svd", 5, (9, 4), "gives at most min(n_samples, n_features) = 4 dimensions for X of shape (9, 4)"),
        ("nca", 5, (9, 4), "method='nca' gives at most n_features = 4"),
        ("lda", 3, (9, 4), "at most min(n_classes - 1, n_features) for 3 classes = 2 dimensions"),
        ("lda", 2, (9, 1), "at most min(n_classes - 1, n_features) for 3 classes = 1 dimensions"),
        ("lda", 0.5, (9, 4), "embedding_dim=0.5 asks for a share of the variance, which method='lda' does not go by"),
        ("random", 0.5, (9, 4), "which method='random' does not go by; give a number of dimensions or 'auto'."),
    ],
)  # fmt: skip
def test_dimensions_that_a_method_cannot_give_are_named_and_the_last_it_can_is_taken(method, dim, shape, message):
    X, y = np.zeros(shape), np.arange(9) % 3
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        check_dim(X, y, task_of(method, dim))
    if dim == 0.5:
        check_dim(X, y, task_of(method, "auto"))
        return
    assert ("or use method='nca' for more" if method == "lda" else "or use method='random' or") in str(caught.value)
    check_dim(X, y, task_of(method, dim - 1))
    check_dim(X, y, task_of("random", 99))


@pytest.mark.parametrize(
    ("method", "dim", "shape", "params", "expected"),
    [
        ("pca", 3, (40, 9), {}, 8 * 3 * 49),
        ("pca", "auto", (40, 9), {}, 8 * 9 * 49),
        ("pca", 0.5, (3000, 2000), {}, 8 * 512 * 5000),
        ("lda", "auto", (9, 4), {}, 8 * 2 * 13),
        ("nca", 2, (30, 4), {}, 8 * 2 * 34 + 17 * 900),
        ("random", 7, (30, 4), {}, 8 * 7 * 34 + 8 * 7 * 4),
        ("random", 7, (30, 4), {"density": 0.5}, 8 * 7 * 34),
    ],
)
def test_memory_is_asked_for_by_rows_columns_and_dimensions(method, dim, shape, params, expected, monkeypatch):
    asked = []
    monkeypatch.setattr(_solvers, "check_memory", lambda *told: asked.append(told))
    X = np.broadcast_to(np.zeros(()), shape)
    check_dim(X, np.arange(9) % 3, task_of(method, dim, params=params))
    ((needed, what, advice),) = asked
    assert needed == expected
    assert f"method={method!r} with " in what
    assert f"X of shape {shape}" in what
    assert advice == ("fit on fewer rows, or use method='lda'" if method == "nca" else "lower embedding_dim")
    check_dim(X.astype(np.float32), np.arange(9) % 3, task_of("pca", 2))
    assert asked[1][0] == 4 * 2 * sum(shape)


@pytest.mark.parametrize("method", ["pca", "lda", "random", "nca", "svd", "autoencoder"])
def test_parameters_of_other_classes_are_named_with_those_there_are(method):
    assert check_params(method, None) == {}
    own = {"pca": "svd_solver", "lda": "shrinkage", "random": "density", "nca": "init", "svd": "algorithm"}.get(method)
    for name in ("nothing", "n_components", "random_state", "whiten", "max_iter", "warm_start", "copy"):
        message = rf"method_params names '{name}', which method='{method}' does not take; it takes "
        with pytest.raises(ValueError, match=message + ("none" if own is None else f".*{own}")) as caught:
            check_params(method, {name: 1})
        assert f"'{name}'" not in str(caught.value).partition("it takes")[2]
    if own is not None:
        assert check_params(method, {own: 1}) == {own: 1}


def test_classes_have_to_be_some_and_more_than_one():
    X = np.random.default_rng(0).normal(size=(9, 3))
    for method in ("lda", "nca"):
        with pytest.raises(ValueError, match=f"method='{method}' needs classes in y; bin a continuous target"):
            solve(X, np.linspace(0, 1, 9), task_of(method, 1))
        with pytest.raises(ValueError, match=f"^y has one class only, 'a'; method='{method}' needs at least 2"):
            solve(X, np.array(["a"] * 9, dtype=object), task_of(method, 1))


def test_lda_that_has_no_way_to_a_projection_says_so():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="solver='lsqr', which finds no projection; use 'svd' or 'eigen'"):
        solve(X, y, task_of("lda", 1, params={"solver": "lsqr"}))
    eigen = solve(X, y, task_of("lda", "auto", params={"solver": "eigen"}))
    assert eigen.projection.shape == (4, 2)
    np.testing.assert_array_equal(eigen.mean, np.zeros(4))
    by_svd = solve(X, y, task_of("lda", "auto"))
    np.testing.assert_allclose(by_svd.mean, X.mean(axis=0), rtol=1e-6)
    assert by_svd.share.sum() == pytest.approx(1)
    constant = np.repeat(np.arange(3.0), 5)[:, None] * np.ones((15, 2))
    with pytest.raises(ValueError, match=r"X does not vary within the classes of y.*use method='pca'"):
        solve(constant, np.repeat(np.arange(3), 5), task_of("lda", 1))


@pytest.mark.parametrize(
    ("n", "p", "tall"), [(100, 10, True), (99, 10, False), (20_000, 1000, True), (20_000, 1001, False)]
)
def test_tall_is_ten_times_as_many_rows_and_no_more_than_a_thousand_columns(n, p, tall):
    assert _spectral._is_tall(np.broadcast_to(np.zeros(()), (n, p))) == tall


def test_what_the_solver_of_principal_components_finds_at_most():
    for shape, form, solver, expected in [
        ((60, 50), np.asarray, "full", (50, True)),
        ((60, 50), np.asarray, "covariance_eigh", (50, True)),
        ((60, 50), np.asarray, "auto", (50, True)),
        ((500, 60), np.asarray, "auto", (60, True)),
        ((501, 60), np.asarray, "auto", (60, False)),
        ((60, 50), sparse.csr_matrix, "auto", (49, False)),
        ((600, 50), sparse.csr_matrix, "auto", (50, True)),
        ((60, 50), np.asarray, "arpack", (49, False)),
        ((600, 50), np.asarray, "arpack", (49, False)),
        ((60, 50), np.asarray, "randomized", (50, False)),
    ]:
        assert _spectral._limit_of_pca(form(np.zeros(shape)), solver) == expected


@pytest.mark.parametrize(
    ("dim", "limit", "computes_all", "expected"),
    [(3, 50, True, 50), (3, 50, False, 50), (3, 500, False, 64), (64, 500, False, 64), (65, 500, False, 128),
     (300, 400, False, 400), (60, 50, True, 60), (1, 500, False, 64)],
)  # fmt: skip
def test_as_many_dimensions_are_kept_as_usual_cuts_need(dim, limit, computes_all, expected):
    assert _spectral._cached_size(dim, limit, computes_all) == expected


def test_components_are_doubled_until_they_keep_the_share():
    asked = []

    def learned(k):
        asked.append(k)
        n = max(k, 1)
        return map_of(300, 3, projection=np.zeros((300, n)), inverse=np.zeros((n, 300)), variance=np.ones(n),
                      share=np.full(n, 1 / 200))  # fmt: skip

    assert _spectral._grow(learned, 0.6, 300).projection.shape[1] == 120
    assert asked == [64, 128]
    asked.clear()
    assert _spectral._grow(learned, 0.9, 150).projection.shape[1] == 150
    assert asked == [64, 128, 150]
    asked.clear()
    assert _spectral._grow(learned, 64 / 200, 300).projection.shape[1] in (64, 65)
    assert asked[0] == 64
    asked.clear()
    assert _spectral._grow(learned, 0.9, 30).projection.shape[1] == 30
    assert asked == [30]


@pytest.mark.parametrize("share", [0.3, 0.8, 0.95, "auto"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_share_of_the_variance_takes_as_many_components_as_keep_it(share, form):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 12)) * 0.8 ** np.arange(12)
    found = principal_map(form(X), task_of(embedding_dim=share))
    kept = np.cumsum(PCA().fit(X).explained_variance_ratio_)
    dim = int((kept <= (0.95 if share == "auto" else share)).sum()) + 1
    assert found.projection.shape == (12, dim)
    np.testing.assert_allclose(np.cumsum(found.share), kept[:dim], rtol=1e-6)
    assert found.is_unit
    np.testing.assert_allclose(found.inverse, found.projection.T)
    np.testing.assert_allclose(found.mean, X.mean(axis=0), atol=1e-9)


def test_auto_takes_at_most_as_many_as_are_not_too_many(monkeypatch):
    monkeypatch.setattr(_spectral, "EXACT_SIZE", 10)
    monkeypatch.setattr(_spectral, "AUTO_LIMIT", 5)
    monkeypatch.setattr(_spectral, "FIRST_GUESS", 2)
    X = np.random.default_rng(0).normal(size=(40, 30))
    for method in ("pca", "svd"):
        params = {"pca": {"svd_solver": "arpack"}, "svd": {"algorithm": "arpack"}}[method]
        for p in ({}, params):
            auto = solve(X, None, task_of(method, "auto", params=p))
            assert auto.projection.shape[1] == 5
            more = solve(X, None, task_of(method, 0.99, params=p))
            assert more.projection.shape[1] > 5
    small = solve(X[:, :9], None, task_of("svd", "auto"))
    assert small.projection.shape[1] > 5


def test_singular_vectors_are_those_of_the_solver_with_what_they_give_the_rows():
    X = np.random.default_rng(0).normal(size=(20, 6)) + 1
    found = solve(X, None, task_of("svd", 3))
    expected = TruncatedSVD(3, random_state=np.random.RandomState(0)).fit(X)
    np.testing.assert_allclose(found.projection, expected.components_.T)
    np.testing.assert_allclose(found.variance, expected.explained_variance_)
    np.testing.assert_allclose(found.share, expected.explained_variance_ratio_)
    np.testing.assert_allclose(found.output, X @ found.projection, atol=1e-10)
    assert found.is_unit
    assert not found.mean.any()
    one = solve(sparse.csr_matrix(X[:, :1]), None, task_of("svd", 1))
    assert one.projection.tolist() == one.inverse.tolist() == [[1.0]]
    np.testing.assert_allclose(one.variance, X[:, :1].var(axis=0))
    assert one.share.tolist() == [1.0]
    constant = solve(np.ones((5, 1)), None, task_of("svd", 1, whiten=True))
    assert not constant.apply(np.ones((5, 1))).any()


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.float32, 1e-12, 1e12), (np.float64, 1e-100, 1e100)])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_unit_of_its_own_is_for_numbers_whose_squares_are_harm(dtype, low, high, form):
    for largest, has_one in ((1.0, False), (2 * low, False), (low / 2, True), (high / 2, False), (2 * high, True)):
        X = form(np.array([[largest, 0], [-largest / 4, largest / 2]], dtype))
        exponent = _solvers._exponent(X)
        assert (exponent is not None) == has_one
        if has_one:
            divided = _solvers._divided(X, exponent)
            assert 0.5 <= abs(divided).max() <= 1
            assert divided.dtype == dtype
            np.testing.assert_array_equal((divided * 2.0**exponent).astype(dtype).max(), X.max())
    assert _solvers._exponent(form(np.zeros((2, 2), dtype))) is None
    negative = form(np.array([[-2 * high, 1]], dtype))
    assert _solvers._largest(negative) == pytest.approx(2 * high, rel=1e-6)
    assert _solvers._exponent(negative) is not None
    assert _solvers._largest(sparse.csr_matrix((2, 2))) == 0.0


def test_errors_of_solvers_come_through_where_the_scale_is_no_harm(monkeypatch):
    asked = []

    def fail(X, y, task):
        asked.append(float(np.abs(X).max()))
        raise np.linalg.LinAlgError("no convergence")

    monkeypatch.setitem(_solvers.SOLVERS, "pca", fail)
    with pytest.raises(np.linalg.LinAlgError, match="no convergence"):
        solve(np.ones((4, 3)), None, task_of())
    assert asked == [1.0]
    with pytest.raises(np.linalg.LinAlgError):
        solve(np.full((4, 3), 1e200), None, task_of())
    assert asked[1] == 1e200
    assert 0.5 <= asked[2] <= 1
    monkeypatch.setitem(_solvers.SOLVERS, "pca", lambda X, y, task: map_of(3, 2, mean=np.full(3, np.nan)))
    with pytest.raises(ValueError, match="method='pca' found no finite projection of X, whose numbers reach 1; scale"):
        solve(np.ones((4, 3)), None, task_of())


# -------------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("share", [0.5, 0.9, "auto", 0.999])
def test_the_first_batch_settles_how_many_components_keep_the_share(share):
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(30, 8)) * 0.7 ** np.arange(8) + 2 for _ in range(3)]
    whole = IncrementalPCA().fit(batches[0])
    dim = int((np.cumsum(whole.explained_variance_ratio_) < (0.95 if share == "auto" else share)).sum()) + 1
    assert 1 < dim <= 8
    solver = partial_pca(batches[0], None, share)
    assert solver.n_components == dim
    np.testing.assert_allclose(solver.components_, whole.components_[:dim])
    np.testing.assert_allclose(solver.singular_values_, whole.singular_values_[:dim])
    expected = IncrementalPCA(dim)
    vars(expected).update({n: v for n, v in vars(solver).items() if n not in expected.get_params()})
    for batch in batches[1:]:
        known = Increments.of(solver)
        solver = partial_pca(batch, known, share)
        expected.partial_fit(batch)
        np.testing.assert_allclose(solver.components_, expected.components_, atol=1e-10)
        np.testing.assert_allclose(solver.explained_variance_, expected.explained_variance_)
    assert solver.n_samples_seen_ == 90
    found = incremental_map(solver)
    np.testing.assert_array_equal(found.projection, solver.components_.T)
    np.testing.assert_array_equal(found.inverse, solver.components_)
    np.testing.assert_array_equal(found.mean, solver.mean_)
    np.testing.assert_array_equal(found.variance, solver.explained_variance_)
    np.testing.assert_array_equal(found.share, solver.explained_variance_ratio_)
    assert found.is_unit


def test_what_batches_have_learned_does_not_change_with_the_next():
    rng = np.random.default_rng(0)
    known = Increments.of(partial_pca(rng.normal(size=(9, 4)), None, 2))
    before = {name: np.array(value) for name, value in known.learned.items()}
    partial_pca(rng.normal(size=(9, 4)), known, 2)
    assert known.n_components == 2
    for name, value in known.learned.items():
        np.testing.assert_array_equal(value, before[name])
    assert not set(known.learned) & set(IncrementalPCA().get_params())


def test_a_whole_fit_is_gone_on_from_as_if_it_had_been_a_batch():
    rng = np.random.default_rng(0)
    X, more = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) + 2, rng.normal(size=(20, 5))
    whole = principal_map(X, task_of(embedding_dim=5))
    expected = IncrementalPCA(5).partial_fit(X).partial_fit(more)
    for found in (whole, whole.whitened_components()):
        solver = partial_pca(more, (found, 40), 5)
        np.testing.assert_allclose(solver.explained_variance_, expected.explained_variance_, rtol=1e-6)
        np.testing.assert_allclose(solver.explained_variance_ratio_, expected.explained_variance_ratio_, rtol=1e-6)
        np.testing.assert_allclose(np.abs(solver.components_), np.abs(expected.components_), atol=1e-6)
        np.testing.assert_allclose(solver.mean_, expected.mean_)
        assert solver.n_samples_seen_ == 60
    cut = partial_pca(more, (whole.cut(3), 40), 3)  # of which the rest of the variance is known by its share
    few = IncrementalPCA(3).partial_fit(X).partial_fit(more)
    np.testing.assert_allclose(cut.explained_variance_ratio_, few.explained_variance_ratio_, rtol=1e-6)
    with np.errstate(all="ignore"):  # as where it is called
        constant = principal_map(np.ones((8, 5)), task_of(embedding_dim=2))
    assert np.isfinite(partial_pca(more, (constant, 8), 2).components_).all()


@pytest.mark.parametrize(("shape", "limit"), [((3, 9), 3), ((9, 3), 3)])
def test_a_first_batch_gives_as_many_dimensions_as_rows_or_columns(shape, limit):
    X = np.random.default_rng(0).normal(size=shape)
    assert partial_pca(X, None, limit).n_components == limit
    with pytest.raises(ValueError, match=re.escape(
        f"embedding_dim is 4, but the first batch of partial_fit has shape {shape} and gives at most 3 dimensions; "
        "lower embedding_dim or give a larger first batch."
    )):  # fmt: skip
        partial_pca(X, None, 4)


def test_batches_beyond_what_squares_can_hold_are_refused_before_they_are_learned(monkeypatch):
    X = np.random.default_rng(0).normal(size=(9, 4))
    partial_pca(X / np.abs(X).max() * 1e150, None, 2)
    with pytest.raises(ValueError, match=r"its numbers reach 2e\+150, expected at most 1e\+150. Scale X first"):
        partial_pca(X / np.abs(X).max() * 2e150, None, 2)
    known = Increments.of(partial_pca(X, None, 2))
    for name, value, what in (
        ("mean_", np.full(4, 1e151), "earlier batches had a mean of"),
        ("singular_values_", np.full(2, 1e200), "earlier batches reach"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=what):
            partial_pca(X, Increments(2, known.learned | {name: value}), 2)
    fit = IncrementalPCA.partial_fit

    def spoiled(self, X, **options):
        fit(self, X, **options)
        self.components_ = self.components_ * np.nan
        return self

    monkeypatch.setattr(IncrementalPCA, "partial_fit", spoiled)
    with pytest.raises(ValueError, match=r"of this batch are not finite; its numbers reach .*Scale X first"):
        partial_pca(X, None, 2)


def test_memory_of_batches_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(_incremental, "check_memory", lambda *told: asked.append(told))
    X = np.random.default_rng(0).normal(size=(9, 4))
    partial_pca(X, None, 2)
    partial_pca(X, None, "auto")
    assert [needed for needed, _, _ in asked] == [8 * 4 * (9 + 4), 8 * 4 * (9 + 8)]
    assert asked[0][1:] == (
        "a batch of shape (9, 4) beside 2 components",
        "give smaller batches or lower embedding_dim",
    )


# ----------------------------------------------------------------------------------------------------- estimators


def test_tags_are_those_of_the_method():
    for method in METHODS:
        tags = get_tags(ProjectionEmbedder(method))
        assert tags.input_tags.sparse == (method in ("pca", "svd", "random"))
        assert tags.input_tags.allow_nan == tags.input_tags.categorical == (method == "autoencoder")
        assert tags.input_tags.string == (method == "autoencoder")
        assert tags.target_tags.required == (method in ("lda", "nca"))
        assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


def test_each_parameter_has_a_constraint():
    assert set(ProjectionEmbedder._parameter_constraints) == set(ProjectionEmbedder().get_params())


BAD = {
    "method": ["none", None], "embedding_dim": [0, -0.1, 1.0, 0.0, "all"], "whiten": [2], "method_params": [[1]],
    "min_frequency": [0, 1.5], "max_categories": [0, 1.5], "hidden_layer_sizes": [3, None], "max_iter": [-1, 0.5],
    "batch_size": [0, "all"], "learning_rate": [0.0, -1], "early_stopping": ["no"], "validation_fraction": [0.0, 1.0],
    "n_iter_no_change": [0], "tol": [-1.0], "device": [3], "random_state": ["x"], "verbose": [-1],
}  # fmt: skip


def test_parameters_out_of_range_are_named_with_the_value():
    X = np.random.default_rng(0).normal(size=(30, 4))
    for name, values in BAD.items():
        for value in values:
            with pytest.raises(
                ValueError, match=f"The '{name}' parameter of ProjectionEmbedder must be .* Got"
            ) as caught:
                ProjectionEmbedder(**{"method": "autoencoder"} | {name: value}).fit(X)
            assert repr(value) in str(caught.value)


@pytest.mark.parametrize("params", [{}, {"eps": 0.2}])
def test_as_many_random_directions_as_keep_distances_to_a_tenth(params):
    X = np.random.default_rng(0).normal(size=(4, 3000))
    found = solve(X, None, task_of("random", "auto", params=params))
    assert found.projection.shape == (3000, johnson_lindenstrauss_min_dim(4, eps=params.get("eps", 0.1)))


def test_what_comes_back_is_named_where_it_is_not_finite():
    X, _ = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"Input X contains NaN"):
        ProjectionEmbedder("pca", 2).fit(X).inverse_transform([[np.nan, 1.0]])


@pytest.mark.parametrize(("method", "passes"), [("pca", 1), ("lda", 1), ("autoencoder", 4)])
def test_callbacks_are_told_how_many_passes_there_are_at_most(method, passes, monkeypatch):
    told = []

    class Callbacks(_projection.PassCallbacks):
        def __init__(self, estimator, max_iter, X, y=None):
            told.append((max_iter, X is rows, y))
            super().__init__(estimator, max_iter, X, y)

        def end(self):
            told.append("end")
            super().end()

    monkeypatch.setattr(_projection, "PassCallbacks", Callbacks)
    rows, y = load_iris(return_X_y=True)
    ProjectionEmbedder(method, 2, max_iter=4, hidden_layer_sizes=(3,), random_state=0).fit(rows, y)
    assert told[0][0] == passes
    assert told[1] == "end"


def test_attributes_of_one_method_are_gone_after_another(monkeypatch):
    X, y = load_iris(return_X_y=True)
    embedder = ProjectionEmbedder("autoencoder", 2, max_iter=1, random_state=0).fit(X)
    assert embedder.loss_curve_
    assert embedder.validation_scores_
    assert embedder.embeddings_ == {}
    embedder.set_params(method="pca").partial_fit(X)
    embedder.fit(X)
    for name in ("loss_curve_", "validation_scores_", "embeddings_", "_codec", "_increments"):
        assert not hasattr(embedder, name)
    assert embedder._n_rows == 150
    embedder.set_params(method="lda").fit(X, y)
    assert not hasattr(embedder, "explained_variance_")
    assert embedder.explained_variance_ratio_.shape == (2,)
    embedder.set_params(method="random").fit(X)
    assert not hasattr(embedder, "explained_variance_ratio_")
    embedder.set_params(method="autoencoder").fit(X)
    for name in ("projection_", "mean_", "_map", "_n_rows"):
        assert not hasattr(embedder, name)
    with pytest.raises(
        AttributeError, match="ProjectionEmbedder has no table of columns: not fitted by a linear method"
    ):
        _ = embedder.embedding_


def test_rows_that_come_back_have_to_have_the_dimensions_of_vectors():
    X, _ = load_iris(return_X_y=True)
    for embedder in (ProjectionEmbedder("pca", 2), ProjectionEmbedder("autoencoder", 2, max_iter=0, random_state=0)):
        fitted = embedder.fit(X)
        assert fitted.inverse_transform(np.zeros((1, 2))).shape == (1, 4)
        with pytest.raises(ValueError, match=r"X has 3 features, but inverse_transform .* expects 2: vectors"):
            fitted.inverse_transform(np.zeros((1, 3)))


@pytest.mark.parametrize(("n", "works"), [(1, False), (2, True)])
def test_an_autoencoder_needs_two_rows(n, works):
    X = np.random.default_rng(0).normal(size=(n, 3))
    embedder = ProjectionEmbedder("autoencoder", 1, random_state=0)
    if works:
        fitted = embedder.fit(X)
        assert (fitted.n_iter_, fitted.loss_curve_, fitted.validation_scores_) == (1, [], [])
    else:
        with pytest.raises(ValueError, match=r"1 sample\(s\) \(shape=\(1, 3\)\) while a minimum of 2 is required"):
            embedder.fit(X)


def test_parts_of_a_fitted_embedder_that_do_not_fit_are_refused():
    X, _ = load_iris(return_X_y=True)
    fitted = ProjectionEmbedder("pca", 2).fit(X)
    whole = fitted._map
    for changes, message in (
        ({"projection": whole.projection[:3]}, "expected a projection of shape (4, 2), got (3, 2)"),
        ({"mean": whole.mean[:3]}, "expected a projection of shape (4, 2)"),
        ({"inverse": whole.inverse[:, :3]}, "expected an inverse of shape (2, 4), got (2, 3)"),
    ):
        fitted._map = replace(whole, **changes)
        with pytest.raises(ValueError, match=re.escape(message)):
            fitted._check_fitted()
    fitted._map = replace(whole, inverse=None)
    fitted._check_fitted()
    net = ProjectionEmbedder("autoencoder", 2, max_iter=0, random_state=0).fit(X)
    net._check_fitted()
    for numeric in ([0, 1, 2], [0, 1, 2, 4], [0, 1, 2, 2]):
        columns = net._codec.columns
        kept, columns.numeric = columns.numeric, numeric
        with pytest.raises(ValueError, match="expected a position for each of 4 columns"):
            net._check_fitted()
        columns.numeric = kept


def test_methods_that_cannot_are_told_by_their_names():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(AttributeError) as caught:
        _ = ProjectionEmbedder("svd").partial_fit
    assert "method='svd' cannot learn batch by batch; 'pca' can" in str(caught.value.__cause__)
    with pytest.raises(AttributeError) as caught:
        _ = ProjectionEmbedder("lda", 1).fit(X, y).inverse_transform
    assert "method='lda' has no way back from vectors to rows" in str(caught.value.__cause__)
    assert SimpleNamespace(**vars(ProjectionEmbedder("lda"))).whiten is False
