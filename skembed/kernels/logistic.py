"""The logistic loss and the softmax of logits in SIMD vectors: what they cost, and which steps they ask for."""

import math

import numpy as np

from skembed.kernels.compile import compiled
from skembed.kernels.simd import MAX_LOGIT, SIMD_WIDTH, broadcast, load, multiply, sigmoid, store, subtract

__all__ = ["logistic_loss", "logistic_steps", "repeat_labels", "softmax_loss", "softmax_steps"]

_LARGEST = np.float32(MAX_LOGIT)
_TINY = 1e-200  # far above the smallest float64


@compiled(inline="always")
def repeat_labels(work, n_contexts, n_targets, rate):
    """Write the labels times the learning rate, and the weights times it, once for each context.

    Whole SIMD vectors are written; what they hold beyond the last target the next context overwrites.
    """
    for i in range(n_contexts):
        for k in range(0, n_targets, SIMD_WIDTH):
            store(work.scaled_labels, i * n_targets + k, multiply(broadcast(rate), load(work.labels, k)))
            store(work.rates, i * n_targets + k, multiply(broadcast(rate), load(work.weights, k)))


@compiled(inline="always")
def logistic_steps(work, n):
    """Replace logits by ``rate * (label - sigmoid)``, 0 where the weight is."""
    for at in range(0, n, SIMD_WIDTH):
        step = multiply(load(work.rates, at), sigmoid(load(work.logits, at)))
        store(work.logits, at, subtract(load(work.scaled_labels, at), step))


@compiled(inline="always")
def logistic_loss(work, n_contexts, n_targets):
    """Sum of minus the log of what the sigmoids of the logits give to their labels, few logarithms a context."""
    loss = 0.0
    for i in range(n_contexts):
        likelihood = 1.0
        for k in range(n_targets):
            logit = _clamped(work.logits[i * n_targets + k])
            if work.weights[k] > 0.0:
                likelihood *= 1.0 / (1.0 + math.exp(-logit if work.labels[k] > 0.0 else logit))
                if likelihood < _TINY:
                    loss -= math.log(likelihood)
                    likelihood = 1.0
        loss -= math.log(likelihood)
    return loss


@compiled(inline="always")
def _clamped(logit):
    return -_LARGEST if logit < -_LARGEST else _LARGEST if logit > _LARGEST else logit


@compiled(inline="always")
def softmax_steps(logits, labels, n, total, rate):
    """Replace n logits by ``rate * (label - total * p)``, where p is their softmax and `total` the sum of the labels.

    Returns
    -------
    log_sum : float
        ``log(sum(exp(logits)))``.
    """
    largest = logits[0]
    for k in range(1, n):
        if logits[k] > largest:
            largest = logits[k]
    mass = 0.0
    for k in range(n):
        logit = logits[k]
        logits[k] = math.exp(logit - largest)
        mass += logits[k]
    share = np.float32(total / mass)
    for k in range(n):
        logits[k] = rate * (labels[k] - share * logits[k])
    return largest + math.log(mass)


@compiled(inline="always")
def softmax_loss(logits, labels, n):
    """Sum over targets of their label times minus the log of their softmax; logits stay."""
    largest = logits[0]
    for k in range(1, n):
        if logits[k] > largest:
            largest = logits[k]
    mass = 0.0
    total = 0.0
    labelled_logits = 0.0
    for k in range(n):
        mass += math.exp(logits[k] - largest)
        total += labels[k]
        labelled_logits += labels[k] * logits[k]
    return total * (largest + math.log(mass)) - labelled_logits
