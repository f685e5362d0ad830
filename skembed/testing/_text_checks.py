"""Checks of vectorizers of text, each a function of an estimator that raises where it fails."""

import os
import pickle
import random
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from skembed.testing._assertions import assert_equal, assert_raises, assert_same, dense, seeded

__all__ = ["checks_for", "documents"]

_N_THREADS = 8
_ALLOWED_GROWTH = 256 * 1024  # bytes: caches of the interpreter, far below what the growth check would leave behind


def checks_for(estimator: Any) -> Iterator[Callable]:
    yield from _CHECKS
    if hasattr(estimator, "get_feature_names_out"):
        yield check_feature_names
    if hasattr(estimator, "set_output"):
        yield check_set_output
    if get_tags(estimator).requires_fit:
        yield check_not_fitted
        yield check_empty_corpus
    if "n_jobs" in estimator.get_params():
        yield check_n_jobs


def documents(n_documents: int = 240) -> list[str]:
    """Made-up documents of five to fourteen words each, the words as unequally frequent as in a language."""
    generator = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    words = ["".join(generator.choices(syllables, k=2)) for _ in range(80)]
    shares = [1 / (rank + 3) for rank in range(len(words))]
    return [" ".join(generator.choices(words, shares, k=generator.randint(5, 14))) for _ in range(n_documents)]


def _fitted(estimator: Any) -> tuple[Any, list[str]]:
    texts = documents()
    return seeded(estimator).fit(texts), texts


# ----------------------------------------------------------------------------------------------------- the checks


def check_parameters(estimator: Any) -> None:
    """`__init__` keeps its arguments and nothing else; get_params and set_params see the same ones."""
    new = type(estimator)(**estimator.get_params(deep=False))
    parameters = new.get_params(deep=False)
    strangers = {name for name in vars(new) if name not in parameters}
    if strangers:
        raise AssertionError(f"__init__ sets {sorted(strangers)}, which are no parameters.")
    for name, value in estimator.get_params(deep=False).items():
        if parameters[name] is not value:
            raise AssertionError(f"__init__ changes {name}: it got {value!r} and keeps {parameters[name]!r}.")
    new.set_params(**parameters)
    assert_raises(
        ValueError, partial(new.set_params, no_such_parameter=1), message="set_params takes a parameter there is not."
    )


def check_clone(estimator: Any) -> None:
    """A clone has equal parameters; fit leaves parameters as they are."""
    fitted, _ = _fitted(estimator)
    before = seeded(estimator).get_params()
    after = fitted.get_params()
    for name, value in before.items():
        if repr(after[name]) != repr(value):
            raise AssertionError(f"fit changes the parameter {name} from {value!r} to {after[name]!r}.")
    learned = {name for name in vars(clone(fitted)) if name.endswith("_")}
    if learned:
        raise AssertionError(f"a clone of a fitted estimator has {sorted(learned)}.")


def check_fit_returns_self(estimator: Any) -> None:
    """`fit` returns the estimator, takes a y, and leaves the documents as they are."""
    texts = documents()
    new = seeded(estimator)
    if new.fit(texts, [0, 1] * (len(texts) // 2)) is not new:
        raise AssertionError("fit does not return the estimator.")
    new.transform(texts)
    if texts != documents():
        raise AssertionError("fit or transform changes the list of documents.")


def check_pickle(estimator: Any) -> None:
    """A fitted estimator that was pickled transforms alike."""
    fitted, texts = _fitted(estimator)
    copy = pickle.loads(pickle.dumps(fitted))
    assert_same(copy.transform(texts), fitted.transform(texts), "the pickled estimator transforms differently")


def check_fit_idempotent(estimator: Any) -> None:
    """Fitting again on the same documents, and fit_transform, give the same."""
    fitted, texts = _fitted(estimator)
    first = fitted.transform(texts)
    assert_same(fitted.fit(texts).transform(texts), first, "fitting a second time changes the result")
    assert_same(seeded(estimator).fit_transform(texts), first, "fit_transform differs from fit, then transform")


def check_one_row_a_document(estimator: Any) -> None:
    """Documents give finite rows, one each, and not all the same."""
    fitted, texts = _fitted(estimator)
    rows = dense(fitted.transform(texts))
    if rows.ndim != 2 or len(rows) != len(texts):
        raise AssertionError(f"{len(texts)} documents give rows of shape {rows.shape}, expected one for each.")
    if not np.isfinite(rows).all():
        raise AssertionError("a document has a row that is not finite.")
    if (rows == rows[0]).all():
        raise AssertionError("all documents have the same row.")


def check_order_invariance(estimator: Any) -> None:
    """A document's row does not depend on where it stands among those transformed."""
    fitted, texts = _fitted(estimator)
    order = np.random.RandomState(0).permutation(len(texts))
    rows = dense(fitted.transform([texts[position] for position in order]))
    assert_same(rows, dense(fitted.transform(texts))[order], "the order of documents changes their rows")


def check_batch_invariance(estimator: Any) -> None:
    """A document's row does not depend on the documents transformed with it."""
    fitted, texts = _fitted(estimator)
    together = dense(fitted.transform(texts[:20]))
    alone = np.vstack([dense(fitted.transform([text])) for text in texts[:20]])
    assert_same(alone, together, "documents transformed one by one differ from those transformed together")


def check_transform_learns_nothing(estimator: Any) -> None:
    """`transform` leaves no trace: other documents between two calls change neither result nor width."""
    fitted, texts = _fitted(estimator)
    first = fitted.transform(texts)
    fitted.transform([f"unseen{number} words{number}" for number in range(50)])
    assert_same(fitted.transform(texts), first, "transforming other documents changes later results")


def check_empty_documents(estimator: Any) -> None:
    """Empty documents, and those of unseen words alone, get finite rows in fit and transform, wherever they stand."""
    texts = documents()
    unusual = ["", "   ", "zzzzunseen", "\n", "!?"]
    fitted = seeded(estimator).fit([*unusual[:2], *texts, *unusual])
    rows = dense(fitted.transform([*unusual, texts[0], *unusual]))
    if rows.shape[0] != 2 * len(unusual) + 1:
        raise AssertionError(f"{2 * len(unusual) + 1} documents, some empty, became {rows.shape[0]} rows.")
    if not np.isfinite(rows).all():
        raise AssertionError("an empty document, or one without a known word, has a row that is not finite.")
    assert_same(rows[[len(unusual)]], fitted.transform(texts[:1]), "empty documents change the row beside them")


def check_empty_corpus(estimator: Any) -> None:
    """Nothing to learn from is an error: no documents, or empty ones."""
    for nothing in ([], ["", " "]):
        assert_raises(ValueError, seeded(estimator).fit, nothing, message=f"fit({nothing!r}) raises no ValueError.")


def check_wrong_documents(estimator: Any) -> None:
    """One string in place of documents, and a NaN among them, are errors."""
    fitted, texts = _fitted(estimator)
    methods = [fitted.transform]
    if get_tags(estimator).requires_fit:  # others need not look at what they are fitted on
        methods.append(seeded(estimator).fit)
    for method in methods:
        assert_raises(
            (ValueError, TypeError), method, texts[0], message=f"{method.__name__} takes one string for documents."
        )
        with_missing = [*texts, np.nan]
        assert_raises(
            (ValueError, TypeError), method, with_missing, message=f"{method.__name__} takes NaN for a document."
        )


def check_containers(estimator: Any) -> None:
    """A list, a tuple, an array and a generator of the same documents are the same."""
    fitted, texts = _fitted(estimator)
    expected = fitted.transform(texts)
    containers: dict[str, Callable] = {
        "a tuple": lambda: tuple(texts),
        "an object array": lambda: np.array(texts, dtype=object),
        "a string array": lambda: np.array(texts),
        "a generator": lambda: (text for text in texts),
    }
    for name, container in containers.items():
        assert_same(fitted.transform(container()), expected, f"transform of {name} differs from that of a list")
        refitted = seeded(estimator).fit(container())
        assert_same(refitted.transform(texts), expected, f"fit of {name} differs from that of a list")
    rows = seeded(estimator).fit_transform(text for text in texts)
    assert_same(rows, expected, "fit_transform of a generator differs from that of a list")


def check_threads(estimator: Any) -> None:
    """Eight threads that transform with one estimator get what one gets."""
    fitted, texts = _fitted(estimator)
    expected = fitted.transform(texts)
    fresh = pickle.loads(pickle.dumps(fitted))  # what is built on first use is built by all of them
    with ThreadPoolExecutor(_N_THREADS) as pool:
        for rows in pool.map(fresh.transform, [texts] * (2 * _N_THREADS)):
            assert_same(rows, expected, "transform differs between threads")


def check_memory_growth(estimator: Any) -> None:
    """Documents of unseen words, transformed batch after batch, leave nothing behind."""
    fitted, texts = _fitted(estimator)

    def transform(batch: int) -> None:
        fitted.transform([*texts[:5], *(f"novel{batch}word{number} {'x' * 200}{batch}" for number in range(500))])

    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        transform(0)
        before = tracemalloc.get_traced_memory()[0]
        for batch in range(1, 9):
            transform(batch)
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        if started:
            tracemalloc.stop()
    if growth > _ALLOWED_GROWTH:
        raise AssertionError(
            f"eight calls of transform left {growth} bytes behind; the estimator keeps what it is shown."
        )


def check_global_state(estimator: Any) -> None:
    """Random states, thread counts, warning filters, error states and the environment stay as they were."""
    seeded(estimator).fit(documents())  # imports may change what they like, once
    np.random.random()  # noqa: NPY002 (a fit that seeds would else find the state it leaves)
    random.random()
    before = global_state()
    fitted, texts = _fitted(estimator)
    fitted.transform(texts)
    changed = [name for name, value in global_state().items() if value != before[name]]
    if changed:
        raise AssertionError(f"fit or transform changes {', '.join(changed)}.")


def global_state() -> dict[str, Any]:
    """What all code of a process shares, by name."""
    state: dict[str, Any] = {
        "numpy's global random state": pickle.dumps(np.random.get_state()),  # noqa: NPY002 (it is what is looked at)
        "Python's random state": random.getstate(),
        "numpy's error handling": tuple(sorted(np.geterr().items())),
        "the environment": dict(os.environ),
        "the warning filters": list(warnings.filters),
    }
    numba = sys.modules.get("numba")
    if numba is not None and hasattr(numba, "get_num_threads"):
        # to be asked starts numba's layer of threads, and with OpenMP that sets the number that torch has, too
        with threadpool_limits(1, user_api="openmp"):  # what is set in here is taken back
            state["numba's number of threads"] = numba.get_num_threads()
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch's random state"] = torch.get_rng_state().numpy().tobytes()
        state["torch's number of threads"] = torch.get_num_threads()
        state["torch's default dtype"] = str(torch.get_default_dtype())
        state["torch's default device"] = str(torch.empty(0).device)
        state["torch's choice of algorithms"] = torch.are_deterministic_algorithms_enabled()
    threadpoolctl = sys.modules.get("threadpoolctl")
    if threadpoolctl is not None:
        pools = threadpoolctl.threadpool_info()
        state["the number of threads of BLAS and OpenMP"] = sorted((p["filepath"], p["num_threads"]) for p in pools)
    return state


def check_column_transformer(estimator: Any) -> None:
    """It takes a column of a data frame through a ColumnTransformer, within a Pipeline."""
    pandas = sys.modules.get("pandas")
    texts = documents()
    expected = seeded(estimator).fit(texts).transform(texts)
    columns: Any
    name: Any
    if pandas is None:
        columns, name = np.array([[text, "other"] for text in texts], dtype=object), 0
    else:
        columns, name = pandas.DataFrame({"text": texts, "other": 1}, index=np.arange(len(texts)) + 7), "text"
    pipeline = make_pipeline(ColumnTransformer([("vectors", seeded(estimator), name)], sparse_threshold=1.0))
    assert_same(pipeline.fit_transform(columns), expected, "a ColumnTransformer's rows differ")


def check_feature_names(estimator: Any) -> None:
    """One name a column, all different, all strings; none before fit."""
    assert_raises(
        NotFittedError, seeded(estimator).get_feature_names_out, message="get_feature_names_out works before fit."
    )
    fitted, texts = _fitted(estimator)
    names = fitted.get_feature_names_out()
    width = fitted.transform(texts[:1]).shape[1]
    if len(names) != width or len(set(names)) != width or not all(isinstance(name, str) for name in names):
        raise AssertionError(
            f"{width} columns have the {len(names)} names {list(names)[:5]}...; expected unique strings."
        )


def check_set_output(estimator: Any) -> None:
    """Dense rows come as the data frame that set_output asks for, its columns named."""
    pandas = sys.modules.get("pandas")
    fitted, texts = _fitted(estimator)
    rows = fitted.transform(texts)
    if pandas is None or issparse(rows):
        return
    frame = fitted.set_output(transform="pandas").transform(pandas.Series(texts))
    if list(frame.columns) != list(fitted.get_feature_names_out()):
        raise AssertionError(f"set_output(transform='pandas') names the columns {list(frame.columns)[:5]}...")
    assert_same(frame, rows, "set_output(transform='pandas') changes the rows")


def check_not_fitted(estimator: Any) -> None:
    """`transform` before `fit` raises NotFittedError."""
    assert_raises(NotFittedError, seeded(estimator).transform, documents(), message="transform works before fit.")


def check_n_jobs(estimator: Any) -> None:
    """The number of jobs changes no bit."""
    texts = documents()
    outputs = (seeded(estimator).set_params(n_jobs=n).fit(texts).transform(texts) for n in (1, 2))
    assert_equal(outputs, "n_jobs=1 and n_jobs=2 differ")


_CHECKS = [
    check_parameters,
    check_clone,
    check_fit_returns_self,
    check_pickle,
    check_fit_idempotent,
    check_one_row_a_document,
    check_order_invariance,
    check_batch_invariance,
    check_transform_learns_nothing,
    check_empty_documents,
    check_wrong_documents,
    check_containers,
    check_threads,
    check_memory_growth,
    check_global_state,
    check_column_transformer,
]
