"""A standardised target that has no columns of classes, beside the one that has them."""

import numpy as np
import pytest

from skembed.data.target import Target

RNG = np.random.default_rng(0)
N = 40
NUMBERS = RNG.standard_normal((N, 3)) * [1.0, 50.0, 0.01] + 3
CLASSES = RNG.integers(0, 5, (N, 2))
TWO = RNG.integers(0, 2, N)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (NUMBERS, "continuous"),
        (NUMBERS[:, 0], "continuous"),
        (CLASSES, "multiclass"),
        (CLASSES[:, 0], "multiclass"),
        (TWO, "binary"),
        (np.column_stack([CLASSES, TWO]), "multiclass"),
    ],
)
def test_products_are_those_of_the_columns(y, kind):
    weight = RNG.random(N)
    target = Target.learn(y, kind, weight)
    found = target.standardise(y)
    coded = target.code(y)
    dense = coded if kind == "continuous" else (coded - target.mean) / target.scale
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.average(dense, axis=0, weights=weight), 0.0, atol=1e-12)
    directions = RNG.standard_normal((target.n_targets, 4))
    np.testing.assert_allclose(found.along(directions), dense @ directions, atol=1e-12)
    rows = np.array([3, 1, 1, 20])
    np.testing.assert_array_equal(found.take(rows).toarray(), found.toarray()[rows])
    cells = RNG.integers(0, 7, N)
    sums, center = found.sums(cells, 8, weight)
    expected = np.stack([(weight[:, None] * dense)[cells == c].sum(axis=0) for c in range(8)])
    mass = np.bincount(cells, weight, 8)
    np.testing.assert_allclose(sums.toarray() - np.outer(mass, center), expected, atol=1e-12)


def test_classes_without_rows():
    target = Target.learn(np.array([2, 2, 1]), "multiclass", np.ones(3), classes=[1, 2, 3])
    assert target.standardise([3]).toarray().shape == (1, 3)
    only = Target.learn(np.array([2, 2, 2]), "multiclass", np.array([0.1, 0.7, 0.3]), classes=[1, 2, 3])
    assert not only.varies
