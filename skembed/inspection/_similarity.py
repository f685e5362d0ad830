"""Similarity of words and of sentences: correlation of cosines with what people say (Rubenstein & Goodenough 1965)."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from skembed.inspection._result import Result
from skembed.inspection._words import Words, is_path, one_of, read_lines, rows_given
from skembed.table import EmbeddingTable
from skembed.table.queries import unit_vectors
from skembed.table.vectors import check_finite_vectors
from skembed.warning import warn

__all__ = ["SentenceSimilarityResult", "SimilarityResult", "evaluate_sentence_similarity", "evaluate_similarity"]

UNKNOWN_POLICIES = ("skip", "zero")


@dataclass(frozen=True, repr=False)
class SimilarityResult(Result):
    """What `evaluate_similarity` found.

    Attributes
    ----------
    spearman, pearson : float
        Correlation of ranks and of values between the cosines and the scores people gave.
    spearman_pvalue, pearson_pvalue : float
        Two-sided.
    n_pairs : int
        Pairs of the test set, with and without those that have an unknown word.
    oov_share : float
        Share, 0 to 1, of the pairs with a word that is not in the table.
    oov_words : tuple
        Those words, each once, in the order they are met; not part of `to_dict`.
    """

    spearman: float
    pearson: float
    spearman_pvalue: float
    pearson_pvalue: float
    n_pairs: int
    oov_share: float
    oov_words: tuple = field(repr=False, compare=False)


@dataclass(frozen=True, repr=False)
class SentenceSimilarityResult(Result):
    """What `evaluate_sentence_similarity` found.

    Attributes
    ----------
    spearman, pearson : float
        Correlation of ranks and of values between the cosines and the scores people gave.
    spearman_pvalue, pearson_pvalue : float
        Two-sided.
    n_pairs : int
    zero_share : float
        Share, 0 to 1, of the pairs with a sentence whose vector is zero; their cosine counts as 0.
    """

    spearman: float
    pearson: float
    spearman_pvalue: float
    pearson_pvalue: float
    n_pairs: int
    zero_share: float


def evaluate_similarity(
    table: EmbeddingTable,
    pairs: Any,
    *,
    restrict_vocab: int | None = 300_000,
    case_insensitive: bool = True,
    unknown: str = "skip",
    delimiter: str | None = None,
    encoding: str = "utf-8",
) -> SimilarityResult:
    """Correlation of cosines with the similarity that people see between two words.

    Parameters
    ----------
    table : EmbeddingTable
    pairs : str, os.PathLike, or rows (key, key, score)
        A file as of WordSim-353, MEN or SimLex, plain or compressed: two words and a score a line. Lines that begin
        with ``#``, and a first line whose third field is no number, are headings. Or the rows themselves: any
        iterable, an array of shape (n_pairs, 3), a DataFrame.
    restrict_vocab : int or None, default=300_000
        Only the first so many keys take part, the most frequent ones where a table is sorted by frequency.
    case_insensitive : bool, default=True
        Compare words in upper case; of several keys that are then one word the first counts.
    unknown : {"skip", "zero"}, default="skip"
        Pairs with a word that is not in the table are left out, or take part with a similarity of 0.
    delimiter : str, default=None
        Between the fields of a line. None: a tab where the line has one, else any blanks.
    encoding : str, default="utf-8"

    Returns
    -------
    SimilarityResult

    Raises
    ------
    ValueError
        For a line or row that is no pair with a finite score, or if fewer than two pairs are left.

    Notes
    -----
    Spearman and Pearson agree with gensim's ``KeyedVectors.evaluate_word_pairs``, with the same defaults;
    ``unknown="zero"`` is its ``dummy4unknown=True``. It gives the unknown share in percent, and passes over lines that
    it cannot read.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import evaluate_similarity
    >>> table = EmbeddingTable(["cat", "kitten", "car"], [[1.0, 0.0], [0.9, 0.1], [0.1, 1.0]])
    >>> pairs = [("Cat", "kitten", 9), ("kitten", "car", 2), ("cat", "car", 1), ("cat", "yak", 4)]
    >>> result = evaluate_similarity(table, pairs)
    >>> round(result.spearman, 3), result.oov_share, result.oov_words
    (1.0, 0.25, ('yak',))
    """
    one_of(unknown, UNKNOWN_POLICIES, "unknown")
    words = Words(table, restrict_vocab, case_insensitive)
    listed = list(_read_pairs(pairs, delimiter, encoding) if is_path(pairs) else _given_pairs(pairs))
    scores = np.array([score for _, _, score in listed])
    left, right = words.rows(a for a, _, _ in listed), words.rows(b for _, b, _ in listed)
    known = (left >= 0) & (right >= 0)
    check_finite_vectors(words.vectors, words.keys, np.concatenate([left[known], right[known]]))
    cosines = np.zeros(len(listed))
    products = unit_vectors(words.vectors[left[known]]) * unit_vectors(words.vectors[right[known]])
    # what is equal but for the last bits of a float64, as of each word with itself, has to tie
    cosines[known] = products.sum(axis=1).astype(np.float32)
    missing = (word for (a, b, _), rows in zip(listed, zip(left, right)) for word, row in zip((a, b), rows) if row < 0)
    oov_words = tuple(dict.fromkeys(missing))
    used = known if unknown == "skip" else np.ones(len(listed), dtype=bool)
    if used.sum() < 2:
        raise ValueError(
            f"a correlation needs two pairs or more, got {used.sum()}: of {len(listed)} pairs {(~known).sum()} have a "
            f"word that is not in this table ({', '.join(map(repr, oov_words[:3]))})."
        )
    rank, linear = _correlations(scores[used], cosines[used])
    return SimilarityResult(
        spearman=float(rank.statistic),
        pearson=float(linear.statistic),
        spearman_pvalue=float(rank.pvalue),
        pearson_pvalue=float(linear.pvalue),
        n_pairs=len(listed),
        oov_share=float((~known).mean()),
        oov_words=oov_words,
    )


def evaluate_sentence_similarity(
    vectorizer: Any, pairs: Any, *, delimiter: str | None = None, encoding: str = "utf-8"
) -> SentenceSimilarityResult:
    """Correlation of cosines with the similarity that people see between two sentences.

    Parameters
    ----------
    vectorizer : fitted transformer, or callable
        Its ``transform``, or it itself, makes of a list of n sentences an array of shape (n, n_features). A pipeline
        is one, too.
    pairs : str, os.PathLike, or rows (sentence, sentence, score)
        A file as those of STS (Agirre et al. 2012, "SemEval-2012 Task 6") and SICK, plain or compressed: two sentences
        and a score a line, between tabs, the score first or last. A first line without a number is a heading. Or the
        rows themselves: any iterable, an array of shape (n_pairs, 3), a DataFrame.
    delimiter : str, default=None
        Between the fields of a line. None: a tab.
    encoding : str, default="utf-8"

    Returns
    -------
    SentenceSimilarityResult

    Raises
    ------
    TypeError
        If `vectorizer` makes no vectors, or a sentence is no string.
    ValueError
        For a line or row that is no pair with a finite score, if there are fewer than two pairs, or if the vectors are
        not one row a sentence.

    Notes
    -----
    Pearson is what the STS tasks report. Vectors are made of each different sentence once.

    Examples
    --------
    >>> from skembed import EmbeddingTable, PretrainedVectorizer
    >>> from skembed.inspection import evaluate_sentence_similarity
    >>> table = EmbeddingTable(["cats", "kittens", "sleep", "fly"], [[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    >>> pairs = [("cats sleep", "kittens sleep", 4.5), ("cats sleep", "cats fly", 2.0), ("cats", "fly", 0.5)]
    >>> vectorizer = PretrainedVectorizer(table).fit([a for a, b, _ in pairs])
    >>> round(evaluate_sentence_similarity(vectorizer, pairs).spearman, 3)
    1.0
    """
    listed = list(_read_sentences(pairs, delimiter, encoding) if is_path(pairs) else _given_pairs(pairs))
    if len(listed) < 2:
        raise ValueError(f"a correlation needs two pairs or more, got {len(listed)}.")
    number: dict[str, int] = {}
    for position, (a, b, _) in enumerate(listed):
        for sentence in (a, b):
            if not isinstance(sentence, str):
                raise TypeError(
                    f"pairs[{position}] must hold sentences, got {sentence!r} of {type(sentence).__name__}."
                )
            number.setdefault(sentence, len(number))
    unit = unit_vectors(_sentence_vectors(vectorizer, list(number)))
    left, right = unit[[number[a] for a, _, _ in listed]], unit[[number[b] for _, b, _ in listed]]
    cosines = (left * right).sum(axis=1).astype(np.float32)  # see evaluate_similarity
    rank, linear = _correlations(np.array([score for _, _, score in listed]), cosines)
    is_zero = ~left.any(axis=1) | ~right.any(axis=1)
    return SentenceSimilarityResult(
        spearman=float(rank.statistic),
        pearson=float(linear.statistic),
        spearman_pvalue=float(rank.pvalue),
        pearson_pvalue=float(linear.pvalue),
        n_pairs=len(listed),
        zero_share=float(is_zero.mean()),
    )


def _sentence_vectors(vectorizer: Any, sentences: list[str]) -> np.ndarray:
    apply = getattr(vectorizer, "transform", vectorizer)
    if not callable(apply):
        raise TypeError(
            f"vectorizer must have a transform, or be a function of a list of sentences, got "
            f"{type(vectorizer).__name__}."
        )
    vectors = apply(sentences)
    vectors = np.asarray(vectors.toarray() if hasattr(vectors, "toarray") else vectors)
    if vectors.ndim != 2 or len(vectors) != len(sentences) or vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"vectorizer must make an array of {len(sentences)} rows of numbers, one a sentence, got shape "
            f"{vectors.shape} of {vectors.dtype}."
        )
    if not np.isfinite(vectors).all():
        raise ValueError("vectorizer has made NaN or infinity of a sentence; a cosine needs finite vectors.")
    return vectors


def _correlations(scores: np.ndarray, cosines: np.ndarray) -> tuple[Any, Any]:
    for name, values in (("scores", scores), ("cosines", cosines)):
        if np.ptp(values) == 0:
            warn(f"all {name} are {values[0]:.4g}: the correlation is nan.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return stats.spearmanr(scores, cosines), stats.pearsonr(scores, cosines)


def _read_pairs(path: Any, delimiter: str | None, encoding: str) -> Iterator[tuple[Any, Any, float]]:
    may_be_heading = True
    for number, line in read_lines(path, encoding):
        if line.startswith("#"):
            continue
        fields = [part.strip() for part in line.split(delimiter or ("\t" if "\t" in line else None))]
        where = f"line {number} of {os.fspath(path)!r}"
        if len(fields) != 3:
            raise ValueError(f"{where} must be two words and a score, got {line!r}; is delimiter={delimiter!r} right?")
        try:
            pair = (fields[0], fields[1], float(fields[2]))
        except ValueError:
            if may_be_heading:
                may_be_heading = False
                continue
            raise ValueError(f"the score in {where} must be a number, got {fields[2]!r}.") from None
        may_be_heading = False
        yield _finite(pair, where)


def _read_sentences(path: Any, delimiter: str | None, encoding: str) -> Iterator[tuple[Any, Any, float]]:
    rows: list[tuple[list[str], str]] = []
    for number, line in read_lines(path, encoding):
        fields = [part.strip() for part in line.split(delimiter or "\t")]
        where = f"line {number} of {os.fspath(path)!r}"
        if len(fields) != 3:
            raise ValueError(
                f"{where} must be two sentences and a score, got {line[:80]!r}; is delimiter={delimiter!r} right?"
            )
        if rows or _number(fields[0]) is not None or _number(fields[2]) is not None:  # else it is a heading
            rows.append((fields, where))
    # a sentence may be a number, but not most of them
    score = max((2, 0), key=lambda place: sum(_number(fields[place]) is not None for fields, _ in rows))
    for fields, where in rows:
        value = _number(fields[score])
        if value is None:
            raise ValueError(f"{where} must begin or end with a score as the other lines do, got {fields!r:.80}.")
        first, second = fields[1 - score // 2 : 3 - score // 2]
        yield _finite((first, second, value), where)


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _given_pairs(pairs: Iterable) -> Iterator[tuple[Any, Any, float]]:
    for position, (a, b, score) in enumerate(rows_given(pairs, 3, "pairs")):
        try:
            pair = (a, b, float(score))
        except (TypeError, ValueError):
            raise ValueError(f"the score of pairs[{position}] must be a number, got {score!r}.") from None
        yield _finite(pair, f"pairs[{position}]")


def _finite(pair: tuple[Any, Any, float], where: str) -> tuple[Any, Any, float]:
    if not np.isfinite(pair[2]):
        raise ValueError(f"the score in {where} must be finite, got {pair[2]}.")
    return pair
