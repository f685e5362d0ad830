"""Counts of what follows contexts, beside the same written with dicts."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from skembed.training import backoff
from skembed.training.backoff import BackoffModel, ContextCounts, Contexts, order_weights

N_LEVELS = 4  # ids 1 to 4; 0 is an unknown one
START, END = N_LEVELS + 1, N_LEVELS
N_TARGETS = N_LEVELS + 1


def sequences_of(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, N_LEVELS + 1, rng.integers(0, 7)).tolist() for _ in range(n)]


def beginnings(sequences):
    """Contexts before every event that is known and before the end, their targets, and the contexts as lists."""
    ids, ends, lengths, target, known = [], [], [], [], []
    for events in sequences:
        for n in range(len(events) + 1):
            if n == len(events) or events[n] > 0:
                ends.append(len(ids) + n)
                lengths.append(n)
                target.append(END if n == len(events) else events[n] - 1)
                known.append([START, *events[:n]])
        ids += events
    contexts = Contexts(np.array(ids, np.int32), np.array(ends), np.array(lengths), np.ones(len(ends), bool), START)
    return contexts, np.array(target), known


def slow(known, target, weight, max_order):
    """Witten-Bell, interpolated, as it is written: a function of a context and an order."""
    counts = defaultdict(Counter)
    for events, following, times in zip(known, target.tolist(), weight):
        for n in range(min(max_order, len(events)) + 1):
            counts[tuple(events[len(events) - n :])][following] += times

    def probabilities(events, order):
        if order < 0:
            return np.full(N_TARGETS, 1 / N_TARGETS)
        below = probabilities(events, order - 1)
        found = counts.get(tuple(events[len(events) - order :])) if order <= len(events) else None
        if found is None:
            return below
        own = np.array([found[x] for x in range(N_TARGETS)])
        return (own + len(found) * below) / (own.sum() + len(found))

    return probabilities


@pytest.mark.parametrize("weighted", [False, True])
def test_each_order_has_the_probabilities_of_witten_and_bell(weighted):
    contexts, target, known = beginnings(sequences_of())
    weight = np.random.default_rng(1).uniform(0.5, 3, len(target)) if weighted else np.ones(len(target))
    model = BackoffModel.learn(contexts, target, weight, n_targets=N_TARGETS, max_order=3)
    expected = slow(known, target, weight, 3)
    new, _, new_known = beginnings(sequences_of(20, seed=5))  # with contexts that were never met
    for order, found in enumerate(model.by_order(new)):
        np.testing.assert_allclose(found, [expected(events, order) for events in new_known], rtol=1e-5)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert order == 3


def test_the_beginning_of_a_sequence_is_an_event():
    contexts, target, _ = beginnings([[1, 2], [1, 3], [1, 2], [2, 1, 1]])
    model = BackoffModel.learn(contexts, target, np.ones(len(target)), n_targets=N_TARGETS, max_order=1)
    nothing = Contexts(np.empty(0, np.int32), np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, bool), START)
    *_, found = model.by_order(nothing)
    assert found[0].argmax() == 0
    assert found[0, 0] > 0.6  # three of four begin with it


def test_what_was_cut_does_not_begin_with_what_is_left():
    contexts, target, known = beginnings(sequences_of())
    has_start = np.random.default_rng(0).random(len(target)) < 0.5
    contexts = replace(contexts, has_start=has_start)
    known = [events if begun else events[1:] for events, begun in zip(known, has_start)]
    model = BackoffModel.learn(contexts, target, np.ones(len(target)), n_targets=N_TARGETS, max_order=3)
    expected = slow(known, target, np.ones(len(target)), 3)
    for order, found in enumerate(model.by_order(contexts)):
        np.testing.assert_allclose(found, [expected(events, order) for events in known], rtol=1e-5)


def test_orders_are_mixed_and_picked_whatever_is_beside(monkeypatch):
    contexts, target, _ = beginnings(sequences_of())
    model = BackoffModel.learn(contexts, target, np.ones(len(target)), n_targets=N_TARGETS, max_order=2)
    weights = np.array([0.2, 0.3, 0.5])
    orders = [found.copy() for found in model.by_order(contexts)]
    mixed, rows = model.probabilities(contexts, weights), np.arange(len(target))
    np.testing.assert_allclose(mixed, sum(w * p for w, p in zip(weights, orders)), rtol=1e-12)
    likelihoods = model.likelihoods(contexts, target)
    np.testing.assert_array_equal(likelihoods, np.stack([p[rows, target] for p in orders], axis=1))
    monkeypatch.setattr(backoff, "_BLOCK", 7)
    np.testing.assert_array_equal(model.probabilities(contexts, weights), mixed)
    np.testing.assert_array_equal(model.likelihoods(contexts, target), likelihoods)
    for row in (0, 11, len(rows) - 1):
        np.testing.assert_array_equal(model.probabilities(contexts.take([row]), weights)[0], mixed[row])


def test_no_context_and_no_target():
    nothing = Contexts(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool), START)
    model = BackoffModel.learn(nothing, np.empty(0, np.int64), np.empty(0), n_targets=3, max_order=2)
    contexts, _, _ = beginnings(sequences_of(3))
    for found in model.by_order(contexts):
        np.testing.assert_allclose(found, 1 / 3)
    assert model.probabilities(nothing, np.ones(3) / 3).shape == (0, 3)


def changed(model, order, **arrays):
    orders = list(model.orders)
    orders[order] = ContextCounts(**(vars(orders[order]) | arrays))
    return {"orders": orders, "n_symbols": model.n_symbols, "n_targets": model.n_targets}


@pytest.mark.parametrize(
    ("order", "name", "change", "message"),
    [
        (1, "codes", lambda a: a[::-1], "ascending codes"),
        (1, "codes", lambda a: a + 1000, "below"),
        (1, "codes", lambda a: a.astype(np.int32), "of their types"),
        (2, "codes", lambda a: a[:-1], "counts of"),
        (1, "indptr", lambda a: a[:-1], "counts of"),
        (1, "indptr", lambda a: a[::-1], "ascending bounds"),
        (1, "indptr", lambda a: a + (a > 0), "ascending bounds"),
        (0, "targets", lambda a: a + 100, "targets below"),
        (0, "targets", lambda a: a - 100, "targets below"),
        (1, "shares", lambda a: a[:-1], "shares of targets"),
        (1, "shares", lambda a: -a, "at least 0"),
        (1, "shares", lambda a: a * np.float32(np.inf), "finite"),
        (1, "backoff", lambda a: a * 0, "some left"),
        (1, "backoff", lambda a: a * np.float32(np.inf), "finite"),
        (1, "backoff", lambda a: a[:-1], "counts of"),
    ],
)
def test_counts_that_do_not_fit_are_refused(order, name, change, message):
    contexts, target, _ = beginnings(sequences_of())
    model = BackoffModel.learn(contexts, target, np.ones(len(target)), n_targets=N_TARGETS, max_order=2)
    state = changed(model, order, **{name: change(getattr(model.orders[order], name))})
    with pytest.raises(ValueError, match=message):
        BackoffModel.__new__(BackoffModel).__setstate__(state)


def test_a_whole_model_is_restored():
    contexts, target, _ = beginnings(sequences_of())
    model = BackoffModel.learn(contexts, target, np.ones(len(target)), n_targets=N_TARGETS, max_order=2)
    twin = BackoffModel.__new__(BackoffModel)
    twin.__setstate__(changed(model, 0))
    np.testing.assert_array_equal(twin.likelihoods(contexts, target), model.likelihoods(contexts, target))
    for change in ({"orders": []}, {"n_symbols": 0}, {"n_targets": 0}):
        with pytest.raises(ValueError, match="expected an order"):
            BackoffModel.__new__(BackoffModel).__setstate__(changed(model, 0) | change)


def test_weights_of_orders_make_events_most_probable():
    rng = np.random.default_rng(0)
    likelihoods, weight = rng.uniform(0.01, 1, (200, 2)), rng.uniform(0, 2, 200)
    grid = np.linspace(0, 1, 1001)
    values = [weight @ np.log(likelihoods @ [g, 1 - g]) for g in grid]
    assert order_weights(likelihoods, weight)[0] == pytest.approx(grid[np.argmax(values)], abs=2e-3)


def test_what_tells_next_to_nothing_has_no_share():
    likelihoods = np.tile([0.5, 0.499, 1e-9], (100, 1))
    likelihoods[0] = [0.1, 0.2, 0.3]
    weights = order_weights(likelihoods, np.ones(100))
    assert weights[2] == 0
    assert weights.sum() == pytest.approx(1)
