"""Similarity of sentences beside people's scores: against scipy, files as STS and SICK write them, what is refused."""

import gzip

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skembed.inspection import evaluate_sentence_similarity
from skembed.table import EmbeddingTable
from skembed.text import PretrainedVectorizer

ROWS = [
    ("a cat sleeps", "the cat sleeps", 4.5), ("a cat sleeps", "the dog runs", 1.0), ("1", "the dog", 0.5),
    ("the dog runs", "a dog sleeps", 2.5), ("the cat runs", "3", 0.0),
]  # fmt: skip
WORDS = ["a", "the", "cat", "dog", "sleeps", "runs"]


@pytest.fixture(scope="module")
def vectorizer():
    table = EmbeddingTable(WORDS, np.random.default_rng(0).standard_normal((6, 4)))
    return PretrainedVectorizer(table).fit([a for a, _, _ in ROWS])


def test_correlations_are_those_of_scipy(vectorizer):
    left, right = (vectorizer.transform([row[side] for row in ROWS]) for side in (0, 1))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines = np.divide((left * right).sum(axis=1), norms, where=norms > 0, out=np.zeros(5))
    scores = [score for _, _, score in ROWS]
    result = evaluate_sentence_similarity(vectorizer, ROWS)
    assert result.pearson == pytest.approx(stats.pearsonr(scores, cosines).statistic, abs=1e-6)
    assert result.spearman == pytest.approx(stats.spearmanr(scores, cosines).statistic, abs=1e-6)
    assert result.pearson_pvalue == pytest.approx(stats.pearsonr(scores, cosines).pvalue, abs=1e-6)
    assert (result.n_pairs, result.zero_share) == (5, 0.4)
    assert result == evaluate_sentence_similarity(vectorizer.transform, pd.DataFrame(ROWS))
    assert result.to_dict()["n_pairs"] == 5


def test_files_with_the_score_first_or_last(vectorizer, tmp_path):
    expected = evaluate_sentence_similarity(vectorizer, ROWS)
    path = tmp_path / "pairs.tsv.gz"
    for order, heading in ((lambda a, b, s: (a, b, s), ""), (lambda a, b, s: (s, a, b), "score\tfirst\tsecond\n")):
        with gzip.open(path, "wt") as file:
            file.write(heading)
            file.writelines("\t".join(map(str, order(*row))) + " \n" for row in ROWS)
        assert evaluate_sentence_similarity(vectorizer, path) == expected


def test_sparse_rows_and_pipelines():
    pipeline = make_pipeline(TfidfVectorizer(token_pattern=r"\S+")).fit([a for a, _, _ in ROWS])
    assert evaluate_sentence_similarity(pipeline, ROWS).pearson > 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b\tc d\n", "line 1 of .* two sentences and a score"),
        ("a\tb\t1\nc\td\te\n", "line 2 of .* begin or end with a score"),
        ("a\tb\tnan\nc\td\t1\n", "finite"),
        ("a\tb\t1\n", "two pairs or more, got 1"),
        ("", "got 0"),
    ],
)
def test_files_that_are_refused(vectorizer, tmp_path, text, message):
    (tmp_path / "pairs").write_text(text)
    with pytest.raises(ValueError, match=message):
        evaluate_sentence_similarity(vectorizer, tmp_path / "pairs")


def test_what_makes_no_vectors_is_refused(vectorizer):
    with pytest.raises(TypeError, match="transform"):
        evaluate_sentence_similarity(3, ROWS)
    with pytest.raises(TypeError, match=r"pairs\[0\]"):
        evaluate_sentence_similarity(vectorizer, [(1, "a", 2.0), ("b", "c", 1.0)])
    with pytest.raises(ValueError, match="rows of numbers"):
        evaluate_sentence_similarity(lambda texts: np.zeros(3), ROWS)
    with pytest.raises(ValueError, match="NaN"):
        evaluate_sentence_similarity(lambda texts: np.full((len(texts), 2), np.nan), ROWS)
