"""Counts of pairs, GloVe's buckets and rounds, and factors, at their edges: sizes, files, warnings and memory."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from trainers import count_cooccurrences, train_glove

from skembed.data.ragged import Ragged
from skembed.parallel import open_workers
from skembed.training import cooccurrence, counting, factorization, glove
from skembed.training.cooccurrence import Cooccurrences, cut_blocks
from skembed.training.counting import CountedRows, Counter, Part, Runs
from skembed.training.factorization import PPMISettings, factorize_ppmi
from skembed.training.glove import glove_vectors
from skembed.training.run import Run

N_KEYS = 40
IDS = np.random.default_rng(0).integers(N_KEYS, size=900).astype(np.int32)
ENDS = np.arange(9, 901, 9)
COUNTS = np.bincount(IDS, minlength=N_KEYS)


def slow_counts(window, symmetric, weighted):
    table = np.zeros((N_KEYS, N_KEYS))
    for begin, end in zip([0, *ENDS[:-1]], ENDS):
        for i in range(begin, end):
            for j in range(begin, end):
                if i != j and abs(i - j) <= window and (symmetric or j < i):
                    table[IDS[i], IDS[j]] += 1 / abs(i - j) if weighted else 1
    return table


@pytest.fixture
def many_blocks(monkeypatch):
    monkeypatch.setattr(cooccurrence, "BUCKET_SIDE", 4)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("x_max", [1.5, 100.0])
def test_cells_are_counts_and_weights_in_the_bucket_of_their_blocks(symmetric, weighted, x_max, many_blocks):
    options = {"window": 3, "symmetric": symmetric, "distance_weighting": weighted, "x_max": x_max, "alpha": 0.5}
    with count_cooccurrences([(IDS, ENDS)], COUNTS, seed=0, **options) as found:
        expected = slow_counts(3, symmetric, weighted)
        rows, columns, values = found.triplets()
        dense = np.zeros((N_KEYS, N_KEYS))
        dense[rows, columns] = values
        np.testing.assert_allclose(dense, expected, rtol=1e-5)
        np.testing.assert_array_equal(np.lexsort((columns, rows)), np.arange(len(rows)))
        assert found.n_cells == np.count_nonzero(expected)
        starts, n_blocks = found.block_starts, len(found.bucket_ends)
        assert n_blocks >= 4
        place = 0
        for a in range(n_blocks):
            for b in range(n_blocks):
                begin, end = found.bucket(a, b)
                assert begin == place
                place = end
                for cell in found.cells[begin:end]:
                    row, column = starts[a] + (cell[0] & 0xFFFF), starts[b] + (cell[0] >> 16)
                    assert starts[a] <= row < starts[a + 1]
                    assert starts[b] <= column < starts[b + 1]
                    assert not symmetric or row <= column
                    log_count, weight = cell[1:].view(np.float32)
                    assert log_count == pytest.approx(np.log(expected[row, column]), abs=1e-5)
                    assert weight == pytest.approx(min(1.0, (expected[row, column] / x_max) ** 0.5), rel=1e-5)
        assert place == len(found.cells)


def test_the_order_within_buckets_is_the_seeds():
    cells = []
    for seed in (0, 0, 1):
        with count_cooccurrences([(IDS, ENDS)], COUNTS, window=3, seed=seed) as found:
            cells.append(np.array(found.cells))
    np.testing.assert_array_equal(cells[0], cells[1])
    assert (cells[0] != cells[2]).any()
    np.testing.assert_array_equal(np.unique(cells[0], axis=0), np.unique(cells[2], axis=0))


@pytest.mark.parametrize("n_keys", [1, 3, 50, 2000])
@pytest.mark.parametrize("window", [1, 10])
def test_blocks_are_a_power_of_two_with_equal_sums_of_roots(n_keys, window):
    counts = 10**5 // np.arange(1, n_keys + 1)
    starts = cut_blocks(counts, window)
    pairs = min(counts.sum() * window, n_keys * (n_keys + 1) / 2)
    n_blocks = 2 ** int(np.clip(round(np.log2(max(1, pairs**0.5 / 128))), 0, 10))
    assert len(starts) == n_blocks + 1
    assert starts.dtype == np.int64
    mass = np.sqrt(counts)
    for begin, end in pairwise(starts):
        assert abs(mass[begin:end].sum() - mass.sum() / n_blocks) <= 2 * mass.max() + 1e-9


def test_blocks_are_cut_again_where_numbers_within_them_have_no_place(monkeypatch):
    monkeypatch.setattr(cooccurrence, "LARGEST_BLOCK", 30)
    starts = cut_blocks(np.array([10**8, *[1] * 99]), 1)
    assert np.diff(starts).max() <= 30
    n_blocks = len(starts) - 1
    assert n_blocks & (n_blocks - 1) == 0
    monkeypatch.setattr(cooccurrence, "LARGEST_BLOCK", 100)
    assert len(cut_blocks(np.array([10**8, *[1] * 99]), 1)) == 2
    assert cut_blocks(np.empty(0, int), 5).tolist() == [0, 0]


def test_blocks_without_keys_have_no_cells(monkeypatch):
    """A key that is nearly all of the corpus takes more than its share, and blocks beside it are empty."""
    monkeypatch.setattr(cooccurrence, "BUCKET_SIDE", 1)
    ids = np.where(np.arange(300) % 50 == 0, np.arange(300) // 50, 6).astype(np.int32)
    counts = np.bincount(ids)
    with count_cooccurrences([(ids, [300])], counts, window=2, seed=0) as found:
        assert (np.diff(found.block_starts) == 0).any()
        rows, _, values = found.triplets()
        assert len(rows) == found.n_cells
        assert values.sum() == pytest.approx(2 * (299 + 298 / 2), rel=1e-5)


def test_what_ends_too_soon_is_told():
    runs = Runs(3)
    rows = CountedRows(np.array([1, 1, 2]), np.array([0, 2], np.int32), np.array([5, 6]))
    runs.append([rows])
    runs._runs[0][1].truncate(4)
    with pytest.raises(OSError, match="a temporary file of counts ends after 4 of 8 bytes"):
        runs.count(0, 3, np.zeros(3, np.int64), np.empty(3, np.int32))
    runs.close()
    assert len(runs) == 0


def test_rows_are_the_sums_of_their_runs():
    runs = Runs(4)
    assert len(runs) == 0
    one = [CountedRows(np.array([2, 2]), np.array([0, 3], np.int32), np.array([5, 6])),
           CountedRows(np.array([0, 1]), np.array([1], np.int32), np.array([7]))]  # fmt: skip
    other = [CountedRows(np.array([1, 2, 2, 3]), np.array([3, 2, 1], np.int32), np.array([1, 2, 3]))]
    runs.append(one)
    runs.append(other)
    np.testing.assert_array_equal(runs.most_cells, [3, 1, 0, 2])
    np.testing.assert_array_equal(runs.cost, runs.most_cells)
    sums, touched = np.zeros(4, np.int64), np.empty(4, np.int32)
    whole = runs.count(0, 4, sums, touched)
    for first, last in ((0, 4), (1, 4), (0, 1), (3, 4), (2, 3)):
        found = runs.count(first, last, sums, touched)
        begin = whole.ends[first - 1] if first else 0
        np.testing.assert_array_equal(found.ends, whole.ends[first:last] - begin)
        np.testing.assert_array_equal(found.columns, whole.columns[begin : whole.ends[last - 1]])
        np.testing.assert_array_equal(found.values, whole.values[begin : whole.ends[last - 1]])
    assert whole.ends.tolist() == [2, 3, 3, 4]
    cells = [
        dict(zip(whole.columns[a:b].tolist(), whole.values[a:b].tolist())) for a, b in zip([0, 2, 3, 3], [2, 3, 3, 4])
    ]
    assert cells == [{0: 5, 3: 7}, {2: 2}, {}, {1: 10}]
    runs.close()


@pytest.mark.parametrize("most_bytes", [1, 2000, 10**6])
def test_rows_are_counted_in_ranges_that_fit_and_cross_no_cut(most_bytes):
    tokens = np.concatenate([[cooccurrence.SEPARATOR], IDS, [cooccurrence.SEPARATOR]]).astype(np.int32)
    weights = cooccurrence.distance_weights(3, True)
    source = Part(tokens, 1, N_KEYS, weights, True)
    assert (source.cost == COUNTS * 6).all()
    np.testing.assert_array_equal(source.most_cells, np.minimum(COUNTS * 6, N_KEYS - np.arange(N_KEYS)))
    one_sided = Part(tokens, 1, N_KEYS, weights, False)
    assert (one_sided.cost == COUNTS * 3).all()
    np.testing.assert_array_equal(one_sided.most_cells, np.minimum(COUNTS * 3, N_KEYS))
    cuts = np.array([0, 7, 23, N_KEYS])
    with open_workers(1) as workers:
        counter = Counter(workers, N_KEYS, most_bytes)
        batches = list(counter.batches(source, cuts))
        bounds = counter._cut(source, cuts)
    assert set(cuts) <= set(bounds)
    assert [len(rows.ends) for batch in batches for rows in batch] == np.diff(bounds).tolist()
    cells = np.concatenate([[0], np.cumsum(source.most_cells)])
    row = 0
    for batch in batches:
        n = sum(len(rows.ends) for rows in batch)
        assert len(batch) == 1 or 24 * (cells[row + n] - cells[row]) <= most_bytes
        row += n
    if most_bytes == 10**6:
        assert len(batches) == 1
    if most_bytes == 1:
        assert [len(batch) for batch in batches] == [1] * len(bounds[1:])
    assert len(counter._workspaces) == 1


def test_cells_go_to_a_file_beyond_their_share_alone(tmp_path):
    for most, n_files in ((24, 0), (23, 1)):
        table = Cooccurrences(False, np.array([0, 1, 2]), most)
        table.append(np.ones((1, 3), np.uint32), np.array([1, 1]), 0)
        table.append(np.full((1, 3), 2, np.uint32), np.array([0, 1]), 0)
        table.finish()
        assert (table._file is not None) == bool(n_files)
        assert table.cells.tolist() == [[1] * 3, [2] * 3]
        assert table.n_cells == 2
        assert table.bucket_ends.tolist() == [[1, 1], [1, 2]]
        assert [table.bucket(*place) for place in ((0, 0), (0, 1), (1, 0), (1, 1))] == [(0, 1), (1, 1), (1, 1), (1, 2)]
        file = table._file
        table.close()
        assert table.cells.shape == (0, 3)
        assert file is None or file.closed


def test_both_halves_of_a_symmetric_table_are_counted_but_its_diagonal_once():
    table = Cooccurrences(True, np.array([0, 2]), 10**6)
    table.append(np.zeros((5, 3), np.uint32), np.array([5]), 2)
    assert table.n_cells == 8


def test_an_error_while_counting_leaves_no_file_open(monkeypatch):
    made, close = [], Cooccurrences.close
    monkeypatch.setattr(Cooccurrences, "close", lambda self: made.append(self) or close(self))
    closed, close_runs = [], Runs.close
    monkeypatch.setattr(Runs, "close", lambda self: closed.append(self) or close_runs(self))
    with pytest.raises(ValueError, match="the id 39"):
        count_cooccurrences([(IDS, ENDS)], COUNTS[:5], seed=0)
    assert len(made) == len(closed) == 1


def test_parts_overlap_by_a_window_and_every_token_is_new_once():
    ids, ends = np.arange(30, dtype=np.int32), np.array([10, 30])
    sep = cooccurrence.SEPARATOR
    parts = list(cooccurrence._parts([Ragged.from_ends(ids, ends)], 30, 3, 12))
    assert [is_last for _, _, is_last in parts] == [False] * (len(parts) - 1) + [True]
    new = []
    for k, (tokens, first_new, _) in enumerate(parts):
        assert tokens[0] == tokens[-1] == sep
        new += tokens[first_new:-1].tolist()
        if k:
            np.testing.assert_array_equal(tokens[1:first_new], parts[k - 1][0][-4:-1])
    assert new == [*range(10), sep, *range(10, 30), sep]
    ((tokens, first_new, is_last),) = cooccurrence._parts([], 30, 3, 12)
    assert (tokens.tolist(), first_new, is_last) == ([sep, sep], 1, True)


@pytest.mark.parametrize("ends", [[0, 3, 3, 6], [1, 2, 6], [6, 6]])
def test_sequences_are_set_apart_and_ids_that_are_left_out_are_gone(ends):
    ids, sep = np.array([4, -1, 5, -1, -1, 6], np.int32), cooccurrence.SEPARATOR
    expected = []
    for begin, end in pairwise([0, *ends]):
        expected += [*(i for i in ids[begin:end].tolist() if i >= 0), sep]
    found = cooccurrence._separated(ids, np.array(ends))
    assert found.tolist() == expected
    assert found.dtype == np.int32
    whole = np.array([4, 5, 6], np.int32)
    assert cooccurrence._separated(whole, np.array([0, 2, 3])).tolist() == [sep, 4, 5, sep, 6, sep]


# ---------------------------------------------------------------------------------------------------------- GloVe


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("with_start", [False, True])
def test_the_warning_is_of_a_last_loss_above_what_it_can_begin_with_or_that_of_the_first_pass_from_a_start(
    symmetric, with_start, monkeypatch
):
    with count_cooccurrences([(IDS, ENDS)], COUNTS, window=3, x_max=5, symmetric=symmetric, seed=0) as found:
        _, _, values = found.triplets()
        numbers = found.cells.view(np.float32)
        half = numbers[:, 2] * (abs(numbers[:, 1]) + 0.5**2 / 3) ** 2 / 2  # vectors begin within .5 / 3
        bound = half.astype(float).sum() / len(half) + 1e-3
        if not symmetric:
            weights = np.minimum(1, (values / 5) ** 0.75)
            errors = abs(np.log(values)) + 0.5**2 / 3
            assert bound == pytest.approx((weights * errors**2 / 2).mean() + 1e-3, rel=1e-4)
        start = tuple(np.ones((2, N_KEYS, 3), np.float32)) if with_start else None
        for losses, warns in (
            ([9.0, bound * 0.999], False),
            ([9.0, bound * 1.001], not with_start),
            ([2 * bound, 1.9 * bound], not with_start),
            ([2 * bound, 2.1 * bound], True),
            ([9.0, np.nan], True),
        ):
            per_round = iter(losses)
            monkeypatch.setattr(glove, "_rounds", lambda table: [[glove.Pair(0, 0, [])]])
            monkeypatch.setattr(glove, "_learn", lambda *told, n=found.n_cells, each=per_round: next(each) * n)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                train_glove(found, embedding_dim=3, max_iter=2, seed=0, start=start)
            assert [w.category for w in caught] == [ConvergenceWarning] * warns
            if warns:
                assert "Lower learning_rate=0.05" in str(caught[0].message)
                above = max(bound, losses[0]) if with_start else bound
                assert f"is above {above:.4g}, the most that it can begin with" in str(caught[0].message)


def test_vectors_of_glove_begin_uniform_in_half_by_the_dimensions():
    words, contexts = glove_vectors(4000, 5, 1)
    assert words.dtype == contexts.dtype == np.float32
    assert (words != contexts).any()
    for part in (words, contexts):
        assert 0.0999 < part.max() <= 0.1
        assert -0.1 <= part.min() < -0.0999
    assert (words != glove_vectors(4000, 5, 2)[0]).any()
    start = tuple(np.random.default_rng(0).normal(size=(2, N_KEYS, 3)).astype(np.float32))
    with count_cooccurrences([(IDS[:0], [0])], COUNTS, seed=0) as nothing:
        tables = train_glove(nothing, embedding_dim=3, max_iter=1, seed=0, start=start)
        fresh = train_glove(nothing, embedding_dim=3, max_iter=1, seed=1)
    np.testing.assert_array_equal(tables.words, start[0])
    np.testing.assert_array_equal(tables.contexts, start[1])
    np.testing.assert_array_equal(fresh.words, glove_vectors(N_KEYS, 3, 1)[0])
    np.testing.assert_array_equal(fresh.contexts, glove_vectors(N_KEYS, 3, 1)[1])
    assert not tables.word_biases.any()
    assert not tables.context_biases.any()
    assert tables.loss_curve == [0.0]


def test_a_rate_beyond_float32_is_the_largest_there_is(monkeypatch, many_blocks):
    asked, learn = [], glove._learn
    monkeypatch.setattr(glove, "_learn", lambda *told: asked.append(told[-1]) or learn(*told[:-1], 0.05))
    with count_cooccurrences([(IDS, ENDS)], COUNTS, window=3, seed=0) as found:
        for rate in (0.2, 1e200):
            train_glove(found, embedding_dim=3, max_iter=1, learning_rate=rate, seed=0)
    assert set(asked) == {0.2, 1e30}


def test_rounds_come_in_an_order_of_the_seed_and_progress_counts_cells(monkeypatch, many_blocks):
    asked, done, learn = [], [], glove._learn

    def noted(workers, records, table, pairs, rate):
        asked.append(tuple(pair[:2] for pair in pairs))
        return learn(workers, records, table, pairs, rate)

    monkeypatch.setattr(glove, "_learn", noted)
    with count_cooccurrences([(IDS, ENDS)], COUNTS, window=3, seed=0) as found:
        rounds = [tuple(pair[:2] for pair in round_) for round_ in glove._rounds(found)]
        train_glove(found, embedding_dim=3, max_iter=2, seed=7, progress=done.append)
        n = len(rounds)
        assert n > 3
        for pass_ in range(2):
            order = np.random.default_rng((7, glove.TRAINING, pass_)).permutation(n)
            assert asked[pass_ * n : (pass_ + 1) * n] == [rounds[i] for i in order]
        assert sum(done) == 2 * len(found.cells)


@pytest.mark.parametrize("n_workers", [1, 2, 3, 9])
def test_things_are_dealt_to_whom_has_least(n_workers):
    sizes = [5, 1, 8, 3, 3]
    shares = glove._balanced(sizes, n_workers)
    assert len(shares) == min(n_workers, 5)
    assert sorted(i for share in shares for i in share) == list(range(5))
    assert shares[0][0] == 2  # the largest first
    loads = [sum(sizes[i] for i in share) for share in shares]
    assert max(loads) - min(loads) <= 8 - 1
    if n_workers == 2:
        assert sorted(loads) == [9, 11]


@pytest.mark.parametrize("symmetric", [True, False])
def test_copies_that_are_sent_away_come_back_as_what_is_learned_in_place(symmetric, many_blocks):
    with count_cooccurrences([(IDS, ENDS)], COUNTS, window=3, symmetric=symmetric, seed=0) as found:
        records = glove.new_records(*glove_vectors(N_KEYS, 3, 1))
        starts = found.block_starts
        pairs = [pair for round_ in glove._rounds(found) for pair in round_]
        assert any(pair.first == pair.second for pair in pairs)
        for pair in pairs:
            in_place = records.copy()
            (loss,) = glove._learn_pairs(in_place, found.cells, starts, symmetric, 0.05, [pair])
            sent = glove._on_copies(records, found, pair, 0.05)
            before = sent[0].copy()
            loss_away, rows = glove._learn_copies(*sent)
            assert loss_away == loss
            np.testing.assert_array_equal(sent[0], before)
            blocks = sorted({pair.first, pair.second})
            expected = np.concatenate([in_place[starts[b] : starts[b + 1]] for b in blocks])
            np.testing.assert_array_equal(rows, expected)
            assert len(sent[1]) == pair.n_cells


# -------------------------------------------------------------------------------------------------------- factors


def slow_ppmi(rows, n_keys, exponent, least=1):
    table = np.zeros((n_keys, n_keys))
    for row in rows:
        for a in row:
            for b in row:
                table[a, b] += a != b
    marginals, times = table.sum(axis=1), np.bincount(np.concatenate(rows), minlength=n_keys)
    fewer = np.minimum.outer(times, times)
    discount = table / (table + 1) * fewer / (fewer + 1)  # Pantel & Lin 2002
    smoothed = np.where(marginals > 0, np.maximum(marginals, 1) ** exponent, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(table / marginals[:, None] / (smoothed / smoothed.sum()))
    return np.where((table >= least) & (pmi > 0), pmi, 0) * discount, table


@pytest.mark.parametrize(("exponent", "power"), [(0.75, 0.5), (1.0, 1.0), (0.5, 0.0)])
def test_factors_are_singular_vectors_of_the_positive_information(exponent, power):
    rng = np.random.default_rng(0)
    rows = [sorted(rng.choice(12, 4, replace=False)) for _ in range(40)]
    ragged = Ragged.from_ends(np.concatenate(rows).astype(np.int32), np.arange(4, 161, 4))
    matrix, _ = slow_ppmi(rows, 14, exponent)
    settings = PPMISettings(5, exponent, power, n_power_iter=8)
    found = factorize_ppmi(ragged, 14, settings, Run(0))
    left, values, _ = np.linalg.svd(matrix)
    expected = left[:, :5] * values[:5] ** power
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), np.arange(5)])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert not found[12:].any()


def test_pairs_that_fit_no_memory_are_left_out_by_how_few_sequences_they_share(monkeypatch):
    rng = np.random.default_rng(0)
    rows = [sorted(set(np.minimum(rng.geometric(0.15, 5) - 1, 13))) for _ in range(60)]
    ragged = Ragged.from_ends(np.concatenate(rows).astype(np.int32), np.cumsum([len(r) for r in rows]))
    _, table = slow_ppmi(rows, 14, 0.75)
    written, write = [], factorization.write_ppmi
    monkeypatch.setattr(factorization, "write_ppmi", lambda *told: written.append(told[9]) or write(*told))
    for least in (1, 2, 4):
        limit = 12 * int((table >= least).sum())
        for room, expected in ((limit, least), (limit - 1, least + 1)):
            matrix, _ = slow_ppmi(rows, 14, 0.75, expected)
            found = factorize_ppmi(
                ragged, 14, PPMISettings(14, eigenvalue_exponent=1.0, n_power_iter=6, memory_limit=room), Run(0)
            )
            assert {int(told) for told in written} == {expected}
            written.clear()
            np.testing.assert_allclose(found @ found.T, matrix @ matrix.T, atol=1e-2)
    assert factorization._least_count(np.array([5, 3, 2, 0]), 12 * 10) == 1
    assert factorization._least_count(np.array([5, 3, 2, 0]), 12 * 5) == 2
    assert factorization._least_count(np.array([5, 3, 2, 9]), 12 * 5) == 4


def test_memory_of_pairs_is_predicted(monkeypatch):
    ragged = Ragged.from_ends(np.arange(6, dtype=np.int32), np.array([3, 6]))
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10)
    with pytest.raises(MemoryError, match="12 pairs of levels that occur together needs at least 144 bytes"):
        factorize_ppmi(ragged, 6, PPMISettings(2), Run(0))


def test_a_basis_leaves_out_what_is_rounding():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(20, 3)).astype(np.float32)
    found = factorization._orthonormal(np.column_stack([table, table[:, :1] * np.float32(1e-12)]))
    assert found.shape == (20, 3)
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-9)
    assert factorization._orthonormal(np.zeros((20, 2), np.float32)).shape == (20, 0)


def test_counters_in_other_processes_are_not_sent_the_tokens():
    from skembed.parallel import Workers

    def elsewhere(function, tasks):
        raise AssertionError("sent away")

    counter = Counter(Workers(elsewhere, 2, False), 3, 100)
    assert counter.map(lambda a, b: a + b, [(1, 2), (3, 4)]) == [3, 7]
    assert counting.CELL_BYTES == 12
