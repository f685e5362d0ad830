"""InteractionEmbedder: what a user of it sees, whatever the method."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from unchecked import save_unchecked

import skembed
from skembed import EmbeddingTable, InteractionEmbedder
from skembed.apply.baskets import FoldIn
from skembed.formats import FormatError
from skembed.interactions import basket_split, recommendation_scorer

METHODS = ["ease", "ials", "svd", "item2vec", "popularity"]


def baskets(n=300, n_kinds=4, per_kind=6, seed=0):
    """Baskets that mostly keep to one kind of items: items of a kind should come to lie together."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(n_kinds, size=n)
    return [[f"{kind}-{item}" for item in rng.choice(per_kind, 4, replace=False)] for kind in kinds]


X = baskets()


@pytest.fixture(scope="module", params=METHODS)
def fitted(request):
    return InteractionEmbedder(6, method=request.param, random_state=0).fit(X)


class TestEveryMethod:
    def test_products_are_scores(self, fitted):
        keys, scores = fitted.recommend(X[:20], 5, exclude_seen=False)
        products = fitted.transform(X[:20]) @ fitted.embedding_.vectors.T
        for row in range(20):
            assert np.allclose(scores[row], np.sort(products[row])[::-1][:5], atol=1e-5)
            assert np.allclose(
                [products[row][fitted.embedding_.keys.tolist().index(k)] for k in keys[row]], scores[row], atol=1e-5
            )

    def test_what_a_user_has_is_not_recommended(self, fitted):
        keys, _ = fitted.recommend(X, 5)
        assert not any(set(row) & set(basket) for row, basket in zip(keys, X))

    def test_a_row_depends_on_its_own_basket_alone(self, fitted):
        whole = fitted.transform(X[:50])
        assert np.array_equal(whole[::-1], fitted.transform(X[:50][::-1]))
        assert np.array_equal(whole[7:8], fitted.transform([X[7][::-1]]))

    def test_new_users_get_vectors_and_unknown_items_are_left_out(self, fitted):
        assert np.array_equal(fitted.transform([["0-1", "soap"]]), fitted.transform([["0-1"]]))
        empty = fitted.transform([[], ["soap"]])
        assert np.array_equal(empty[0], empty[1])
        assert np.allclose(empty[0], fitted.transform(X).mean(axis=0), atol=1e-5)

    def test_a_matrix_says_the_same_as_lists(self, fitted):
        keys = fitted.embedding_.keys.tolist()
        dense = np.array([[key in basket for key in keys] for basket in X], dtype=float)
        assert np.array_equal(fitted.transform(X), fitted.transform(sparse.csc_matrix(dense)))
        again = clone(fitted).set_params(items=keys).fit(dense)
        assert np.allclose(again.transform(dense), fitted.transform(X), atol=1e-5)

    def test_workers_and_the_order_in_baskets_change_no_bit(self, fitted):
        again = clone(fitted).set_params(n_jobs=2).fit(X)
        assert again.embedding_.vectors.tobytes() == fitted.embedding_.vectors.tobytes()
        assert again.input_embedding_.vectors.tobytes() == fitted.input_embedding_.vectors.tobytes()
        lists = [basket[::-1] for basket in X]
        lists[0] = X[0]  # else items would be numbered in another order
        numbered = {key: i for i, key in enumerate(fitted.embedding_.keys)}
        order = [[numbered[key] for key in basket] for basket in X]
        reverse = [row[::-1] for row in order]
        matrices = [
            sparse.csr_matrix((np.ones(sum(map(len, rows))), np.concatenate(rows), np.cumsum([0, *map(len, rows)])))
            for rows in (order, reverse)
        ]
        one, two = (clone(fitted).fit(matrix) for matrix in matrices)
        assert one.embedding_.vectors.tobytes() == two.embedding_.vectors.tobytes()

    def test_names_and_width(self, fitted):
        names = fitted.get_feature_names_out()
        assert len(names) == fitted.transform(X[:1]).shape[1] == fitted.embedding_.embedding_dim
        assert names[0] == "interactionembedder0"
        assert len(names) == (1 if fitted.method == "popularity" else 6)
        items = fitted.embedding_.keys
        for given in (items, ["the column of baskets"]):
            assert fitted.get_feature_names_out(given).tolist() == names.tolist()
        with pytest.raises(ValueError, match="input_features should have length equal to number of features"):
            fitted.get_feature_names_out(items[:2])


@pytest.mark.parametrize("column", ["basket", ["basket"]])
@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_a_column_of_baskets_beside_others(column, output):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"basket": X, "age": np.arange(len(X), dtype=float)}, index=np.arange(len(X))[::-1])
    if output == "polars":
        try:
            ColumnTransformer([("rest", "passthrough", ["age"])]).set_output(transform="polars").fit_transform(frame)
        except ValueError:
            pytest.skip("a ColumnTransformer of an older scikit-learn does not know polars 2")
    embedder = InteractionEmbedder(2, method="svd", random_state=0)
    both = ColumnTransformer([("users", embedder, column), ("rest", "passthrough", ["age"])])
    found = both.set_output(transform=output).fit_transform(frame)
    names = ["users__interactionembedder0", "users__interactionembedder1", "rest__age"]
    assert both.get_feature_names_out().tolist() == names
    assert output == "default" or list(found.columns) == names
    assert np.array_equal(np.asarray(found)[:, :2], embedder.fit_transform(X))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dim", [1, 2])
def test_few_dimensions(method, dim):
    embedder = InteractionEmbedder(dim, method=method, random_state=0)
    assert embedder.fit_transform(X).shape == (300, 1 if method == "popularity" else dim)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "popularity"])
def test_hidden_items_are_found_better_than_by_popularity(method):
    scores = [
        cross_val_score(InteractionEmbedder(8, method=name, random_state=0), X, cv=KFold(3), scoring=scorer).mean()
        for name in (method, "popularity")
        for scorer in [recommendation_scorer("recall", 5, hidden=1)]
    ]
    assert scores[0] > 0.9 > 0.5 > scores[1]


@pytest.mark.parametrize("method", ["ease", "ials", "svd", "item2vec"])
def test_neighbours_are_of_a_kind(method):
    table = InteractionEmbedder(4, method=method, random_state=0).fit(X).embedding_
    same = [key[0] == near[0] for key in table.keys for near, _ in table.nearest(key, k=3)]
    assert np.mean(same) > 0.95


def test_the_vector_of_users_without_items_is_the_mean_of_those_who_have_some():
    fitted = InteractionEmbedder(4, method="ease", random_state=0).fit([*X, *40 * [[]]])
    np.testing.assert_allclose(fitted.transform([[]])[0], fitted.transform(X).mean(axis=0), atol=1e-5)


def test_users_spread_as_much_as_one_number_that_is_standardised():
    rows = InteractionEmbedder(4, method="ease", random_state=0).fit(X).transform(X)
    assert rows.var(axis=0).sum() == pytest.approx(1, rel=1e-4)


def test_among():
    embedder = InteractionEmbedder(4, random_state=0).fit(X)
    keys, scores = embedder.recommend([["0-1"], ["0-0", "1-0"]], 4, among=["0-0", "1-0"])
    assert keys.shape == scores.shape == (2, 2)
    assert keys[0, 0] == "0-0"
    assert keys[1].tolist() == [None, None]
    assert np.isneginf(scores[1]).all()
    with pytest.raises(KeyError, match="among names 'soap'"):
        embedder.recommend([["0-1"]], among=["0-1", "soap"])
    with pytest.raises(ValueError, match="k=0"):
        embedder.recommend([["0-1"]], 0)


def test_ties_come_by_position():
    embedder = InteractionEmbedder(method="popularity").fit([["a", "b"], ["c", "b"], ["d"]])
    assert embedder.recommend([[]], 4)[0].tolist() == [["b", "a", "c", "d"]]


def tastes(n_users=600, n_items=120, length=12, skew=0.5, seed=0):
    """Which items users have, of six tastes and of popularity, bool (n_users, n_items)."""
    rng = np.random.default_rng(seed)
    likes = rng.normal(size=(n_users, 6)) @ rng.normal(size=(6, n_items)) - skew * np.log(np.arange(1, n_items + 1))
    likes += rng.gumbel(size=likes.shape)
    lengths = np.clip(rng.poisson(length, n_users), 2, None)
    return (-likes).argsort(axis=1).argsort(axis=1) < lengths[:, None]


def found(embedder, X, k=20):
    shown, hidden = basket_split(X, hidden=0.3)
    keys, _ = embedder.recommend(shown, k)
    return np.mean([len(set(row) & set(one.indices)) / one.nnz for row, one in zip(keys, hidden) if one.nnz])


@pytest.mark.parametrize("method", ["ease", "ials"])
def test_counts_that_say_nothing_do_no_harm(method):
    """The largest of counts were all that squares saw: hidden items were found worse than by popularity."""
    has, rng = tastes(), np.random.default_rng(1)
    X = sparse.csr_matrix(has * np.ceil(np.exp(rng.normal(0, 2.5, has.shape))))
    embedder = InteractionEmbedder(32, method=method, random_state=0).fit(X[:500])
    assert embedder.value_exponent_ == 0.0
    once = InteractionEmbedder(32, method=method, binary=True, random_state=0).fit(X[:500])
    assert found(embedder, X[500:]) == pytest.approx(found(once, X[500:]))
    np.testing.assert_allclose(embedder.transform(3 * X[500:]), once.transform(X[500:]), rtol=1e-4, atol=1e-5)
    popular = InteractionEmbedder(method="popularity", binary=True).fit(X[:500])
    assert found(embedder, X[500:]) > 1.2 * found(popular, X[500:])


def test_counts_that_say_something_are_seen():
    has, rng = tastes(length=8), np.random.default_rng(1)
    by_accident = rng.random(has.shape) < 0.1
    X = sparse.csr_matrix(np.where(has, 20 + rng.poisson(20, has.shape), by_accident))
    embedder = InteractionEmbedder(32, random_state=0).fit(X[:500])
    assert embedder.value_exponent_ > 0.0
    given = InteractionEmbedder(32, value_exponent=embedder.value_exponent_, random_state=0).fit(X[:500])
    np.testing.assert_array_equal(given.transform(X), embedder.transform(X))


def test_equal_values_are_left_as_they_are():
    X = sparse.csr_matrix(tastes())
    embedder = InteractionEmbedder(8, random_state=0).fit(X * 3.0)
    assert embedder.value_exponent_ == 1.0
    assert InteractionEmbedder(8, method="svd").fit(X.multiply(np.arange(1, 121)).tocsr()).value_exponent_ == 1.0


def test_ials_is_the_same_whatever_the_unit_of_values():
    """A pair that did not meet had one weight beside all units: of values in thousands none, of shares all."""
    has, rng = tastes(), np.random.default_rng(1)
    X = sparse.csr_matrix(has * rng.integers(1, 6, has.shape).astype(float))
    settings = {"method": "ials", "random_state": 0, "value_exponent": 1}
    expected = InteractionEmbedder(8, **settings).fit(X).recommend(X[:50], 5)[0].tolist()
    for unit in (2.0**-13, 2.0**10):
        assert InteractionEmbedder(8, **settings).fit(unit * X).recommend(unit * X[:50], 5)[0].tolist() == expected


def test_ials_of_few_users_and_many_items_finds_popular_ones():
    """A penalty was taken under which vectors vanish, though not yet in the passes of a trial."""
    rng = np.random.default_rng(0)
    likes = rng.gumbel(size=(400, 1000)) - np.log(np.arange(1, 1001))[rng.permutation(1000)]
    X = sparse.csr_matrix((-likes).argsort(axis=1).argsort(axis=1) < 10, dtype=float)
    popular = InteractionEmbedder(method="popularity").fit(X[:80])
    for seed in range(3):
        embedder = InteractionEmbedder(method="ials", random_state=seed).fit(X[:80])
        assert found(embedder, X[80:]) > 0.9 * found(popular, X[80:])


def test_where_baskets_say_little_popular_items_are_recommended():
    """A basket of one rare item scored nearly all items alike, in whatever order they have."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 301)
    has = rng.random((2000, 300)) < np.minimum(share[rng.permutation(300)], 0.3)
    X = sparse.csr_matrix(has[has.sum(axis=1) >= 2], dtype=float)
    half = X.shape[0] // 2
    embedder = InteractionEmbedder(random_state=0, penalty=5).fit(X[:half])
    assert embedder.prior_ > 0
    popular = InteractionEmbedder(method="popularity").fit(X[:half])
    assert found(embedder, X[half:], 10) > 0.97 * found(popular, X[half:], 10)
    without = InteractionEmbedder(random_state=0, penalty=5, prior=0).fit(X[:half])
    assert found(without, X[half:], 10) < 0.9 * found(popular, X[half:], 10)
    difference = embedder.transform(X) - without.transform(X)
    mean = without.transform(X[:half]).mean(axis=0)
    np.testing.assert_allclose(difference, np.repeat(embedder.prior_ * mean[None], X.shape[0], axis=0), atol=1e-3)
    nobody = embedder.transform(X[:1] * 0)[0]
    np.testing.assert_allclose(nobody, embedder.transform(X[:half]).mean(axis=0), atol=1e-3)


@pytest.mark.parametrize("method", ["auto", "ials", "svd", "item2vec"])
def test_where_nobody_has_two_items_a_warning_says_what_was_passed_perhaps(method):
    """As where each row of a log is taken for a basket."""
    embedder = InteractionEmbedder(4, method=method, max_iter=2, random_state=0)
    message = f"no user of X has two items, of 30 users and 3 items, .* method='{embedder.method}'"
    with pytest.warns(UserWarning, match=message.replace("auto", "ease") + ".*read_interactions makes a row of each"):
        embedder.fit([["a"], ["b"], ["c"]] * 10)


@pytest.mark.parametrize(("method", "baskets"), [("popularity", [["a"], ["b"]]), ("ease", [["a"], ["b", "c"]])])
def test_where_there_is_something_to_learn_nothing_is_said(method, baskets, recwarn):
    InteractionEmbedder(4, method=method, random_state=0).fit(baskets * 10)
    assert not list(recwarn)


def test_few_baskets_teach_item2vec():
    """Twenty passes over two hundred baskets hardly moved a vector; hidden items were found as by popularity."""
    X = sparse.csr_matrix(tastes(400, 600, 20, 0.3), dtype=float)
    embedder = InteractionEmbedder(method="item2vec", random_state=0).fit(X[:200])
    assert embedder.n_iter_ == 320
    popular = InteractionEmbedder(method="popularity").fit(X[:200])
    assert found(embedder, X[200:]) > 2 * found(popular, X[200:])


def test_files_of_before_have_no_prior_and_values_as_they_are():
    X = sparse.csr_matrix(tastes())
    embedder = InteractionEmbedder(8, random_state=0, value_exponent=1, prior=0).fit(X)
    expected = embedder.transform(X)
    del embedder._prior, embedder._value_exponent
    np.testing.assert_array_equal(embedder.transform(X), expected)
    assert (embedder.prior_, embedder.value_exponent_) == (0.0, 1.0)


def test_binary():
    ratings = sparse.random(60, 20, 0.3, "csr", random_state=0) * 5
    one = InteractionEmbedder(4, binary=True, random_state=0).fit(ratings)
    two = InteractionEmbedder(4, random_state=0).fit(ratings > 0)
    assert np.array_equal(one.transform(ratings), two.transform((ratings > 0).astype(float)))


def test_auto_is_a_matter_of_how_many_items_there_are():
    assert InteractionEmbedder(2).fit(X).method_ == "ease"
    wide = sparse.csr_matrix((np.ones(40), (np.arange(40) // 2, np.arange(40) * 600)), shape=(20, 24_000))
    assert InteractionEmbedder(2, max_iter=1).fit(wide).method_ == "ials"


def test_grid_search_over_users():
    search = GridSearchCV(
        InteractionEmbedder(random_state=0), {"embedding_dim": [1, 6], "method": ["ease", "popularity"]}, cv=3
    ).fit(X)
    assert search.best_params_ == {"embedding_dim": 6, "method": "ease"}
    assert set(search.cv_results_) >= {"mean_test_score"}
    matrix = sparse.csr_matrix(np.eye(5)[np.arange(100) % 5] + np.eye(5)[(np.arange(100) + 1) % 5])
    assert GridSearchCV(InteractionEmbedder(random_state=0), {"embedding_dim": [1, 2]}).fit(matrix).best_score_ > 0


def test_users_in_a_frame_are_scored_without_a_warning(recwarn):
    pd = pytest.importorskip("pandas")
    keys = sorted({key for basket in X for key in basket})
    frame = pd.DataFrame([[float(key in basket) for key in keys] for basket in X], columns=keys)
    embedder = InteractionEmbedder(4, random_state=0).fit(frame)
    assert 0 < embedder.score(frame) <= 1
    assert not recwarn.list


@pytest.mark.parametrize(("measure", "expected"), [("ndcg", 1 / np.log2(3)), ("recall", 1.0), ("hit-rate", 1.0)])
def test_measures(measure, expected):
    class Second:
        embedding_ = None

        def recommend(self, X, k):
            _, hidden = basket_split([["a", "b"]] * 3, hidden=1)
            keys = np.array([["other", *row] for row in hidden], dtype=object)
            return keys[:, :k], np.zeros(keys[:, :k].shape)

    data = [["a", "b"]] * 3
    assert recommendation_scorer(measure, 5, hidden=1)(Second(), data) == pytest.approx(expected)
    assert recommendation_scorer(measure, 1, hidden=1)(Second(), data) == 0.0


def test_users_of_whom_nothing_can_be_hidden_are_left_out_of_a_score():
    fitted = InteractionEmbedder(2, random_state=0).fit(X)
    for measure in ("ndcg", "recall", "hit-rate"):
        scorer = recommendation_scorer(measure, 3)
        assert scorer(fitted, [*X[:50], ["0-1"], [], ["soap"]]) == scorer(fitted, X[:50])


def test_scorer_of_a_pipeline_takes_its_steps():
    keys = sorted({key for basket in X for key in basket})
    matrix = sparse.csr_matrix([[float(key in basket) for key in keys] for basket in X])
    order = np.random.default_rng(0).permutation(len(keys))  # other kinds beside each other than in X
    pipeline = make_pipeline(
        FunctionTransformer(lambda matrix: matrix[:, order], accept_sparse=True),
        InteractionEmbedder(6, random_state=0),
    ).fit(matrix)
    plain = InteractionEmbedder(6, random_state=0).fit(matrix)
    scorer = recommendation_scorer("recall", 5, hidden=1)
    assert scorer(pipeline, matrix) > 0.9
    assert scorer(plain, matrix) > 0.9


def test_scorer_of_a_pipeline_and_its_faults():
    matrix = sparse.csr_matrix(np.eye(8)[np.arange(80) % 8] + np.eye(8)[(np.arange(80) + 1) % 8])
    pipeline = make_pipeline(FunctionTransformer(accept_sparse=True), InteractionEmbedder(4, random_state=0)).fit(
        matrix
    )
    assert 0 < recommendation_scorer()(pipeline, matrix) <= 1
    with pytest.raises(ValueError, match="measure='map'"):
        recommendation_scorer("map")
    with pytest.raises(ValueError, match="no user of X has two items"):
        recommendation_scorer()(InteractionEmbedder(2).fit(X), [["0-1"]])
    assert repr(recommendation_scorer(k=5)) == "recommendation_scorer('ndcg', k=5, hidden=0.2, random_state=0)"


def test_parameters_that_fit_may_not_take():
    for bad in ({"penalty": 0}, {"dropout": 1.0}, {"method": "bpr"}, {"embedding_dim": 0}, {"unobserved_weight": -1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            InteractionEmbedder(**bad).fit(X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda fitted: {"input_embedding_": EmbeddingTable(range(24), np.ones((24, 2)))}, "the same items and dim"),
        (lambda fitted: {"input_embedding_": fitted.embedding_.truncate(1)}, "the same items and dimensions"),
        (lambda fitted: {"_fold_in": FoldIn("mean of", fitted._fold_in.empty)}, "of one of the kinds"),
        (lambda fitted: {"_fold_in": FoldIn(fitted._fold_in.kind, np.zeros(3, np.float32))}, "and 2 dimensions"),
        (lambda fitted: {"n_features_in_": 3}, "a vector for each of 3 items"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(changes, message, tmp_path):
    fitted = InteractionEmbedder(2, random_state=0).fit(X)
    vars(fitted).update(changes(fitted))
    save_unchecked(fitted, tmp_path / "kept")
    with pytest.raises(FormatError, match=message):
        skembed.load(tmp_path / "kept")


@pytest.mark.parametrize("unit", [1e-30, 1e-17, 1e-8, 1e8, 1e15, 1e25])
def test_ease_of_values_whatever_their_unit(unit):
    """Scores are in the unit of X, as penalties are relative to it, or an error says that float32 is left."""
    items = sorted({item for basket in X for item in basket})
    matrix = sparse.csr_matrix(np.array([[float(item in basket) for item in items] for basket in X]))
    model = InteractionEmbedder(4, method="ease", random_state=0)
    if 1e-15 < unit < 1e17:
        expected = clone(model).fit(matrix).embedding_.vectors
        found = model.fit(matrix * unit).embedding_.vectors / unit
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
        return
    with pytest.raises(
        ValueError, match=r"X has values up to .*e[-+]\d+, expected such whose sums of squares are within"
    ):
        model.fit(matrix * unit)
