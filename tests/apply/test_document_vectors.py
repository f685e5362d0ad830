"""Vectors of documents inferred from frozen words: what they minimise, and what they depend on."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

from skembed.apply import document_vectors
from skembed.apply.document_vectors import N_NOISE, DocumentInference, infer_documents, learn_inference
from skembed.data.ragged import Ragged

N_WORDS, DIM = 40, 6


def random_model(window, seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    inputs, outputs = (scale * generator.normal(size=(N_WORDS, DIM)).astype(np.float32) for _ in range(2))
    counts = generator.integers(1, 200, size=N_WORDS)
    keep = generator.uniform(0.3, 1.0, size=N_WORDS)
    learned = generator.normal(size=(30, DIM)).astype(np.float32)
    inference = learn_inference(outputs, counts, keep, learned, window=window, negative=3, ns_exponent=0.75)
    return inputs, outputs, inference, counts


def random_documents(lengths, seed=0):
    generator = np.random.default_rng(seed)
    ids = generator.integers(N_WORDS, size=sum(lengths)).astype(np.int32)
    return Ragged.from_ends(ids, np.cumsum(lengths))


def softplus(x):
    return np.logaddexp(0, x)


def loss_alone(vector, ids, inputs, outputs, inference):
    """In float64, word for word: the document predicts each word, and none of the noise words but itself."""
    total = inference.penalty / 2 * vector @ vector
    of_noise = softplus(outputs[inference.noise].astype(float) @ vector)
    for word in ids:
        negatives = inference.negative * (of_noise * (inference.noise != word)).mean()
        total += inference.keep[word] * (softplus(-outputs[word].astype(float) @ vector) + negatives)
    return total


def loss_of_windows(vector, ids, inputs, outputs, inference):
    total = inference.penalty / 2 * vector @ vector
    for i, word in enumerate(ids):
        reach = 1 + i % inference.window
        around = [*ids[max(0, i - reach) : i], *ids[i + 1 : i + 1 + reach]]
        weights = inference.keep[around].astype(float)
        hidden = (vector + weights @ inputs[around].astype(float).reshape(-1, DIM)) / (1 + weights.sum())
        drawn = [inference.noise[(i * inference.negative + k) * 317 % N_NOISE] for k in range(inference.negative)]
        loss = softplus(-outputs[word] @ hidden) + sum(softplus(outputs[n] @ hidden) for n in drawn if n != word)
        total += inference.keep[word] * loss
    return total


@pytest.mark.parametrize(("window", "loss"), [(0, loss_alone), (3, loss_of_windows)])
def test_the_vector_is_where_the_loss_is_least(window, loss):
    inputs, outputs, inference, _ = random_model(window)
    documents = random_documents([1, 5, 40])
    found = infer_documents([documents], inputs, outputs, inference)
    for i, vector in enumerate(found):
        arguments = documents.indices[documents.indptr[i] : documents.indptr[i + 1]], inputs, outputs, inference
        best = minimize(loss, np.zeros(DIM), args=arguments, method="BFGS", options={"gtol": 1e-6})
        assert best.fun < loss(np.zeros(DIM), *arguments) - 0.01
        np.testing.assert_allclose(vector, best.x, atol=0.02 * max(1.0, np.abs(best.x).max()))


@pytest.mark.parametrize("window", [0, 3])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_each_step_lowers_the_loss(window, scale, monkeypatch):
    inputs, outputs, inference, _ = random_model(window, scale=scale)
    documents = random_documents([60])
    loss = loss_of_windows if window else loss_alone
    losses = [loss(np.zeros(DIM), documents.indices, inputs, outputs, inference)]
    for n_steps in range(1, 8):
        monkeypatch.setattr(document_vectors, "N_STEPS", n_steps)
        found = infer_documents([documents], inputs, outputs, inference)[0].astype(float)
        losses.append(loss(found, documents.indices, inputs, outputs, inference))
    assert (np.diff(losses) <= 1e-4 * losses[0]).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("window", "loss"), [(0, loss_alone), (3, loss_of_windows)])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_two_steps_leave_next_to_nothing_to_do(window, loss, scale, monkeypatch):
    inputs, outputs, inference, _ = random_model(window, scale=scale)
    documents = random_documents([60])
    losses = [loss(np.zeros(DIM), documents.indices, inputs, outputs, inference)]
    for n_steps in (1, 2, 40):
        monkeypatch.setattr(document_vectors, "N_STEPS", n_steps)
        found = infer_documents([documents], inputs, outputs, inference)[0].astype(float)
        losses.append(loss(found, documents.indices, inputs, outputs, inference))
    left = (np.array(losses) - losses[-1]) / (losses[0] - losses[-1])
    assert left[1] < 0.02
    assert left[2] < 5e-4


@pytest.mark.parametrize("window", [0, 3])
@pytest.mark.parametrize("n_steps", [3, document_vectors.N_STEPS])  # on the way, and where it is at its end
def test_a_document_has_one_vector_whatever_stands_beside_it(window, n_steps, monkeypatch):
    monkeypatch.setattr(document_vectors, "N_STEPS", n_steps)
    inputs, outputs, inference, _ = random_model(window)
    documents = random_documents([0, 7, 30, 0, 1, 200, 0, 12, 0])
    together = infer_documents([documents], inputs, outputs, inference)
    assert not together[documents.lengths == 0].any()
    assert together[documents.lengths > 0].any(axis=1).all()
    alone = [infer_documents([documents.take([i])], inputs, outputs, inference)[0] for i in range(9)]
    chunks = [documents.take(range(4)), documents.take([]), documents.take(range(4, 9))]
    in_chunks = infer_documents(chunks, inputs, outputs, inference)
    monkeypatch.setattr(document_vectors, "_BLOCK_TOKENS", 16)  # blocks, and pieces of long documents
    in_blocks = infer_documents([documents], inputs, outputs, inference)
    for others in (alone, in_chunks, in_blocks):
        np.testing.assert_allclose(others, together, atol=1e-5)
    assert infer_documents([], inputs, outputs, inference).shape == (0, DIM)


def test_order_of_words_matters_for_windows_alone():
    documents = random_documents([50])
    turned = Ragged(documents.indptr, documents.indices[::-1].copy())
    for window in (0, 3):
        inputs, outputs, inference, _ = random_model(window)
        one, other = (infer_documents([d], inputs, outputs, inference) for d in (documents, turned))
        assert np.allclose(one, other, atol=1e-5) == (window == 0)


def test_the_noise_words_have_the_noise_distribution_and_the_prior_the_spread_of_documents():
    _, _, inference, counts = random_model(0)
    expected = counts**0.75 / (counts**0.75).sum()
    np.testing.assert_allclose(np.bincount(inference.noise, minlength=N_WORDS) / N_NOISE, expected, atol=1 / N_NOISE)
    outputs, documents = np.ones((N_WORDS, DIM), np.float32), np.full((5, DIM), 0.5, np.float32)
    settings = {"window": 0, "negative": 5, "ns_exponent": 0.75}
    found = learn_inference(outputs, counts, np.ones(N_WORDS), documents, **settings)
    assert found.penalty == pytest.approx(document_vectors.PRIOR_WEIGHT / 0.25)
    nothing = learn_inference(outputs, counts, np.ones(N_WORDS), documents[:0], **settings)
    assert np.isfinite(infer_documents([random_documents([9])], outputs, outputs, nothing)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": np.ones(N_WORDS - 1, np.float32)}, "expected weights of 40 words"),
        ({"directions": np.eye(DIM + 1, dtype=np.float32)}, "6 directions"),
        ({"noise": np.full(N_NOISE, N_WORDS, np.int32)}, "noise words among 40"),
        ({"noise": np.zeros(3, np.int32)}, "noise words"),
        ({"noise": np.arange(N_NOISE, 0, -1).astype(np.int32) % 9}, "ascending order"),
        ({"window": -1}, "window of at least 0"),
        ({"negative": 0}, "negatives"),
        ({"penalty": float("nan")}, "positive penalty"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(changes, message):
    *_, inference, _ = random_model(0)
    inference.check(N_WORDS, DIM)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(inference, **changes).check(N_WORDS, DIM)
    assert isinstance(inference, DocumentInference)
