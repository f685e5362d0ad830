"""Canonical correlations: the choice of shrinkage and power by pairs that are held out, beside the same written out."""

import numpy as np
import pytest
from scipy import sparse

from skembed.testing._pair_checks import pairs
from skembed.training import canonical
from skembed.training.canonical import CanonicalSettings, learn_canonical


def sides(n, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 3))
    X = Z @ rng.normal(size=(3, 6)) + noise * rng.normal(size=(n, 6)) + 2
    Y = Z @ rng.normal(size=(3, 4)) + noise * rng.normal(size=(n, 4)) - 1
    return X, Y


def folds_of(X, Y):
    return canonical._folds(canonical._linked(canonical._equal_rows(X), canonical._equal_rows(Y)))


def root(S):
    values, axes = np.linalg.eigh(S)
    return (axes / np.sqrt(values)) @ axes.T


def slow_maps(X, Y, shrinkage, power, dim):
    """Rotations of both sides, scaled, in all of their columns, and the canonical values."""
    A, B = X - X.mean(axis=0), Y - Y.mean(axis=0)
    Sx, Sy = A.T @ A / len(A), B.T @ B / len(B)
    shrunk = [(1 - shrinkage) * S + shrinkage * np.trace(S) / len(S) * np.eye(len(S)) for S in (Sx, Sy)]
    left, values, right = np.linalg.svd(root(shrunk[0]) @ (A.T @ B / len(A)) @ root(shrunk[1]))
    left, values, right = left[:, :dim], values[:dim], right[:dim].T
    x, y = root(shrunk[0]) @ left, root(shrunk[1]) @ right
    patterns = [np.linalg.norm(S @ side, axis=0) for S, side in zip(shrunk, (x, y))]
    scales = np.sqrt(patterns[0] * patterns[1]) * values**power
    return x * scales, y * scales, values


def slow_ranks(rows, partners, rivals=None):
    rivals = ~np.eye(len(rows), dtype=bool) if rivals is None else rivals
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (rows, partners)]
    scores = unit[0] @ unit[1].T
    ranks = []
    for i in range(len(rows)):
        forth = 1 + sum(rivals[i, j] and scores[i, j] >= scores[i, i] - 1e-9 for j in range(len(rows)))
        back = 1 + sum(rivals[j, i] and scores[j, i] >= scores[i, i] - 1e-9 for j in range(len(rows)))
        ranks.append((1 / forth + 1 / back) / 2)
    return np.array(ranks)


@pytest.mark.parametrize(("n", "few", "repeats"), [(60, 300, 3), (60, 10, 1)])
@pytest.mark.parametrize(("noise", "dim"), [(0.5, None), (2.0, 2)])
def test_the_largest_shrinkage_as_good_as_the_best_is_chosen_with_its_better_power(
    n, few, repeats, noise, dim, monkeypatch
):
    monkeypatch.setattr(canonical, "FEW_ROWS", few)
    X, Y = sides(n, noise=noise)
    found = learn_canonical(X, Y, CanonicalSettings(dim))
    scores = {}
    for repeat in range(repeats):
        order = np.arange(n) if repeat == 0 else np.random.default_rng(repeat).permutation(n)
        for fold in range(5):
            held = np.flatnonzero(order % 5 == fold)
            train = np.setdiff1d(np.arange(n), held)
            means = X[train].mean(axis=0), Y[train].mean(axis=0)
            for s in canonical.SHRINKAGES:
                for power in canonical.POWERS:
                    x, y, _ = slow_maps(X[train], Y[train], s, power, dim or 4)
                    ranks = slow_ranks((X[held] - means[0]) @ x, (Y[held] - means[1]) @ y)
                    scores.setdefault((s, power), []).append(ranks)
    scores = {setting: np.concatenate(parts) for setting, parts in scores.items()}
    assert [trial[:2] for trial in found.trials] == list(scores)
    np.testing.assert_allclose([trial.score for trial in found.trials], [s.mean() for s in scores.values()], rtol=1e-9)
    best = max(scores, key=lambda setting: scores[setting].mean())
    good = [best]
    for setting, score in scores.items():
        behind = scores[best] - score
        if behind.mean() <= min(behind.std() / np.sqrt(len(behind)), 0.01 * scores[best].mean()):
            good.append(setting)
    shrinkage, power = max(good, key=lambda setting: (setting[0], scores[setting].mean()))
    assert found.shrinkage == shrinkage
    x, y, values = slow_maps(X, Y, shrinkage, power, dim or 4)
    for ours, expected in ((found.x_rotations, x), (found.y_rotations, y)):
        signs = np.sign((ours * expected).sum(axis=0))
        np.testing.assert_allclose(ours, expected * signs, rtol=1e-6, atol=1e-9)
    for column in found.x_rotations.T:
        assert column.any()
    assert found.correlations.shape == values.shape


@pytest.mark.parametrize(("n", "chosen"), [(19, False), (20, True)])
def test_with_too_few_pairs_it_is_the_mean_of_both_closed_forms(n, chosen):
    from sklearn.covariance import ledoit_wolf

    X, Y = sides(n)
    found = learn_canonical(X, Y, CanonicalSettings())
    assert bool(found.trials) == chosen
    if not chosen:
        assert found.shrinkage == pytest.approx((ledoit_wolf(X)[1] + ledoit_wolf(Y)[1]) / 2)
        x, _, _ = slow_maps(X, Y, found.shrinkage, 1.0, 4)
        np.testing.assert_allclose(np.abs(found.x_rotations), np.abs(x), rtol=1e-6, atol=1e-9)


def test_a_given_shrinkage_has_full_weights_and_correlations_of_the_columns():
    X, Y = sides(60)
    found = learn_canonical(X, Y, CanonicalSettings(3, 0.3))
    assert (found.shrinkage, found.trials) == (0.3, [])
    x, y, _ = slow_maps(X, Y, 0.3, 1.0, 3)
    np.testing.assert_allclose(np.abs(found.x_rotations), np.abs(x), rtol=1e-6)
    np.testing.assert_allclose(np.abs(found.y_rotations), np.abs(y), rtol=1e-6)
    left, right = (X - found.x_mean) @ found.x_rotations, (Y - found.y_mean) @ found.y_rotations
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(left.T, right.T)]
    np.testing.assert_allclose(found.correlations, expected, rtol=1e-6)


def test_signs_are_those_of_the_largest_weight_of_x():
    X, Y = sides(60)
    for side in (X, -X):
        s = [canonical._Side.of(side, "X"), canonical._Side.of(Y, "y")]
        found = canonical._Directions.of(*s, canonical._cross_covariance(*s, side, Y), 0.5)
        whitened = found.x * s[0].spreads(0.5)[:, None]
        largest = whitened[np.abs(whitened).argmax(axis=0), np.arange(whitened.shape[1])]
        assert (largest > 0).all()


def test_dimensions_that_are_rounding_are_left_out_and_one_is_always_there():
    values = np.array([1.0, 1e-3, 1e-7, 1e-9, 0.0])
    part = canonical._Directions(*[np.ones((5, 5))] * 2, values, *[np.ones((5, 5))] * 2)
    assert [part.dim(asked) for asked in (None, 1, 3, 9)] == [3, 1, 3, 3]
    assert part._replace(values=np.zeros(5)).dim(None) == 1
    np.testing.assert_allclose(part.scales(1.0), np.sqrt(5) * np.maximum(values, 1e-8))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_equal_rows_have_equal_numbers(form):
    X = np.array([[1.0, 0], [0, 1], [1, 0], [0, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(canonical._equal_rows(form(X)), [0, 1, 0, 2, 1, 2])


def test_rows_are_equal_however_their_zeros_are_held():
    X = np.array([[2.0, 0, 1], [2, -0.0, 1], [2, 0, 1]])
    np.testing.assert_array_equal(canonical._equal_rows(X), [0, 0, 0])
    held = [2.0, 1], [1.0, 2, 0], [2.0, 0.5, 0.5]  # out of order, with a zero, in two parts
    places = [0, 2], [2, 0, 1], [0, 2, 2]
    rows = sparse.csr_matrix((np.concatenate(held), np.concatenate(places), [0, 2, 5, 8]), shape=(3, 3))
    np.testing.assert_array_equal(rows.toarray(), X)
    np.testing.assert_array_equal(canonical._equal_rows(rows), [0, 0, 0])
    assert rows.nnz == 8  # it is left as it was


def test_pairs_that_are_linked_by_equal_sides_are_in_one_fold_and_folds_cover_all():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    X[1], Y[2], X[3] = X[0], Y[1], X[2]  # 0 to 3 are linked in a chain
    folds = list(folds_of(X, Y))
    assert len(folds) == 15
    for k in range(3):
        held = [held_out for _, held_out in folds[5 * k : 5 * k + 5]]
        assert sorted(np.concatenate(held)) == list(range(40))
        assert sum(set(range(4)) <= set(part) for part in held) == 1
    for train, held_out in folds:
        assert sorted([*train, *held_out]) == list(range(40))
    assert len({tuple(held_out) for _, held_out in folds}) == 15
    first = folds[0][1]
    assert set(range(4)) <= set(first)
    assert set(first) - set(range(4)) == {8, 13, 18, 23, 28, 33, 38}  # every fifth group by where it begins


def test_of_large_folds_some_rows_are_sought_from_all_over(monkeypatch):
    monkeypatch.setattr(canonical, "HELD_OUT", 4)
    X, Y = sides(101)
    monkeypatch.setattr(canonical, "FEW_ROWS", 100)
    folds = list(folds_of(X, Y))
    assert len(folds) == 5
    for k, (train, held_out) in enumerate(folds):
        inside = np.arange(k, 101, 5)
        np.testing.assert_array_equal(held_out, inside[np.linspace(0, len(inside) - 1, 4).astype(int)])
        assert not set(train) & set(inside)


def test_folds_of_one_row_or_of_all_but_one_tell_nothing():
    X = np.zeros((30, 2))
    X[0] = 1.0
    assert list(folds_of(X, X)) == []


def test_both_sides_are_named_where_they_are_no_use():
    X, Y = sides(30)
    for bad, message in (
        (np.full((30, 4), 3.0), "{} is constant: all of its 30 rows are equal, and nothing goes together with it"),
        (Y * 1e200, "{} holds numbers whose squares are beyond float64; scale {} first"),
    ):
        with pytest.raises(ValueError, match=message.format("X", "X")):
            learn_canonical(bad, Y, CanonicalSettings())
        with pytest.raises(ValueError, match=message.format("y", "y")):
            learn_canonical(X, bad, CanonicalSettings())


def test_rows_that_differ_only_where_they_are_held_out_choose_nothing():
    _, Y = sides(30)
    constant = np.zeros((30, 4))
    constant[0, 0] = constant[5, 1] = 1.0  # the others are equal, and what one of them is the other does not say
    found = learn_canonical(constant, Y, CanonicalSettings())
    assert found.trials == []
    assert found.shrinkage == 1.0


def test_ranks_are_among_rivals_and_one_that_is_as_near_stands_before():
    X, Y = pairs()
    X, Y = X[:20, :5], Y[:20, :5]
    rivals = np.random.default_rng(0).random((20, 20)) < 0.5
    np.fill_diagonal(rivals, False)
    np.testing.assert_allclose(canonical._reciprocal_ranks(X, Y, rivals), slow_ranks(X, Y, rivals))
    same, none, all_others = np.ones((3, 2)), np.zeros((3, 3), dtype=bool), ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(canonical._reciprocal_ranks(same, same, none), 1.0)
    np.testing.assert_allclose(canonical._reciprocal_ranks(same, same, all_others), 1 / 3)
    np.testing.assert_allclose(canonical._reciprocal_ranks(np.zeros((3, 2)), same, all_others), 1 / 3)


def test_rows_of_one_kind_are_no_rivals(monkeypatch):
    met = []
    monkeypatch.setattr(canonical, "_reciprocal_ranks", lambda rows, partners, rivals: met.append(rivals) or rows[:, 0])
    rng = np.random.default_rng(0)
    kinds = np.arange(60) // 2
    canonical._held_out_ranks(rng.normal(size=(30, 4))[kinds], rng.normal(size=(60, 3)), None)
    held_out = np.flatnonzero(kinds % 5 == 0)
    np.testing.assert_array_equal(met[0], kinds[held_out, None] != kinds[held_out])


@pytest.mark.parametrize(
    ("n_kinds", "are_classes", "expected"),
    [(19, False, [200]), (19, True, [200]), (20, False, [20]), (20, True, [20, 200]), (100, True, [100, 200])],
)
def test_of_few_kinds_and_of_classes_rows_are_held_out_one_by_one(n_kinds, are_classes, expected, monkeypatch):
    X, _ = sides(200)
    vectors = np.eye(n_kinds) if are_classes else np.random.default_rng(0).normal(size=(n_kinds, 5))
    n_groups, folds = [], canonical._folds

    def counted(group):
        n_groups.append(len(np.unique(group)))
        return folds(group)

    monkeypatch.setattr(canonical, "_folds", counted)
    assert canonical._held_out_ranks(X, vectors[np.arange(200) % n_kinds], None)
    assert n_groups == expected


def test_values_that_are_rounding_have_powers_that_are_numbers():
    part = canonical._Directions(*[np.ones((2, 2))] * 2, np.array([0.0, 0.0]), *[np.ones((2, 2))] * 2)
    assert (part.scales(4.0) > 0).all()


def test_memory_of_both_sides_is_predicted(monkeypatch):
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10**3)
    X, Y = sides(30)
    needed = 8 * (3 * 6**2 + 6 * (30 + 6) + 4 * (30 + 4))
    with pytest.raises(MemoryError, match=rf"correlations of 30 rows of 6 and 4 columns needs at least {needed} bytes"):
        learn_canonical(X, Y, CanonicalSettings())


def test_a_decomposition_that_does_not_converge_is_taken_by_another_algorithm(monkeypatch):
    """Of 130 rows of more columns, whitened without shrinkage, LAPACK's divide and conquer gave up."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 60)), rng.normal(size=(40, 50))
    expected = learn_canonical(X, Y, CanonicalSettings(5))

    def gives_up(*_, **__):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(canonical.np.linalg, "svd", gives_up)
    found = learn_canonical(X, Y, CanonicalSettings(5))
    assert found.shrinkage == expected.shrinkage
    np.testing.assert_allclose(found.x_rotations, expected.x_rotations, atol=1e-8)
