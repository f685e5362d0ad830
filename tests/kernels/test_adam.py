"""Adam on touched rows beside plain numpy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.kernels.adam import adam_rows


@settings(deadline=None)
@given(seed=st.integers(0, 1000), n_rows=st.integers(1, 12), dim=st.integers(1, 9), n=st.integers(0, 30))
def test_steps_touched_rows_alone(seed, n_rows, dim, n):
    generator = np.random.default_rng(seed)
    weight, first = generator.normal(size=(2, n_rows, dim)).astype(np.float32)
    second = generator.random((n_rows, dim)).astype(np.float32)
    before = [a.copy() for a in (weight, first, second)]
    ids = generator.integers(n_rows, size=n)
    gradient = generator.normal(size=(n, dim)).astype(np.float32)
    total = np.zeros((n_rows, dim))
    np.add.at(total, ids, gradient)
    mean = 0.9 * first.astype(float) + 0.1 * total
    square = 0.99 * second.astype(float) + 0.01 * total**2
    expected = weight - 0.1 * mean / (np.sqrt(square) + 1e-3)

    slots = np.zeros(n_rows, np.int32)
    adam_rows(weight, first, second, ids, gradient, slots, *map(np.float32, (0.1, 0.9, 0.99, 1e-3)))
    met, unmet = np.unique(ids), np.setdiff1d(np.arange(n_rows), ids)
    for found, wanted, old in zip((weight, first, second), (expected, mean, square), before):
        np.testing.assert_allclose(found[met], wanted[met], atol=1e-5, rtol=1e-4)
        assert found[unmet].tobytes() == old[unmet].tobytes()
    assert not slots.any()
