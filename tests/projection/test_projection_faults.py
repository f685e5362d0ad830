"""Faults and bad input of ProjectionEmbedder: layouts (10), extreme numbers (11), and running (28-32)."""

import os
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse

from skembed import ProjectionEmbedder, memory

LINEAR = ["pca", "lda", "random", "nca", "svd"]
METHODS = [*LINEAR, "autoencoder"]


def embedder(method, embedding_dim=2, **parameters):
    return ProjectionEmbedder(method, embedding_dim, **{"random_state": 0, "max_iter": 3} | parameters)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    return rng.standard_normal((120, 5)) * [5, 3, 2, 1, 1] + y[:, None] * [0, 3, 1, 0, 4], y


# 10 ------------------------------------------------------------------------------------------------------ layouts


@pytest.mark.parametrize("method", METHODS)
def test_layouts(rows, method, tmp_path):
    X, y = rows
    np.save(tmp_path / "rows.npy", X)
    wide = np.zeros((120, 10))
    wide[:, ::2] = X
    layouts = {
        "fortran": np.asfortranarray(X),
        "negative stride": X[::-1].copy()[::-1],
        "not contiguous": wide[:, ::2],
        "big-endian": X.astype(">f8"),
        "object": X.astype(object),
        "memory map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
    }
    layouts["read-only"] = X.copy()
    layouts["read-only"].flags.writeable = False
    expected = embedder(method).fit(X, y).transform(X)
    for name, given in layouts.items():
        before = np.array(given)
        found = embedder(method).fit(given, y).transform(given)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(np.array(given), before, err_msg=name)


def test_partial_fit_leaves_its_batch_alone(rows):
    X = rows[0].copy()
    embedder("pca").partial_fit(X).partial_fit(X)
    np.testing.assert_array_equal(X, rows[0])


# 11 ----------------------------------------------------------------------------------------------- extreme numbers


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("method", ["pca", "lda", "svd", "random"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numbers_whose_squares_are_no_floats(rows, method, scale):
    X, y = rows
    plain = embedder(method).fit_transform(X, y)
    fitted = embedder(method).fit(X * scale, y)
    found = fitted.transform(X * scale)
    assert np.isfinite(found).all()
    unit = 1.0 if method == "lda" else scale
    np.testing.assert_allclose(found / unit, plain, rtol=1e-5, atol=1e-5)
    if method == "svd":
        matrix = sparse.csr_matrix(X * scale)
        np.testing.assert_allclose(embedder(method).fit(matrix).transform(matrix) / unit, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_float32(rows, scale):
    X = (rows[0] * scale).astype(np.float32)
    for whiten in (False, True):
        found = embedder("pca", whiten=whiten).fit(X).transform(X)
        expected = embedder("pca", whiten=whiten).fit(rows[0]).transform(rows[0])
        np.testing.assert_allclose(found / (1 if whiten else scale), expected, rtol=1e-3, atol=1e-3)


def test_extreme_numbers_and_the_autoencoder(rows):
    X, _ = rows
    for scale in (1e-310, 1e-200, 1e200, 1e305):
        fitted = embedder("autoencoder").fit(X * scale)
        found = fitted.transform(X * scale)
        np.testing.assert_allclose(found, embedder("autoencoder").fit_transform(X), rtol=1e-3, atol=1e-3)
        assert np.isfinite(fitted.inverse_transform(found)).all()
    huge = np.full((2, 5), 1e308) * [[1], [-1]]
    assert np.isfinite(embedder("autoencoder").fit(X).transform(huge)).all()
    assert np.isfinite(embedder("autoencoder").fit_transform(np.vstack([X, huge]))).all()


@pytest.mark.parametrize("method", METHODS)
def test_infinity_is_refused(rows, method):
    X, y = rows
    X = X.copy()
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        embedder(method).fit(X, y)


def test_infinity_beside_categories_names_the_column(rows):
    X = rows[0].astype(object)
    X[:, 0] = "a"
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity in column 'x1', row 3"):
        embedder("autoencoder", categorical_features=[0]).fit(X)


def test_lda_of_columns_that_do_not_vary():
    with pytest.raises(ValueError, match="X does not vary within the classes of y"):
        embedder("lda", 1).fit(np.full((30, 4), 7.0), np.arange(30) % 3)


@pytest.mark.parametrize("method", ["pca", "svd", "random", "autoencoder"])
def test_columns_that_do_not_vary(method):
    X = np.full((30, 4), 7.0)
    for whiten in (False, True):
        fitted = embedder(method, whiten=whiten).fit(X)
        assert np.isfinite(fitted.transform(X)).all()


# 28, 29 ---------------------------------------------------------------------------------------- threads, same bits


@pytest.mark.parametrize("method", METHODS)
def test_eight_threads(rows, method):
    X, y = rows
    fitted = embedder(method).fit(X, y)
    expected = fitted.transform(X)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(fitted.transform, [X] * 32):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif("SKEMBED_LONG_TESTS" not in os.environ, reason="long; tests/test_running.py has one of each method")
def test_hash_seed_changes_nothing():
    code = (
        "import numpy as np, hashlib; from skembed import ProjectionEmbedder\n"
        "rng = np.random.default_rng(0)\n"
        "X = np.array([[rng.choice(list('abcdef')), v] for v in rng.random(120)], dtype=object)\n"
        "Z = ProjectionEmbedder('autoencoder', 2, max_iter=3, random_state=0, categorical_features=[0],\n"
        "                       early_stopping=False).fit_transform(X)\n"
        "print(hashlib.sha256(Z.tobytes()).hexdigest())\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


# 30, 31, 32 ------------------------------------------------------------------------------ devices, memory, packages


def test_cuda_that_is_not_there(rows):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ValueError, match="device is 'cuda'"):
        embedder("autoencoder", device="cuda").fit(rows[0][:5])  # also where no net would be trained


@pytest.mark.parametrize(
    ("method", "dim", "advice"),
    [("random", 10**12, "lower embedding_dim"), ("autoencoder", 10**11, "lower embedding_dim")],
)
def test_memory_is_predicted(rows, method, dim, advice):
    tracemalloc.start()
    with pytest.raises(MemoryError, match=rf"needs at least \d+ bytes and this machine has \d+; {advice}"):
        embedder(method, dim).fit(rows[0])
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_memory_of_all_pairs_is_predicted(rows, monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 100_000)
    with pytest.raises(MemoryError, match=r"method='nca' .* fit on fewer rows, or use method='lda'"):
        embedder("nca").fit(*rows)
    embedder("lda").fit(*rows)


def test_linear_methods_import_neither_torch_nor_matplotlib():
    code = (
        "import sys, numpy as np; from skembed import ProjectionEmbedder\n"
        "X, y = np.random.default_rng(0).random((60, 4)), np.arange(60) % 3\n"
        "for method in ('pca', 'lda', 'random', 'nca', 'svd'):\n"
        "    fitted = ProjectionEmbedder(method, 2, max_iter=2).fit(X, y)\n"
        "    fitted.transform(X), fitted.embedding_\n"
        "print([m for m in ('torch', 'numba', 'matplotlib') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["mean_", "singular_values_", "components_"])
@pytest.mark.parametrize("value", [1.7e308, np.nan])
def test_earlier_batches_that_are_beyond_float64_are_refused(name, value):
    """As a file may say: LAPACK need not come back from infinity, and scikit-learn does not look for it."""
    X = np.random.default_rng(0).normal(size=(30, 4))
    embedder = ProjectionEmbedder("pca", embedding_dim=2).partial_fit(X)
    learned = embedder._increments.learned
    learned[name] = learned[name].copy()
    learned[name].flat[0] = value
    signal.alarm(20)  # ends the tests where it hangs
    with pytest.raises(ValueError, match=r"earlier batches .*expected at most 1e\+150. Scale X first"):
        embedder.partial_fit(X)
    signal.alarm(0)


def test_memory_of_a_batch_beside_its_components_is_predicted(monkeypatch):
    needed = 8 * 50 * (100 + 2 * 20)
    X = np.random.default_rng(0).normal(size=(100, 50))
    monkeypatch.setattr(memory, "memory_of_machine", lambda: needed)
    embedder("pca", 20).partial_fit(X)
    monkeypatch.setattr(memory, "memory_of_machine", lambda: needed - 1)
    with pytest.raises(MemoryError, match=r"a batch of shape \(100, 50\) beside 20 components needs"):
        embedder("pca", 20).partial_fit(X)
