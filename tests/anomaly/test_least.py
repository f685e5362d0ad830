"""The k least values of each row: those of a sort, whatever is equal, infinite or narrow."""

import numpy as np
import pytest

from skembed.anomaly._least import least_columns, least_values


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (4, 8), (9, 88), (9, 89), (30, 200), (3, 1000)])
@pytest.mark.parametrize("kind", ["normal", "integers", "equal", "infinite", "falling"])
def test_they_are_the_first_of_a_sort(shape, kind):
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape)
    if kind == "integers":
        values = np.round(values)
    if kind == "equal":
        values[:] = 2.0
    if kind == "infinite":
        values[:, 1:] = np.where(rng.random((shape[0], shape[1] - 1)) < 0.5, np.inf, values[:, 1:])
    if kind == "falling":
        values = -np.sort(-values, axis=1)
    before = values.copy()
    for k in {1, 2, 5, shape[1] // 2, shape[1]}:
        if not 1 <= k <= shape[1]:
            continue
        expected = np.sort(values, axis=1)[:, :k]
        np.testing.assert_array_equal(np.sort(least_values(values, k), axis=1), expected)
        columns = least_columns(values, k)
        np.testing.assert_array_equal(np.sort(np.take_along_axis(values, columns, axis=1), axis=1), expected)
        assert all(len(set(row)) == k for row in columns.tolist())
    np.testing.assert_array_equal(values, before)
