"""Word mover's distances are those of a linear program, and pruning passes over nothing that is nearer."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.neighbors import KNeighborsClassifier

from skembed import EmbeddingTable, SubwordTable, memory
from skembed.inspection import _word_movers, nearest_documents, pairwise_word_movers_distances, word_movers_distance
from skembed.table.subwords import Subwords

KEYS = [f"w{i}" for i in range(30)]


@pytest.fixture
def table():
    return EmbeddingTable(KEYS, np.random.default_rng(0).standard_normal((30, 4)))


def documents(n, longest, seed=1):
    rng = np.random.default_rng(seed)
    return [[*rng.choice([*KEYS, "unknown"], rng.integers(1, longest)).tolist(), "w0"] for _ in range(n)]


def by_linear_program(table, a, b):
    """All of equation 1 as it stands: nothing is simplified."""
    a, b = ([word for word in document if word in table] for document in (a, b))
    from_, to = sorted(set(a)), sorted(set(b))
    costs = np.linalg.norm(table[from_][:, None].astype(float) - table[to][None], axis=2)
    rows = [np.outer(np.eye(len(from_))[i], np.ones(len(to))).ravel() for i in range(len(from_))]
    rows += [np.outer(np.ones(len(from_)), np.eye(len(to))[j]).ravel() for j in range(len(to))]
    shares = [a.count(word) / len(a) for word in from_] + [b.count(word) / len(b) for word in to]
    return linprog(costs.ravel(), A_eq=np.array(rows), b_eq=shares).fun


@pytest.mark.parametrize("assigned_units", [0, 128, 10_000])
def test_equals_the_linear_program(monkeypatch, table, assigned_units):
    monkeypatch.setattr(_word_movers, "_ASSIGNED_UNITS", assigned_units)
    X, Y = documents(7, 12), documents(6, 20, seed=2)
    found = pairwise_word_movers_distances(table, X, Y)
    assert found == pytest.approx(np.array([[by_linear_program(table, a, b) for b in Y] for a in X]), abs=1e-9)
    # words stand in another order there, in which costs add up
    assert word_movers_distance(table, X[0], Y[0]) == pytest.approx(found[0, 0], rel=1e-15)


@pytest.mark.parametrize("exponent", [-100, -40, -24, 60, 100])
def test_distances_are_as_large_as_vectors(monkeypatch, table, exponent):
    """The solver of linear programs takes 1e-7 for nothing and 1e20 for infinite, whatever other costs are."""
    monkeypatch.setattr(_word_movers, "_ASSIGNED_UNITS", 0)
    scaled = EmbeddingTable(KEYS, np.ldexp(table.vectors, exponent))
    X, Y = documents(4, 12), documents(4, 20, seed=2)
    found = pairwise_word_movers_distances(scaled, X, Y)
    assert np.array_equal(np.ldexp(found, -exponent), pairwise_word_movers_distances(table, X, Y))


def test_a_few_words_that_are_equal_or_far_away(monkeypatch):
    monkeypatch.setattr(_word_movers, "_ASSIGNED_UNITS", 0)
    table = EmbeddingTable(["a", "b", "c", "d", "e"], [[0.0], [0.0], [2e-9], [2e-9], [1e9]])
    # each word has one at no distance, but not as often: the bound of the relaxed distance is zero
    a, b = ["a", "a", "c"], ["b", "d", "d"]
    assert word_movers_distance(table, a, b) == pytest.approx(2e-9 / 3, rel=1e-6)
    assert word_movers_distance(table, ["a", "c"], ["b", "d"]) == 0
    assert word_movers_distance(table, ["a"], ["e", "d"]) == pytest.approx(5e8)


def test_a_metric_of_distributions(table):
    X = [*documents(6, 9), ["w1", "w2"], ["w2", "w1", "w1", "w2"]]
    distances = pairwise_word_movers_distances(table, X)
    assert (distances == distances.T).all()
    assert (np.diag(distances) == 0).all()
    assert distances[-1, -2] == 0  # the same shares of words
    assert (distances[:, None] <= distances[:, :, None] + distances[None] + 1e-9).all()


@pytest.mark.parametrize("k", [1, 4, 50])
def test_pruning_finds_what_all_distances_find(table, k):
    held = [*documents(40, 9, seed=3), ["nothing", "known"], ["w0"], ["w0", "w0"]]
    queries = [*documents(8, 6, seed=4), ["nothing"], ["w0"]]
    found = nearest_documents(table, queries, held, k, empty_distance=2.5)
    distances = pairwise_word_movers_distances(table, queries, held, empty_distance=2.5)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    assert (found.rows == rows).all()
    assert (found.distances == np.take_along_axis(distances, rows, axis=1)).all()
    assert found.n_solved < distances.size / 2 or k == 50


def test_documents_without_known_words(table):
    assert word_movers_distance(table, ["no"], []) == 0
    assert word_movers_distance(table, ["no"], ["w1"]) == np.inf
    assert word_movers_distance(table, ["w1"], [], empty_distance=3) == 3
    assert pairwise_word_movers_distances(table, [], [["w1"]]).shape == (0, 1)
    assert nearest_documents(table, [["w1"]], []).rows.shape == (1, 0)


def test_ngrams_compose_unknown_words():
    subwords = Subwords(np.arange(100.0).reshape(50, 2), min_n=3, max_n=6, n_buckets=50)
    table = SubwordTable.from_rows(["Ulm", "Bern"], [[1.0, 0.0], [0.0, 1.0]], subwords)
    apart = np.linalg.norm(table["Ulmer"].astype(float) - table["Bern"])
    assert word_movers_distance(table, ["Ulmer"], ["Bern"]) == pytest.approx(apart)


def test_a_precomputed_metric_of_scikit_learn(table):
    train, labels = [["w1", "w2"], ["w3"], ["w4", "w5"]], [0, 1, 2]
    model = KNeighborsClassifier(1, metric="precomputed").fit(pairwise_word_movers_distances(table, train), labels)
    assert model.predict(pairwise_word_movers_distances(table, train[::-1], train)).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda table: word_movers_distance(table, "w1 w2", ["w1"]),
            TypeError,
            "a must be a list of words, got the str",
        ),
        (lambda table: pairwise_word_movers_distances(table, "w1 w2"), TypeError, "X must be a list of documents"),
        (lambda table: pairwise_word_movers_distances(table, ["w1"]), TypeError, "document 0 of X must be a list of w"),
        (lambda table: word_movers_distance(table, [["w1"]], []), TypeError, "hashable"),
        (lambda table: word_movers_distance(table, [], [], empty_distance=-1), ValueError, "empty_distance must be"),
        (lambda table: nearest_documents(table, [], [], 0), ValueError, "k must be a positive int, got 0"),
        (lambda table: word_movers_distance(dict(zip("ab", [1, 2])), [], []), TypeError, "table must be an Embedding"),
    ],
)
def test_what_is_wrong_is_named(table, call, error, message):
    with pytest.raises(error, match=message):
        call(table)


def test_a_linear_program_that_is_not_solved_is_no_distance(table, monkeypatch):
    monkeypatch.setattr(_word_movers, "_ASSIGNED_UNITS", 0)
    failed = SimpleNamespace(success=False, message="why")
    monkeypatch.setattr("scipy.optimize.linprog", lambda *args, **options: failed)
    with pytest.raises(RuntimeError, match=r"^the linear program of a word mover's distance was not solved: why$"):
        word_movers_distance(table, ["w1", "w2", "w2"], ["w3", "w4"])


@pytest.mark.parametrize(("bytes_there", "bytes_needed"), [(47, 48), (4199, 4200)])
def test_memory_is_predicted(table, monkeypatch, bytes_there, bytes_needed):
    """Of two and three words, of the costs and of the linear program."""
    monkeypatch.setattr(_word_movers, "_ASSIGNED_UNITS", 0)
    a, b = ["w1", "w1", "w1", "w2"], ["w3", "w4", "w5", "w5"]
    monkeypatch.setattr(memory, "memory_of_machine", lambda: bytes_there)
    with pytest.raises(MemoryError, match=f"of 2 and 3 different words needs at least {bytes_needed} bytes"):
        word_movers_distance(table, a, b)
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 4200)
    assert word_movers_distance(table, a, b) > 0
