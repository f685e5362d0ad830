"""Bins of numeric columns: their edges, which bin a value is in, and values that are in none."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed.data.bins import QuantileBins


def slow_edges(values, n_bins):
    """The twin: quantiles between two neighbours of the sorted finite values, each once."""
    ordered = sorted(value for value in values if np.isfinite(value))
    edges = set()
    for i in range(1, n_bins) if ordered else ():
        place = i * (len(ordered) - 1) / n_bins
        low = ordered[int(place)]
        high = ordered[min(int(place) + 1, len(ordered) - 1)]
        edges.add(low + (place - int(place)) * (high - low))
    return sorted(edges)


@given(
    st.lists(st.one_of(st.integers(-20, 20).map(float), st.sampled_from([np.nan, np.inf, -np.inf])), max_size=40),
    st.sampled_from([1, 2, 4, 8]),  # whose shares are exact
)
def test_edges_and_bins_are_those_of_a_loop(values, n_bins):
    bins = QuantileBins(np.array(values, dtype=np.float64), n_bins)
    edges = slow_edges(values, n_bins)
    assert bins.edges.tolist() == pytest.approx(edges)
    assert bins.n_rows == len(edges) + 1 <= n_bins
    ids = bins.encode(np.array(values, dtype=np.float64))
    assert ids.tolist() == [-1 if np.isnan(value) else sum(edge <= value for edge in bins.edges) for value in values]


def test_bins_hold_equally_many_and_take_later_values():
    bins = QuantileBins(np.arange(100.0), 4)
    assert np.bincount(bins.encode(np.arange(100.0))).tolist() == [25, 25, 25, 25]
    assert bins.encode(np.array([-1e300, 1e300, -np.inf, np.inf, np.nan])).tolist() == [0, 3, 0, 3, -1]
    again = pickle.loads(pickle.dumps(bins))
    assert (again.edges.tolist(), again.n_rows) == (bins.edges.tolist(), 4)


def test_a_column_without_a_number_has_one_bin():
    bins = QuantileBins(np.full(3, np.nan), 5)
    assert (bins.edges.tolist(), bins.n_rows) == ([], 1)
    assert bins.encode(np.array([7.0, np.nan])).tolist() == [0, -1]
