"""CoVe: the encoder of a translator, LSTMs in both directions over given word vectors.

McCann et al. 2017, "Learned in Translation: Contextualized Word Vectors" (arXiv:1708.00107). The published file
(``wmtlstm-*.pth``) is the state of a torch.nn.LSTM: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``,
the same with ``_reverse``, and so for each layer.
"""

import pickle
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skembed.apply.contextual_model import ModelDefaults, ModelOptions, TokenSequence, split_words
from skembed.apply.nets.threads import on_one_thread_in_forks
from skembed.apply.word_rows import WordRows
from skembed.table import EmbeddingTable

__all__ = ["CoveModel", "open_cove", "read_encoder"]

VECTORS_FILE, ENCODER_FILE = "vectors.safetensors", "encoder.safetensors"
_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_NAME = re.compile(r"(?:\w+\.)*((?:weight|bias)_(?:ih|hh)_l(\d+)(?:_reverse)?)")
_TORCH = (2, 6)  # from which on torch.load(weights_only=True) runs no code of a file
_FIRST_WORDS = 8
_SLACK = 2**20  # bytes that files of zip may hold beside what they say


class CoveModel:
    """A CoVe that is loaded, as a `skembed.apply.contextual_model.ContextualModel`.

    Layer 0 is a word's given vector, layer i the states of the i-th LSTM, left to right beside right to left. The last
    one alone is CoVe, layers 0 and -1 side by side are what McCann et al. give to their tasks.

    Parameters
    ----------
    encoder : dict of str -> Tensor
        As `read_encoder` returns it.
    table : EmbeddingTable
        Word vectors, of as many components as the encoder reads.
    options : ModelOptions

    Attributes
    ----------
    dims, n_before, n_after, max_length, defaults
        As in `ContextualModel`.
    """

    n_before = n_after = 0
    max_length = None

    def __init__(self, encoder: dict[str, torch.Tensor], table: EmbeddingTable, options: ModelOptions) -> None:
        self._layers = [
            layer.to(options.device, getattr(torch, options.dtype)).eval().requires_grad_(False)
            for layer in as_layers(encoder)
        ]
        self._device, self._dtype = options.device, getattr(torch, options.dtype)
        self._words = WordRows(table)
        self._first_words = [key for key in table.keys[:_FIRST_WORDS].tolist() if isinstance(key, str)]
        self.dims = (table.embedding_dim, *(2 * layer.hidden_size for layer in self._layers))
        self.defaults = ModelDefaults()

    def known_words(self, text: str) -> str | list[str]:
        """Return a text, or where none of its words has a vector the first words of the table."""
        words, _ = split_words(text)
        return text if (self._words.rows(words) >= 0).any() else self._first_words or text

    def read(self, documents: Sequence[str | list[str]]) -> list[TokenSequence]:
        """Return the words of documents; the tokens of a list are its words."""
        sequences = []
        for document in documents:
            words, spans = split_words(document)
            sequences.append(TokenSequence(self._words.rows(words), words, spans))
        return sequences

    @torch.inference_mode()
    @on_one_thread_in_forks
    def states(self, batch: Sequence[np.ndarray], layers: Sequence[int]) -> list[list[np.ndarray]]:
        """Run the model.

        Parameters
        ----------
        batch : sequence of ndarray of shape (n_tokens,)
            `TokenSequence.inputs`.
        layers : sequence of int
            0 is a word's vector, the last one the top.

        Returns
        -------
        list of list of ndarray of shape (n_tokens, dims[layer]), float32
        """
        lengths = np.array([len(one) for one in batch], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
        found = [[np.zeros((0, self.dims[layer]), np.float32) for layer in layers] for _ in batch]
        if not len(order):
            return found
        x = torch.zeros((len(order), int(lengths.max()), self.dims[0]), dtype=torch.float32, device="cpu")
        for row, place in zip(x, order):
            row[: lengths[place]] = torch.from_numpy(self._words.vectors(batch[place]))
        x = x.to(self._device, self._dtype)
        of_layer, packed = [x], pack_padded_sequence(x, torch.as_tensor(lengths[order], device="cpu"), batch_first=True)
        for layer in self._layers[: max(layers, default=0)]:
            packed, _ = layer(packed)
            of_layer.append(pad_packed_sequence(packed, batch_first=True)[0])
        arrays = [of_layer[layer].float().cpu().numpy() for layer in layers]
        for row, place in enumerate(order):
            found[place] = [array[row, : lengths[place]].copy() for array in arrays]
        return found


def as_layers(encoder: dict[str, torch.Tensor]) -> list[nn.LSTM]:
    """Return an LSTM of both directions for each layer of an encoder."""
    layers: list[nn.LSTM] = []
    while f"weight_ih_l{len(layers)}" in encoder:
        k = len(layers)
        width, dim = encoder[f"weight_ih_l{k}"].shape[1], encoder[f"weight_hh_l{k}"].shape[1]
        # made on no device, so that nothing is drawn from the global generator
        layer = nn.LSTM(width, dim, batch_first=True, bidirectional=True, device="meta").to_empty(device="cpu")
        names = [f"{part}_l0{end}" for part in _PARTS for end in ("", "_reverse")]
        layer.load_state_dict({name: encoder[name.replace("_l0", f"_l{k}")] for name in names})
        layers.append(layer)
    return layers


def read_encoder(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of an encoder, and compare their names and shapes.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or a file of torch, from which nothing but tensors is taken.

    Returns
    -------
    dict of str -> Tensor, float32
        By the names of a torch.nn.LSTM. Other weights of the file are left out, and what stands before a dot of a name.

    Raises
    ------
    ValueError
        If it is no such file, or a weight is missing or has another shape: the message names the file, the weight, its
        shape and the one expected.
    """
    arrays = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    found: dict[str, torch.Tensor] = {}
    for name, array in arrays.items():
        match = _NAME.fullmatch(str(name))
        if match and isinstance(array, torch.Tensor) and array.is_floating_point():
            found[match[1]] = array
    if "weight_ih_l0" not in found or "weight_hh_l0" not in found:
        names = ", ".join(sorted(map(str, arrays))[:5]) or "nothing"
        raise ValueError(f"{path} lacks weight_ih_l0 or weight_hh_l0, expected the LSTM of a CoVe; it holds {names}.")
    shapes = _expected_shapes(path, found)
    for name, shape in shapes.items():
        if name not in found:
            raise ValueError(f"{path} lacks the weight {name} of shape {shape}, expected the LSTM of a CoVe.")
        if tuple(found[name].shape) != shape:
            raise ValueError(f"{path}: weight {name} has shape {tuple(found[name].shape)}, expected {shape}.")
        if not torch.isfinite(found[name]).all():
            raise ValueError(f"{path}: weight {name} has numbers that are not finite.")
    return {name: found[name].detach().float() for name in shapes}


def _expected_shapes(path: Path, found: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return what the sizes of the first layer ask of all weights."""
    first, state = found["weight_ih_l0"], found["weight_hh_l0"]
    if first.ndim != 2 or state.ndim != 2 or not min(first.shape) or not min(state.shape):
        raise ValueError(
            f"{path}: weights weight_ih_l0 and weight_hh_l0 have shapes {tuple(first.shape)} and {tuple(state.shape)}, "
            "expected matrices."
        )
    width, dim = first.shape[1], state.shape[1]
    n_layers = 1 + max(int(name.removesuffix("_reverse").rpartition("_l")[2]) for name in found)
    if n_layers > len(found):
        raise ValueError(f"{path} names a layer {n_layers - 1}, but has {len(found)} weights in all.")
    shapes: dict[str, tuple[int, ...]] = {}
    for k in range(n_layers):
        for end in ("", "_reverse"):
            of_part = ((4 * dim, 2 * dim if k else width), (4 * dim, dim), (4 * dim,), (4 * dim,))
            shapes |= {f"{part}_l{k}{end}": shape for part, shape in zip(_PARTS, of_part)}
    return shapes


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        return {name: torch.from_numpy(array) for name, array in load_file(path).items() if array.dtype.kind == "f"}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no file of safetensors: {error}.") from error


def _torch(path: Path) -> dict[str, Any]:
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < _TORCH:
        raise ImportError(
            f"{path} is a file of torch, which torch {torch.__version__} cannot read safely; update to 2.6 or newer, "
            "or save it as safetensors."
        )
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size + _SLACK:
            raise ValueError(
                f"{path} has {path.stat().st_size} bytes and says to hold {unpacked}; torch compresses none."
            )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError,
            IndexError) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} holds no tensors that can be read without running code: {reason}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds a {type(state).__name__}, expected a dict of the weights of an LSTM.")
    return state


@on_one_thread_in_forks
def open_cove(path: Path, options: ModelOptions) -> CoveModel:
    """Load an encoder, and the word vectors that it reads.

    Parameters
    ----------
    path : Path
        The file of an encoder, or a directory that holds one, as `skembed.text.train_cove` writes it.
    options : ModelOptions
        Its `vectors` are those that the encoder was trained with; None takes those of the directory.

    Returns
    -------
    CoveModel

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or another's, or the encoder reads vectors of another length: the message names it.
    """
    encoder = read_encoder(_encoder_file(path))
    table = _table(path, options.vectors)
    width = encoder["weight_ih_l0"].shape[1]
    if table.embedding_dim != width:
        raise ValueError(
            f"the encoder {_encoder_file(path)} reads word vectors of {width} components, got vectors of "
            f"{table.embedding_dim}; pass those that it was trained with (of the published one: GloVe 840B, 300)."
        )
    return CoveModel(encoder, table, options)


def _encoder_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted([*path.glob(ENCODER_FILE), *path.glob("*.pth"), *path.glob("*.pt")])
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise ValueError(f"{path}: expected one file {ENCODER_FILE} or *.pth, got {names}.")
    return found[0]


def _table(path: Path, vectors: Any) -> EmbeddingTable:
    if isinstance(vectors, EmbeddingTable):
        return vectors
    if vectors is not None:
        return EmbeddingTable.load(vectors)
    own = path / VECTORS_FILE
    if not path.is_dir() or not own.exists():
        raise ValueError(
            f"source={str(path)!r} is an encoder over word vectors and holds none; pass vectors=, a table or a file "
            "of those that it was trained with (of the published one: GloVe 840B, 300 components)."
        )
    return EmbeddingTable.load(own)
