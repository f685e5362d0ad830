"""Settings of contextual vectors: what the parameters of a vectorizer and the files of its model come to together."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from skembed.apply.contextual_model import ContextualModel, ScalarMix
from skembed.apply.contextual_states import DocumentStates, Reading, pool_states
from skembed.apply.model_directory import MODEL_POOLINGS
from skembed.state import stored

__all__ = ["CONTEXTUAL_POOLINGS", "ContextualSettings", "settings_for"]

# as users call them -> as the configurations of sentence-transformers do
CONTEXTUAL_POOLINGS = {
    "mean": "mean",
    "max": "max",
    "cls": "cls",
    "last": "lasttoken",
    "mean-sqrt": "mean_sqrt_len_tokens",
}
_BATCH_TOKENS = {"cpu": 2**12, "cuda": 2**16}  # on a processor the states of a layer are to stay in its cache
_MIX_PARAMS = {"weights", "gamma", "layer_norm"}


@stored
@dataclass(frozen=True, eq=False)
class ContextualSettings:
    """How documents become vectors by a model of a certain number of layers.

    Attributes
    ----------
    layers : tuple of int
        From 0 on.
    mix_weights : tuple of float or None
        `ScalarMix.weights`; None puts layers side by side.
    mix_gamma : float
    mix_layer_norm : bool
    poolings : tuple of str
        Of `MODEL_POOLINGS`.
    dense : bool
        Whether the dense layers of the model's directory follow.
    normalize : bool
    max_length : int or None
    windows : bool
    prompt : str
    include_prompt : bool
    """

    layers: tuple[int, ...]
    mix_weights: tuple[float, ...] | None
    mix_gamma: float
    mix_layer_norm: bool
    poolings: tuple[str, ...]
    dense: bool
    normalize: bool
    max_length: int | None
    windows: bool
    prompt: str
    include_prompt: bool

    def check(self) -> None:
        """Raise ValueError where the parts do not fit together."""
        if not self.layers or min(self.layers) < 0 or not self.poolings or not set(self.poolings) <= _POOLED:
            raise ValueError(f"expected layers and poolings, got {self.layers} and {self.poolings}")
        if self.mix_weights is not None and len(self.mix_weights) != len(self.layers):
            raise ValueError(f"expected {len(self.layers)} weights of layers, got {len(self.mix_weights)}")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"expected max_length of at least 1, got {self.max_length}")

    def reading(self, batch_size: int | str, device: Any) -> Reading:
        """Return how a model reads documents on a device."""
        mix = None
        if self.mix_weights is not None:
            mix = ScalarMix(np.array(self.mix_weights), self.mix_gamma, self.mix_layer_norm)
        return Reading(
            layers=self.layers,
            mix=mix,
            max_length=self.max_length,
            windows=self.windows,
            prompt=self.prompt,
            batch_size=None if isinstance(batch_size, str) else int(batch_size),
            batch_tokens=_BATCH_TOKENS.get(device.type, _BATCH_TOKENS["cuda"]),
        )

    def pool(self, states: DocumentStates) -> np.ndarray:
        """Return the vector of a document before the steps of `finish`."""
        return pool_states(states, self.poolings, include_prompt=self.include_prompt)

    def finish(self, vectors: np.ndarray, model: ContextualModel) -> np.ndarray:
        """Return vectors (n_documents, n_columns) behind dense layers, and brought to length 1 where asked for."""
        for layer in model.defaults.dense if self.dense else ():
            vectors = layer(vectors)
        if self.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


_POOLED = set(MODEL_POOLINGS.values())


def settings_for(
    model: ContextualModel,
    *,
    layer: Any = -1,
    mix_params: dict | None = None,
    pooling: Any = "auto",
    normalize: Any = "auto",
    prompt: str | None = None,
    max_length: int | None = None,
    long_documents: str = "cut",
) -> ContextualSettings:
    """Return what parameters, as in `ContextualVectorizer`, mean for a model.

    Raises
    ------
    ValueError
        If they do not fit the model, naming the parameter.
    """
    defaults = model.defaults
    layers = _layers(layer, len(model.dims))
    mix = _mix(layer, mix_params, layers, model)
    as_given = pooling == "auto"
    if as_given:
        poolings = defaults.poolings
    else:
        poolings = tuple(CONTEXTUAL_POOLINGS[name] for name in _pooling_names(pooling))
    dense = as_given and bool(defaults.dense)
    if dense and layers != (len(model.dims) - 1,):
        raise ValueError(
            f"layer={layer!r} does not fit pooling='auto', since the dense layers in the directory take the vectors of "
            "the last layer; pass pooling='mean' or another one, which leaves them out, or layer=-1."
        )
    if dense:
        _check_dense(model)
    if isinstance(normalize, str):
        normalize = as_given and defaults.normalize
    if prompt is None:
        prompt = defaults.prompt
    return ContextualSettings(
        layers=layers,
        mix_weights=None if mix is None else tuple(float(weight) for weight in mix.weights),
        mix_gamma=1.0 if mix is None else float(mix.gamma),
        mix_layer_norm=mix is not None and bool(mix.layer_norm),
        poolings=poolings,
        dense=dense,
        normalize=bool(normalize),
        max_length=_max_length(max_length, model),
        windows=long_documents == "windows",
        prompt=defaults.prompts.get(prompt, prompt),
        include_prompt=defaults.include_prompt,
    )


def _check_dense(model: ContextualModel) -> None:
    """Raise ValueError where a dense layer does not fit what comes before it."""
    width = model.dims[-1] * len(model.defaults.poolings)
    for number, layer in enumerate(model.defaults.dense):
        n_out, n_in = layer.weight.shape
        if n_in != width:
            raise ValueError(
                f"dense layer {number} of the directory takes {n_in} columns, and what stands before it gives {width}; "
                "pass pooling='mean' or another one, which leaves dense layers out."
            )
        width = n_out


def _layers(layer: Any, n_layers: int) -> tuple[int, ...]:
    if isinstance(layer, str):
        return tuple(range(n_layers))
    asked = layer if isinstance(layer, Sequence | np.ndarray) else [layer]
    if not len(asked):
        raise ValueError("layer is an empty list; expected numbers of layers.")
    for one in asked:
        if isinstance(one, bool) or not isinstance(one, int | np.integer) or not -n_layers <= one < n_layers:
            raise ValueError(
                f"layer={layer!r} names {one!r}, but the model has {n_layers} layers: expected 0 (tokens without their "
                f"context) to {n_layers - 1} (the last one), or from the end -1 to {-n_layers}."
            )
    return tuple(int(one) % n_layers for one in asked)


def _mix(layer: Any, params: dict | None, layers: tuple[int, ...], model: ContextualModel) -> ScalarMix | None:
    if not isinstance(layer, str):
        return None
    if len({model.dims[one] for one in layers}) > 1:
        raise ValueError(
            f"layer={layer!r} adds layers up, but those of this model have {', '.join(map(str, model.dims))} columns; "
            "pass a number, or a list of numbers, whose layers stand side by side."
        )
    if layer == "mean":
        return ScalarMix(np.zeros(len(layers)))
    params = dict(params or {})
    if unknown := params.keys() - _MIX_PARAMS:
        raise ValueError(f"mix_params has {sorted(unknown)}, expected some of {sorted(_MIX_PARAMS)}.")
    trained = model.defaults.mix or ScalarMix(np.zeros(len(layers)))
    gamma, layer_norm = params.get("gamma", trained.gamma), params.get("layer_norm", trained.layer_norm)
    if isinstance(gamma, bool) or not isinstance(gamma, Real) or not np.isfinite(float(gamma)):
        raise ValueError(f"mix_params['gamma'] is {gamma!r:.80}, expected a finite number.")
    if not isinstance(layer_norm, bool | np.bool_):
        raise ValueError(f"mix_params['layer_norm'] is {layer_norm!r:.80}, expected True or False.")
    try:
        weights = np.asarray(params.get("weights", trained.weights), dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"mix_params['weights'] is {params['weights']!r:.80}, expected {len(layers)} numbers, one a layer."
        ) from None
    if weights.shape != (len(layers),) or np.isnan(weights).any() or not np.isfinite(weights.max()):
        raise ValueError(
            f"mix_params['weights'] is {weights.tolist()!r:.80}, expected {len(layers)} numbers, one a layer, -inf for "
            "those that are left out."
        )
    return ScalarMix(weights, float(gamma), bool(layer_norm))


def _pooling_names(pooling: Any) -> list[str]:
    names = [pooling] if isinstance(pooling, str) else list(pooling)
    known = [name for name in names if isinstance(name, str) and name in CONTEXTUAL_POOLINGS]
    if not names or len(known) < len(names) or len(set(names)) < len(names):
        raise ValueError(
            f"pooling={pooling!r}; expected 'auto', one of {', '.join(map(repr, CONTEXTUAL_POOLINGS))}, or a list of "
            "different ones of these."
        )
    return names


def _max_length(asked: int | None, model: ContextualModel) -> int | None:
    if asked is None:
        return model.defaults.max_length if model.defaults.max_length is not None else model.max_length
    if model.max_length is not None and asked > model.max_length:
        raise ValueError(
            f"max_length={asked}, but the model has positions for {model.max_length} tokens; expected at most so many. "
            "Longer documents are read with long_documents='windows'."
        )
    return int(asked)
