"""ELMo's files: options.json and weights in hdf5, as bilm-tf and AllenNLP write them.

Peters et al. 2018, "Deep contextualized word representations". A directory holds one file whose name ends in
``options.json`` and one that ends in ``weights.hdf5``, under the names that bilm-tf gives them or any others. Names and
shapes of all weights follow from the options and are compared with what is there before a number is read; links out of
the file are not followed. Needs h5py (the extra `elmo`).
"""

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skembed.apply.characters import N_CHARACTERS

__all__ = [
    "ElmoDirectory",
    "ElmoOptions",
    "read_elmo_directory",
    "read_elmo_weights",
    "read_output_weights",
    "require_h5py",
    "write_elmo_weights",
]  # fmt: skip

ACTIVATIONS = ("tanh", "relu")
_MOST_JSON = 2**20  # bytes; real options have some hundred
_MOST_DIM, _MOST_FILTERS, _MOST_LAYERS = 2**16, 64, 64  # the largest published model has 4096, 7 and 2
_MOST_EXPANSION = 100  # of compressed arrays, as of all compressed files
_FREE_BYTES = 2**26  # what any file may expand to
_OUTPUT = "softmax/W", "softmax/b"  # which readers of vectors have no use for


@dataclass(frozen=True, kw_only=True)
class ElmoOptions:
    """What options.json says of the net.

    Attributes
    ----------
    projection_dim : int
        Of tokens, and of a direction's states as they are seen from outside.
    dim : int
        Cells of an LSTM.
    n_layers : int
        Of LSTMs, in each direction.
    cell_clip, proj_clip : float or None
        What cells and projected states are clipped to, at each step.
    skip_connections : bool
        Whether a layer's input is added to its output, from the second layer on.
    character_dim : int
    filters : tuple of (int, int)
        Width and number of convolutions over characters.
    n_highway : int
    activation : {"tanh", "relu"}
        Of the convolutions.
    max_characters : int
        Of a token, its begin and end among them; what comes behind is not read.
    """

    projection_dim: int
    dim: int
    n_layers: int = 2
    cell_clip: float | None = 3.0
    proj_clip: float | None = 3.0
    skip_connections: bool = True
    character_dim: int
    filters: tuple[tuple[int, int], ...]
    n_highway: int
    activation: str = "relu"
    max_characters: int = 50

    @property
    def n_filters(self) -> int:
        """Features of a token before its projection."""
        return sum(n for _, n in self.filters)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the names of all weights as the file calls them, and their shapes."""
        shapes: dict[str, tuple[int, ...]] = {"char_embed": (N_CHARACTERS, self.character_dim)}
        for i, (width, n) in enumerate(self.filters):
            shapes[f"CNN/W_cnn_{i}"] = (1, width, self.character_dim, n)
            shapes[f"CNN/b_cnn_{i}"] = (n,)
        for i in range(self.n_highway):
            for part in ("carry", "transform"):
                shapes[f"CNN_high_{i}/W_{part}"] = (self.n_filters, self.n_filters)
                shapes[f"CNN_high_{i}/b_{part}"] = (self.n_filters,)
        if self.n_filters != self.projection_dim:
            shapes |= {
                "CNN_proj/W_proj": (self.n_filters, self.projection_dim),
                "CNN_proj/b_proj": (self.projection_dim,),
            }
        for direction in range(2):
            for layer in range(self.n_layers):
                cell = cell_name(direction, layer)
                shapes[f"{cell}/W_0"] = (2 * self.projection_dim, 4 * self.dim)
                shapes[f"{cell}/B"] = (4 * self.dim,)
                if self.projection_dim != self.dim:
                    shapes[f"{cell}/W_P_0"] = (self.dim, self.projection_dim)
        return shapes

    def as_json(self) -> dict[str, Any]:
        """Return what options.json holds."""
        return {
            "lstm": {
                "use_skip_connections": self.skip_connections,
                "projection_dim": self.projection_dim,
                "cell_clip": self.cell_clip,
                "proj_clip": self.proj_clip,
                "dim": self.dim,
                "n_layers": self.n_layers,
            },
            "char_cnn": {
                "activation": self.activation,
                "filters": [list(one) for one in self.filters],
                "n_highway": self.n_highway,
                "embedding": {"dim": self.character_dim},
                "n_characters": N_CHARACTERS + 1,  # the one more is what pads sentences
                "max_characters_per_token": self.max_characters,
            },
        }


def cell_name(direction: int, layer: int) -> str:
    """Return what the file calls an LSTM; direction 0 reads from left to right."""
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


@dataclass(frozen=True)
class ElmoDirectory:
    """The files of a model, and what its options say.

    Attributes
    ----------
    options : ElmoOptions
    weights : Path
    """

    options: ElmoOptions
    weights: Path


def read_elmo_directory(path: str | os.PathLike) -> ElmoDirectory:
    """Read the options of a model, and find its weights.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    ElmoDirectory

    Raises
    ------
    FileNotFoundError
        If there is no such directory, or it lacks one of the files.
    ValueError
        If there are several of them, or the options are none: the message names the file and the entry.

    Examples
    --------
    >>> read_elmo_directory("elmo").options.projection_dim  # doctest: +SKIP
    512
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{os.fspath(path)!r} is no directory; expected one on this disk that holds options.json and weights.hdf5 "
            "of an ELMo. Nothing is downloaded."
        )
    return ElmoDirectory(_options(_the_only(root, "*options.json")), _the_only(root, "*weights.hdf5"))


def _the_only(root: Path, pattern: str) -> Path:
    found = sorted(root.glob(pattern))
    if not found:
        there = ", ".join(sorted(file.name for file in root.iterdir())[:8]) or "nothing"
        raise FileNotFoundError(f"{root} has no file {pattern}, expected the files of an ELMo; it holds {there}.")
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:5])
        raise ValueError(f"{root} has several files {pattern}: {names}; expected those of one model alone.")
    return found[0]


def _options(path: Path) -> ElmoOptions:
    if path.stat().st_size > _MOST_JSON:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, expected options of at most {_MOST_JSON}.")
    try:
        given = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}.") from error
    read = _Entries(path, given)
    if read.get("char_cnn", None) is None:
        raise ValueError(
            f"{path} has no char_cnn: its tokens are rows of a vocabulary, and such models cannot be read; expected "
            "one over characters."
        )
    n_characters = read.number("char_cnn.n_characters", N_CHARACTERS + 1)
    if n_characters not in (N_CHARACTERS, N_CHARACTERS + 1):  # bilm-tf trains with the first, and is run with the other
        raise ValueError(
            f"{path}: char_cnn.n_characters={n_characters}, expected {N_CHARACTERS} or {N_CHARACTERS + 1}: the bytes "
            "of UTF-8, and what begins, ends and pads."
        )
    activation = read.get("char_cnn.activation", "tanh")
    if activation not in ACTIVATIONS:
        raise ValueError(f"{path}: char_cnn.activation={activation!r:.80}, expected one of {', '.join(ACTIVATIONS)}.")
    options = ElmoOptions(
        projection_dim=read.number("lstm.projection_dim"),
        dim=read.number("lstm.dim"),
        n_layers=read.number("lstm.n_layers", 1, most=_MOST_LAYERS),
        cell_clip=read.clip("lstm.cell_clip"),
        proj_clip=read.clip("lstm.proj_clip"),
        skip_connections=read.get("lstm.use_skip_connections", False) is True,
        character_dim=read.number("char_cnn.embedding.dim"),
        filters=read.filters("char_cnn.filters"),
        n_highway=read.number("char_cnn.n_highway", 0, least=0, most=_MOST_LAYERS),
        activation=activation,
        max_characters=read.number("char_cnn.max_characters_per_token", 50, least=3),
    )
    if options.projection_dim > options.dim:
        raise ValueError(
            f"{path}: lstm.projection_dim={options.projection_dim} is more than lstm.dim={options.dim}, expected at "
            "most as many."
        )
    widest = max(width for width, _ in options.filters)
    if widest > options.max_characters:
        raise ValueError(
            f"{path}: char_cnn.filters has one of width {widest}, expected none wider than "
            f"max_characters_per_token={options.max_characters}."
        )
    return options


class _Entries:
    """The entries of nested options, by dotted names, each checked."""

    def __init__(self, path: Path, given: Any) -> None:
        self._path, self._given = path, given

    def get(self, name: str, *default: Any) -> Any:
        value = self._given
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                if default:
                    return default[0]
                raise ValueError(f"{self._path} has no {name}; expected the options of an ELMo.")
            value = value[part]
        return value

    def number(self, name: str, *default: int, least: int = 1, most: int = _MOST_DIM) -> int:
        value = self.get(name, *default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{self._path}: {name}={value!r:.80}, expected an int from {least} to {most}.")
        return value

    def clip(self, name: str) -> float | None:
        value = self.get(name, None)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise ValueError(f"{self._path}: {name}={value!r:.80}, expected a number above 0 or null.")
        return float(value)

    def filters(self, name: str) -> tuple[tuple[int, int], ...]:
        value = self.get(name)
        pairs = value if isinstance(value, list) else []
        if not pairs or len(pairs) > _MOST_FILTERS or not all(map(_is_filter, pairs)):
            raise ValueError(f"{self._path}: {name}={value!r:.80}, expected pairs of a width and a number of filters.")
        return tuple((width, n) for width, n in pairs)


def _is_filter(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= _MOST_DIM for n in pair)
    )


def read_elmo_weights(directory: ElmoDirectory) -> dict[str, np.ndarray]:
    """Read the weights that the options ask for.

    Parameters
    ----------
    directory : ElmoDirectory

    Returns
    -------
    dict of str -> ndarray, float32
        Names and shapes as in `ElmoOptions.shapes`.

    Raises
    ------
    ImportError
        Without h5py.
    ValueError
        If the file is no hdf5, lacks a weight, or has one of another shape or type, or a number that is not finite: the
        message names the file, the weight, its shape and the one expected.
    """
    expected = directory.options.shapes()
    return _with_file(directory.weights, lambda file: _arrays(file, directory.weights, expected))


def read_output_weights(directory: ElmoDirectory, n_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the weights of the next word's softmax, which `skembed.text.train_elmo` writes beside the others.

    Parameters
    ----------
    directory : ElmoDirectory
    n_words : int
        Rows of the vocabulary.

    Returns
    -------
    weight : ndarray of shape (n_words, projection_dim), float32
    bias : ndarray of shape (n_words,), float32

    Raises
    ------
    ValueError
        If they are not there, or have another shape.
    """
    shapes: tuple[tuple[int, ...], ...] = ((n_words, directory.options.projection_dim), (n_words,))
    arrays = _with_file(directory.weights, lambda file: _arrays(file, directory.weights, dict(zip(_OUTPUT, shapes))))
    return arrays[_OUTPUT[0]], arrays[_OUTPUT[1]]


class _NotTheWeights(ValueError):
    """What is there is sound, but not what was expected."""


def _with_file(path: Path, read: Callable[[Any], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    h5py = require_h5py()
    try:
        with h5py.File(path, "r") as file:
            return read(file)
    except _NotTheWeights as error:
        raise ValueError(str(error)) from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:  # h5py's, for damage
        raise ValueError(f"{path} is no hdf5 that can be read: {error}.") from error


def require_h5py() -> Any:
    """Return the module h5py; ImportError that says what to install."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError('the weights of an ELMo need h5py: pip install "skembed[elmo]".') from error
    return h5py


def _arrays(file: Any, path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    needed = 4 * sum(math.prod(shape) for shape in shapes.values())
    there = path.stat().st_size
    if needed > _MOST_EXPANSION * there + _FREE_BYTES:
        raise _NotTheWeights(
            f"{path} has {there} bytes, expected weights that need {needed}; it is cut short or another's."
        )
    found = {name: _dataset(file, path, name, shape) for name, shape in shapes.items()}
    arrays = {}
    for name, dataset in found.items():
        array = np.asarray(dataset[...], dtype=np.float32)
        if not np.isfinite(array).all():
            raise _NotTheWeights(f"{path}: weight {name!r} has numbers that are not finite.")
        arrays[name] = array
    return arrays


def _dataset(file: Any, path: Path, name: str, shape: tuple[int, ...]) -> Any:
    """Return the dataset of a weight, its numbers unread, if it lies in this file itself and has the shape."""
    h5py, place = require_h5py(), file
    for part in name.split("/"):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            kind = "a link out of the file" if isinstance(link, h5py.ExternalLink) else "not there"
            raise _NotTheWeights(
                f"{path}: weight {name!r} of shape {shape} is {kind}; are options.json another model's?"
            )
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.is_virtual or place.external:
        raise _NotTheWeights(f"{path}: {name!r} is no array within the file, expected a weight of shape {shape}.")
    if place.shape != shape:
        raise _NotTheWeights(
            f"{path}: weight {name!r} has shape {place.shape}, expected {shape}, as options.json says."
        )
    if place.dtype.kind != "f":
        raise _NotTheWeights(f"{path}: weight {name!r} holds {place.dtype}, expected floating-point numbers.")
    return place


def write_elmo_weights(path: Path, weights: dict[str, np.ndarray], output: tuple[np.ndarray, np.ndarray]) -> None:
    """Write weights as bilm-tf names them, and those of the softmax as ``softmax/W`` and ``softmax/b``.

    Parameters
    ----------
    path : Path
        Of a new file.
    weights : dict of str -> ndarray
        As `read_elmo_weights` returns them.
    output : (ndarray of shape (n_words, projection_dim), ndarray of shape (n_words,))
    """
    with require_h5py().File(path, "x") as store:
        for name, array in (weights | dict(zip(_OUTPUT, output))).items():
            store.create_dataset(name, data=np.asarray(array, dtype=np.float32), track_times=False)
