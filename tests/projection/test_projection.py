"""ProjectionEmbedder's linear methods: what they learn, what comes out, and what is refused."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import ArpackError, svds
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import johnson_lindenstrauss_min_dim
from sklearn.utils import get_tags

from skembed import EmbeddingTable, ProjectionEmbedder

LINEAR = ["pca", "lda", "random", "nca", "svd"]


def embedder(method, embedding_dim=2, **parameters):
    return ProjectionEmbedder(method, embedding_dim, **{"random_state": 0, "max_iter": 5} | parameters)


@pytest.fixture(scope="module")
def rows():
    X, y = load_iris(return_X_y=True)
    return X * [1, 2, 3, 4] + 10, y  # far from 0, so that centering shows


@pytest.fixture(scope="module")
def counts():
    """A sparse matrix that is wider than what solvers treat as small."""
    matrix = sparse.random(300, 1200, density=0.02, format="csr", random_state=0)
    matrix.data = np.ceil(5 * matrix.data)
    return matrix


# ------------------------------------------------------------------------------------------------ the linear map


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("method", LINEAR)
def test_transform_is_the_matrix(rows, method, whiten):
    X, y = rows
    fitted = embedder(method, whiten=whiten).fit(X, y)
    assert fitted.projection_.shape == (4, 2)
    assert fitted.mean_.shape == (4,)
    np.testing.assert_allclose(fitted.transform(X), (X - fitted.mean_) @ fitted.projection_, atol=1e-10)
    np.testing.assert_allclose(embedder(method, whiten=whiten).fit_transform(X, y), fitted.transform(X), atol=1e-10)


@pytest.mark.parametrize("method", LINEAR)
def test_whitened_is_of_mean_zero_and_unit_covariance(rows, method):
    X, y = rows
    plain, white = (embedder(method, whiten=whiten).fit(X, y).transform(X) for whiten in (False, True))
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(np.cov(white.T), np.eye(2), atol=1e-8)
    # of all ways to whiten the one that stays nearest: its covariance with what was there is the root of that's own
    together = np.cov(plain.T, white.T)[:2, 2:]
    np.testing.assert_allclose(together, together.T, atol=1e-8)
    assert (np.linalg.eigvalsh(together) > 0).all()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_whitened_float32_is_of_mean_zero_however_many_rows_there_are(form):
    """A sum of so many equal numbers in float32 is off by a thousandth."""
    X = np.random.default_rng(0).choice([0.1, 0.2], (200_000, 4)).astype(np.float32)
    Z = embedder("svd", 3, whiten=True).fit_transform(form(X))
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z.mean(axis=0, dtype=np.float64), 0, atol=1e-5)


def test_whitened_directions_without_variance_stay_at_zero():
    X = np.outer(np.arange(20.0), [1.0, 2.0, 3.0])
    for method in ("pca", "svd", "random"):
        Z = embedder(method, whiten=True).fit_transform(X)
        assert np.isfinite(Z).all()
        assert np.linalg.matrix_rank(Z, tol=1e-5) == 1


@pytest.mark.parametrize("method", ["pca", "svd", "random"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whitened_rows_that_are_all_equal_stay_at_zero(method, dtype):
    X = np.repeat(np.random.default_rng(0).normal(5, 2, (1, 10)), 30, axis=0).astype(dtype)
    fitted = embedder(method, 3, whiten=True).fit(X)
    np.testing.assert_array_equal(fitted.transform(X), 0)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), X, rtol=1e-6)


@pytest.mark.parametrize("method", ["lda", "nca", "pca", "random"])
def test_whitened_float32_of_large_numbers_is_white(method):
    y = np.arange(120) % 3
    rng = np.random.default_rng(0)
    X = (1e7 + 1e6 * (rng.normal(size=(120, 5)) + np.eye(5)[y])).astype(np.float32)
    Z = embedder(method, whiten=True).fit_transform(X, y)
    np.testing.assert_allclose(np.cov(Z.T), np.eye(2), atol=1e-3)


@pytest.mark.parametrize(("method", "scale"), [("pca", 1e-160), ("pca", 1e160), ("svd", 1e160), ("random", 1e160)])
def test_whitened_is_white_in_any_unit(rows, method, scale):
    X = rows[0] * scale
    Z = embedder(method, whiten=True).fit(X).transform(X)
    np.testing.assert_allclose(np.cov(Z.T), np.eye(2), atol=1e-6)


@pytest.mark.parametrize("method", LINEAR)
def test_the_first_value_that_is_not_finite_is_named(method):
    pd = pytest.importorskip("pandas")
    y = np.tile([0, 1], 10)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=list("abc"))
    fitted = embedder(method, 1).fit(frame, y)
    frame.iloc[7, 1] = np.nan
    for call in (lambda: fitted.transform(frame), lambda: embedder(method, 1).fit(frame, y)):
        with pytest.raises(ValueError, match="Input X contains NaN in row 7 of column 'b'; ProjectionEmbedder expects"):
            call()


FINDS_NOTHING = "method='{}' finds nothing in X: .* as where rows do not differ"


@pytest.mark.parametrize("differ", [False, True])
def test_classes_in_which_nca_finds_nothing_are_told_of(differ):
    y = np.arange(9) % 3
    X = np.eye(3)[y] if differ else np.full((9, 3), 5.0)
    with pytest.raises(ValueError, match=FINDS_NOTHING.format("nca")):
        embedder("nca").fit(X, y)


def test_rows_in_which_a_solver_finds_nothing_are_told_of():
    X = sparse.csr_matrix(np.full((9, 3), 5.0))
    try:
        svds(sparse.csr_matrix((9, 3)), 2)
        fails = False
    except ArpackError:
        fails = True
    if fails:
        with pytest.raises(ValueError, match=FINDS_NOTHING.format("pca")):
            embedder("pca").fit(X)
    else:  # an older ARPACK finds directions along which nothing lies, as of a dense matrix
        np.testing.assert_allclose(embedder("pca").fit_transform(X), 0, atol=1e-12)


def test_a_projection_beyond_the_type_of_x_is_none():
    X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32) * np.float32(1e-40)
    with pytest.raises(ValueError, match=r"found no finite projection of X, whose numbers reach .*e-40; scale X first"):
        embedder("svd", whiten=True).fit(X)


def test_equals_the_solvers(rows):
    X, y = rows
    peers = {"pca": PCA(2), "svd": TruncatedSVD(2, random_state=0), "lda": LinearDiscriminantAnalysis(n_components=2)}
    for method, peer in peers.items():
        expected = peer.fit(X, y).transform(X)
        plain = {"solver": "svd"} if method == "lda" else None  # without shrinkage
        found = embedder(method, method_params=plain).fit(X, y)
        np.testing.assert_allclose(np.abs(found.transform(X)), np.abs(expected), atol=1e-8)
        ratio = peer.explained_variance_ratio_
        np.testing.assert_allclose(found.explained_variance_ratio_, ratio, atol=1e-10)
    np.testing.assert_allclose(embedder("pca").fit(X).explained_variance_, peers["pca"].explained_variance_)
    white = PCA(2, whiten=True).fit_transform(X)
    np.testing.assert_allclose(embedder("pca", whiten=True).fit_transform(X), white, atol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e200])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("dim", [10, "auto"])
@pytest.mark.parametrize("method", ["pca", "svd"])
def test_columns_that_vary_together_are_near_whatever_the_dimensions(method, dim, whiten, scale):
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(10), 4)
    X = scale * (rng.standard_normal((600, 10))[:, group] + 0.7 * rng.standard_normal((600, 40)))
    table = ProjectionEmbedder(method, dim, whiten=whiten, random_state=0).fit(X).embedding_
    for column in range(40):
        near = [int(key[1:]) for key, _ in table.nearest(f"x{column}", k=3)]
        assert (group[near] == group[column]).all()
    plain = ProjectionEmbedder(method, dim, random_state=0).fit(X).embedding_.vectors
    np.testing.assert_allclose(table.vectors @ table.vectors.T, plain @ plain.T, atol=1e-3)


def test_tables_of_other_methods_hold_the_projection(rows):
    for method in ("lda", "nca", "random"):
        fitted = embedder(method).fit(*rows)
        np.testing.assert_allclose(fitted.embedding_.vectors, fitted.projection_, rtol=1e-6)
    constant = ProjectionEmbedder("pca", 1).fit(np.ones((5, 2)))
    np.testing.assert_array_equal(constant.embedding_.vectors, constant.projection_)


@pytest.mark.parametrize(("dtype", "means"), [(np.float32, [0, 300, 2e4]), (np.float64, [0, 1e7, 1e9])])
@pytest.mark.parametrize("dim", [2, 0.9, "auto"])
@pytest.mark.parametrize("params", [None, {"svd_solver": "covariance_eigh"}])
def test_variances_are_not_lost_beside_means(dtype, means, dim, params):
    rng = np.random.default_rng(0)
    near = rng.standard_normal((400, 3)) * [3, 2, 1] @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    expected = ProjectionEmbedder("pca", dim).fit(near)
    found = ProjectionEmbedder("pca", dim, method_params=params).fit((near + means).astype(dtype))
    rounding = 100 * np.finfo(dtype).eps * max(means)
    np.testing.assert_allclose(found.projection_, expected.projection_, atol=rounding)
    np.testing.assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=rounding)
    np.testing.assert_allclose(found.mean_, expected.mean_ + means, rtol=1e-6 if dtype == np.float32 else 1e-15)


@pytest.mark.parametrize("method", ["pca", "svd", "lda", "nca"])
def test_signs_are_fixed(rows, method):
    X, y = rows
    projection = embedder(method).fit(X, y).projection_
    largest = projection[np.abs(projection).argmax(axis=0), [0, 1]]
    assert (largest > 0).all()


@pytest.mark.parametrize("method", LINEAR)
def test_float32_stays_float32(rows, method):
    X, y = rows
    fitted = embedder(method).fit(X.astype(np.float32), y)
    assert fitted.projection_.dtype == fitted.mean_.dtype == np.float32
    assert fitted.transform(X.astype(np.float32)).dtype == np.float32
    assert fitted.transform(X).dtype == np.float64
    assert embedder(method).fit(X, y).transform(X.astype(np.float32)).dtype == np.float32


def test_columns_are_a_table(rows):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows[0], columns=["length", "width", "petal length", "petal width"])
    fitted = embedder("pca").fit(frame)
    assert isinstance(fitted.embedding_, EmbeddingTable)
    assert fitted.embedding_.keys.tolist() == frame.columns.tolist()
    loadings = fitted.projection_ * np.sqrt(fitted.explained_variance_ratio_)
    np.testing.assert_allclose(fitted.embedding_.vectors, loadings, rtol=1e-6)
    assert embedder("pca").fit(rows[0]).embedding_.keys.tolist() == ["x0", "x1", "x2", "x3"]
    assert not hasattr(embedder("pca"), "embedding_")
    assert fitted.get_feature_names_out().tolist() == ["projectionembedder0", "projectionembedder1"]


def test_bags_of_words_give_word_vectors():
    documents = ["cat purrs", "cat sleeps purrs", "dog barks", "dog barks loudly"] * 5
    vectorizer = CountVectorizer()
    fitted = embedder("svd").fit(vectorizer.fit_transform(documents))
    table = EmbeddingTable(vectorizer.get_feature_names_out(), fitted.projection_)
    assert {key for key, _ in table.nearest("cat", 2)} == {"purrs", "sleeps"}


# ---------------------------------------------------------------------------------------------------- dimensions


def test_auto_keeps_95_percent_of_the_variance(counts):
    X, y = load_digits(return_X_y=True)
    for method in ("pca", "svd"):
        fitted = embedder(method, "auto").fit(X)
        kept = np.cumsum(fitted.explained_variance_ratio_)
        assert kept[-1] >= 0.95 > kept[-2]
        assert len(kept) == fitted.projection_.shape[1]
    assert embedder("lda", "auto").fit(X, y).transform(X).shape[1] == 9
    dim = embedder("pca", "auto").fit(X[:300]).projection_.shape[1]
    assert embedder("nca", "auto", max_iter=1).fit(X[:300], y[:300]).projection_.shape[1] == dim
    assert embedder("random", "auto").fit(X[:100]).projection_.shape[1] == 64
    fitted = embedder("random", "auto", method_params={"eps": 0.99}).fit(counts)
    assert fitted.projection_.shape[1] == johnson_lindenstrauss_min_dim(300, eps=0.99)


@pytest.mark.parametrize("method", ["pca", "svd"])
def test_share_of_wide_matrices(counts, method):
    share = 0.5
    fitted = embedder(method, share).fit(counts)
    kept = np.cumsum(fitted.explained_variance_ratio_)
    assert kept[-1] >= share
    assert kept[-2] < share
    assert len(kept) > 64  # more than the first guess
    dense = embedder(method, share).fit(counts.toarray())
    assert abs(dense.projection_.shape[1] - len(kept)) <= 1


def test_random_dimensions_may_be_more_than_the_columns(rows, recwarn):
    X, _ = rows
    fitted = embedder("random", 50).fit(X)
    Z = fitted.transform(X)
    assert Z.shape == (150, 50)
    np.testing.assert_allclose(fitted.inverse_transform(Z), X, atol=1e-8)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("method", "dim", "message"),
    [
        ("lda", 3, r"embedding_dim is 3, but method='lda' gives at most min\(n_classes - 1, n_features\).* = 2 "),
        ("pca", 5, r"embedding_dim is 5, but method='pca' gives at most min\(n_samples, n_features\) = 4 "),
        ("svd", 5, r"method='svd' gives at most .* = 4 .*method='random' or 'autoencoder'"),
        ("nca", 5, r"method='nca' gives at most n_features = 4 "),
        ("lda", 0.5, "embedding_dim=0.5 asks for a share of the variance, which method='lda'"),
        ("random", 0.5, "share of the variance, which method='random'"),
    ],
)
def test_too_many_dimensions(rows, method, dim, message):
    with pytest.raises(ValueError, match=message):
        embedder(method, dim).fit(*rows)


def test_lda_of_class_means_on_a_line(rows):
    X, y = rows
    X = X - np.array([X[y == k].mean(axis=0) for k in range(3)])[y] + y[:, None]
    with pytest.raises(ValueError, match="class means of X differ in 1 dimensions only"):
        embedder("lda", 2).fit(X, y)
    assert embedder("lda", "auto").fit(X, y).transform(X).shape == (150, 1)


# -------------------------------------------------------------------------------------------------- sparse input


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "csr_array", "coo_matrix"])
@pytest.mark.parametrize("method", ["pca", "svd", "random"])
def test_sparse_is_as_dense(counts, method, kind, whiten):
    narrow = counts[:, :30]
    for matrix in (narrow, counts):
        X = getattr(sparse, kind)(matrix)
        found = embedder(method, 5, whiten=whiten).fit(X)
        params = {"svd_solver": "full"} if method == "pca" else {}
        expected = embedder(method, 5, whiten=whiten, method_params=params).fit(matrix.toarray())
        np.testing.assert_allclose(found.transform(X), expected.transform(matrix.toarray()), rtol=1e-4, atol=1e-5)
        assert isinstance(found.transform(X), np.ndarray)


def test_pca_of_sparse_makes_nothing_dense(counts, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("made dense")

    for name in ("toarray", "todense"):
        monkeypatch.setattr(type(counts), name, refuse)
    Z = embedder("pca", 5).fit_transform(counts)
    assert Z.shape == (300, 5)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-10)


def test_all_components_of_a_sparse_matrix(counts):
    Z = embedder("pca", 20).fit_transform(counts[:, :20])
    assert Z.shape == (300, 20)


@pytest.mark.parametrize("method", ["lda", "nca"])
def test_methods_that_need_dense_rows(counts, method):
    with pytest.raises(TypeError, match=f"sparse matrix, but method='{method}' needs dense rows"):
        embedder(method).fit(counts, np.arange(300) % 3)


@pytest.mark.parametrize("params", [{"density": 0.1}, {"dense_output": True}])
def test_random_directions_are_sparse_where_a_parameter_of_theirs_is_given(counts, params):
    assert sparse.issparse(embedder("random", 40, method_params=params).fit(counts).projection_)
    assert not sparse.issparse(embedder("random", 40).fit(counts).projection_)


def test_sparse_random_directions(counts):
    fitted = embedder("random", 40, method_params={"density": 0.1}).fit(counts)
    assert sparse.issparse(fitted.projection_)
    Z = fitted.transform(counts)
    assert isinstance(Z, np.ndarray)
    np.testing.assert_allclose(Z, fitted.transform(counts.toarray()), atol=1e-8)
    assert fitted.embedding_.vectors.shape == (1200, 40)
    assert np.isfinite(fitted.inverse_transform(Z)).all()


# ------------------------------------------------------------------------------------------------------ way back


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("method", ["pca", "svd", "random"])
def test_inverse_transform(rows, method, whiten):
    X, _ = rows
    fitted = embedder(method, 4, whiten=whiten, random_state=1).fit(X)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), X, atol=1e-6)
    fitted = embedder(method, 2, whiten=whiten).fit(X)
    back = fitted.inverse_transform(fitted.transform(X))
    np.testing.assert_allclose(fitted.transform(back), fitted.transform(X), atol=1e-6)
    with pytest.raises(ValueError, match=r"X has 3 features, but inverse_transform .* expects 2"):
        fitted.inverse_transform(X[:, :3])


def test_the_way_back_of_a_frame_needs_its_order(rows):
    pytest.importorskip("pandas")
    fitted = embedder("pca").set_output(transform="pandas").fit(rows[0])
    Z = fitted.transform(rows[0])
    np.testing.assert_allclose(fitted.inverse_transform(Z), fitted.inverse_transform(Z.to_numpy()))
    np.testing.assert_allclose(fitted.inverse_transform(Z.set_axis(["a", "b"], axis=1)), fitted.inverse_transform(Z))
    with pytest.raises(ValueError, match="column 0 of X is 'projectionembedder1', expected 'projectionembedder0'"):
        fitted.inverse_transform(Z[Z.columns[::-1]])


@pytest.mark.parametrize("method", ["lda", "nca"])
def test_no_way_back(rows, method):
    assert not hasattr(embedder(method), "inverse_transform")
    assert not hasattr(embedder(method).fit(*rows), "inverse_transform")


# ----------------------------------------------------------------------------------------------- batch by batch


@pytest.mark.parametrize("whiten", [False, True])
def test_partial_fit_equals_incremental_pca(whiten):
    X = load_digits().data
    found, expected = embedder("pca", 10, whiten=whiten), IncrementalPCA(10, whiten=whiten)
    for start in range(0, 1500, 500):
        found.partial_fit(X[start : start + 500])
        expected.partial_fit(X[start : start + 500])
    np.testing.assert_allclose(found.transform(X), expected.transform(X), atol=1e-6)
    np.testing.assert_allclose(found.explained_variance_ratio_, expected.explained_variance_ratio_)
    np.testing.assert_allclose(found.transform(X), (X - found.mean_) @ found.projection_, atol=1e-8)


@pytest.mark.parametrize("whiten", [False, True])
def test_partial_fit_goes_on_from_a_fit(whiten):
    X = load_digits().data
    whole = embedder("pca", 64 - 3, whiten=whiten).fit(X)  # all but the columns that are constant
    half = embedder("pca", 64 - 3, whiten=whiten).fit(X[:900]).partial_fit(X[900:])
    np.testing.assert_allclose(half.mean_, whole.mean_, atol=1e-10)
    np.testing.assert_allclose(half.explained_variance_, whole.explained_variance_, rtol=0.02, atol=0.05)
    np.testing.assert_allclose(half.explained_variance_ratio_.sum(), 1, atol=1e-3)
    assert half.projection_.shape == whole.projection_.shape


def test_partial_fit_settles_auto_once(counts):
    X = load_digits().data
    fitted = embedder("pca", "auto").partial_fit(X[:300])
    dim = fitted.projection_.shape[1]
    assert 20 < dim < 40
    assert fitted.partial_fit(X[300:310]).projection_.shape[1] == dim
    assert embedder("pca", 4).partial_fit(counts[:, :30]).projection_.shape == (30, 4)
    with pytest.raises(ValueError, match=r"first batch of partial_fit has shape \(3, 64\) and gives at most 3"):
        embedder("pca", 5).partial_fit(X[:3])
    with pytest.raises(ValueError, match=r"1 sample\(s\).* while a minimum of 2 is required"):
        embedder("pca", 1).partial_fit(X[:1])
    assert not hasattr(embedder("svd"), "partial_fit")


@pytest.mark.parametrize("method", ["autoencoder", "lda", "nca", "random"])
def test_partial_fit_begins_anew_after_another_method(rows, method):
    X, y = rows
    fitted = embedder(method).fit(X, y).set_params(method="pca").partial_fit(X)
    expected = embedder("pca").partial_fit(X)
    np.testing.assert_array_equal(fitted.transform(X), expected.transform(X))
    assert vars(fitted).keys() - {"n_iter_"} == vars(expected).keys() - {"n_iter_"}


def test_a_new_fit_forgets_batches(rows):
    X, y = rows
    fitted = embedder("pca").partial_fit(X[:50]).fit(X)
    np.testing.assert_array_equal(fitted.projection_, embedder("pca").fit(X).projection_)
    fitted.set_params(method="nca").fit(X, y)
    assert not hasattr(fitted, "explained_variance_")


# ------------------------------------------------------------------------------------------------ y, parameters


@pytest.mark.parametrize("method", [*LINEAR, "autoencoder"])
def test_tags_say_which_rows_are_taken(rows, method):
    X, y = rows
    with_nan, words = X.copy(), X.astype(str).astype(object)
    with_nan[3, 1] = np.nan
    words[:, 0] = ["a", "b"] * 75

    def is_taken(X):
        try:
            embedder(method).fit(X, y)
        except (ValueError, TypeError):
            return False
        return True

    tags = get_tags(embedder(method)).input_tags
    assert is_taken(with_nan) == tags.allow_nan
    assert is_taken(words) == tags.string == tags.categorical
    assert is_taken(sparse.csr_array(X)) == tags.sparse


@pytest.mark.parametrize("method", ["pca", "random", "svd", "autoencoder"])
def test_nothing_comes_back_before_a_fit(rows, method):
    for name in ("transform", "inverse_transform", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(embedder(method), name)(*[rows[0]] * (name != "get_feature_names_out"))


@pytest.mark.parametrize("method", [*LINEAR, "autoencoder"])
@pytest.mark.parametrize("before", ["pca", "lda", "autoencoder"])
def test_a_fit_by_another_method_leaves_nothing_behind(rows, method, before):
    if "autoencoder" in (before, method):
        pytest.importorskip("torch")
    X, y = rows
    refitted = embedder(before, early_stopping=True).fit(X, y).set_params(method=method, early_stopping=False).fit(X, y)
    fresh = embedder(method, early_stopping=False).fit(X, y)
    assert vars(refitted).keys() == vars(fresh).keys()
    np.testing.assert_array_equal(refitted.transform(X), fresh.transform(X))


def test_y_is_required_where_the_method_needs_it(rows):
    for method in [*LINEAR, "autoencoder"]:
        assert embedder(method).__sklearn_tags__().target_tags.required == (method in ("lda", "nca"))
    with pytest.raises(ValueError, match=r"requires y to be passed.*method='lda' learns from classes"):
        embedder("lda").fit(rows[0])
    with pytest.raises(ValueError, match=r"continuous.*method='nca' needs classes"):
        embedder("nca").fit(rows[0], rows[0][:, 0] + 0.123)
    with pytest.raises(ValueError, match=r"y has one class only, 0\.0;"):
        embedder("lda").fit(rows[0], np.zeros(150))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        embedder("lda").fit(rows[0], rows[1][:-1])
    with pytest.raises(ValueError, match="y holds dates"):
        embedder("lda").fit(rows[0], np.datetime64("2020-01-01") + rows[1])
    names = np.array(["a", "b", "c"])[rows[1]]
    np.testing.assert_allclose(embedder("lda").fit(rows[0], names).projection_, embedder("lda").fit(*rows).projection_)
    with pytest.raises(ValueError, match="y contains NaN or None in row 149"):
        embedder("nca").fit(rows[0], [*names[:-1], float("nan")])
    with pytest.raises(ValueError, match=r"y should be a 1d array, got an array of shape \(150, 2\)"):
        embedder("lda").fit(rows[0], np.column_stack([names, names]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "umap"}, "method"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"embedding_dim": 1.5}, "embedding_dim"),
        ({"method_params": {"n_iter": 3}}, "names 'n_iter', which method='pca' does not take; it takes .*'svd_solver'"),
        ({"method_params": {"n_components": 3}}, "'n_components'.*parameters of ProjectionEmbedder itself"),
        ({"method": "autoencoder", "method_params": {"tol": 3}}, "it takes none"),
        ({"method": "lda", "method_params": {"solver": "lsqr"}}, "solver='lsqr', which finds no projection"),
        ({"categorical_features": [0]}, r"categorical_features is \[0\], but method='pca' takes numbers only"),
    ],
)
def test_bad_parameters(rows, parameters, message):
    with pytest.raises(ValueError, match=message):
        ProjectionEmbedder(**parameters).fit(*rows)


def test_method_params_reach_the_solver(rows):
    X, y = rows
    eigen = embedder("lda", method_params={"solver": "eigen", "shrinkage": 0.9}).fit(X, y)
    assert not np.allclose(eigen.projection_, embedder("lda").fit(X, y).projection_)
    np.testing.assert_allclose(eigen.transform(X), (X - eigen.mean_) @ eigen.projection_)
    arpack = embedder("pca", method_params={"svd_solver": "arpack"}).fit(X)
    np.testing.assert_allclose(arpack.projection_, embedder("pca").fit(X).projection_, atol=1e-8)


def test_grid_search_over_method_and_dimensions():
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(embedder("pca"), KNeighborsClassifier())
    grid = {
        "projectionembedder__method": ["pca", "lda", "random", "svd"],
        "projectionembedder__embedding_dim": [2, 8],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X[:600], y[:600])
    assert search.best_params_["projectionembedder__embedding_dim"] == 8
    assert search.best_score_ > 0.8


@pytest.mark.parametrize("method", LINEAR)
def test_the_seed_decides(rows, method):
    X, y = rows
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (it is what is looked at)
    first = embedder(method).fit(X, y)
    np.testing.assert_array_equal(first.projection_, clone(first).fit(X, y).projection_)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    if method == "random":
        other = embedder(method, random_state=1).fit(X, y)
        assert not np.allclose(first.projection_, other.projection_)


def test_frames_of_each_kind(frame):
    columns = {"a": [1.0, 2.0, 4.0, 3.0], "b": [0.5, 0.1, 0.3, 0.9], "c": [1.0, 2.0, 3.0, 4.0]}
    X = frame(columns)
    fitted = embedder("pca").fit(X)
    if frame.named:
        assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
        assert fitted.embedding_.keys.tolist() == ["a", "b", "c"]
    expected = embedder("pca").fit(np.array(list(columns.values())).T)
    np.testing.assert_allclose(fitted.transform(X), expected.transform(np.array(list(columns.values())).T), atol=1e-12)
