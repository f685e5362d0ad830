"""Words that stand side by side more often than chance as one word: "new york" becomes "new_york".

The score is equation 6 of Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality"
(2013), times the number of words, so that a threshold means the same in a small corpus and a large one.
"""

import itertools
from collections.abc import Collection

import numpy as np

from skembed.data.corpus import EncodedCorpus

__all__ = ["PhraseRounds", "Phrases", "join_phrases", "learn_phrases", "phrase_of"]

PhraseRounds = list[list[tuple[str, str]]]  # the pairs of words that each round joins

_HELD_PAIRS = 2**24  # pairs counted apart before they are added up: 256 MiB


class Phrases:
    """Pairs of ids to join, in rounds: a later round may join what an earlier one has joined.

    Parameters
    ----------
    rounds : list of list of (str, str)
        The pairs of words of each round.
    number : dict of str to int
        The id of each word; pairs of which the two words or the phrase have none are left out.
    """

    def __init__(self, rounds: PhraseRounds, number: dict[str, int]) -> None:
        self._rounds = []
        for pairs in rounds:
            known = [(a, b) for a, b in pairs if a in number and b in number and phrase_of(a, b) in number]
            numbers = np.array([(number[a], number[b], number[phrase_of(a, b)]) for a, b in known], dtype=np.int64)
            first, second, joined = numbers.reshape(-1, 3).T
            codes = _codes(first, second)
            order = np.argsort(codes)
            self._rounds.append((codes[order], joined[order]))

    def join(self, stream: np.ndarray) -> np.ndarray:
        """Return a stream of ids in which each pair is one id; from left to right where pairs overlap.

        Parameters
        ----------
        stream : ndarray of shape (n,), int32
            Whole documents, a negative id after each.

        Returns
        -------
        ndarray of shape (at most n,), int32
        """
        for codes, joined in self._rounds:
            stream = _join(stream, codes, joined)
        return stream


def phrase_of(first: str, second: str) -> str:
    return f"{first}_{second}"


def learn_phrases(
    corpus: EncodedCorpus, *, n_rounds: int, threshold: float, min_count: int, barred: Collection[str] = ()
) -> PhraseRounds:
    """Find the phrases of a corpus and join them in it.

    Parameters
    ----------
    corpus : EncodedCorpus
        Is changed: a phrase becomes one word, behind the others in its list of words.
    n_rounds : int
        Each doubles the words that a phrase may have.
    threshold : float
        A pair is a phrase if ``(n_ab - min_count) * n_tokens / (n_a * n_b)`` exceeds it.
    min_count : int
        Rarer words are in no phrase.
    barred : collection of str
        Words that are in no phrase.

    Returns
    -------
    list of list of (str, str)
        The pairs of each round, as `Phrases` and `join_phrases` take them.
    """
    rounds: PhraseRounds = []
    while len(rounds) < n_rounds:
        words, counts = corpus.words, corpus.counts
        eligible = counts >= min_count
        eligible[[number for number, word in enumerate(words) if word in barred]] = False
        pairs, pair_counts = _count_pairs(corpus, eligible, min_count)
        expected = counts[pairs].prod(axis=1, dtype=np.float64)
        found = pairs[(pair_counts - min_count) * counts.sum() > threshold * expected]
        if not len(found):
            break
        rounds.append([(words[first], words[second]) for first, second in found.tolist()])
        join_phrases(corpus, rounds[-1:])
    return rounds


def join_phrases(corpus: EncodedCorpus, rounds: PhraseRounds) -> None:
    """Make one word of each of these pairs that the corpus holds, behind the others in its list of words."""
    number = {word: position for position, word in enumerate(corpus.words)}
    for first, second in itertools.chain.from_iterable(rounds):
        if first in number and second in number:
            number.setdefault(phrase_of(first, second), len(number))  # a text may hold "new_york" already
    if rounds:
        corpus.rewrite(Phrases(rounds, number).join, list(number))


def _count_pairs(corpus: EncodedCorpus, eligible: np.ndarray, min_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours that are both eligible and more than `min_count` times side by side: (n, 2) int64 and counts."""
    held: list[tuple[np.ndarray, np.ndarray]] = []
    n_held = 0
    eligible = np.append(eligible, (False, False))  # END_OF_DOCUMENT and NO_ROW find the last two entries
    previous = np.empty(0, dtype=np.int32)
    for block in corpus.blocks():
        stream = np.concatenate([previous, block])
        previous = stream[-1:]
        fits = eligible[stream]
        here = np.flatnonzero(fits[:-1] & fits[1:])
        codes, counts = np.unique(_codes(stream[here], stream[here + 1]), return_counts=True)
        held.append((codes, counts))
        n_held += codes.size
        if n_held > _HELD_PAIRS:
            held = [_added_up(held)]
            n_held = held[0][0].size
    codes, counts = _added_up(held) if held else (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    codes, counts = codes[counts > min_count], counts[counts > min_count]
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1), counts


def _added_up(held: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    codes, place = np.unique(np.concatenate([codes for codes, _ in held]), return_inverse=True)
    counts = np.zeros(codes.size, dtype=np.int64)
    np.add.at(counts, place, np.concatenate([counts for _, counts in held]))
    return codes, counts


def _codes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs of ids as one int64 each; negative where the first is no word, and then in no sorted list of pairs."""
    return (first.astype(np.int64) << 32) | (second.astype(np.int64) & 0xFFFFFFFF)


def _join(stream: np.ndarray, codes: np.ndarray, joined: np.ndarray) -> np.ndarray:
    if stream.size < 2 or not codes.size:
        return stream
    found = _codes(stream[:-1], stream[1:])
    place = np.minimum(np.searchsorted(codes, found), codes.size - 1)
    is_pair = codes[place] == found
    # Of pairs that overlap, a run of them in a row, every second one is joined, beginning with the first.
    position = np.arange(is_pair.size)
    begins = is_pair & ~np.insert(is_pair[:-1], 0, False)
    run_start = np.maximum.accumulate(np.where(begins, position, 0))
    chosen = np.flatnonzero(is_pair & ((position - run_start) % 2 == 0))
    result = stream.copy()
    result[chosen] = joined[place[chosen]]
    return np.delete(result, chosen + 1)
