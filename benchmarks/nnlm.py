"""Perplexity of NNLMVectorizer beside an interpolated modified Kneser-Ney trigram, and of both together.

    python benchmarks/nnlm.py                 a few minutes on one core
    python benchmarks/nnlm.py --seeds 1

Data: wikitext2_valid.txt.gz in ../shared/data/text, lines that are not empty as documents: the first 90 % of them to
learn from, the last 10 % to be predicted. Words are what stands between spaces, in lower case or not as in the file.
The vocabulary is the words that occur twice or more in the first part (--min-count); all others, and the <unk> that the
file has already, are one word, the unknown, which is predicted like any other. Both models give probabilities to the
same events, every word and every end of a line, over the same vocabulary.

The trigram is that of Chen & Goodman (1999), section 3: interpolated, three discounts for each order from the counts of
counts, lower orders from continuation counts, the lowest interpolated with the uniform distribution. That its
probabilities sum to 1 is checked for contexts seen and unseen. The mixture of both models, as in Bengio et al. (2003),
takes its weight from the last tenth of the part to learn from, by models that have not seen it; 0.5, as in the paper,
is beside it.
"""

import argparse
import ast
import gzip
import importlib.metadata
import math
import os
import platform
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "text" / "wikitext2_valid.txt.gz"
UNKNOWN, END, BEGIN = "<unk>", "</s>", "<s>"


def read_lines() -> list[list[str]]:
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        return [words for line in file if (words := line.split())]


class KneserNey:
    """Interpolated modified Kneser-Ney of order 3 over a closed vocabulary with <unk> and the end of a line."""

    def __init__(self, lines: list[list[str]], vocabulary: set[str]) -> None:
        self.vocabulary = sorted(vocabulary | {UNKNOWN, END})
        self.known = vocabulary
        trigrams: Counter[tuple[str, ...]] = Counter()
        for line in lines:
            padded = self.padded(line)
            trigrams.update(zip(padded, padded[1:], padded[2:]))
        bigrams = Counter(ngram[1:] for ngram in trigrams)  # continuations: different words before
        # a word pair at the beginning of a line has nothing but <s> before it: its own count stands for it
        unigrams = Counter(ngram[1:] for ngram in bigrams)
        self.orders = [self._order(counts) for counts in (unigrams, bigrams, trigrams)]

    @staticmethod
    def _order(counts):
        """Discounts, counts, and for each context the total and how many words were seen once, twice, and oftener."""
        n = [sum(count == k for count in counts.values()) for k in range(1, 5)]
        y = n[0] / (n[0] + 2 * n[1])
        discounts = (0.0, 1 - 2 * y * n[1] / n[0], 2 - 3 * y * n[2] / n[1], 3 - 4 * y * n[3] / n[2])
        of_context = defaultdict(lambda: [0, 0, 0, 0])
        for ngram, count in counts.items():
            of = of_context[ngram[:-1]]
            of[0] += count
            of[min(count, 3)] += 1
        return discounts, counts, dict(of_context)

    def padded(self, line: list[str]) -> list[str]:
        return [BEGIN, BEGIN, *(word if word in self.known else UNKNOWN for word in line), END]

    def probability(self, word: str, context: tuple[str, ...]) -> float:
        """P(word | context) by equation 21 of Chen & Goodman, from the uniform distribution upwards."""
        p = 1 / len(self.vocabulary)
        for order, (discounts, counts, of_context) in enumerate(self.orders):
            before = context[len(context) - order :]
            if before not in of_context:
                break
            total, *kinds = of_context[before]
            count = counts.get((*before, word), 0)
            left = sum(discounts[k] * n for k, n in enumerate(kinds, start=1))
            p = (max(count - discounts[min(count, 3)], 0.0) + left * p) / total
        return p

    def probabilities(self, lines: list[list[str]]) -> np.ndarray:
        padded = [self.padded(line) for line in lines]
        return np.array([self.probability(p[i], (p[i - 2], p[i - 1])) for p in padded for i in range(2, len(p))])

    def check(self, lines: list[list[str]]) -> float:
        """The largest distance from 1 of sums over the vocabulary, for contexts of these lines and unseen ones."""
        contexts = [(p[i - 2], p[i - 1]) for p in map(self.padded, lines) for i in (2, 3, len(p) - 1)][:40]
        contexts += [("no such word", "neither"), ("no such word", contexts[3][1])]
        return max(abs(sum(self.probability(word, c) for word in self.vocabulary) - 1) for c in contexts)


def neural(lines, min_count, seed, verbose, **settings):
    from skembed import NNLMVectorizer

    vectorizer = NNLMVectorizer(min_count=min_count, lowercase=False, random_state=seed, verbose=verbose, **settings)
    begin = time.perf_counter()
    vectorizer.fit(lines)
    return vectorizer, time.perf_counter() - begin


def without_mark(lines):
    """<unk> of the file as a word that no vocabulary holds: a different one each time."""
    number = iter(range(10**9))
    return [[word if word != UNKNOWN else f"<unk {next(number)}>" for word in line] for line in lines]


def perplexity(probabilities: np.ndarray) -> float:
    return math.exp(-np.log(probabilities).mean())


def probabilities_of(vectorizer, lines) -> np.ndarray:
    return np.exp(np.concatenate(list(vectorizer._log_probabilities(lines))))


def best_weight(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the first in a mixture with the least perplexity, by expectation and maximisation."""
    share = 0.5
    for _ in range(50):
        share = float((share * one / (share * one + (1 - share) * other)).mean())
    return share


def vocabulary_of(lines, min_count):
    counts = Counter(word for line in lines for word in line if word != UNKNOWN)
    return {word for word, count in counts.items() if count >= min_count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--min-count", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--verbose", type=int, default=0)
    parser.add_argument("--settings", default="", help="of NNLMVectorizer, such as 'dropout=0.5;n_previous=3'")
    options = parser.parse_args()
    settings = dict(SETTINGS)
    for part in filter(None, options.settings.split(";")):
        name, value = part.split("=")
        settings[name] = ast.literal_eval(value)

    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"torch {importlib.metadata.version('torch')}")  # fmt: skip
    lines = without_mark(read_lines())
    n_train = round(0.9 * len(lines))
    train, test = lines[:n_train], lines[n_train:]
    vocabulary = vocabulary_of(train, options.min_count)
    n_events = sum(len(line) + 1 for line in test)
    n_unknown = sum(word not in vocabulary for line in test for word in line)
    print(
        f"{len(train)} lines with {sum(map(len, train))} words to learn from; {len(test)} lines, {n_events} events to "
        f"predict, {n_unknown / n_events:.1%} of them <unk>; vocabulary {len(vocabulary)} words, <unk>, end"
    )
    trigram = KneserNey(train, vocabulary)
    of_trigram = trigram.probabilities(test)
    print(f"Kneser-Ney trigram: sums differ from 1 by at most {trigram.check(test):.1e}")
    print(f"{'Kneser-Ney trigram':34s} {perplexity(of_trigram):8.1f}")
    n_fit = round(0.9 * len(train))
    weight, results = None, []
    for seed in range(options.seeds):
        if weight is None:  # learned on a part, to weigh by the rest
            part, rest = train[:n_fit], train[n_fit:]
            model, _ = neural(part, options.min_count, seed, options.verbose, **settings)
            held = KneserNey(part, vocabulary_of(part, options.min_count)).probabilities(rest)
            weight = best_weight(probabilities_of(model, rest), held)
        model, seconds = neural(train, options.min_count, seed, options.verbose, **settings)
        if set(model.vocabulary_) != vocabulary:
            raise SystemExit("the vocabularies differ")
        of_net = probabilities_of(model, test)
        mixed, halves = weight * of_net + (1 - weight) * of_trigram, (of_net + of_trigram) / 2
        results.append([perplexity(of_net), perplexity(mixed), perplexity(halves), seconds, model.n_iter_])
        print(f"  seed {seed}: NNLM {results[-1][0]:.1f}, mixed {results[-1][1]:.1f}, halves {results[-1][2]:.1f}, "
              f"{seconds:.0f} s, {model.n_iter_} passes, validation {math.exp(-max(model.validation_scores_)):.1f}",
              flush=True)  # fmt: skip
    net, mixed, halves, seconds, _ = np.median(results, axis=0)
    print(f"NNLM settings: {settings}, the others as by default")
    print(f"{'NNLM':34s} {net:8.1f}   {seconds:.0f} s to fit")
    print(f"{f'both, {weight:.2f} NNLM':34s} {mixed:8.1f}\n{'both, halves':34s} {halves:8.1f}")


SETTINGS: dict = {
    "n_previous": 4,
    "dropout": 0.4,
    "batch_size": 1024,
    "learning_rate": 3e-3,
    "n_samples": 700,
    "max_iter": 9,
}

if __name__ == "__main__":
    main()
