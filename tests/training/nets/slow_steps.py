"""Adam as its papers write it, in float64 (Kingma & Ba 2015, Loshchilov & Hutter 2019); and calls that are watched."""

import numpy as np

__all__ = ["SlowAdam", "watch"]


class SlowAdam:
    """AdamW of a table whose rows move where a batch holds them."""

    def __init__(self, weight, weight_decay=0.0):
        self.weight = np.asarray(weight).astype(np.float64)
        self.first, self.second = np.zeros_like(self.weight), np.zeros_like(self.weight)
        self.weight_decay, self.n_steps = weight_decay, 0

    def step(self, gradient, rate, rows=slice(None)):
        self.n_steps += 1
        gradient = np.asarray(gradient, dtype=np.float64)[rows]
        self.weight[rows] *= 1 - rate * self.weight_decay
        self.first[rows] = 0.9 * self.first[rows] + 0.1 * gradient
        self.second[rows] = 0.999 * self.second[rows] + 0.001 * gradient**2
        first = self.first[rows] / (1 - 0.9**self.n_steps)
        second = self.second[rows] / (1 - 0.999**self.n_steps)
        self.weight[rows] -= rate * first / (np.sqrt(second) + 1e-8)


def watch(owner, name, read):
    """Return a list that gets what `read` says of the arguments of each call of a method, before the call."""
    seen, method = [], getattr(owner, name)

    def watched(*arguments, **named):
        seen.append(read(*arguments, **named))
        return method(*arguments, **named)

    setattr(owner, name, watched)
    return seen
