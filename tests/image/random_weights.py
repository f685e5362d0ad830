"""Weights of nets, drawn at random."""

import numpy as np

__all__ = ["random_weights"]


def random_weights(shapes, n_classes=5):
    """Weights of shapes in which None is the number of classes, about as large as those of a trained net."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in shapes.items():
        sides = tuple(n_classes if side is None else side for side in shape)
        values = rng.standard_normal(sides, dtype=np.float32)
        if len(sides) > 1:
            values *= np.sqrt(2 / np.prod(sides[1:]))
        if name.endswith("running_var"):
            values = np.abs(values) + 0.5
        weights[name] = values.astype(np.float32)
    return weights
