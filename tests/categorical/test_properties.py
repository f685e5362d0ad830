"""Properties that hold for every table: order, containers, labels, seeds, processes."""

import hashlib
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed

from skembed import EntityEmbeddingEncoder

CELLS = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.sampled_from(["a", "b", "c", "é", "1", ""]),
)
TABLES = st.lists(st.tuples(CELLS, CELLS), min_size=6, max_size=40)
QUICK = settings(max_examples=20, deadline=None)


def as_objects(rows):
    out = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row
    return out


def target(X, seed=0):
    """Numbers that depend on the cells, and some noise; never constant."""
    rng = np.random.default_rng(seed)
    return np.array([len(str(v)) for v in X[:, 0]]) + rng.standard_normal(len(X))


def fit(X, y=None, **options):
    options = {"max_iter": 2, "random_state": 0} | options
    return EntityEmbeddingEncoder(**options).fit(X, target(X) if y is None else y)


def repeated(rows, n=320):
    """Enough rows for a net."""
    return as_objects([rows[i % len(rows)] for i in range(n)])


pytestmark = pytest.mark.filterwarnings("ignore:column")


@QUICK
@given(TABLES, st.randoms(use_true_random=False))
def test_transform_does_not_depend_on_the_order_of_rows_nor_on_chunks(rows, rnd):
    X = as_objects(rows)
    encoder = fit(X)
    whole = encoder.transform(X)
    order = list(range(len(X)))
    rnd.shuffle(order)
    np.testing.assert_array_equal(encoder.transform(X[order]), whole[order])
    cut = rnd.randrange(1, len(X))
    np.testing.assert_array_equal(np.vstack([encoder.transform(X[:cut]), encoder.transform(X[cut:])]), whole)


@QUICK
@given(TABLES)
def test_fit_does_not_depend_on_the_container(rows):
    pd, pl, pa = (pytest.importorskip(p) for p in ("pandas", "polars", "pyarrow"))
    X = as_objects(rows)
    y = target(X)
    columns = {"u": X[:, 0].tolist(), "v": X[:, 1].tolist()}
    strings = pd.DataFrame({k: pd.array(v, dtype=pd.ArrowDtype(pa.string())) for k, v in columns.items()})
    levels = sorted({c for c in columns["u"] if c is not None}, reverse=True)
    categorical = pd.DataFrame(columns, dtype=object)
    categorical["u"] = pd.Categorical(columns["u"], categories=["unused", *levels], ordered=True)
    enum = pl.DataFrame({"u": pl.Series(columns["u"], dtype=pl.Categorical), "v": columns["v"]}, strict=False)
    kinds = [pd.DataFrame(columns, dtype=object), pd.DataFrame(columns), strings, categorical, enum]
    kinds += [pl.DataFrame(columns), pa.table(columns), X.tolist(), np.asfortranarray(X)]
    expected = fit(X, y)
    for other in kinds:
        np.testing.assert_array_equal(
            fit(other, y).transform(other), expected.transform(X), err_msg=type(other).__name__
        )


def assert_rows_permuted(one, other, rename, columns):
    for c in range(columns):
        a, b = list(one.embeddings_.values())[c], list(other.embeddings_.values())[c]
        assert [rename(k) for k in a.keys] == b.keys.tolist()
        np.testing.assert_array_equal(a.vectors, b.vectors)
        np.testing.assert_array_equal(a.unknown, b.unknown)


@QUICK
@given(TABLES)
def test_other_labels_give_the_same_vectors(rows):
    X = repeated(rows)
    y = target(X)
    names = sorted({v for v in X.ravel() if v is not None})
    new = dict(zip(names, random.Random(0).sample(names, len(names))))

    def rename(key):
        return None if key is None else new[key]

    renamed = as_objects([[rename(v) for v in row] for row in X])
    one, other = fit(X, y), fit(renamed, y)
    assert one.loss_curve_ == other.loss_curve_
    assert_rows_permuted(one, other, rename, X.shape[1])
    np.testing.assert_array_equal(one.transform(X), other.transform(renamed))


@QUICK
@given(TABLES, st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_bits(rows, seed):
    X = as_objects(rows)
    one, other = fit(X, random_state=seed), fit(X, random_state=seed)
    assert one.embeddings_ == other.embeddings_
    assert fit(X, random_state=np.random.RandomState(seed)).embeddings_ == one.embeddings_


@QUICK
@given(TABLES)
def test_inverse_transform_gives_a_level_with_the_same_vector(rows):
    X = as_objects(rows)
    encoder = fit(X)
    Z = encoder.transform(X)
    back = encoder.inverse_transform(Z)
    np.testing.assert_array_equal(encoder.transform(back), Z)


def sample(n=400):
    rng = np.random.default_rng(0)
    X = np.stack([rng.integers(k, size=n).astype(str) for k in (40, 7, 3)], axis=1).astype(object)
    return X, X[:, 0].astype(int) / 10 + rng.standard_normal(n)


def digest(y_kind="continuous"):
    X, y = sample()
    y = y if y_kind == "continuous" else np.digitize(y, [1, 2, 3])
    Z = EntityEmbeddingEncoder(random_state=0, max_iter=3).fit_transform(X, y)
    return hashlib.sha1(Z.tobytes()).hexdigest()


def test_the_number_of_threads_and_the_hash_seed_change_no_bit():
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_properties as t; "
        "print(t.digest('continuous') + t.digest('multiclass'))"
    )
    found = {digest("continuous") + digest("multiclass")}
    for threads, hash_seed in (("1", "1"), ("2", "2")):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_worker_processes_and_threads_change_no_bit():
    with Parallel(n_jobs=2) as processes:
        found = processes(delayed(digest)() for _ in range(2))
    with Parallel(n_jobs=2, backend="threading") as threads:
        found += threads(delayed(digest)() for _ in range(2))
    assert set(found) == {digest()}


def test_nothing_global_is_touched():
    torch = pytest.importorskip("torch")
    X, y = sample()
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    random.seed(3)

    def state():
        return (
            np.random.get_state()[1].tobytes(),  # noqa: NPY002
            torch.get_rng_state().numpy().tobytes(),
            random.getstate(),
            torch.get_num_threads(),
            torch.get_num_interop_threads(),
            torch.get_default_dtype(),
            torch.empty(0).device,
            torch.is_grad_enabled(),
            np.geterr(),
            os.environ.get("OMP_NUM_THREADS"),
        )

    before = state()
    encoder = EntityEmbeddingEncoder(random_state=0, max_iter=2)
    encoder.fit_transform(X, y)
    encoder.partial_fit(X, y).transform(X)
    assert state() == before


def test_the_callers_torch_settings_do_not_matter():
    torch = pytest.importorskip("torch")
    X, y = sample()

    def learn():
        encoder = EntityEmbeddingEncoder(random_state=0, max_iter=2)
        out = encoder.fit_transform(X, np.digitize(y, [1, 2, 3]))
        return np.hstack([out, encoder.partial_fit(X, np.digitize(y, [1, 2, 3])).transform(X)])

    expected = learn()
    with torch.no_grad():
        np.testing.assert_array_equal(learn(), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(learn(), expected)
    with torch.device("meta"):
        np.testing.assert_array_equal(learn(), expected)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(learn(), expected)
    finally:
        torch.set_default_dtype(torch.float32)
