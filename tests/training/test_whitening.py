"""Whitening: what is worked on at a time; what it whitens is told in tests/anomaly."""

import numpy as np
import pytest

from skembed.training import whitening
from skembed.training.whitening import slices


@pytest.mark.parametrize(("width", "n_at_once"), [(0, 12), (1, 12), (3, 4), (5, 2), (100, 1)])
def test_slices_hold_as_many_values_as_they_may(width, n_at_once, monkeypatch):
    monkeypatch.setattr(whitening, "VALUES_AT_ONCE", 12)
    found = list(slices(30, width))
    np.testing.assert_array_equal(np.concatenate([np.arange(30)[one] for one in found]), np.arange(30))
    assert {one.stop - one.start for one in found[:-1]} == {n_at_once}
