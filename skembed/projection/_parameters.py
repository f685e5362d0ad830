"""Parameters of `ProjectionEmbedder`: what they accept, as data, and the checks that data cannot say."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from skembed.base import check_layers
from skembed.training.passes import MAX_LEARNING_RATE

__all__ = ["CONSTRAINTS", "METHODS", "check_settings"]

METHODS = ("pca", "lda", "random", "nca", "svd", "autoencoder")

CONSTRAINTS: dict[str, Any] = {
    "method": [StrOptions(set(METHODS))],
    "embedding_dim": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
        StrOptions({"auto"}),
    ],
    "whiten": ["boolean"],
    "method_params": [Mapping, None],
    "categorical_features": [StrOptions({"all", "from_dtype"}), "array-like"],
    "min_frequency": [Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="neither"), None],
    "max_categories": [Interval(Integral, 1, None, closed="left"), None],
    "hidden_layer_sizes": ["array-like"],
    "max_iter": [Interval(Integral, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [Interval(Real, 0, MAX_LEARNING_RATE, closed="right")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "memory": [str, HasMethods("cache"), None],
}


def check_settings(method: str, categorical_features: Any, hidden_layer_sizes: Any, device: str) -> None:
    """Raise ValueError where settings do not fit the method, a layer's size is no size, or the device is not there."""
    if method != "autoencoder":
        if not isinstance(categorical_features, str) or categorical_features != "from_dtype":
            raise ValueError(
                f"categorical_features is {categorical_features!r}, but method={method!r} takes numbers only; use "
                "method='autoencoder', or encode the categories before, for instance by EntityEmbeddingEncoder."
            )
        return
    check_layers(hidden_layer_sizes)
    if device not in ("auto", "cpu"):
        from skembed.training.nets.device import resolve_device

        resolve_device(device)
