"""The text checks: pass on sound vectorizers, fail on broken ones."""

import os
import subprocess
import sys
from itertools import count

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skembed.testing import check_text_estimator, parametrize_with_text_checks

pytest.importorskip("pandas")

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
    code = (
        "import torch, numba\n"
        "from skembed import Word2VecVectorizer\n"
        "from skembed.testing import check_text_estimator\n"
        "check_text_estimator(Word2VecVectorizer(4, max_iter=1))\n"
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


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_vectorizers_fail(broken):
    cases = parametrize_with_text_checks([broken()]).args[1]
    failed = set()
    for case in cases:
        estimator, check = case.values
        try:
            check(estimator)
        except Exception:
            failed.add(check.__name__)
    assert BROKEN[broken] <= failed
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the first failing check raises)
        check_text_estimator(broken())


def test_expected_failures_are_marked_and_classes_refused():
    decorator = parametrize_with_text_checks([SeedingNumpy()], expected_failed_checks=lambda _: {"check_clone": "why"})
    marked = [case.id for case in decorator.args[1] if case.marks]
    assert marked == ["SeedingNumpy()-check_clone"]
    with pytest.raises(TypeError, match="SeedingNumpy"):
        parametrize_with_text_checks([SeedingNumpy])
