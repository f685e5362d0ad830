"""Sentence pairs of a made-up language with a known dictionary, in which some words mean two things."""

import numpy as np

from skembed import EmbeddingTable

# a word with two senses -> the translation near the first topic's words, and near the second's
AMBIGUOUS = {"bank": ("geldhaus", "ufer"), "ring": ("reif", "kampfplatz"), "bass": ("barsch", "tiefton")}
TOPICS = (
    {"bank": ["money", "loan", "clerk"], "ring": ["bride", "gold", "finger"], "bass": ["water", "net", "hook"]},
    {"bank": ["river", "reeds", "boat"], "ring": ["boxer", "crowd", "punch"], "bass": ["choir", "song", "drum"]},
)
ADJECTIVES = [f"adj{i}" for i in range(12)]
NOUNS = [f"noun{i}" for i in range(20)]
VERBS = [f"verb{i}" for i in range(12)]


def translation_of(word: str) -> str:
    return f"{word}en" if word != "the" else "das"


def sentence_pairs(n: int, seed: int) -> tuple[list[str], list[str], list[tuple[int, str, int]]]:
    """Sentences, their translations, and for each the place, the word and the sense of the ambiguous one.

    The translation has adjectives behind their nouns, and its verb last. The word that tells the sense stands at the
    other end of the sentence, before or behind.
    """
    rng = np.random.default_rng(seed)
    sources, targets, senses = [], [], []
    for _ in range(n):
        word, sense = str(rng.choice(list(AMBIGUOUS))), int(rng.integers(2))
        clue, verb = str(rng.choice(TOPICS[sense][word])), str(rng.choice(VERBS))
        adjective, noun = str(rng.choice(ADJECTIVES)), str(rng.choice(NOUNS))
        pair = [(word, AMBIGUOUS[word][sense]), (clue, translation_of(clue))]
        if rng.random() < 0.5:
            pair.reverse()
        (first, first_t), (last, last_t) = pair
        sources.append(f"the {first} {verb} the {adjective} {noun} the {last}")
        targets.append(f"das {first_t} das {noun}en {adjective}en das {last_t} {verb}en")
        senses.append((sources[-1].split().index(word), word, sense))
    return sources, targets, senses


def word_vectors(dim: int = 24, seed: int = 0) -> EmbeddingTable:
    """Random vectors: all that is known of senses comes from the translations."""
    of_topics = [word for topic in TOPICS for words in topic.values() for word in words]
    words = ["the", *AMBIGUOUS, *of_topics, *ADJECTIVES, *NOUNS, *VERBS]
    return EmbeddingTable(words, np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32))
