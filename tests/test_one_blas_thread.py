"""The number of threads that BLAS has, in blocks that want one and after the last of them."""

import threading

import numpy as np
import pandas as pd
import pytest
from scipy import linalg
from threadpoolctl import threadpool_info, threadpool_limits

from skembed import CCAEmbedder, CooccurrenceEncoder, EntityEmbeddingEncoder, ProjectionEmbedder
from skembed.categorical import _learn, _partial
from skembed.threads import WORTH_THREADS, blas_threads_for, one_blas_thread


def n_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def in_a_thread(work):
    """Run in a thread that ends: of threads that live, only the first that sets the number may change it."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.fixture
def three_threads():
    before = max(n_threads())
    in_a_thread(lambda: threadpool_limits(3, user_api="blas"))
    if n_threads() != {3}:
        pytest.skip("this BLAS takes no other number of threads")
    yield
    in_a_thread(lambda: threadpool_limits(before, user_api="blas"))


def test_blocks_of_two_threads_leave_the_number_that_was_there(three_threads):
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    seen = []

    def first():
        with one_blas_thread():
            seen.append(n_threads())
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second():
        first_in.wait(10)
        with one_blas_thread():
            second_in.set()
            first_out.wait(10)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, n_threads()) == ([{1}], {3})


def test_blocks_within_blocks_and_errors(three_threads):
    def interrupted():
        with one_blas_thread():
            with one_blas_thread():
                pass
            seen.append(n_threads())
            raise KeyboardInterrupt

    def work():
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        seen.append(n_threads())

    for _ in range(2):
        seen = []
        in_a_thread(work)
        assert seen == [{1}, {3}]


@pytest.mark.parametrize(("n_products", "n_inside"), [(0, 1), (WORTH_THREADS - 1, 1), (WORTH_THREADS, 3)])
def test_long_products_have_all_threads(n_products, n_inside, three_threads):
    seen = []

    def work():
        with blas_threads_for(n_products):
            seen.append(n_threads())
        seen.append(n_threads())

    in_a_thread(work)
    assert seen == [{n_inside}, {3}]


def numbers():
    return np.random.default_rng(0).normal(size=(300, 6))


def levels(n_rows=300):
    ids = np.random.default_rng(0).integers(5, size=(n_rows, 2))
    return pd.DataFrame(ids.astype(str), columns=["a", "b"]), ids[:, 0] + 0.5 * ids[:, 1]


@pytest.mark.parametrize(
    "fit",
    [
        lambda: ProjectionEmbedder("pca", 2).fit(numbers()),
        lambda: ProjectionEmbedder("lda").fit(numbers(), np.arange(300) % 3),
        lambda: ProjectionEmbedder("autoencoder", 2, max_iter=0).fit(levels()[0]),
        lambda: CCAEmbedder(2).fit(numbers(), numbers()[:, ::-1]),
        lambda: CooccurrenceEncoder(2, random_state=0).fit(levels()[0]),
    ],
    ids=["pca", "lda", "autoencoder", "cca", "cooccurrence"],
)
def test_small_decompositions_have_one_thread(fit, three_threads, monkeypatch):
    seen = []
    for module in (np.linalg, linalg):
        eigh = module.eigh
        monkeypatch.setattr(module, "eigh", lambda *a, eigh=eigh, **k: seen.append(max(n_threads())) or eigh(*a, **k))
    in_a_thread(fit)
    assert set(seen) == {1}
    assert n_threads() == {3}


def test_an_encoder_learns_on_one_thread(three_threads, monkeypatch):
    seen = []
    for module, name in ((_learn, "lay_out"), (_partial, "grown_net")):
        inner = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, inner=inner, **k: seen.append(n_threads()) or inner(*a, **k))

    def fit():
        encoder = EntityEmbeddingEncoder(random_state=0).fit(*levels())
        encoder.partial_fit(*levels(50))

    in_a_thread(fit)
    assert seen == [{1}, {1}]
    assert n_threads() == {3}
