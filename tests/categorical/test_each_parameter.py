"""Each parameter of the encoders is seen in what is learned, and a fit with it is the same again."""

import numpy as np
import pytest
from constraints import check_taken_and_refused
from sklearn.model_selection import KFold

from skembed import CooccurrenceEncoder, EmbeddingTable, EntityEmbeddingEncoder

RNG = np.random.default_rng(0)
N = 420
LEVELS = np.stack([RNG.integers(8, size=N), RNG.integers(6, size=N)], axis=1)
LEVELS[:3] = [8, 6]  # rare ones
NUMBER = RNG.normal(size=N)
TRUTH = RNG.normal(size=(9, 7))
Y = TRUTH[LEVELS[:, 0], LEVELS[:, 1]] + 0.5 * LEVELS[:, 0] + 0.3 * NUMBER + 0.3 * RNG.normal(size=N)
X = np.array([[f"a{i}", f"b{j}", x] for (i, j), x in zip(LEVELS, NUMBER)], dtype=object)
CLASSES = np.digitize(Y, [0.5, 3.5])
TABLE = EmbeddingTable([f"a{i}" for i in range(9)], RNG.normal(size=(9, 2)))


def entity(y=Y, **parameters):
    encoder = EntityEmbeddingEncoder(
        **({"categorical_features": [0, 1], "random_state": 0, "max_iter": 4} | parameters)
    )
    return encoder.fit_transform(X, y), encoder


def same(one, other):
    return one.shape == other.shape and np.array_equal(one, other)


def told(encoder):
    """Levels that have vectors, and what is told of passes."""
    return (
        [table.keys.tolist() for table in encoder.embeddings_.values()],
        encoder.loss_curve_,
        encoder.validation_scores_,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding_dim": 1},
        {"remainder": "passthrough"},
        {"cv": 3},
        {"cv": None},
        {"cv": KFold(5)},
        {"min_frequency": 10},
        {"min_frequency": 0.1},
        {"max_categories": 4},
        {"max_iter": 1},
        {"max_iter": 0},
        {"early_stopping": False},
        {"validation_fraction": 0.4},
        {"random_state": 1},
        {"hidden_layer_sizes": (4,)},
        {"init": {"x0": TABLE}, "init_frozen": True},
    ],
    ids=str,
)
def test_of_effects_and_interactions(changes):
    plain, first = entity()
    found, encoder = entity(**changes)
    assert not same(plain, found) or told(first) != told(encoder)
    again, _ = entity(**changes)
    np.testing.assert_array_equal(found, again)
    assert encoder.get_params()[next(iter(changes))] == changes[next(iter(changes))]


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_layer_sizes": (5,)},
        {"batch_size": 32},
        {"learning_rate": 0.01},
        {"max_iter": 2},
        {"early_stopping": False},
        {"validation_fraction": 0.4},
        {"random_state": 1},
    ],
    ids=str,
)
def test_of_nets(changes):
    given = {"hidden_layer_sizes": (6, 3), "learning_rate": 0.02, "max_iter": 6}
    _, plain = entity(**given)
    _, found = entity(**(given | changes))
    assert plain.loss_curve_ != found.loss_curve_
    assert len(plain.loss_curve_) == plain.n_iter_ <= 6


@pytest.mark.parametrize("hidden_layer_sizes", [(), (6,)])
def test_when_passes_end(hidden_layer_sizes):
    given = {"hidden_layer_sizes": hidden_layer_sizes, "learning_rate": 0.05, "max_iter": 40}
    soon, late = (entity(**given, n_iter_no_change=n)[1] for n in (1, 6))
    assert len(soon.loss_curve_) <= len(late.loss_curve_)
    assert entity(**given, n_iter_no_change=6, tol=0.5)[1].loss_curve_ == late.loss_curve_[:7]
    whole = entity(**given, early_stopping=False)[1]
    assert len(whole.loss_curve_) == whole.n_iter_ == 40
    assert whole.validation_scores_ == []
    assert len(soon.validation_scores_) == len(soon.loss_curve_)


def test_of_classes():
    plain, encoder = entity(CLASSES)
    assert encoder.target_type_ == "multiclass"
    assert encoder.classes_.tolist() == [0, 1, 2]
    for changes in (
        {"class_weight": "balanced"},
        {"class_weight": {0: 5.0, 1: 1, 2: 1}},
        {"target_type": "continuous"},
    ):
        found, other = entity(CLASSES, **changes)
        assert not same(plain, found)
    assert other.target_type_ == "continuous"
    assert other.classes_ is None
    two = entity(CLASSES > 0)[1]
    assert two.target_type_ == "binary"
    assert two.classes_.tolist() == [False, True]
    both = entity(np.stack([CLASSES, CLASSES > 0], axis=1))[1]
    assert [classes.tolist() for classes in both.classes_] == [[0, 1, 2], [0, 1]]


def test_of_tables_that_are_given():
    frozen = entity(init={"x0": TABLE}, init_frozen=True)[1]
    np.testing.assert_array_equal(frozen.embeddings_["x0"].lookup(TABLE.keys), TABLE.vectors)
    assert frozen.embeddings_["x0"].metric == "cosine"
    assert frozen.embeddings_["x1"].metric == "euclidean"
    learning = entity(init={"x0": TABLE}, hidden_layer_sizes=(6,), learning_rate=0.05, max_iter=10)[1]
    assert learning.embeddings_["x0"].embedding_dim == 2
    given = {"categorical_features": [0, 1], "random_state": 0, "hidden_layer_sizes": (6,), "max_iter": 3}
    fits = [EntityEmbeddingEncoder(**given, warm_start=warm) for warm in (True, False)]
    curves = [fit.fit(X, Y).fit(X, Y).loss_curve_ for fit in fits]
    assert curves[0] != curves[1]


@pytest.mark.filterwarnings("ignore:column 'x1':UserWarning")
def test_names_and_text(capsys):
    constant = np.array([[level, "always"] for level in X[:, 0]], dtype=object)
    encoder = EntityEmbeddingEncoder(random_state=0, verbose=1).fit(constant, Y)
    assert encoder.uninformative_features_ == ["x1"]
    assert "EntityEmbeddingEncoder: nothing to say of the target: 'x1'" in capsys.readouterr().err
    EntityEmbeddingEncoder(random_state=0).fit(constant, Y)
    assert "nothing to say" not in capsys.readouterr().err
    assert not encoder.embeddings_["x1"].vectors.any()
    assert entity()[1].interactions_ == [("x0", "x1")]
    assert encoder.distance_unit_ > 0
    assert np.isinf(encoder.shrinkage_)
    tags = encoder.__sklearn_tags__()
    for wanted in (
        tags.input_tags.categorical,
        tags.input_tags.string,
        tags.input_tags.allow_nan,
        tags.target_tags.required,
        tags.target_tags.multi_output,
    ):
        assert wanted
    assert tags.transformer_tags.preserves_dtype == []
    plain = CooccurrenceEncoder().__sklearn_tags__()
    assert not plain.target_tags.required


def cooccurrence(**parameters):
    given = {"categorical_features": [0, 1], "random_state": 0, "max_iter": 3, "embedding_dim": 3}
    return CooccurrenceEncoder(**(given | parameters)).fit(X)


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding_dim": 2},
        {"method": "glove"},
        {"method": "skip-gram"},
        {"n_bins": 3},
        {"n_bins": None},
        {"remainder": "passthrough"},
        {"min_frequency": 10},
        {"max_categories": 4},
    ],
    ids=str,
)
def test_of_levels_beside_each_other(changes):
    assert not same(cooccurrence().transform(X), cooccurrence(**changes).transform(X))
    np.testing.assert_array_equal(cooccurrence(**changes).transform(X), cooccurrence(**changes).transform(X))


@pytest.mark.parametrize("method", ["glove", "skip-gram"])
@pytest.mark.parametrize("changes", [{"max_iter": 5}, {"random_state": 1}], ids=str)
def test_of_passes_over_levels(method, changes):
    one, other = cooccurrence(method=method), cooccurrence(method=method, **changes)
    assert not same(one.transform(X), other.transform(X))
    assert one.n_iter_ == len(one.loss_curve_) == 3
    assert other.n_iter_ == changes.get("max_iter", 3)
    assert cooccurrence().loss_curve_ == []
    assert cooccurrence().n_iter_ == 1


def test_tables_of_levels():
    encoder = cooccurrence(embedding_dim="auto", min_frequency=10)
    for c, table in enumerate(encoder.embeddings_.values()):
        assert table.metric == "euclidean"
        assert table.unknown.any()  # of rare levels
        assert table.embedding_dim == min(24, len(table) - 1)
        seen = {key: int((X[:, c] == key).sum()) for key in table}
        assert dict(zip(table, table.counts.tolist())) == seen
        assert list(table) == encoder.categories_[c].tolist()
        assert encoder.infrequent_categories_[c].tolist() == [("a8", "b6")[c]]
    plain = cooccurrence(embedding_dim={"x0": 20})
    assert [table.embedding_dim for table in plain.embeddings_.values()] == [20, 6]
    assert not plain.embeddings_["x0"].unknown.any()
    wide = np.array([[f"a{i % 60}", f"b{i * 7 % 50}"] for i in range(900)], dtype=object)
    assert [t.embedding_dim for t in CooccurrenceEncoder(random_state=0).fit(wide).embeddings_.values()] == [24, 24]
    with pytest.raises(AttributeError):
        cooccurrence(method="glove").partial_fit(X)
    assert cooccurrence(method="skip-gram").partial_fit(X).n_iter_ == 6
    first = CooccurrenceEncoder(
        3, categorical_features=[0, 1], method="skip-gram", max_iter=3, random_state=0
    ).partial_fit(X)
    np.testing.assert_array_equal(first.transform(X), cooccurrence(method="skip-gram").transform(X))


WIDTHS = ([1, 7, np.int64(2), "auto", "fastai", "fourth_root", len, {"x0": 1}], [0, -1, 1.5, "third_root", None])
FREQUENCIES = ([None, 1, 5, 0.01, 0.99], [0, 0.0, 1.0, -0.5, "1"])
COLUMNS = (["all", "from_dtype", [0], ["x0"], [True, False]], ["some", 3, None])
LIMITS = ([None, 1, 9], [0, -1, 2.5])
UNKNOWN = (["embed", "error"], ["ignore", None])
REMAINDER = (["drop", "passthrough"], ["keep", None])
TRUTHS = ([True, False], ["yes", None, 2])
SEEDS = ([None, 0, 7, np.random.RandomState(0)], [-1, "a", 1.5])
COUNTED = ([1, 5, np.int32(2)], [0, -1, 1.5, None])
TAKEN = {
    EntityEmbeddingEncoder: {
        "embedding_dim": WIDTHS, "categorical_features": COLUMNS, "remainder": REMAINDER, "min_frequency": FREQUENCIES,
        "max_categories": LIMITS, "handle_unknown": UNKNOWN, "random_state": SEEDS, "n_iter_no_change": COUNTED,
        "early_stopping": TRUTHS, "init_frozen": TRUTHS, "warm_start": TRUTHS,
        "target_type": (["auto", "continuous", "binary", "multiclass"], ["regression", None]),
        "cv": ([None, 2, KFold(3), [([0], [1])]], ["5", 2.5, 1]),
        "class_weight": ([None, "balanced", {0: 1.0}], ["even", 3]),
        "hidden_layer_sizes": (["auto", (), (3,), [5, 2]], ["wide", 3, None]),
        "max_iter": ([0, 1, 50], [-1, 1.5, None]), "batch_size": (["auto", 1, 64], [0, "all", 1.5]),
        "learning_rate": ([1e-9, 0.5, 1, 1e6], [0, 0.0, -1, 1e6 + 1, None]),
        "validation_fraction": ([0.01, 0.99], [0, 1, 0.0, 1.0, None]), "tol": ([0, 0.0, 2.5], [-1e-9, None]),
        "init": ([None, {}, {"x0": TABLE}], [TABLE, "x0", 3]), "memory": ([None, "folder"], [3, True]),
        "device": (["auto", "cpu"], [None, 3]), "verbose": ([0, 1, 2, True], ["yes", -1]),
    },
    CooccurrenceEncoder: {
        "embedding_dim": WIDTHS, "categorical_features": COLUMNS, "remainder": REMAINDER, "min_frequency": FREQUENCIES,
        "max_categories": LIMITS, "handle_unknown": UNKNOWN, "random_state": SEEDS,
        "max_iter": (["auto", *COUNTED[0]], COUNTED[1]),
        "method": (["ppmi-svd", "skip-gram", "glove"], ["svd", None]), "n_bins": ([None, 2, 30], [1, 0, 2.5]),
        "n_jobs": ([None, 1, -1], [1.5, "all"]), "verbose": ([0, 1], ["yes", -1]),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "name"), [(estimator, name) for estimator, taken in TAKEN.items() for name in taken]
)
def test_values_that_are_taken_and_that_are_refused(estimator, name):
    check_taken_and_refused(estimator, name, *TAKEN[estimator][name])


def test_each_parameter_is_in_the_table():
    for estimator, taken in TAKEN.items():
        assert set(taken) == set(estimator().get_params())
