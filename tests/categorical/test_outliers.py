"""Targets with outliers: what is learned of all other rows."""

import pickle

import numpy as np
import pytest

import skembed
from skembed import EntityEmbeddingEncoder
from skembed.categorical._outliers import REACH, Fences, fences_of, quartiles


def table(n=3000, seed=0, noise=1.0):
    """Return two columns of 20 and 60 levels, and a target that is the sum of their effects and noise."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(20, size=n), rng.integers(60, size=n)
    signal = rng.standard_normal(20)[a] + rng.standard_normal(60)[b]
    return np.stack([a, b], axis=1).astype(str), signal, signal + noise * rng.standard_normal(n)


def with_outliers(y, share=0.001, size=1e4, seed=1):
    rng = np.random.default_rng(seed)
    out = y.copy()
    out[rng.choice(len(y), max(int(share * len(y)), 1), replace=False)] = size
    return out


def explained(X, y, signal, **parameters):
    """Return the share of the signal that a linear model makes of the vectors, and the encoder."""
    encoder = EntityEmbeddingEncoder(random_state=0, **parameters).fit(X, y)
    Z = np.column_stack([np.ones(len(X)), encoder.transform(X)])
    residual = signal - Z @ np.linalg.lstsq(Z, signal, rcond=None)[0]
    return 1 - residual.var() / signal.var(), encoder


@pytest.mark.parametrize("size", [1e3, 1e4, -1e6, 1e12])
def test_a_few_outliers_hide_nothing(size):
    X, signal, y = table()
    plain, _ = explained(X, y, signal)
    found, encoder = explained(X, with_outliers(y, size=size), signal)
    assert plain > 0.95
    assert found > plain - 0.03
    assert encoder.uninformative_features_ == []


def test_amounts_with_a_long_tail():
    """A lognormal target of which a few rows hold all squares: the order of levels is found."""
    X, signal, _ = table()
    y = np.exp(4.0 * (signal + np.random.default_rng(2).standard_normal(len(signal))))
    found, encoder = explained(X, y, signal)
    assert encoder.uninformative_features_ == []
    assert found > 0.7


def unfenced(monkeypatch):
    monkeypatch.setattr(Fences, "find", lambda y, _: None)


def test_levels_that_are_far_out_are_no_outliers(monkeypatch):
    """One row in twenty is of a kind that is a hundred times as large, with effects of its own: it is learned."""
    X, signal, y = table(noise=0.3)
    large = np.random.default_rng(3).random(len(y)) < 0.05
    X = np.column_stack([X, np.where(large, "house", "car")])
    y = np.where(large, 300.0 + 30.0 * signal, y)
    encoder = EntityEmbeddingEncoder(random_state=0)
    Z = encoder.fit_transform(X, y)
    assert np.isfinite(fences_of(y, np.ones(len(y)))).all()
    unfenced(monkeypatch)
    np.testing.assert_array_equal(Z, encoder.fit_transform(X, y))


@pytest.mark.parametrize("y_of", [lambda y, rng: y, lambda y, rng: rng.poisson(np.exp(0.5 * y)).astype(float)])
def test_targets_without_outliers_are_left_as_they_are(y_of, monkeypatch):
    X, _, y = table()
    y = y_of(y, np.random.default_rng(4))
    encoder = EntityEmbeddingEncoder(random_state=0, target_type="continuous")
    Z = encoder.fit_transform(X, y)
    unfenced(monkeypatch)
    np.testing.assert_array_equal(Z, encoder.fit_transform(X, y))


def test_amounts_that_mostly_are_zero_are_what_is_to_be_learned():
    _, _, y = table()
    amounts = np.where(y > 2.0, np.exp(2 * y), 0.0)
    weight = np.ones(len(y))
    assert (amounts > 0).mean() < 0.25
    assert Fences.find(amounts[:, None], weight) is None


@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,)])
def test_outliers_of_one_output_leave_the_others(hidden_layer_sizes):
    X, signal, y = table(n=1500)
    labels = np.column_stack([y, with_outliers(y, share=0.002)])
    found, encoder = explained(X, labels, signal, hidden_layer_sizes=hidden_layer_sizes, max_iter=3)
    assert found > 0.85
    assert encoder._learned.fences.are_there.tolist() == [False, True]


def test_weights_count_as_copies():
    _, _, y = table(n=800)
    y = with_outliers(y, share=0.004)
    weight = 1.0 + np.arange(len(y)) % 3
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    assert np.isfinite(fences_of(y, weight)).all()
    np.testing.assert_allclose(fences_of(y, weight), fences_of(y[copies], np.ones(len(copies))))


def test_rows_without_weight_have_no_say():
    X, _, y = table()
    outlying = with_outliers(y)
    weight = (outlying == y).astype(float)
    one = EntityEmbeddingEncoder(random_state=0).fit(X, outlying, sample_weight=weight).transform(X)
    other = EntityEmbeddingEncoder(random_state=0).fit(X, y, sample_weight=weight).transform(X)
    np.testing.assert_array_equal(one, other)


def test_fences_are_those_of_tukey():
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.standard_normal(997), [50.0, -80.0, 120.0]])
    first, third = np.quantile(values, [0.25, 0.75], method="inverted_cdf")
    assert quartiles(values, np.ones(1000)) == (first, third)
    assert fences_of(values, np.ones(1000)) == (first - REACH * (third - first), third + REACH * (third - first))
    assert fences_of(values[:997], np.ones(997)) == (-np.inf, np.inf)  # nothing far out
    assert fences_of(np.r_[np.zeros(600), np.arange(100.0)], np.ones(700)) == (-np.inf, np.inf)


def test_the_unit_is_that_of_all_other_rows():
    _, _, y = table()
    values = np.column_stack([y, with_outliers(y)])
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    fences = Fences.find(values, np.ones(len(y)))
    assert fences.are_there.tolist() == [False, True]
    within = fences.bring(values)
    np.testing.assert_array_equal(within[:, 0], values[:, 0])
    np.testing.assert_allclose(within[:, 1].mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(within[:, 1].std(), 1.0)
    assert abs(within[:, 1]).max() < 10
    assert fences.of(np.array([True, False])) is None


def test_further_rows_are_brought_between_the_same_fences():
    """What a later batch with a gross error does is what the batch with that row at the fence does."""
    X, _, y = table()
    y = with_outliers(y)
    first, second = slice(0, 2000), slice(2000, None)
    encoder = EntityEmbeddingEncoder(random_state=0).partial_fit(X[first], y[first])
    fences, target = encoder._learned.fences, encoder._schema.target
    ends = target.mean + target.scale * np.array([fences.low[0], fences.high[0]])

    def after(y):
        encoder = EntityEmbeddingEncoder(random_state=0).partial_fit(X[first], y[first])
        return encoder.partial_fit(X[second], y[second]).transform(X)

    clipped = y.copy()
    clipped[second] = np.clip(y[second], *ends)
    assert (clipped != y).any()
    np.testing.assert_allclose(after(y), after(clipped), atol=1e-6)


def test_fences_are_kept(tmp_path):
    X, _, y = table()
    encoder = EntityEmbeddingEncoder(random_state=0).partial_fit(X, with_outliers(y))
    skembed.save(encoder, tmp_path / "encoder")
    copies = [skembed.load(tmp_path / "encoder"), pickle.loads(pickle.dumps(encoder))]
    further = with_outliers(y, seed=2)
    expected = encoder.partial_fit(X, further).transform(X)
    for copy in copies:
        np.testing.assert_array_equal(copy.partial_fit(X, further).transform(X), expected)
