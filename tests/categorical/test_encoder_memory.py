"""EntityEmbeddingEncoder's cache: what differs in `embedding_dim` alone is looked up, whatever else differs is not."""

import copy
import tempfile
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from frames import FRAMES, make_frame
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

import skembed
from skembed import EntityEmbeddingEncoder
from skembed.categorical import _column_encoder, _entity, _learn, _recent
from skembed.categorical._problem import RowVectors
from skembed.training.recent import Recent

pytestmark = pytest.mark.filterwarnings("ignore:column")

DIMS = [1, 2, 40, "auto", {"city": 3}]


@pytest.fixture(autouse=True)
def recent(monkeypatch):
    """Fits of other tests are not known."""
    monkeypatch.setattr(_recent, "RECENT", Recent(_recent.RECENT.limit))
    return _recent.RECENT


@pytest.fixture
def calls(monkeypatch):
    """Which of the steps were taken: X read into a problem, and learned from."""
    taken = []

    def counted(module, name):
        step = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **k: taken.append(name) or step(*a, **k))

    counted(_entity, "set_up")
    counted(_learn, "learn")
    return taken


def table(n=500, seed=0):
    """Two columns that interact, a number, and a target of all three."""
    rng = np.random.default_rng(seed)
    city, kind = rng.integers(12, size=n), rng.integers(5, size=n)
    number = rng.normal(size=n)
    y = rng.standard_normal((12, 5))[city, kind] + city / 5 + number + 0.5 * rng.standard_normal(n)
    return {"city": [f"city {c}" for c in city], "kind": kind.tolist(), "number": number.tolist()}, y


def encoder(embedding_dim="auto", **parameters):
    return EntityEmbeddingEncoder(embedding_dim, **({"random_state": 0, "categorical_features": [0, 1]} | parameters))


def assert_same(found, expected, X):
    assert found.embeddings_ == expected.embeddings_
    assert list(map(list, found.categories_)) == list(map(list, expected.categories_))
    assert (found.loss_curve_, found.interactions_) == (expected.loss_curve_, expected.interactions_)
    assert (found.n_iter_, found.distance_unit_) == (expected.n_iter_, expected.distance_unit_)
    assert found.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))
    assert saved(found) == saved(expected)


def saved(fitted):
    """The bytes of its file, which holds all that was learned."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder"
        skembed.save(copy.deepcopy(fitted).set_params(memory=None, cv=None), path)
        return path.read_bytes()


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("options", [{}, {"cv": None}, {"remainder": "passthrough"}, {"cv": KFold(3)}], ids=str)
def test_a_cut_is_what_a_fit_of_its_own_gives(tmp_path, calls, kind, options):
    columns, y = table()
    X = make_frame(kind, columns)
    weight = np.arange(len(y)) % 4  # rows of weight 0 among them
    for dim in DIMS:
        dim = {"x0": 3} if isinstance(dim, dict) and kind in ("numpy", "list") else dim
        plain, kept = encoder(dim, **options), encoder(dim, memory=str(tmp_path), **options)
        for weights in (None, weight):
            calls.clear()
            found = kept.fit_transform(X, y, sample_weight=weights)
            assert calls == ([] if dim != 1 else ["set_up", "learn"])
            np.testing.assert_array_equal(found, plain.fit_transform(X, y, sample_weight=weights))
            assert_same(kept, plain, X)


@pytest.mark.parametrize("target", ["binary", "multiclass", "two outputs", "strings"])
def test_targets_of_every_type(tmp_path, calls, target):
    columns, y = table()
    X = make_frame("pandas", columns)
    y = {
        "binary": y > 0,
        "multiclass": np.digitize(y, [-1, 1]),
        "two outputs": np.c_[y, -(y**2)],
        "strings": np.where(y > 0, "high", "low").astype(object),
    }[target]
    for dim in (2, 3):
        kept, plain = encoder(dim, memory=str(tmp_path)), encoder(dim)
        np.testing.assert_array_equal(kept.fit_transform(X, y), plain.fit_transform(X, y))
        assert_same(kept, plain, X)
        if target == "multiclass":
            kept.classes_[:] = 7  # nobody else's
    assert calls == ["set_up", "learn"] * 3  # the first of two cached ones, and two of their own


def other(columns, y):
    """What may differ of a fit, by name: X, y, arguments of fit, parameters."""
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(columns)
    moved, renamed = X.copy(), X.copy()
    moved.loc[17, "city"] = "city 3" if columns["city"][17] != "city 3" else "city 4"
    renamed.loc[17, "city"] = "another city"
    number = X.copy()
    number.loc[17, "number"] = np.nextafter(columns["number"][17], 9)
    weight = np.ones(len(y))
    weight[17] = 2.0
    target = y.copy()
    target[17] = np.nextafter(y[17], 9)
    yield "a level", moved, y, {}, {}
    yield "a new level", renamed, y, {}, {}
    yield "a number", number, y, {}, {}
    yield "dtype of a column", X.astype({"kind": "float32"}), y, {}, {}
    yield "strings in place of numbers", X.astype({"kind": str}), y, {}, {}
    yield "names", X.rename(columns={"city": "town"}), y, {}, {}
    yield "order of columns", X[["kind", "city", "number"]], y, {}, {}
    yield "order of rows", X.iloc[::-1], y, {}, {}
    yield "fewer rows", X[:-1], y[:-1], {}, {}
    yield "a target", X, target, {}, {}
    yield "dtype of the target", X, y.astype(np.float32), {}, {}
    yield "a weight", X, y, {"sample_weight": weight}, {}
    yield "weight 0", X, y, {"sample_weight": weight - 1.0 * (np.arange(len(y)) == 3)}, {}
    for changed in (
        *({"random_state": 1}, {"cv": 4}, {"cv": KFold(5)}, {"cv": KFold(5, shuffle=True, random_state=0)}),
        *({"cv": KFold(5, shuffle=True, random_state=1)}, {"cv": None}, {"min_frequency": 50}, {"max_categories": 4}),
        *({"max_iter": 0}, {"max_iter": 1}, {"early_stopping": False}, {"validation_fraction": 0.4}, {"tol": 10.0}),
        *({"categorical_features": [0]}, {"categorical_features": [0, 1, 2]}, {"target_type": "continuous"}),
        *({"n_iter_no_change": 1}, {"batch_size": 100}, {"learning_rate": 0.1}, {"hidden_layer_sizes": (3,)}),
    ):
        yield repr(changed), X, y, {}, changed


def test_whatever_else_differs_is_no_look_up(tmp_path, calls):
    pd = pytest.importorskip("pandas")
    columns, y = table()
    X = pd.DataFrame(columns)
    kept = encoder(2, memory=str(tmp_path))
    kept.fit(X, y)
    differ = [*other(columns, y)]
    for name, X_other, y_other, arguments, parameters in differ:
        if "hidden" in name:
            pytest.importorskip("torch")
        calls.clear()
        found = clone(kept).set_params(**parameters)
        Z = found.fit_transform(X_other, y_other, **arguments)
        assert calls[:1] == ["set_up"], name
        plain = encoder(2, **parameters)
        np.testing.assert_array_equal(Z, plain.fit_transform(X_other, y_other, **arguments), err_msg=name)
        np.testing.assert_array_equal(found.transform(X_other), plain.transform(X_other), err_msg=name)
    calls.clear()
    for _, X_other, y_other, arguments, parameters in differ:  # each is known now
        clone(kept).set_params(**parameters, embedding_dim=3).fit(X_other, y_other, **arguments)
    assert calls == []


def test_what_changes_in_place_is_noticed(tmp_path, calls):
    columns, y = table()
    X = make_frame("numpy", columns)
    kept = encoder(2, memory=str(tmp_path)).fit(X, y)
    X[3, 0], y[4] = "city 1", 7.0
    np.testing.assert_array_equal(kept.fit_transform(X, y), encoder(2).fit_transform(X, y))


def splits(n):
    yield np.arange(n // 2), np.arange(n // 2, n)
    yield np.arange(n // 2, n), np.arange(n // 2)


class Halves:
    """A splitter of the user's own."""

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2

    def split(self, X, y=None, groups=None):
        return splits(len(X))


@pytest.mark.parametrize(
    "options",
    [
        {"cv": Halves()},
        {"cv": [*splits(500)]},
        {"cv": KFold(3, shuffle=True)},
        {"random_state": None},
        {"random_state": np.random.RandomState(0)},
        {"groups": np.arange(500) % 7, "cv": GroupKFold(3)},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_need_not_be_equal_again_is_not_held(tmp_path, calls, recent, options):
    options = dict(options)
    groups = options.pop("groups", None)
    columns, y = table()
    X = make_frame("pandas", columns)
    for dim in (2, 3):
        encoder(dim, memory=str(tmp_path), **options).fit(X, y, groups=groups)
    assert calls.count("set_up") == 2
    assert len(recent) == 0
    assert not _recent._is_settled(ShuffleSplit(2))


def test_objects_that_are_equal_to_themselves_alone(tmp_path):
    class Label:
        def __reduce__(self):
            return str, ("a label",)

    labels, y = [Label() for _ in range(4)], table()[1]
    for seed in range(2):
        X = np.empty((len(y), 1), dtype=object)
        X[:, 0] = np.array([*labels, None], dtype=object)[np.random.default_rng(seed).integers(5, size=len(y))]
        options = {"categorical_features": "all"}
        kept, plain = encoder(2, memory=str(tmp_path), **options), encoder(2, **options)
        np.testing.assert_array_equal(kept.fit_transform(X, y), plain.fit_transform(X, y))
        np.testing.assert_array_equal(kept.transform(X), plain.transform(X))


def test_what_the_cache_has_lost_is_learned_and_written_anew(tmp_path, calls):
    columns, y = table()
    X = make_frame("pandas", columns)
    memory = joblib.Memory(tmp_path, verbose=0)
    kept = encoder(2, memory=memory).fit(X, y)
    for lose in (lambda: memory.clear(warn=False), lambda: [path.unlink() for path in tmp_path.rglob("output.pkl")]):
        lose()
        calls.clear()
        clone(kept).fit(X, y)
        assert calls == ["set_up", "learn"]
        assert len([*tmp_path.rglob("output.pkl")]) == 1
    calls.clear()
    encoder(2, memory=str(tmp_path / "elsewhere")).fit(X, y)
    assert calls == ["set_up", "learn"]
    assert len([*tmp_path.rglob("output.pkl")]) == 2


def test_a_new_process_reads_what_was_learned(tmp_path, calls, monkeypatch):
    columns, y = table()
    X = make_frame("pandas", columns)
    Z = encoder(2, memory=str(tmp_path)).fit_transform(X, y)
    monkeypatch.setattr(_recent, "RECENT", Recent(1 << 28))
    calls.clear()
    for _ in range(2):
        np.testing.assert_array_equal(encoder(2, memory=str(tmp_path)).fit_transform(X, y), Z)
    assert calls == ["set_up"]


def test_what_is_held_is_bounded(tmp_path, calls, monkeypatch):
    columns, y = table()
    X = make_frame("pandas", columns)
    encoder(2, memory=str(tmp_path)).fit(X, y)
    ((_, size),) = _recent.RECENT._values.values()
    assert 4 * 2 * len(y) < size < 1_000_000
    monkeypatch.setattr(_recent, "RECENT", Recent(2 * size + size // 2))
    for seed in range(4):
        encoder(2, random_state=seed, memory=str(tmp_path)).fit(X, y)
    assert len(_recent.RECENT) == 2
    monkeypatch.setattr(_recent, "RECENT", Recent(size - 1))
    calls.clear()
    for dim in (2, 3):
        found = encoder(dim, memory=str(tmp_path)).fit_transform(X, y)
        np.testing.assert_array_equal(found, encoder(dim).fit_transform(X, y))
    assert calls == ["set_up", "set_up", "learn"] * 2  # read from the file, learned by the other
    assert len(_recent.RECENT) == 0


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)], ids=["interactions", "net"])
def test_an_encoder_that_goes_on_leaves_others_as_they_are(tmp_path, hidden_layer_sizes):
    if hidden_layer_sizes:
        pytest.importorskip("torch")
    columns, y = table()
    X = make_frame("pandas", columns)
    further, y_further = table(seed=1)
    further = make_frame("pandas", further | {"city": [f"{c} x" for c in further["city"]]})
    plain = encoder(2, hidden_layer_sizes=hidden_layer_sizes, max_iter=3)
    kept = clone(plain).set_params(memory=str(tmp_path))
    expected = plain.fit_transform(X, y)
    for _ in range(2):
        going = clone(kept).fit(X, y)
        going.loss_curve_.append(0.0)
        going.fit(X, y).partial_fit(further, y_further).partial_fit(X, -y)
        again = clone(kept)
        np.testing.assert_array_equal(again.fit_transform(X, y), expected)
        assert_same(again, plain, X)
    on = clone(plain).fit(X, y).partial_fit(further, y_further).partial_fit(X, -y)
    np.testing.assert_array_equal(going.transform(X), on.transform(X))


def test_warnings_are_given_each_time(tmp_path):
    columns, y = table()
    X = make_frame("pandas", columns | {"kind": ["same"] * len(y)})
    prices = np.round(100 * y)
    for dim in (1, 2, 2):
        with pytest.warns(UserWarning, match="target_type='auto' takes y for") as caught:
            encoder(dim, memory=str(tmp_path)).fit(X, prices)
        assert ["column 'kind' has one level only" in str(w.message) for w in caught] == [False, True]
        assert {w.filename for w in caught} == {__file__}


def test_a_dimension_that_is_none_is_refused_each_time(tmp_path):
    columns, y = table()
    X = make_frame("pandas", columns)
    encoder(2, memory=str(tmp_path)).fit(X, y)
    for dim, message in ((-1, "embedding_dim"), ({"nowhere": 2}, "not categorical columns of X")):
        with pytest.raises(ValueError, match=message):
            encoder(dim, memory=str(tmp_path)).fit(X, y)
    with pytest.raises(ValueError, match="categorical_features names 'nowhere'"):
        encoder(2, memory=str(tmp_path), categorical_features=["nowhere"]).fit(X, y)
    with pytest.raises(TypeError, match=r"Row 0 of column 'city' holds \['a'\]"):
        encoder(2, memory=str(tmp_path)).fit(make_frame("pandas", columns | {"city": [["a"]] * len(y)}), y)


def test_what_was_cut_short_is_not_held(tmp_path, calls, recent, monkeypatch):
    from skembed.training.callbacks import PassCallbacks

    columns, y = table()
    X = make_frame("pandas", columns)
    with monkeypatch.context() as patch:
        patch.setattr(PassCallbacks, "end_pass", lambda self, loss, score=None: True)
        encoder(2, memory=str(tmp_path)).fit(X, y)
    assert len(recent) == 0
    with monkeypatch.context() as patch:
        patch.setattr(PassCallbacks, "begin_pass", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            encoder(2, memory=str(tmp_path)).fit(X, y)
    assert len(recent) == 0
    kept = encoder(2, memory=str(tmp_path)).fit(X, y)
    assert_same(kept, encoder(2).fit(X, y), X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_finds_the_same(tmp_path, n_jobs):
    columns, y = table()
    X = make_frame("pandas", columns)
    grid = {"entityembeddingencoder__embedding_dim": [1, 2, 3, {"city": 4}]}

    def search(memory):
        pipeline = make_pipeline(encoder(memory=memory), Ridge())
        return GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, y)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached, plain = search(str(tmp_path)), search(None)
    np.testing.assert_array_equal(cached.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(cached.predict(X), plain.predict(X))
    assert len([*tmp_path.rglob("output.pkl")]) == 4


@pytest.mark.parametrize("n_codes", [1, 40, 300, 10**12], ids="{:.0e}".format)
def test_rows_that_share_vectors_have_the_same_ones(n_codes):
    rng = np.random.default_rng(0)
    codes = rng.integers(n_codes, size=300)
    vectors = np.stack([np.cos(codes), codes], axis=1).astype(np.float32)
    own = RowVectors(vectors, codes)
    shared = own.shared()
    assert len(shared.vectors) == len(np.unique(codes))
    assert shared.codes.nbytes < codes.nbytes
    for dim in (1, 2, 3):
        np.testing.assert_array_equal(shared.cut(dim), vectors[:, :dim])
        np.testing.assert_array_equal(own.cut(dim), vectors[:, :dim])


@pytest.fixture
def encoded(monkeypatch):
    """How often the levels of rows were numbered by `transform`."""
    monkeypatch.setattr(_recent, "LEVELS", Recent(_recent.LEVELS.limit))
    taken, step = [], _column_encoder.encode_levels
    monkeypatch.setattr(_column_encoder, "encode_levels", lambda *a, **k: taken.append(1) or step(*a, **k))
    return taken


@pytest.mark.parametrize("kind", FRAMES)
def test_rows_that_every_cut_transforms_are_numbered_once(tmp_path, encoded, kind):
    columns, y = table()
    new = table(seed=1)[0]
    new["city"][:3] = ["nowhere", "elsewhere", "nowhere"]
    X, X_new = make_frame(kind, columns), make_frame(kind, new)
    for dim in (1, 3, 40):
        kept = encoder(dim, memory=str(tmp_path), remainder="passthrough").fit(X, y)
        plain = encoder(dim, remainder="passthrough").fit(X, y)
        expected = [plain.transform(rows) for rows in (X_new, X)]
        encoded.clear()
        for _ in range(2):
            for rows, wanted in zip((X_new, X), expected):
                np.testing.assert_array_equal(kept.transform(rows), wanted)
        assert len(encoded) == (2 if dim == 1 else 0)


def test_other_rows_and_other_levels_are_numbered_anew(tmp_path, encoded):
    columns, y = table()
    X, (new, y_new) = make_frame("pandas", columns), table(seed=1)
    X_new = make_frame("pandas", new)
    kept = encoder(2, memory=str(tmp_path)).fit(X, y)
    Z = kept.transform(X_new)
    X_new.loc[0, "city"] = "nowhere"
    assert (kept.transform(X_new)[0] != Z[0]).any()
    X_new.loc[0, "city"] = new["city"][0]
    np.testing.assert_array_equal(kept.transform(X_new), Z)
    assert len(encoded) == 2
    number = X_new.assign(number=7.0)  # no levels
    np.testing.assert_array_equal(kept.transform(number), Z)
    assert len(encoded) == 2
    on = clone(kept).fit(X, y).partial_fit(X_new[:200].assign(city="nowhere"), y_new[:200])
    expected = encoder(2).fit(X, y).partial_fit(X_new[:200].assign(city="nowhere"), y_new[:200])
    lost = X_new.assign(city="nowhere")
    for rows in (X_new, lost, X_new, lost):
        np.testing.assert_array_equal(on.transform(rows), expected.transform(rows))
    np.testing.assert_array_equal(kept.transform(X_new), Z)


def test_levels_that_are_unknown_are_told_each_time(tmp_path, encoded):
    columns, y = table()
    X = make_frame("pandas", columns)
    kept = encoder(2, memory=str(tmp_path)).fit(X, y)
    for _ in range(2):
        with pytest.warns(UserWarning, match="no value is known: column 'kind'"):
            kept.transform(X.assign(kind="another"))
    kept.set_params(handle_unknown="error")
    for _ in range(2):
        with pytest.raises(ValueError, match="Found unknown categories in column 'kind'"):
            kept.transform(X.assign(kind="another"))


def test_numbers_of_levels_are_bounded_too(tmp_path, encoded, monkeypatch):
    columns, y = table()
    X = make_frame("pandas", columns)
    kept = encoder(2, memory=str(tmp_path)).fit(X, y)
    monkeypatch.setattr(_recent, "LEVELS", Recent(2 * len(y)))
    for seed in (1, 2, 1, 2):
        kept.transform(make_frame("pandas", table(seed=seed)[0]))
        assert len(_recent.LEVELS) == 1  # a byte a level
    assert len(encoded) == 4
