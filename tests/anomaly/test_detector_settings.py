"""What a detector of anomalies predicts of memory, says of neighbours and takes as bounds."""

import re

import numpy as np
import pytest

from skembed import NeighborAnomalyDetector
from skembed.anomaly._neighbor_detector import ROUNDING, WHISKER, _offset, _signs

X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.parametrize(
    ("shape", "whiten", "n_numbers"), [((40, 3), True, 40 * 3), ((40, 3), False, 40 * 3), ((4, 9), True, 4 * 4),
                                       ((4, 9), False, 4 * 9)],
)  # fmt: skip
def test_memory_is_predicted(shape, whiten, n_numbers, monkeypatch):
    asked = []
    monkeypatch.setattr("skembed.anomaly._neighbor_detector.check_memory", lambda *args: asked.append(args))
    NeighborAnomalyDetector(2, whiten=whiten).fit(np.random.default_rng(0).normal(size=shape))
    assert asked == [(
        4 * n_numbers, f"{shape[0]} usual rows of {shape[1]} columns",
        "lower the number of columns, for instance by ProjectionEmbedder, or take a part of the rows",
    )]  # fmt: skip


def test_more_neighbours_than_others_are_told_of():
    message = "n_neighbors is 40 and there are 40 rows, each with 39 others; n_neighbors_ is 39."
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        detector = NeighborAnomalyDetector(40).fit(X)
    assert caught[0].filename == __file__
    assert detector.n_neighbors_ == 39
    assert NeighborAnomalyDetector(39).fit(X).n_neighbors_ == 39


@pytest.mark.parametrize("n_neighbors", [0, -1, True, 2.5, "a"])
def test_explanations_have_a_number_of_neighbours(n_neighbors):
    detector = NeighborAnomalyDetector(2, novelty=True).fit(X)
    with pytest.raises(
        ValueError, match=f"^{re.escape(f'n_neighbors must be a positive int or None, got {n_neighbors!r}.')}$"
    ):
        detector.explain(X[:1], n_neighbors)


def test_explanations_are_as_long_as_asked():
    detector = NeighborAnomalyDetector(2, novelty=True).fit(X)
    assert {len(pairs) for pairs in detector.explain(X[:3])} == {2}
    assert {len(pairs) for pairs in detector.explain(X[:3], 5)} == {5}
    assert {len(pairs) for pairs in detector.explain(X[:3], 99)} == {40}
    assert {len(pairs) for pairs in detector.explain(n_neighbors=np.int64(99))} == {39}


def test_bounds_of_what_is_usual():
    scores = -np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert _offset(scores, 0.25) == -4.5  # a share of the six gaps between and beyond them
    assert _offset(scores, 0.01) == -5.0
    assert _offset(scores, "auto") == pytest.approx(-4.0 * (4.0 / 2.0) ** WHISKER)
    assert _offset(np.append(scores, [0.0, 0.0]), "auto") == _offset(scores, "auto")  # rows that have equals
    rng = np.random.default_rng(0)
    many = -rng.gamma(3, size=101)
    low, high = np.quantile(-many, [0.25, 0.75])
    assert _offset(many, "auto") == pytest.approx(-high * (high / low) ** WHISKER)
    assert _offset(np.zeros(3), "auto") == 0.0
    assert _signs(np.array([-0.1, 0.0, 0.1])).tolist() == [-1, 1, 1]


@pytest.mark.parametrize("shape", [(6, 20), (20, 3)])
def test_where_all_rows_have_equals_rounding_is_the_bound(shape):
    rows = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 9, shape[0])[:, None]
    detector = NeighborAnomalyDetector(1).fit(np.repeat(rows, 2, axis=0))
    table = detector.embedding_
    assert table.metric == "euclidean"
    np.testing.assert_allclose(detector.training_scores_, 0, atol=1e-5)
    longest = np.linalg.norm(table.vectors, axis=1).max()
    assert detector.offset_ == pytest.approx(-ROUNDING * longest, rel=1e-4)


@pytest.mark.parametrize("shape", [(8, 20), (40, 3)])
def test_distances_are_those_of_the_table_that_is_kept(shape):
    """Of new rows; those of fit are each compared as if they had not been there."""
    X = np.random.default_rng(0).normal(size=shape)
    detector = NeighborAnomalyDetector(3, novelty=True).fit(X)
    table = detector.embedding_
    assert (table.keys.tolist(), table.metric) == (list(range(shape[0])), "euclidean")
    distances = np.linalg.norm(table.vectors[:, None].astype(float) - table.vectors[None], axis=2)
    expected = -np.sort(distances, axis=1)[:, :3].mean(axis=1)  # a row that is met again is its own neighbour
    np.testing.assert_allclose(detector.score_samples(X), expected, rtol=1e-3, atol=1e-4)


def test_one_huge_row_hides_no_outlier():
    """As a number that stands for a missing one: rounding is not measured by it."""
    usual = np.random.default_rng(0).normal(size=(200, 3))
    huge = np.vstack([usual, [[-999_999.0, 0.0, 0.0]]])
    for contamination in ("auto", 0.02):
        offset, expected = (
            NeighborAnomalyDetector(novelty=True, whiten=False, contamination=contamination).fit(rows).offset_
            for rows in (huge, usual)
        )
        assert offset == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("shape", [(30, 3), (8, 20)])
def test_a_fit_that_fails_leaves_what_was_fitted(shape, whiten):
    rows = np.random.default_rng(0).normal(size=shape)
    detector = NeighborAnomalyDetector(3, novelty=True, whiten=whiten).fit(rows)
    before = detector.score_samples(rows)
    for bad in (np.full((9, 2), np.nan), np.full((2, 9), np.inf)):
        with pytest.raises(ValueError, match="Input X contains"):
            detector.fit(bad)
        np.testing.assert_array_equal(detector.score_samples(rows), before)
