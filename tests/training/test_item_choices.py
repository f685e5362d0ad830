"""Choices by hidden items, of EASE and of alternating least squares, beside the same written out; numbers of either."""

import numpy as np
import pytest
from scipy import linalg, sparse

from skembed.data.holdout import hide_share
from skembed.training import block_krylov, ease, ials
from skembed.training.block_krylov import leading_eigenvectors
from skembed.training.ease import EaseSettings, gram_matrix, learn_ease
from skembed.training.hidden_items import Trials, choose_penalty, climb, gains_of_hidden
from skembed.training.ials import IALSSettings, learn_ials
from skembed.training.run import Run

N_USERS, N_ITEMS = 90, 24


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste, kind = rng.integers(3, size=N_USERS), rng.integers(3, size=N_ITEMS)
    met = rng.random((N_USERS, N_ITEMS)) < np.where(taste[:, None] == kind, 0.5, 0.06)
    return sparse.csr_matrix(met * rng.integers(1, 4, size=met.shape), dtype=np.float32)


# --------------------------------------------------------------------------------------------------- hidden items


def test_climbing_goes_up_by_factors_until_it_no_longer_rises_or_has_gone_far():
    asked = []

    def gain(x):
        asked.append(x)
        return -abs(np.log2(x) - 6)

    assert climb(gain, 1.0, 4.0) == 64.0
    assert climb(gain, 1.0, 2.0) == 64.0
    assert climb(gain, 2.0**11, 2.0) == 64.0
    assert climb(gain, 2.0**-20, 2.0) == 2.0**-12  # eight steps
    assert climb(lambda x: 0.0, 3.0, 2.0) == 3.0
    asked.clear()
    climb(gain, 1.0, 4.0)
    assert min(asked) == 1.0  # having gone up, it does not go down


def test_of_penalties_as_good_within_a_standard_error_the_largest_wins_up_to_four_times_the_best():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    noise -= noise.mean()

    def choose(losses, start=1.0):
        trials = Trials(lambda penalty: np.where(penalty == 4.0, 0.0, noise) - losses.get(penalty, 9.0))
        return choose_penalty(trials, start), trials.gains

    best = {1.0: 0.5, 4.0: 0.0, 16.0: 0.04, 8.0: 0.3}
    chosen, gains = choose(best)
    assert chosen == 16.0  # a standard error is 0.05
    assert set(gains) == {1.0, 4.0, 16.0, 8.0, 2.0}
    assert choose(best | {16.0: 0.06})[0] == 4.0
    assert choose(best | {16.0: 0.3, 8.0: 0.04})[0] == 8.0
    assert choose({1.0: 0.0, 4.0: 0.0, 16.0: 0.0}, 4.0)[0] == 16.0
    flat, tried = choose({0.25: 0.0, 1.0: 0.01, 4.0: 0.4, 16.0: 0.3}, 16.0)  # beyond what is worse it does not look
    assert (flat, min(tried)) == (16.0, 4.0)


def test_a_setting_is_measured_once():
    measured = []
    trials = Trials(lambda setting: measured.append(setting) or np.array([1.0, 3.0]))
    assert trials.gain("a") == trials.gain("a") == 2.0
    assert measured == ["a"]
    trials.gains["b"] = np.array([2.0, 4.0])
    assert not trials.as_good("a", "b")  # always less by one
    assert trials.as_good("b", "a")
    assert trials.as_good("a", "a")


# ----------------------------------------------------------------------------------------------------------- EASE


def slow_gains(X, folds, penalty, dropout, dim, prior=0.0):
    """Of each user in turn, scored by the map that the users outside of its fold give, cut to few dimensions."""
    gains = []
    for users, shown, hidden in folds:
        others = np.delete(X.toarray().astype(float), users, axis=0)
        gram = others.T @ others
        # the penalty that dropout adds goes by all users: it is set before a fold leaves
        whole = np.diagonal((X.T @ X).toarray())
        P = np.linalg.inv(gram + np.diag(penalty + dropout / (1 - dropout) * whole))
        B = np.eye(len(P)) - P / np.diagonal(P)
        _values, vectors = np.linalg.eigh(B.T @ gram @ B)
        leading = vectors[:, ::-1][:, :dim]
        rows = (shown + prior * others.mean(axis=0)) @ (B @ leading)
        gains.append(gains_of_hidden(np.asarray(rows), leading, shown, hidden))
    return np.concatenate(gains)


@pytest.mark.parametrize("frequent", [N_ITEMS, 15])
@pytest.mark.parametrize(("penalty", "dropout"), [(None, None), (6.0, None), (None, 0.3)])
def test_the_penalty_is_chosen_by_users_who_are_held_out(X, frequent, penalty, dropout, monkeypatch):
    monkeypatch.setattr(ease, "TUNED_ITEMS", frequent)
    monkeypatch.setattr(ease, "N_VALIDATED", 40)
    monkeypatch.setattr(ease, "FIRST_ITER", 40)  # so that eigenvectors are exact
    made, fold = [], ease._Fold

    def noted(*told):
        made.append(fold(*told))
        return made[-1]

    monkeypatch.setattr(ease, "_Fold", noted)
    gram = gram_matrix(X)
    found = ease._choose(X, 3 * X, gram, EaseSettings(5, penalty, dropout, prior=None), np.random.default_rng(3))

    often = np.sort(np.argsort(-np.diagonal(gram), kind="stable")[:frequent])
    few = X[:, often].tocsr() if frequent < N_ITEMS else X
    rng = np.random.default_rng(3)
    able = np.flatnonzero(np.diff(few.indptr) >= 2)
    users = rng.permutation(able)[:40]
    n_folds = round(len(users) / (0.2 * N_USERS))
    parts = np.array_split(users, n_folds)
    assert len(made) == n_folds == 2
    folds = []
    for part, fold_ in zip(parts, made):
        assert (fold_.whole != few[part]).nnz == 0
        assert (fold_.shown + fold_.hidden != 3 * few[part]).nnz == 0
        np.testing.assert_allclose(
            fold_.mean, 3 * np.delete(few.toarray(), part, axis=0).mean(axis=0), rtol=1e-6, atol=1e-6
        )
        folds.append((part, fold_.shown, fold_.hidden))

    counts = np.diagonal(gram)
    start = 4 * counts[counts > 0].mean() if penalty is None else penalty
    share = 0.25 if dropout is None else dropout
    trials, chosen = [], start
    if penalty is None:
        by_penalty = Trials(lambda p: slow_gains(few, folds, p, share, 5))
        chosen = choose_penalty(by_penalty, start)
        trials += [(p, share, g.mean()) for p, g in by_penalty.gains.items()]
    if dropout is None:
        by_share = Trials(lambda s: slow_gains(few, folds, chosen, s, 5))
        best = max((0.25, 0.5, 0.0), key=by_share.gain)
        share = next(s for s in (0.25, 0.5, 0.0) if by_share.as_good(s, best))
        seen = {t[:2] for t in trials}
        trials += [(chosen, s, g.mean()) for s, g in by_share.gains.items() if (chosen, s) not in seen]
    assert found[0] == pytest.approx(chosen)
    assert found[1] == share
    assert [t[:2] for t in found[3]] == [pytest.approx(t[:2]) for t in trials]
    np.testing.assert_allclose([t[2] for t in found[3]], [t[2] for t in trials], atol=2e-3)
    by_prior = Trials(lambda prior: slow_gains(few, folds, chosen, share, 5, 3 * prior))
    best = max(ease.PRIORS, key=by_prior.gain)
    assert found[2] == next(prior for prior in ease.PRIORS if by_prior.as_good(prior, best))


@pytest.mark.parametrize("n_users", [20_000, 40])  # all of them, and some
def test_the_power_of_values_is_the_first_that_is_as_good_as_the_best(X, n_users, monkeypatch):
    monkeypatch.setattr(ease, "VALUE_USERS", n_users)
    monkeypatch.setattr(ease, "TUNED_ITEMS", 15)
    values = sparse.csr_matrix((np.arange(1, X.nnz + 1, dtype=np.float32), X.indices, X.indptr), X.shape)
    seen, gains = {}, ease._Trial.gains

    def noted(trial, *told):
        measured = gains(trial, *told)
        seen[len(seen)] = trial.gram.shape, told, measured
        return measured

    monkeypatch.setattr(ease._Trial, "gains", noted)
    found = ease.choose_value_exponent(values, 5, 0.5, seed=1)
    assert [shape for shape, *_ in seen.values()] == [(15, 15)] * 4
    assert {told[1] for _, told, _ in seen.values()} == {0.25}
    trials = Trials(None)
    trials.gains = dict(zip(ease.VALUE_EXPONENTS, (measured for *_, measured in seen.values())))
    best = max(trials.gains, key=trials.gain)
    assert found == next(power for power in (1.0, 0.5, 0.25, 0.0) if trials.as_good(power, best))
    assert ease.choose_value_exponent(X.sign() * 7, 5, 0.5, seed=1) == 1.0
    assert len(seen) == 4
    alone = sparse.csr_matrix(np.diag(np.arange(1, 6)).astype(np.float32))
    assert ease.choose_value_exponent(alone, 5, 0.5, seed=1) == 1.0  # nobody has an item to hide


@pytest.mark.parametrize(
    ("cheap", "exact", "condition", "dtype"),
    [
        (N_ITEMS, 0, 1e9, np.float64),
        (N_ITEMS - 1, N_ITEMS, 1.0, np.float64),
        (N_ITEMS - 1, N_ITEMS - 1, 1.0, np.float32),
        (N_ITEMS - 1, N_ITEMS, 1e9, np.float32),
    ],
)
def test_the_inverse_is_in_float64_where_it_costs_nothing_or_digits_are_needed(
    X, cheap, exact, condition, dtype, monkeypatch
):
    for name, value in (("CHEAP_ITEMS", cheap), ("EXACT_ITEMS", exact), ("CONDITION", condition)):
        monkeypatch.setattr(ease, name, value)
    seen, inverse = [], ease._inverse
    monkeypatch.setattr(ease, "_inverse", lambda gram, *rest: seen.append((gram.dtype, *rest)) or inverse(gram, *rest))
    found = learn_ease(X, EaseSettings(4, 5.0, 0.2), Run(0))
    assert seen == [(dtype, 5.0, 0.2)]
    assert found.input.dtype == found.output.dtype == np.float32


def test_the_condition_is_the_largest_row_sum_over_the_penalty(X, monkeypatch):
    monkeypatch.setattr(ease, "CHEAP_ITEMS", 0)
    largest = np.abs((X.T @ X).toarray()).sum(axis=1).max()
    seen, inverse = [], ease._inverse
    monkeypatch.setattr(ease, "_inverse", lambda gram, *rest: seen.append(gram.dtype) or inverse(gram, *rest))
    for factor in (0.99, 1.01):
        monkeypatch.setattr(ease, "CONDITION", factor * largest / 5.0)
        learn_ease(X, EaseSettings(4, 5.0, 0.2), Run(0))
    assert seen == [np.float64, np.float32]


@pytest.mark.parametrize("n", [5, 128, 129, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverses_of_any_size_are_symmetric_and_leave_the_matrix(n, dtype):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n))
    gram = (root @ root.T + n * np.eye(n)).astype(dtype)
    before = gram.copy()
    found = ease._inverse(gram, 3.0, 0.25)
    expected = np.linalg.inv(before.astype(float) + np.diag(3.0 + np.diagonal(before) / 3))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-3 if dtype == np.float32 else 1e-9, atol=1e-7)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(gram, before)


def test_a_gram_matrix_that_no_penalty_so_small_mends_is_refused():
    with pytest.raises(ValueError, match=r"Gram matrix with penalty=1 is not positive definite; give a larger penalty"):
        ease._inverse(np.array([[1.0, 5.0], [5.0, 1.0]]), 1.0, 0.0)


def test_a_basis_is_orthonormal_whatever_columns_are_near_to_the_same():
    rng = np.random.default_rng(0)
    for dtype, atol in ((np.float64, 1e-10), (np.float32, 1e-5)):
        matrix = (rng.normal(size=(20, 4)) * [1e-20, 1.0, 1e10, 3.0]).astype(dtype)
        found = ease._orthonormal(matrix)
        assert found.dtype == dtype
        np.testing.assert_allclose(found.T @ found, np.eye(4), atol=atol)
        projected = found @ (found.T @ (matrix / np.linalg.norm(matrix, axis=0)))
        np.testing.assert_allclose(projected, matrix / np.linalg.norm(matrix, axis=0), atol=1e-5)
        same = np.repeat(rng.normal(size=(20, 1)), 3, axis=1).astype(dtype)
        found = ease._orthonormal(same)
        np.testing.assert_allclose(found.T @ found, np.eye(3), atol=atol)


def test_directions_beside_the_largest_that_are_rounding_are_cut(X):
    gram = gram_matrix(X).astype(float)
    rank_two = sparse.csr_matrix(np.outer(np.arange(1, 11), np.ones(6)) + np.outer(np.ones(10), np.arange(6)))
    low = (rank_two.T @ rank_two).toarray()
    whole = ease._Map(low, ease._inverse(low, 5.0, 0.0))
    vectors, images, values = whole.cut(np.eye(6), 6)
    left = np.linalg.svd(rank_two @ whole.apply(np.eye(6)), compute_uv=False)
    assert len(values) == (left > 1e-6 * left[0]).sum() == 2
    np.testing.assert_allclose(values, left[:2])
    np.testing.assert_allclose(images, whole.apply(vectors))
    full = ease._Map(gram, ease._inverse(gram, 5.0, 0.0))
    vectors, images, values = full.cut(np.eye(N_ITEMS), 7)
    assert vectors.shape == images.shape == (N_ITEMS, 7)
    assert (np.diff(values) < 0).all()
    nothing = ease._Map(low * 0, np.eye(6))
    assert nothing.cut(np.eye(6), 6)[0].shape == (6, 1)


def test_both_tables_share_singular_values_and_the_largest_entry_of_a_direction_is_positive(X):
    found = learn_ease(X, EaseSettings(6, 5.0, 0.2), Run(0))
    largest = found.output[np.abs(found.output).argmax(axis=0), np.arange(6)]
    assert (largest > 0).all()
    values = np.linalg.norm(X @ found.input, axis=0) * np.linalg.norm(found.output, axis=0)
    np.testing.assert_allclose(np.linalg.norm(found.output, axis=0) ** 2, values, rtol=1e-3)
    assert (found.penalty, found.dropout, found.trials) == (5.0, 0.2, [])


def test_memory_of_all_pairs_of_items_is_predicted(X, monkeypatch):
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10**3)
    with pytest.raises(MemoryError, match=rf"method='ease' of 24 items needs at least {20 * 24**2} bytes.*'ials'"):
        learn_ease(X, EaseSettings(3), Run(0))
    monkeypatch.setattr(ease, "EXACT_ITEMS", 10)
    with pytest.raises(MemoryError, match=rf"needs at least {12 * 24**2} bytes"):
        learn_ease(X, EaseSettings(3), Run(0))


def test_what_is_orthogonal_stays_so_where_little_is_left():
    rng = np.random.default_rng(0)
    basis = linalg.qr(rng.normal(size=(50, 5)), mode="economic")[0]
    vectors = basis @ rng.normal(size=(5, 3)) + 1e-9 * rng.normal(size=(50, 3))
    found = block_krylov._without(vectors, basis)
    assert np.abs(basis.T @ found).max() < 1e-12 * np.abs(found).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_that_are_short_or_rounding_are_left_out(dtype):
    basis = linalg.qr(np.random.default_rng(0).normal(size=(50, 4)), mode="economic")[0]
    vectors = (basis * [1.0, 0.5, 1e-3, 0.0]).astype(dtype)
    for least, n in ((0.0, 3), (1e-2, 2), (0.7, 1), (2.0, 0)):
        found = block_krylov._directions(vectors, least)
        assert found.shape == (50, n)
        assert found.dtype == dtype
        np.testing.assert_allclose(found.T @ found, np.eye(n), atol=1e-3)
    tiny = block_krylov._directions(np.full((3, 2), 1e-200), 0.0)
    assert tiny.shape == (3, 0)


def test_few_blocks_are_enough_for_the_leading_eigenvectors():
    """The operator is asked for seven blocks of half as many vectors as are sought, or once for all of few rows."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(300, 40)) * 0.8 ** np.arange(40)
    matrix, asked = factor @ factor.T, []

    def multiply(block):
        asked.append(block.shape[1])
        return matrix @ block

    leading_eigenvectors(multiply, 300, 9, np.dtype(np.float64), rng)
    assert asked == [5] * 7
    asked.clear()
    small = matrix[:35, :35]
    found = leading_eigenvectors(lambda b: asked.append(b.shape[1]) or small @ b, 35, 9, np.dtype(np.float64), rng)
    assert asked == [35]
    assert found.shape == (35, 9)


# ------------------------------------------------------------------------------------------- alternating least squares


def test_passes_are_those_of_conjugate_gradients_in_turns(X):
    """With steps for all dimensions each turn is the exact solution: users first, then items."""
    settings = IALSSettings(4, 0.05, 0.2, max_iter=3, n_steps=40)
    found = learn_ials(X, settings, Run(1))
    rng, dense = np.random.default_rng(1), X.toarray().astype(float)
    items, users = (rng.standard_normal((n, 4), dtype=np.float32) * 0.1 / 2 for n in (N_ITEMS, N_USERS))
    items, users = items.astype(float), users.astype(float)
    of_users = 0.05 * (dense.sum(axis=1) + 0.2 * N_ITEMS)
    of_items = 0.05 * (dense.sum(axis=0) + 0.2 * N_USERS)

    def solve(values, other, penalties):
        return np.array([
            np.linalg.solve(0.2 * other.T @ other + p * np.eye(4) + other.T @ (x[:, None] * other), other.T @ x)
            for x, p in zip(values, penalties)
        ])  # fmt: skip

    losses = []
    for _ in range(3):
        products = users @ items.T
        loss = (dense * (1 - products) ** 2).sum() + 0.2 * (products**2).sum()
        loss += (of_users * (users**2).sum(axis=1)).sum() + (of_items * (items**2).sum(axis=1)).sum()
        losses.append(loss / dense.sum())
        users = solve(dense, items, of_users)
        items = solve(dense.T, users, of_items)
    np.testing.assert_allclose(found.loss_curve, losses, rtol=1e-4)
    np.testing.assert_allclose(found.items, items, rtol=1e-2, atol=1e-3)
    assert (found.penalty, found.trials) == (0.05, [])


def test_the_penalty_is_chosen_by_users_who_are_not_learned_from(X, monkeypatch):
    monkeypatch.setattr(ials, "N_TUNED", 30)
    monkeypatch.setattr(ials, "N_HELD_OUT", 11)
    learned_from, hidden_of, folded, gains = [], [], [], []
    alternate, side = ials._alternate, ials._Side

    def noted_alternate(learned, n_items, settings, run, on_pass, progress):
        assert n_items == len(np.unique(X.indices))
        learned_from.append((learned, settings, run))
        return alternate(learned, n_items, settings, run, on_pass, progress)

    def noted_side(matrix, vectors, settings, penalty, n_others):
        assert n_others in (len(np.unique(X.indices)), learned_from[-1][0].shape[0])
        folded.append((matrix, settings, penalty))
        return side(matrix, vectors, settings, penalty, n_others)

    def noted_gains(users, items, shown, hidden):
        gains.append(gains_of_hidden(users, items, shown, hidden))
        return gains[-1]

    monkeypatch.setattr(ials, "_alternate", noted_alternate)
    monkeypatch.setattr(ials, "_Side", noted_side)
    monkeypatch.setattr(ials, "gains_of_hidden", noted_gains)
    monkeypatch.setattr(ials, "hide_share", lambda *told: hidden_of.append(told) or hide_share(*told))
    settings = IALSSettings(4, None, 0.2, max_iter=9)
    penalty, trials = ials._choose(X, settings, Run(2))

    rng = np.random.default_rng((2, 4))
    order = rng.permutation(N_USERS)
    able = [u for u in order if X[u].nnz >= 2][:11]
    learned = np.sort([u for u in order[:41] if u not in able])
    assert len(learned) >= 30
    met = np.flatnonzero(np.asarray(X[learned].sum(axis=0)).ravel())
    ((held_out, share, seed),) = hidden_of
    expected = X[able][:, met]
    expected = expected[np.diff(expected.indptr) >= 2]
    assert (held_out != expected).nnz == 0
    assert (share, seed) == (0.2, int(rng.integers(2**31)))
    shown, _ = hide_share(held_out, share, seed)
    assert len(learned_from) == len(trials) == len(gains)
    for (matrix, tuned, run), (tried, gain), found in zip(learned_from, trials, gains):
        assert (matrix != X[learned][:, met]).nnz == 0
        assert (tuned.max_iter, tuned.n_steps, tuned.penalty, tuned.unobserved_weight) == (4, 3, tried, 0.2)
        assert run == Run(2)
        assert gain == pytest.approx(found.mean())
    of_folds = [(matrix, s, p) for matrix, s, p in folded if s.n_steps == 20]
    assert [p for _, _, p in of_folds] == [tried for tried, _ in trials]
    assert all((matrix != shown).nnz == 0 for matrix, _, _ in of_folds)
    assert 0.01 in dict(trials)
    means = dict(trials)
    best = max(means, key=means.get)
    assert penalty >= best

    chosen = learn_ials(X, settings, Run(2))
    assert (chosen.penalty, chosen.trials) == (penalty, trials)
    assert len(chosen.loss_curve) == 9


def test_of_few_users_a_fifth_is_held_out_and_without_any_the_penalty_is_the_usual_one(X, monkeypatch):
    asked = []
    monkeypatch.setattr(ials, "hide_share", lambda *told: asked.append(told[0].shape[0]) or hide_share(*told))
    ials._choose(X[:40], IALSSettings(4, None, 0.2), Run(2))
    assert asked == [8]
    assert ials._choose(X[:4], IALSSettings(4, None, 0.2), Run(2)) == (0.01, [])
    alone = sparse.identity(30, dtype=np.float32, format="csr")
    assert ials._choose(alone, IALSSettings(4, None, 0.2), Run(2)) == (0.01, [])


def test_a_penalty_under_which_vectors_vanish_finds_nothing(X, monkeypatch):
    alternate, lost = ials._alternate, []

    def vanishing(learned, n_items, settings, run, on_pass, progress):
        found = alternate(learned, n_items, settings, run, on_pass, progress)
        if settings.penalty > 0.02:
            lost.append(settings.penalty)
            found.loss_curve[-1] = 1.0
        return found

    monkeypatch.setattr(ials, "_alternate", vanishing)
    chosen, trials = ials._choose(X, IALSSettings(4, None, 0.2), Run(2))
    assert chosen <= 0.02
    assert lost
    assert [gain for penalty, gain in trials if penalty > 0.02] == [0.0] * len(lost)
    assert all(gain > 0 for penalty, gain in trials if penalty <= 0.02)


@pytest.mark.parametrize("n_rows", [1, 63, 64, 65, 1000])
def test_rows_are_dealt_to_threads_each_once(n_rows):
    X = sparse.random(n_rows, 30, density=0.3, format="csr", random_state=0, dtype=np.float32)
    parts = ials._Side(X, np.zeros((n_rows, 16), np.float32), IALSSettings(4, 0.1, 0.2), 0.1, 30).parts
    assert [row for begin, end in parts for row in range(begin, end)] == list(range(n_rows))
    assert len(parts) <= 64


def test_gram_matrices_of_vectors_are_in_float64():
    vectors = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    found = ials._gram(vectors)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, vectors.astype(float).T @ vectors.astype(float), rtol=1e-4)


def test_memory_of_vectors_is_predicted(X, monkeypatch):
    monkeypatch.setattr("skembed.memory.memory_of_machine", lambda: 10**3)
    needed = 4 * 3 * (N_USERS + N_ITEMS) + 16 * X.nnz
    with pytest.raises(MemoryError, match=rf"'ials' of 90 users and 24 items with embedding_dim=3 needs .*{needed} "):
        learn_ials(X, IALSSettings(3, 0.1, 0.1), Run(0))


def test_processes_that_share_no_memory_change_no_bit(X):
    from joblib import parallel_config

    settings = IALSSettings(4, 0.05, 0.2, max_iter=2)
    one = learn_ials(X, settings, Run(1))
    with parallel_config(backend="loky", n_jobs=2):
        two = learn_ials(X, settings, Run(1))
        assert np.array_equal(gram_matrix(X), (X.T @ X).toarray())
    assert one.items.tobytes() == two.items.tobytes()
