"""Accuracy on analogies, a is to b as c is to d (Mikolov, Chen, Corrado & Dean 2013; Levy & Goldberg 2014)."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skembed.inspection._result import Result
from skembed.inspection._similarity import UNKNOWN_POLICIES
from skembed.inspection._words import Words, is_path, one_of, read_lines, rows_given
from skembed.table import EmbeddingTable
from skembed.table.neighbors import COSMUL_EPSILON, ExactIndex
from skembed.table.queries import unit_vectors
from skembed.table.vectors import check_finite_vectors

__all__ = ["AnalogyAnswer", "AnalogyResult", "AnalogySection", "evaluate_analogies"]

METHODS = ("3cosadd", "3cosmul")
_QUESTIONS_AT_ONCE = 1_024
_SCORES_AT_ONCE = 1 << 22  # float32 scores held at a time, 16 MiB
_Question = tuple[str, tuple]  # section, (a, b, c, expected)


class AnalogyAnswer(NamedTuple):
    """One question: a is to b as c is to `expected`; `answer` is the key that was found, None where none could be."""

    a: Any
    b: Any
    c: Any
    expected: Any
    answer: Any


@dataclass(frozen=True, repr=False)
class AnalogySection(Result):
    """Questions of one kind.

    Attributes
    ----------
    name : str
    accuracy : float
        Share of the questions answered right; nan without questions.
    n_correct, n_questions : int
        With ``unknown="skip"`` the questions with an unknown word are not among `n_questions`.
    n_unknown : int
        Questions with a word that is not in the table.
    answers : tuple of AnalogyAnswer
        Of the questions whose words are all in the table; not part of `to_dict`.
    """

    name: str
    accuracy: float
    n_correct: int
    n_questions: int
    n_unknown: int
    answers: tuple[AnalogyAnswer, ...] = field(repr=False, compare=False)


@dataclass(frozen=True, repr=False)
class AnalogyResult(Result):
    """What `evaluate_analogies` found.

    Attributes
    ----------
    accuracy : float
        Share of all questions answered right (not the mean over sections).
    n_correct, n_questions : int
    oov_share : float
        Share, 0 to 1, of all the test set's questions that have a word that is not in the table.
    semantic, syntactic : AnalogySection
        Totals of the sections whose names do not, and do, begin with "gram", as in Google's test set.
    sections : tuple of AnalogySection
        In the order of the test set.
    """

    accuracy: float
    n_correct: int
    n_questions: int
    oov_share: float
    semantic: AnalogySection
    syntactic: AnalogySection
    sections: tuple[AnalogySection, ...]

    def __repr__(self) -> str:
        lines = [
            f"AnalogyResult(accuracy={self.accuracy:.4g}, {self.n_correct} of {self.n_questions}, "
            f"oov_share={self.oov_share:.4g})"
        ]
        width = max(len(section.name) for section in (self.semantic, self.syntactic, *self.sections))
        for section in (*self.sections, self.semantic, self.syntactic):
            if section.n_questions or section.n_unknown:
                share = f"{section.accuracy:7.4f}  {section.n_correct} of {section.n_questions}"
                lines.append(f"  {section.name:{width}s} {share}")
        return "\n".join(lines)


def evaluate_analogies(
    table: EmbeddingTable,
    questions: Any,
    *,
    restrict_vocab: int | None = 300_000,
    case_insensitive: bool = True,
    unknown: str = "skip",
    method: str = "3cosadd",
    encoding: str = "utf-8",
) -> AnalogyResult:
    """Share of analogy questions that a table answers right, by section.

    Parameters
    ----------
    table : EmbeddingTable
    questions : str, os.PathLike, mapping or iterable
        A file as of Google's questions-words, plain or compressed: four words a line, a is to b as c is to d, and lines
        ``: name`` above each section. Or a mapping from the section's name to rows (a, b, c, d). Or such rows alone.
    restrict_vocab : int or None, default=300_000
        Only the first so many keys take part, as words of questions and as answers.
    case_insensitive : bool, default=True
        Compare words in upper case; of several keys that are then one word the first counts.
    unknown : {"skip", "zero"}, default="skip"
        Questions with a word that is not in the table are left out, or count as answered wrong.
    method : {"3cosadd", "3cosmul"}, default="3cosadd"
        The answer is the key with the largest cos(d, b - a + c) of unit vectors, or the largest
        cos(d, b) cos(d, c) / (cos(d, a) + 0.001) with cosines shifted to 0..1. The three given words are never the
        answer, in no spelling.
    encoding : str, default="utf-8"

    Returns
    -------
    AnalogyResult

    Raises
    ------
    ValueError
        For a line or row that does not hold four words, or if there are no questions.

    Notes
    -----
    Agrees with gensim's ``KeyedVectors.evaluate_word_analogies`` (which has 3CosAdd alone), with the same defaults;
    ``unknown="zero"`` is its ``dummy4unknown=True``. It calls a total of no questions 0 where this one is nan. Memory
    does not grow with the number of questions times that of keys.

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import evaluate_analogies
    >>> table = EmbeddingTable(["man", "woman", "king", "queen"], [[1, 0, 1], [1, 1, 1], [3, 0, 1], [3, 1, 1]])
    >>> evaluate_analogies(table, {"family": [("man", "woman", "king", "queen"), ("man", "boy", "woman", "girl")]})
    AnalogyResult(accuracy=1, 1 of 1, oov_share=0.5)
      family     1.0000  1 of 1
      semantic   1.0000  1 of 1
    """
    one_of(unknown, UNKNOWN_POLICIES, "unknown")
    one_of(method, METHODS, "method")
    words = Words(table, restrict_vocab, case_insensitive)
    listed = list(_read_questions(questions, encoding) if is_path(questions) else _given_questions(questions))
    if not listed:
        raise ValueError("questions must hold at least one question, got none.")
    rows = words.rows(word for _, question in listed for word in question).reshape(-1, 4)
    is_known = np.asarray((rows >= 0).all(axis=1))
    known = np.flatnonzero(is_known)
    check_finite_vectors(words.vectors, words.keys)
    excluded = _excluded(words, rows[known, :3])
    find = _by_sum if method == "3cosadd" else _by_product
    answers = np.full(len(listed), -1)
    answers[known] = find(words.vectors, rows[known, :3], excluded)

    answered: dict[str, list[AnalogyAnswer | None]] = {}
    n_correct: dict[str, int] = {}
    for (name, (a, b, c, expected)), answer, there in zip(listed, answers, is_known):
        found = words.keys[answer] if answer >= 0 else None
        answered.setdefault(name, []).append(AnalogyAnswer(a, b, c, expected, found) if there else None)
        right = answer >= 0 and words.folded[answer] == words.fold(expected)
        n_correct[name] = n_correct.get(name, 0) + int(right)
    return _result(answered, n_correct, unknown)


def _result(answered: dict[str, list[AnalogyAnswer | None]], n_correct: dict[str, int], unknown: str) -> AnalogyResult:
    def total(name: str, parts: Iterable[str]) -> AnalogySection:
        parts = list(parts)
        asked = [answer for part in parts for answer in answered[part]]
        answers = tuple(answer for answer in asked if answer is not None)
        n_questions = len(answers) if unknown == "skip" else len(asked)
        correct = sum(n_correct[part] for part in parts)
        accuracy = correct / n_questions if n_questions else float("nan")
        return AnalogySection(name, accuracy, correct, n_questions, len(asked) - len(answers), answers)

    whole = total("all", answered)
    return AnalogyResult(
        accuracy=whole.accuracy,
        n_correct=whole.n_correct,
        n_questions=whole.n_questions,
        oov_share=whole.n_unknown / (whole.n_unknown + len(whole.answers)),
        semantic=total("semantic", (name for name in answered if not name.startswith("gram"))),
        syntactic=total("syntactic", (name for name in answered if name.startswith("gram"))),
        sections=tuple(total(name, [name]) for name in answered),
    )


def _excluded(words: Words, given: np.ndarray) -> list[list[int]]:
    """For each question the rows of its three words in every spelling."""
    variants = words.variants()
    return [sorted({row for word in three for row in variants[words.folded[word]]}) for three in given.tolist()]


def _by_sum(vectors: np.ndarray, given: np.ndarray, excluded: list[list[int]]) -> np.ndarray:
    """Row of the answer to each question by 3CosAdd, int64 (n_questions,); -1 where all rows are excluded."""
    index = ExactIndex(vectors)
    answers = np.full(len(given), -1)
    for start in range(0, len(given), _QUESTIONS_AT_ONCE):
        chunk = slice(start, start + _QUESTIONS_AT_ONCE)
        a, b, c = (unit_vectors(vectors[given[chunk, i]]) for i in range(3))
        # one more than may not be the answer
        found = index.search(b - a + c, 1 + max(map(len, excluded[chunk]))).rows
        for question, (rows, struck) in enumerate(zip(found.tolist(), excluded[chunk]), start=start):
            answers[question] = next((row for row in rows if row not in struck), -1)
    return answers


def _by_product(vectors: np.ndarray, given: np.ndarray, excluded: list[list[int]]) -> np.ndarray:
    """Row of the answer to each question by 3CosMul, float32 arithmetic; -1 where all rows are excluded."""
    asked, position = np.unique(given, return_inverse=True)
    a, b, c = position.reshape(given.shape).T
    factors = unit_vectors(vectors[asked]).astype(np.float32)
    struck_rows = np.array([row for rows in excluded for row in rows], dtype=np.int64)
    struck_questions = np.repeat(np.arange(len(given)), [len(rows) for rows in excluded])
    best, answers = np.full(len(given), -np.inf, dtype=np.float32), np.full(len(given), -1)
    questions_at_once = min(len(given), _QUESTIONS_AT_ONCE)
    step = max(1, _SCORES_AT_ONCE // max(1, len(asked), questions_at_once))
    for first in range(0, len(vectors), step):
        block = unit_vectors(vectors[first : first + step]).astype(np.float32)
        shifted = (np.clip(factors @ block.T, -1, 1) + 1) / 2
        for start in range(0, len(given), _QUESTIONS_AT_ONCE):
            chunk = np.arange(start, min(start + _QUESTIONS_AT_ONCE, len(given)))
            scores = shifted[b[chunk]] * shifted[c[chunk]] / (shifted[a[chunk]] + np.float32(COSMUL_EPSILON))
            low, high = np.searchsorted(struck_questions, [chunk[0], chunk[-1] + 1])
            inside = (struck_rows[low:high] >= first) & (struck_rows[low:high] < first + step)
            scores[struck_questions[low:high][inside] - start, struck_rows[low:high][inside] - first] = -np.inf
            rows = scores.argmax(axis=1)
            peaks = scores[np.arange(len(chunk)), rows]
            better = peaks > best[chunk]
            best[chunk[better]], answers[chunk[better]] = peaks[better], rows[better] + first
    return answers


def _read_questions(path: Any, encoding: str) -> Iterator[_Question]:
    section = ""
    for number, line in read_lines(path, encoding):
        if line.startswith(":"):
            section = line[1:].strip()
            continue
        question = tuple(line.split())
        if len(question) != 4:
            raise ValueError(f"line {number} of {os.fspath(path)!r} must be four words, got {line!r}.")
        yield section, question


def _given_questions(questions: Any) -> Iterator[_Question]:
    sections = questions.items() if isinstance(questions, Mapping) else [("", questions)]
    for section, rows in sections:
        for question in rows_given(rows, 4, f"questions[{section!r}]" if section else "questions"):
            yield str(section), question
