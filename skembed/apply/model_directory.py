"""Directory of a sentence-transformers model: which transformer, and how its states become the vector of a text.

The files are JSON: ``modules.json`` lists the steps, ``1_Pooling/config.json`` says how states are pooled, and
``config_sentence_transformers.json`` holds prompts. Nothing is downloaded, no pickle is opened, and no code that a
directory brings along is run.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from skembed.data.pointers import refuse_pointers

__all__ = ["MODEL_POOLINGS", "Dense", "ModelDirectory", "read_model_directory"]

# how a configuration calls a way to pool -> its name here
MODEL_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_lasttoken": "lasttoken",
}
_ORDER = ["Transformer", "Pooling", "Dense", "Normalize"]  # of steps; only Dense may be there several times
_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
}
_READ = ("*.json", "model.safetensors", "model-*.safetensors", "vocab.txt", "merges.txt", "*.model")
_MOST_JSON = 2**20  # bytes; real configurations have some hundred


@dataclass(frozen=True, eq=False)
class Dense:
    """A linear layer behind the pooling, with its activation.

    Attributes
    ----------
    weight : ndarray of shape (n_out, n_in), float32
    bias : ndarray of shape (n_out,), float32
    activation : {"Identity", "Tanh", "ReLU"}
    """

    weight: np.ndarray
    bias: np.ndarray
    activation: str

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return the images of vectors (n, n_in), (n, n_out)."""
        return _ACTIVATIONS[self.activation](vectors @ self.weight.T + self.bias)


@dataclass(frozen=True)
class ModelDirectory:
    """What the files of a directory say of its model.

    Attributes
    ----------
    transformer : Path
        Folder of the transformer's configuration, weights (``model.safetensors``) and tokenizer.
    poolings : tuple of str
        Values of `MODEL_POOLINGS`; the vectors of several stand side by side.
    dense : tuple of Dense
    normalize : bool
        Whether vectors of texts have length 1.
    max_length : int or None
        Tokens of a text that are read.
    lowercase : bool
        Whether texts are put in lower case before the tokenizer has them, which may do so itself.
    prompts : dict of str to str
        Texts that may stand before documents, by name.
    prompt : str
        Stands before each text by default; "" for none.
    include_prompt : bool
        Whether the states of the prompt are pooled, too.
    """

    transformer: Path
    poolings: tuple[str, ...] = ("mean",)
    dense: tuple[Dense, ...] = ()
    normalize: bool = False
    max_length: int | None = None
    lowercase: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    prompt: str = ""
    include_prompt: bool = True


def read_model_directory(path: str | os.PathLike) -> ModelDirectory:
    """Read what a directory of sentence-transformers says of its model; a transformer alone is pooled by the mean.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    ModelDirectory

    Raises
    ------
    FileNotFoundError
        If there is no such directory, or it has no transformer with weights of safetensors.
    ValueError
        If a file is no such configuration, or asks for a step that is not known: the message names the file.

    Examples
    --------
    >>> read_model_directory("all-MiniLM-L6-v2").poolings  # doctest: +SKIP
    ('mean',)
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{os.fspath(path)!r} is no directory; expected one of sentence-transformers on this disk, with "
            "modules.json, config.json and model.safetensors. Nothing is downloaded."
        )
    found: dict[str, Any] = {"transformer": root}
    dense: list[Dense] = []
    done: list[str] = []
    for kind, folder in _modules(root):
        if kind == "Transformer":
            found |= {"transformer": folder, **_limits(folder)}
        elif kind == "Pooling":
            found |= _pooling(folder / "config.json")
        elif kind == "Dense":
            dense.append(_dense(folder))
        elif kind == "Normalize":
            found["normalize"] = True
        elif kind != "Dropout":
            raise ValueError(
                f"{root / 'modules.json'} has a step {kind!r}, expected Transformer, Pooling, Dense, Normalize or "
                "Dropout; other models cannot be read."
            )
        done.append(kind)
    _check_order(root / "modules.json", [kind for kind in done if kind != "Dropout"])
    _check_weights(found["transformer"])
    return ModelDirectory(**found, **_prompt(root / "config_sentence_transformers.json"), dense=tuple(dense))


def _check_order(path: Path, kinds: list[str]) -> None:
    """Refuse steps in another order, which give other vectors."""
    places = [_ORDER.index(kind) for kind in kinds]
    if places != sorted(places) or any(kinds.count(kind) > 1 for kind in ("Transformer", "Pooling")):
        raise ValueError(
            f"{path} has the steps {', '.join(kinds)}, expected them in the order {', '.join(_ORDER)}; other models "
            "cannot be read."
        )


def _modules(root: Path) -> list[tuple[str, Path]]:
    """Return the kind of each step, and its folder."""
    path = root / "modules.json"
    if not path.exists():
        return [("Transformer", root)]
    modules = _json(path, list)
    steps = []
    for module in modules:
        kind, place = (module.get(name) for name in ("type", "path")) if isinstance(module, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(place, str):
            raise ValueError(f"{path}: expected steps with a type and a path, got {module!r:.80}.")
        folder = (root / place).resolve()
        if not folder.is_relative_to(root.resolve()):
            raise ValueError(f"{path}: expected paths within the directory, got {place!r}.")
        steps.append((kind.rpartition(".")[2], root / place))
    if not steps or steps[0][0] != "Transformer":
        first = steps[0][0] if steps else None
        static = "; its vectors of tokens, without a context, make a table: EmbeddingTable(tokens, vectors)"
        way_out = static if first == "StaticEmbedding" else ""
        raise ValueError(f"{path}: expected a first step of the type Transformer, got {first!r:.60}{way_out}.")
    return steps


def _limits(folder: Path) -> dict[str, Any]:
    path = folder / "sentence_bert_config.json"
    if not path.exists():
        return {}
    config = _json(path, dict)
    length = config.get("max_seq_length")
    if length is not None and (not isinstance(length, int) or length < 1):
        raise ValueError(f"{path}: expected max_seq_length to be a number of tokens or null, got {length!r}.")
    return {"max_length": length, "lowercase": bool(config.get("do_lower_case", False))}


def _pooling(path: Path) -> dict[str, Any]:
    config = _json(path, dict)
    mode = config.get("pooling_mode")  # the later way to write it
    asked = [mode] if isinstance(mode, str) else list(mode or [])
    for name, value in config.items():
        if name.startswith("pooling_mode_") and value is True:
            asked.append(MODEL_POOLINGS.get(name, name.removeprefix("pooling_mode_")))
    if not asked or not set(asked) <= set(MODEL_POOLINGS.values()):
        known = ", ".join(MODEL_POOLINGS.values())
        raise ValueError(f"{path}: expected one or several poolings of {known}, got {asked!r}.")
    order = list(MODEL_POOLINGS.values())  # in which sentence-transformers puts several side by side
    poolings = tuple(sorted(set(asked), key=order.index))
    return {"poolings": poolings, "include_prompt": config.get("include_prompt", True) is not False}


def _dense(folder: Path) -> Dense:
    config = _json(folder / "config.json", dict)
    activation = str(config.get("activation_function", "Identity")).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"{folder / 'config.json'}: expected an activation_function of {', '.join(_ACTIVATIONS)}, got "
            f"{activation!r}."
        )
    path = folder / "model.safetensors"
    if not path.exists():
        raise FileNotFoundError(_without_safetensors(folder))
    refuse_pointers([path])
    try:
        arrays = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no file of safetensors: {error}.") from error
    weight = arrays.get("linear.weight")
    if weight is None or weight.ndim != 2:
        raise ValueError(f"{path}: expected a matrix linear.weight, got {sorted(arrays)!r:.80}.")
    bias = arrays.get("linear.bias", np.zeros(len(weight)))
    if bias.shape != (len(weight),):
        raise ValueError(f"{path}: expected linear.bias of shape ({len(weight)},), got {bias.shape}.")
    return Dense(weight.astype(np.float32), bias.astype(np.float32), activation)


def _prompt(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    config = _json(path, dict)
    name, prompts = config.get("default_prompt_name"), config.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise ValueError(f"{path}: expected prompts to be texts by name, got {prompts!r:.80}.")
    if name is not None and name not in prompts:
        raise ValueError(f"{path}: expected a prompt {name!r}, which default_prompt_name names, among the prompts.")
    return {"prompts": prompts, "prompt": "" if name is None else prompts[name]}


def _check_weights(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise FileNotFoundError(f"{folder} has no config.json; expected a directory of sentence-transformers.")
    if not any(folder.glob("model*.safetensors")):
        raise FileNotFoundError(_without_safetensors(folder))
    refuse_pointers(sorted({path for name in _READ for path in folder.glob(name)}))


def _without_safetensors(folder: Path) -> str:
    return (
        f"{folder} has no weights in model.safetensors. Pickles (pytorch_model.bin) are not opened; load the model "
        "where you trust it, and save it anew with safe_serialization=True."
    )


def _json(path: Path, kind: type) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; expected a directory of sentence-transformers.")
    if path.stat().st_size > _MOST_JSON:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, expected a configuration of at most {_MOST_JSON}.")
    refuse_pointers([path])
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}.") from error
    if not isinstance(value, kind):
        raise ValueError(f"{path}: expected a {kind.__name__}, got {type(value).__name__}.")
    return value
