"""Parts of CCAEmbedder: centred products in blocks, types of numbers, and what is said of other rows."""

import numpy as np
import pytest
from constraints import check_taken_and_refused
from scipy import sparse

from skembed import EmbeddingTable
from skembed.pairs import CCAEmbedder, translate

RNG = np.random.default_rng(0)
MEANING = RNG.normal(size=(120, 3))
X = MEANING @ RNG.normal(size=(3, 6)) + 0.1 * RNG.normal(size=(120, 6)) + 5
Y = MEANING @ RNG.normal(size=(3, 4)) + 0.1 * RNG.normal(size=(120, 4)) - 2


@pytest.fixture(scope="module")
def fitted():
    return CCAEmbedder(2, shrinkage=0.1).fit(X, Y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_vectors_are_centred_products(fitted, monkeypatch, dtype, form):
    for limit in (None, 13):
        if limit:
            monkeypatch.setattr(
                "skembed.pairs._cca_embedder.slices", lambda n, width: [slice(i, i + 13) for i in range(0, n, 13)]
            )
        left, right = fitted.transform(form(X.astype(dtype)), form(Y.astype(dtype)))
        assert left.dtype == right.dtype == dtype
        np.testing.assert_allclose(left, (X - X.mean(axis=0)) @ fitted.x_rotations_, atol=1e-4)
        np.testing.assert_allclose(right, (Y - Y.mean(axis=0)) @ fitted.y_rotations_, atol=1e-4)
        np.testing.assert_array_equal(fitted.transform(form(X.astype(dtype))), left)
        np.testing.assert_array_equal(fitted.transform(None, form(Y.astype(dtype))), right)
        predicted = fitted.predict(form(X.astype(dtype)))
        assert predicted.dtype == np.float64
        np.testing.assert_allclose(predicted, left @ fitted.y_loadings_.T + Y.mean(axis=0), atol=1e-4)


def test_what_is_learned_and_told(fitted):
    assert fitted.correlations_.shape == (2,)
    assert fitted.correlations_[0] > fitted.correlations_[1] > 0.9
    assert fitted.shrinkage_ == 0.1
    assert fitted.trials_ == []
    assert fitted.n_targets_ == 4
    np.testing.assert_allclose(fitted.x_mean_, X.mean(axis=0))
    np.testing.assert_allclose(fitted.y_mean_, Y.mean(axis=0))
    assert fitted.get_feature_names_out().tolist() == ["ccaembedder0", "ccaembedder1"]
    left, right = CCAEmbedder(2, shrinkage=0.1).fit_transform(X, Y)
    np.testing.assert_array_equal(left, fitted.transform(X))
    np.testing.assert_array_equal(right, fitted.transform(None, Y))
    assert CCAEmbedder(shrinkage=0.1).fit(X, Y).correlations_.shape == (4,)
    chosen = CCAEmbedder().fit(X, Y)
    assert chosen.trials_
    assert all(type(trial) is tuple for trial in chosen.trials_)
    one = CCAEmbedder(shrinkage=0.1).fit(X, Y[:, 0])
    assert one.predict(X).shape == (120,)
    assert CCAEmbedder(shrinkage=0.1).fit(X, Y[:, :1]).predict(X).shape == (120, 1)
    np.testing.assert_allclose(one.predict(X), CCAEmbedder(shrinkage=0.1).fit(X, Y[:, :1]).predict(X)[:, 0])


def test_tags():
    tags = CCAEmbedder().__sklearn_tags__()
    assert tags.input_tags.sparse
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.target_tags.single_output
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.transform(None), "transform needs X, or y, or both; got neither"),
        (lambda e: e.transform(None, Y[:, :3]), "y has 3 columns, but CCAEmbedder was fitted with 4"),
        (lambda e: e.transform(None, Y[:, 0]), "y has 1 columns, but CCAEmbedder was fitted with 4"),
        (lambda e: e.transform(X[:, :5]), "5 features"),
        (lambda e: e.predict(X * np.nan), "NaN"),
        (lambda e: e.transform(None, np.where(np.arange(4) == 2, np.inf, Y)), "y|infinity"),
        (
            lambda e: CCAEmbedder().fit(X, None),
            r"requires y to be passed, but the target y is None: it learns from pairs, fit",
        ),
        (lambda e: CCAEmbedder().fit(X, Y[:50]), "inconsistent numbers of samples"),
        (lambda e: CCAEmbedder().fit(X[:1], Y[:1]), "minimum of 2"),
    ],
)
def test_what_is_refused(fitted, call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted)


@pytest.mark.parametrize("metric", ["csls", "cosine", "euclidean", "dot"])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_translations_by_a_loop(metric, k):
    rng = np.random.default_rng(1)
    here = EmbeddingTable([f"a{i}" for i in range(15)], rng.normal(size=(15, 3)))
    there = EmbeddingTable([f"b{i}" for i in range(12)], rng.normal(size=(12, 3)), metric="dot")
    A, B = (t.vectors.astype(float) for t in (here, there))
    cosines = (A / np.linalg.norm(A, axis=1, keepdims=True)) @ (B / np.linalg.norm(B, axis=1, keepdims=True)).T
    near = np.sort(cosines, axis=1)[:, -4:].mean(axis=1)[:, None], np.sort(cosines, axis=0)[-4:].mean(axis=0)
    scores = {
        "csls": 2 * cosines - near[0] - near[1], "cosine": cosines, "dot": A @ B.T,
        "euclidean": -np.linalg.norm(A[:, None] - B[None], axis=2),
    }[metric]  # fmt: skip
    asked = ["a3", "a14", "a0"]
    found = translate(here, there, asked, k, metric=metric, n_neighbors=4)
    assert found == translate(here, there, iter(asked), k, metric=metric, n_neighbors=np.int64(4))
    for key, one in zip(asked, found, strict=True):
        row = scores[int(key[1:])]
        best = np.argsort(-row)[:k]
        assert [key for key, _ in one] == [f"b{j}" for j in best]
        np.testing.assert_allclose(
            [score for _, score in one], np.abs(row[best]) if metric == "euclidean" else row[best], atol=1e-5
        )
    again = ["a3", "a0", "a3"]
    assert translate(here, there, again, k, metric=metric, n_neighbors=4) == [found[0], found[2], found[0]]
    assert len(translate(here, there, metric=metric)) == 15
    assert [len(one) for one in translate(here, there, metric=metric)] == [1] * 15
    if metric == "csls":
        assert translate(here, there) == translate(here, there, None, 1, metric="csls", n_neighbors=10)
    with pytest.raises(
        ValueError, match="source has 3 dimensions and target 2; expected vectors of one space, as of both"
    ):
        translate(here, there.truncate(2))
    for name, value in (("k", 0), ("k", True), ("k", 1.5), ("n_neighbors", 0)):
        with pytest.raises(ValueError, match=f"{name} must be a positive int, got {value!r}"):
            translate(here, there, **{name: value})


def test_a_fit_that_fails_leaves_what_was_fitted():
    embedder = CCAEmbedder(2, shrinkage=0.1).fit(X, Y)
    before = embedder.transform(X, Y)
    with pytest.raises(ValueError, match="y is constant"):
        embedder.fit(X[:, :4], np.ones((len(X), 3)))
    np.testing.assert_array_equal(embedder.transform(X, Y), before)


TAKEN = {
    "embedding_dim": ([None, 1, np.int64(9)], [0, -1, 1.5, "auto"]),
    "shrinkage": (["auto", 0, 0.0, 0.5, 1, 1.0], [-0.1, 1.1, "none", None]),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_values_that_are_taken_and_that_are_refused(name):
    check_taken_and_refused(CCAEmbedder, name, *TAKEN[name])


def test_each_parameter_is_in_the_table():
    assert set(TAKEN) == set(CCAEmbedder().get_params())
