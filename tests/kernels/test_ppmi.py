"""Positive pointwise mutual information and its products, beside numpy twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skembed.data.ragged import Ragged
from skembed.kernels.ppmi import count_partners, multiply, write_ppmi
from skembed.kernels.simd import aligned_zeros

EXPONENT = 0.75


@st.composite
def baskets(draw):
    n_keys = draw(st.integers(2, 9))
    rows = draw(st.lists(st.lists(st.integers(0, n_keys - 1), unique=True, max_size=6), min_size=1, max_size=12))
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Ragged(indptr, np.array([key for row in rows for key in row], dtype=np.int32)), n_keys


def shared(rows, n_keys):
    """How many sequences each two keys share, the plain way."""
    dense = np.zeros((len(rows), n_keys))
    for i in range(len(rows)):
        dense[i, rows.indices[rows.indptr[i] : rows.indptr[i + 1]]] = 1
    common = dense.T @ dense
    np.fill_diagonal(common, 0)
    return common, dense.sum(axis=0)


def slow_ppmi(common, n_sequences):
    marginals = np.maximum(common.sum(axis=1), 1)
    smoothed = marginals**EXPONENT
    total = smoothed[common.sum(axis=1) > 0].sum()
    with np.errstate(divide="ignore"):
        value = np.maximum(np.log(common * total / np.outer(marginals, smoothed)), 0)
    fewer = np.minimum.outer(n_sequences, n_sequences)
    return value * common / (common + 1) * fewer / (fewer + 1)


def written(rows, n_keys, least, cut):
    by_key = rows.transposed(n_keys)
    arrays = rows.indptr, rows.indices, by_key.indptr, by_key.indices
    counts, partners = np.zeros(n_keys, np.int32), np.zeros(n_keys, np.int32)
    histogram, n_partners = np.zeros(3, np.int64), np.zeros(n_keys, np.int64)
    for begin, end in ((0, cut), (cut, n_keys)):
        count_partners(*arrays, begin, end, least, counts, partners, histogram, n_partners)
    starts = np.concatenate([[0], np.cumsum(n_partners)])[:-1]
    n_places = int(n_partners.sum())
    columns, values = np.zeros(n_places, np.int32), np.zeros(n_places, np.float32)
    transposed, lengths = np.zeros(n_places, np.float32), np.zeros(n_keys, np.int64)
    common, _ = shared(rows, n_keys)
    logs = np.log(np.maximum(common.sum(axis=1), 1))
    total = np.log(max(np.exp(EXPONENT * logs)[common.sum(axis=1) > 0].sum(), 1e-9))
    for begin, end in ((cut, n_keys), (0, cut)):
        write_ppmi(
            *arrays, begin, end, logs, EXPONENT * logs, total, least, counts, partners,
            starts, columns, values, transposed, lengths,
        )  # fmt: skip
    assert not counts.any()
    return histogram, n_partners, starts, lengths, columns, values, transposed


@given(baskets(), st.integers(1, 2), st.data())
@settings(max_examples=60, deadline=None)
def test_pairs_and_their_information_are_those_of_the_plain_loop(case, least, data):
    rows, n_keys = case
    cut = data.draw(st.integers(0, n_keys))
    common, n_sequences = shared(rows, n_keys)
    histogram, n_partners, starts, lengths, columns, values, transposed = written(rows, n_keys, least, cut)
    np.testing.assert_array_equal(histogram, [(common == 1).sum(), (common == 2).sum(), (common > 2).sum()])
    np.testing.assert_array_equal(n_partners, (common >= least).sum(axis=1))
    expected = np.where(common >= least, slow_ppmi(common, n_sequences), 0)
    found, turned = np.zeros((2, n_keys, n_keys))
    for key in range(n_keys):
        places = slice(starts[key], starts[key] + lengths[key])
        found[key, columns[places]], turned[key, columns[places]] = values[places], transposed[places]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(turned, expected.T, atol=1e-5)


@pytest.mark.parametrize("width", [16, 64, 80, 144])
def test_product_is_that_of_numpy(width):
    rng = np.random.default_rng(width)
    dense = rng.standard_normal((30, 30)) * (rng.random((30, 30)) < 0.3)
    dense[7] = 0
    lengths = (dense != 0).sum(axis=1).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    columns, values = np.nonzero(dense)[1].astype(np.int32), dense[dense != 0].astype(np.float32)
    table, out = aligned_zeros(30, width), aligned_zeros(30, width)
    table[:] = rng.standard_normal((30, width))
    for begin, end in ((11, 30), (0, 11)):
        multiply(starts, lengths, columns, values, table, begin, end, out)
    np.testing.assert_allclose(out, dense @ table, atol=1e-5)
