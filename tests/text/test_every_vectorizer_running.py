"""All vectorizers of documents while they run (faults 27 to 29, 31): interrupts, jobs, memory, random states."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skembed import memory
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import FastTextVectorizer, GloVeVectorizer, LineCorpus, Word2VecVectorizer

TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]
CLASSES = [Word2VecVectorizer, GloVeVectorizer, FastTextVectorizer]


@pytest.fixture(scope="module", params=CLASSES, ids=lambda class_: class_.__name__)
def small(request):
    """Make a small vectorizer of each kind."""
    defaults = {"embedding_dim": 8, "max_iter": 2, "random_state": 0}
    defaults |= {} if request.param is GloVeVectorizer else {"subsample": 0}
    defaults |= {"n_buckets": 5000} if request.param is FastTextVectorizer else {}
    return lambda **parameters: request.param(**{**defaults, **parameters})


@pytest.fixture(scope="module")
def fitted(small):
    return small(pooling=POOLINGS).fit(TEXTS)


def test_ctrl_c_keeps_what_was_learned(small, interrupt_training):
    whole = small(max_iter=4).fit(TEXTS)
    interrupt_training(3)
    with pytest.warns(UserWarning, match="interrupted in pass 4 of 4; kept"):
        vectorizer = small(max_iter=4).fit(TEXTS)
    assert vectorizer.loss_curve_ == whole.loss_curve_[:3]
    assert vectorizer.transform(TEXTS).shape == (len(TEXTS), 8)


def test_ctrl_c_before_the_first_pass_ends_goes_on(small, interrupt_training):
    interrupt_training(0)
    vectorizer = small()
    with pytest.raises(KeyboardInterrupt):
        vectorizer.fit(TEXTS)
    with pytest.raises(NotFittedError):
        vectorizer.transform(TEXTS)


def test_eight_threads_transform_as_one(fitted):
    fresh = pickle.loads(pickle.dumps(fitted))
    expected = fitted.transform(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(fresh.transform, [TEXTS] * 32):
            np.testing.assert_array_equal(rows, expected)


def test_bits_do_not_depend_on_jobs_containers_or_files(small, tmp_path):
    path = tmp_path / "corpus"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    expected = joblib.hash(small(pooling=POOLINGS).fit(TEXTS).transform(TEXTS))
    sources = {
        "two jobs": (small(pooling=POOLINGS, n_jobs=2), TEXTS),
        "array": (small(pooling=POOLINGS), np.array(TEXTS)),
        "tokens": (small(pooling=POOLINGS), [text.split() for text in TEXTS]),
        "file": (small(pooling=POOLINGS), LineCorpus(path)),
    }
    for name, (vectorizer, source) in sources.items():
        assert joblib.hash(vectorizer.fit(source).transform(source)) == expected, name


def test_bits_do_not_depend_on_the_hash_seed(small):
    name = type(small()).__name__
    code = (
        "import joblib; from skembed.testing._text_checks import documents;"
        f"from skembed.text import {name};"
        f"v = {name}(4, max_iter=1, phrases=1, phrase_threshold=1, stop_words={{'badi', 'kuta'}}, pooling='sif',"
        "random_state=0); print(joblib.hash(v.fit_transform(documents())))"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1")
    }
    assert len(hashes) == 1


def test_no_random_state_is_fresh_and_leaves_numpys_alone(small):
    np.random.seed(0)  # noqa: NPY002
    one = small(random_state=None).fit(TEXTS)
    np.random.seed(0)  # noqa: NPY002
    two = small(random_state=None).fit(TEXTS)
    assert one.embedding_ != two.embedding_
    assert np.random.random() == np.random.RandomState(0).random()  # noqa: NPY002


def test_more_memory_than_there_is_is_predicted(small, monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 10**4)
    message = r"words with embedding_dim=100 needs at least \d+ bytes and this machine has 10000; lower embedding_dim"
    with pytest.raises(MemoryError, match=message):
        small(embedding_dim=100).fit(TEXTS)


def test_a_clone_knows_nothing(fitted):
    with pytest.raises(NotFittedError):
        clone(fitted).transform(TEXTS)
