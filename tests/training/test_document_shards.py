"""The trainer of classes of bags beside the same in float64, document by document: rates, orders, shards and shares."""

import itertools

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from trainers import WatchedRun

from skembed.data.ragged import Ragged
from skembed.kernels.huffman import huffman_tree
from skembed.training import documents
from skembed.training.documents import (
    ClassSettings,
    LabelledBags,
    class_tree,
    random_outputs,
    random_rows,
    step_sizes,
    train_classes,
)
from skembed.training.run import Run

N_ROWS, N_CLASSES, DIM = 12, 4, 5


def data_of(n=30, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, n)
    bags = Ragged.from_ends(rng.integers(N_ROWS, size=lengths.sum()).astype(np.int32), np.cumsum(lengths))
    labels = rng.integers(N_CLASSES, size=n).astype(np.int32)
    weights = rng.uniform(0.5, 2, n).astype(np.float32)
    return LabelledBags(bags, labels, weights, np.bincount(labels, minlength=N_CLASSES))


def settings_of(loss="softmax", **changes):
    return ClassSettings(**{"loss": loss, "negative": 2, "learning_rate": 0.3, "max_iter": 3} | changes)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow_scales(data):
    """Squared inverse document frequencies, as scikit-learn smooths them."""
    frequencies = np.zeros(N_ROWS)
    for begin, end in itertools.pairwise(data.bags.indptr):
        frequencies[np.unique(data.bags.indices[begin:end])] += 1
    return (np.log((1 + len(data.labels)) / (1 + frequencies)) + 1) ** 2


def slow_step(rows, outputs, bag, label, rate, share, data, loss, tree, scales, length):
    """Joulin et al. 2017 as the fastText program has it, but for how far rows and classes move."""
    mean = rows[bag].mean(axis=0)
    if loss == "hierarchical-softmax":
        path = slice(tree.starts[label], tree.starts[label + 1])
        targets, truth = tree.nodes[path], 1.0 - tree.codes[path]
    else:
        targets, truth = np.arange(N_CLASSES), np.eye(N_CLASSES)[label]
    scores = outputs[targets] @ mean
    if loss == "softmax":
        p = np.exp(scores - scores.max())
        p /= p.sum()
        lost = -np.log(p[label])
    else:
        p = sigmoid(scores)
        lost = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).sum()
    step = (rate * (truth - p)) @ outputs[targets]
    outputs[targets] += np.outer(share * rate * (truth - p), mean)
    moved = np.zeros_like(rows)
    np.add.at(moved, bag, 1 / len(bag))
    moved *= scales[:, None]
    # by a step of length 1 the mean moves by 1 / length, the squared length of classes
    rows += moved / (moved[bag, 0].mean() * length) * step
    return lost


@pytest.mark.parametrize("loss", ["softmax", "one-vs-all", "hierarchical-softmax"])
@pytest.mark.parametrize("rows_per_shard", [1, 20, 8192])
@pytest.mark.parametrize("given_output", [False, True])
def test_one_shard_after_another_is_plain_gradient_descent(loss, rows_per_shard, given_output):
    data, settings = data_of(), settings_of(loss, rows_per_shard=rows_per_shard)
    start, tree = random_rows(N_ROWS, DIM, 0), class_tree(data.counts)
    n_outputs = N_CLASSES - (loss == "hierarchical-softmax")
    output = np.random.default_rng(1).normal(size=(n_outputs, DIM)).astype(np.float32) if given_output else None
    begin = random_outputs(n_outputs, DIM, 7) if output is None else output.copy()
    rows, outputs = start.astype(float), begin.astype(float)
    length, scales, share = (outputs**2).sum(axis=1).mean(), slow_scales(data), n_outputs / 30
    if loss == "one-vs-all":
        length = max(length, np.linalg.svd(outputs)[1][0] ** 2 / 4)
    losses, n_done = [], 0
    for pass_ in range(3):
        order, lost = np.random.default_rng((7, 1, pass_)).permutation(30), 0.0
        full = np.cumsum(data.bags.lengths[order]) // rows_per_shard
        for number in np.unique(full):  # a shard ends where another so many rows are full
            shard = order[full == number]
            rate = 0.3 * (1 - n_done / 90)
            for i in shard:
                bag = data.bags.indices[data.bags.indptr[i] : data.bags.indptr[i + 1]]
                weight = float(data.weights[i])
                lost += weight * slow_step(
                    rows, outputs, bag, data.labels[i], rate * weight, share, data, loss, tree, scales, length
                )
            n_done += len(shard)
        losses.append(lost / data.weights.astype(float).sum())
    given = start.copy()
    found = train_classes(data, given, settings, Run(7), output=output)
    assert found.input is given
    assert output is None or found.output is output
    np.testing.assert_allclose(found.input, rows, rtol=1e-2, atol=2e-3)
    np.testing.assert_allclose(found.output, outputs, rtol=1e-2, atol=2e-3)
    np.testing.assert_allclose(found.loss_curve, losses, rtol=2e-3)


def test_a_step_moves_the_score_of_a_document_by_the_rate_whatever_its_length():
    """Of long and of short documents, of many and of few: half of the rate, since at first it lacks half of one."""
    for n_documents, n_words in ((2, 1), (40, 3), (40, 500)):
        rng = np.random.default_rng(n_words)
        rows = rng.integers(0, 400, (n_documents, n_words)).astype(np.int32)
        bags = Ragged.from_ends(rows.ravel(), np.arange(1, n_documents + 1) * n_words)
        labels = np.arange(n_documents, dtype=np.int32) % 2
        data = LabelledBags(bags, labels, np.ones(n_documents, np.float32), np.bincount(labels))
        output = np.eye(2, DIM, dtype=np.float32)
        for loss in ("softmax", "negative-sampling"):
            fit = documents._FitDocuments(
                data, step_sizes(data, np.zeros((400, DIM)), output, settings_of(loss)), loss, 0
            )
            for document in range(2):
                tables = np.zeros((400, DIM), np.float32), output.copy()
                deltas, _ = fit(tables, (np.array([document]), 0.3, 0), (0, 2, 0, 0))
                np.add.at(tables[0], deltas[0].rows, deltas[0].deltas[: len(deltas[0].rows), :DIM])
                score = output[labels[document]] @ tables[0][rows[document]].mean(axis=0)
                assert score == pytest.approx(0.15, rel=1e-3)


def test_rare_rows_move_further_and_classes_by_their_share_of_the_documents():
    bags = Ragged.from_ends(np.array([0, 1, 0, 2, 0, 2, 0, 2, 2], np.int32), np.array([2, 4, 6, 9]))
    data = LabelledBags(bags, np.array([0, 1, 0, 1], np.int32), np.ones(4, np.float32), np.array([2, 2]))
    output = np.full((2, DIM), 2.0, np.float32)
    sizes = step_sizes(data, np.zeros((4, DIM), np.float32), output, settings_of())
    expected = (np.log(5 / np.array([5, 2, 4, 1])) + 1) ** 2
    np.testing.assert_allclose(sizes.rows, expected, rtol=1e-6)
    once = step_sizes(data, np.zeros((4, DIM), np.float32), output, settings_of(idf_power=1.0))
    np.testing.assert_allclose(once.rows, np.sqrt(expected), rtol=1e-6)
    assert sizes.length == pytest.approx(4 * DIM)
    assert sizes.outputs == pytest.approx(2 / 4)
    moved = np.array(
        [(expected[0] + expected[1]) / 4, *[(expected[0] + expected[2]) / 4] * 2, (expected[0] + 4 * expected[2]) / 9]
    )
    np.testing.assert_allclose(sizes.documents, 1 / (moved * 4 * DIM * 0.5), rtol=1e-6)
    earlier = data._replace(counts=np.array([30, 10]))  # of earlier calls
    assert step_sizes(earlier, np.zeros((4, DIM)), output, settings_of()).outputs == pytest.approx(2 / 40)
    given = np.ones((4, DIM), np.float32)
    assert step_sizes(data, given, output, settings_of(), given=True).outputs == pytest.approx(1 / DIM)
    many = data._replace(counts=np.array([300, 100]))
    assert step_sizes(many, given, output, settings_of(), given=True).outputs == pytest.approx(10 * 2 / 400 / DIM)


def test_how_many_rows_are_counted_at_a_time_changes_nothing(monkeypatch):
    data, output = data_of(), random_outputs(N_CLASSES, DIM, 0)
    whole = step_sizes(data, random_rows(N_ROWS, DIM, 0), output, settings_of(), given=True)
    indices = data.bags.indices.copy()
    for at_once in (1, 7):
        monkeypatch.setattr(documents, "ROWS_AT_ONCE", at_once)
        for one, other in zip(step_sizes(data, random_rows(N_ROWS, DIM, 0), output, settings_of(), given=True), whole):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_array_equal(data.bags.indices, indices)


def test_classes_begin_with_unit_length():
    output = random_outputs(3000, 7, 3)
    assert output.dtype == np.float32
    assert np.square(output).sum(axis=1).mean() == pytest.approx(1, abs=0.03)
    assert abs(output.mean()) < 0.01
    assert (output != random_outputs(3000, 7, 4)).any()


def test_rows_begin_uniform_in_one_by_the_dimensions():
    rows = random_rows(2000, 4, 3)
    assert rows.dtype == np.float32
    assert 0.249 < rows.max() <= 0.25
    assert -0.25 <= rows.min() < -0.249
    assert abs(rows.mean()) < 0.01
    assert (rows != random_rows(2000, 4, 4)).any()


@pytest.mark.parametrize("loss", ["softmax", "negative-sampling", "hierarchical-softmax"])
def test_deltas_are_weighed_by_how_often_a_row_was_met(loss):
    """Of documents that are longer each row has a smaller share, of the step and of the mean that it moves."""
    bags = Ragged.from_ends(np.array([0, 1, 1, 2, 0, 3, 3, 3], np.int32), np.array([2, 4, 5, 8]))
    data = LabelledBags(bags, np.array([0, 1, 2, 0], np.int32), np.ones(4, np.float32), np.array([2, 1, 1]))
    tables = (
        random_rows(5, DIM, 0),
        np.random.default_rng(1).normal(size=(3 - (loss[0] == "h"), DIM)).astype(np.float32),
    )
    sizes = step_sizes(data, *tables, settings_of(loss))
    fit = documents._FitDocuments(data, sizes, loss, 2)
    deltas, (lost, finite) = fit(tables, (np.array([0, 1, 3]), 0.2, 0), (0, 2, 0, 0))
    assert finite
    assert lost > 0
    assert deltas[0].rows.tolist() == [0, 1, 2, 3]  # as they are met; the row that no document has is not among them
    n_words = np.array([2, 2, 1, 3])
    times = np.array(
        [[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 3]]
    ).T  # of each of four rows in each document
    weights = sizes.rows[:4] * (times * (sizes.documents / n_words**2))[:, [0, 1, 3]].sum(axis=1)
    rate = 0.2 * 0.1 * sizes.outputs
    np.testing.assert_allclose(deltas[0].step_weights[:4], rate * sizes.length * weights, rtol=1e-5)
    np.testing.assert_array_equal(deltas[1].rows, np.arange(len(tables[1])))
    if loss == "softmax":
        np.testing.assert_allclose(deltas[1].step_weights[:3], rate * np.array([2, 1, 0]), rtol=1e-5)  # of labels
    again, _ = fit(tables, (np.array([0, 1, 3]), 0.2, 0), (0, 2, 0, 0))
    np.testing.assert_array_equal(again[0].deltas, deltas[0].deltas)
    state = fit.__getstate__()
    assert state["_slots"] == state["_workspaces"] == {}
    assert fit._slots
    assert fit._workspaces


@pytest.mark.parametrize(("few", "n_shards", "expected"), [(1000, None, 1), (10, None, 4), (10, 2, 2), (1000, 3, 3)])
def test_shards_of_a_round_go_by_the_rows_of_all_bags_unless_they_are_given(few, n_shards, expected, monkeypatch):
    data, merged = data_of(), []
    monkeypatch.setattr(documents, "FEW_ROWS", few)
    merge = documents.Merger.merge
    monkeypatch.setattr(
        documents.Merger, "merge", lambda self, learned: merged.append(len(learned)) or merge(self, learned)
    )
    train_classes(
        data, random_rows(N_ROWS, DIM, 0), settings_of(max_iter=1, n_shards=n_shards, rows_per_shard=5), Run(0)
    )
    assert max(merged) == merged[0] == expected


def test_the_bound_of_few_rows_itself_is_many(monkeypatch):
    data, merged = data_of(), []
    monkeypatch.setattr(documents, "FEW_ROWS", len(data.bags.indices))
    merge = documents.Merger.merge
    monkeypatch.setattr(
        documents.Merger, "merge", lambda self, learned: merged.append(len(learned)) or merge(self, learned)
    )
    train_classes(data, random_rows(N_ROWS, DIM, 0), settings_of(max_iter=1, rows_per_shard=5), Run(0))
    assert max(merged) == 4


def test_rounds_learn_at_the_rate_of_what_is_done_before_them(monkeypatch):
    asked, fit = [], documents._FitDocuments.__call__

    def noted(self, tables, shard, seed):
        asked.append((len(shard[0]), shard[1], shard[2], seed))
        return fit(self, tables, shard, seed)

    monkeypatch.setattr(documents._FitDocuments, "__call__", noted)
    data, seen, passes = data_of(), [], []
    run = WatchedRun(
        7, progress=seen.append, on_pass=lambda pass_, tables: passes.append((pass_, len(tables.loss_curve)))
    )
    train_classes(data, random_rows(N_ROWS, DIM, 0), settings_of(max_iter=2, n_shards=2, rows_per_shard=12), run)
    done, rounds = 0, []
    for n, rate, index, seed in asked:
        if index == 0:
            rounds.append(0)
            done_before = done
        assert rate == pytest.approx(0.3 * (1 - done_before / 60))
        assert seed == (7, 2, 0 if done_before < 30 else 1, seed[3])
        rounds[-1] += n
        done += n
    per_pass = [seed[3] for _, _, _, seed in asked]
    half = per_pass.index(0, 1)
    assert per_pass == [*range(half), *range(len(per_pass) - half)]
    assert seen == rounds
    assert sum(seen) == 60
    assert passes == [(0, 1), (1, 2)]


def test_a_pass_that_is_told_to_be_the_last_is():
    found = train_classes(
        data_of(), random_rows(N_ROWS, DIM, 0), settings_of(), WatchedRun(7, on_pass=lambda pass_, tables: pass_ == 1)
    )
    assert len(found.loss_curve) == 2


@pytest.mark.parametrize("which", ["input", "output"])
def test_either_table_beyond_float32_ends_training(which):
    data, rows = data_of(), random_rows(N_ROWS, DIM, 0)
    if which == "input":
        rows[0] = 3e38
    output = np.full((N_CLASSES, DIM), 3e38 if which == "output" else 0.0, np.float32)
    kept = rows.copy(), output.copy()
    with pytest.warns(ConvergenceWarning, match=r"in pass 1 vectors were no longer finite.*Lower learning_rate=1e\+38"):
        found = train_classes(data, rows, settings_of("one-vs-all", learning_rate=1e38), Run(0), output=output)
    assert found.loss_curve == []
    np.testing.assert_array_equal(found.input, kept[0])
    np.testing.assert_array_equal(found.output, kept[1])


def test_documents_without_weight_have_no_loss():
    data = data_of()._replace(weights=np.zeros(30, np.float32))
    found = train_classes(data, random_rows(N_ROWS, DIM, 0), settings_of(max_iter=1), Run(0))
    assert found.loss_curve == [0.0]


def test_trees_have_a_leaf_for_classes_that_never_occur():
    for counts in ([3, 0, 1, 0], [0, 0, 0]):
        found, expected = class_tree(np.array(counts)), huffman_tree(np.maximum(counts, 1), leaves_first=False)
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)


def test_some_documents_of_labelled_bags():
    data = data_of()
    few = data.take(np.array([4, 1]))
    for place, i in enumerate([4, 1]):
        one = few.bags.indices[few.bags.indptr[place] : few.bags.indptr[place + 1]]
        np.testing.assert_array_equal(one, data.bags.indices[data.bags.indptr[i] : data.bags.indptr[i + 1]])
    np.testing.assert_array_equal(few.labels, data.labels[[4, 1]])
    np.testing.assert_array_equal(few.weights, data.weights[[4, 1]])
    assert few.counts is data.counts
