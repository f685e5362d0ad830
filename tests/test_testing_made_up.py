"""What the checks are made with: data that stay the same and have what the checks are about; and assertions."""

import re
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from skembed.testing import (
    _anomaly_checks,
    _graph_checks,
    _image_checks,
    _interaction_checks,
    _pair_checks,
    _sequence_checks,
    _text_checks,
)
from skembed.testing._assertions import assert_equal, assert_raises, assert_same, dense, seeded

# --------------------------------------------------------------------------------------------------------------- data
# A check that an estimator passes it passes in the next version, too: what it is made with stays as it is.


def test_documents():
    texts = _text_checks.documents()
    assert texts == _text_checks.documents()
    assert len(texts) == 240
    assert texts[:2] == _text_checks.documents(2)
    lengths = [len(text.split()) for text in texts]
    assert (min(lengths), max(lengths)) == (5, 14)
    words = [word for text in texts for word in text.split()]
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    assert len(counts) == 80
    assert counts[0] > 5 * counts[40]  # as unequally frequent as in a language
    assert all(re.fullmatch(r"([bdfgklmnprst][aeiou]){2}", word) for word in set(words))
    assert texts[0] == "futo dope nisa none sifu niga gusi laga role rosu sara romi"


def test_usual_rows():
    X = _anomaly_checks.usual_rows()
    assert X.shape == (150, 6)
    np.testing.assert_array_equal(X, _anomaly_checks.usual_rows(150, 6, 0))
    assert X.mean() == pytest.approx(3, abs=0.1)
    correlations = np.corrcoef(X.T)[np.triu_indices(6, 1)]
    assert np.abs(correlations).max() > 0.5  # columns go together
    other = _anomaly_checks.usual_rows(9, seed=1)
    assert other.shape == (9, 6)
    assert not np.isin(other, X).any()
    assert X[0, :2].tolist() == pytest.approx([3.445616, 3.368342], abs=1e-5)


def test_graph():
    X = _graph_checks.graph()
    assert X.shape == (48, 48)
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X, X.T)
    assert not np.diag(X).any()
    assert (X.sum(axis=0) > 0).all()
    assert set(np.unique(X)) == {0.0, 1.0, 2.0, 3.0, 4.0}
    block = np.arange(48) % 3
    same = block[:, None] == block
    shares = (X > 0)[same & ~np.eye(48, dtype=bool)].mean(), (X > 0)[~same].mean()
    assert shares == (pytest.approx(0.54, abs=0.05), pytest.approx(0.05, abs=0.02))
    for step in (3, -3):
        assert (X[np.arange(48), (np.arange(48) + step) % 48] > 0).all()  # a ring through each block
    assert X.sum() == 1018


def test_pictures():
    X = _image_checks.pictures()
    assert [image.shape for image in X] == [(48 + 5 * row, 70 - 4 * row, 3) for row in range(6)]
    for image in X:
        assert image.dtype == np.uint8
        patches = image[:48, :48].reshape(3, 16, 3, 16, 3).astype(float).mean(axis=(1, 3)).reshape(9, 3)
        distances = np.linalg.norm(patches[:, None] - patches[None], axis=2)
        assert ((distances < 9) | (distances > 20)).all()  # two colours, noise that a patch averages out
        assert image[:16, :16, 0].std() > 10
    assert X[0].sum() == 1472955


def test_baskets():
    X = _interaction_checks.baskets()
    assert len(X) == 160
    assert {len(row) for row in X} == {2, 3, 4, 5, 6}
    assert all(len(set(row)) == len(row) for row in X)
    items = {item for row in X for item in row}
    assert items == {*(f"item {i}" for i in range(8)), *range(100, 106), 2.5, None}
    kinds = {item: i % 2 for i, item in enumerate([*(f"item {i}" for i in range(8)), *range(100, 106), 2.5, None])}
    own = np.mean([kinds[item] == place % 2 for place, row in enumerate(X) for item in row])
    assert 0.7 < own < 0.9
    assert X[:2] == [["item 2", "item 0", 102, 104, "item 6", 100], ["item 5", 105, 103, "item 0", "item 1"]]


def test_a_matrix_of_users_and_items_has_what_matrices_may_have():
    X = _interaction_checks._matrix()
    assert X.shape == (60, 20)
    assert (X.data == 0).sum() == 1  # a zero that is written out
    assert not sparse.csr_matrix((X.data, X.indices, X.indptr), shape=X.shape).has_sorted_indices
    assert not X.has_sorted_indices
    assert set(X.data) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    X.sort_indices()
    assert X.has_canonical_format


def test_sequences():
    X = _sequence_checks.sequences()
    assert len(X) == 80
    assert X[0] == []
    assert {len(row) for row in X[1:]} == set(range(2, 10))
    events = ["open", "call", "check", 7, None]
    assert {event for row in X for event in row} == set(events)
    following = [events.index(b) == (events.index(a) + 1) % 5 for row in X for a, b in pairwise(row)]
    assert 0.75 < np.mean(following) < 0.95
    assert {row[0] for row in X[1:]} == {"open", "call"}
    assert X[1:4] == [
        ["call", "check", 7, None, 7, None, "open"],
        ["call", None, "open", "check", 7, None],
        ["open", "call", "check", 7, None, "open"],
    ]


def test_pairs():
    X, Y = _pair_checks.pairs()
    assert (X.shape, Y.shape) == ((240, 12), (240, 9))
    new = _pair_checks.pairs(60, seed=1)
    assert (new[0].shape, new[1].shape) == ((60, 12), (60, 9))
    for sides in ((X, Y), new):
        left, right = (side - side.mean(axis=0) for side in sides)
        shares = np.linalg.svd(
            np.linalg.svd(left, full_matrices=False)[0].T @ np.linalg.svd(right, full_matrices=False)[0]
        )[1]
        assert (shares[:6] > 0.9).all()  # six things in common
        assert (shares[6:] < 0.6).all()
    assert np.abs(X.mean(axis=0)).max() > 0.5  # columns are not centred
    kept = [0.560249, -0.175164], [0.575345, 0.079951]
    np.testing.assert_allclose([X[0, :2], Y[0, :2]], kept, atol=1e-5)


# --------------------------------------------------------------------------------------------------------- assertions


class Seeded(BaseEstimator):
    def __init__(self, random_state=None, alpha=1):
        self.random_state = random_state
        self.alpha = alpha


def test_all_seeds_are_zero_and_parameters_are_set_where_there_are_any():
    estimator = make_pipeline(Seeded(5, 7), Seeded())
    made = seeded(estimator)
    assert [step.random_state for _, step in made.steps] == [0, 0]
    assert [step.alpha for _, step in made.steps] == [7, 1]
    assert [step.random_state for _, step in estimator.steps] == [5, None]
    assert seeded(Seeded(3), alpha=2, novelty=True).get_params() == {"random_state": 0, "alpha": 2}


def test_outputs_as_arrays():
    for output in (sparse.eye(2, format="csr"), np.eye(2), [[1.0, 0.0], [0.0, 1.0]]):
        assert isinstance(dense(output), np.ndarray)
        assert dense(output).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("actual", "expected", "options", "differ"),
    [
        ([1.0, 1000.0], [1.0, 1000.0], {}, False),
        ([1.0005, 1000.0], [1.0, 1000.0], {}, False),  # half a millionth of the largest
        ([1.0015, 1000.0], [1.0, 1000.0], {}, True),
        ([1.0, 1000.009], [1.0, 1000.0], {}, False),  # a hundred thousandth of itself
        ([1.0, 1000.012], [1.0, 1000.0], {}, True),
        ([1.0, 1000.09], [1.0, 1000.0], {"rtol": 1e-4}, False),
        ([1.005, 1000.0], [1.0, 1000.0], {"atol": 1e-5}, False),
        ([1e-20], [0.0], {}, True),
        ([np.nan], [np.nan], {}, False),
        ([np.nan], [1.0], {}, True),
        ([1.0, np.inf], [1.0, np.inf], {}, False),
        ([2.0, np.inf], [1.0, np.inf], {}, True),  # which a share of the largest would be
        ([np.inf, 1.0], [1.0, np.inf], {}, True),
        ([-1.0, 1.0], [1.0, 1.0], {}, True),
        (np.empty((0, 2)), np.empty((0, 2)), {}, False),
        (sparse.eye(2), np.eye(2), {}, False),
    ],
)
def test_outputs_are_the_same_but_for_rounding(actual, expected, options, differ):
    if differ:
        with pytest.raises(AssertionError, match="rows differ"):
            assert_same(actual, expected, "rows differ", **options)
    else:
        assert_same(actual, expected, "rows differ", **options)


def test_shapes_and_bits_and_errors():
    with pytest.raises(AssertionError, match=r"^rows differ: shape \(1, 2\), expected \(2,\)\.$"):
        assert_same([[1.0, 2.0]], [1.0, 2.0], "rows differ")
    assert_equal((np.ones(2) for _ in range(2)), "bits differ")
    assert_equal((sparse.eye(2), np.eye(2)), "bits differ")
    with pytest.raises(AssertionError, match="bits differ"):
        assert_equal((1.0, np.nextafter(1.0, 2.0)), "bits differ")
    assert assert_raises(ValueError, int, "x", message="taken") == "invalid literal for int() with base 10: 'x'"
    assert assert_raises((TypeError, ValueError), int, None, message="taken").startswith("int() argument must be")
    with pytest.raises(AssertionError, match=r"^taken$"):
        assert_raises(ValueError, int, "7", message="taken")
    with pytest.raises(TypeError, match="int"):
        assert_raises(ValueError, int, None, message="taken")


# -------------------------------------------------------------------------------------------------- which checks apply


class Bare(BaseEstimator):
    """An estimator with nothing that only some have."""


class WithJobs(BaseEstimator):
    def __init__(self, n_jobs=None, on_error="raise", embedding_dim=2):
        self.n_jobs, self.on_error, self.embedding_dim = n_jobs, on_error, embedding_dim


class Recommending(Bare):
    def recommend(self): ...

    def predict_next(self): ...

    def explain(self): ...

    def get_feature_names_out(self): ...

    def set_output(self): ...


class NoFit(Bare):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


MODULES = [
    _anomaly_checks,
    _graph_checks,
    _image_checks,
    _interaction_checks,
    _pair_checks,
    _sequence_checks,
    _text_checks,
]


def names_of(module, estimator):
    return [check.__name__ for check in module.checks_for(estimator)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition("._")[2])
def test_every_check_is_one_of_some_estimator(module):
    written = {name for name, value in vars(module).items() if name.startswith("check") and name != "checks_for"}
    found = [names_of(module, kind()) for kind in (Bare, WithJobs, Recommending)]
    assert {name for names in found for name in names} == written
    assert all(len(set(names)) == len(names) for names in found)
    assert all(vars(module)[name].__doc__ for name in written)


def test_checks_of_what_only_some_estimators_have():
    for module in MODULES:
        plain = set(names_of(module, Bare()))
        more = {
            kind: set(names_of(module, kind())) - plain for kind in (WithJobs, Recommending)
        }  # fmt: skip
        name = module.__name__.rpartition("._")[2].removesuffix("_checks")
        assert more[WithJobs] == {
            "anomaly": set(), "image": {"check_rows_of_bad_files", "check_n_jobs"}, "pair": {"check_first_dimensions"},
        }.get(name, {"check_n_jobs"})  # fmt: skip
        assert more[Recommending] == {
            "anomaly": {"check_explanations"}, "text": {"check_feature_names", "check_set_output"},
            "interaction": {"check_recommendations", "check_recommendations_alone", "check_ids_are_kept"},
            "sequence": {"check_predictions", "check_predictions_alone"},
        }.get(name, set())  # fmt: skip
    unfitted = set(names_of(_text_checks, Bare())) - set(names_of(_text_checks, NoFit()))
    assert unfitted == {"check_not_fitted", "check_empty_corpus"}


def test_nearest_partners_are_counted():
    left = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    assert _pair_checks._share_found(left, left) == 0.75
    assert _pair_checks._share_found(left[:3], 5 * left[[0, 2, 1]]) == 1 / 3
    with pytest.raises(AssertionError, match=r"^transform\(X, Y\) does not return the vectors of both sides\.$"):
        _pair_checks._both(type("One", (), {"transform": lambda self, X, Y: [X, Y]})(), left, left)
    with pytest.raises(AssertionError, match="both sides"):
        _pair_checks._both(type("One", (), {"transform": lambda self, X, Y: (X,)})(), left, left)


def test_files_that_are_no_images(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    paths = _image_checks._files(str(tmp_path))
    for path, picture in zip(paths, _image_checks.pictures(), strict=True):
        np.testing.assert_array_equal(np.asarray(image.open(path)), picture)
    bad = _image_checks._bad_files(str(tmp_path))
    assert [path.rpartition("/")[2] for path in bad] == ["cut.png", "text.png", "empty.png", "absent.png"]
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes["cut.png"] == sizes["picture0.png"] // 2
    assert (sizes["text.png"], sizes["empty.png"], "absent.png" in sizes) == (8, 0, False)
