"""Draws, the noise distribution, subsampling and the Huffman tree."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numba import njit

from skembed.kernels import local_ids
from skembed.kernels.huffman import huffman_tree
from skembed.kernels.noise import alias_table, draw_many
from skembed.kernels.random import N_JUMPS, draw, draw_below, draws, new_state

counts_of_keys = npst.arrays(np.int64, st.integers(2, 60), elements=st.integers(0, 1000))


class Xorshift:
    """Twin of `skembed.kernels.random` in Python's integers."""

    def __init__(self, state):
        self.state = int(state[0])

    def draw(self):
        x = self.state
        x ^= x >> 12
        x ^= (x << 25) & (2**64 - 1)
        x ^= x >> 27
        self.state = x
        return ((x * 0x2545F4914F6CDD1D) % 2**64) >> 32

    def draw_below(self, bound):
        return (self.draw() * bound) >> 32


@njit
def next_draw(state):
    return draw(state)


@njit
def next_below(state, bound):
    return draw_below(state, bound)


@settings(deadline=None)  # the first example compiles
@given(st.integers(0, 2**40), st.integers(1, 2**31))
def test_draws_are_those_of_the_twin(seed, bound):
    state = new_state(seed)
    twin = Xorshift(state)
    for _ in range(5):
        assert int(next_draw(state)) == twin.draw()
        assert int(next_below(state, bound)) == twin.draw_below(bound)


def test_streams_of_different_shards_differ():
    states = {int(new_state(seed, shard, part)[0]) for seed in range(5) for shard in range(5) for part in range(5)}
    assert len(states) == 125


@pytest.mark.parametrize("n", [0, 1, N_JUMPS, 2 * N_JUMPS + 7])
def test_draws_at_once_are_those_one_after_the_other(n):
    state = new_state(5)
    twin = Xorshift(state)
    assert draws(state, n).tolist() == [twin.draw() for _ in range(n)]
    assert state[0] == twin.state


def test_draws_below_a_bound_are_even():
    state = new_state(1)
    drawn = np.bincount([next_below(state, 10) for _ in range(20_000)], minlength=10)
    assert abs(drawn - 2000).max() < 5 * np.sqrt(2000)


@settings(deadline=None)
@given(npst.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1e6)))
def test_alias_table_holds_the_distribution(weights):
    if weights.sum() <= 0:
        weights[0] = 1.0
    table = alias_table(weights)
    share = table.threshold / 2**32
    probability = np.bincount(table.alias, weights=1 - share, minlength=len(weights)) + share
    np.testing.assert_allclose(probability / len(weights), weights / weights.sum(), atol=1e-6)
    assert (probability[weights == 0] == 0).all()


def test_draws_from_the_alias_table_follow_the_weights_and_the_twin():
    weights = np.array([8.0, 0.0, 1.0, 1.0])
    table = alias_table(weights)
    drawn = np.empty(20_000, np.int32)
    state = new_state(3)
    twin = Xorshift(state)
    draw_many(table.threshold, table.alias, drawn, state)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, weights / 10, atol=0.02)
    for row in drawn[:100]:
        column = twin.draw_below(4)
        assert row == (column if twin.draw() < table.threshold[column] else table.alias[column])


@pytest.mark.parametrize("weights", [[2.0, -0.5], [], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [1.0, np.inf]])
def test_a_noise_distribution_that_is_none_is_refused(weights):
    with pytest.raises(ValueError, match="ns_exponent"):
        alias_table(weights)


@settings(deadline=None)
@given(counts_of_keys)
def test_huffman_tree_is_a_prefix_code_of_minimal_length(counts):
    tree = huffman_tree(counts)
    codes = [
        tuple(zip(tree.nodes[begin:end].tolist(), tree.codes[begin:end].tolist()))
        for begin, end in zip(tree.starts[:-1], tree.starts[1:])
    ]
    words = {tuple(bit for _, bit in code) for code in codes}
    assert len(words) == len(counts)
    assert all(code[0][0] == len(counts) - 2 for code in codes)  # the root
    assert sum(2.0 ** -len(code) for code in codes) == 1.0  # each inner node has two children
    prefixes = {}
    for code in codes:  # a node is reached by one way only
        for depth, (node, _) in enumerate(code):
            assert prefixes.setdefault(node, code[:depth]) == code[:depth]
    heap = counts.tolist()
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        cost += joined
        heapq.heappush(heap, joined)
    assert int(np.diff(tree.starts) @ counts) == cost


def test_equally_rare_keys_make_no_chain():
    assert np.diff(huffman_tree(np.zeros(1024)).starts).max() == 10


def test_a_tree_of_one_key_is_refused():
    with pytest.raises(ValueError, match="at least 2 keys"):
        huffman_tree([3])


def test_keep_thresholds_are_the_rule_of_word2vec():
    counts = np.array([90_000, 9_990, 10])
    share = counts / counts.sum()
    expected = np.minimum(1.0, np.sqrt(1e-3 / share) + 1e-3 / share)
    np.testing.assert_allclose(local_ids.keep_thresholds(counts, 1e-3) / 2**32, expected, rtol=1e-6)


@settings(deadline=None)
@given(
    tokens=npst.arrays(np.int32, st.integers(1, 80), elements=st.integers(-1, 9)),
    cuts=st.lists(st.integers(0, 80), max_size=8),
    seed=st.integers(0, 1000),
    subsample=st.sampled_from([0.0, 0.05]),
    shortest=st.sampled_from([1, 2]),
)
def test_to_local_ids_is_subsampling_and_numbering(tokens, cuts, seed, subsample, shortest):
    ends = np.array([*sorted(min(cut, len(tokens)) for cut in cuts), len(tokens)])
    keep = local_ids.keep_thresholds(np.bincount(np.maximum(tokens, 0), minlength=10), subsample)
    state = new_state(seed)
    twin = Xorshift(state)
    slot, rows = np.full(10, -1, np.int32), np.empty(20, np.int32)
    local_tokens, local_ends = np.empty(80, np.int32), np.empty(90, np.int64)
    numbers = np.empty(90, np.int32)
    n, n_sequences, n_rows = local_ids.to_local_ids(
        tokens, ends, keep, shortest, slot, rows, local_tokens, local_ends, numbers, state
    )

    expected, expected_numbers = [], []
    for number, sequence in enumerate(np.split(tokens, ends[:-1])):
        kept = [t for t in sequence if t >= 0 and twin.draw() <= keep[t]]
        if len(kept) >= shortest:
            expected.append(kept)
            expected_numbers.append(number)
    found = np.split(local_tokens[:n], local_ends[: n_sequences - 1]) if n_sequences else []
    assert [rows[sequence].tolist() for sequence in found] == expected
    assert numbers[:n_sequences].tolist() == expected_numbers
    assert len(set(rows[:n_rows])) == n_rows

    pool = np.array([9, 3, 9], np.int32)
    n_all = local_ids.add_rows(pool, slot, rows, n_rows)
    assert rows[pool].tolist() == [9, 3, 9]
    assert len(set(rows[:n_all])) == n_all
    local_ids.release(slot, rows[:n_all])
    assert (slot == -1).all()


def test_paths_in_local_numbers_are_the_same_paths():
    tree = huffman_tree([7, 1, 5, 2, 9])
    rows = np.array([3, 0], np.int32)
    slot, node_rows = np.full(4, -1, np.int32), np.empty(4, np.int32)
    starts, nodes, codes = np.empty(3, np.int64), np.empty(8, np.int32), np.empty(8, np.uint8)
    n_nodes = local_ids.to_local_paths(rows, tree.starts, tree.nodes, tree.codes, slot, node_rows, starts, nodes, codes)
    for i, row in enumerate(rows):
        whole = slice(tree.starts[row], tree.starts[row + 1])
        assert node_rows[nodes[starts[i] : starts[i + 1]]].tolist() == tree.nodes[whole].tolist()
        assert codes[starts[i] : starts[i + 1]].tolist() == tree.codes[whole].tolist()
    assert len(set(node_rows[:n_nodes])) == n_nodes


def test_local_rows_and_their_deltas():
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows = np.array([2, 0], np.int32)
    local = np.full((4, 16), 7.0, np.float32)
    local_ids.gather_rows(table, rows, local)
    assert local[:2, :3].tolist() == [[6, 7, 8], [0, 1, 2]]
    assert (local[:2, 3:] == 0).all()
    assert (local[2] == 0).all()
    assert (local[3] == 7).all()
    local[:2, :3] += 1
    assert local_ids.subtract_rows(table, rows, local)
    assert (local[:2, :3] == 1).all()
    for bad in (np.nan, np.inf, -np.inf):
        local[1, 2] = bad
        assert not local_ids.subtract_rows(table, rows, local)
