"""Small worked examples of the evaluations, with all that their results say; scorers; what is drawn and warned of."""

import pickle
import re
import warnings
from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier

from skembed import EmbeddingTable
from skembed.inspection import (
    _links,
    analogy_scorer,
    categorization_scorer,
    compare_tables,
    evaluate_analogies,
    evaluate_categorization,
    evaluate_sentence_similarity,
    evaluate_similarity,
    hubness,
    k_occurrences,
    link_prediction_auc,
    ndcg_at_k,
    nearest_documents,
    neighborhood_preservation,
    neighborhood_scorer,
    probe_score,
    recall_at_k,
    similarity_scorer,
    trustworthiness,
    trustworthiness_scorer,
    word_movers_distance,
)

FAMILY = EmbeddingTable(
    ["man", "woman", "king", "queen", "Man"], [[1, 0, 1], [1, 1, 1], [3, 0, 1], [3, 1, 1], [0, 0, 1]]
)
RIGHT, WRONG = ("man", "woman", "king", "queen"), ("man", "king", "woman", "king")
UNKNOWN = ("man", "boy", "woman", "girl")


def test_all_that_an_analogy_test_says():
    questions = {"family": [RIGHT, WRONG, UNKNOWN], "gram1": [RIGHT], "gram2": [UNKNOWN]}
    result = evaluate_analogies(FAMILY, questions)

    def section(name, correct, n, unknown):
        return {
            "name": name, "accuracy": correct / n, "n_correct": correct, "n_questions": n, "n_unknown": unknown
        }  # fmt: skip

    found = result.to_dict()
    empty = found["sections"].pop()
    assert (empty["name"], empty["n_questions"], empty["n_unknown"]) == ("gram2", 0, 1)
    assert np.isnan(empty["accuracy"])
    assert found == {
        "accuracy": 2 / 3, "n_correct": 2, "n_questions": 3, "oov_share": 2 / 5,
        "semantic": section("semantic", 1, 2, 1), "syntactic": section("syntactic", 1, 1, 1),
        "sections": [section("family", 1, 2, 1), section("gram1", 1, 1, 0)],
    }  # fmt: skip
    answers = result.sections[0].answers
    assert [tuple(answer)[:4] for answer in answers] == [RIGHT, WRONG]
    assert [answer.answer for answer in answers] == ["queen", "queen"]
    assert repr(result) == (
        "AnalogyResult(accuracy=0.6667, 2 of 3, oov_share=0.4)\n"
        "  family     0.5000  1 of 2\n  gram1      1.0000  1 of 1\n  gram2         nan  0 of 0\n"
        "  semantic   0.5000  1 of 2\n  syntactic  1.0000  1 of 1"
    )
    zero = evaluate_analogies(FAMILY, questions, unknown="zero")
    assert (zero.n_correct, zero.n_questions, zero.oov_share) == (2, 5, 2 / 5)
    assert zero.sections[2].accuracy == 0.0


def test_all_that_a_similarity_test_says():
    table = EmbeddingTable(["cat", "kitten", "car"], [[1.0, 0.0], [0.9, 0.1], [0.1, 1.0]])
    pairs = [("Cat", "kitten", 9), ("kitten", "car", 1), ("cat", "car", 2), ("yak", "gnu", 4), ("cat", "gnu", 3)]
    cosines = [0.9 / np.hypot(0.9, 0.1), 0.19 / np.hypot(0.9, 0.1) / np.hypot(0.1, 1), 0.1 / np.hypot(0.1, 1)]
    linear = stats.pearsonr([9, 1, 2], cosines)
    result = evaluate_similarity(table, pairs)
    assert result.to_dict() == {
        "spearman": pytest.approx(0.5), "pearson": pytest.approx(linear.statistic, abs=1e-6),
        "spearman_pvalue": pytest.approx(stats.spearmanr([9, 1, 2], cosines).pvalue),
        "pearson_pvalue": pytest.approx(linear.pvalue, abs=1e-6), "n_pairs": 5, "oov_share": 2 / 5,
    }  # fmt: skip
    assert result.oov_words == ("yak", "gnu")
    assert repr(result).startswith("SimilarityResult(spearman=0.5, pearson=0.9")
    assert repr(result).endswith("n_pairs=5, oov_share=0.4)")
    zero = evaluate_similarity(table, pairs, unknown="zero")
    assert zero.pearson == pytest.approx(stats.pearsonr([9, 1, 2, 4, 3], [*cosines, 0, 0]).statistic, abs=1e-6)


def test_what_cannot_be_correlated_is_warned_of_once():
    table = EmbeddingTable(["a", "b"], [[1.0, 0.0], [1.0, 1.0]])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = evaluate_similarity(table, [("a", "b", 3), ("a", "b", 3)])
        evaluate_sentence_similarity(lambda texts: np.ones((len(texts), 1)), [("a", "b", 1), ("b", "c", 2)])
    assert [(str(warning.message), warning.filename == __file__) for warning in found] == [
        ("all scores are 3: the correlation is nan.", True),
        ("all cosines are 0.7071: the correlation is nan.", True),
        ("all cosines are 1: the correlation is nan.", True),
    ]
    assert np.isnan([result.spearman, result.pearson]).all()


def test_all_that_a_test_of_categories_says():
    vectors = [[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.2, 1]]
    table = EmbeddingTable(["ruby", "opal", "oak", "elm", "jade"], vectors)
    categories = {"ruby": "stone", "opal": "stone", "jade": "stone", "oak": "tree", "elm": "tree", "ash": "tree"}
    result = evaluate_categorization(table, categories, random_state=0)
    assert result.to_dict() == {
        "purity": 4 / 5, "adjusted_rand": pytest.approx(0.1666667, abs=1e-6), "n_categories": 2, "n_words": 6,
        "oov_share": 1 / 6,
    }  # fmt: skip
    assert result.oov_words == ("ash",)


def test_all_that_a_comparison_says():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    turned = X @ np.linalg.qr(rng.normal(size=(3, 3)))[0] * 2 + 1
    left = EmbeddingTable(range(32), np.vstack([X, [[5, 5, 5], [6, 6, 6]]]))
    right = EmbeddingTable([*range(29, -1, -1), 99], np.vstack([turned[::-1], [[9, 9, 9]]]))
    assert compare_tables(left, right, n_neighbors=3, metric="euclidean", random_state=0).to_dict() == {
        "neighbor_overlap": 1.0, "chance_overlap": 3 / 29, "procrustes_residual": pytest.approx(0, abs=1e-9),
        "chance_residual": pytest.approx(0.95, abs=0.05),
        "n_shared": 30, "n_only_left": 2, "n_only_right": 1, "n_neighbors": 3, "n_sampled": 30,
    }  # fmt: skip
    point = EmbeddingTable(range(32), np.ones((32, 2)))
    assert compare_tables(left, point, n_neighbors=3).procrustes_residual == 1.0
    assert compare_tables(point, point, n_neighbors=3).procrustes_residual == 0.0


# ------------------------------------------------------------------------------------------------------------- scorers


class Learned(BaseEstimator):
    def __init__(self, embedding_=None):
        self.embedding_ = embedding_

    def transform(self, X):
        return np.asarray(X)[:, :1]


def test_scorers_are_the_evaluations_with_their_options():
    learned = Learned(FAMILY)
    scorer = analogy_scorer([RIGHT, UNKNOWN], unknown="zero")
    assert scorer(learned) == scorer(learned, None, [1]) == 0.5
    assert analogy_scorer([RIGHT, UNKNOWN])(learned) == 1.0
    categories = {"man": 0, "woman": 0, "king": 1, "queen": 1}
    expected = evaluate_categorization(FAMILY, categories, method="agglomerative").purity
    assert categorization_scorer(categories, method="agglomerative")(learned) == expected
    pairs = [("man", "woman", 3), ("man", "queen", 1), ("king", "queen", 5)]
    assert similarity_scorer(pairs)(learned) == evaluate_similarity(FAMILY, pairs).spearman
    X = np.random.default_rng(0).normal(size=(40, 3))
    for make, measure in (
        (trustworthiness_scorer, trustworthiness), (neighborhood_scorer, neighborhood_preservation)
    ):  # fmt: skip
        scorer = pickle.loads(pickle.dumps(make(n_neighbors=7)))
        assert scorer(learned, X) == scorer(learned, X, None) == measure(X, X[:, :1], n_neighbors=7)
        assert repr(scorer) == f"<scorer: {measure.__name__} of transform>"
        with pytest.raises(TypeError, match=re.escape(
            "this scorer compares X with transform(X), and object has no transform."
        )):  # fmt: skip
            scorer(object(), X)
    assert repr(analogy_scorer([])) == "<scorer: accuracy of evaluate_analogies>"
    assert repr(categorization_scorer([])) == "<scorer: purity of evaluate_categorization>"


# ------------------------------------------------------------------------------------------------------ hubs and links


@given(st.integers(2, 12), st.integers(0, 50))
def test_hubs_are_counted_as_a_loop_counts_them(n, seed):
    X = np.random.default_rng(seed).normal(size=(n, 3))
    table = EmbeddingTable([f"k{i}" for i in range(n)], X)
    k = min(3, n - 1)
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    counts = np.bincount(np.argsort(distances, axis=1)[:, :k].ravel(), minlength=n)
    assert k_occurrences(table, k=k, metric="euclidean").tolist() == counts.tolist()
    spread = counts.std()
    skewness = ((counts - counts.mean()) ** 3).mean() / spread**3 if spread else 0.0
    assert hubness(table, k=k, metric="euclidean") == pytest.approx(skewness)
    queries = np.random.default_rng(seed + 99).normal(size=(4, 3))
    near = np.argsort(np.linalg.norm(queries[:, None] - X[None], axis=2), axis=1)[:, :k]
    expected = np.bincount(near.ravel(), minlength=n).tolist()
    for given_queries in (queries, EmbeddingTable(range(4), queries)):
        assert k_occurrences(table, given_queries, k, metric="euclidean").tolist() == expected


@pytest.mark.parametrize("metric", ["cosine", "dot", "csls"])
def test_vectors_of_zeros_make_no_hubs(metric):
    """All keys are as near to them, so that the first of the table were the nearest ones of each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20))
    some = EmbeddingTable(range(300), X)
    all_of_them = EmbeddingTable(range(400), np.vstack([X, np.zeros((100, 20))]))
    assert hubness(all_of_them, metric=metric) < hubness(some, metric=metric) + 1
    counts = k_occurrences(all_of_them, k=5, metric=metric)
    assert counts.sum() == 5 * 300
    for queries in (
        np.vstack([np.zeros((50, 20)), X[:10]]),
        EmbeddingTable(range(60), np.vstack([X[:10], np.zeros((50, 20))])),
    ):
        assert k_occurrences(some, queries, 5, metric=metric).sum() == 50
        assert k_occurrences(some, queries, 5, metric="euclidean").sum() == 300
    assert hubness(EmbeddingTable(range(20), np.zeros((20, 2))), metric=metric) == 0.0


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize(("n_nodes", "n_edges"), [(5, 3), (60, 20)])
def test_pairs_that_are_drawn_are_no_edges(directed, n_nodes, n_edges):
    """Of few nodes among all that are left, of many by lot: none twice, none an edge, each alike often."""
    table = EmbeddingTable(range(n_nodes), np.zeros((n_nodes, 1)))
    edges = [(i, (i + 1) % n_nodes) for i in range(n_edges)] + [(0, 0), ("unknown", 1)]
    taken = {edge if directed else tuple(sorted(edge)) for edge in edges[:n_edges]}
    seen = []
    for seed in range(30):
        rows = _links._draw_non_edges(table, edges, n_edges, directed, seed)
        pairs = list(map(tuple, rows.tolist()))
        assert len(set(pairs)) == len(pairs) == n_edges
        assert not taken & set(pairs)
        assert all(a != b if directed else a < b for a, b in pairs)
        seen += pairs
        np.testing.assert_array_equal(rows, _links._draw_non_edges(table, edges, n_edges, directed, seed))
    if n_nodes == 5:
        assert len(set(seen)) == (20 if directed else 10) - 3
    else:
        assert len(set(seen)) > 250  # of the six hundred that were drawn
        assert abs(np.mean(seen) - 29.5) < 3


def test_pairs_are_drawn_by_lot_where_edges_are_few(monkeypatch):
    table = EmbeddingTable(range(60), np.zeros((60, 1)))
    monkeypatch.setattr(np, "setdiff1d", lambda *args: pytest.fail("all pairs were listed"))
    assert len(_links._draw_non_edges(table, [(0, 1)], 200, False, 0)) == 200  # 4 * (1 + 200) of 1770 pairs
    with pytest.raises(pytest.fail.Exception, match="all pairs were listed"):
        _links._draw_non_edges(table, [(0, 1)], 500, False, 0)


def exact_score(a, b, score):
    """Return what is in the order of the scores of vectors of whole numbers above 0, as a fraction."""
    a, b = [Fraction(x) for x in a], [Fraction(x) for x in b]
    dot = sum(x * y for x, y in zip(a, b))
    if score == "cosine":
        return dot**2 / (sum(x * x for x in a) * sum(y * y for y in b))
    return dot if score == "dot" else -sum((x - y) ** 2 for x, y in zip(a, b))


@pytest.mark.parametrize("score", ["cosine", "dot", "euclidean"])
def test_scores_that_differ_by_rounding_alone_tie(score):
    """Vectors of whole numbers, whose scores are often equal: pairs are compared in exact arithmetic."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        vectors = rng.integers(1, 4, size=(12, 7)).astype(np.float64)
        table = EmbeddingTable(range(12), vectors)
        pairs = [tuple(rng.choice(12, 2, replace=False).tolist()) for _ in range(24)]
        edges, others = pairs[:12], pairs[12:]

        yes, no = ([exact_score(vectors[a], vectors[b], score) for a, b in some] for some in (edges, others))
        expected = np.mean([(a > b) + 0.5 * (a == b) for a in yes for b in no])
        assert link_prediction_auc(table, edges, others, score=score) == pytest.approx(expected, abs=1e-12)


def test_links_are_scored_by_the_vectors_of_both_nodes():
    table = EmbeddingTable([*"abcd"], [[2.0, 0.0], [1.0, 0.1], [0.0, 3.0], [3.0, 3.0]])
    edges, others = [("a", "b"), ("c", "d")], [("a", "c"), ("b", "c"), ("a", "d")]
    for score, function in {
        "dot": lambda x, y: x @ y,
        "cosine": lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y),
        "euclidean": lambda x, y: -np.linalg.norm(x - y),
    }.items():
        yes, no = (np.array([function(table[a], table[b]) for a, b in pairs]) for pairs in (edges, others))
        expected = np.mean((yes[:, None] > no) + 0.5 * np.isclose(yes[:, None], no))
        assert link_prediction_auc(table, edges, others, score=score) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"^non_edges must hold at least one pair, got none; pass None to draw them"):
        link_prediction_auc(table, edges, [])
    every = [(a, b) for a in "abcd" for b in "abcd" if a < b]
    with pytest.raises(ValueError, match=re.escape(
        "all 6 pairs of the 4 nodes are edges: none is left to be drawn; pass non_edges."
    )):  # fmt: skip
        link_prediction_auc(table, every)
    with pytest.raises(ValueError, match="all 6 pairs of the 4 nodes are edges"):
        link_prediction_auc(table, edges, known_edges=every)


def test_known_edges_of_another_type_are_refused():
    """They would be drawn as pairs without an edge."""
    table = EmbeddingTable([1, 2, 3, 4], np.eye(4))
    message = (
        "^known_edges has no node of the table: its nodes are such as '1', the table's such as 1; convert them to the"
    )
    with pytest.raises(ValueError, match=message):
        link_prediction_auc(table, [(1, 2)], known_edges=[("1", "3"), ("2", "4")])
    assert link_prediction_auc(table, [(1, 2)], known_edges=[("x", 3), (2, 4)], random_state=0) in (0.0, 0.5, 1.0)


# -------------------------------------------------------------------------------------------------- probes and ranking


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["b", "a", "c"], ["a", "b", "c"]), ([3, 1, 2], [1, 2, 3]), ([True, False], [False, True]),
     (["1", 1, 2], [1, 2, "1"])],
)  # fmt: skip
def test_classes_are_numbered_in_their_own_order(labels, classes):
    y = np.array([labels[i % len(labels)] for i in range(24)] + [None], dtype=object)[:-1]
    X = np.array([[classes.index(label)] for label in y], dtype=float)
    fits = []

    class Recorded(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            fits.append({(place, code) for (place,), code in zip(X.tolist(), y.tolist())})
            return super().fit(X, y)

    probe_score(X, y.tolist(), estimator=Recorded(), task="classification", cv=2, n_shuffles=1, random_state=0)
    assert fits[0] == {(float(i), i) for i in range(len(classes))}  # the next ones have shuffled labels


def slow_measures(relevance, scores, k):
    """The mean over all orders of equal scores, of one query."""
    recalls, gains = [], []
    ideal = sum(gain / np.log2(rank + 2) for rank, gain in enumerate(sorted(relevance, reverse=True)[:k]))
    for order in permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in pairwise(order)):
            continue
        best = [i for i in order[:k] if scores[i] > -np.inf]
        recalls.append(sum(relevance[i] > 0 for i in best) / max(sum(gain > 0 for gain in relevance), 1))
        gains.append(sum(relevance[i] / np.log2(rank + 2) for rank, i in enumerate(best)) / max(ideal, 1e-9))
    return np.mean(recalls), np.mean(gains)


@given(st.data())
def test_recall_and_gain_are_means_over_all_orders(data):
    n = data.draw(st.integers(1, 5))
    one = st.tuples(
        st.lists(st.sampled_from([0, 0, 1, 3]), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.5, 1.0, 2.0, -np.inf]), min_size=n, max_size=n),
    )
    queries = data.draw(st.lists(one, min_size=1, max_size=4))
    k = data.draw(st.integers(1, 6))
    truth, scores = map(list, zip(*queries))
    asked = [slow_measures(*query, k) for query in queries if any(query[0])]
    if not asked:
        for measure in (recall_at_k, ndcg_at_k):
            with pytest.raises(ValueError, match=r"^y_true must hold a query with something relevant, got none"):
                measure(truth, scores, k=k)
        return
    assert recall_at_k(truth, scores, k=k) == pytest.approx(np.mean([recall for recall, _ in asked]))
    assert ndcg_at_k(truth, scores, k=k) == pytest.approx(np.mean([gain for _, gain in asked]))


# ------------------------------------------------------------------------------------------------------- word mover's


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda table: word_movers_distance(table, "w1 w2", []),
         "a must be a list of words, got the str 'w1 w2'; split it into words as the keys of the table are."),
        (lambda table: word_movers_distance(table, [], b"w" * 50),
         f"b must be a list of words, got the bytes {b'w' * 40!r}; split it into words as the keys of the table are."),
        (lambda table: nearest_documents(table, "w1", []),
         "queries must be a list of documents, lists of words each, got one str."),
        (lambda table: nearest_documents(table, [[], "w1"], []),
         "document 1 of queries must be a list of words, got the str 'w1'; split it into words as the keys of the "
         "table are."),
        (lambda table: nearest_documents(table, [], b"w1"),
         "documents must be a list of documents, lists of words each, got one bytes."),
    ],
)  # fmt: skip
def test_what_is_no_document(call, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        call(FAMILY)


def test_of_equally_near_documents_the_first_are_found():
    table = EmbeddingTable(["a", "b", "c"], [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    found = nearest_documents(table, [["a"]], [["c"], ["b"], ["b", "c"], ["a"], ["c"]], 4)
    assert found.rows.tolist() == [[3, 0, 1, 2]]
    assert found.distances.tolist() == [[0.0, 1.0, 1.0, 1.0]]
    assert nearest_documents(table, [["a"]], [["a"]] * 3).rows.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("nothing", [set(), [], {}, {"b": 0.0}])
def test_queries_with_nothing_relevant_are_left_out_of_lists_too(nothing):
    for measure in (recall_at_k, ndcg_at_k):
        assert measure([nothing, {"a"}], [["a"], ["a", "b"]], ranked=True) == 1.0
        assert measure([nothing, {"a": 2.0, "c": 1.0}], [[], ["c", "a"]], k=1, ranked=True) == pytest.approx(0.5)
        with pytest.raises(ValueError, match=r"^y_true must hold a query with something relevant, got none\.$"):
            measure([nothing], [["a"]], ranked=True)
