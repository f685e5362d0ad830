"""ProjectionEmbedder's cache: a cut equals a fit of that size, and what was learned is not learned again."""

import pickle
import warnings
from functools import partial

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skembed import ProjectionEmbedder
from skembed.projection import _discriminants, _spectral

LINEAR = ["pca", "lda", "svd", "random", "nca"]
ROUNDING = {"rtol": 1e-6, "atol": 1e-6}
SOLVERS = {  # cases: method, its options, shape of X
    "pca of many rows": ("pca", {}, (900, 40)),
    "pca of few rows": ("pca", {}, (120, 90)),
    "pca, wide": ("pca", {"svd_solver": "full"}, (300, 600)),
    "pca, arpack": ("pca", {"svd_solver": "arpack"}, (300, 600)),
    "pca, randomized": ("pca", {"svd_solver": "randomized", "iterated_power": 30}, (300, 600)),
    "svd, arpack": ("svd", {"algorithm": "arpack"}, (300, 600)),
    "svd, randomized": ("svd", {"n_iter": 30}, (300, 600)),
    "svd of few columns": ("svd", {"n_iter": 30}, (200, 20)),
    "lda": ("lda", {}, (400, 30)),
    "lda, eigen": ("lda", {"solver": "eigen", "shrinkage": 0.1}, (400, 30)),
}


def rows_of(shape, seed=0, share_of_zeros=0.0):
    """Rows whose variances fall fast enough that every solver finds each direction, and classes of them."""
    rng = np.random.default_rng(seed)
    n_samples, n_features = shape
    basis = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    X = rng.normal(size=shape) * 0.9 ** np.arange(n_features) @ basis + 1
    X[rng.random(shape) < share_of_zeros] = 0.0
    return X, np.arange(n_samples) % 9


def entries(folder):
    return len(list(folder.rglob("output.pkl")))


def assert_same_fit(found, expected, X, **tolerance):
    for name in ("projection_", "mean_", "explained_variance_", "explained_variance_ratio_"):
        assert hasattr(found, name) == hasattr(expected, name)
        if hasattr(expected, name):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), err_msg=name, **tolerance)
            assert getattr(found, name).dtype == getattr(expected, name).dtype
    np.testing.assert_allclose(found.embedding_.vectors, expected.embedding_.vectors, **(tolerance | {"atol": 1e-5}))
    np.testing.assert_allclose(found.transform(X), expected.transform(X), **tolerance)
    if hasattr(expected, "inverse_transform"):
        Z = expected.transform(X)
        np.testing.assert_allclose(found.inverse_transform(Z), expected.inverse_transform(Z), **tolerance)
    assert found.n_iter_ == expected.n_iter_
    assert found.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()


# -------------------------------------------------------------------------------------------- a cut equals a fit


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("case", SOLVERS)
def test_a_cut_equals_a_fit_of_that_size(tmp_path, case, whiten):
    method, params, shape = SOLVERS[case]
    X, y = rows_of(shape)
    for dim in (1, 3, 8):
        alone = ProjectionEmbedder(method, dim, whiten=whiten, method_params=params, random_state=0)
        cut = clone(alone).set_params(memory=str(tmp_path)).fit(X, y)
        assert_same_fit(cut, alone.fit(X, y), X, **ROUNDING)
        np.testing.assert_allclose(clone(cut).fit_transform(X, y), cut.transform(X), atol=1e-9)
    assert entries(tmp_path) == 1


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array"])
@pytest.mark.parametrize("method", ["pca", "svd"])
@pytest.mark.parametrize("shape", [(400, 30), (60, 300)])
def test_a_cut_of_sparse_rows(tmp_path, shape, method, kind, whiten):
    X = getattr(sparse, kind)(rows_of(shape, share_of_zeros=0.8)[0])
    params = {"algorithm": "arpack"} if method == "svd" else {}
    for dim in (2, 7):
        alone = ProjectionEmbedder(method, dim, whiten=whiten, method_params=params, random_state=0)
        cut = clone(alone).set_params(memory=str(tmp_path)).fit(X)
        assert_same_fit(cut, alone.fit(X), X, **ROUNDING)
    assert entries(tmp_path) == 1


@pytest.mark.parametrize("dim", ["auto", 0.5, 0.99])
@pytest.mark.parametrize(
    ("method", "params"),
    [("pca", {}), ("pca", {"svd_solver": "arpack"}), ("svd", {"algorithm": "arpack"}), ("lda", {})],
)
def test_a_share_of_the_variance_is_cut_too(tmp_path, method, params, dim):
    if method == "lda" and dim != "auto":
        pytest.skip("lda takes no share")
    X, y = rows_of((400, 90))
    X += np.random.default_rng(1).normal(size=X.shape) * 0.3  # so that a share of 0.99 is more than the first guess
    alone = ProjectionEmbedder(method, dim, method_params=params, random_state=0)
    kept = clone(alone).set_params(memory=str(tmp_path)).fit(X, y)
    assert_same_fit(kept, alone.fit(X, y), X, **ROUNDING)
    before = entries(tmp_path)
    clone(kept).set_params(embedding_dim=4).fit(X, y)
    assert entries(tmp_path) == before


@pytest.mark.parametrize("method", ["pca", "svd"])
def test_a_cut_of_a_randomized_solver_is_nearer_to_the_exact_one(tmp_path, method):
    X = np.random.default_rng(0).normal(size=(700, 600)) + 1  # variances nearly alike, the hardest case
    alone = ProjectionEmbedder(method, 10, random_state=0).fit(X)
    cut = ProjectionEmbedder(method, 10, random_state=0, memory=str(tmp_path)).fit(X)
    params = {"svd_solver": "full"} if method == "pca" else {"algorithm": "arpack"}
    exact = ProjectionEmbedder(method, 10, random_state=0, method_params=params).fit(X).explained_variance_
    assert np.abs(cut.explained_variance_ - exact).max() < np.abs(alone.explained_variance_ - exact).max()


def test_sizes_that_are_learned(tmp_path):
    X, _ = rows_of((300, 600))
    embedder = ProjectionEmbedder("svd", random_state=0, memory=str(tmp_path))
    for dims, n_learned in (((2, 64), 1), ((65, 100, 128), 2), ((129, 200), 3), ((257, 300), 4)):
        for dim in dims:
            assert clone(embedder).set_params(embedding_dim=dim).fit(X).projection_.shape == (600, dim)
        assert entries(tmp_path) == n_learned


def test_float32_and_one_column(tmp_path):
    X, y = rows_of((900, 40))
    for method in ("pca", "svd", "lda"):
        alone = ProjectionEmbedder(method, 3, method_params={"n_iter": 20} if method == "svd" else {}, random_state=0)
        cut = clone(alone).set_params(memory=str(tmp_path)).fit(X.astype(np.float32), y)
        assert cut.projection_.dtype == np.float32
        assert_same_fit(cut, alone.fit(X.astype(np.float32), y), X, rtol=1e-4, atol=1e-4)
        one = ProjectionEmbedder(method, 1, memory=str(tmp_path)).fit(X[:, :1], y)
        assert_same_fit(one, ProjectionEmbedder(method, 1).fit(X[:, :1], y), X[:, :1], **ROUNDING)


def test_rows_of_low_rank_and_constant_rows(tmp_path):
    low = np.random.default_rng(0).normal(size=(300, 3)) @ np.random.default_rng(1).normal(size=(3, 600))
    for X in (low, sparse.csr_matrix(low), np.ones((30, 20)), 1e160 * low):
        for method in ("pca", "svd"):
            for dim in (2, 0.5):
                alone = ProjectionEmbedder(method, dim, random_state=0).fit(X)
                kept = clone(alone).set_params(memory=str(tmp_path)).fit(X)
                assert kept.projection_.shape == alone.projection_.shape
                scale = np.abs(alone.transform(X)).max() + 1e-12
                np.testing.assert_allclose(kept.transform(X) / scale, alone.transform(X) / scale, atol=1e-6)


def test_a_sparse_matrix_that_is_wide_gets_no_matrix_of_its_columns(tmp_path, monkeypatch):
    solvers = []
    original = _spectral.PCA.fit
    monkeypatch.setattr(_spectral.PCA, "fit", lambda self, X: solvers.append(self.svd_solver) or original(self, X))
    X = sparse.random(40, 3000, density=0.05, format="csr", random_state=0)
    ProjectionEmbedder("pca", 5, memory=str(tmp_path), random_state=0).fit(X)
    assert solvers == ["auto"]


def test_what_a_method_cannot_give_is_refused_as_without_memory(tmp_path):
    X, y = rows_of((400, 30))
    with pytest.raises(ValueError, match="embedding_dim is 31, but method='pca' gives at most"):
        ProjectionEmbedder("pca", 31, memory=str(tmp_path)).fit(X)
    X = X - np.array([X[y == k].mean(axis=0) for k in range(9)])[y] + y[:, None]
    ProjectionEmbedder("lda", 1, memory=str(tmp_path)).fit(X, y)
    with pytest.raises(ValueError, match="class means of X differ in 1 dimensions only"):
        ProjectionEmbedder("lda", 2, memory=str(tmp_path)).fit(X, y)


# -------------------------------------------------------------------------------------------- what is learned once


@pytest.mark.parametrize("method", ["pca", "svd", "lda"])
def test_a_grid_over_dimensions_learns_once_a_fold(tmp_path, monkeypatch, method):
    X, y = load_digits(return_X_y=True)
    calls = []
    learner, name = {
        "pca": (_spectral.PCA, "fit"),
        "svd": (_spectral.TruncatedSVD, "fit_transform"),
        "lda": (_discriminants, "_shrunk"),
    }[method]
    original = getattr(learner, name)
    monkeypatch.setattr(learner, name, lambda *a: calls.append(name) or original(*a))
    grid = {"projectionembedder__embedding_dim": [1, 2, 4, 8], "projectionembedder__whiten": [False, True]}

    def search(memory):
        calls.clear()
        pipeline = make_pipeline(ProjectionEmbedder(method, random_state=0, memory=memory), KNeighborsClassifier())
        return GridSearchCV(pipeline, grid, cv=3, refit=False).fit(X, y), len(calls)

    cached, n_calls = search(str(tmp_path))
    assert n_calls == entries(tmp_path) == 3
    plain, n_calls = search(None)
    assert n_calls == 8 * 3
    np.testing.assert_allclose(cached.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=0.01)


def test_other_rows_classes_seeds_and_options_are_learned_anew(tmp_path):
    X, y = rows_of((400, 30))
    other = rows_of((400, 30), seed=1)[0]
    pca = ProjectionEmbedder("pca", 3, random_state=0, memory=str(tmp_path))
    first = pca.fit(X).projection_
    assert_same_fit(clone(pca).fit(other), ProjectionEmbedder("pca", 3).fit(other), other, **ROUNDING)
    assert entries(tmp_path) == 2
    np.testing.assert_array_equal(clone(pca).fit(X, y).projection_, first)  # it does not look at y
    assert entries(tmp_path) == 2
    clone(pca).set_params(method_params={"svd_solver": "full"}).fit(X)
    clone(pca).set_params(random_state=1).fit(X)
    assert entries(tmp_path) == 4
    lda = clone(pca).set_params(method="lda").fit(X, y).projection_
    assert not np.allclose(lda, clone(pca).set_params(method="lda").fit(X, np.sort(y)).projection_)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "csr_array"])
def test_the_same_sparse_matrix_is_known_again(tmp_path, kind):
    X = getattr(sparse, kind)(rows_of((300, 40), share_of_zeros=0.8)[0])
    fresh = type(X)((X.data, X.indices, X.indptr), shape=X.shape)  # nobody asked yet whether it is sorted
    embedder = ProjectionEmbedder("svd", 3, random_state=0, memory=str(tmp_path))
    clone(embedder).fit(fresh)
    assert fresh.has_canonical_format  # asking leaves a mark on it
    clone(embedder).fit(fresh)
    clone(embedder).fit(X.copy())
    assert entries(tmp_path) == 1


@pytest.mark.parametrize("memory", [str, partial(joblib.Memory, verbose=0)], ids=["path", "Memory"])
@pytest.mark.parametrize("method", ["random", "nca"])
def test_methods_without_an_order_are_kept_as_they_are(tmp_path, method, memory):
    X, y = rows_of((90, 10))
    memory = memory(tmp_path)
    plain = ProjectionEmbedder(method, 3, max_iter=3, random_state=0).fit(X, y)
    for _ in range(2):
        np.testing.assert_array_equal(clone(plain).set_params(memory=memory).fit(X, y).projection_, plain.projection_)
    assert entries(tmp_path) == 1
    clone(plain).set_params(memory=memory, whiten=True).fit(X, y)
    assert entries(tmp_path) == 1
    clone(plain).set_params(memory=memory, embedding_dim=2).fit(X, y)
    assert entries(tmp_path) == 2


def test_sparse_random_directions_come_back_sparse(tmp_path):
    X, _ = rows_of((90, 60))
    embedder = ProjectionEmbedder("random", 20, method_params={"density": 0.1}, random_state=0, memory=str(tmp_path))
    first, second = (clone(embedder).fit(X) for _ in range(2))
    assert sparse.issparse(second.projection_)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


def test_a_generator_goes_on_as_if_nothing_had_been_kept(tmp_path):
    X, _ = rows_of((90, 10))

    def draws(memory):
        rng = np.random.RandomState(7)
        fits = [ProjectionEmbedder("random", 3, random_state=rng, memory=memory).fit(X).projection_ for _ in range(2)]
        return [*fits, rng.random_sample(4)]

    expected = draws(None)
    for memory in (str(tmp_path), str(tmp_path)):  # learned, then read
        for found, wanted in zip(draws(memory), expected):
            np.testing.assert_array_equal(found, wanted)
    assert entries(tmp_path) == 2


# ------------------------------------------------------------------------------------------------ the autoencoder


@pytest.fixture
def mixed():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    city = rng.choice(["Rome", "Oslo", "Lima"], 400)
    number = (city == "Rome") + 0.1 * rng.normal(size=400)
    number[::50] = np.nan
    return pd.DataFrame({"city": city, "number": number, "other": rng.normal(size=400)})


def net(**parameters):
    settings = {"embedding_dim": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
    return ProjectionEmbedder("autoencoder", **(settings | parameters))


def test_an_autoencoder_of_mixed_columns_is_kept(tmp_path, mixed):
    pytest.importorskip("torch")
    plain = net().fit(mixed)
    for _ in range(2):
        kept = net(memory=str(tmp_path)).fit(mixed)
        np.testing.assert_array_equal(kept.transform(mixed), plain.transform(mixed))
        np.testing.assert_array_equal(kept.embeddings_["city"].vectors, plain.embeddings_["city"].vectors)
        assert kept.inverse_transform(kept.transform(mixed))[:, 0].tolist()[:5]
        assert kept.embeddings_["city"].shared_keys is kept._codec.columns.vocabularies[0].shared_keys
        assert kept.loss_curve_ == plain.loss_curve_
        assert kept.validation_scores_ == plain.validation_scores_
    assert entries(tmp_path) == 1
    net(memory=str(tmp_path)).fit(mixed.assign(city=mixed["city"].to_numpy()[::-1]))
    net(memory=str(tmp_path), embedding_dim=1).fit(mixed)
    assert entries(tmp_path) == 3


def test_a_training_that_was_interrupted_is_not_kept(tmp_path, mixed, monkeypatch):
    pytest.importorskip("torch")
    from skembed.training.nets.autoencoder import _Trainer

    original, passes = _Trainer.validation_score, []

    def interrupted(trainer):
        passes.append(1)
        if len(passes) == 2:
            raise KeyboardInterrupt
        return original(trainer)

    monkeypatch.setattr(_Trainer, "validation_score", interrupted)
    with pytest.warns(UserWarning, match="interrupted in pass 2"):
        assert net(memory=str(tmp_path)).fit(mixed).n_iter_ == 1
    assert entries(tmp_path) == 0
    assert net(memory=str(tmp_path)).fit(mixed).n_iter_ == 3
    assert entries(tmp_path) == 1


def test_a_training_that_a_callback_stopped_is_not_kept(tmp_path, mixed, monkeypatch):
    pytest.importorskip("torch")
    from skembed.training.callbacks import PassCallbacks

    with monkeypatch.context() as patch:
        patch.setattr(PassCallbacks, "end_pass", lambda self, loss, score=None: True)
        assert net(memory=str(tmp_path)).fit(mixed).n_iter_ == 1
    assert net(memory=str(tmp_path)).fit(mixed).n_iter_ == 3
    assert entries(tmp_path) == 1


def test_a_loss_that_is_not_finite_is_warned_of_each_time(tmp_path, mixed, monkeypatch):
    pytest.importorskip("torch")
    from skembed.training.nets.autoencoder import _Trainer

    monkeypatch.setattr(_Trainer, "validation_score", lambda trainer: float("nan"))
    for _ in range(2):
        with pytest.warns(UserWarning, match="is not finite"):
            net(memory=str(tmp_path)).fit(mixed)
    assert entries(tmp_path) == 0


# ------------------------------------------------------------------------------------------- as a parameter


@pytest.mark.parametrize("method", [*LINEAR, "autoencoder"])
@pytest.mark.parametrize("memory", [1, 0.5, ["folder"], object()], ids=["int", "float", "list", "object"])
def test_bad_memory_is_refused(method, memory):
    with pytest.raises(ValueError, match=r"'memory' .*ProjectionEmbedder"):
        ProjectionEmbedder(method, memory=memory).fit(*rows_of((40, 5)))


def test_clone_and_pickle(tmp_path):
    X, _ = rows_of((400, 30))
    for memory in (str(tmp_path), joblib.Memory(str(tmp_path), verbose=0)):
        fitted = clone(ProjectionEmbedder("pca", 4, memory=memory)).fit(X)
        again = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
        assert len(pickle.dumps(fitted)) < 8_000  # what was cut away is not in it
        clone(again).fit(X)
    assert entries(tmp_path) == 1


def test_partial_fit_does_not_look_at_it(tmp_path):
    X, _ = rows_of((400, 30))
    kept = ProjectionEmbedder("pca", 4, memory=str(tmp_path)).partial_fit(X[:200]).partial_fit(X[200:])
    plain = ProjectionEmbedder("pca", 4).partial_fit(X[:200]).partial_fit(X[200:])
    np.testing.assert_array_equal(kept.projection_, plain.projection_)
    assert entries(tmp_path) == 0
    plain.fit(X[:200]).partial_fit(X[200:])
    kept.fit(X[:200]).partial_fit(X[200:])  # from a cut
    np.testing.assert_allclose(kept.projection_, plain.projection_, atol=1e-9)


@pytest.mark.parametrize("method", LINEAR)
def test_scikit_learns_checks(tmp_path, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(ProjectionEmbedder(method, memory=str(tmp_path)))
