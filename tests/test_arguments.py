"""Arguments of the functions and methods beside the estimators, and X and y of another kind than they can be."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

import skembed
from skembed import EmbeddingDisplay, EmbeddingTable
from skembed.base import check_weights
from skembed.data.images import read_images
from skembed.data.interactions import read_baskets
from skembed.data.sequences import as_cells
from skembed.data.target_type import infer_target_type
from skembed.formats import FormatError
from skembed.inspection import compare_tables, hubness, k_occurrences, probe_score
from skembed.pairs import translate
from skembed.sequence import to_sequences

pl = pytest.importorskip("polars")
RNG = np.random.default_rng(0)
TABLE = EmbeddingTable(range(20), RNG.normal(size=(20, 3)))
X = RNG.normal(size=(40, 2))
LABELS = np.arange(40) % 2
LOG = pd.DataFrame({"case": [1, 1, 2], "time": [1, 2, 1], "step": ["a", "b", "c"]})
ENCODER = skembed.EntityEmbeddingEncoder()
BASKETS = skembed.InteractionEmbedder(2, method="popularity").fit([["a", "b"], ["b"]])
HUGE = np.array([[10**400, 1]] * 30, dtype=object)


@pytest.mark.parametrize("wrong", [None, {"a": [1.0]}, np.zeros((3, 3)), "table"], ids=repr)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda wrong: TABLE.align_to(wrong), "other"),
        (lambda wrong: TABLE.merge(wrong), "other"),
        (lambda wrong: hubness(wrong), "table"),
        (lambda wrong: k_occurrences(wrong), "table"),
        (lambda wrong: translate(wrong, TABLE), "source"),
        (lambda wrong: translate(TABLE, wrong), "target"),
        (lambda wrong: EmbeddingDisplay.from_table(wrong), "table"),
    ],
)
def test_what_is_no_table_is_named(call, name, wrong):
    with pytest.raises(TypeError, match=f"^{name} must be an EmbeddingTable, got {type(wrong).__name__}"):
        call(wrong)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: EmbeddingDisplay.from_table(TABLE, method=3), ValueError, "method must be one of .* got 3"),
        (lambda: probe_score(X, LABELS, estimator=3), TypeError, "estimator must be a classifier or regressor"),
        (lambda: probe_score(X, LABELS, cv=[]), ValueError, "cv holds no split"),
        (lambda: to_sequences(LOG, by="case", order="time", prefixes=True), ValueError, "prefixes=True, expected"),
        (lambda: skembed.load(0), TypeError, "path must be a str or os.PathLike, got 0"),
        (lambda: skembed.load(True), TypeError, "path must be a str or os.PathLike, got True"),
        (lambda: skembed.ProjectionEmbedder().fit(HUGE), TypeError, r"X holds 1000.* of type int in row 0 of column 0"),
        (lambda: infer_target_type(HUGE[:, 0]), ValueError, "y holds whole numbers beyond float64"),
        (lambda: read_images(sparse.dok_array((3, 5))), TypeError, r"got a sparse matrix of shape \(3, 5\)"),
        (lambda: read_images(pl.DataFrame({"a": ["x.png"]}).lazy()), TypeError, "X is a polars LazyFrame"),
        (
            lambda: ENCODER.partial_fit(LOG[["step"]], ["a", "b", "a"], classes=[]),
            ValueError,
            r"classes is \[\]; expected",
        ),
        (lambda: ENCODER.partial_fit(LOG[["step"]], ["a", "b", "a"], classes=["a"]), ValueError, "classes is .*two or"),
        (lambda: BASKETS.recommend([["a"]], True), ValueError, "k=True, expected a whole number"),
        (lambda: read_images("/"), TypeError, r"got the single '/'; pass the files of this folder"),
        (lambda: skembed.SequenceEmbedder().fit(LOG), ValueError, "skembed.sequence.to_sequences makes cases of them"),
        (lambda: skembed.load(__file__), FormatError, "This is no file of skembed; EmbeddingTable.load reads other"),
        (lambda: check_weights(["a", "b"], 2), ValueError, "sample_weight holds what is no number: .*'a'"),
        (lambda: check_weights([{}, 1.0], 2), TypeError, "sample_weight holds what is no number: .*dict"),
    ],
)
def test_what_is_refused_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_baskets_of_a_lazy_frame():
    with pytest.raises(TypeError, match="X is a polars LazyFrame"):
        read_baskets(skembed.InteractionEmbedder(), pl.DataFrame({"a": [1.0]}).lazy())


def test_axes_are_of_matplotlib():
    pytest.importorskip("matplotlib")
    with pytest.raises(TypeError, match="ax must be an Axes of matplotlib or None, got list"):
        EmbeddingDisplay.from_table(TABLE).plot([])


def test_numbers_of_numpy():
    small = np.int8(2)
    assert translate(TABLE, TABLE, [3], k=small, n_neighbors=small) == translate(TABLE, TABLE, [3], k=2, n_neighbors=2)
    found, expected = (compare_tables(TABLE, TABLE, n_neighbors=n, random_state=0) for n in (small, 2))
    assert found == expected


def test_an_index_takes_numbers_of_numpy():
    pytest.importorskip("usearch")
    assert TABLE.build_index(connectivity=np.int64(8), n_jobs=np.int64(1)).recall_ == 1
    for n_jobs in (0, True, 1.5, "2"):
        with pytest.raises(ValueError, match="n_jobs must be an int other than 0 or None"):
            TABLE.build_index(n_jobs=n_jobs)


def test_prefixes_longer_than_any_case():
    assert len(to_sequences(LOG, by="case", order="time", prefixes=10**30).X) == 0
    assert len(to_sequences(LOG, by="case", order="time", prefixes=2).X) == 1


def test_a_probe_takes_splits_that_can_be_read_once():
    cv = KFold(4)
    expected = probe_score(X, LABELS, estimator=LogisticRegression(), cv=list(cv.split(X)), random_state=0)
    found = probe_score(X, LABELS, estimator=LogisticRegression(), cv=cv.split(X), random_state=0)
    assert found == expected


def test_cells_of_a_view():
    np.testing.assert_array_equal(as_cells(memoryview(X)), X)
