"""Workers and rounds: the same bits whatever works on them."""

import threading
import time

import joblib
import numpy as np
import pytest

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
