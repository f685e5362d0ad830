"""Log-linear mixtures: what several models say of classes, as one opinion.

The mixture has the probabilities ``softmax(sum_m w_m log p_m)``, with weights that make held-out classes most probable
(Klakow 1998, "Log-linear interpolation of language models"; a logarithmic opinion pool, Heskes 1998). Unlike in a mean
of probabilities, what one model excludes stays excluded: models that know different things add up.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

__all__ = ["log_linear_gain", "log_linear_weights"]

PRIOR_VARIANCE = 1.0  # of weights, about the first model alone: few classes say little


def log_linear_weights(scores: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the weights of models in the mixture that makes the targets most probable: a concave problem.

    The weights have a normal prior about the first model alone.

    Parameters
    ----------
    scores : ndarray of shape (n_models, n_samples, n_classes), float64
        Logarithms of what each says of each class, up to a number of each row.
    target : ndarray of shape (n_samples,), int64
    weight : ndarray of shape (n_samples,)
        How many times each was seen.

    Returns
    -------
    ndarray of shape (n_models,), float64
        None is negative.

    Examples
    --------
    >>> sure, random = np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> log_linear_weights(np.stack([sure, random]), np.array([0, 1]), np.full(2, 10.0)).round(1)
    array([1.9, 0. ])
    """
    rows = np.arange(len(target))
    of_target = scores[:, rows, target]
    prior = np.eye(len(scores))[0]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(np.tensordot(weights, scores, axes=1), axis=1)
        expected = np.einsum("msc,sc->ms", scores, np.exp(logs))
        away = (weights - prior) / PRIOR_VARIANCE
        value = -weight @ logs[rows, target] + away @ (weights - prior) / 2
        return float(value), -((of_target - expected) @ weight) + away

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores)).x)


def log_linear_gain(scores: np.ndarray, weights: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return by how much the mixture raises the logarithm of each target's probability, beside the first model alone.

    Parameters
    ----------
    scores : ndarray of shape (n_models, n_samples, n_classes)
    weights : ndarray of shape (n_models,)
    target : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    rows = np.arange(len(target))
    mixed = log_softmax(np.tensordot(weights, scores, axes=1), axis=1)
    return mixed[rows, target] - log_softmax(scores[0], axis=1)[rows, target]
