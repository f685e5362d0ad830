"""Skip-gram and CBOW of keys that are means of rows, beside twins in plain numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.kernels import bags
from skembed.kernels.bags import new_hidden_workspace
from skembed.kernels.huffman import huffman_tree
from skembed.kernels.random import new_state
from skembed.kernels.shard import Shard, Targets
from skembed.kernels.windows import LOSS_EVERY

from .test_samplers import Xorshift

NO_LABEL = -1
NO_PATHS = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.uint8)


def targets_of(key, targets, random):
    if targets.hierarchical:
        path = slice(targets.path_starts[key], targets.path_starts[key + 1])
        return list(zip(targets.path_nodes[path], 1 - targets.path_codes[path].astype(int)))
    samples = [targets.pool[random.draw_below(len(targets.pool))] for _ in range(targets.negative)]
    return [(key, 1), *((sample, 0 if sample != key else NO_LABEL) for sample in samples)]


def twin(architecture, shard, lengths, labels, targets, window, shrink, rate, state):
    """In float64; returns the tables, the loss of each 16th center, and how many products each input row had."""
    random = Xorshift(state)
    inputs = shard.inputs.reshape(-1, shard.width).astype(np.float64)
    outputs = shard.outputs.reshape(-1, shard.width).astype(np.float64)
    loss, n_losses, begin, pairs = 0.0, 0, 0, np.zeros(len(inputs), int)
    for end in shard.ends:
        for position in range(begin, end):
            reach = random.draw_below(window) + 1 if shrink else window
            places = range(max(begin, position - reach), min(end, position + reach + 1))
            contexts = [shard.tokens[other] for other in places if other != position]
            center = shard.tokens[position]
            sources, wanted = ([center], contexts) if architecture == "skip-gram" else (contexts, [center])
            hidden = np.average(inputs[sources], axis=0, weights=lengths[sources])
            if len(labels):
                label = np.bincount(labels[wanted], minlength=len(outputs) - 1).astype(float)
                logits = outputs[:-1] @ hidden
                p = np.exp(logits - logits.max())
                p /= p.sum()
                lost = -(label * np.log(p)).sum()
                rows, steps = np.arange(len(p)), rate * (label - label.sum() * p)
            else:
                chosen = [pair for key in wanted for pair in targets_of(key, targets, random)]
                rows, label = (np.array(x) for x in zip(*chosen))
                p = 1 / (1 + np.exp(-np.clip(outputs[rows] @ hidden, -8, 8)))
                lost = -np.log(np.where(label == 1, p, 1 - p)[label != NO_LABEL]).sum()
                steps = np.where(label == NO_LABEL, 0.0, rate * (label - p))
            if position % LOSS_EVERY == 0:
                loss += lost
                n_losses += len(wanted)
            move = np.zeros(shard.width)
            for row, step in zip(rows, steps):
                move += step * outputs[row]
                outputs[row] += step * hidden
            np.add.at(inputs, sources, move)
            np.add.at(pairs, sources, len(wanted) if len(labels) else len(rows))
        begin = end
    return inputs[:-1], outputs[:-1], loss, n_losses, pairs


@settings(deadline=None, max_examples=60)
@given(
    architecture=st.sampled_from(["skip-gram", "cbow"]),
    loss=st.sampled_from(["negative-sampling", "hierarchical-softmax", "softmax"]),
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(2, 25), min_size=1, max_size=4),
    n_keys=st.integers(2, 12),
    dim=st.sampled_from([1, 3, 16, 20, 40]),
    window=st.integers(1, 6),
    shrink=st.booleans(),
    negative=st.integers(1, 8),
    rate=st.sampled_from([0.001, 0.025, 0.1]),
    scale=st.sampled_from([0.05, 0.5]),
)
def test_kernels_do_what_their_twins_do(
    architecture, loss, seed, lengths, n_keys, dim, window, shrink, negative, rate, scale
):
    generator = np.random.default_rng(seed)
    width = -(-dim // 16) * 16
    n_outputs = n_keys - (loss == "hierarchical-softmax")
    inputs, outputs = np.zeros((n_keys + 1, width), np.float32), np.zeros((n_outputs + 1, width), np.float32)
    inputs[:-1, :dim] = scale * generator.normal(size=(n_keys, dim))
    outputs[:-1, :dim] = scale * generator.normal(size=(n_outputs, dim))
    shard = Shard(
        tokens=generator.integers(n_keys, size=sum(lengths)).astype(np.int32), ends=np.cumsum(lengths),
        documents=np.zeros(0, np.int64),
        inputs=inputs.ravel(), outputs=outputs.ravel(), width=width, frozen=np.zeros(0, bool),
        input_pairs=np.zeros(n_keys + 1, np.int32), output_pairs=np.zeros(n_outputs + 1, np.int32),
    )  # fmt: skip
    n_rows_of_keys = generator.integers(1, 30, size=n_keys).astype(np.int32)
    labels = generator.permutation(n_keys).astype(np.int32) if loss == "softmax" else np.zeros(0, np.int32)
    if loss == "hierarchical-softmax":
        tree = huffman_tree(generator.integers(0, 50, size=n_keys))
        targets = Targets(True, 0, np.zeros(0, np.int32), tree.starts, tree.nodes, tree.codes)
    else:
        targets = Targets(False, negative, generator.integers(n_keys, size=7).astype(np.int32), *NO_PATHS)
    state = new_state(seed)
    expected = twin(architecture, shard, n_rows_of_keys, labels, targets, window, shrink, rate, state)
    kernel = bags.train_skip_gram_of_means if architecture == "skip-gram" else bags.train_cbow_of_means
    work = new_hidden_workspace(window, 2 * window * max(n_keys, negative + 1), width)
    found, n_found = kernel(shard, n_rows_of_keys, labels, targets, window, shrink, rate, state, work)

    np.testing.assert_allclose(shard.inputs.reshape(-1, width)[:-1], expected[0], atol=2e-4, rtol=2e-3)
    np.testing.assert_allclose(shard.outputs.reshape(-1, width)[:-1], expected[1], atol=2e-4, rtol=2e-3)
    assert n_found == expected[3]
    assert found == pytest.approx(expected[2], rel=1e-2, abs=1e-2)
    assert shard.input_pairs.tolist() == expected[4].tolist()
    assert not shard.outputs[-width:].any()  # the spare row


@settings(deadline=None)
@given(seed=st.integers(0, 1000), n_keys=st.integers(1, 9), n_rows=st.integers(1, 30), dim=st.integers(1, 20))
def test_means_of_subword_rows(seed, n_keys, n_rows, dim):
    generator = np.random.default_rng(seed)
    starts = np.append(0, np.cumsum(generator.integers(1, 5, size=n_keys)))
    subword_rows = generator.integers(n_rows, size=starts[-1]).astype(np.int32)  # some of them twice
    table = generator.normal(size=(n_rows, dim)).astype(np.float32)
    keys = generator.permutation(n_keys)[: generator.integers(1, n_keys + 1)].astype(np.int32)
    local = np.full((n_keys + 1, -(-dim // 16) * 16), np.nan, np.float32)
    local_starts, local_rows = np.full(n_keys + 1, -7), np.full(len(subword_rows), -7, np.int32)
    bags.compose(table, keys, starts, subword_rows, local, local_starts, local_rows)
    for i, key in enumerate(keys):
        own = subword_rows[starts[key] : starts[key + 1]]
        assert local_rows[local_starts[i] : local_starts[i + 1]].tolist() == own.tolist()
        np.testing.assert_allclose(local[i, :dim], table[own].mean(0), atol=1e-5)
        assert not local[i, dim:].any()
    assert not local[len(keys)].any()
