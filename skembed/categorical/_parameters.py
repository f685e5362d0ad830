"""Parameters of `EntityEmbeddingEncoder`: what they accept, as data, and the checks that data cannot say."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from skembed.base import check_layers
from skembed.categorical._dims import RULES
from skembed.training.passes import MAX_LEARNING_RATE

__all__ = ["CONSTRAINTS", "check_handle_unknown", "check_settings"]


CONSTRAINTS: dict[str, Any] = {
    "embedding_dim": [Interval(Integral, 1, None, closed="left"), StrOptions(set(RULES)), callable, Mapping],
    "categorical_features": [StrOptions({"all", "from_dtype"}), "array-like"],
    "remainder": [StrOptions({"drop", "passthrough"})],
    "target_type": [StrOptions({"auto", "continuous", "binary", "multiclass"})],
    "cv": ["cv_object"],
    "min_frequency": [Interval(Integral, 1, None, closed="left"), Interval(RealNotInt, 0, 1, closed="neither"), None],
    "max_categories": [Interval(Integral, 1, None, closed="left"), None],
    "handle_unknown": [StrOptions({"embed", "error"})],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
    "max_iter": [Interval(Integral, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [Interval(Real, 0, MAX_LEARNING_RATE, closed="right")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "init": [Mapping, None],
    "init_frozen": ["boolean"],
    "warm_start": ["boolean"],
    "memory": [str, HasMethods("cache"), None],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_handle_unknown(handle_unknown: Any, estimator_name: str) -> None:
    """Raise ValueError with the way out where the value is one that scikit-learn's encoders know by another name."""
    if isinstance(handle_unknown, str) and handle_unknown in {"ignore", "infrequent_if_exist", "value", "warn"}:
        raise ValueError(
            f"The 'handle_unknown' parameter of {estimator_name} must be a str among {{'embed', 'error'}}. Got "
            f"{handle_unknown!r} instead. 'embed' does what {handle_unknown!r} is for in other encoders: a level that "
            "fit never met gets the column's unknown vector."
        )


def check_settings(hidden_layer_sizes: Any, device: str) -> None:
    """Raise ValueError where a hidden layer's size is not a positive integer, or the device is not there.

    Also where no net comes to be trained, so that a mistake does not wait for more rows to show itself.
    """
    if not isinstance(hidden_layer_sizes, str):
        check_layers(hidden_layer_sizes)
    if device not in ("auto", "cpu"):
        from skembed.training.nets.device import resolve_device

        resolve_device(device)
