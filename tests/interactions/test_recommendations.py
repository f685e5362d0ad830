"""Recommendations and their measures beside loops over users and items, and what each parameter is for."""

import numpy as np
import pytest
from constraints import check_taken_and_refused
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler

from skembed import InteractionEmbedder
from skembed.interactions import _interaction_embedder, basket_split, recommendation_scorer

ITEMS = [f"i{i}" for i in range(9)]


def baskets(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [[ITEMS[i] for i in rng.permutation(9)[: int(rng.integers(1, 6))]] for _ in range(n)]


X = baskets()


@pytest.fixture(scope="module")
def fitted():
    return InteractionEmbedder(4, method="ease", random_state=0).fit(X)


@pytest.mark.parametrize("k", [1, 3, 9, 20])
@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("among", [None, ["i3", "i1", "i3", "i8"]])
def test_the_best_of_a_loop(fitted, k, exclude_seen, among):
    asked = [*X[:15], [], ["i3", "i1", "i8"], ["never met"]]
    keys, scores = fitted.recommend(asked, k, exclude_seen=exclude_seen, among=among)
    allowed = fitted.embedding_.keys.tolist() if among is None else [i for i in fitted.embedding_ if i in among]
    width = min(k, len(allowed))
    assert keys.shape == scores.shape == (len(asked), width)
    assert (keys.dtype, scores.dtype) == (object, np.float32)
    rows = fitted.transform(asked)
    for basket, row, best, found in zip(asked, rows, keys, scores):
        left = [i for i in allowed if not (exclude_seen and i in basket)]
        of = {i: float(row @ fitted.embedding_[i]) for i in left}
        expected = sorted(of.values(), reverse=True)[:width]
        np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-4, atol=1e-5)
        for key, score in zip(best[: len(expected)], found):
            assert of[key] == pytest.approx(score, abs=1e-4)
        assert len(set(best[: len(expected)])) == len(expected)
        assert best[len(expected) :].tolist() == [None] * (width - len(expected))
        assert np.isneginf(found[len(expected) :]).all()


def test_ten_are_recommended_of_what_a_user_has_not(fitted):
    keys, scores = fitted.recommend(X)
    assert keys.shape == (60, 9)
    again = fitted.recommend(X, 10, exclude_seen=True, among=None)
    assert (keys == again[0]).all()
    np.testing.assert_array_equal(scores, again[1])
    assert (
        len(InteractionEmbedder(2, random_state=0).fit([[str(i), str(i + 1)] for i in range(30)]).recommend([[]])[0][0])
        == 10
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.recommend(X, 0), ValueError, "k=0, expected a whole number of at least 1"),
        (lambda e: e.recommend(X, 2.5), ValueError, "k=2.5, expected a whole number"),
        (
            lambda e: e.recommend(X, among=["i1", "b", "a", "b"]),
            KeyError,
            "among names 'b', which `fit` did not meet, one of 3",
        ),
        (
            lambda e: InteractionEmbedder().fit([[], []]),
            ValueError,
            "X holds 2 users and none has an item; nothing can be lear",
        ),
        (lambda e: InteractionEmbedder().fit(np.zeros((3, 2))), ValueError, "X holds 3 users and none has an item"),
        (lambda e: InteractionEmbedder().fit([[-1.0, 2]]), ValueError, "negative|-1"),
        (
            lambda e: recommendation_scorer("precision"),
            ValueError,
            "measure='precision', expected one of 'ndcg', 'recall', 'hit",
        ),
        (lambda e: recommendation_scorer(k=0), ValueError, "k=0, expected a whole number of items from 1 on"),
        (lambda e: recommendation_scorer(k=2.5), ValueError, "k=2.5, expected a whole number of items from 1 on"),
        (lambda e: recommendation_scorer(k=True), ValueError, "k=True, expected a whole number of items from 1 on"),
        (lambda e: recommendation_scorer(k=None), ValueError, "k=None, expected a whole number of items from 1 on"),
        (
            lambda e: recommendation_scorer()(e, [["i1"], []]),
            ValueError,
            "no user of X has two items, so that nothing could be",
        ),
    ],
)
def test_what_is_refused(fitted, call, error, message):
    with pytest.raises(error, match=message):
        call(fitted)


@pytest.mark.parametrize("measure", ["ndcg", "recall", "hit-rate"])
@pytest.mark.parametrize(("k", "hidden"), [(1, 1), (2, 2), (3, 0.5), (100, 0.2)])
def test_measures_by_a_loop(fitted, measure, k, hidden):
    scorer = recommendation_scorer(measure, k, hidden=hidden, random_state=3)
    shown, held = basket_split(fitted._read(X), hidden=hidden, random_state=3)
    keys, scores = fitted._recommend(shown, k)
    total, n_users = 0.0, 0
    for row in range(len(X)):
        relevant = {fitted.embedding_.keys[i] for i in held[row].indices}
        if not relevant:
            continue
        n_users += 1
        hits = [key in relevant for key, score in zip(keys[row], scores[row]) if np.isfinite(score)]
        if measure == "ndcg":
            gain = sum(hit / np.log2(place + 2) for place, hit in enumerate(hits))
            total += gain / sum(1 / np.log2(place + 2) for place in range(min(k, len(relevant), 9)))
        elif measure == "recall":
            total += sum(hits) / min(k, len(relevant))
        else:
            total += any(hits)
    assert scorer(fitted, X) == pytest.approx(total / n_users, abs=1e-6)
    assert scorer(fitted, X, "not used") == scorer(fitted, X)
    assert type(scorer(fitted, X)) is float
    assert repr(scorer) == f"recommendation_scorer({measure!r}, k={k}, hidden={hidden}, random_state=3)"


@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize("kind", ["numpy", "pandas", "polars", "pyarrow", "sparse"])
def test_transformers_before_an_embedder_are_given_what_they_know(kind, output, recwarn):
    dense = (np.random.default_rng(0).random((40, 9)) < 0.4) * 2.0
    if kind == "sparse":
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(dense), columns=ITEMS)
        output = "default"  # scikit-learn makes no frame of what a transformer leaves sparse
    elif kind == "numpy":
        frame = dense
    else:
        pd = pytest.importorskip(kind)
        columns = {item: dense[:, i] for i, item in enumerate(ITEMS)}
        frame = pd.table(columns) if kind == "pyarrow" else pd.DataFrame(columns)
    scale = Binarizer() if kind == "sparse" else MinMaxScaler()
    pipeline = make_pipeline(scale, InteractionEmbedder(4, random_state=0)).set_output(transform=output)
    scorer = recommendation_scorer("recall", 3)
    assert scorer(pipeline.fit(frame), frame) == scorer(InteractionEmbedder(4, random_state=0).fit(dense > 0), dense)
    assert not recwarn.list


def test_the_score_is_the_gain_at_a_hundred_of_a_fifth_that_is_hidden(fitted):
    assert fitted.score(X) == recommendation_scorer("ndcg", 100, hidden=0.2, random_state=0)(fitted, X)
    assert fitted.score(X) != recommendation_scorer("ndcg", 100, hidden=0.2, random_state=1)(fitted, X)


def ratings(seed=0):
    matrix = sparse.random(
        50, 9, 0.35, "csr", random_state=seed, data_rvs=lambda n: np.random.default_rng(seed).integers(1, 6, n)
    )
    return matrix.astype(float)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("ease", {"penalty": 7.0}),
        ("ease", {"dropout": 0.2}),
        ("ease", {"binary": True}),
        ("ease", {"embedding_dim": 2}),
        ("ials", {"unobserved_weight": 0.5}),
        ("ials", {"penalty": 0.3}),
        ("ials", {"max_iter": 2}),
        ("ials", {"random_state": 1}),
        ("ease", {"user_exponent": 0.9}),
        ("svd", {"binary": True}),
        ("item2vec", {"max_iter": 2}),
        ("item2vec", {"random_state": 1}),
        ("popularity", {"binary": True}),
    ],
)
def test_each_parameter_changes_what_is_learned(method, changes):
    given = {"embedding_dim": 3, "method": method, "random_state": 0}
    one, other = (InteractionEmbedder(**{**given, **more}).fit(ratings()) for more in ({}, changes))
    same = one.embedding_.shape == other.embedding_.shape and np.allclose(
        one.embedding_.vectors, other.embedding_.vectors
    )
    assert not same
    again = InteractionEmbedder(**{**given, **changes}).fit(ratings())
    np.testing.assert_array_equal(again.embedding_.vectors, other.embedding_.vectors)


@pytest.mark.parametrize("method", ["ease", "ials", "svd", "item2vec", "popularity"])
def test_what_was_chosen_and_done_is_told(method):
    embedder = InteractionEmbedder(3, method=method, random_state=0).fit(ratings())
    assert embedder.method_ == method
    chooses = method in ("ease", "ials")
    assert (embedder.penalty_ is not None and bool(embedder.trials_)) or not chooses
    passes = method in ("ials", "item2vec")
    assert embedder.n_iter_ == (len(embedder.loss_curve_) if passes else 1)
    assert (len(embedder.loss_curve_) > 1) == passes
    assert type(embedder.loss_curve_) is type(embedder.trials_) is list
    assert embedder.n_features_in_ == 9
    assert embedder.embedding_.keys.tolist() == list(range(9))
    assert embedder.embedding_.vectors.dtype == embedder.transform(ratings()).dtype == np.float32
    shared = embedder.input_embedding_.shared_keys is embedder.embedding_.shared_keys
    assert shared
    given = InteractionEmbedder(3, method=method, penalty=5.0, dropout=0.25, max_iter=2, random_state=0).fit(ratings())
    if method == "ease":
        assert (given.penalty_, given.dropout_) == (5.0, 0.25)
    if passes:
        assert given.n_iter_ == 2


@pytest.mark.parametrize("method", ["ease", "ials", "svd", "item2vec"])
def test_moments_of_users_are_taken_in_parts(method, monkeypatch):
    one = InteractionEmbedder(3, method=method, random_state=0).fit(X)
    monkeypatch.setattr(_interaction_embedder, "_ROWS", 7)
    other = InteractionEmbedder(3, method=method, random_state=0).fit([*X, []])
    np.testing.assert_allclose(one.transform([[]])[0], one.transform(X).mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(other.transform([[]])[0], other.transform(X).mean(axis=0), atol=1e-5)


def test_of_very_many_users_some_tell_the_mean(monkeypatch):
    monkeypatch.setattr(_interaction_embedder, "N_SOLVED", 5)
    embedder = InteractionEmbedder(3, method="ials", random_state=0).fit([[], *X])
    rows = embedder.transform([X[i] for i in np.linspace(0, 59, 5).astype(int)])
    np.testing.assert_allclose(embedder.transform([[]])[0], rows.mean(axis=0), atol=1e-5)


def test_tags():
    tags = InteractionEmbedder().__sklearn_tags__()
    assert tags.input_tags.sparse
    assert tags.input_tags.positive_only
    assert tags.transformer_tags.preserves_dtype == []
    assert not tags.target_tags.required


TAKEN = {
    "embedding_dim": ([1, 5, np.int32(2)], [0, -1, 1.5, None]),
    "random_state": ([None, 0, 7, np.random.RandomState(0)], [-1, "a", 1.5]),
    "method": (["auto", "ease", "ials", "svd", "item2vec", "popularity"], ["bpr", None]),
    "items": ([None, ["a", "b"], np.array(["a"])], [3, "a"]),
    "binary": ([True, False], ["yes", 2, None]),
    "penalty": (["auto", 1e-9, 500, 2.5], [0, 0.0, -1, "none", None]),
    "dropout": (["auto", 0, 0.0, 0.99], [-0.1, 1, 1.0, "none", None]),
    "user_exponent": ([0, 0.5, 2, 2.0], [-0.1, 2.1, None]),
    "unobserved_weight": ([1e-9, 1, 3.5], [0, 0.0, -1, None]),
    "value_exponent": (["auto", 0, 0.5, 2], [-0.1, 2.1, "log", None]),
    "prior": (["auto", 0, 0.5, 20], [-0.1, "none", None]),
    "max_iter": (["auto", 1, 9], [0, 1.5, "all", None]),
    "n_jobs": ([None, 1, -1], [1.5, "all"]),
    "verbose": ([0, 1, True], ["yes", -1]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_values_that_are_taken_and_that_are_refused(name):
    check_taken_and_refused(InteractionEmbedder, name, *TAKEN[name])


def test_each_parameter_is_in_the_table():
    assert set(TAKEN) == set(InteractionEmbedder().get_params())


@pytest.mark.parametrize("measure", ["ndcg", "recall", "hit-rate"])
def test_items_that_nobody_met_lower_no_score(measure):
    """In a Pipeline the scorer sees baskets as they are, and in a search some items are in other folds alone."""
    pipeline = make_pipeline(InteractionEmbedder(4, method="popularity")).fit([*X, ["i0", "i1"]])
    scorer = recommendation_scorer(measure, 9, hidden=1)
    asked = [[f"new {row}", *basket, f"newer {row}"] for row, basket in enumerate(X)]
    assert scorer(pipeline[-1], asked) == pytest.approx(scorer(pipeline, asked), abs=0.1)
    if measure != "ndcg":
        assert scorer(pipeline, asked) == 1.0  # nine items are all that there are
