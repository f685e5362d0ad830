"""Counting of co-occurrences beside twins in plain Python."""

from collections import defaultdict
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.kernels.cooccurrence import (
    SEPARATOR,
    UNIT,
    add_runs,
    bucket_cells,
    count_rows,
    distance_weights,
    index_tokens,
)
from skembed.kernels.random import new_state


def twin(sequences, window, both_sides, weighted):
    """Exact sums; with `both_sides` those on and above the diagonal."""
    sums = defaultdict(Fraction)
    for sequence in sequences:
        for place, key in enumerate(sequence):
            for distance in range(1, min(window, place) + 1):
                before = sequence[place - distance]
                worth = Fraction(1, distance) if weighted else Fraction(1)
                sums[key, before] += worth
                if both_sides:
                    sums[before, key] += worth
    return {cell: worth for cell, worth in sums.items() if not both_sides or cell[0] <= cell[1]}


def stream(sequences):
    return np.array([SEPARATOR, *(t for sequence in sequences for t in [*sequence, SEPARATOR])], np.int32)


def count(tokens, n_keys, window, both_sides, weighted, first_new=1):
    starts, positions = index_tokens(tokens, n_keys)
    sums, touched = np.zeros(n_keys, np.int64), np.zeros(n_keys, np.int32)
    most = 2 * window * len(positions)
    ends, columns, values = np.zeros(n_keys, np.int64), np.zeros(most, np.int32), np.zeros(most, np.int64)
    weights = distance_weights(window, weighted)
    n = count_rows(
        tokens, starts, positions, 0, n_keys, both_sides, first_new, weights, sums, touched, ends, columns, values
    )
    assert not sums.any()
    return ends, columns[:n], values[:n]


def as_dict(ends, columns, values):
    rows = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    return dict(zip(zip(rows.tolist(), columns.tolist()), values.tolist(), strict=True))


SEQUENCES = st.lists(st.lists(st.integers(0, 6), max_size=14), max_size=5)


@settings(deadline=None, max_examples=150)
@given(sequences=SEQUENCES, window=st.integers(1, 6), both_sides=st.booleans(), weighted=st.booleans())
def test_counts_are_exactly_those_of_the_twin(sequences, window, both_sides, weighted):
    counted = count(stream(sequences), 7, window, both_sides, weighted)
    expected = twin(sequences, window, both_sides, weighted)
    assert as_dict(*counted) == {cell: worth * UNIT for cell, worth in expected.items()}


@settings(deadline=None, max_examples=100)
@given(
    tokens=st.lists(st.integers(0, 5), min_size=2, max_size=40),
    cut=st.integers(1, 39),
    window=st.integers(1, 8),
    both_sides=st.booleans(),
)
def test_parts_with_what_came_before_add_up_to_the_whole(tokens, cut, window, both_sides):
    cut = min(cut, len(tokens) - 1)
    kept = tokens[max(0, cut - window) : cut]
    parts = [
        count(stream([tokens[:cut]]), 6, window, both_sides, True),
        count(stream([[*kept, *tokens[cut:]]]), 6, window, both_sides, True, first_new=1 + len(kept)),
    ]
    shift = len(parts[0][1])
    ends = np.stack([parts[0][0], parts[1][0] + shift])
    begins = np.stack([np.r_[0, ends[0, :-1]], np.r_[shift, ends[1, :-1]]])
    columns, values = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    merged_ends, merged_columns, merged_values = np.zeros(6, np.int64), columns.copy(), values.copy()
    workspace = np.zeros(6, np.int64), np.zeros(6, np.int32)
    n = add_runs(begins, ends, columns, values, *workspace, merged_ends, merged_columns, merged_values)
    merged = as_dict(merged_ends, merged_columns[:n], merged_values[:n])
    assert merged == as_dict(*count(stream([tokens]), 6, window, both_sides, True))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.75, 1.0]), x_max=st.sampled_from([0.5, 10.0]))
def test_buckets_hold_each_cell_once_in_an_order_of_the_seed(seed, alpha, x_max):
    generator = np.random.default_rng(seed)
    starts = np.array([0, 2, 2, 5, 9])
    dense = generator.integers(0, 4, size=(3, 9)) * generator.integers(1, 9, size=(3, 9)) * UNIT // 2

    def buckets(shuffled):
        rows = [np.flatnonzero(row) for row in dense]
        rows = [generator.permutation(row) if shuffled else row for row in rows]
        columns = np.concatenate(rows).astype(np.int32)
        values = np.concatenate([dense[i, row] for i, row in enumerate(rows)])
        cells, ends = np.zeros((len(columns), 3), np.uint32), np.zeros(4, np.int64)
        row_ends = np.cumsum([len(row) for row in rows])
        bucket_cells(row_ends, columns, values, starts, x_max, alpha, new_state(seed), cells, ends)
        return cells, ends

    cells, ends = buckets(shuffled=False)
    again, _ = buckets(shuffled=True)
    np.testing.assert_array_equal(cells, again)
    numbers, found = cells.view(np.float32), np.zeros(dense.shape)
    for block, (begin, end) in enumerate(zip([0, *ends[:-1]], ends)):
        rows, columns = cells[begin:end, 0] & 0xFFFF, starts[block] + (cells[begin:end, 0] >> 16)
        assert (columns < starts[block + 1]).all()
        found[rows, columns] += np.exp(numbers[begin:end, 1])
        x = dense[rows, columns] / UNIT
        np.testing.assert_allclose(numbers[begin:end, 2], np.minimum(1, (x / x_max) ** alpha), rtol=1e-6)
    np.testing.assert_allclose(found, dense / UNIT, rtol=1e-6)


def test_buckets_are_shuffled():
    n = 500
    cells, ends = np.zeros((n, 3), np.uint32), np.zeros(1, np.int64)
    values = np.full(n, UNIT)
    bucket_cells(
        np.array([n]), np.arange(n, dtype=np.int32), values, np.array([0, n]), 1.0, 1.0, new_state(0), cells, ends
    )
    columns = (cells[:, 0] >> 16).astype(int)
    assert sorted(columns) == list(range(n))
    assert abs(np.corrcoef(columns, np.arange(n))[0, 1]) < 0.2


def test_weights_of_wide_windows_are_rounded():
    weights = distance_weights(1000, True)
    np.testing.assert_allclose(weights[1:] / UNIT, 1 / np.arange(1, 1001), rtol=1e-5)
    assert (distance_weights(5, False) == UNIT).all()
