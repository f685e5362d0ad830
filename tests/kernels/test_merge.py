"""Merging the deltas of shards."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.data.ragged import Ragged
from skembed.parallel import Merger, RowDeltas, open_workers


def merge(table, learned, n_jobs=1):
    with open_workers(n_jobs) as workers:
        Merger(workers, [table]).merge([[deltas] for deltas in learned])
    return table


@settings(deadline=None)
@given(seed=st.integers(0, 1000), n_rows=st.integers(1, 20), dim=st.integers(1, 20), n_shards=st.integers(1, 5))
def test_merging_is_the_formula_of_its_docstring(seed, n_rows, dim, n_shards):
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(n_rows, dim)).astype(np.float32)
    learned = []
    for _ in range(n_shards):
        rows = generator.permutation(n_rows)[: generator.integers(n_rows + 1)].astype(np.int32)
        deltas = generator.normal(size=(len(rows) + 1, dim + 3)).astype(np.float32)
        step_weights = generator.choice([0.0, 0.01, 1.0, 30.0], size=len(rows)).astype(np.float32)
        learned.append(RowDeltas(rows, deltas, step_weights))

    total, covered = np.zeros(n_rows), np.zeros(n_rows)
    summed = np.zeros((n_rows, dim))
    for rows, deltas, step_weights in learned:
        total[rows] += step_weights
        covered[rows] += 1 - np.exp(-step_weights.astype(float))
        summed[rows] += deltas[: len(rows), :dim]
    scale = np.where((covered > 0) & (n_shards > 1), (1 - np.exp(-total)) / np.maximum(covered, 1e-30), 1.0)
    expected = table + scale[:, None] * summed

    merged = [merge(table.copy(), learned, n_jobs) for n_jobs in (1, 2, 5)]
    np.testing.assert_allclose(merged[0], expected, atol=1e-4, rtol=1e-4)
    assert merged[0].tobytes() == merged[1].tobytes() == merged[2].tobytes()


@settings(deadline=None)
@given(seed=st.integers(0, 1000), n_rows=st.integers(1, 20), dim=st.integers(1, 20), n_shards=st.integers(1, 4))
def test_a_delta_of_many_rows_is_as_many_shards(seed, n_rows, dim, n_shards):
    """Each row of a delta on its own, in shards of one row and one delta, makes the same table."""
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(n_rows, dim)).astype(np.float32)
    learned, alone = [], []
    for _ in range(n_shards):
        ends = np.cumsum(generator.integers(0, 5, size=generator.integers(5)))
        rows = generator.integers(n_rows, size=ends[-1] if len(ends) else 0).astype(np.int32)
        deltas = generator.normal(size=(len(ends) + 1, dim + 3)).astype(np.float32)
        step_weights = generator.choice([0.0, 0.01, 1.0, 30.0], size=len(ends)).astype(np.float32)
        learned.append(RowDeltas(Ragged.from_ends(rows, ends), deltas, step_weights))
        for i, rows_of in enumerate(np.split(rows, ends)[: len(ends)]):
            alone += [RowDeltas(rows_of[j : j + 1], deltas[[i]], step_weights[[i]]) for j in range(len(rows_of))]
    merged = [merge(table.copy(), learned, n_jobs) for n_jobs in (1, 2, 5)]
    expected = merge(table.copy(), alone) if alone else table
    np.testing.assert_allclose(merged[0], expected, atol=1e-5, rtol=1e-5)
    assert merged[0].tobytes() == merged[1].tobytes() == merged[2].tobytes()


def test_small_step_weights_are_summed_and_large_ones_averaged():
    ones = [
        RowDeltas(np.array([0], np.int32), np.ones((1, 1), np.float32), np.array([step_weight], np.float32))
        for step_weight in (0, 0)
    ]
    assert merge(np.zeros((1, 1), np.float32), ones)[0, 0] == 2.0
    ones = [delta._replace(step_weights=np.array([100.0], np.float32)) for delta in ones]
    assert merge(np.zeros((1, 1), np.float32), ones)[0, 0] == 1.0
