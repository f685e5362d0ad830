"""Skip-gram and CBOW beside twins in plain numpy."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from skembed.kernels.arguments import unpacked
from skembed.kernels.huffman import huffman_tree
from skembed.kernels.logistic import logistic_steps
from skembed.kernels.random import new_state
from skembed.kernels.shard import TILE, Shard, Targets, WorkspacePointers, new_workspace
from skembed.kernels.simd import aligned_zeros
from skembed.kernels.windows import LOSS_EVERY, train_cbow, train_skip_gram

from .test_samplers import Xorshift

NO_LABEL = -1


def make_shard(generator, lengths, n_rows, n_outputs, dim, scale, frozen=(), documents=()):
    width = -(-dim // 16) * 16
    inputs = np.zeros((n_rows + 1, width), np.float32)
    outputs = np.zeros((n_outputs + 1, width), np.float32)
    inputs[:-1, :dim] = scale * generator.normal(size=(n_rows, dim))
    outputs[:-1, :dim] = scale * generator.normal(size=(n_outputs, dim))
    tokens = generator.integers(n_rows, size=sum(lengths)).astype(np.int32)
    mask = np.zeros(n_rows, bool)
    mask[list(frozen)] = True
    pairs = np.zeros(n_rows + 1, np.int32), np.zeros(n_outputs + 1, np.int32)
    documents = np.array(documents, np.int64)
    return Shard(tokens, np.cumsum(lengths), documents, inputs.ravel(), outputs.ravel(), width, mask, *pairs)


def negatives(generator, n_rows, negative):
    empty = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.uint8)
    return Targets(False, negative, generator.integers(n_rows, size=7).astype(np.int32), *empty)


def paths(generator, n_rows):
    tree = huffman_tree(generator.integers(0, 50, size=n_rows))
    return Targets(True, 0, np.zeros(0, np.int32), tree.starts, tree.nodes, tree.codes)


def targets_of(center, targets, random):
    if targets.hierarchical:
        path = slice(targets.path_starts[center], targets.path_starts[center + 1])
        return list(zip(targets.path_nodes[path], 1 - targets.path_codes[path].astype(int)))
    samples = [targets.pool[random.draw_below(len(targets.pool))] for _ in range(targets.negative)]
    return [(center, 1), *((sample, 0 if sample != center else NO_LABEL) for sample in samples)]


def twin(architecture, shard, targets, window, shrink, rate, state, sigmoid_error=0.0):
    """In float64, one row at a time; returns the tables and the loss of each 16th center."""
    random = Xorshift(state)
    inputs = shard.inputs.reshape(-1, shard.width).astype(np.float64)
    outputs = shard.outputs.reshape(-1, shard.width).astype(np.float64)
    loss, n_losses, begin = 0.0, 0, 0
    for sequence, end in enumerate(shard.ends):
        document = shard.documents[sequence : sequence + 1].tolist()  # no document, or one
        for position in range(begin, end):
            reach = random.draw_below(window) + 1 if shrink else window
            contexts = [
                shard.tokens[other]
                for other in range(max(begin, position - reach), min(end, position + reach + 1))
                if other != position
            ] + document
            rows, labels = (np.array(x) for x in zip(*targets_of(shard.tokens[position], targets, random)))
            sources = inputs[contexts] if architecture == "skip-gram" else inputs[contexts].mean(0, keepdims=True)
            p = 1 / (1 + np.exp(-np.clip(sources @ outputs[rows].T, -8, 8)))
            if position % LOSS_EVERY == 0:
                loss -= np.log(np.where(labels == 1, p, 1 - p)[:, labels != NO_LABEL]).sum()
                n_losses += len(sources)
            steps = np.where(labels == NO_LABEL, 0.0, rate * (labels - p - sigmoid_error))
            if architecture == "skip-gram":
                for k in range(0, len(rows), TILE):
                    tile, moves = rows[k : k + TILE], np.zeros((len(rows[k : k + TILE]), shard.width))
                    old = outputs[tile].copy()
                    for i, context in enumerate(contexts):
                        moves += np.outer(steps[i, k : k + TILE], inputs[context])
                        if not shard.frozen[context]:
                            inputs[context] += steps[i, k : k + TILE] @ old
                    np.add.at(outputs, tile, moves)
            else:
                move = np.zeros(shard.width)
                for k, row in enumerate(rows):
                    move += steps[0, k] * outputs[row]
                    outputs[row] += steps[0, k] * sources[0]
                for context in contexts:
                    if not shard.frozen[context]:
                        inputs[context] += move
        begin = end
    return inputs[:-1], outputs[:-1], loss, n_losses


@settings(deadline=None, max_examples=60)
@example("skip-gram", False, 0, [9, 11, 20], 2, 1, 5, False, 5, 0.1, 0.05, 0, False)
@example("cbow", False, 1, [1, 11, 1], 5, 20, 0, False, 5, 0.1, 0.05, 0, True)
@given(
    architecture=st.sampled_from(["skip-gram", "cbow"]),
    hierarchical=st.booleans(),
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(2, 25), min_size=1, max_size=4),
    n_rows=st.integers(2, 12),
    dim=st.sampled_from([1, 3, 16, 20, 40]),
    window=st.integers(1, 6),
    shrink=st.booleans(),
    negative=st.integers(1, 8),
    rate=st.sampled_from([0.001, 0.025, 0.1]),
    scale=st.sampled_from([0.05, 0.5, 2.0]),
    n_frozen=st.integers(0, 3),
    have_documents=st.booleans(),
)
def test_kernels_do_what_their_twins_do(
    architecture, hierarchical, seed, lengths, n_rows, dim, window, shrink, negative, rate, scale, n_frozen,
    have_documents,
):  # fmt: skip
    generator = np.random.default_rng(seed)
    frozen = generator.integers(n_rows, size=n_frozen)
    n_outputs = n_rows - 1 if hierarchical else n_rows
    documents = generator.integers(n_rows, size=len(lengths)) if have_documents else ()
    shard = make_shard(generator, lengths, n_rows, n_outputs, dim, scale, frozen, documents)
    targets = paths(generator, n_rows) if hierarchical else negatives(generator, n_rows, negative)
    state = new_state(seed)
    settings_ = window, shrink, rate, state
    inputs, outputs, loss, n_losses = twin(architecture, shard, targets, *settings_)
    # many windows over two or three rows drive apart what begins close together: what the kernel's sigmoid, right
    # within 1e-5, may amount to is found by a twin that errs as much in every step
    drifted = twin(architecture, shard, targets, *settings_, sigmoid_error=1e-5)[:2]
    drifts = [2 * np.abs(one - other).max() for one, other in zip(drifted, (inputs, outputs))]
    before = shard.inputs.copy()
    kernel = train_skip_gram if architecture == "skip-gram" else train_cbow
    workspace = new_workspace(window, max(n_rows, negative + 1), shard.width)
    found, n_found = kernel(shard, targets, window, shrink, rate, state, workspace)

    atol = 1e-4 * max(1.0, scale) ** 2
    for table, expected, drift in zip((shard.inputs, shard.outputs), (inputs, outputs), drifts):
        np.testing.assert_allclose(table.reshape(-1, shard.width)[:-1], expected, atol=atol + drift, rtol=1e-3)
    assert n_found == n_losses
    assert found == pytest.approx(loss, rel=1e-2, abs=1e-2)
    unmoved = shard.inputs.reshape(-1, shard.width)[frozen]
    assert (unmoved == before.reshape(-1, shard.width)[frozen]).all()
    assert not shard.outputs[-shard.width :].any()  # the spare row


@njit
def steps(workspace, n):
    logistic_steps(unpacked(workspace, WorkspacePointers), n)


def test_steps_are_those_of_the_clamped_logits():
    workspace = new_workspace(5, 9, 16)
    x = np.linspace(-12, 12, 100, dtype=np.float32)
    workspace.logits[:100], workspace.logits[100:112] = x, np.nan
    workspace.rates[:], workspace.scaled_labels[:] = 0.5, 0.25
    steps(workspace.packed, 112)
    np.testing.assert_allclose(workspace.logits[:100], 0.25 - 0.5 / (1 + np.exp(-np.clip(x, -8, 8))), atol=1e-5)
    assert np.isnan(workspace.logits[100:112]).all()  # not a number does not become one


def test_rows_begin_at_cache_lines():
    assert aligned_zeros(7, 32).ctypes.data % 64 == 0
    assert aligned_zeros(7, 32).shape == (7, 32)


@pytest.mark.parametrize("kernel", [train_skip_gram, train_cbow])
@pytest.mark.parametrize("hierarchical", [False, True])
def test_the_loss_falls(kernel, hierarchical):
    generator = np.random.default_rng(0)
    shard = make_shard(generator, [400], 6, 5 if hierarchical else 6, 16, 0.1)
    shard.tokens[:] = np.tile([0, 0, 1, 1, 2, 2, 3, 3], 50)
    targets = paths(generator, 6) if hierarchical else negatives(generator, 6, 5)
    workspace, state = new_workspace(2, 6, 16), new_state(0)
    losses = [np.divide(*kernel(shard, targets, 2, False, 0.002, state, workspace)) for _ in range(60)]
    assert losses[-1] < 0.9 * losses[0]


def test_pairs_are_counted():
    generator = np.random.default_rng(0)
    shard = make_shard(generator, [3], 3, 3, 4, 0.1)
    shard.tokens[:] = [0, 1, 2]
    targets = negatives(generator, 3, 2)
    targets.pool[:] = 2
    train_skip_gram(shard, targets, 1, False, 0.025, new_state(0), new_workspace(1, 3, 16))
    assert shard.input_pairs[:3].tolist() == [3, 6, 3]  # 1, 2 and 1 windows of 3 targets
    assert shard.output_pairs[:3].tolist() == [1, 2, 1 + 2 * 4]  # as center 1, 2, 1; twice the negative of 4 pairs
