"""The text checks: pass on sound vectorizers, fail on broken ones."""

import os
import random
import subprocess
import sys
import threading
import tracemalloc
import warnings
from functools import partial
from itertools import count
from types import GeneratorType

import broken
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skembed.testing import check_text_estimator, parametrize_with_text_checks
from skembed.testing._text_checks import checks_for, global_state

pandas = pytest.importorskip("pandas")

SOUND = [
    CountVectorizer(),
    TfidfVectorizer(),
    HashingVectorizer(n_features=64),
    make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0)),
]


def known_failures(estimator):
    if hasattr(estimator, "steps"):
        return {"check_set_output": "scikit-learn's TfidfVectorizer has no set_output"}
    if isinstance(estimator, HashingVectorizer) and get_tags(estimator).requires_fit:
        reason = "older versions of scikit-learn do not say that it needs no fit"
        return dict.fromkeys(["check_wrong_documents", "check_not_fitted", "check_empty_corpus"], reason)
    return {}


@parametrize_with_text_checks(SOUND, expected_failed_checks=known_failures)
def test_sound_vectorizers_pass(estimator, check):
    check(estimator)


def test_the_number_of_threads_that_torch_has_is_not_changed_by_asking_numba():
    """numba's layer of threads begins when it is asked, and sets the number of OpenMP, which torch has, too."""
    pytest.importorskip("torch")
    code = (
        "import torch, numba\n"
        "from skembed import Word2VecVectorizer\n"
        "from skembed.testing import check_text_estimator\n"
        "check_text_estimator(Word2VecVectorizer(4, max_iter=1))\n"
        "assert torch.get_num_threads() == 1\n"  # where there are several processes, 2 make small nets 50 times slower
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)


class Lengths(TransformerMixin, BaseEstimator):
    """A sound vectorizer: how many letters and words a document has; the broken ones below each break it once."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        if not self._rows(X).any():
            raise ValueError("no words")
        self.fitted_ = True
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self.scale * self._rows(X)

    def fit_transform(self, X, y=None):
        documents = list(X) if not isinstance(X, str) else X
        return self.fit(documents).transform(documents)

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.array(["letters", "words"], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _rows(self, X):
        if isinstance(X, str):
            raise TypeError("documents, not a string")
        texts = list(X)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("documents must be strings")
        return np.array([[len(text.strip()), len(text.split())] for text in texts], dtype=float).reshape(-1, 2)


class CentredByBatch(Lengths):
    def transform(self, X):
        rows = super().transform(X)
        return rows - rows.mean(axis=0)


class RememberingWords(Lengths):
    def fit(self, X, y=None):
        super().fit(X)
        self.number_ = {}
        return self

    def transform(self, X):
        documents = list(X) if not isinstance(X, str) else X
        rows = super().transform(documents)
        for text in documents:
            for word in text.split():
                self.number_.setdefault(word, len(self.number_))
        rows[:, 1] = [sum(self.number_[word] for word in text.split()) for text in documents]
        return rows


class ChangingParameters(Lengths):
    def __init__(self, scale=1.0):
        self.scale = float(scale) * 2


class SeedingNumpy(Lengths):
    def fit(self, X, y=None):
        np.random.seed(0)  # noqa: NPY002
        return super().fit(X)


class ReadingTwice(Lengths):
    def fit(self, X, y=None):
        super().fit(X)
        self.n_documents_ = sum(1 for _ in X)
        return self

    def transform(self, X):
        return super().transform(X) / self.n_documents_


class Noisy(Lengths):
    draws = count()

    def fit(self, X, y=None):
        self.noise_ = next(self.draws)
        return super().fit(X)

    def transform(self, X):
        return super().transform(X) + self.noise_


class SilentWithoutWords(Lengths):
    def _rows(self, X):
        rows = super()._rows(X)
        with np.errstate(all="ignore"):
            rows[:, 0] /= rows[:, 1]
        return rows


class LosingEmptyDocuments(Lengths):
    def _rows(self, X):
        return super()._rows(X if isinstance(X, str) else [text for text in X if not isinstance(text, str) or text])


def test_the_vectorizer_that_the_broken_ones_break_is_sound():
    check_text_estimator(Lengths())


BROKEN = {
    CentredByBatch: {"check_batch_invariance", "check_empty_documents"},
    RememberingWords: {"check_memory_growth"},
    ChangingParameters: {"check_parameters"},
    SeedingNumpy: {"check_global_state"},
    ReadingTwice: {"check_containers"},
    Noisy: {"check_fit_idempotent", "check_containers"},
    SilentWithoutWords: {"check_empty_documents"},
    LosingEmptyDocuments: {"check_empty_documents"},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_vectorizers_fail(kind):
    cases = parametrize_with_text_checks([kind()]).args[1]
    failed = set()
    for case in cases:
        estimator, check = case.values
        try:
            check(estimator)
        except Exception:
            failed.add(check.__name__)
    assert BROKEN[kind] <= failed
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the first failing check raises)
        check_text_estimator(kind())


class KeepingMore(Lengths):
    def __init__(self, scale=1.0):
        self.scale, self.more = scale, 1


class KeepingInAClone(Lengths):
    def __sklearn_clone__(self):
        made = type(self)(self.scale)
        made.__dict__.update(self.__dict__)
        return made


class ForgetsInAPickle(Lengths):
    def __getstate__(self):
        return super().__getstate__() | {"scale": 2.0}


class FrameWithOtherNames(Lengths):
    def set_output(self, *, transform=None):
        return _Framed(self, ["a", "b"], 1)


class FrameWithOtherRows(Lengths):
    def set_output(self, *, transform=None):
        return _Framed(self, ["letters", "words"], 2)


class _Framed:
    """What set_output of the two above returns."""

    def __init__(self, estimator, names, scale):
        self.estimator, self.names, self.scale = estimator, names, scale
        self.get_feature_names_out = estimator.get_feature_names_out

    def transform(self, X):
        return pandas.DataFrame(self.scale * self.estimator.transform(X), columns=self.names)


class AnotherInOtherThreads(Lengths):
    def transform(self, X):
        return super().transform(X) + (threading.current_thread() is not threading.main_thread())


class Jobs(Lengths):
    def __init__(self, scale=1.0, n_jobs=None):
        self.scale, self.n_jobs = scale, n_jobs


def changed(method, change, base=Lengths):
    return broken.changed(base, method, change)


def fit_first(then):
    return changed("fit", lambda fit, self, X, y=None: [fit(self, X), then(self, X)][0])


def scaled_fit(scale):
    return changed("fit", lambda fit, self, X, y=None: fit(self.set_params(scale=float(scale(self, X))), X))


def rows_that(change):
    return changed("transform", lambda transform, self, X: change(transform(self, X), X, self))


def turned(kind):
    return changed("transform", lambda plain, self, X: plain(self, list(X)[::-1] if isinstance(X, kind) else X))


def counting(rows, X, self):
    self.n_unseen_ = getattr(self, "n_unseen_", 0) + sum("unseen" in text for text in X)
    return rows + self.n_unseen_


EACH = {
    "parameters": [
        (KeepingMore, r"__init__ sets \['more'\]"),
        (changed("set_params", lambda set_params, self, **parameters: self), "takes a parameter there is not"),
        (ChangingParameters, "__init__ changes scale: it got 2.0 and keeps 4.0"),
    ],
    "clone": [
        (scaled_fit(lambda self, X: 3), "fit changes the parameter scale from 1.0 to 3.0"),
        (KeepingInAClone, r"^a clone of a fitted estimator has \['fitted_'\]\.$"),
    ],
    "fit_returns_self": [
        (changed("fit", lambda fit, self, X, y=None: clone(fit(self, X))), "fit does not return the estimator"),
        (fit_first(lambda self, X: X.sort()), "changes the list of documents"),
        (rows_that(lambda rows, X, self: [rows, X.sort()][0]), "changes the list of documents"),
    ],
    "pickle": [(ForgetsInAPickle, "the pickled estimator transforms differently")],
    "fit_idempotent": [
        (scaled_fit(lambda self, X: 1 + hasattr(self, "fitted_")), "fitting a second time changes the result"),
        (changed("fit_transform", lambda plain, self, X: 2 * plain(self, X)), "fit_transform differs from fit, then"),
    ],
    "one_row_a_document": [
        (rows_that(lambda rows, X, self: rows[:100]), r"240 documents give rows of shape \(100, 2\), expected one"),
        (rows_that(lambda rows, X, self: rows[:, 0]), r"240 documents give rows of shape \(240,\), expected one"),
        (rows_that(lambda rows, X, self: np.where(rows > 60, np.inf, rows)), "a document has a row that is not finite"),
        (rows_that(lambda rows, X, self: 0 * rows + 1), "all documents have the same row"),
    ],
    "order_invariance": [(rows_that(lambda rows, X, self: rows[np.argsort(rows[:, 0])]), "the order of documents")],
    "batch_invariance": [(rows_that(lambda rows, X, self: rows + (len(X) == 1)), "one by one differ from those")],
    "transform_learns_nothing": [(rows_that(counting), "transforming other documents changes later results")],
    "empty_documents": [
        (rows_that(lambda rows, X, self: rows[:-1] if "" in X else rows), "11 documents, some empty, became 10 rows"),
        (rows_that(lambda rows, X, self: np.where(rows[:, 1:] == 0, np.inf, rows)), "a row that is not finite"),
        (rows_that(lambda rows, X, self: rows + ("" in X)), "empty documents change the row beside them"),
    ],
    "empty_corpus": [
        (changed("fit", lambda fit, self, X, y=None: fit(self, X or ["one"])), r"fit\(\[\]\) raises no ValueError"),
        (changed("fit", lambda fit, self, X, y=None: fit(self, X and ["one"])), r"fit\(\['', ' '\]\) raises no"),
    ],
    "wrong_documents": [
        (changed("transform", lambda plain, self, X: plain(self, list(X))), "transform takes one string for documents"),
        (changed("fit", lambda fit, self, X, y=None: fit(self, list(X))), "fit takes one string for documents"),
        (changed("transform", lambda plain, self, X: plain(self, X if isinstance(X, str) else list(map(str, X)))),
         "transform takes NaN for a document"),
        (changed("fit", lambda fit, self, X, y=None: fit(self, X if isinstance(X, str) else list(map(str, X)))),
         "fit takes NaN for a document"),
    ],
    "containers": [
        (turned(tuple), "transform of a tuple differs from that of a list"),
        (turned(np.ndarray), "transform of an object array differs from that of a list"),
        (turned(GeneratorType), "transform of a generator differs from that of a list"),
        (scaled_fit(lambda self, X: 1 + isinstance(X, tuple)), "fit of a tuple differs from that of a list"),
        (scaled_fit(lambda self, X: 1 + (getattr(X, "dtype", "O") != "O")), "fit of a string array differs"),
        (changed("fit_transform", lambda plain, self, X: 2 * plain(self, X)), "fit_transform of a generator differs"),
    ],
    "threads": [(AnotherInOtherThreads, "transform differs between threads")],
    "memory_growth": [
        (rows_that(lambda rows, X, self: [rows, vars(self).setdefault("seen_", []).extend(X)][0]),
         "eight calls of transform left .* bytes behind"),
    ],
    "global_state": [
        (SeedingNumpy, "changes numpy's global random state"),
        (rows_that(lambda rows, X, self: rows + 0 * random.random()), "changes Python's random state"),
        (fit_first(lambda self, X: os.environ.update(BROKEN=str(next(Noisy.draws)))), "changes the environment"),
    ],
    "column_transformer": [
        (changed("fit_transform", lambda plain, self, X, y=None: (1 + hasattr(X, "iloc")) * plain(self, X)),
         "a ColumnTransformer's rows differ"),
    ],
    "feature_names": [
        (changed("get_feature_names_out", lambda names, self: np.array(["a", "b"])), "works before fit"),
        (changed("get_feature_names_out", lambda names, self: names(self)[:1]), "2 columns have the 1 names"),
        (changed("get_feature_names_out", lambda names, self: names(self)[[0, 0]]), "expected unique strings"),
        (changed("get_feature_names_out", lambda names, self: range(len(names(self)))), "expected unique strings"),
    ],
    "set_output": [
        (FrameWithOtherNames, r"set_output\(transform='pandas'\) names the columns \['a', 'b'\]\.\.\."),
        (FrameWithOtherRows, r"set_output\(transform='pandas'\) changes the rows"),
    ],
    "not_fitted": [(changed("transform", lambda plain, self, X: self._rows(X)), "transform works before fit")],
    "n_jobs": [
        (changed("transform", lambda plain, self, X: plain(self, X) * (self.n_jobs or 1), Jobs), "n_jobs=2 differ"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "kind", "message"), [(check, *case) for check, cases in EACH.items() for case in cases]
)
def test_each_check_says_what_is_broken(check, kind, message, monkeypatch):
    monkeypatch.setenv("BROKEN", "")
    (one,) = (one for one in checks_for(Jobs()) if one.__name__ == f"check_{check}")
    one(Jobs())
    with pytest.raises(AssertionError, match=message):
        one(kind())


def test_expected_failures_are_marked_and_classes_refused():
    decorator = parametrize_with_text_checks([SeedingNumpy()], expected_failed_checks=lambda _: {"check_clone": "why"})
    marked = [case.id for case in decorator.args[1] if case.marks]
    assert marked == ["SeedingNumpy()-check_clone"]
    with pytest.raises(TypeError, match="SeedingNumpy"):
        parametrize_with_text_checks([SeedingNumpy])


@pytest.mark.parametrize("tracing", [False, True])
def test_memory_is_traced_after_the_checks_where_it_was_before(tracing):
    (check,) = (one for one in checks_for(Lengths()) if one.__name__ == "check_memory_growth")
    assert not tracemalloc.is_tracing()
    if tracing:
        tracemalloc.start()
    try:
        check(Lengths())
        assert tracemalloc.is_tracing() == tracing
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("check", ["column_transformer", "set_output"])
def test_columns_are_those_of_an_array_where_there_is_no_pandas(check, monkeypatch):
    monkeypatch.delitem(sys.modules, "pandas")
    given = []

    class Watched(Lengths):
        def fit_transform(self, X, y=None):
            given.append(type(X))
            return super().fit_transform(X)

    (one,) = (one for one in checks_for(Watched()) if one.__name__ == f"check_{check}")
    one(Watched())
    assert given == [np.ndarray] * (check == "column_transformer")


def test_sparse_rows_are_no_frame():
    (check,) = (one for one in checks_for(CountVectorizer()) if one.__name__ == "check_feature_names")
    check(CountVectorizer())
    sparse = changed("transform", lambda plain, self, X: csr_matrix(plain(self, X)))
    (check,) = (one for one in checks_for(sparse()) if one.__name__ == "check_set_output")
    check(sparse())


def test_parameters_that_cannot_be_set_are_an_error():
    def refuse(set_params, self, **parameters):
        raise ValueError("nothing can be set")

    (check,) = (one for one in checks_for(Lengths()) if one.__name__ == "check_parameters")
    with pytest.raises(ValueError, match="nothing can be set"):
        check(changed("set_params", refuse)())


def set_numba_threads():
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(1 if before > 1 else before)
    yield before > 1
    numba.set_num_threads(before)


def set_torch(change, restore):
    torch = pytest.importorskip("torch")
    before = restore and restore(torch)
    change(torch)
    yield True
    if restore:
        before()


def limit_blas():
    import threadpoolctl

    most = max(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
    with threadpoolctl.threadpool_limits(most + 1):
        changed = max(pool["num_threads"] for pool in threadpoolctl.threadpool_info()) != most
        yield changed


SHARED = {
    "numpy's global random state": lambda: iter([np.random.random() > -1]),  # noqa: NPY002
    "Python's random state": lambda: iter([random.random() > -1]),
    "numpy's error handling": lambda: _restored(np.seterr, np.seterr(under="raise")),
    "the environment": lambda: _restored(os.environ.pop, os.environ.update({"BROKEN": "1"}) or "BROKEN"),
    "the warning filters": lambda: _restored(warnings.filters.remove, _new_filter()),
    "numba's number of threads": set_numba_threads,
    "torch's random state": lambda: set_torch(lambda torch: torch.rand(1), None),
    "torch's number of threads": lambda: set_torch(
        lambda torch: torch.set_num_threads(torch.get_num_threads() + 1),
        lambda torch: partial(torch.set_num_threads, torch.get_num_threads()),
    ),
    "torch's default dtype": lambda: set_torch(
        lambda torch: torch.set_default_dtype(torch.float64),
        lambda torch: partial(torch.set_default_dtype, torch.get_default_dtype()),
    ),
    "torch's default device": lambda: set_torch(
        lambda torch: torch.set_default_device("meta"), lambda torch: partial(torch.set_default_device, None)
    ),
    "torch's choice of algorithms": lambda: set_torch(
        lambda torch: torch.use_deterministic_algorithms(True),
        lambda torch: partial(torch.use_deterministic_algorithms, False),
    ),
    "the number of threads of BLAS and OpenMP": limit_blas,
}


def _restored(undo, argument):
    yield True
    undo(**argument) if isinstance(argument, dict) else undo(argument)


def _new_filter():
    warnings.filterwarnings("ignore", message="a filter of this test")
    return warnings.filters[0]


@pytest.mark.parametrize("name", SHARED)
def test_what_all_code_of_a_process_shares_is_seen_to_change(name):
    import threadpoolctl  # noqa: F401 (what is not loaded is not looked at)

    pytest.importorskip("torch")
    pytest.importorskip("numba")
    before = global_state()
    assert before == global_state()
    assert set(before) == set(SHARED)
    environment, filters = dict(os.environ), list(warnings.filters)
    steps = SHARED[name]()
    try:
        if next(steps):
            assert global_state()[name] != before[name]
    finally:
        for _ in steps:
            pass
        os.environ.clear()  # torch leaves settings in it, and a filter
        os.environ.update(environment)
        warnings.filters[:] = filters
    if "random state" not in name:
        assert global_state()[name] == before[name]
