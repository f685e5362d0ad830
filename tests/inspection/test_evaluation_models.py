"""Probes, and scorers in cross-validation and grid search; what the evaluations import."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skembed.inspection
from skembed import EmbeddingTable, InteractionEmbedder, Word2VecVectorizer
from skembed.inspection import (
    analogy_scorer,
    categorization_scorer,
    ndcg_at_k,
    neighborhood_scorer,
    probe_score,
    recall_at_k,
    similarity_scorer,
    trustworthiness,
    trustworthiness_scorer,
)


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).standard_normal((240, 6))


@pytest.fixture(scope="module")
def classes(vectors):
    return np.digitize(vectors[:, 0] + vectors[:, 1], [-0.6, 0.6])


# Probes


def test_a_property_that_is_there_and_one_that_is_not(vectors, classes):
    there = probe_score(vectors, classes, random_state=0)
    assert there.task == "classification"
    assert there.score > 0.85
    assert there.baseline < 0.6
    assert there.selectivity == pytest.approx(there.score - there.baseline)
    noise = probe_score(vectors, np.random.default_rng(1).permutation(classes), random_state=0)
    assert abs(noise.selectivity) < 0.15
    number = probe_score(vectors, vectors @ [1.0, 2, 0, 0, 0, 3], random_state=0)
    assert (number.task, number.scoring, number.n_samples) == ("regression", "r2", 240)
    assert number.score > 0.99
    assert number.baseline < 0.1


def test_the_score_is_that_of_cross_validation(vectors, classes):
    splitter = GroupKFold(4)
    groups = np.arange(240) // 10
    found = probe_score(vectors, classes, cv=splitter, groups=groups, n_shuffles=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    expected = cross_val_score(model, vectors, classes, cv=splitter, groups=groups)
    assert (found.score, found.std) == pytest.approx((expected.mean(), expected.std()))


@pytest.mark.parametrize(
    "as_given",
    [
        lambda y: y.astype(float),
        lambda y: y.tolist(),
        lambda y: np.array(["low", "mid", "high"])[y],
        lambda y: np.array(["low", "mid", "high"], dtype=object)[y],
        lambda y: np.array([False, True])[np.minimum(y, 1)],
        lambda y: y.astype(">i8"),
        lambda y: y.astype(object),
        lambda y: np.array([1, "1", 2.5], dtype=object)[y],
    ],
    ids=["float", "list", "str", "object-str", "bool", "big-endian", "object-int", "mixed"],
)
def test_targets_of_any_type(vectors, classes, as_given):
    found = probe_score(vectors, as_given(classes), n_shuffles=1, random_state=0)
    assert found.task == "classification"
    assert found.selectivity > 0.2


def test_a_column_vector_is_taken_with_a_warning(vectors, classes):
    with pytest.warns(UserWarning, match="column-vector"):
        found = probe_score(vectors, classes[:, None], n_shuffles=1, random_state=0)
    assert found == probe_score(vectors, classes, n_shuffles=1, random_state=0)


def test_a_number_and_its_spelling_are_two_classes(vectors):
    labels = [1 if first > 0 else "1" for first in vectors[:, 0]]
    assert probe_score(vectors, labels, n_shuffles=1, random_state=0).score > 0.9
    table = EmbeddingTable(range(240), vectors)
    assert probe_score(table, dict(enumerate(labels)), n_shuffles=1, random_state=0).score > 0.9


def test_the_task_follows_the_estimator_or_what_is_asked(vectors, classes):
    assert probe_score(vectors, classes, estimator=Ridge(), n_shuffles=1).scoring == "r2"
    assert probe_score(vectors, classes, task="regression", n_shuffles=1).task == "regression"
    assert probe_score(vectors, classes, estimator=LogisticRegression(), scoring="f1_macro").scoring == "f1_macro"


def test_tables_and_other_containers(vectors, classes):
    pd = pytest.importorskip("pandas")
    table = EmbeddingTable([f"k{i}" for i in range(240)], vectors)
    whole = probe_score(table, classes, n_shuffles=1, random_state=0)
    assert whole == probe_score(table.vectors, classes, n_shuffles=1, random_state=0)
    by_key = dict(zip(table.keys, classes.tolist()))
    assert probe_score(table, by_key, n_shuffles=1, random_state=0) == whole
    assert probe_score(table, pd.Series(by_key), n_shuffles=1, random_state=0) == whole
    some = probe_score(table, {key: by_key[key] for key in table.keys[::2]}, n_shuffles=1, random_state=0)
    assert some.n_samples == 120
    assert probe_score(sparse.csr_matrix(vectors), classes, n_shuffles=1, random_state=0).score > 0.8
    awkward = np.asfortranarray(vectors)
    awkward.flags.writeable = False
    expected = probe_score(vectors, classes, n_shuffles=1, random_state=0)
    assert probe_score(awkward, classes, n_shuffles=1, random_state=0).score == pytest.approx(expected.score, abs=0.01)


def test_probes_that_cannot_be_are_named(vectors, classes):
    table = EmbeddingTable(range(240), vectors)
    for y in ([0] * 239 + [1], ["a"] * 239 + ["b"], range(240)):
        with pytest.raises(ValueError, match=r"two classes of two members or more, .* classes (1|240) have one"):
            probe_score(vectors, y, random_state=0)
    with pytest.raises(ValueError, match=r"^y must hold a value for one key or more, got none\.$"):
        probe_score(EmbeddingTable(["a"], [[1.0]]), {})
    with pytest.raises(ValueError, match="y must have two classes or more, got the single class 1"):
        probe_score(vectors, np.ones(240, dtype=int))
    for missing in (None, np.nan):
        y = classes.astype(object)
        y[7] = missing
        with pytest.raises(ValueError, match="missing values, got 1 among 240, the first at position 7"):
            probe_score(vectors, y)
    with pytest.raises(ValueError, match="missing values, got 1 among 240, the first at position 7"):
        probe_score(vectors, np.ma.array(classes, mask=np.arange(240) == 7))
    with pytest.raises(ValueError, match="X contains NaN"):
        probe_score(np.ma.array(vectors, mask=vectors == vectors[3, 0]), classes)
    with pytest.raises(ValueError, match="missing values, got 1 among 240, the first at position 0"):
        probe_score(table, {key: pytest.importorskip("pandas").NA if key == 0 else key % 2 for key in table.keys})
    y = vectors[:, 0].copy()
    y[3] = np.inf
    with pytest.raises(ValueError, match="y contains infinity"):
        probe_score(vectors, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        probe_score(vectors, classes[:-1])
    with pytest.raises(KeyError, match="1 keys are not in this table: 'new'"):
        probe_score(table, {"new": 1, 2: 0})
    with pytest.raises(TypeError, match="X must be an EmbeddingTable"):
        probe_score(vectors, {0: 1})
    with pytest.raises(ValueError, match="task must be one of"):
        probe_score(vectors, classes, task="ranking")
    with pytest.raises(ValueError, match="n_shuffles must be a positive int, got 0"):
        probe_score(vectors, classes, n_shuffles=0)


def test_a_probe_that_cannot_be_fitted_in_a_fold_has_no_score(vectors, classes):
    one, some = np.flatnonzero(classes == 0), np.arange(100)
    with pytest.raises(ValueError, match="at least 2 classes in the data"):
        probe_score(vectors, classes, cv=[(one, some), (some, one)], n_shuffles=1)


def test_probes_in_threads_and_the_global_random_state(vectors, classes):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: probe_score(vectors, classes, n_shuffles=2, random_state=0), range(8)))
    assert len(set(runs)) == 1
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert runs[0] != probe_score(vectors, classes, n_shuffles=2, random_state=1)


# Scorers


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    groups = [["cat", "dog", "cow", "hen"], ["car", "bus", "tram", "ship"]]
    return [" ".join(rng.choice(groups[i % 2], 8)) for i in range(200)], np.arange(200) % 2


PAIRS = [
    ("cat", "dog", 9),
    ("car", "bus", 9),
    ("cow", "hen", 8),
    ("cat", "car", 1),
    ("hen", "ship", 0),
    ("dog", "bus", 2),
]
QUESTIONS = [("cat", "dog", "car", "bus"), ("cow", "hen", "tram", "ship")]
CATEGORIES = {"cat": 0, "dog": 0, "cow": 0, "hen": 0, "car": 1, "bus": 1, "tram": 1, "ship": 1}


@pytest.mark.parametrize(
    ("scorer", "good"),
    [
        (similarity_scorer(PAIRS), 0.6),
        (similarity_scorer(iter(PAIRS)), 0.6),
        (categorization_scorer(CATEGORIES, random_state=0), 0.9),
        (analogy_scorer(QUESTIONS), 0.0),
    ],
    ids=["similarity", "from-iterator", "categorization", "analogy"],
)
def test_a_grid_search_over_word_vectors(texts, scorer, good):
    X, y = texts
    model = Word2VecVectorizer(min_count=1, max_iter=20, random_state=0)
    pipeline = make_pipeline(model, StandardScaler(), LogisticRegression())
    rows = np.arange(len(X))
    for estimator, prefix in ((model, ""), (pipeline, "word2vecvectorizer__")):
        grid = {f"{prefix}embedding_dim": [2, 8]}
        search = GridSearchCV(estimator, grid, scoring=scorer, cv=[(rows, rows)], error_score="raise").fit(X, y)
        assert search.best_score_ >= good
        assert search.best_score_ == scorer(search.best_estimator_, X) == scorer(search, X)


def test_several_scorers_at_once_and_in_processes(texts):
    X, y = texts
    scoring = {"similarity": similarity_scorer(PAIRS), "categories": categorization_scorer(CATEGORIES, random_state=0)}
    model = Word2VecVectorizer(min_count=1, max_iter=2, embedding_dim=4, random_state=0)
    runs = [
        GridSearchCV(model, {"window": [2]}, scoring=scoring, refit=False, cv=2, n_jobs=n_jobs).fit(X, y).cv_results_
        for n_jobs in (1, 2)
    ]
    for name in ("mean_test_similarity", "mean_test_categories"):
        assert np.isfinite(runs[0][name]).all()
        assert runs[0][name].tolist() == runs[1][name].tolist()
    again = pickle.loads(pickle.dumps(scoring["similarity"]))
    model.fit(X)
    assert again(model) == scoring["similarity"](model)
    assert repr(again) == "<scorer: spearman of evaluate_similarity>"


class TablePerColumn(BaseEstimator):
    """Stands for an estimator that learns a table per column."""

    def __init__(self):
        self.embeddings_ = {"word": EmbeddingTable(["cat", "dog", "car"], [[1.0, 0], [0.9, 0.1], [0, 1]])}


def test_a_table_per_column_and_none_at_all():
    pairs = [("cat", "dog", 9), ("cat", "car", 1), ("dog", "car", 2)]
    assert similarity_scorer(pairs, column="word")(TablePerColumn()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="pass column= one of 'word'"):
        similarity_scorer(pairs)(TablePerColumn())
    with pytest.raises(ValueError, match="column must be one of 'word', got 'animal'"):
        similarity_scorer(pairs, column="animal")(TablePerColumn())
    for estimator in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(TypeError, match="needs an estimator that learned a table"):
            similarity_scorer(pairs)(estimator)
    with pytest.raises(TypeError, match=r"transform\(X\), and LogisticRegression has no transform"):
        trustworthiness_scorer()(LogisticRegression(), [[1]])
    with pytest.raises(TypeError, match="got TablePerColumn; pass one of its embeddings_"):
        skembed.inspection.evaluate_similarity(TablePerColumn(), pairs)


@pytest.mark.parametrize("scorer", [trustworthiness_scorer(n_neighbors=4), neighborhood_scorer(metric="cosine")])
def test_a_grid_search_over_transformers(vectors, scorer):
    for estimator, name in ((PCA(), "n_components"), (make_pipeline(StandardScaler(), PCA()), "pca__n_components")):
        search = GridSearchCV(estimator, {name: [1, 3, 5]}, scoring=scorer, cv=3, error_score="raise").fit(vectors)
        assert search.best_params_ == {name: 5}
    model = PCA(2).fit(vectors)
    assert trustworthiness_scorer()(model, vectors) == trustworthiness(vectors, model.transform(vectors))


class PopularItems(BaseEstimator):
    """Recommends to everyone the items with the most interactions but for the first `skip`."""

    def __init__(self, skip=0):
        self.skip = skip

    def fit(self, X, y):
        """Count the items of the lists `y`."""
        items, counts = np.unique(np.concatenate([list(items) for items in y]), return_counts=True)
        self.items_ = items[np.argsort(-counts, kind="stable")][self.skip :]
        return self

    def predict(self, X):
        """Return the same list for each row."""
        return np.tile(self.items_, (len(X), 1))


def test_rankings_with_make_scorer(vectors):
    rng = np.random.default_rng(0)
    X, y = np.zeros((90, 1)), np.empty(90, dtype=object)
    for i in range(90):
        y[i] = set(np.minimum(rng.geometric(0.3, 4), 12).tolist())
    for measure in (recall_at_k, ndcg_at_k):
        scorer = make_scorer(measure, k=3, ranked=True)
        search = GridSearchCV(PopularItems(), {"skip": [0, 1, 4]}, scoring=scorer, cv=3, error_score="raise").fit(X, y)
        assert search.best_params_ == {"skip": 0}
        assert 0.3 < search.best_score_ < 1
    relevance = (vectors @ rng.standard_normal((6, 15)) > 2).astype(float)
    model = MultiOutputRegressor(Ridge())
    search = GridSearchCV(
        model, {"estimator__alpha": [1e-3, 1e7]}, scoring=make_scorer(ndcg_at_k, k=5), cv=3, error_score="raise"
    ).fit(vectors, relevance)
    assert search.best_score_ > 0.8


def test_recommendations_are_rankings_as_they_are():
    """Of which rows end with None where a user has nearly everything."""
    embedder = InteractionEmbedder(2, method="popularity").fit([["a", "b", "c"], ["a", "b"], ["a"]])
    keys, _ = embedder.recommend([["a", "b"], ["c"]], k=3)
    assert keys.tolist() == [["c", None, None], ["a", "b", None]]
    assert recall_at_k([{"c"}, {"b", "d"}], keys, k=3, ranked=True) == 0.75
    assert ndcg_at_k([{"c"}, {"a", "b"}], keys, k=3, ranked=True) == 1.0


# Imports


def test_the_names_are_there_and_import_nothing_heavy():
    assert set(skembed.inspection.__all__) <= set(dir(skembed.inspection))
    with pytest.raises(AttributeError, match=r"'skembed\.inspection' has no attribute 'evaluate'"):
        skembed.inspection.evaluate  # noqa: B018
    names = [name for name in skembed.inspection.__all__ if name != "EmbeddingDisplay"]
    code = (
        f"import sys; from skembed.inspection import {', '.join(names)}; "
        "print([m for m in ('torch', 'numba', 'matplotlib', 'usearch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
