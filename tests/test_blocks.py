"""What is done piece by piece, for memory or to hear of Ctrl-C, gives the same in pieces of any size."""

import sys
import warnings

import numpy as np
import pytest
from estimators import EXAMPLES, tables

SIZES = ("AT_ONCE", "BLOCK_ROWS", "BLOCK_WORDS", "BLOCK_TOKENS", "BLOCK_DOCUMENTS", "CHUNK", "PIECE_TOKENS")


def said(example):
    """What a fitted example makes of its data and its data of that, and how near others are in its tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = example.fit()
        found = [example.output(estimator)]
        if hasattr(estimator, "inverse_transform"):
            found.append(np.asarray(estimator.inverse_transform(found[0])))
    if getattr(estimator, "method", "") == "prone":  # its dimensions are ordered by a sample
        found[0] = found[0] @ found[0].T
    for table in tables(estimator):
        found += [table.kneighbors(table.vectors, 2, metric=m).scores for m in ("cosine", "euclidean", "dot", "csls")]
    return found


def plain(array):
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in array.ravel()]


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if not example.runs_model])
def test_pieces_of_any_size_are_as_the_whole(name, size, monkeypatch):
    expected = said(EXAMPLES[name])
    for module in [module for key, module in sys.modules.items() if key.startswith("skembed.")]:
        for constant, value in list(vars(module).items()):
            if constant.endswith(SIZES) and isinstance(value, int):
                monkeypatch.setattr(module, constant, size)
    for one, other in zip(said(EXAMPLES[name]), expected, strict=True):
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max(initial=1e-6))
        else:
            assert plain(one) == plain(other)
