"""Warnings name the line of whoever called the library, whatever lies between."""

import threading
import warnings

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skembed import EmbeddingTable, EntityEmbeddingEncoder, NeighborAnomalyDetector, Word2VecVectorizer
from skembed.warning import warn

X = np.array([["a", "x"], ["b", "x"]] * 20, dtype=object)  # the second column is constant
Y = np.arange(40.0)
ENCODER = EntityEmbeddingEncoder(max_iter=0)
ROWS = np.random.default_rng(0).normal(size=(4, 2))
FEW = EmbeddingTable(["a", "b"], [[1.0, 0, 0], [0, 1, 0]])


def repeated(path):
    path.write_text("a 1 2\na 3 4\nb 5 6\n")
    return EmbeddingTable.load(path)


CALLS = {
    "fit": lambda path: ENCODER.fit(X, Y),
    "fit_transform": lambda path: ENCODER.fit_transform(X, Y),
    "partial_fit": lambda path: EntityEmbeddingEncoder(max_iter=0).partial_fit(X, Y),
    "Pipeline.fit": lambda path: make_pipeline(ENCODER, StandardScaler()).fit(X, Y),
    "Pipeline.fit_transform": lambda path: make_pipeline(ENCODER, StandardScaler()).fit_transform(X, Y),
    "ColumnTransformer": lambda path: ColumnTransformer([("all", ENCODER, [0, 1])]).fit_transform(X, Y),
    "GridSearchCV": lambda path: GridSearchCV(ENCODER, {"cv": [3]}, cv=2, scoring=lambda *_: 0.0).fit(X, Y),
    "strangers": lambda path: ENCODER.fit(X[:, :1], Y).transform([["y"], ["z"]]),
    "fit of a detector": lambda path: NeighborAnomalyDetector(n_neighbors=9).fit(ROWS),
    "fit_predict of a detector": lambda path: NeighborAnomalyDetector(n_neighbors=9).fit_predict(ROWS),
    "a table": lambda path: FEW.align_to(FEW),
    "a file": lambda path: repeated(path / "words.txt"),
    "nothing to learn": lambda path: Word2VecVectorizer(2, min_count=1, subsample=0).fit_transform(["cat", "dog"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_line_is_the_callers(name, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[name](tmp_path)
    caught = [warning for warning in caught if "numba" not in str(warning.message)]
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


def test_calls_of_scikit_learn_lie_between():
    def speak(rows):
        warn("said", RuntimeWarning)
        return rows

    # of this file's functions the innermost is the caller
    with pytest.warns(RuntimeWarning, match="^said$") as caught:
        make_pipeline(FunctionTransformer(speak)).fit_transform(ROWS)
    assert (caught[0].filename, caught[0].lineno) == (__file__, speak.__code__.co_firstlineno + 1)


def test_in_a_thread_it_is_the_line_that_runs_it():
    spoken = {"__name__": "skembed.somewhere", "warn": warn}
    exec(compile("def speak(): warn('said')", "somewhere.py", "exec"), spoken)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread = threading.Thread(target=spoken["speak"])  # below it lies the module threading
        thread.start()
        thread.join()
    assert [warning.filename.rpartition("/")[2] for warning in caught] == ["threading.py"]
