"""Workers and rounds: the same bits whatever works on them."""

import threading
import time

import joblib
import numpy as np
import pytest

from skembed.data.ragged import Ragged
from skembed.parallel import Merger, RowDeltas, count_workers, open_workers


def add_numbers(tables, n_rows, seed):
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(tables[0]))[:n_rows].astype(np.int32)
    deltas = (tables[0][rows] + generator.normal(size=(n_rows, 3))).astype(np.float32)
    return [RowDeltas(rows, deltas, np.full(n_rows, 0.5, np.float32))], float(deltas.sum())


def run_rounds(n_jobs):
    table = np.ones((10, 3), np.float32)
    with open_workers(n_jobs) as workers:
        merger, reports = Merger(workers, [table]), []
        for round_ in range(3):
            tasks = [([table], n_rows, (round_, shard)) for shard, n_rows in enumerate([4, 7, 5])]
            learned, reports_of_round = zip(*workers.map(add_numbers, tasks))
            merger.merge(learned)
            reports.append(reports_of_round)
    return table, reports


@pytest.mark.parametrize("n_jobs", [2, 3, 8, -1])
def test_the_number_of_threads_changes_no_bit(n_jobs):
    one, several = run_rounds(1), run_rounds(n_jobs)
    assert one[0].tobytes() == several[0].tobytes()
    assert one[1] == several[1]


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_processes_give_the_same_bits(backend):
    expected = run_rounds(1)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = run_rounds(None)
    assert expected[0].tobytes() == found[0].tobytes()
    assert expected[1] == found[1]


def test_what_n_jobs_means():
    assert count_workers(None) == 1
    assert count_workers(3) == 3
    assert count_workers(-1) == joblib.cpu_count()
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert count_workers(None) == 2
        assert count_workers(1) == 1
    with pytest.raises(ValueError, match="n_jobs=0"):
        count_workers(0)


def test_an_interrupt_comes_when_no_worker_runs_any_more():
    running = set()
    started = threading.Event()

    def work(task):
        if task == 0:
            started.wait(5)
            raise KeyboardInterrupt
        running.add(task)
        started.set()
        time.sleep(0.1)
        running.discard(task)

    n_threads = threading.active_count()
    with open_workers(2) as workers:
        with pytest.raises(KeyboardInterrupt):
            workers.map(work, [(task,) for task in range(50)])
        assert not running
    assert threading.active_count() == n_threads


def test_results_come_in_the_order_of_the_tasks():
    def late(i):
        time.sleep(0.002 * (5 - i))
        return i

    with open_workers(3) as workers:
        assert workers.map(late, [(i,) for i in range(5)]) == list(range(5))


def test_fewer_than_all_cores_and_at_least_one():
    assert count_workers(-2) == max(1, joblib.cpu_count() - 1)
    assert count_workers(-1000) == 1
    with pytest.raises(
        ValueError, match=r"^n_jobs=0 asks for no worker at all\. Use None or 1 for one, 2 for two, -1 for "
    ):
        count_workers(0)
    with joblib.parallel_config(backend="threading", n_jobs=-1):
        assert count_workers(None) == joblib.cpu_count()


def test_who_works_and_where_memory_is_shared():
    def here():
        return threading.current_thread().name

    for n_jobs, names, shared in ((None, {"MainThread"}, True), (1, {"MainThread"}, True), (2, {"skembed_0"}, True)):
        with open_workers(n_jobs) as workers:
            assert (workers.n_workers, workers.share_memory) == (n_jobs or 1, shared)
            assert set(workers.map(here, [()])) == names
            assert workers.map(here, []) == []
    with joblib.parallel_config(backend="loky", n_jobs=2), open_workers() as workers:
        assert (workers.n_workers, workers.share_memory) == (2, False)
        assert workers.map(pow, [(2, 3), (3, 2)]) == [8, 9]
    with joblib.parallel_config(backend="threading", n_jobs=2), open_workers() as workers:
        assert (workers.n_workers, workers.share_memory) == (2, True)
    with joblib.parallel_config(backend="loky", n_jobs=2), open_workers(threads=True) as workers:
        assert (workers.n_workers, workers.share_memory) == (2, True)
        assert workers.map(here, [()]) == ["skembed_0"]


def test_what_large_tables_are_sent_to_processes_is_no_map_of_a_file():
    """Of an array that changes from round to round a map would be that of the first round."""
    with joblib.parallel_config(backend="loky", n_jobs=2), open_workers() as workers:
        table = np.zeros(300_000)  # 2.4 MB: joblib maps what is larger than one
        for value in (1.0, 2.0):
            table[:] = value
            assert workers.map(np.sum, [(table,), (table,)]) == [value * 300_000] * 2


def test_tasks_that_wait_are_not_begun_after_an_error():
    begun, release = [], threading.Event()

    def work(task):
        begun.append(task)
        if task == 0:
            raise ValueError("the first")
        release.wait(0.2)

    with open_workers(2) as workers:
        with pytest.raises(ValueError, match="the first"):
            workers.map(work, [(task,) for task in range(40)])
        release.set()
        assert len(begun) < 10


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_deltas_of_several_shards_are_merged_by_the_weights_of_their_steps(n_jobs):
    """Zeros ask for the sum; rows in any number are those that a delta is for."""
    table, other = np.zeros((4, 2), np.float32), np.ones((2, 2), np.float32)
    rows = np.array([0, 2], np.int32)
    ones = np.ones((2, 2), np.float32)
    nothing = RowDeltas(np.empty(0, np.int32), np.empty((0, 2), np.float32), np.empty(0, np.float32))
    plain = RowDeltas(rows, ones, np.zeros(2, np.float32))
    ragged = RowDeltas(
        Ragged(np.array([0, 2]), np.array([1, 2], np.int32)), np.full((1, 2), 3.0, np.float32), np.zeros(1, np.float32)
    )
    with open_workers(n_jobs) as workers:
        merger = Merger(workers, [table, other])
        merger.merge([[plain, nothing]])
        assert table.tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]
        merger.merge([[plain, nothing], [ragged, nothing]])
        assert table.tolist() == [[2, 2], [3, 3], [5, 5], [0, 0]]
        heavy = RowDeltas(rows, ones, np.full(2, 50.0, np.float32))
        merger.merge([[heavy, nothing], [heavy, nothing]])  # of steps that went all the way the mean is taken
        np.testing.assert_allclose(table, [[3, 3], [3, 3], [6, 6], [0, 0]], rtol=1e-4)
        merger.merge([[plain, nothing], [plain, nothing]])  # what was merged before is no part of it
        np.testing.assert_allclose(table, [[5, 5], [3, 3], [8, 8], [0, 0]], rtol=1e-4)
    assert (other == 1).all()


def test_rows_of_deltas_as_sequences():
    rows = RowDeltas(np.array([3, 1], np.int32), np.zeros((2, 1), np.float32), np.zeros(2, np.float32)).ragged_rows()
    assert (rows.indptr.tolist(), rows.indices.tolist()) == ([0, 1, 2], [3, 1])
    ragged = Ragged(np.array([0, 2]), np.array([1, 2], np.int32))
    assert RowDeltas(ragged, np.zeros((1, 1), np.float32), np.zeros(1, np.float32)).ragged_rows() is ragged
