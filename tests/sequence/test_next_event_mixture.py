"""What comes next by net and counts: who has which say."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from skembed import SequenceEmbedder
from skembed.data.cases import Cases
from skembed.sequence._mixture import NextEventMixture
from skembed.sequence._states import product
from skembed.training.backoff import Contexts

pytest.importorskip("torch")

K = 8


def chain(n, seed=0, order=1):
    """Cases in which the last events say it all, and are hard to learn: drawn at random what follows what."""
    rng = np.random.default_rng(seed)
    follows = np.random.default_rng(99).dirichlet(np.full(K, 0.2), size=K**order)
    cases = []
    for _ in range(n):
        events = rng.integers(0, K, order).tolist()
        while rng.random() > 0.1:
            context = sum(e * K**i for i, e in enumerate(events[-order:]))
            events.append(int(rng.choice(K, p=follows[context])))
        cases.append([f"e{e}" for e in events])
    return cases


def score(fitted, cases):
    begun = [case[:n] for case in cases for n in range(1, len(case))]
    following = [case[n] for case in cases for n in range(1, len(case))]
    return (fitted.predict_next(begun, end=False)[0][:, 0] == following).mean()


def test_counts_help_where_the_last_events_say_it_all():
    X, new = chain(200, order=2), chain(200, seed=1, order=2)
    net = SequenceEmbedder(16, max_iter=30, random_state=0, n_previous=0).fit(X)
    mixture = SequenceEmbedder(16, max_iter=30, random_state=0).fit(X)
    assert score(mixture, new) > score(net, new) + 0.02
    assert mixture.mixture_weights_[1] > 0.3
    np.testing.assert_array_equal(mixture.transform(new), net.transform(new))  # counts have no say in vectors


def test_the_net_tells_what_counts_do_not_see():
    """What comes at the end is told by the first event, which is further back than counts look."""
    rng = np.random.default_rng(0)
    X = [["a" if first else "b", *["-"] * 5, "A" if first else "B"] for first in rng.random(400) < 0.5]
    fitted = SequenceEmbedder(16, random_state=0, max_iter=30, n_previous=4).fit(X)
    keys, probabilities = fitted.predict_next([["a", *["-"] * 5], ["b", *["-"] * 5]])
    assert keys[:, 0].tolist() == ["A", "B"]
    assert (probabilities > 0.9).all()


def test_n_previous_0_is_the_net_alone():
    X = chain(80)
    fitted = SequenceEmbedder(4, max_iter=2, random_state=0, n_previous=0).fit(X)
    assert fitted.mixture_weights_.tolist() == [1, 0]
    assert fitted._mixture is None
    output = fitted._weights.output
    expected = softmax(product(fitted.transform(X), output[:-1]) + output[-1], axis=1)
    keys, probabilities = fitted.predict_next(X, k=K + 1)
    order = {key: i for i, key in enumerate(fitted._next_keys().tolist())}
    places = np.array([[order[key] for key in row] for row in keys.tolist()])
    np.testing.assert_allclose(probabilities, np.take_along_axis(expected, places, axis=1), rtol=1e-5)


def test_without_cases_held_out_both_weigh_the_same():
    for X, options in ((chain(15), {}), (chain(80), {"early_stopping": False}), (chain(1), {})):
        fitted = SequenceEmbedder(4, max_iter=2, random_state=0, **options).fit(X)
        assert fitted.mixture_weights_.tolist() == [0.5, 0.5]
        assert fitted._mixture.of_orders.sum() == pytest.approx(1)


def test_orders_are_weighed_by_cases_that_were_not_counted():
    """In a case that repeats three events long contexts say all of that case, and nothing of others."""
    rng = np.random.default_rng(0)
    X = [rng.choice(list("abcdefgh"), 3).tolist() * 6 for _ in range(40)]
    options = {"max_iter": 2, "random_state": 0, "early_stopping": False}
    fitted = SequenceEmbedder(4, **options).fit(X)
    assert fitted._mixture.of_orders[:2].sum() > 0.8
    fitted = SequenceEmbedder(4, **options).fit(chain(100, order=2))
    assert fitted._mixture.of_orders[2:].sum() > 0.8


def test_the_end_is_left_out_or_told():
    X = chain(120)
    fitted = SequenceEmbedder(4, max_iter=3, random_state=0).fit(X)
    assert fitted.mixture_weights_[1] > 0
    keys, probabilities = fitted.predict_next(X[:30], k=99)
    without, rest = fitted.predict_next(X[:30], k=99, end=False)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(rest.sum(axis=1), 1, rtol=1e-5)
    for row in range(30):
        given = {k: p for k, p in zip(keys[row], probabilities[row]) if k != "<end>"}
        total = sum(given.values())
        for key, p in zip(without[row], rest[row]):
            assert p == pytest.approx(given[key] / total, rel=1e-4)


def test_a_row_depends_on_its_own_case():
    X = chain(120)
    fitted = SequenceEmbedder(4, max_iter=3, random_state=0).fit(X)
    assert fitted._mixture is not None
    new = [*chain(20, seed=3), [], ["e0", "never met", "e1"], ["never met"]]
    keys, probabilities = fitted.predict_next(new, k=4)
    for row, case in enumerate(new):
        one_key, one = fitted.predict_next([case], k=4)
        assert one_key[0].tolist() == keys[row].tolist()
        np.testing.assert_array_equal(one[0], probabilities[row])


def test_a_weight_of_two_is_the_row_twice():
    X = chain(40)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    twice = [case for case, n in zip(X, weight) for _ in range(n)]
    options = {"max_iter": 2, "random_state": 0, "early_stopping": False}
    weighted = SequenceEmbedder(4, **options).fit(X, sample_weight=weight)._mixture.counts
    repeated = SequenceEmbedder(4, **options).fit(twice)._mixture.counts
    for a, b in zip(weighted.orders, repeated.orders):
        np.testing.assert_array_equal(a.shares, b.shares)
        np.testing.assert_array_equal(a.backoff, b.backoff)


def test_a_case_that_was_cut_does_not_begin_there():
    """Cases begin with "open"; long ones are cut to events of which none follows the start."""
    X = [["open", *"abababab"[: 2 * n]] for n in (1, 2, 3, 4)] * 20
    fitted = SequenceEmbedder(4, max_iter=2, random_state=0, max_length=3, early_stopping=False).fit(X)
    assert fitted._mixture.counts.orders[1].codes.tolist() == [1, 2, 3, 4]  # open, a, b and the start of short cases
    assert fitted.predict_next([[]])[0][0, 0] == "open"


def test_the_column_of_events_is_the_one_that_is_named():
    X = pd.DataFrame({"who": [list("xyxyxy")] * 60, "what": [list("abcabc")] * 60})
    fitted = SequenceEmbedder(4, max_iter=2, random_state=0, event="what", early_stopping=False).fit(X)
    assert fitted._mixture.place == 1
    new = pd.DataFrame({"who": [list("xx")], "what": [list("ab")]})
    assert fitted.predict_next(new)[0][0, 0] == "c"
    assert SequenceEmbedder(4, max_iter=2, random_state=0).fit(X, [0, 1] * 30).mixture_weights_ is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"place": 1}, "column 0"),
        ({"weights": np.ones(3)}, "weights of the net"),
        ({"weights": np.array([1.0, -1.0])}, "weights of the net"),
        ({"weights": np.array([1.0, np.nan])}, "weights of the net"),
        ({"of_orders": np.ones(9)}, "orders"),
        ({"of_orders": np.ones(2)}, "orders"),
    ],
)
def test_a_mixture_that_does_not_fit_is_refused(change, message):
    fitted = SequenceEmbedder(4, max_iter=2, random_state=0).fit(chain(80))
    mixture = fitted._mixture
    mixture.check(0, K, K + 1)
    with pytest.raises(ValueError, match=message):
        NextEventMixture(**(vars(mixture) | change)).check(0, K, K + 1)
    for n_levels, n_targets in ((K + 1, K + 1), (K, K)):
        with pytest.raises(ValueError, match="levels"):
            mixture.check(0, n_levels, n_targets)


def problem_of(events, held_out):
    """Whole cases of levels from 0 on, of which all but the first event of each is to be predicted."""
    n_levels = max(max(case) for case in events) + 1
    indptr = np.cumsum([0, *map(len, events)])
    ids = np.concatenate(events)[:, None].astype(np.int32) + 1
    length = np.concatenate([np.arange(1, len(case)) for case in events])
    case = np.repeat(np.arange(len(events)), [len(case) - 1 for case in events])
    target = np.concatenate([case[1:] for case in events])
    cases = Cases(indptr, ids, np.empty((len(ids), 0)), np.empty((len(events), 0)), np.empty((len(events), 0)))
    return SimpleNamespace(
        cases=cases, read_case=case, read_length=length, target=target, weight=np.ones(len(target), np.float32),
        n_targets=n_levels, held_out=np.asarray(held_out),
    )  # fmt: skip


def learned(problem, scores):
    reads = np.flatnonzero(np.isin(problem.read_case, problem.held_out))
    return NextEventMixture.learn(problem, (reads, scores(problem, reads)), 0, problem.n_targets, 4)


def test_no_counts_beside_a_net_that_knows():
    rng = np.random.default_rng(0)
    problem = problem_of([rng.integers(0, 5, 9).tolist() for _ in range(60)], range(30))
    assert learned(problem, lambda p, reads: 9 * np.eye(p.n_targets)[p.target[reads]].astype(np.float32)) is None


def test_what_cases_held_out_say_is_not_counted_when_they_judge():
    """Each case repeats events of its own: its own counts would say all of it, those of the others say nothing."""
    rng = np.random.default_rng(0)
    problem = problem_of([rng.integers(0, 30, 3).tolist() * 5 for _ in range(60)], range(30))
    mixture = learned(problem, lambda p, reads: np.zeros((len(reads), p.n_targets), np.float32))
    assert mixture is None or mixture.weights[1] < 0.6


def test_scores_are_weighed_sums_of_logarithms():
    problem = problem_of([[0, 1, 2, 0, 1], [0, 2, 1, 1]] * 10, range(4))
    mixture = learned(problem, lambda p, reads: np.zeros((len(reads), p.n_targets), np.float32))
    mixture = replace(mixture, weights=np.array([0.3, 0.7]))
    by_net = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    contexts = Contexts(problem.cases.ids[:, 0], problem.cases.indptr[1:], problem.cases.lengths, np.ones(20, bool), 4)
    by_counts = np.log(mixture.counts.probabilities(contexts, mixture.of_orders))
    np.testing.assert_allclose(mixture.scores(by_net, problem.cases), 0.3 * by_net + 0.7 * by_counts, rtol=1e-6)
