"""CooccurrenceEncoder: categories from the categories beside them."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skembed import CooccurrenceEncoder, EntityEmbeddingEncoder
from skembed.categorical import _cooccurrence
from skembed.training import factorization

METHODS = ["ppmi-svd", "skip-gram", "glove"]
pytestmark = pytest.mark.filterwarnings("ignore:column:UserWarning")


def encoder(**parameters):
    return CooccurrenceEncoder(**({"random_state": 0} | parameters))


def groups(seed=0, n=600, n_levels=12, n_columns=4, noise=0.0):
    """Columns whose levels go by a hidden group of three: level i of each column is of group i % 3."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n)
    X = 3 * rng.integers(n_levels // 3, size=(n, n_columns)) + group[:, None]
    X = np.where(rng.random(X.shape) < noise, rng.integers(n_levels, size=X.shape), X)
    return pd.DataFrame({f"c{c}": [f"{v:02d}" for v in column] for c, column in enumerate(X.T)}), group


@parametrize_with_checks([CooccurrenceEncoder(method=method, max_iter=3) for method in METHODS])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_columns_that_say_nothing_are_named():
    X, _ = groups()
    X["one"], X["ids"] = "a", np.arange(len(X)).astype(str)
    with pytest.warns(UserWarning, match="leave it out of X") as caught:
        encoder().fit(X)
    messages = [str(warning.message) for warning in caught]
    assert [any(f"column {name!r}" in message for message in messages) for name in ("c0", "one", "ids")] == [0, 1, 1]


def test_rare_levels_are_met_more_often_by_skip_gram():
    """Fifteen passes left levels of a dozen rows where they began; scaled to one spread, that was what a table held."""
    X, _ = groups(n=600, n_levels=150, noise=0.2)
    fitted = encoder(method="skip-gram").fit(X)
    assert fitted.n_iter_ == int(np.ceil(200 * sum(X.nunique()) / X.size)) == 50
    shares = [
        np.mean([int(other) % 3 == int(key) % 3 for key in table.keys for other, _ in table.nearest(key, k=5)])
        for table in fitted.embeddings_.values()
    ]
    assert min(shares) > 0.55  # chance is a third
    assert encoder(method="skip-gram", max_iter=7).fit(X).n_iter_ == 7
    assert fitted.partial_fit(X[:100]).n_iter_ == 50 + 15
    assert encoder(method="glove").fit(X).n_iter_ == 15
    assert encoder(method="skip-gram").fit(groups()[0]).n_iter_ == 15  # levels have fifty rows


@pytest.mark.parametrize("method", METHODS)
def test_levels_of_a_group_lie_together(method):
    X, _ = groups(n=2000, noise=0.2)  # GloVe learns from pairs that occur: all of them have to
    fitted = encoder(embedding_dim=4, method=method, max_iter=40).fit(X)
    for table in fitted.embeddings_.values():
        for key in table.keys:
            nearest = [int(other) % 3 for other, _ in table.nearest(key, k=3)]
            assert nearest == [int(key) % 3] * 3


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_number_of_threads_and_any_container(method):
    X, _ = groups()
    first = encoder(method=method, max_iter=3).fit(X)
    frames = [X, X.to_numpy(dtype=object), pytest.importorskip("polars").from_pandas(X), X.astype("category")]
    for n_jobs, frame in zip((2, 3, 1, -1), frames):
        again = encoder(method=method, max_iter=3, n_jobs=n_jobs).fit(frame)
        for a, b in zip(first.embeddings_.values(), again.embeddings_.values()):
            np.testing.assert_array_equal(a.vectors, b.vectors)
            assert list(a.keys) == list(b.keys)


def test_spread_of_each_column_is_that_of_one_hot_columns_and_falls_from_dimension_to_dimension():
    """At unit spread a flag of few rows was as long as a number: neighbours lost .010 in the mean of 272 targets."""
    X, _ = groups()
    fitted = encoder().fit(X)
    out = fitted.transform(X).astype(float)
    start = 0
    for column, table in zip(np.asarray(X).T, fitted.embeddings_.values()):
        part = out[:, start : start + table.embedding_dim]
        start += table.embedding_dim
        one_hot = column[:, None] == np.unique(column)
        assert part.var(axis=0).sum() == pytest.approx(one_hot.var(axis=0).sum(), abs=1e-3)
        assert (np.diff(part.var(axis=0)) <= 1e-6).all()
    assert start == out.shape[1] == len(fitted.get_feature_names_out())


def test_the_dimension_is_a_parameter_of_a_grid():
    X, y = groups()
    pipeline = make_pipeline(encoder(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"cooccurrenceencoder__embedding_dim": [1, 2, "auto"]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.99
    assert encoder(embedding_dim={"c0": 2, "c1": 3}).fit(X).transform(X).shape == (len(X), 2 + 3 + 11 + 11)


def test_rows_without_a_target_give_levels_a_meaning():
    """Of 12 levels, the labelled rows show six; the others are known from unlabelled rows alone."""
    X, group = groups(n=3000)
    labelled = (X["c0"].astype(int) < 6) & (np.arange(len(X)) < 300)
    y = (group == 1).astype(int)
    model = LogisticRegression(max_iter=1000)
    everything = encoder(embedding_dim=2).fit(X)
    one = everything.transform(X)[:, :2]
    unseen = X["c0"].astype(int) >= 6
    assert model.fit(one[labelled], y[labelled]).score(one[unseen], y[unseen]) > 0.95
    tables = {"c0": everything.embeddings_["c0"]}
    supervised = EntityEmbeddingEncoder(init=tables, init_frozen=True, random_state=0).fit(
        X[labelled][["c0"]], y[labelled]
    )
    np.testing.assert_allclose(
        supervised.transform(X[labelled][["c0"]]), everything.embeddings_["c0"].lookup(X[labelled]["c0"]), rtol=1e-5
    )


def test_unknown_and_rare_levels():
    X, _ = groups()
    X.loc[0, "c0"] = "once"
    fitted = encoder(min_frequency=2).fit(X)
    assert list(fitted.infrequent_categories_[0]) == ["once"]
    table = fitted.embeddings_["c0"]
    assert table.unknown.any()
    row = X.iloc[[5]].assign(c0="never met")
    np.testing.assert_array_equal(fitted.transform(row)[0, : table.embedding_dim], table.unknown)
    np.testing.assert_array_equal(encoder().fit(X).embeddings_["c0"].unknown, 0)  # none is rare: the mean
    with pytest.raises(ValueError, match=r"unknown categories in column 'c0'.*'never met'"):
        encoder(handle_unknown="error").fit(X).transform(row)


def test_missing_values_are_a_level():
    X, _ = groups()
    X.loc[:99, "c0"] = None
    fitted = encoder().fit(X)
    assert None in fitted.embeddings_["c0"]
    with_nan = X.assign(c0=X["c0"].where(X["c0"].notna(), np.nan))
    np.testing.assert_array_equal(fitted.transform(X), fitted.transform(with_nan))


def test_one_column_has_nothing_to_occur_with():
    X, _ = groups()
    with pytest.raises(ValueError, match=r"1 feature\(s\) of X take part, 'c0'.*two columns"):
        encoder().fit(X[["c0"]])


def test_numeric_columns_take_part_as_bins_and_pass_through():
    X, group = groups()
    rng = np.random.default_rng(0)
    X = X[["c0"]].assign(size=group + 0.1 * rng.standard_normal(len(X)))
    X.loc[3, "size"] = np.nan
    fitted = encoder(categorical_features=["c0"], remainder="passthrough").fit(X)
    table = fitted.embeddings_["c0"]
    assert all(int(table.nearest(key, k=1)[0][0]) % 3 == int(key) % 3 for key in table.keys)
    out = fitted.transform(X)
    np.testing.assert_array_equal(out[:, -1], X["size"])
    assert fitted.get_feature_names_out()[-1] == "size"
    assert fitted.inverse_transform(out)[0, 0] == X["c0"][0]
    with pytest.raises(ValueError, match="take part"):
        encoder(categorical_features=["c0"], n_bins=None).fit(X)


def test_partial_fit_goes_on_and_adds_levels():
    X, _ = groups(n=1200)
    first, second = X[X["c0"] < "06"], X[X["c0"] >= "06"]
    fitted = encoder(method="skip-gram", max_iter=20).fit(first)
    before = fitted.transform(first)
    fitted.partial_fit(second).partial_fit(X)
    assert len(fitted.embeddings_["c0"]) == 12
    table = fitted.embeddings_["c0"]
    assert np.mean([int(table.nearest(key, k=1)[0][0]) % 3 == int(key) % 3 for key in table.keys]) > 0.8
    after = fitted.transform(first)
    assert before.shape == after.shape
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        encoder().partial_fit(X)


@pytest.mark.parametrize("method", ["ppmi-svd", "glove"])
def test_partial_fit_does_not_forget_what_another_method_learned(method):
    X, _ = groups(n=200)
    fitted = encoder(method=method, max_iter=2).fit(X).set_params(method="skip-gram")
    before = fitted.transform(X)
    with pytest.raises(ValueError, match="the tables are of another method: call fit"):
        fitted.partial_fit(X[:50])
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_each_partial_fit_draws_numbers_of_its_own(monkeypatch):
    X, _ = groups(n=200)
    seeds, original = [], _cooccurrence.learn_keys

    def learn_keys(rows, n_keys, settings, run, start=None):
        seeds.append(run.seed)
        return original(rows, n_keys, settings, run, start)

    monkeypatch.setattr(_cooccurrence, "learn_keys", learn_keys)
    first, second = (encoder(method="skip-gram", max_iter=2).fit(X).partial_fit(X).partial_fit(X) for _ in range(2))
    assert len(set(seeds[:3])) == 3
    assert seeds[:3] == seeds[3:]
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.n_iter_ == len(first.loss_curve_) == 6
    assert first.fit(X).n_iter_ == 2
    assert seeds[-1] == seeds[0]


def test_rows_without_rare_levels_leave_the_unknown_vector_learned():
    X, _ = groups()
    X.loc[0, "c0"] = "once"
    fitted = encoder(method="skip-gram", max_iter=5, min_frequency=2).fit(X)
    assert fitted.partial_fit(X[1:]).embeddings_["c0"].unknown.any()


def test_the_unknown_vector_stays_the_mean_of_all_rows():
    X, _ = groups()
    first, second = X[X["c0"] < "06"], X[X["c0"] >= "06"]
    fitted = encoder(embedding_dim=5, method="skip-gram", max_iter=3).fit(first)
    assert not any(table.unknown.any() for table in fitted.embeddings_.values())
    fitted.partial_fit(second).partial_fit(first)
    mean = fitted.transform(pd.concat([first, second, first])).mean(axis=0)
    assert np.abs(mean).max() > 0.05
    stranger = X[:1].assign(**dict.fromkeys(X.columns, "never met"))
    np.testing.assert_allclose(fitted.transform(stranger)[0], mean, atol=1e-5)


def test_where_pairs_take_too_much_memory_those_met_least_are_left_out():
    rng = np.random.default_rng(0)
    X = rng.integers(40, size=(400, 3)).astype(str)
    X[:200, :2] = "often"
    rows, n_keys = factorization_input(X)
    settings = factorization.PPMISettings(4, memory_limit=2000)
    found = factorization.factorize_ppmi(rows, n_keys, settings, factorization.Run(0))
    assert np.isfinite(found).all()
    assert (np.abs(found).sum(axis=1) > 1e-6).sum() < n_keys / 2


def factorization_input(X):
    from skembed.data.columns import factorize
    from skembed.data.ragged import Ragged

    factors = [factorize(column) for column in X.T]
    firsts = np.cumsum([0, *(len(f.keys) for f in factors)])
    return Ragged.from_columns([f.codes for f in factors], firsts[:-1].tolist()), int(firsts[-1])


def test_factors_are_those_of_a_dense_svd():
    X, _ = groups(n=200, n_columns=3)
    rows, n_keys = factorization_input(X.to_numpy(dtype=object))
    settings = factorization.PPMISettings(5, n_power_iter=8)
    found = factorization.factorize_ppmi(rows, n_keys, settings, factorization.Run(0))
    dense = np.zeros((len(rows), n_keys))
    for i in range(len(rows)):
        dense[i, rows.indices[rows.indptr[i] : rows.indptr[i + 1]]] = 1
    common = dense.T @ dense
    np.fill_diagonal(common, 0)
    marginals, times = common.sum(axis=1), dense.sum(axis=0)
    smoothed = marginals**0.75
    with np.errstate(divide="ignore"):
        value = np.maximum(np.log(common * smoothed.sum() / np.outer(marginals, smoothed)), 0)
    fewer = np.minimum.outer(times, times)
    left, sizes, _ = np.linalg.svd(value * common / (common + 1) * fewer / (fewer + 1))
    expected = left[:, :5] * np.sqrt(sizes[:5])
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-3)


def test_a_fitted_encoder_opens_without_torch_and_numba(tmp_path):
    X, _ = groups()
    path = tmp_path / "encoder.pickle"
    path.write_bytes(pickle.dumps(encoder().fit(X)))
    code = (
        "import pickle, sys; e = pickle.load(open(sys.argv[1], 'rb')); e.transform([['01', '02', '00', 'x']] * 2);"
        "print([m for m in ('torch', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
def test_a_frame_without_categories_has_nothing_to_embed(remainder):
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    fitted = encoder(categorical_features="from_dtype", remainder=remainder).fit(X)
    assert fitted.embeddings_ == {}
    np.testing.assert_array_equal(fitted.transform(X), X if remainder == "passthrough" else np.empty((2, 0)))
    back = fitted.inverse_transform(fitted.transform(X))
    assert back.tolist() == (X.to_numpy().tolist() if remainder == "passthrough" else [[None, None]] * 2)


def test_batches_without_categories_have_nothing_to_embed():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    fitted = encoder(categorical_features="from_dtype", method="skip-gram", n_bins=None).partial_fit(X).partial_fit(X)
    assert fitted.transform(X).shape == (2, 0)


@pytest.mark.parametrize("method", ["ppmi-svd", "skip-gram", "glove"])
def test_levels_beside_numbers_that_are_all_missing_are_alone(method):
    X = pd.DataFrame({"a": list("abcd") * 10, "b": np.nan})
    with pytest.raises(
        ValueError, match=r"1 feature\(s\) of X take part, 'a'; .* two columns, or n_bins .* with values"
    ):
        encoder(categorical_features=["a"], method=method, max_iter=1).fit(X)


def test_a_batch_whose_numbers_are_all_missing_changes_no_level_that_is_known():
    X = pd.DataFrame({"a": list("abcd") * 10, "b": np.arange(40.0)})
    fitted = encoder(categorical_features=["a"], method="skip-gram", max_iter=2).fit(X)
    before = fitted.transform(X)
    np.testing.assert_array_equal(fitted.partial_fit(X.assign(b=np.nan)).transform(X), before)


def test_names_that_other_encoders_have_for_unknown_levels_are_answered():
    X, _ = groups()
    message = r"handle_unknown' parameter of CooccurrenceEncoder.*'embed' does what 'ignore'"
    with pytest.raises(ValueError, match=message):
        encoder(handle_unknown="ignore").fit(X)


@pytest.mark.parametrize(
    "X",
    [
        [["a", "x"]],
        [["a", "x"]] * 5,
        [[None, str(i % 3)] for i in range(9)],
        [[f"id{i}", f"key{i}"] for i in range(60)],
        [[1, "a"], [1.0, "a"], ["1", "b"], [True, "b"]] * 5,
        [[str(i % 5), str(i % 5)] for i in range(50)],
    ],
    ids=["one row", "constant", "missing", "unique", "types", "copy"],
)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore")
def test_faults_of_tables_give_finite_vectors(method, X):
    X = np.array(X, dtype=object)
    out = encoder(method=method, max_iter=2).fit_transform(X)
    assert out.shape[0] == len(X)
    assert np.isfinite(out).all()
