"""Which dimensions a column is given: what is judged by its spread, and how far that may be chance."""

import numpy as np

from skembed.categorical._layout import spread_error, spreads


def test_the_error_of_a_spread_is_how_far_it_strays_where_levels_explain_nothing():
    rng = np.random.default_rng(0)
    counts = np.array([0, 300, 200, 0, 0, 100])  # levels of no row have nothing that could stray
    means = rng.normal(size=(20_000, len(counts))) / np.sqrt(np.maximum(counts, 1))
    found = spreads(means.T, counts)
    np.testing.assert_allclose(spread_error(counts), found.std(), rtol=0.03)
