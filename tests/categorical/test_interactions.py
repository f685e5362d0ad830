"""Interactions: found where they are, left out where they are not, and what their dimensions mean."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, TimeSeriesSplit

from skembed import EntityEmbeddingEncoder
from skembed.categorical import _interaction_screening, _learn
from skembed.categorical._backfitting import Backfitting
from skembed.categorical._interaction_learning import is_worth_it
from skembed.categorical._interaction_screening import MIN_TESTED_ROWS, numeric_bins, screen_pairs, sums_of_groups
from skembed.categorical._interactions import Cells, Interactions, principal_axes, profiles


def table(kind, n=3000, sizes=(12, 30, 8), seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(size, size=n) for size in sizes], axis=1)
    effects = [0.5 * rng.standard_normal(size) for size in sizes]
    y = sum(e[ids[:, c]] for c, e in enumerate(effects)) + rng.standard_normal(n)
    if kind == "interacting":
        y += 0.8 * rng.standard_normal(sizes[:2])[ids[:, 0], ids[:, 1]]
    return ids.astype(str).astype(object), y


@pytest.mark.parametrize("seed", range(5))
def test_found_where_they_are_and_nowhere_else(seed):
    X, y = table("interacting", seed=seed)
    encoder = EntityEmbeddingEncoder(random_state=0).fit(X, y)
    assert encoder.interactions_ == [("x0", "x1")]
    assert encoder.validation_scores_[-1] > 0.4
    additive = EntityEmbeddingEncoder(random_state=0).fit(*table("additive", seed=seed))
    assert additive.interactions_ == []
    assert additive.n_iter_ == 1
    assert all(t.embedding_dim <= 2 for t in additive.embeddings_.values())


def test_a_level_that_interacts_is_told_from_one_that_does_not():
    X, y = table("interacting", n=12_000)
    learned = EntityEmbeddingEncoder(random_state=0).fit(X, y).embeddings_["x0"]
    effects_alone = EntityEmbeddingEncoder(random_state=0, max_iter=0).fit(X, y).embeddings_["x0"]
    assert learned.embedding_dim > effects_alone.embedding_dim
    smallest = min(np.linalg.norm(a - b) for i, a in enumerate(learned.vectors) for b in learned.vectors[:i])
    assert smallest > 0.5  # all levels differ in what they do with others, however near their own effects are


def test_distances_are_mean_changes_of_the_prediction():
    """Of two levels, over all levels of the partner: what the model predicts beyond the effects, root mean square."""
    X, y = table("interacting", n=12_000)
    encoder = EntityEmbeddingEncoder(random_state=0, early_stopping=False).fit(X, y)
    found = encoder._learned.interactions
    rows = found.rows(0, 13)
    grid = np.zeros((13, 31))
    cells = found.cells[0]
    grid[tuple(cells.levels)] = found.effects[0][:, 0]
    share = found.share(1)
    for a, b in [(1, 2), (3, 9), (12, 4)]:
        expected = np.sqrt(share @ (grid[a] - grid[b]) ** 2)
        np.testing.assert_allclose(np.linalg.norm(rows[a] - rows[b]), expected, rtol=0.02)


def test_effects_of_cells_are_a_ridge():
    rng = np.random.default_rng(0)
    ids = rng.integers(6, size=(300, 2)).astype(np.int32)
    target, weight = rng.standard_normal((300, 2)), rng.uniform(0.5, 2, 300)
    ratios = np.array([3.0, 5.0])
    include = np.ones((300, 2), dtype=np.uint8)
    include[::3, 1] = 0
    model = Backfitting([ids[:, 0].copy(), ids[:, 1].copy()], [6, 6], target, weight, include, ratios=ratios)
    for _ in range(200):
        model.one_pass()
    Z = np.hstack([np.eye(6)[ids[:, 0]], np.eye(6)[ids[:, 1]]])
    for s in range(2):
        W = weight * include[:, s]
        centered = target - np.average(target, axis=0, weights=W)
        expected = np.linalg.solve(
            Z.T @ (W[:, None] * Z) + np.diag(np.repeat(ratios, 6)), Z.T @ (W[:, None] * centered)
        )
        found = np.vstack([e[:, 2 * s : 2 * s + 2] for e in model.effects])
        np.testing.assert_allclose(found, expected, atol=1e-8)
        np.testing.assert_allclose(model.residual[:, 2 * s : 2 * s + 2], centered - Z @ expected, atol=1e-8)


def test_screening_keeps_its_size_under_noise():
    """Of a hundred tables of noise with 45 pairs each, hardly one has a pair beyond doubt."""
    false = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ids = rng.integers(1, 9, size=(400, 10)).astype(np.int32)
        residual = rng.standard_t(5, size=(400, 1))
        false += bool(screen_pairs(ids, [9] * 10, 10, residual, np.ones(400)))
    assert false <= 10


def test_screening_does_not_take_what_a_group_has_in_common_for_interactions():
    """Of columns that a group has, each pair of levels is met in few groups: it tells which group a row is in."""
    found = {None: 0, "groups": 0}
    for seed in range(50):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 12)
        ids = rng.integers(1, 9, size=(60, 6))[groups].astype(np.int32)
        residual = rng.standard_normal(60)[groups, None] + rng.standard_normal((720, 1))
        for told in found:
            given = None if told is None else groups
            found[told] += bool(screen_pairs(ids, [9] * 6, 6, residual, np.ones(720), given))
    assert found[None] == 50
    assert found["groups"] <= 5


@pytest.mark.parametrize("kind", ["of rows", "of groups", "of both"])
def test_screening_by_groups_finds_interactions(kind):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), 5)
    of_rows, of_groups = rng.integers(1, 5, (1500, 2)), rng.integers(1, 5, (300, 2))[groups]
    columns = {"of rows": of_rows, "of groups": of_groups, "of both": np.stack([of_rows[:, 0], of_groups[:, 0]], 1)}
    ids = columns[kind].astype(np.int32)
    residual = 0.7 * (-1.0) ** ids.sum(axis=1) + 0.5 * rng.standard_normal(300)[groups] + rng.standard_normal(1500)
    assert screen_pairs(ids, [5, 5], 2, residual[:, None], rng.uniform(0.5, 2, 1500), groups) == [(0, 1)]


def test_residuals_of_a_group_in_a_cell_are_added_up():
    rng = np.random.default_rng(0)
    cells, groups, residual = rng.integers(4, size=40), rng.integers(3, size=40), rng.standard_normal((40, 2))
    of_sums, sums = sums_of_groups(cells, groups, residual)
    expected = [
        (cell, *residual[(cells == cell) & (groups == group)].sum(axis=0))
        for cell in range(4)
        for group in range(3)
        if ((cells == cell) & (groups == group)).any()
    ]
    np.testing.assert_allclose(np.column_stack([of_sums, sums]), expected, atol=1e-12)


def grouped(seed, interacting):
    """Rows of 100 groups, which have two columns and something of their own in common; rows have two more."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(100), 20)
    X = np.hstack([rng.integers(5, size=(100, 2))[groups], rng.integers(5, size=(2000, 2))])
    y = 1.5 * rng.standard_normal(100)[groups] + rng.standard_normal(5)[X[:, 2]] + rng.standard_normal(2000)
    if interacting:
        y += rng.standard_normal((5, 5))[X[:, 2], X[:, 3]]
    return X.astype(str).astype(object), y, groups


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("interacting", [False, True])
def test_folds_by_groups_tell_interactions_from_what_groups_have_in_common(seed, interacting):
    X, y, groups = grouped(seed, interacting)
    random = EntityEmbeddingEncoder(random_state=0).fit(X, y)
    assert ("x0", "x1") in random.interactions_  # nothing tells it that the rows are not independent
    by_groups = EntityEmbeddingEncoder(cv=GroupKFold(5), random_state=0).fit(X, y, groups=groups)
    assert by_groups.interactions_ == ([("x2", "x3")] if interacting else [])


def test_rows_that_are_all_of_one_group_are_as_if_there_were_none():
    X, y, groups = grouped(0, True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    one = EntityEmbeddingEncoder(cv=TimeSeriesSplit(4), random_state=0).fit(X, y, groups=0 * groups)
    none = EntityEmbeddingEncoder(cv=TimeSeriesSplit(4), random_state=0).fit(X, y)
    assert ("x2", "x3") in one.interactions_
    assert one.interactions_ == none.interactions_
    assert one.uninformative_features_ == none.uninformative_features_
    np.testing.assert_array_equal(one.transform(X), none.transform(X))


@pytest.mark.parametrize("hidden_layer_sizes", [(), (16,)])
@pytest.mark.parametrize("kind", ["random", "groups", "time"])
def test_rows_that_decide_are_held_out_as_the_folds_are(kind, hidden_layer_sizes, monkeypatch):
    level_net = pytest.importorskip("skembed.training.nets.level_net", reason="torch is not installed")
    decided = []

    def noted(learn, at):
        return lambda *arguments: decided.append(arguments[at]) or learn(*arguments)

    monkeypatch.setattr(_learn, "learn_interactions", noted(_learn.learn_interactions, 3))
    monkeypatch.setattr(level_net, "learn_net", noted(level_net.learn_net, 1))
    X, y, groups = grouped(0, True)
    cv = {"random": 5, "groups": GroupKFold(5), "time": TimeSeriesSplit(4)}[kind]
    encoder = EntityEmbeddingEncoder(
        cv=cv, hidden_layer_sizes=hidden_layer_sizes, max_iter=2, validation_fraction=0.2, random_state=0
    )
    encoder.fit(X, y, groups=groups if kind == "groups" else None)
    (rows,) = decided
    assert len(rows) == 400
    shared = set(groups[rows]) & set(groups[np.setdiff1d(np.arange(2000), rows)])
    assert bool(shared) == (kind == "random")
    assert (rows.tolist() == list(range(1600, 2000))) == (kind == "time")


def test_screening_reads_all_rows_where_there_are_few_pairs():
    n = 2 * MIN_TESTED_ROWS - 1
    ids = np.random.default_rng(0).integers(1, 5, (n, 2))
    residual = np.where(ids[:, :1] == ids[:, 1:], 3.0, -1.0)
    residual[::2] = 0  # the rows that half of them would be
    assert screen_pairs(ids.astype(np.int32), [5, 5], 2, residual, np.ones(n)) == [(0, 1)]


@pytest.mark.parametrize("most", [1, 2, 3, 64])
def test_the_most_significant_pairs_are_taken(most, monkeypatch):
    monkeypatch.setattr(_interaction_screening, "MAX_PAIRS", most)
    ids = np.random.default_rng(0).integers(1, 5, (900, 6)).astype(np.int32)
    residual = sum(size * (-1.0) ** (ids[:, a] + ids[:, b]) for size, a, b in [(1, 0, 1), (3, 2, 3), (2, 4, 5)])
    found = screen_pairs(ids, [5] * 6, 6, residual[:, None], np.ones(900))
    assert found == [(2, 3), (4, 5), (0, 1)][:most]


def test_side_inputs_interact_and_a_curve_is_no_interaction():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    n = 4000
    city, size, age = rng.integers(6, size=n), rng.standard_normal(n), rng.standard_normal(n)
    slope = np.array([-2, -1, 0, 1, 2, 3.0])
    y = slope[city] * size + 2 * age**2 + rng.standard_normal(n)
    X = pd.DataFrame({"city": city.astype(str), "size": size, "age": age})
    encoder = EntityEmbeddingEncoder(categorical_features="from_dtype", random_state=0).fit(X, y)
    assert encoder.interactions_ == [("city", "size")]
    first = encoder.embeddings_["city"].lookup([str(c) for c in range(6)])[:, 0]
    assert abs(np.corrcoef(first, slope)[0, 1]) > 0.95


@pytest.mark.parametrize("column", [0, 1])
def test_profiles_are_what_a_level_adds_with_each_level_of_its_partner(column):
    rng = np.random.default_rng(0)
    levels = np.array([[0, 0, 1, 2, 3], [0, 2, 1, 0, 4]])  # of 4 and 5; those of number 0 are unknown
    effects = rng.standard_normal((5, 3))
    masses = {0: np.array([1.0, 2, 3, 4]), 1: np.array([5.0, 1, 2, 1, 1])}
    found = Interactions([Cells((0, 1), levels)], [effects], [np.ones(5)], [1.0], masses)
    partner = 1 - column
    shares = masses[partner] / masses[partner].sum()
    expected = np.zeros((len(masses[column]), len(shares), 3))
    for cell, effect in zip(levels.T, effects):
        expected[cell[column], cell[partner]] = effect * np.sqrt(shares[cell[partner]])
    profile = profiles(found, column, len(masses[column]), [effects]).toarray()
    np.testing.assert_allclose(profile, expected.reshape(len(expected), -1))


def test_what_vectors_do_not_need_is_left_out_and_the_rest_stays_with_its_pair():
    rng = np.random.default_rng(0)
    pairs = [(0, 1), (1, 2), (0, 2)]
    cells = [Cells(pair, np.array([[1, 2, 3, 3], [1, 1, 2, 3]])) for pair in pairs]
    effects, counts = ([rng.random((4, *shape)).astype(np.float32) for _ in pairs] for shape in ((1,), ()))
    masses = {c: np.arange(1.0, 5) for c in range(3)}
    found = Interactions(cells, effects, counts, [2.0, 4.0, 8.0], masses)
    found.find_axes(3)
    kept = found.only_axes({2: np.arange(found.dim(2))})
    assert [one.columns for one in kept.cells] == [(1, 2), (0, 2)]
    assert kept.ratios == [4.0, 8.0]
    for one, whole in ((kept.effects, effects), (kept.counts, counts)):
        for a, b in zip(one, whole[1:], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)
    assert kept.axes.keys() == {2}
    np.testing.assert_allclose(np.abs(kept.rows(2, 4)), np.abs(found.rows(2, 4)), atol=1e-5)


def test_partial_fit_counts_cells_as_if_all_rows_had_been_there():
    rng = np.random.default_rng(0)
    levels = np.stack([rng.integers(1, 5, 200), rng.integers(1, 7, 200)])
    known, of = np.unique(levels[:, :120], axis=1, return_inverse=True)
    residual, weight, ratio = rng.standard_normal((200, 2)), rng.uniform(0.5, 2, 200), 4.0

    def means(rows):
        keys = [tuple(k) for k in levels[:, rows].T]
        return {
            key: (weight[rows] * [k == key for k in keys])
            @ residual[rows]
            / (weight[rows] @ [k == key for k in keys] + ratio)
            for key in set(keys)
        }

    begun = means(np.arange(120))
    first = Interactions(
        [Cells((0, 1), known)],
        [np.array([begun[tuple(k)] for k in known.T])],
        [np.bincount(of.ravel(), weight[:120])],
        [ratio],
    )
    found = first.extended(levels[:, 120:].T, residual[120:], weight[120:])
    expected = means(np.arange(200))
    assert found.cells[0].levels.shape[1] == len(expected)
    for key, effect in zip(found.cells[0].levels.T, found.effects[0]):
        np.testing.assert_allclose(effect, expected[tuple(key)], atol=1e-12)
    np.testing.assert_allclose(first.predict(levels[:, :120].T)[5], begun[tuple(levels[:, 5])])


def test_partial_fit_counts_no_interaction_twice():
    """As of columns that are nearly the same, a city and its region: each pair would come to hold what both have."""
    rng = np.random.default_rng(0)
    n = 6000
    a, b = rng.integers(8, size=(2, n))
    c = np.where(rng.random(n) < 0.9, b, rng.integers(8, size=n))
    y = rng.normal(size=(8, 8))[a, b] + 0.5 * rng.normal(size=n)
    X = np.stack([a, b, c], axis=1)
    encoder = EntityEmbeddingEncoder(random_state=0).fit(X[:1500], y[:1500])
    assert {("x0", "x1"), ("x0", "x2")} <= set(encoder.interactions_)
    for begin in range(1500, n, 1500):
        rows = slice(begin, begin + 1500)
        encoder.partial_fit(X[rows], y[rows])
    schema, learned = encoder._schema, encoder._learned
    ids = np.stack([v.encode_keys(k.tolist()) for v, k in zip(schema.vocabularies, X.T)], axis=1)
    said = learned.effects.predict(ids, np.empty((n, 0))) + learned.interactions.predict(ids)
    standardised = (y - y[:1500].mean()) / y[:1500].std()
    assert np.polyfit(said[:, 0], standardised, 1)[0] == pytest.approx(1.0, abs=0.05)
    assert np.mean((standardised - said[:, 0]) ** 2) < 0.22 * standardised.var()
    before, *further = encoder.loss_curve_[-4:]
    assert max(further) < 1.2 * before  # what interactions explain is no loss


def test_partial_fit_moves_the_vectors():
    X, y = table("interacting")
    encoder = EntityEmbeddingEncoder(random_state=0).fit(X, y)
    before = encoder.transform(X[:50])
    more = X[:400].copy()
    more[:20, 0] = "new"
    encoder.partial_fit(more, y[:400])
    assert encoder.transform(X[:50]).shape == before.shape
    assert np.abs(encoder.transform(X[:50]) - before).max() > 1e-3
    assert "new" in encoder.embeddings_["x0"]


def test_rows_are_left_to_learn_from_whatever_share_is_held_out():
    X, y = table("interacting")
    fitted = EntityEmbeddingEncoder(validation_fraction=1 - 1e-9, max_iter=2, random_state=0).fit(X, y)
    assert np.isfinite(fitted.validation_scores_).all()
    assert len(fitted.validation_scores_) == 2


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (500, 450)])
def test_principal_axes_are_those_of_the_covariance(shape):
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    matrix = sp.random(*shape, density=0.3, random_state=0, data_rvs=rng.standard_normal).tocsr()
    matrix = sp.csr_matrix(matrix.toarray() * np.geomspace(3, 0.1, shape[1]))
    share = rng.uniform(0.5, 1, shape[0])
    share /= share.sum()
    axes = principal_axes(matrix, share)
    dense = matrix.toarray()
    covariance = (dense - share @ dense).T @ (share[:, None] * (dense - share @ dense))
    values = np.linalg.eigvalsh(covariance)[::-1]
    spread = np.diag(axes.T @ covariance @ axes)
    kept = min(len(spread), 5)
    np.testing.assert_allclose(spread[:kept], values[:kept], rtol=0.05)
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-8)


def test_profiles_leave_out_levels_that_came_later():
    found = Interactions(
        cells=[Cells((0, 1), np.array([[1, 2, 2], [1, 1, 3]]))],
        effects=[np.array([[1.0], [2.0], [5.0]])],
        masses={0: np.ones(3), 1: np.array([0.0, 25.0, 75.0])},
    )
    np.testing.assert_allclose(profiles(found, 0, 3, found.effects).toarray(), [[0, 0, 0], [0, 0.5, 0], [0, 1.0, 0]])


def test_bins():
    numeric = np.column_stack([np.arange(100.0), np.repeat([0.0, 1.0], 50), np.zeros(100)])
    bins, edges = numeric_bins(numeric)
    assert bins.min() == 1
    assert set(np.unique(bins[:, 0], return_counts=True)[1]) == {12, 13}
    assert bins.max() == 8
    assert len(np.unique(bins[:, 1])) == 2
    assert len(np.unique(bins[:, 2])) == 1
    again, _ = numeric_bins(numeric[::-1], edges)
    np.testing.assert_array_equal(again, bins[::-1])


def test_worth():
    rng = np.random.default_rng(0)
    before = rng.chisquare(1, 1000)
    assert is_worth_it(before, 0.9 * before, np.ones(1000))
    assert not is_worth_it(before, 0.995 * before, np.ones(1000))  # too little
    assert not is_worth_it(before, before + 0.5 * rng.standard_normal(1000) - 0.015, np.ones(1000))  # chance


def test_worth_it_beyond_the_chance_of_groups():
    rng = np.random.default_rng(0)
    groups, before = np.repeat(np.arange(20), 50), rng.uniform(1, 2, 1000)
    of_groups = before - 0.1 - 0.4 * (-1.0) ** groups  # nine of twenty would be as likely to lose by it
    assert is_worth_it(before, of_groups, np.ones(1000))
    assert not is_worth_it(before, of_groups, np.ones(1000), groups)
    assert is_worth_it(before, of_groups, np.ones(1000), np.arange(1000))
    assert is_worth_it(before, of_groups, np.ones(1000), np.zeros(1000, dtype=np.int64))  # one group: nothing is known
    assert is_worth_it(before, 0.9 * before, np.ones(1000), groups)


def test_interactions_of_few_rows_are_found():
    """120 validation rows showed them in two draws of sixteen, though they are larger than the main effects."""
    n_found = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        subject, term = rng.integers(15, size=600), rng.integers(4, size=600)
        log_odds = 0.5 * rng.normal(size=15)[subject] + 0.7 * rng.normal(size=(15, 4))[subject, term]
        y = (rng.random(600) < 1 / (1 + np.exp(-log_odds))).astype(int)
        encoder = EntityEmbeddingEncoder(random_state=0).fit(np.stack([subject, term], axis=1).astype(str), y)
        n_found += len(encoder.interactions_)
    assert n_found >= 8


def test_without_early_stopping_all_passes_are_taken():
    X, y = table("interacting")
    encoder = EntityEmbeddingEncoder(max_iter=3, early_stopping=False, random_state=0).fit(X, y)
    assert encoder.n_iter_ == 3
    assert encoder.validation_scores_ == []
    assert encoder.loss_curve_ == sorted(encoder.loss_curve_, reverse=True)
