"""Threads that nets learn on: one where a step is little work, those that torch has where it is much."""

import multiprocessing
import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from skembed import EmbeddingTable, EntityEmbeddingEncoder, NNLMVectorizer, ProjectionEmbedder, SequenceEmbedder  # noqa: E402
from skembed.text import train_cove, train_elmo  # noqa: E402
from skembed.threads import one_openmp_thread  # noqa: E402
from skembed.training.nets import threads  # noqa: E402
from skembed.training.nets.adam import FlatAdamW  # noqa: E402
from skembed.training.nets.threads import WORTH_THREADS, threads_for  # noqa: E402

RNG = np.random.default_rng(0)
TEXTS = [" ".join(f"w{i}" for i in RNG.integers(12, size=9)) for _ in range(40)]
WORDS = [text.split() for text in TEXTS]
VECTORS = EmbeddingTable([f"w{i}" for i in range(12)], RNG.normal(size=(12, 4)).astype(np.float32))


@pytest.fixture
def two_threads():
    """Have torch two threads, whatever the tests are given."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("n_products", "n_inside"), [(0, 1), (WORTH_THREADS - 1, 1), (WORTH_THREADS, 2)])
def test_long_steps_are_on_all_threads(n_products, n_inside):
    with threads_for(n_products):
        assert torch.get_num_threads() == n_inside
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_come_back_after_an_error():
    seen = []

    def interrupted():
        with one_openmp_thread():
            seen.append(torch.get_num_threads())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == [1]
    assert torch.get_num_threads() == 2


def learn_entities(directory):
    columns = pd.DataFrame({"a": RNG.integers(9, size=300).astype(str), "b": RNG.integers(5, size=300).astype(str)})
    EntityEmbeddingEncoder(hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(columns, RNG.normal(size=300))


LEARN = {
    "entities": learn_entities,
    "next words": lambda directory: NNLMVectorizer(4, max_iter=1, random_state=0).fit(TEXTS),
    "next words, sampled": lambda directory: NNLMVectorizer(4, n_samples=3, max_iter=1, random_state=0).fit(TEXTS),
    "autoencoder": lambda directory: ProjectionEmbedder("autoencoder", 2, max_iter=1, random_state=0).fit(
        RNG.normal(size=(90, 5))
    ),
    "sequences": lambda directory: SequenceEmbedder(4, max_iter=1, random_state=0).fit(WORDS),
    "language model": lambda directory: train_elmo(WORDS, directory, embedding_dim=4, max_iter=1),
    "translator": lambda directory: train_cove(WORDS, WORDS, VECTORS, directory, max_iter=1),
}


@pytest.mark.parametrize("name", LEARN)
def test_small_nets_learn_on_one_thread_and_large_ones_on_all(name, tmp_path, monkeypatch):
    """Of torch that is said to have two threads: with two in fact a machine that is busy would take a minute."""
    inside, seen, step = [False], [], FlatAdamW.step

    @contextmanager
    def one_openmp_thread():
        inside.append(True)
        yield
        inside.pop()

    def stepping(optimizer):
        seen.append(inside[-1])
        step(optimizer)

    monkeypatch.setattr(FlatAdamW, "step", stepping)
    monkeypatch.setattr(threads, "torch", SimpleNamespace(get_num_threads=lambda: 2))
    monkeypatch.setattr(threads, "one_openmp_thread", one_openmp_thread)
    LEARN[name](tmp_path / "small")
    assert set(seen) == {True}
    assert inside == [False]
    monkeypatch.setattr(threads, "WORTH_THREADS", 1)
    seen.clear()
    LEARN[name](tmp_path / "large")
    assert set(seen) == {False}


FORKED = """
import multiprocessing, sys
import numpy as np, pandas as pd
from skembed import EntityEmbeddingEncoder, SequenceEmbedder
ids = np.random.default_rng(0).integers(9, size=(600, 2))
if sys.argv[1] == "hidden":
    X, y = pd.DataFrame(ids.astype(str), columns=["a", "b"]), ids[:, 0] * (ids[:, 1] % 2) + 0.5
    fit = lambda: EntityEmbeddingEncoder(hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit_transform(X, y).sum()
else:
    cases = [list(map(str, row)) for row in ids.reshape(200, 6)]
    fit = lambda: SequenceEmbedder(4, max_iter=2, random_state=0).fit(cases).transform(cases).sum()
import torch
torch.set_num_threads(2)
torch.ones(900, 900) @ torch.ones(900, 900)  # what a fork loses are the threads that have run
first, context = fit(), multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=lambda: queue.put(fit()), daemon=True)
child.start()
try:
    assert queue.get(timeout=60) == first
finally:
    child.kill()
"""


@pytest.mark.parametrize("what", ["hidden", "sequences"])
def test_a_fork_does_not_wait_for_lost_threads(what):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    subprocess.run([sys.executable, "-c", FORKED, what], env=os.environ | {"OMP_NUM_THREADS": "2"}, check=True)
