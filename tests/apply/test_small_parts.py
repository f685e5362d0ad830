"""Small parts between tables and rows, written out: baskets, columns, starts, words, characters, models in memory."""

import re
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from skembed import EmbeddingTable, SubwordTable, forks
from skembed.apply import baskets, model_cache
from skembed.apply.baskets import FoldIn, rank_items
from skembed.apply.characters import N_CHARACTERS, PADDING, character_ids
from skembed.apply.columns import gather, invert, output_names, with_numbers
from skembed.apply.contextual_model import ModelOptions
from skembed.apply.init_tables import read_init, vectors_from_init
from skembed.apply.model_cache import ModelHolder, shared_model
from skembed.apply.neighbors import mean_over_neighbors
from skembed.apply.pooling import Pooling, check_poolings, pooling_names
from skembed.apply.postprocessing import frequency_weights, learn_postprocess
from skembed.apply.word_rows import WordRows
from skembed.data.columns import factorize
from skembed.data.vocabulary import Vocabulary
from skembed.table.subwords import Subwords

# --------------------------------------------------------------------------------------------------------- baskets

X = sparse.csr_matrix(np.array([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 1]], dtype=np.float32))
VECTORS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
EMPTY = np.array([5, 6, 7], np.float32)


@pytest.mark.parametrize("kind", baskets.KINDS)
def test_baskets_are_folded_in(kind):
    found = FoldIn(kind, EMPTY, 0.3, 0.2).apply(X, VECTORS)
    assert found.dtype == np.float32
    dense, wide = X.toarray().astype(float), VECTORS.astype(float)
    expected = dense @ wide
    if kind == "mean":
        expected /= np.maximum(dense.sum(axis=1, keepdims=True), 1e-300)
    elif kind == "constant":
        expected = np.tile(EMPTY, (3, 1))
    elif kind == "least-squares":
        for user in (0, 2):
            matrix = 0.2 * wide.T @ wide + wide.T @ (dense[user][:, None] * wide)
            matrix += 0.3 * (dense[user].sum() + 0.2 * 4) * np.eye(3)
            expected[user] = np.linalg.solve(matrix, dense[user] @ wide)
    expected[1] = EMPTY
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("at_once", [1, 1 << 22])
@pytest.mark.parametrize("among", [None, np.array([3, 0, 2])])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_best_items_come_first(at_once, among, exclude_seen, monkeypatch):
    monkeypatch.setattr(baskets, "_SCORES_AT_ONCE", at_once)
    rows = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)
    for k in (1, 2, 9):
        places, scores = rank_items(rows, VECTORS, X, k, exclude_seen=exclude_seen, among=among)
        assert (places.dtype, scores.dtype) == (np.int64, np.float32)
        allowed = np.arange(4) if among is None else among
        for user in range(3):
            of_user = rows[user] @ VECTORS.T
            if exclude_seen:
                of_user[X[user].indices] = -np.inf
            order = allowed[np.argsort(-of_user[allowed], kind="stable")][:k]
            np.testing.assert_allclose(scores[user], of_user[order], rtol=1e-5)
            finite = np.isfinite(scores[user])
            np.testing.assert_array_equal(places[user][finite], order[finite])


# --------------------------------------------------------------------------------------------------------- columns


def test_names_of_dimensions_are_of_one_width_and_different():
    names = output_names(["a", "b"], [11, 1], ["n"]).tolist()
    assert names == [*(f"a_{i:02d}" for i in range(11)), "b_0", "n"]
    with pytest.raises(ValueError, match=r"output features are not unique: 'a_0'; two columns of X lead to the same"):
        output_names(["a"], [1], ["a_0"])


def test_rows_are_gathered_beside_numbers_and_found_again():
    tables = [
        EmbeddingTable(["x", "y"], [[1.0, 2], [3, 4]], unknown=[9.0, 9]),
        EmbeddingTable(["u"], [[5.0]]),
    ]
    ids, numbers = [np.array([2, 0, 1]), np.array([1, 1, 1])], np.array([0.1, 0.2, 0.3])
    found = gather(tables, ids, [numbers], 3)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[3, 4, 5, 0.1], [9, 9, 5, 0.2], [1, 2, 5, 0.3]])
    assert gather(tables, ids, [], 3).dtype == np.float32
    assert with_numbers(2, [numbers], 3).shape == (3, 3)
    back = invert(found + 0.01, tables, [2, 0], [3], 4)
    assert back[:, 2].tolist() == ["y", "y", "x"]
    assert back[:, 0].tolist() == ["u"] * 3
    assert back[:, 1].tolist() == [None] * 3
    np.testing.assert_allclose(back[:, 3].astype(float), numbers + 0.01)
    with pytest.raises(ValueError, match="X has 3 features, but inverse_transform expects 4"):
        invert(found[:, :3], tables, [2, 0], [3], 4)
    spoiled = found.copy()
    spoiled[1, 0] = np.nan
    with pytest.raises(
        ValueError, match="X contains NaN or infinity among the vectors; inverse_transform needs finite"
    ):
        invert(spoiled, tables, [2, 0], [3], 4)
    spoiled = found.copy()
    spoiled[1, 3] = np.nan  # of a number that passes through
    assert np.isnan(invert(spoiled, tables, [2, 0], [3], 4)[1, 3])
    nothing = EmbeddingTable([], np.empty((0, 2), np.float32), unknown=[1.0, 1])
    assert invert(np.ones((2, 2)), [nothing], [0], [], 1).tolist() == [[None], [None]]


# ---------------------------------------------------------------------------------------------------------- starts


def test_tables_of_init_are_read_and_others_refused(tmp_path):
    table = EmbeddingTable(["a", "b"], [[1.0, 2], [3, 4]])
    table.save(tmp_path / "table.csv")
    found = read_init({"x": table, "y": tmp_path / "table.csv", "z": str(tmp_path / "table.csv")}, ["x", "y", "z"])
    assert found["x"] is table
    np.testing.assert_allclose(found["y"].vectors, table.vectors)
    np.testing.assert_allclose(found["z"].vectors, table.vectors)
    assert read_init(None, ["x"]) == {}
    with pytest.raises(ValueError, match=r"init names 'w', which is not a categorical column of X; they are \['x'\]"):
        read_init({"w": table}, ["x"])
    with pytest.raises(TypeError, match=r"init\['x'\] is of type ndarray; expected an EmbeddingTable or the path"):
        read_init({"x": np.eye(2)}, ["x"])


def test_levels_begin_at_the_vectors_of_a_table_and_others_at_its_unknown_or_its_mean():
    vocabulary = Vocabulary.from_factor(factorize(np.array(["b", "c", "b"], dtype=object)))
    keys = list(vocabulary.keys)
    plain = EmbeddingTable(["a", "b"], [[1.0, 2], [3, 6]])
    known = EmbeddingTable(["a", "b"], [[1.0, 2], [3, 6]], unknown=[7.0, 7])
    for table, unknown in ((plain, [2, 4]), (known, [7, 7])):
        starts = vectors_from_init({"x": table}, ["w", "x"], [None, vocabulary])
        assert list(starts) == [1]
        assert starts[1].dtype == np.float32
        expected = {"b": [3, 6], "c": unknown}
        np.testing.assert_allclose(starts[1], [unknown, *(expected[key] for key in keys)])
    with pytest.raises(
        ValueError, match=re.escape("init['x'] shares no key with column 'x': the table has keys such as ['z']")
    ):
        vectors_from_init({"x": EmbeddingTable(["z"], [[1.0]])}, ["x"], [vocabulary])


# ----------------------------------------------------------------------------------------------------------- words


def test_words_have_rows_as_they_are_then_in_lower_case_then_by_their_ngrams():
    table = EmbeddingTable(["the", "Ulm"], [[1.0, 2], [3, 4]], unknown=[8.0, 8])
    words = WordRows(table)
    rows = words.rows(["The", "Ulm", "ulm", "THE", "zzz"])
    assert rows.tolist() == [0, 1, -1, 0, -1]
    assert rows.dtype == np.int32
    np.testing.assert_array_equal(words.vectors(rows), [[1, 2], [3, 4], [8, 8], [1, 2], [8, 8]])
    plain = WordRows(EmbeddingTable(["a"], [[1.0]]))
    np.testing.assert_array_equal(plain.vectors(np.array([-1, 0])), [[0], [1]])
    rng = np.random.default_rng(0)
    subwords = Subwords(rng.normal(size=(20, 2)).astype(np.float32), min_n=3, max_n=4, n_buckets=20)
    whole = SubwordTable(["the", "Ulm"], rng.normal(size=(2, 2)).astype(np.float32), subwords=subwords)
    words = WordRows(whole)
    rows = words.rows(["bell", "Ulm", "ring", "bell", ""])
    assert rows[0] == rows[3] == 2
    assert rows[1] == 1
    assert rows[2] == 3
    composed, n_ngrams = subwords.compose(["bell", "ring", ""])
    assert rows[4] == (4 if n_ngrams[2] else -1)
    np.testing.assert_array_equal(words.vectors(rows)[[0, 2]], composed[:2])
    assert words.rows(["ring"]).tolist() == [3]


@pytest.mark.parametrize("max_characters", [3, 5, 50])
def test_characters_are_bytes_between_a_begin_and_an_end(max_characters):
    words = ["hi", "é", "", "<S>", "</S>", "a" * 60, "\ud800x"]
    found = character_ids(words, max_characters)
    assert (found.shape, found.dtype) == ((7, max_characters), np.int16)
    bodies = [list(word.encode("utf-8", "ignore")) for word in words]
    bodies[3], bodies[4] = [256], [257]
    for row, body in zip(found, bodies):
        body = body[: max_characters - 2]
        assert row.tolist() == [258, *body, 259, *[260] * (max_characters - 2 - len(body))]
    assert (PADDING, N_CHARACTERS) == (260, 261)


def test_poolings_of_a_file_have_the_sizes_of_its_table():
    assert pooling_names("max") == ["max"]
    assert pooling_names(("mean", "sif")) == ["mean", "sif"]
    for bad in ("sum", [], ["mean", "sum"]):
        with pytest.raises(
            ValueError, match=r"expected one of 'mean', 'tfidf', 'sif', 'max', 'min', or a list of them"
        ):
            pooling_names(bad)
    weights, component = np.ones(4, np.float32), np.ones(3, np.float32)
    check_poolings([Pooling("mean"), Pooling("sif", weights, component), Pooling("tfidf", weights)], 4, 3)
    for bad in (
        Pooling("tfidf", weights[:3]), Pooling("sif", weights, component[:2]), Pooling("tfidf", weights.astype(int)),
        Pooling("sif", weights, component[None]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"pooling '{bad.name}': expected weights of 4 words and 3 components"):
            check_poolings([Pooling("mean"), bad], 4, 3)


def slow_postprocess(method, vectors, counts, shares, saturate):
    p = counts / counts.sum()
    dim = vectors.shape[1]
    if method == "all-but-the-top":
        centered = vectors - p @ vectors
        axes = np.linalg.eigh(centered.T @ (p[:, None] * centered))[1][:, ::-1]
        top = axes[:, : max(dim // 100, 1)]
        return centered - centered @ top @ top.T
    weights = np.sqrt(counts) / np.sqrt(counts).sum()
    values, axes = np.linalg.eigh(vectors.T @ (weights[:, None] * vectors))
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dim)])
    values = (len(vectors) * values + dim * values.mean()) / (len(vectors) + dim)
    images = vectors @ (axes * values**0.25)
    length = np.median(np.linalg.norm(images, axis=1))
    images = images / (length + np.linalg.norm(images, axis=1, keepdims=True)) if saturate else images / length
    weighted = images * (0.1 / (0.1 + p))[:, None]
    after = 0.5 * (shares @ weighted)
    scale = np.sqrt((p @ (vectors**2).sum(axis=1)) / (p @ ((weighted - after) ** 2).sum(axis=1)))
    return scale * images, scale * after


@pytest.mark.parametrize("method", ["pca", "all-but-the-top"])
@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("dim", [5, 210])
def test_postprocessing_is_that_of_the_formulas(method, saturate, dim):
    rng = np.random.default_rng(0)
    vectors, counts = rng.normal(size=(300, dim)) + 1, rng.integers(1, 500, 300)
    shares = rng.dirichlet(np.ones(300))
    learned = learn_postprocess(method, vectors, counts, shares, saturate=saturate)
    found = learned(vectors)
    assert found.dtype == np.float32
    if method == "pca":
        images, after = slow_postprocess(method, vectors, counts, shares, saturate)
        np.testing.assert_allclose(found, images - after, rtol=1e-3, atol=1e-4)
        weighted = learned(vectors, frequency_weights(counts, 0.1))
        np.testing.assert_allclose(
            weighted, images * (0.1 / (0.1 + counts / counts.sum()))[:, None] - after, rtol=1e-3, atol=1e-4
        )
    else:
        np.testing.assert_allclose(found, slow_postprocess(method, vectors, counts, shares, saturate), atol=1e-4)
    np.testing.assert_allclose(frequency_weights(np.zeros(3), 0.1), 1.0)


def test_means_over_neighbours_are_of_one_length_times_what_so_many_say():
    rows = sparse.csr_matrix(np.array([[1.0, 3, 0], [0, 0, 0], [0, 0, 1e300], [2, 2, 2]]))
    context = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    shares = rows.toarray() / np.maximum(rows.toarray().max(axis=1, keepdims=True), 1e-300)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    means = shares @ context
    np.testing.assert_allclose(mean_over_neighbors(rows, context, 0.0), means, rtol=1e-5, atol=1e-7)
    found = mean_over_neighbors(rows, context, 2.0)
    counts = np.array([2, 0, 1, 3])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 2 * np.sqrt(counts / (counts + 1)), rtol=1e-5)
    assert rows[0].toarray().tolist() == [[1, 3, 0]]
    explicit = rows.copy()
    explicit.data[0] = 0.0  # no neighbour any more
    np.testing.assert_allclose(np.linalg.norm(mean_over_neighbors(explicit, context, 1.0)[0]), 0.5**0.5, rtol=1e-5)
    assert explicit.nnz == rows.nnz


# ---------------------------------------------------------------------------------------------------------- models


class Model:
    pass


@pytest.fixture
def opened(monkeypatch):
    made = []
    monkeypatch.setattr(model_cache, "open_contextual_model", lambda *told: made.append(told) or Model())
    return made


def test_a_model_is_opened_once_while_it_is_held_and_its_files_stay(tmp_path, opened):
    (tmp_path / "folder").mkdir()
    for name in ("a", "folder/b"):
        (tmp_path / name).write_text("x")
    options = ModelOptions("cpu")
    first = shared_model(tmp_path, options)
    assert shared_model(str(tmp_path), options) is first
    assert shared_model(tmp_path / "folder" / "..", options) is first
    assert shared_model(tmp_path, ModelOptions("cuda")) is not first
    assert shared_model(tmp_path, ModelOptions("cpu", "float16")) is not first
    assert shared_model(tmp_path, ModelOptions("cpu", vectors="some.txt")) is not first
    table = EmbeddingTable(["a"], [[1.0]])
    given = ModelOptions("cpu", vectors=table)
    assert shared_model(tmp_path, given) is not shared_model(tmp_path, given)
    for name in ("a", "folder/b"):
        before = shared_model(tmp_path, options)
        (tmp_path / name).write_text("longer")
        assert shared_model(tmp_path, options) is not before
    n_opened = len(opened)
    shared_model(tmp_path / "nowhere", options)
    shared_model(tmp_path / "nowhere", options)
    assert len(opened) == n_opened + 2
    held = shared_model(tmp_path, options)
    del held, first, before
    n_opened = len(opened)
    shared_model(tmp_path, options)
    assert len(opened) == n_opened + 1  # nobody held it


def test_a_holder_opens_anew_where_it_is_told_or_asked_for_another(tmp_path, opened):
    holder, options = ModelHolder(), ModelOptions("cpu")
    (tmp_path / "a").write_text("x")
    first = holder.get(tmp_path, options)
    assert holder.get(str(tmp_path), options) is first
    (tmp_path / "a").write_text("longer")
    assert holder.get(tmp_path, options) is first
    anew = holder.get(tmp_path, options, anew=True)
    assert anew is not first
    assert holder.get(tmp_path, options) is anew
    assert holder.get(tmp_path, ModelOptions("cuda")) is not anew
    fitted = object()
    assert holder.trusted(fitted) is None
    holder.trust(fitted, anew)
    assert holder.trusted(fitted) is anew
    assert holder.trusted(object()) is None


def test_a_process_that_was_forked_says_so(monkeypatch):
    assert forks.is_fork() is False
    monkeypatch.setattr(forks, "_forked", False)
    forks._note()
    assert forks.is_fork() is True


@pytest.mark.parametrize(("forked", "n", "n_set"), [(False, 4, []), (True, 4, [1]), (True, 1, [])])
def test_torch_is_set_to_one_thread_in_forks(forked, n, n_set, monkeypatch):
    pytest.importorskip("torch")
    from skembed.apply.nets import threads

    asked = []
    monkeypatch.setattr(threads, "is_fork", lambda: forked)
    monkeypatch.setattr(threads, "torch", SimpleNamespace(get_num_threads=lambda: n, set_num_threads=asked.append))

    @threads.on_one_thread_in_forks
    def run(a, *, b):
        """Run."""
        return a, b

    assert run(1, b=2) == (1, 2)
    assert asked == n_set
    assert run.__doc__ == "Run."


@pytest.mark.parametrize("n", [1, 4])
def test_a_small_net_runs_on_one_thread_of_openmp(n, monkeypatch):
    pytest.importorskip("torch")
    from skembed.apply.nets import threads

    told = []

    @contextmanager
    def one_openmp_thread():
        told.append("begin")
        yield
        told.append("end")

    monkeypatch.setattr(threads, "torch", SimpleNamespace(get_num_threads=lambda: n))
    monkeypatch.setattr(threads, "one_openmp_thread", one_openmp_thread)

    @threads.on_one_thread
    def run(a, *, b):
        told.append("run")
        return a, b

    assert run(1, b=2) == (1, 2)
    assert told == (["run"] if n == 1 else ["begin", "run", "end"])
