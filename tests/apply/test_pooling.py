"""Pooling beside a plain loop over documents and words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from skembed.apply import pooling as pooling_module
from skembed.apply.pooling import POOLINGS, Pooling, learn_poolings, pool_documents
from skembed.data.ragged import Ragged

N_WORDS, DIM = 12, 5
SMOOTHING = 1e-2
DOCUMENTS = st.lists(st.lists(st.integers(0, N_WORDS - 1), max_size=20), min_size=1, max_size=12)
VECTORS = np.random.default_rng(0).normal(size=(N_WORDS, DIM)).astype(np.float32)


def chunk(documents):
    ids = np.array([word for document in documents for word in document], dtype=np.int32)
    return Ragged.from_ends(ids, np.cumsum([len(document) for document in documents], dtype=np.int64))


def learn(documents, names=POOLINGS):
    counts = np.bincount(chunk(documents).indices, minlength=N_WORDS)
    poolings, _ = learn_poolings(list(names), [chunk(documents)], VECTORS, counts, sif_smoothing=SMOOTHING)
    return poolings


def pool(documents, poolings):
    out = np.zeros((len(documents), len(poolings) * DIM), dtype=np.float32)
    pool_documents(chunk(documents), VECTORS, poolings, out)
    return out


def slow_pool(documents, corpus):
    """The twin: word by word in float64, everything learned from `corpus`."""
    words = [word for document in corpus for word in document]
    vectors = VECTORS.astype(np.float64)
    idf = [np.log((1 + len(corpus)) / (1 + sum(w in d for d in corpus))) + 1 for w in range(N_WORDS)]
    share = [words.count(w) / max(len(words), 1) for w in range(N_WORDS)]

    def weight(word):
        return SMOOTHING / (SMOOTHING + share[word])

    mean_weight = np.mean([weight(word) for word in words]) if words else 1.0

    def sif(document):
        return sum(weight(w) * vectors[w] for w in document) / len(document) / mean_weight

    matrix = np.array([sif(document) for document in corpus if document]).reshape(-1, DIM)
    _, lengths, axes = np.linalg.svd(np.vstack([matrix, np.zeros((DIM, DIM))]))
    component = axes[0] if lengths[1] > 1e-6 * lengths[0] else 0 * axes[0]
    rows = []
    for document in documents:
        if not document:
            rows.append(np.zeros(len(POOLINGS) * DIM))
            continue
        chosen = vectors[document]
        mean = chosen.mean(axis=0)
        tfidf = np.average(chosen, axis=0, weights=[idf[w] for w in document])
        smooth = sif(document)
        smooth = smooth - component * (component @ smooth)
        rows.append(np.concatenate([mean, tfidf, smooth, chosen.max(axis=0), chosen.min(axis=0)]))
    return np.array(rows)


def spectral_gap(corpus):
    words = np.bincount(chunk(corpus).indices, minlength=N_WORDS)
    weights = SMOOTHING / (SMOOTHING + words / max(words.sum(), 1))
    rows = [np.mean([weights[w] * VECTORS[w] for w in d], axis=0) for d in corpus if d]
    values = np.linalg.svd(np.vstack([*rows, np.zeros((2, DIM))]), compute_uv=False)
    return values[0] - values[1]


@given(DOCUMENTS, DOCUMENTS, st.integers(1, 30))
def test_poolings_are_those_of_the_plain_loop(documents, corpus, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling_module, "_BLOCK_ROWS", block)
        actual, expected = pool(documents, learn(corpus)), slow_pool(documents, corpus)
    if spectral_gap(corpus) < 1e-3:  # the component that is taken out is not unique
        actual, expected = np.delete(actual, range(2 * DIM, 3 * DIM), 1), np.delete(expected, range(10, 15), 1)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@given(DOCUMENTS, st.randoms(use_true_random=False), st.integers(1, 30))
@settings(max_examples=50)
def test_bits_depend_on_the_bag_of_words_alone(documents, generator, block):
    poolings = learn(DOCUMENTS_OF_ALL_WORDS)
    expected = pool(documents, poolings)
    alone = np.vstack([pool([generator.sample(document, len(document))], poolings) for document in documents])
    np.testing.assert_array_equal(alone, expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling_module, "_BLOCK_ROWS", block)
        np.testing.assert_array_equal(pool(documents, poolings), expected)


DOCUMENTS_OF_ALL_WORDS = [[w, (w * 5 + 1) % N_WORDS, (w * 7) % N_WORDS] for w in range(N_WORDS)]


def test_idf_is_that_of_tfidf_transformer():
    corpus = [*DOCUMENTS_OF_ALL_WORDS, [], [0, 0, 0]]
    matrix = np.array([np.bincount(np.array(d, dtype=int), minlength=N_WORDS) for d in corpus])
    (tfidf,) = learn(corpus, ["tfidf"])
    np.testing.assert_allclose(tfidf.weights, TfidfTransformer().fit(matrix).idf_, rtol=1e-6)


def test_counts_of_documents_add_up_over_calls():
    counts = np.ones(N_WORDS)
    halves, seen = (DOCUMENTS_OF_ALL_WORDS[:5], DOCUMENTS_OF_ALL_WORDS[5:]), None
    for half in halves:
        poolings, seen = learn_poolings(["tfidf"], [chunk(half)], VECTORS, counts, sif_smoothing=1.0, seen=seen)
    np.testing.assert_array_equal(poolings[0].weights, learn(DOCUMENTS_OF_ALL_WORDS, ["tfidf"])[0].weights)


def test_chunks_change_no_bit_of_what_is_learned():
    corpus = DOCUMENTS_OF_ALL_WORDS * 3
    counts = np.bincount(chunk(corpus).indices, minlength=N_WORDS)
    chunks = [chunk(corpus[:7]), chunk(corpus[7:8]), chunk(corpus[8:])]
    parts, _ = learn_poolings(["tfidf", "sif"], chunks, VECTORS, counts, sif_smoothing=SMOOTHING)
    for part, whole in zip(parts, learn(corpus, ["tfidf", "sif"])):
        np.testing.assert_array_equal(part.weights, whole.weights)
        if whole.component is not None:
            np.testing.assert_allclose(part.component, whole.component, rtol=1e-5)


def test_sif_keeps_the_length_of_running_words():
    """Few words have large shares: factors a / (a + p) alone made rows too short for a penalized model."""
    corpus = DOCUMENTS_OF_ALL_WORDS * 3
    counts = np.bincount(chunk(corpus).indices, minlength=N_WORDS + 1)
    vectors = np.vstack([VECTORS, VECTORS[0]])
    for smoothing in (1e-300, 1e-6, 1e-3, 1.0):
        (sif,), _ = learn_poolings(["sif"], [chunk(corpus)], vectors, counts, sif_smoothing=smoothing)
        np.testing.assert_allclose(sif.weights @ counts / counts.sum(), 1.0 if smoothing > 1e-30 else 0.0, rtol=1e-5)
        np.testing.assert_allclose(sif.weights[N_WORDS], sif.unseen, rtol=1e-6)
        assert np.isfinite(sif.weights).all()


@pytest.mark.parametrize("corpus", [[[0, 1, 2]], [[3], [3, 3]]])
def test_sif_takes_nothing_out_where_nothing_would_be_left(corpus):
    (sif,) = learn(corpus, ["sif"])
    assert sif.component is None
    assert np.linalg.norm(pool(corpus, [sif]), axis=1).min() > 0.1
    counts = np.bincount(chunk(DOCUMENTS_OF_ALL_WORDS).indices, minlength=N_WORDS)
    chunks = [chunk(DOCUMENTS_OF_ALL_WORDS)]
    (single,), _ = learn_poolings(["sif"], chunks, VECTORS[:, :1], counts, sif_smoothing=SMOOTHING)
    assert single.component is None


def test_a_pooling_of_an_older_file_has_the_factor_that_it_had():
    older = Pooling.__new__(Pooling)
    older.__setstate__({"name": "sif", "weights": np.ones(2, np.float32), "component": None})
    assert older == Pooling("sif", older.weights, None, 1.0)
    with pytest.raises(ValueError, match="'weights' is missing"):
        older.__setstate__({"name": "sif", "component": None})
