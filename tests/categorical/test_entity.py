"""EntityEmbeddingEncoder: targets, columns, and what comes out."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skembed import EmbeddingTable, EntityEmbeddingEncoder, load, save
from skembed.categorical._dims import resolve_dims


def encoder(embedding_dim="auto", **parameters):
    return EntityEmbeddingEncoder(embedding_dim, **({"max_iter": 3, "random_state": 0} | parameters))


def test_every_frame_gives_the_same_bits(shop, frame, make_objects):
    X = frame(shop.columns)
    fitted = encoder().fit(X, shop.y)
    reference = encoder().fit(make_objects(shop.columns), shop.y)
    np.testing.assert_array_equal(fitted.transform(X), reference.transform(make_objects(shop.columns)))
    np.testing.assert_array_equal(encoder().fit_transform(X, shop.y), encoder().fit_transform(X, shop.y))
    assert list(fitted.embeddings_) == (["city", "grade"] if frame.named else ["x0", "x1"])


def test_categorical_features_in_every_frame(shop, frame):
    X = frame(shop.with_area)
    options = [[0, 1], [True, True, False], [-3, 1], np.array([0, 1]), "from_dtype"]
    if frame.named:
        options.append(["grade", "city"])
    found = [encoder(categorical_features=o, remainder="passthrough").fit(X, shop.y) for o in options]
    for fitted in found:
        out = fitted.transform(X)
        assert out.dtype == np.float64
        np.testing.assert_array_equal(out, found[0].transform(X))
        np.testing.assert_array_equal(out[:, -1], shop.area)
        assert fitted.get_feature_names_out()[-1] == ("area" if frame.named else "x2")


def test_remainder(shop):
    pd = pytest.importorskip("pandas")
    extreme = shop.area.copy()
    extreme[:4] = [1e300, -1e300, np.nan, 5e-324]
    X = pd.DataFrame(shop.with_area).assign(area=extreme)
    kept = encoder(categorical_features=["city", "grade"], remainder="passthrough").fit(X, shop.y)
    dropped = encoder(categorical_features=["city", "grade"]).fit(X, shop.y)
    for out in (kept.transform(X), clone(kept).fit_transform(X, shop.y)):
        np.testing.assert_array_equal(out[:, -1], extreme)
        assert np.isfinite(out[:, :-1]).all()
    assert dropped.transform(X).dtype == np.float32
    np.testing.assert_array_equal(dropped.transform(X), kept.transform(X)[:, :-1].astype(np.float32))


def targets(shop):
    low = shop.y < np.median(shop.y)
    third = np.digitize(shop.y, np.quantile(shop.y, [0.3, 0.6]))
    names = np.array(["a", "b", "c"])
    return {
        "continuous": (shop.y, "continuous", None),
        "float32 column": (shop.y.astype(np.float32)[:, None], "continuous", None),
        "bool": (low, "binary", [False, True]),
        "strings": (np.where(low, "no", "yes"), "binary", ["no", "yes"]),
        "list of strings": (np.where(low, "no", "yes").tolist(), "binary", ["no", "yes"]),
        "objects": (third.astype(object), "multiclass", [0, 1, 2]),
        "floats": (third.astype(float), "multiclass", [0, 1, 2]),
        "column of strings": (names[third][:, None], "multiclass", ["a", "b", "c"]),
        "two numbers": (np.c_[shop.y, -shop.y], "continuous-multioutput", None),
        "two binary": (np.c_[low, ~low].astype(int), "binary-multioutput", [[0, 1], [0, 1]]),
        "two multiclass": (np.c_[third, 2 - third], "multiclass-multioutput", [[0, 1, 2], [0, 1, 2]]),
    }


KINDS = ["continuous", "float32 column", "bool", "strings", "list of strings", "objects", "floats", "column of strings"]
SEVERAL = ["two numbers", "two binary", "two multiclass"]


@pytest.mark.parametrize("kind", KINDS + SEVERAL)
def test_targets(shop, make_objects, kind):
    y, type_, classes = targets(shop)[kind]
    X = make_objects(shop.columns)
    fitted = encoder().fit(X, y)
    assert fitted.target_type_ == type_
    if classes is None:
        assert fitted.classes_ is None
    elif kind in SEVERAL:
        assert [c.tolist() for c in fitted.classes_] == classes
    else:
        assert fitted.classes_.tolist() == classes
    out = encoder().fit_transform(X, y)
    assert np.isfinite(out).all()
    assert np.isfinite(fitted.loss_curve_).all()
    assert len(fitted.loss_curve_) == fitted.n_iter_
    assert make_pipeline(encoder(), Ridge()).fit(X, shop.y).score(X, shop.y) > 0.5


def test_pandas_and_polars_targets(shop, make_objects):
    X = make_objects(shop.columns)
    expected = encoder().fit(X, shop.y).transform(X)
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for y in (pd.Series(shop.y), pl.Series(shop.y), pd.DataFrame({"y": shop.y}), pl.DataFrame({"y": shop.y})):
        np.testing.assert_array_equal(encoder().fit(X, y).transform(X), expected)
    low = shop.y < 2
    for y in (pd.Series(low, dtype="boolean"), pd.Series(low.astype(int), dtype="Int64"), pl.Series(low)):
        assert encoder().fit(X, y).target_type_ == "binary"
    for y in (pd.Series(np.where(low, "a", "b"), dtype="category"), pl.Series(np.where(low, "a", "b"))):
        assert encoder().fit(X, y).classes_.tolist() == ["a", "b"]


def test_the_net_learns_what_the_effects_leave(shop, make_objects):
    X = make_objects(shop.columns)
    layers = {
        "hidden_layer_sizes": (128, 64),
        "learning_rate": 0.01,
        "validation_fraction": 0.1,
        "n_iter_no_change": 30,
    }
    fitted = encoder(max_iter=30, embedding_dim=6, **layers).fit(X, shop.y)
    assert fitted.loss_curve_[-1] < 0.5 * fitted.loss_curve_[0]
    assert fitted.validation_scores_[-1] > 0.8
    assert np.isfinite(fitted.shrinkage_)


def test_leading_dimensions_are_the_effects(shop, make_objects):
    X = make_objects(shop.columns)
    fitted = encoder().fit(X, shop.y)
    means = [shop.y[shop.city == i].mean() for i in range(7)]
    rows = fitted._schema.vocabularies[0].encode_keys(["Bonn", "Graz", "Oslo", "Bari", "Ulm", "Rome", None])
    vectors = fitted.embeddings_["x0"].lookup(["Bonn", "Graz", "Oslo", "Bari", "Ulm", "Rome", None])
    assert np.corrcoef(vectors[:, 0], means)[0, 1] > 0.97
    assert np.corrcoef(fitted._learned.effects.marginal[0][rows, 0], means)[0, 1] > 0.99


def test_names_out(shop, frame):
    fitted = encoder({"city" if frame.named else "x0": 11}).fit(frame(shop.columns), shop.y)
    first, second = ("city", "grade") if frame.named else ("x0", "x1")
    names = fitted.get_feature_names_out().tolist()
    assert names[:2] == [f"{first}_00", f"{first}_01"]
    assert names[11] == f"{second}_0"
    assert len(names) == fitted.transform(frame(shop.columns)).shape[1]
    if not frame.named:
        assert fitted.get_feature_names_out(["u", "v"])[0] == "u_00"


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(shop, make_objects, container):
    pytest.importorskip(container)
    fitted = encoder().set_output(transform=container)
    X = make_objects(shop.columns)
    out = fitted.fit_transform(X, shop.y)
    assert type(out).__module__.startswith(container)
    assert list(out.columns) == fitted.get_feature_names_out().tolist()
    assert type(fitted.transform(X)).__module__.startswith(container)


@pytest.mark.parametrize("rule", [3, "fourth_root", "fastai", lambda n: n + 1, {"x0": 5, "x1": "fourth_root"}])
def test_embedding_dim(shop, make_objects, rule):
    fitted = encoder(rule).fit(make_objects(shop.columns), shop.y)
    dims = [t.embedding_dim for t in fitted.embeddings_.values()]
    expected = {3: [3, 3], "fourth_root": [2, 2], "fastai": [5, 3]}
    if isinstance(rule, dict):
        assert dims == [5, 2]
    elif callable(rule):
        assert dims == [8, 4]
    else:
        assert dims == expected[rule]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("fourth_root", {1: 1, 2: 2, 16: 2, 17: 3, 81: 3, 82: 4, 10_000: 10, 10_001: 11}),
        ("fastai", {1: 2, 2: 2, 10: 6, 100: 21, 1000: 77, 100_000: 600}),
    ],
)
def test_rules_of_thumb_are_the_published_ones(rule, expected):
    names = [str(n) for n in expected]
    assert dict(zip(expected, resolve_dims(rule, names, list(expected)))) == expected


def test_grid_search_over_dimensions_is_the_same_in_two_processes(shop):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(shop.columns)
    scores = []
    for n_jobs in (1, 2):
        search = GridSearchCV(
            make_pipeline(encoder(), Ridge()),
            {"entityembeddingencoder__embedding_dim": [1, 4, {"city": 2}, {"city": 3, "grade": "fastai"}]},
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(X, shop.y)
        scores.append(search.cv_results_["mean_test_score"])
    assert scores[0].min() > 0.5
    np.testing.assert_array_equal(scores[0], scores[1])


def test_inverse_transform_gives_the_levels_back(shop, frame):
    X = frame(shop.with_area)
    fitted = encoder(categorical_features=[0, 1], remainder="passthrough", max_iter=2).fit(X, shop.y)
    back = fitted.inverse_transform(fitted.transform(X))
    assert back[:, 0].tolist() == shop.with_area["city"]
    assert back[:, 1].tolist() == shop.with_area["grade"]
    np.testing.assert_array_equal(back[:, 2].astype(float), shop.area)
    dropped = encoder(categorical_features=[0, 1], max_iter=2).fit(X, shop.y)
    assert (dropped.inverse_transform(dropped.transform(X))[:, 2] == None).all()  # noqa: E711
    with pytest.raises(ValueError, match="expects"):
        fitted.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="finite"):
        fitted.inverse_transform(np.full((1, fitted.transform(X).shape[1]), np.nan))
    fitted.set_output(transform="pandas" if hasattr(X, "iloc") else "polars")
    Z = fitted.transform(X)
    np.testing.assert_array_equal(fitted.inverse_transform(Z), back)
    names = list(Z.columns)
    with pytest.raises(
        ValueError, match=f"^column 0 of X is {names[-1]!r}, expected {names[0]!r}: give the columns in"
    ):
        fitted.inverse_transform(Z[names[::-1]])


def test_copies(shop, make_objects):
    X = make_objects(shop.columns)
    fitted = encoder().fit(X, shop.y)
    expected = fitted.transform(X)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(other.transform(X), expected)
        assert other.embeddings_ == fitted.embeddings_
        np.testing.assert_array_equal(
            other.partial_fit(X, shop.y).transform(X), copy.deepcopy(fitted).partial_fit(X, shop.y).transform(X)
        )
    with pytest.raises(NotFittedError):
        clone(fitted).transform(X)
    with_table = clone(encoder(init=dict(fitted.embeddings_)))
    assert with_table.init["x0"] == fitted.embeddings_["x0"]


def test_weights_that_stand_for_billions_of_rows_come_back(shop, make_objects, tmp_path):
    X = make_objects(shop.columns)
    fitted = encoder().fit(X, shop.y, sample_weight=np.full(len(shop.y), 2**30))
    save(fitted, tmp_path / "encoder")
    for other in (pickle.loads(pickle.dumps(fitted)), load(tmp_path / "encoder")):
        np.testing.assert_array_equal(other.transform(X), fitted.transform(X))


def test_tables(shop, make_objects):
    fitted = encoder().fit(make_objects(shop.columns), shop.y)
    table = fitted.embeddings_["x0"]
    assert isinstance(table, EmbeddingTable)
    assert None in table
    assert table.keys.tolist() == fitted.categories_[0].tolist()
    new = fitted.transform([["Paris", "low"]])[0]
    np.testing.assert_array_equal(new[: table.embedding_dim], table.unknown)
    assert new[: table.embedding_dim].any()


def test_replaces_one_hot(shop, make_objects):
    X = make_objects(shop.columns)
    entity = cross_val_score(make_pipeline(encoder(max_iter=20), Ridge()), X, shop.y, cv=3).mean()
    one_hot = cross_val_score(make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()), X, shop.y, cv=3).mean()
    assert entity > one_hot - 0.02


def test_repr_and_doc_link():
    assert repr(EntityEmbeddingEncoder(3, cv=None)) == "EntityEmbeddingEncoder(cv=None, embedding_dim=3)"
    assert "api/skembed.categorical.EntityEmbeddingEncoder.html" in EntityEmbeddingEncoder()._repr_html_()
