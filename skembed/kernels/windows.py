"""Skip-gram and CBOW over windows, with negative samples or along the paths of a Huffman tree.

Mikolov et al. 2013 (arXiv:1301.3781, arXiv:1310.4546). The loss only decides which output rows are the targets of a
center and what their labels are, so each architecture is one kernel: skip-gram predicts the targets from each context
row, CBOW from the mean of the context rows.
"""

import math

import numpy as np
from numba import njit

from skembed.kernels.random import draw_below

__all__ = ["train_skip_gram"]

MAX_LOGIT = np.float32(8.0)  # beyond it the sigmoid is flat in single precision terms of a learning rate of 0.025
LOSS_EVERY = 16  # the loss is read at every 16th center


@njit(cache=True, nogil=True, inline="always", fastmath=True)
def sigmoid(x):
    """1 / (1 + exp(-x)) clamped to |x| <= 8, within 5e-5: exp(-x) as (1 - x / 1024) ** 1024, ten multiplications."""
    x = min(max(x, -MAX_LOGIT), MAX_LOGIT)
    e = np.float32(1.0) - x * np.float32(1.0 / 1024.0)
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return np.float32(1.0) / (np.float32(1.0) + e)


@njit(cache=True, nogil=True, inline="always")
def _choose_targets(center, hierarchical, negative, pool, path_starts, path_nodes, path_codes, state, targets, labels):
    """Write the targets of a center and their labels; returns how many there are."""
    if hierarchical:
        n_targets = path_starts[center + 1] - path_starts[center]
        for k in range(n_targets):
            targets[k] = path_nodes[path_starts[center] + k]
            labels[k] = np.float32(1.0) - path_codes[path_starts[center] + k]
        return n_targets
    targets[0] = center
    labels[0] = 1.0
    n_targets = 1
    for _ in range(negative):
        sample = pool[draw_below(state, pool.size)]
        if sample != center:
            targets[n_targets] = sample
            labels[n_targets] = 0.0
            n_targets += 1
    return n_targets


@njit(cache=True, nogil=True, fastmath=True)
def train_skip_gram(
    tokens, ends, window, shrink, hierarchical, negative, pool, path_starts, path_nodes, path_codes,
    inputs, outputs, frozen, learning_rate, state, targets, labels, gradients, buffer, input_counts, output_counts,
):  # fmt: skip
    loss = 0.0
    n_losses = 0
    width = inputs.shape[1]
    rate = np.float32(learning_rate)
    begin = 0
    for sequence in range(ends.size):
        end = ends[sequence]
        for position in range(begin, end):
            reach = draw_below(state, window) + 1 if shrink else window
            left = max(begin, position - reach)
            right = min(end, position + reach + 1)
            n_targets = _choose_targets(
                tokens[position],
                hierarchical,
                negative,
                pool,
                path_starts,
                path_nodes,
                path_codes,
                state,
                targets,
                labels,
            )
            for k in range(n_targets):
                target = targets[k]
                output_counts[target] += right - left - 1
                for d in range(width):
                    buffer[k, d] = outputs[target, d]
            for other in range(left, right):
                if other == position:
                    continue
                context = tokens[other]
                input_counts[context] += 1
                for k in range(n_targets):
                    dot = np.float32(0.0)
                    for d in range(width):
                        dot += inputs[context, d] * buffer[k, d]
                    gradients[k] = dot
                for k in range(n_targets):
                    p = sigmoid(gradients[k])
                    if position % LOSS_EVERY == 0:
                        loss -= math.log(p if labels[k] > 0.5 else 1.0 - p)
                    gradients[k] = rate * (labels[k] - p)
                n_losses += position % LOSS_EVERY == 0
                for d in range(width):
                    v = inputs[context, d]
                    g = np.float32(0.0)
                    for k in range(n_targets):
                        g += gradients[k] * buffer[k, d]
                        buffer[k, d] += gradients[k] * v
                    inputs[context, d] = v + g
            for k in range(n_targets):
                for d in range(width):
                    outputs[targets[k], d] = buffer[k, d]
        begin = end
    return loss, n_losses
