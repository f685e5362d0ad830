"""The recurrent net in training: batches, what its numpy form says, and losses that are not finite."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.exceptions import ConvergenceWarning  # noqa: E402

from skembed.data.cases import CaseReader  # noqa: E402
from skembed.data.columns import read_columns  # noqa: E402
from skembed.data.prefixes import overlay  # noqa: E402
from skembed.data.sequences import as_cells  # noqa: E402
from skembed.sequence._states import states_after  # noqa: E402
from skembed.table import EmbeddingTable  # noqa: E402
from skembed.training.nets import recurrent_net  # noqa: E402
from skembed.training.nets.device import seeded_generator  # noqa: E402
from skembed.training.nets.recurrent_net import RecurrentNet, learn_recurrent, length_batches  # noqa: E402
from skembed.training.recurrent import CaseProblem, RecurrentSettings  # noqa: E402
from skembed.training.run import Run  # noqa: E402

N = 40


def cases_of(n=N):
    rng = np.random.default_rng(0)
    X = np.empty((n, 4), dtype=object)
    for i, length in enumerate(rng.integers(0, 7, n)):
        X[i, 0] = rng.choice(list("abcd"), length).tolist()
        X[i, 1] = np.where(rng.random(length) < 0.2, np.nan, rng.normal(size=length))
        X[i, 2], X[i, 3] = "uvw"[i % 3], float(i % 5) if i % 4 else None
    options = {"categorical_features": "auto", "max_length": None, "min_frequency": None, "max_categories": None}
    return CaseReader.fit(read_columns(as_cells(X)), wants_category=True, **options)


def problem_of(reader, cases, target=None, parts=()):
    rng = np.random.default_rng(1)
    tables = [rng.normal(size=(len(v) + 1, 3)).astype(np.float32) for v in reader.vocabularies]
    over = overlay(cases, merge_equal=False)
    target = np.arange(len(cases)) % 3 if target is None else target
    return CaseProblem(
        cases.take(over.longest), tables, [len(k) for k in reader.knots], reader.flagged, over.which, cases.lengths,
        target, np.ones(len(cases), np.float32), list(parts), 3 if target.ndim == 1 else target.shape[1], np.arange(4),
    )  # fmt: skip


def settings_of(**options):
    chosen = {"cell": "lstm", "pooling": "last", "embedding_dim": 4, "dropout": 0.2, "weight_decay": 0.01}
    chosen |= {"max_iter": 3, "batch_size": 8, "learning_rate": 0.01, "early_stopping": True}
    return RecurrentSettings(**(chosen | options))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_arrays_say_what_torch_says(cell, pooling):
    reader, cases = cases_of()
    problem = problem_of(reader, cases, np.zeros((len(cases), 1), np.float32), [("continuous", 0, 1)])
    net = RecurrentNet(problem, settings_of(cell=cell, pooling=pooling), seeded_generator(0), torch.device("cpu"))
    net.one_pass()
    found = np.empty((len(cases), 4), np.float32)
    with torch.no_grad():
        for batch in net._batches(np.arange(len(problem.cases)), None):
            found[batch.reads] = net.vectors(batch).numpy()
    tables = [EmbeddingTable(range(len(t) - 1), t[1:], unknown=t[0]) for t in net.tables()]
    said = states_after(cases, net.weights(), tables, pooling)
    np.testing.assert_allclose(said, found, rtol=1e-4, atol=1e-5)
    assert np.ptp(said[cases.lengths == 0], axis=0).max() > 1e-3  # empty cases differ by their plain columns


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_beginning_on_a_longer_case_is_as_by_itself(pooling):
    """No gradient or state of a case depends on whether it lies on another."""
    reader, cases = cases_of()
    whole = problem_of(reader, cases, np.zeros((len(cases), 1), np.float32), [("continuous", 0, 1)])
    alone = problem_of(reader, cases, whole.target, whole.parts)
    alone.cases, alone.read_case = cases, np.arange(len(cases))
    assert len(whole.cases) < len(cases)
    gradients = []
    for problem in (whole, alone):
        settings = settings_of(pooling=pooling, dropout=0.0, batch_size=N)
        net = RecurrentNet(problem, settings, seeded_generator(0), torch.device("cpu"))
        batch = net._batches(np.arange(len(problem.cases)), None)
        losses = sum(net._losses(b, training=False).sum() for b in batch)
        net.optimizer.zero_grad()
        losses.backward()
        gradients.append(net.optimizer.gradient.clone())
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_cases_that_are_held_out_are_not_learned_from(early_stopping):
    reader, cases = cases_of()
    weights = []
    for moved_by in (0, 1):
        problem = problem_of(reader, cases, np.random.default_rng(0).integers(3, size=N))
        problem.held_out = np.arange(10 if early_stopping else 0)
        held_out = np.flatnonzero(problem.read_case < 10)
        assert len(set(problem.target[held_out])) == 3
        problem.target[held_out] = np.roll(problem.target[held_out], moved_by)  # as frequent as before
        net = RecurrentNet(problem, settings_of(), seeded_generator(0), torch.device("cpu"))
        net.one_pass()
        weights.append(net.weights().recurrent)
    assert np.array_equal(*weights) == early_stopping


@pytest.mark.parametrize("jittered", [False, True])
def test_batches_hold_each_case_once_at_about_one_length(jittered):
    rng = np.random.default_rng(0)
    lengths = np.append(rng.geometric(0.1, 500), [0, 0, 9000])
    batches = length_batches(lengths, 32, rng.random(len(lengths)) if jittered else None)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert (np.diff(lengths[batch]) <= 0).all()
        assert len(batch) <= 32
    taken = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert taken < 1.6 * lengths.sum()


def test_a_loss_that_is_not_finite_goes_back():
    reader, cases = cases_of()
    problem = problem_of(reader, cases)
    problem.weight[:] = 1e38  # a pass overflows
    with pytest.warns(ConvergenceWarning, match="Lower learning_rate"):
        weights, tables, history, _ = learn_recurrent(problem, settings_of(learning_rate=1e30), Run(0))
    assert history.n_iter == 0
    assert all(np.isfinite(table).all() for table in [*tables, weights.recurrent])


def test_the_best_pass_is_kept_and_the_mean_of_weights_is_what_is_scored():
    reader, cases = cases_of(200)
    problem = problem_of(reader, cases)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, _, history, _ = learn_recurrent(
            problem, settings_of(max_iter=30, n_iter_no_change=2, learning_rate=0.1), Run(0)
        )
    assert history.n_iter < 30
    assert history.best_iter == int(np.argmax(history.validation_scores)) + 1
    net = RecurrentNet(problem, settings_of(), seeded_generator(0), torch.device("cpu"))
    net.one_pass()
    kept, before = net.snapshot(), net.optimizer.weight.clone()
    score = net.validation_score()
    torch.testing.assert_close(net.optimizer.weight, before, rtol=0, atol=0)
    assert not torch.equal(kept, before)
    net.restore(kept)
    assert net.validation_score() == score


@pytest.mark.parametrize("with_y", [False, True])
def test_with_y_too_much_confidence_costs_nothing(with_y):
    """A model behind the vectors scales what they say anew."""
    reader, cases = cases_of()
    classes = np.eye(3, dtype=np.float32)[np.arange(len(cases)) % 3]
    problem = problem_of(reader, cases, *((classes, [("multiclass", 0, 3)]) if with_y else ()))
    problem.weight[:] = np.random.default_rng(2).uniform(0.5, 2, len(problem.weight))
    problem = replace(problem, held_out=np.arange(12))
    net = RecurrentNet(problem, settings_of(), seeded_generator(0), torch.device("cpu"))
    net.one_pass()
    layer, scores = net.net.output, []
    null = layer.bias.detach().clone()  # about what is true on average: a pass has hardly moved it
    for confidence in (30.0, 10.0):
        with torch.no_grad():
            layer.weight.mul_(confidence)
            layer.bias.copy_(net.mean_scores + confidence * (null - net.mean_scores))
            null = layer.bias.detach().clone()
        net.restore(net.optimizer.weight.clone())
        scores.append(net.validation_score())
    if with_y:
        assert scores[1] == pytest.approx(scores[0], abs=2e-3)
    else:
        assert scores[1] < scores[0] - 1


def test_scores_of_cases_held_out_are_those_of_the_net(monkeypatch):
    reader, cases = cases_of()
    problem = replace(problem_of(reader, cases), held_out=np.arange(12))
    weights, tables, _, (reads, scores) = learn_recurrent(problem, settings_of(), Run(0))
    held_out = np.flatnonzero(np.isin(problem.read_case, problem.held_out))
    np.testing.assert_array_equal(reads, held_out)
    assert len(reads) > 6
    read = [EmbeddingTable(range(len(t) - 1), t[1:], unknown=t[0]) for t in tables]
    states = states_after(cases.take(reads), weights, read, "last")
    np.testing.assert_allclose(scores, states @ weights.output[:-1] + weights.output[-1], atol=1e-5)
    monkeypatch.setattr(recurrent_net, "MAX_HELD_OUT_SCORES", 3 * 5)
    _, _, _, (some, of_some) = learn_recurrent(problem, settings_of(), Run(0))
    assert len(some) == 5
    np.testing.assert_array_equal(of_some, scores[np.isin(reads, some)])
    monkeypatch.setattr(recurrent_net, "MAX_HELD_OUT_SCORES", 1)
    assert len(learn_recurrent(problem, settings_of(), Run(0)).held_out[0]) == 1


def test_numbers_have_no_scores_of_classes():
    reader, cases = cases_of()
    problem = problem_of(reader, cases, np.zeros((len(cases), 1), np.float32), [("continuous", 0, 1)])
    reads, scores = learn_recurrent(problem, settings_of(), Run(0)).held_out
    assert reads.shape == (0,)
    assert scores.shape == (0, 1)
