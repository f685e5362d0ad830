"""ProjectionEmbedder's autoencoder: mixed columns, as good as principal components and better where they bend."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, make_swiss_roll
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skembed import ProjectionEmbedder
from skembed.training.autoencoder import level_weight


def autoencoder(embedding_dim=2, **parameters):
    return ProjectionEmbedder("autoencoder", embedding_dim, **{"random_state": 0, "max_iter": 5} | parameters)


def reconstruction_error(embedder, X):
    return float(((embedder.inverse_transform(embedder.transform(X)) - X) ** 2).mean())


@pytest.fixture(scope="module")
def mixed():
    """A number and two categories that say the same thing, and a number that says something else."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 4, 400)
    X = np.empty((400, 4), dtype=object)
    X[:, 0] = 10.0 * kind + rng.standard_normal(400)
    X[:, 1] = np.array(["oak", "fir", "elm", "yew"])[kind]
    X[:, 2] = np.array([7, 7, 9, 9])[kind]
    X[:, 3] = rng.standard_normal(400) * 1000
    return X, kind


# ------------------------------------------------------------------------------------------------------- learning


def test_begins_as_principal_components():
    X = StandardScaler().fit_transform(load_digits().data)
    start = autoencoder(5, max_iter=0).fit(X)
    pca = ProjectionEmbedder("pca", 5).fit(X)
    np.testing.assert_allclose(np.abs(start.transform(X)), np.abs(pca.transform(X)), atol=1e-4)
    np.testing.assert_allclose(reconstruction_error(start, X), reconstruction_error(pca, X), rtol=1e-5)
    assert start.loss_curve_ == []
    assert start.n_iter_ == 1


def test_numbers_far_from_zero_count_like_others():
    X = np.random.default_rng(0).standard_normal((300, 3))
    near, far = (ProjectionEmbedder("autoencoder", 2, max_iter=0, random_state=0).fit(x) for x in (X, X + 1.7e9))
    np.testing.assert_allclose(far.transform(X + 1.7e9), near.transform(X), atol=1e-5)
    np.testing.assert_allclose(
        far.inverse_transform(near.transform(X)) - 1.7e9, near.inverse_transform(near.transform(X)), atol=1e-5
    )


def test_is_better_than_principal_components_where_rows_lie_on_a_bend():
    X = StandardScaler().fit_transform(make_swiss_roll(1000, random_state=0)[0])
    train, test = train_test_split(X, random_state=0)
    fitted = autoencoder(2, max_iter=60).fit(train)
    linear = reconstruction_error(ProjectionEmbedder("pca", 2).fit(train), test)
    assert reconstruction_error(fitted, test) < 0.5 * linear
    assert len(fitted.loss_curve_) == len(fitted.validation_scores_) == fitted.n_iter_
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]


def test_stays_principal_components_where_nothing_is_gained():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 10)) + rng.standard_normal((200, 10))
    X = StandardScaler().fit_transform(X)
    fitted = autoencoder(3, max_iter=20).fit(X)
    np.testing.assert_allclose(fitted.transform(X), autoencoder(3, max_iter=0).fit_transform(X), atol=1e-3)


def test_the_code_is_centered_and_uncorrelated():
    X = load_digits().data[:600]
    for whiten in (False, True):
        fitted = autoencoder(4, whiten=whiten, hidden_layer_sizes=(32,), early_stopping=False).fit(X)
        covariance = np.cov(fitted.transform(X).T)
        np.testing.assert_allclose(fitted.transform(X).mean(axis=0), 0, atol=1e-4)
        if whiten:
            np.testing.assert_allclose(covariance, np.eye(4), atol=1e-3)
        else:
            assert (np.diff(np.diag(covariance)) < 0).all()
            off = covariance - np.diag(np.diag(covariance))
            assert np.abs(off).max() < 1e-3 * covariance.max()
        other = autoencoder(4, whiten=not whiten, hidden_layer_sizes=(32,), early_stopping=False).fit(X)
        np.testing.assert_allclose(  # turned and scaled, the decoder says the same
            fitted.inverse_transform(fitted.transform(X)), other.inverse_transform(other.transform(X)), atol=1e-2
        )


def test_more_dimensions_than_columns():
    X = np.random.default_rng(0).standard_normal((300, 3))
    fitted = autoencoder(12, hidden_layer_sizes=(16,)).fit(X)
    assert fitted.transform(X).shape == (300, 12)
    assert reconstruction_error(fitted, X) < 1e-2


def test_dimensions_beyond_those_of_the_input_begin_with_spreads_like_the_others():
    X = np.random.default_rng(0).standard_normal((300, 16))
    codes = autoencoder(48, max_iter=0).fit_transform(X)
    assert 0.7 * 48 < codes.var(axis=0).sum() < 1.3 * 48


@pytest.mark.parametrize("sizes", [(), (8,), [16, 8]])
def test_hidden_layers(sizes):
    X = load_digits().data[:400]
    fitted = autoencoder(2, hidden_layer_sizes=sizes, early_stopping=False).fit(X)
    assert fitted.transform(X).shape == (400, 2)
    assert fitted.inverse_transform(fitted.transform(X)).shape == X.shape
    assert fitted.validation_scores_ == []


def test_auto_is_what_principal_components_need():
    X = load_digits().data
    pca = ProjectionEmbedder("pca", 0.6).fit(StandardScaler().fit_transform(X))
    assert autoencoder(0.6, max_iter=0).fit(X).transform(X).shape[1] == pca.projection_.shape[1]


# ------------------------------------------------------------------------------------------------- mixed columns


@pytest.mark.parametrize("max_iter", [0, 30])
def test_mixed_columns(mixed, max_iter):
    X, kind = mixed
    fitted = autoencoder(4, categorical_features=[1, 2], max_iter=max_iter, learning_rate=0.003).fit(X)
    Z = fitted.transform(X)
    assert Z.shape == (400, 4)
    assert Z.dtype == np.float64
    centers = np.array([Z[kind == k].mean(axis=0) for k in range(4)])
    nearest = ((Z[:, None, :2] - centers[:, :2]) ** 2).sum(axis=2).argmin(axis=1)
    back = fitted.inverse_transform(Z)
    assert back.dtype == object
    assert (back[:, 1] == X[:, 1]).mean() > 0.95
    assert (back[:, 2] == X[:, 2]).mean() > 0.95
    assert (nearest == kind).mean() > 0.7
    assert (Z.std(axis=0) > 0.1).all()
    assert np.corrcoef(back[:, 3].astype(float), X[:, 3].astype(float))[0, 1] > 0.8
    assert not hasattr(fitted, "projection_")
    assert not hasattr(fitted, "embedding_")


@pytest.mark.parametrize("some_missing", [False, True])
def test_levels_are_tables(mixed, some_missing):
    X = mixed[0].copy()
    if some_missing:
        X[::5, 0] = None
    fitted = autoencoder(2, categorical_features=[1, 2], max_iter=0).fit(X)
    assert set(fitted.embeddings_) == {"x1", "x2"}
    tree = fitted.embeddings_["x1"]
    assert set(tree.keys) == {"oak", "fir", "elm", "yew"}
    # a row that has the level, its other columns at their means; unknown levels are average
    row = np.array([[np.nanmean(X[:, 0].astype(float)), "elm", "new", X[:, 3].mean()]], dtype=object)
    np.testing.assert_allclose(fitted.transform(row)[0], tree["elm"], atol=1e-4)
    row[0, 1] = "ash"
    np.testing.assert_allclose(fitted.transform(row)[0], tree.unknown, atol=1e-4)
    np.testing.assert_allclose(tree.unknown, 0, atol=1e-4)


def test_frames_of_each_kind(frame, mixed):
    X, _ = mixed
    names = ["size", "tree", "code", "weight"]
    columns = dict(zip(names, X.T.tolist()))
    columns["code"] = [str(v) for v in columns["code"]]
    given = frame(columns)
    fitted = autoencoder(2, categorical_features=[1, 2] if not frame.named else "from_dtype").fit(given)
    expected = autoencoder(2, categorical_features=[1, 2]).fit(np.array(list(columns.values()), dtype=object).T)
    np.testing.assert_array_equal(
        fitted.transform(given), expected.transform(np.array(list(columns.values()), dtype=object).T)
    )
    assert list(fitted.embeddings_) == (["tree", "code"] if frame.named else ["x1", "x2"])


def test_what_is_masked_is_missing():
    X = np.random.default_rng(0).normal(size=(40, 3))
    masked = np.ma.array(X, mask=X > 1)
    embedder = ProjectionEmbedder("autoencoder", 2, max_iter=2, random_state=0)
    found = embedder.fit_transform(masked)
    np.testing.assert_array_equal(found, embedder.fit_transform(np.where(X > 1, np.nan, X)))
    np.testing.assert_array_equal(found, embedder.transform(masked))


def test_missing_numbers_and_levels(mixed):
    X, _ = mixed
    X = X.copy()
    X[::5, 0] = None
    X[::7, 1] = np.nan
    fitted = autoencoder(2, categorical_features=[1, 2]).fit(X)
    assert None in fitted.embeddings_["x1"]
    out = fitted.transform(np.array([[np.nan, None, np.nan, None]] * 3, dtype=object))  # never missing in fit, too
    assert np.isfinite(out).all()
    back = fitted.inverse_transform(fitted.transform(X))
    assert np.isfinite(back[:, [0, 3]].astype(float)).all()
    numbers = np.where(np.random.default_rng(0).random((300, 5)) < 0.2, np.nan, 1.5)
    assert np.isfinite(autoencoder(2).fit_transform(numbers)).all()


def test_blocks_of_rows_change_nothing(mixed, monkeypatch):
    from skembed.projection import _autoencoder

    X = mixed[0].copy()
    X[::5, 0] = None
    fitted = autoencoder(2, categorical_features=[1, 2], max_iter=0).fit(X)
    Z = fitted.transform(X)
    back = fitted.inverse_transform(Z)
    monkeypatch.setattr(_autoencoder, "BLOCK_ROWS", 7)
    np.testing.assert_allclose(fitted.transform(X), Z, rtol=1e-5, atol=1e-5)
    again = fitted.inverse_transform(Z)
    np.testing.assert_array_equal(again[:, [1, 2]], back[:, [1, 2]])
    np.testing.assert_allclose(again[:, [0, 3]].astype(float), back[:, [0, 3]].astype(float), rtol=1e-4)


def test_fewer_than_twenty_rows_leave_it_as_it_begins():
    X = np.random.default_rng(0).normal(size=(20, 4))
    assert len(autoencoder(2, max_iter=2).fit(X).loss_curve_) == 2
    few = autoencoder(2, max_iter=2).fit(X[:19])
    assert few.loss_curve_ == []
    np.testing.assert_array_equal(few.transform(X), autoencoder(2, max_iter=0).fit(X[:19]).transform(X))


def test_rows_are_left_to_learn_from_whatever_share_is_held_out():
    X = np.random.default_rng(0).normal(size=(20, 4))
    assert min(autoencoder(2, max_iter=2, validation_fraction=0.99).fit(X).loss_curve_) > 0


def test_rare_levels_share_a_vector():
    rng = np.random.default_rng(0)
    X = np.array([[rng.choice(["a", "b", "c"]) if i % 9 else f"rare{i}"] for i in range(300)], dtype=object)
    fitted = autoencoder(2, categorical_features="all", min_frequency=10).fit(X)
    assert set(fitted.embeddings_["x0"].keys) == {"a", "b", "c"}
    Z = fitted.transform([["rare0"], ["rare9"], ["never seen"], ["a"]])
    np.testing.assert_array_equal(Z[0], Z[1])
    np.testing.assert_array_equal(Z[0], Z[2])
    assert not np.allclose(Z[0], Z[3])
    assert len(autoencoder(2, categorical_features=[0], max_categories=3).fit(X).embeddings_["x0"]) == 2


def test_many_levels_are_read_sparse(monkeypatch):
    from skembed.projection import _autoencoder

    rng = np.random.default_rng(0)
    X = np.array([[f"a{k}", f"b{k % 7}"] for k in rng.integers(0, 60, 500)], dtype=object)
    expected = autoencoder(6, categorical_features="all", max_iter=0).fit_transform(X)  # all that the columns share
    monkeypatch.setattr(_autoencoder, "DENSE_VALUES", 0)
    found = autoencoder(6, categorical_features="all", max_iter=0).fit_transform(X)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, rtol=1e-3, atol=1e-3)  # their order is free


@pytest.mark.parametrize(
    ("features", "message"),
    [(["tree"], "names 'tree', which is not in X"), ([9], "holds 9"), ([True], "mask of 1 values; expected 4")],
)
def test_bad_categorical_features(mixed, features, message):
    with pytest.raises(ValueError, match=f"categorical_features.*{message}"):
        autoencoder(categorical_features=features).fit(mixed[0])


def test_text_where_numbers_are_meant(mixed):
    with pytest.raises(ValueError, match=r"column 'x1' holds 'oak'|column 'x1'.*Declare the column categorical"):
        autoencoder(categorical_features=[2]).fit(mixed[0])
    for X in (mixed[0], np.array([["a", "b"]] * 9)):
        with pytest.raises(ValueError, match=r"X holds text .*method='pca' takes numbers only"):
            ProjectionEmbedder("pca", 1).fit(X)


# --------------------------------------------------------------------------------------------------- running


def test_the_seed_decides():
    X = load_digits().data[:300].astype(np.float32)
    import torch

    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second, other = (autoencoder(2, early_stopping=False, random_state=s).fit_transform(X) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert not np.allclose(first, other)
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()


def test_transform_needs_no_torch(tmp_path):
    X = load_digits().data[:300]
    fitted = autoencoder(2, early_stopping=False).fit(X)
    (tmp_path / "embedder").write_bytes(pickle.dumps((fitted, X, fitted.transform(X))))
    code = (
        "import pickle, sys, numpy as np\n"
        "fitted, X, Z = pickle.load(open(sys.argv[1], 'rb'))\n"
        # a matrix product has other last bits with another number of BLAS threads, which is a process's own affair
        "np.testing.assert_allclose(fitted.transform(X), Z, rtol=1e-12, atol=1e-13)\n"
        "fitted.inverse_transform(Z), fitted.get_feature_names_out()\n"
        "print([m for m in ('torch', 'numba') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "embedder")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_few_rows_are_left_to_principal_components():
    X = load_digits().data
    fitted = autoencoder(2).fit(X[:10])
    assert fitted.loss_curve_ == []
    assert np.isfinite(fitted.transform(X)).all()


def test_a_learning_rate_that_is_too_high():
    X = load_digits().data[:300]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = autoencoder(2, learning_rate=1e6, early_stopping=False).fit(X)
    assert np.isfinite(fitted.transform(X)).all()
    assert all(issubclass(w.category, ConvergenceWarning) for w in caught)


class Listener:
    """A callback of scikit-learn 1.9 that counts passes and stops after some."""

    def __init__(self, stop_after=None):
        self.losses, self.stop_after, self.n_ended = [], stop_after, 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **_):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None, **_):
        self.n_ended += 1
        if context.task_name == "pass":
            self.losses.append(metadata["loss"])
        return len(self.losses) == self.stop_after


def test_callbacks_are_told_of_passes():
    from skembed.training.callbacks import HAS_CALLBACKS

    if not HAS_CALLBACKS:
        pytest.skip("scikit-learn has no callbacks before 1.9")
    X = load_digits().data[:100]
    listener = Listener()
    fitted = autoencoder(2, max_iter=3).set_callbacks(listener).fit(X)
    assert listener.losses == fitted.loss_curve_
    assert autoencoder(2).set_callbacks(Listener(stop_after=2)).fit(X).n_iter_ == 2
    for method in ("pca", "random"):
        listener = Listener()
        ProjectionEmbedder(method, 2).set_callbacks(listener).fit_transform(X)
        assert listener.n_ended == 1


def test_a_level_of_its_own_in_nearly_every_row_is_told_of():
    X = np.array([[f"id {i}", i % 3] for i in range(60)], dtype=object)
    with pytest.warns(UserWarning, match="column 'x0' has a level of its own in nearly every row, such as 'id 59'"):
        ProjectionEmbedder("autoencoder", embedding_dim=2, max_iter=1, random_state=0).fit(X)


def test_weights_of_levels():
    shares = np.random.default_rng(0).dirichlet(np.ones(300))
    for some in (shares, np.r_[0.0, shares]):  # levels that no row has cost nothing
        assert level_weight(some) == pytest.approx(-0.5 / (shares @ np.log(shares)))
    for some in ([0.9, 0.1], [1.0], [0.0, 1.0]):
        assert level_weight(np.array(some)) == 1


def test_a_column_of_many_levels_counts_as_a_number_does():
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((1500, 2))
    places = rng.standard_normal((300, 2))
    nearest = (np.square(latent[:, None] - places).sum(axis=2) + rng.gumbel(size=(1500, 300))).argmin(axis=1)
    numbers = latent @ rng.standard_normal((2, 5)) + 0.7 * rng.standard_normal((1500, 5))
    X = pd.DataFrame(numbers).rename(columns=str).assign(place=np.char.mod("p%d", nearest))
    scaled = StandardScaler().fit(numbers[:1000])
    left = []
    for max_iter in (0, 30):
        fitted = ProjectionEmbedder("autoencoder", 2, random_state=0, max_iter=max_iter).fit(X[:1000])
        found = fitted.inverse_transform(fitted.transform(X[1000:]))[:, :5].astype(float)
        left.append(np.square(scaled.transform(found) - scaled.transform(numbers[1000:])).mean())
    assert left[1] < 0.95 * left[0]


@pytest.mark.parametrize("n", [60, 90])
def test_few_rows_on_a_curved_surface_are_enough(n):
    rng = np.random.default_rng(0)
    latent = rng.uniform(-1, 1, (n + 500, 2))
    X = np.sin(latent @ (2 * rng.standard_normal((2, 20))) + rng.uniform(0, 6, 20))
    X += 0.1 * rng.standard_normal(X.shape)
    left = []
    for options in ({"max_iter": 0}, {}):
        fitted = ProjectionEmbedder("autoencoder", 2, random_state=0, **options).fit(X[:n])
        found = fitted.inverse_transform(fitted.transform(X[n:]))
        left.append(np.square(found - X[n:]).mean())
    assert left[1] < 0.8 * left[0]


def test_few_rows_that_are_noise_keep_the_components_of_all_of_them():
    X = np.random.default_rng(0).standard_normal((60, 20))
    start = ProjectionEmbedder("autoencoder", 2, random_state=0, max_iter=0).fit_transform(X)
    np.testing.assert_array_equal(ProjectionEmbedder("autoencoder", 2, random_state=0).fit_transform(X), start)
