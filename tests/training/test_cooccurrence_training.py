"""Counting and GloVe's training as a whole: bounded memory, and the same bits whatever the cuts and workers."""

import tempfile
import tracemalloc
import warnings

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from trainers import count_cooccurrences, train_glove

from skembed.training import cooccurrence, counting, glove
from skembed.training.cooccurrence import SMALLEST_MEMORY, cut_blocks

N_KEYS = 700


@pytest.fixture(scope="module")
def corpus():
    generator = np.random.default_rng(0)
    ids = np.minimum(generator.zipf(1.25, 60_000) - 1, N_KEYS - 1).astype(np.int32)
    ends = np.append(np.sort(generator.integers(0, 60_000, 300)), 60_000)
    return ids, ends, np.bincount(ids, minlength=N_KEYS)


def chunked(ids, ends, size):
    chunks, begin = [], 0
    for end in [*ends[size - 1 :: size], len(ids)]:
        inside = ends[(ends > begin) & (ends <= end)] - begin
        chunks.append((ids[begin:end], inside))
        begin = end
    return chunks


def bits(corpus, *, chunks=None, **options):
    ids, ends, counts = corpus
    with count_cooccurrences(chunks or [(ids, ends)], counts, window=7, seed=3, **options) as cooccurrences:
        return joblib.hash((np.array(cooccurrences.cells), cooccurrences.bucket_ends, cooccurrences.n_cells))


@pytest.mark.parametrize("symmetric", [True, False])
def test_counts_do_not_depend_on_memory_chunks_or_jobs(corpus, symmetric, monkeypatch):
    expected = bits(corpus, symmetric=symmetric)
    ids, ends, _ = corpus
    assert bits(corpus, symmetric=symmetric, n_jobs=3) == expected
    assert bits(corpus, symmetric=symmetric, chunks=chunked(ids, ends, 40)) == expected
    runs = []
    append = counting.Runs.append
    monkeypatch.setattr(counting.Runs, "append", lambda self, ranges: (runs.append(1), append(self, ranges)))
    assert bits(corpus, symmetric=symmetric, memory_limit=SMALLEST_MEMORY) == expected
    assert len(runs) >= 3
    assert bits(corpus, symmetric=symmetric, memory_limit=SMALLEST_MEMORY, n_jobs=2) == expected


def test_tokens_left_out_let_windows_close(corpus):
    ids, ends, counts = corpus
    holes = np.insert(ids, np.arange(0, len(ids), 3), -1)
    moved = np.array([end + -(-end // 3) for end in ends])
    assert bits((holes, moved, counts)) == bits(corpus)


def test_triplets_are_the_whole_table():
    ids = np.array([0, 1, 0, 2], np.int32)
    for symmetric, expected in [
        (True, [[1, 2, 1], [2, 0, 0.5], [1, 0.5, 0]]),
        (False, [[0.5, 1, 0], [1, 0, 0], [1, 0.5, 0]]),
    ]:
        with count_cooccurrences([(ids, [4])], [2, 1, 1], window=2, symmetric=symmetric, seed=0) as cooccurrences:
            rows, columns, values = cooccurrences.triplets()
            dense = np.zeros((3, 3))
            dense[rows, columns] = values
            np.testing.assert_allclose(dense, expected, rtol=1e-6)
            assert cooccurrences.n_cells == np.count_nonzero(expected)


def test_memory_of_counting_is_bounded():
    generator = np.random.default_rng(0)
    ids = np.minimum(generator.zipf(1.1, 1_500_000) - 1, 2999).astype(np.int32)
    counts, limit = np.bincount(ids, minlength=3000), 8 << 20

    def chunks():
        for begin in range(0, len(ids), 50_000):
            yield ids[begin : begin + 50_000], np.array([50_000])

    peaks = {}
    for memory_limit in (limit, 1 << 31):
        tracemalloc.start()
        with count_cooccurrences(chunks(), counts, memory_limit=memory_limit, seed=0) as cooccurrences:
            peaks[memory_limit] = tracemalloc.get_traced_memory()[1]
            assert cooccurrences.cells.nbytes > limit  # so that they cannot all be in memory
        tracemalloc.stop()
    assert peaks[limit] < 1.25 * limit
    assert peaks[1 << 31] > 3 * limit


def test_no_file_stays_behind(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cooccurrence, "CELL_BYTES", 10**6)  # cells go to a file
    bits(corpus, memory_limit=SMALLEST_MEMORY)
    assert not list(tmp_path.iterdir())


def test_bad_arguments_are_named(corpus):
    ids, ends, counts = corpus
    with pytest.raises(ValueError, match="memory_limit=100 bytes; counting needs at least 1048576"):
        count_cooccurrences([(ids, ends)], counts, memory_limit=100, seed=0)
    with pytest.raises(ValueError, match="has the id 699, but counts has 10 rows"):
        count_cooccurrences([(ids, ends)], counts[:10], seed=0)


@pytest.mark.parametrize("n_keys", [1, 5, 1000, 300_000])
def test_blocks_cover_all_keys(n_keys):
    starts = cut_blocks(10**6 // np.arange(1, n_keys + 1) + 1, 15)
    assert starts[0] == 0
    assert starts[-1] == n_keys
    sizes = np.diff(starts)
    assert (sizes >= 0).all()
    assert sizes.max() <= 1 << 16
    assert (len(sizes) & (len(sizes) - 1)) == 0


# ------------------------------------------------------------------------------------------------- training


def learn(corpus, *, n_jobs=None, memory_limit=1 << 31, symmetric=True, **options):
    ids, ends, counts = corpus
    options_of_counting = {"window": 7, "symmetric": symmetric, "x_max": 10, "memory_limit": memory_limit}
    with count_cooccurrences([(ids, ends)], counts, n_jobs=n_jobs, seed=0, **options_of_counting) as cooccurrences:
        assert len(cooccurrences.bucket_ends) >= 4
        return train_glove(cooccurrences, embedding_dim=9, max_iter=3, n_jobs=n_jobs, seed=0, **options)


@pytest.mark.parametrize("symmetric", [True, False])
def test_bits_do_not_depend_on_jobs_memory_or_backend(corpus, symmetric):
    expected = joblib.hash(learn(corpus, symmetric=symmetric))
    assert joblib.hash(learn(corpus, symmetric=symmetric, n_jobs=3)) == expected
    assert joblib.hash(learn(corpus, symmetric=symmetric, memory_limit=SMALLEST_MEMORY)) == expected
    with joblib.parallel_config(backend="loky"):
        assert joblib.hash(learn(corpus, symmetric=symmetric, n_jobs=2)) == expected


def test_no_two_pairs_of_a_round_share_a_block_and_all_meet_once(corpus):
    ids, ends, counts = corpus
    for symmetric in (True, False):
        with count_cooccurrences([(ids, ends)], counts, symmetric=symmetric, seed=0) as cooccurrences:
            rounds = glove._rounds(cooccurrences)
            n_blocks = len(cooccurrences.bucket_ends)
            buckets = []
            for pairs in rounds:
                blocks = [block for pair in pairs for block in {pair.first, pair.second}]
                assert len(blocks) == len(set(blocks))
                buckets += [bucket[:2] for pair in pairs for bucket in pair.buckets if bucket[0] < bucket[1]]
            assert n_blocks >= 4
            assert sum(end - begin for begin, end in buckets) == len(cooccurrences.cells)
            assert len(set(buckets)) == len(buckets)


def test_products_become_logarithms_of_counts(corpus):
    ids, ends, counts = corpus
    with count_cooccurrences([(ids, ends)], counts, window=7, x_max=10, seed=0) as cooccurrences:
        tables = train_glove(cooccurrences, embedding_dim=20, max_iter=60, seed=0)
        rows, columns, values = cooccurrences.triplets()
    often = values > 20
    rows, columns = rows[often], columns[often]
    model = (tables.words[rows] * tables.contexts[columns]).sum(1)
    model += tables.word_biases[rows] + tables.context_biases[columns]
    assert np.abs(model - np.log(values[often])).mean() < 0.3
    assert tables.loss_curve[-1] < 0.5 * tables.loss_curve[0]


def test_the_loss_is_half_the_weighted_squared_error():
    """With steps of nothing, the loss is that of the vectors at the start."""
    ids = np.random.default_rng(0).integers(6, size=400).astype(np.int32)
    start = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    for symmetric in (True, False):
        with count_cooccurrences([(ids, [400])], np.bincount(ids), x_max=50, symmetric=symmetric, seed=0) as x:
            rows, columns, values = x.triplets()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                tables = train_glove(x, embedding_dim=3, learning_rate=1e-12, max_iter=1, seed=0, start=tuple(start))
        errors = (start[0][rows] * start[1][columns]).sum(1) - np.log(values)
        expected = np.mean(0.5 * np.minimum(1, (values / 50) ** 0.75) * errors**2)
        assert tables.loss_curve[0] == pytest.approx(expected, rel=1e-4)


def test_training_stops_when_asked_to(corpus):
    passes = []
    tables = learn(corpus, on_pass=lambda pass_, tables: passes.append(pass_) or pass_ == 1)
    assert passes == [0, 1]
    assert len(tables.loss_curve) == 2


@pytest.mark.parametrize("loss", [np.nan, 1e30])
def test_a_loss_above_what_it_begins_with_is_warned_about(corpus, loss, monkeypatch):
    monkeypatch.setattr(glove, "_learn", lambda *arguments: loss)
    with pytest.warns(ConvergenceWarning, match=r"above .*the most that it can begin with. Lower learning_rate=0.05"):
        learn(corpus)


def test_a_loss_that_is_as_it_began_is_not_warned_about():
    """A cell alone, of vectors that begin on the other side of zero from its logarithm."""
    ids = np.zeros(40, np.int32)
    with count_cooccurrences([(ids, [40])], np.array([40]), window=1, x_max=5, seed=0) as x, warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(8):
            train_glove(x, embedding_dim=1, learning_rate=1e-12, max_iter=1, seed=seed)


def test_more_memory_than_there_is_is_predicted(corpus, monkeypatch):
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10**4)
    with pytest.raises(MemoryError, match="GloVe of 700 keys with embedding_dim=9 needs at least 154000 bytes"):
        learn(corpus)
