"""The number of threads that BLAS has, in blocks that want one and after the last of them."""

import threading

import numpy  # noqa: F401 (whose BLAS it is)
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skembed.training.blas import one_blas_thread


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
