"""Every public estimator while it runs (27 to 31): Ctrl-C, threads, processes, the same bits, what is left alone."""

import gc
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from estimators import EXAMPLES, MATRIX, TEXTS, TRANSFORMERS, in_new_process
from frames import make_frame
from persistence_table import KeptExample, page_with, table_of
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import StrOptions

import skembed
from skembed import memory
from skembed.testing._text_checks import global_state
from skembed.text import LineCorpus
from skembed.training.run import Run

pytestmark = [
    pytest.mark.filterwarnings("ignore:column|more than a third|the vocabulary"),
    pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning"),
]
HERE = Path(__file__).parent
each_example = pytest.mark.parametrize("name", EXAMPLES)
LONG = 600  # seconds after which something hangs


def is_frame(X):
    return isinstance(X, pd.DataFrame)


@pytest.fixture(scope="module")
def fitted():
    """Fitted examples, each made once; no test changes one."""
    made = {}

    def get(name):
        if name not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made[name] = EXAMPLES[name].fit()
        return made[name]

    return get


# -------------------------------------------------------------------------------------------------- the examples


def public_estimators():
    places = [skembed, *(value for n in skembed.__all__ if isinstance(value := getattr(skembed, n), ModuleType))]
    found = {getattr(place, name) for place in places for name in place.__all__}
    return {value for value in found if isinstance(value, type) and issubclass(value, BaseEstimator)}


def test_every_public_estimator_has_an_example():
    without_example = set() if TRANSFORMERS else {skembed.ContextualVectorizer}
    assert public_estimators() - without_example == {type(example.estimator) for example in EXAMPLES.values()}
    assert all(name.split("-")[0] == type(example.estimator).__name__ for name, example in EXAMPLES.items())


@pytest.mark.parametrize("parameter", ["method", "loss", "architecture"])
def test_every_value_of_what_decides_the_state_has_an_example(parameter):
    shown = {}
    for example in EXAMPLES.values():
        shown.setdefault(type(example.estimator), set()).add(example.estimator.get_params().get(parameter))
    for cls, values in shown.items():
        for constraint in cls._parameter_constraints.get(parameter, []):
            if isinstance(constraint, StrOptions) and cls is not skembed.PretrainedVectorizer:
                assert constraint.options - {"auto"} <= values, cls  # "auto" stands for another


def test_examples_are_what_they_are_called(fitted):
    assert fitted("EntityEmbeddingEncoder").interactions_
    assert fitted("EntityEmbeddingEncoder-net").validation_scores_
    assert fitted("EntityEmbeddingEncoder-classes").target_type_ == "multiclass"
    assert fitted("PretrainedVectorizer-trainable").n_iter_


# 27 ------------------------------------------------------------------------------------------------------- Ctrl-C


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C as a pass begins, the n-th that anything takes; and count passes."""
    begin_pass, begun = Run.begin_pass, []

    def set_pass(number):
        begun.clear()

        def interrupted(self):
            begin_pass(self)
            begun.append(1)
            if len(begun) == number:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Run, "begin_pass", interrupted)
        return begun

    return set_pass


with_passes = pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.passes])


@with_passes
def test_ctrl_c_after_a_pass_keeps_what_was_learned(name, interrupt):
    interrupt(2)
    example = EXAMPLES[name]
    with pytest.warns(UserWarning, match="interrupted in pass 2"):
        estimator = example.fit()
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1
    assert np.isfinite(example.output(estimator)).all()


@with_passes
def test_ctrl_c_before_a_pass_has_ended_goes_on(name, interrupt):
    example = EXAMPLES[name]
    new = example.new()
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        new.fit(*example.data)
    with pytest.raises(NotFittedError):
        example.output(new)
    assert vars(new).keys() == vars(example.new()).keys()


@with_passes
def test_ctrl_c_in_a_further_fit_leaves_what_was_fitted(name, interrupt, fitted):
    example = EXAMPLES[name]
    before = example.answers(fitted(name))
    for method, arguments in (("fit", others(example)), ("partial_fit", example.further)):
        again = pickle.loads(pickle.dumps(fitted(name)))
        begun = interrupt(1)
        try:
            if arguments:
                getattr(again, method)(*arguments)
        except KeyboardInterrupt:
            assert example.answers(again) == before
        else:
            assert not begun  # there is no partial_fit, or none that takes passes, as of interactions
            continue
        interrupt(0)
        if example.further:
            again.partial_fit(*example.further)
            expected = pickle.loads(pickle.dumps(fitted(name))).partial_fit(*example.further)
            assert example.answers(again) == example.answers(expected)


def others(example):
    """Data of the same kind, in which levels or words are others."""
    X, *y = example.data
    if is_frame(X):
        return (X.apply(lambda column: column.map(lambda value: f"{value}!" if isinstance(value, str) else value)), *y)
    return ([f"{text} news travels news travels" for text in X] if isinstance(X[0], str) else X, *y)


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if not example.passes])
def test_others_take_no_passes(name, interrupt):
    begun = interrupt(0)
    EXAMPLES[name].fit()
    assert not begun


# 28 ------------------------------------------------------------------------------------------------------ threads


@each_example
def test_eight_threads_are_as_one(name, fitted):
    example = EXAMPLES[name]
    expected, written = example.answers(fitted(name)), pickle.dumps(fitted(name))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(5):
                fresh, barrier = pickle.loads(written), threading.Barrier(8)  # what is built on first use is not there

                def work(_, fresh=fresh, barrier=barrier):
                    barrier.wait()
                    return example.answers(fresh)

                assert set(pool.map(work, range(8))) == {expected}
    finally:
        sys.setswitchinterval(interval)


# 29 ---------------------------------------------------------------------------- the same bits, and what is left alone


def test_bits_do_not_depend_on_the_hash_seed(fitted):
    pytest.importorskip("torch")
    found = in_new_process(
        "from estimators import EXAMPLES\n"
        "print(json.dumps({name: example.answers(example.fit()) for name, example in EXAMPLES.items()}))",
        PYTHONHASHSEED="2" if os.environ.get("PYTHONHASHSEED") == "1" else "1",
    )
    assert found == {name: example.answers(fitted(name)) for name, example in EXAMPLES.items()}


@pytest.mark.parametrize("name", [n for n, e in EXAMPLES.items() if "n_jobs" in e.estimator.get_params()])
def test_bits_do_not_depend_on_jobs(name, fitted):
    example = EXAMPLES[name]
    assert example.answers(example.fit(n_jobs=2)) == example.answers(fitted(name))


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "numpy", "list"])
@pytest.mark.parametrize("name", [n for n, e in EXAMPLES.items() if is_frame(e.X)])
def test_bits_do_not_depend_on_the_container_of_columns(name, kind, fitted):
    example = EXAMPLES[name]

    def contained(X):
        if not is_frame(X):
            return X
        return make_frame(kind, {c: [None if pd.isna(v) else v for v in X[c]] for c in X})

    if kind == "list" and type(example.estimator) is skembed.PretrainedVectorizer:
        pytest.skip("lists of strings are token lists")
    estimator = example.new().fit(*map(contained, example.data))
    np.testing.assert_array_equal(estimator.transform(contained(example.X)), example.output(fitted(name)))


@pytest.mark.parametrize("kind", ["list", "fortran", "pandas", "polars", "float objects"])
@pytest.mark.parametrize("name", [n for n, e in EXAMPLES.items() if e.data[0] is MATRIX])
def test_bits_do_not_depend_on_the_container_of_numbers(name, kind, fitted):
    example = EXAMPLES[name]

    def contained(X):
        if kind in ("pandas", "polars"):
            return make_frame(kind, dict(zip("abcde", X.T)))
        others = {"list": np.ndarray.tolist, "fortran": np.asfortranarray, "float objects": lambda X: X.astype(object)}
        return others[kind](X)

    estimator = example.new().fit(contained(MATRIX), *example.data[1:])
    found = getattr(estimator, example.method)(contained(example.X))
    np.testing.assert_array_equal(found, example.output(fitted(name)))


@pytest.mark.parametrize("name", [n for n, e in EXAMPLES.items() if e.data[0] is TEXTS])
def test_bits_do_not_depend_on_the_container_of_documents(name, fitted, tmp_path):
    example = EXAMPLES[name]
    expected = example.output(fitted(name))
    path = tmp_path / "corpus"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    sources = {
        "tuple": tuple(TEXTS), "array": np.array(TEXTS), "objects": np.array(TEXTS, dtype=object),
        "generator": iter(TEXTS), "series": pd.Series(TEXTS), "file": LineCorpus(path),
    }  # fmt: skip
    for kind, source in sources.items():
        estimator = example.new().fit(source, *example.data[1:])
        np.testing.assert_array_equal(example.output(estimator), expected, err_msg=kind)
    for kind in (tuple, np.array, iter, pd.Series):
        found = np.asarray(getattr(fitted(name), example.method)(kind(example.X)))
        np.testing.assert_array_equal(found, expected)


@each_example
def test_bits_do_not_depend_on_the_rows_beside(name, fitted):
    example = EXAMPLES[name]
    output = getattr(fitted(name), example.method)
    rows = np.concatenate([np.asarray(output(example.X[row : row + 1])) for row in range(len(example.X))])
    by_blas = (
        "CCAEmbedder", "Doc2VecVectorizer", "FastTextClassifier", "NeighborAnomalyDetector", "ProjectionEmbedder",
    )  # fmt: skip
    if name.startswith(by_blas) or example.runs_model:
        # BLAS adds in another order where there are more rows
        np.testing.assert_allclose(rows, example.output(fitted(name)), rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(rows, example.output(fitted(name)))


@each_example
def test_what_a_process_shares_is_left_alone(name, fitted):
    example = EXAMPLES[name]
    example.answers(fitted(name))  # imports may change what they like, once
    np.random.random()  # noqa: NPY002 (a fit that seeds would else find the state it leaves)
    random.random()
    before = global_state()
    example.output(example.fit())
    after = global_state()
    assert [what for what in before if after[what] != before[what]] == []


# 30, 31 ------------------------------------------------------------------------------------------- devices, memory


@pytest.mark.parametrize("name", [n for n, e in EXAMPLES.items() if "device" in e.estimator.get_params()])
def test_cuda_that_is_not_there(name, fitted, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    example = EXAMPLES[name]
    if getattr(example.estimator, "method", "autoencoder") == "autoencoder":
        with pytest.raises(ValueError, match=r"device is 'cuda' and cannot be used here"):
            example.fit(device="cuda")
    assert example.answers(example.fit(device="auto")) == example.answers(example.fit(device="cpu"))


# what is not trained of a table in memory is a part of it; plain properties of images are not learned
takes_memory = [n for n, e in EXAMPLES.items() if ("Pretrained" not in n or e.passes) and n != "ImageDescriptors"]


@pytest.mark.parametrize("name", takes_memory)
def test_more_memory_than_there_is_is_predicted(name, monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 100)
    with pytest.raises(MemoryError, match=r"needs at least \d+ bytes and this machine has 100; \w+ \w+"):
        EXAMPLES[name].fit()


# ------------------------------------------------------------------------------------------------------ processes


def answers_of(written, queue):
    """Say what pickled examples answer; for child processes."""
    try:
        queue.put({name: EXAMPLES[name].answers(pickle.loads(pickled)) for name, pickled in written.items()})
    except BaseException as error:
        queue.put(repr(error))
        raise


@pytest.fixture
def two_threads():
    """Have torch start two threads, whatever the tests are given: a fork takes over what waits for them."""
    torch = pytest.importorskip("torch")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.ones(300, 300) @ torch.ones(300, 300)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_say_the_same(method, fitted):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    expected = {name: example.answers(fitted(name)) for name, example in EXAMPLES.items()}
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    written = {name: pickle.dumps(fitted(name)) for name in EXAMPLES}
    child = context.Process(target=answers_of, args=(written, queue), daemon=True)
    child.start()
    try:
        assert queue.get(timeout=LONG) == expected
        child.join(timeout=LONG)
        assert child.exitcode == 0
    finally:
        child.kill()


# --------------------------------------------------------------------------------------------- calls without number


@pytest.fixture(scope="module")
def frozen():
    """Leave what there is out of collections of garbage, which would else take most of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def small_row(example):
    """One row in the container that is read fastest."""
    X = example.X[:1]
    return make_frame("numpy", {c: [None if pd.isna(v) else v for v in X[c]] for c in X}) if is_frame(X) else X


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("frozen")
@each_example
def test_calls_leave_nothing_behind(name, fitted):
    example, n_calls = EXAMPLES[name], 100
    call, row = getattr(pickle.loads(pickle.dumps(fitted(name))), example.method), small_row(example)

    def grown():
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(n_calls):
            call(row)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    call(row)
    tracemalloc.start()
    try:
        # an array of nothing has more bytes; caches of the interpreter fill in the first thousands of calls, and a leak
        # shows in each hundred
        assert any(grown() < 100 * n_calls for _ in range(20))
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.skipif("SKEMBED_LONG_TESTS" not in os.environ, reason="a quarter of an hour; SKEMBED_LONG_TESTS=1 runs it")
@pytest.mark.filterwarnings("ignore")
@each_example
def test_a_hundred_thousand_calls_leave_nothing_behind(name, fitted):
    pages = Path("/proc/self/statm")
    if not pages.exists():
        pytest.skip("this system does not tell how much memory a process has")

    def resident():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    example = EXAMPLES[name]
    call, row = getattr(fitted(name), example.method), small_row(example)
    for _ in range(3_000):
        call(row)
    before = resident()
    for _ in range(100_000):
        call(row)
    assert resident() - before < 2_000_000  # 20 bytes a call


# ------------------------------------------------------------------------------------------------- what was kept


@pytest.fixture(scope="module")
def kept(fitted, tmp_path_factory):
    """How each example was kept and opened again, by name."""
    return KeptExample.all_of({name: fitted(name) for name in EXAMPLES}, tmp_path_factory.mktemp("kept"))


@each_example
def test_it_opens_and_works_without_torch_and_numba(name, kept):
    needed = "ImportError('there is no torch')" if EXAMPLES[name].runs_model else "same"
    assert kept[name].opened == {"pickle": needed, "save": needed}


def test_the_page_shows_how_estimators_are_kept(kept):
    pytest.importorskip("skops")
    pytest.importorskip("transformers")  # one of its estimators needs it
    page = (HERE.parent / "docs" / "persistence.md").read_text(encoding="utf-8")
    assert page == page_with(page, table_of(kept, page)), "run: python tests/persistence_table.py"
