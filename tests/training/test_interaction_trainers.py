"""Trainers of items from baskets, beside plain numpy."""

import numpy as np
import pytest
from scipy import sparse

from skembed.kernels.ials import solve_least_squares
from skembed.kernels.simd import aligned_zeros
from skembed.training import ease, hidden_items
from skembed.training.block_krylov import leading_eigenvectors
from skembed.training.ease import EaseSettings, gram_matrix, learn_ease, weigh_users
from skembed.training.ials import IALSSettings, learn_ials, row_penalties
from skembed.training.run import Run

N_USERS, N_ITEMS = 120, 40


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste, kind = rng.integers(4, size=N_USERS), rng.integers(4, size=N_ITEMS)
    met = rng.random((N_USERS, N_ITEMS)) < np.where(taste[:, None] == kind, 0.5, 0.05)
    return sparse.csr_matrix(met * rng.integers(1, 4, size=met.shape), dtype=np.float32)


def plain_ease(X, penalty, dropout=0.0):
    """Equation 8 of Steck 2019, with the diagonal of Steck 2020."""
    gram = (X.T @ X).toarray().astype(np.float64)
    inverse = np.linalg.inv(gram + np.diag(penalty + dropout / (1 - dropout) * np.diagonal(gram)))
    B = -inverse / np.diagonal(inverse)
    np.fill_diagonal(B, 0.0)
    return B


class TestEase:
    @pytest.mark.parametrize("n_jobs", [1, 3])
    def test_gram_matrix(self, X, n_jobs):
        assert np.array_equal(gram_matrix(X, n_jobs), (X.T @ X).toarray())

    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    def test_all_dimensions_give_the_whole_map(self, X, dropout):
        found = learn_ease(X, EaseSettings(N_ITEMS, 7.0, dropout), Run(0))
        expected = X @ plain_ease(X, 7.0, dropout)
        assert np.allclose(X @ found.input @ found.output.T, expected, atol=2e-4)
        assert found.trials == []

    @pytest.mark.parametrize("dim", [1, 5])
    def test_few_dimensions_change_predictions_least(self, X, dim):
        """Eckart & Young: the best approximation of ``X B`` is that by its singular vectors."""
        found = learn_ease(X, EaseSettings(dim, 7.0, 0.0), Run(0))
        whole = X @ plain_ease(X, 7.0)
        left, values, right = np.linalg.svd(whole)
        best = left[:, :dim] * values[:dim] @ right[:dim]
        assert np.allclose(X @ found.input @ found.output.T, best, atol=1e-3)

    def test_a_prefix_is_the_map_of_its_size(self, X):
        large, small = (learn_ease(X, EaseSettings(dim, 7.0, 0.2), Run(0)) for dim in (12, 4))
        assert np.allclose(large.input[:, :4], small.input, atol=1e-3)
        assert np.allclose(large.output[:, :4], small.output, atol=1e-3)

    def test_users_who_leave_leave_the_map_that_the_others_give(self, X):
        gram = gram_matrix(X).astype(np.float64)
        leaving, others = X[:20], X[20:]
        found = ease._Map(gram, ease._inverse(gram, 7.0, 0.0), leaving.astype(np.float64))
        vectors = np.random.default_rng(0).normal(size=(N_ITEMS, 3))
        expected = plain_ease(others, 7.0)
        assert np.allclose(found.apply(vectors), expected @ vectors)
        assert np.allclose(found.weigh(vectors), (others.T @ others) @ vectors)

    @pytest.mark.parametrize("exponent", [0.5, 1.0])
    def test_users_of_many_items_weigh_less(self, X, exponent):
        lengths = np.diff(X.indptr)
        weights = np.maximum(lengths, 1.0) ** -exponent
        squares = (X.toarray() ** 2).sum(axis=1)
        weights *= squares.sum() / (weights * squares).sum()
        expected = X @ plain_ease(sparse.diags(np.sqrt(weights)) @ X, 7.0, 0.2)
        found = learn_ease(X, EaseSettings(N_ITEMS, 7.0, 0.2, exponent), Run(0))
        assert np.allclose(X @ found.input @ found.output.T, expected, atol=2e-4)
        assert not np.allclose(expected, X @ plain_ease(X, 7.0, 0.2), atol=2e-2)

    def test_weights_keep_the_sum_of_squares_at_any_scale(self, X):
        for scale in (1e-18, 1.0, 1e18):
            weighed = weigh_users(X * np.float32(scale), 0.5)
            assert np.isclose((weighed.data.astype(float) ** 2).sum(), (X.data.astype(float) ** 2).sum() * scale**2)
        assert weigh_users(sparse.csr_matrix((3, 4), dtype=np.float32), 0.5).nnz == 0

    @pytest.mark.parametrize("exponent", [0.0, 0.5])
    def test_values_whose_squares_are_beyond_float32_are_refused(self, X, exponent):
        with pytest.raises(ValueError, match=r"X has values up to .*e\+20, expected such .* binary=True"):
            learn_ease(X * np.float32(1e20), EaseSettings(4, user_exponent=exponent), Run(0))

    def test_the_penalty_is_chosen_where_hidden_items_are_found(self, X):
        found = learn_ease(X, EaseSettings(8), Run(0))
        gains = {trial[:2]: trial[2] for trial in found.trials}
        assert (found.penalty, found.dropout) in gains
        assert gains[found.penalty, found.dropout] > max(gains.values()) - 0.02

    def test_all_that_was_tried_is_told_where_one_of_both_is_given(self, X):
        of_penalty = learn_ease(X, EaseSettings(4, penalty=5.0), Run(0))
        assert sorted(trial[:2] for trial in of_penalty.trials) == [(5.0, share) for share in sorted(ease.DROPOUTS)]
        of_dropout = learn_ease(X, EaseSettings(4, dropout=0.1), Run(0))
        assert {trial[1] for trial in of_dropout.trials} == {0.1}

    def test_a_larger_penalty_wins_among_equals(self):
        X = sparse.csr_matrix(np.ones((30, 6), np.float32))  # all items alike: every penalty ranks alike
        found = learn_ease(X, EaseSettings(2), Run(0))
        assert found.penalty == max(trial[0] for trial in found.trials)

    def test_users_without_two_items_choose_nothing(self):
        found = learn_ease(sparse.identity(9, dtype=np.float32, format="csr"), EaseSettings(2), Run(0))
        assert found.trials == []
        assert np.isfinite(found.input).all()

    def test_many_items_are_tuned_on_the_frequent_ones(self, X, monkeypatch):
        monkeypatch.setattr(ease, "TUNED_ITEMS", 10)
        found = learn_ease(X, EaseSettings(4), Run(0))
        assert found.input.shape == (N_ITEMS, 4)
        assert found.trials


class TestIALS:
    def test_kernel_and_its_twin(self, X):
        rng = np.random.default_rng(0)
        dim, width = 5, 16
        vectors = aligned_zeros(N_ITEMS, width)
        vectors[:, :dim] = rng.normal(size=(N_ITEMS, dim))
        gram = np.zeros((width, width), np.float32)
        gram[:dim, :dim] = 0.1 * (vectors.T @ vectors)[:dim, :dim]
        penalties = rng.uniform(0.5, 2.0, N_USERS).astype(np.float32)
        out = aligned_zeros(N_USERS, width)
        out[:, :dim] = rng.normal(size=(N_USERS, dim))
        start = out.copy()
        loss = solve_least_squares(
            X.indptr, X.indices, X.data, 0, N_USERS, vectors, gram, penalties, 30, out, aligned_zeros(3, width)
        )
        expected = 0.0
        for user in range(N_USERS):
            V, x = vectors[X[user].indices].astype(np.float64), X[user].data
            matrix = gram + penalties[user] * np.eye(width)
            expected += (x * (1 - V @ start[user]) ** 2).sum() + start[user] @ matrix @ start[user]
            exact = np.linalg.solve(matrix + V.T @ (x[:, None] * V), V.T @ x)
            assert np.allclose(out[user], exact, atol=1e-4)
        assert loss == pytest.approx(expected, rel=1e-4)

    def test_the_loss_falls_and_workers_change_no_bit(self, X):
        settings = IALSSettings(6, 0.01, 0.1, max_iter=10)
        one, two = (learn_ials(X, settings, Run(0, n_jobs)) for n_jobs in (1, 2))
        assert one.items.tobytes() == two.items.tobytes()
        assert one.loss_curve == two.loss_curve
        assert np.all(np.diff(one.loss_curve) < 1e-6)

    def test_rows_without_columns_are_zero(self):
        X = sparse.csr_matrix(np.array([[1, 0], [1, 0], [0, 0]], dtype=np.float32))
        assert not learn_ials(X, IALSSettings(3, 0.1, 0.1, 2), Run(0)).items[1].any()

    @pytest.mark.parametrize("exponent", [45, 60])
    def test_huge_values_and_their_weight_count_by_their_ratio(self, X, exponent):
        """As sums of milliseconds do, of which float32 has no squares of sums."""
        plain = learn_ials(X, IALSSettings(4, None, 2.0**-exponent, 3), Run(0))
        huge = sparse.csr_matrix((np.ldexp(X.data, exponent), X.indices, X.indptr), shape=X.shape)
        found = learn_ials(huge, IALSSettings(4, None, 1.0, 3), Run(0))
        assert np.isfinite(found.items).all()
        assert found.items.tobytes() == plain.items.tobytes()
        assert (found.penalty, found.trials, found.loss_curve) == (plain.penalty, plain.trials, plain.loss_curve)

    @pytest.mark.parametrize("exponent", [-40, -60])
    def test_tiny_values_and_their_weight_count_by_their_ratio(self, X, exponent):
        """As shares of all do, whose squares conjugate gradients take for nothing left to do."""
        plain = learn_ials(X, IALSSettings(4, None, 0.125, 3), Run(0))
        tiny = sparse.csr_matrix((np.ldexp(X.data, exponent), X.indices, X.indptr), shape=X.shape)
        found = learn_ials(tiny, IALSSettings(4, None, float(np.ldexp(0.125, exponent)), 3), Run(0))
        np.testing.assert_allclose(found.items, plain.items, rtol=1e-3, atol=1e-4)
        assert found.loss_curve == pytest.approx(plain.loss_curve, rel=1e-5)
        assert found.loss_curve[-1] < 0.9 * found.loss_curve[0]

    def test_trials_outlast_an_interrupt(self, X):
        class Impatient:
            n_ended = 0

            def begin_pass(self):
                if self.n_ended == 2:
                    raise KeyboardInterrupt

            def end_pass(self, loss, score=None):
                self.n_ended += 1
                return False

        whole = learn_ials(X, IALSSettings(4, None, 0.1, 3), Run(0))
        with pytest.warns(UserWarning, match="interrupted in pass 3 of 3"):
            found = learn_ials(X, IALSSettings(4, None, 0.1, 3), Run(0, callbacks=Impatient()))
        assert found.trials == whole.trials
        assert found.loss_curve == whole.loss_curve[:2]

    def test_penalties(self):
        assert row_penalties(np.array([2.0, 0.0]), 10, 0.5, 0.1).tolist() == [1.5, 0.5]

    def test_items_that_no_trial_met_are_no_matter(self, X):
        few = sparse.hstack([X, sparse.csr_matrix((N_USERS, 50), dtype=np.float32)], format="csr")
        plain, padded = (learn_ials(matrix, IALSSettings(4, None, 0.1, 3), Run(0)) for matrix in (X, few))
        assert padded.trials == plain.trials


class TestLeadingEigenvectors:
    @pytest.mark.parametrize("n", [20, 200])
    @pytest.mark.parametrize("rank", [3, 200])
    def test_those_of_the_whole_matrix(self, n, rank):
        rng = np.random.default_rng(0)
        factor = rng.normal(size=(n, min(rank, n))) * 0.9 ** np.arange(min(rank, n))
        matrix = factor @ factor.T
        found = leading_eigenvectors(lambda v: matrix @ v, n, 8, np.dtype(np.float64), np.random.default_rng(1))
        _, whole = np.linalg.eigh(matrix)
        k = min(8, rank)
        np.testing.assert_allclose(np.abs(np.sum(found[:, :k] * whole[:, ::-1][:, :k], axis=0)), 1.0, atol=1e-4)
        np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-9)

    def test_of_nothing(self):
        rng = np.random.default_rng(1)
        found = leading_eigenvectors(np.zeros_like, 300, 4, np.dtype(np.float32), rng)
        np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-5)

    def test_float32_keeps_them_orthonormal(self):
        rng = np.random.default_rng(0)
        factor = (rng.normal(size=(400, 60)) * 0.5 ** np.arange(60)).astype(np.float32)
        found = leading_eigenvectors(lambda v: factor @ (factor.T @ v), 400, 30, np.dtype(np.float32), rng)
        np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-5)


@pytest.mark.parametrize("scores_at_once", [1, hidden_items.SCORES_AT_ONCE])
def test_gains_are_those_of_each_user_alone(X, scores_at_once, monkeypatch):
    monkeypatch.setattr(hidden_items, "SCORES_AT_ONCE", scores_at_once)
    monkeypatch.setattr(hidden_items, "RANKS", 5)
    rng = np.random.default_rng(1)
    rows, output = rng.normal(size=(N_USERS, 3)), rng.normal(size=(N_ITEMS, 3))
    known = X.toarray() > 0
    known[:, 0] = True  # none is empty
    hidden = known & ((rng.random(known.shape) < 0.3) | (np.arange(N_ITEMS) == 0))
    shown = known & ~hidden
    found = hidden_items.gains_of_hidden(rows, output, sparse.csr_matrix(shown), sparse.csr_matrix(hidden))
    for user, gain in enumerate(found):
        scores = np.where(shown[user], -np.inf, output @ rows[user])
        hits = hidden[user, np.argsort(-scores)[:5]]
        discounts = 1 / np.log2(np.arange(2, 7))
        assert gain == pytest.approx(hits @ discounts / discounts[: hidden[user].sum()].sum())


def test_trials_hide_a_fifth_of_each_basket_as_a_score_does():
    X = sparse.csr_matrix(np.array([np.roll([1.0] * 10 + [0.0] * 30, shift) for shift in range(60)], np.float32))
    fold = ease._Fold(2 * X, X, np.zeros(40), 2, np.random.default_rng(0))
    assert np.diff(fold.hidden.indptr).tolist() == [2] * 60
    assert (fold.shown + fold.hidden != X).nnz == 0
