"""Model on texts that gives each token a vector in its context: what it offers, and how a directory becomes one.

A family of models, such as BERT's or ELMo, is a function that opens its files (`Family`, in `FAMILIES`) and a class
with the names of `ContextualModel`. Batches, layers, pooling, words and windows are `skembed.apply.contextual_states`
and are the same for all families. torch is imported by the families' own files in ``apply/nets``, when one is opened.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from skembed import forks as forks  # notes forks from now on, before torch may have run
from skembed.apply.model_directory import Dense
from skembed.data.pointers import refuse_pointers

__all__ = [
    "FAMILIES",
    "ContextualModel",
    "Family",
    "ModelDefaults",
    "ModelOptions",
    "ScalarMix",
    "TokenSequence",
    "open_contextual_model",
    "split_words",
]

# a word with the accents, apostrophes and hyphens within it, or one mark
_WORD = re.compile("[\\w\u0300-\u036f]+(?:['\u2019-][\\w\u0300-\u036f]+)*|[^\\w\\s]")


class TokenSequence(NamedTuple):
    """A document as a model reads it, cut nowhere, without what the model itself puts around it.

    Attributes
    ----------
    inputs : ndarray of shape (n_tokens, ...)
        What the model takes for each token: ids of pieces, or of the characters of a word.
    texts : list of str
        Of each token, as the model's vocabulary writes it ("##ing").
    spans : ndarray of shape (n_tokens, 2), int64
        Where each token stands: ``document[start:end]`` is its text in the document. In a token list these are
        positions of tokens.
    """

    inputs: np.ndarray
    texts: list[str]
    spans: np.ndarray


@dataclass(frozen=True, eq=False)
class ScalarMix:
    """Layers added up, weighted by the softmax of scalars: Peters et al. 2018 (arXiv:1802.05365), equation 1.

    Attributes
    ----------
    weights : ndarray of shape (n_layers,), float64
        Before the softmax; zeros are the mean of the layers.
    gamma : float
        Factor of the whole.
    layer_norm : bool
        Whether each layer is brought to a mean of 0 and a variance of 1 over all its numbers first; of each document by
        itself.
    """

    weights: np.ndarray
    gamma: float = 1.0
    layer_norm: bool = False


@dataclass(frozen=True, eq=False)
class ModelDefaults:
    """What the files of a model say of the vector of a document, where the caller does not.

    Attributes
    ----------
    poolings : tuple of str
        Values of `skembed.apply.model_directory.MODEL_POOLINGS`, side by side.
    dense : tuple of Dense
        Layers behind the pooling.
    normalize : bool
        Whether vectors of documents have length 1.
    max_length : int or None
        Tokens that are read of a document, with those that the model puts around; None where the files do not say.
    prompts : dict of str to str
        Texts that stand before documents, by name.
    prompt : str
        The one that stands there by default, "" for none.
    include_prompt : bool
        Whether the states of the prompt are pooled, too.
    mix : ScalarMix or None
        That was trained and comes with the model.
    """

    poolings: tuple[str, ...] = ("mean",)
    dense: tuple[Dense, ...] = ()
    normalize: bool = False
    max_length: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    prompt: str = ""
    include_prompt: bool = True
    mix: ScalarMix | None = None


class ContextualModel(Protocol):
    """A model that is loaded; several threads may use it at once.

    Attributes
    ----------
    dims : tuple of int
        Columns of each layer. Layer 0 is what a token is without its context, the last one is the top.
    n_before, n_after : int
        Tokens that the model itself puts around each sequence and that have states, as [CLS] and [SEP]; 0 where it puts
        none, or takes them out again.
    max_length : int or None
        Tokens that it can read at once, `n_before` and `n_after` among them; None for any number.
    defaults : ModelDefaults
    """

    dims: tuple[int, ...]
    n_before: int
    n_after: int
    max_length: int | None
    defaults: ModelDefaults

    def read(self, documents: Sequence[str | list[str]]) -> list[TokenSequence]:
        """Return the tokens of documents. Those of token lists never reach over two tokens of the list."""

    def states(self, batch: Sequence[np.ndarray], layers: Sequence[int]) -> list[list[np.ndarray]]:
        """Run the model.

        Parameters
        ----------
        batch : sequence of ndarray of shape (n_tokens, ...)
            `inputs` of sequences, or runs of them; of about the same length, not too many for memory, and with tokens
            that the model puts around at most `max_length` long. An empty one is possible.
        layers : sequence of int
            From 0 to ``len(dims) - 1``.

        Returns
        -------
        list of list of ndarray of shape (n_before + n_tokens + n_after, dims[layer]), float32
            For each sequence the states of each layer asked for. What else is in the batch changes rounding alone.
        """


@dataclass(frozen=True, eq=False)
class ModelOptions:
    """How a model is loaded.

    Attributes
    ----------
    device : torch.device
    dtype : str
        "float32", "float16" or "bfloat16", of weights and arithmetic; states come back as float32 in any case.
    vectors : Any
        An EmbeddingTable or a file of one, for models that read given word vectors (CoVe); else None.
    """

    device: Any
    dtype: str = "float32"
    vectors: Any = None


class Family(NamedTuple):
    """A kind of models that are told by their files.

    Attributes
    ----------
    name : str
    files : str
        What a directory of it holds, for messages.
    knows : callable
        Path of a directory or file that exists -> whether it is one of these models, by the names of its files.
    opener : str
        "module:function" of ``(path: Path, options: ModelOptions) -> ContextualModel``; raises FileNotFoundError or
        ValueError that names the file, and ImportError that says what to install.
    """

    name: str
    files: str
    knows: Callable[[Path], bool]
    opener: str


def _has(*names: str) -> Callable[[Path], bool]:
    """A directory with a file for each pattern."""
    return lambda path: path.is_dir() and all(any(path.glob(name)) for name in names)


def _is_encoder(path: Path) -> bool:
    """A file of torch, or of safetensors that is not the weights of a transformer, whose folder is to be named."""
    if path.suffix == ".safetensors":
        return path.is_file() and not (path.parent / "config.json").exists()
    return path.suffix in (".pth", ".pt")


# the first one that knows a path opens it
FAMILIES: list[Family] = [
    Family(
        "transformers",
        "config.json (and modules.json, where it is of sentence-transformers), model.safetensors and a tokenizer",
        lambda path: _has("config.json")(path) or _has("modules.json")(path),
        "skembed.apply.nets.transformer_model:open_transformer",
    ),
    Family(
        "ELMo",
        "options.json and weights.hdf5, as AllenNLP and bilm-tf write them",
        lambda path: _has("*options.json")(path) or _has("*weights.hdf5")(path),
        "skembed.apply.nets.elmo:open_elmo",
    ),
    Family(
        "CoVe",
        "encoder.safetensors or a .pth file of the encoder, or such a file itself; the word vectors it reads beside it",
        lambda path: _is_encoder(path) or any(_has(name)(path) for name in ("encoder.safetensors", "*.pth")),
        "skembed.apply.nets.cove:open_cove",
    ),
]


def open_contextual_model(
    source: str | os.PathLike, options: ModelOptions, *, parameter: str = "source"
) -> ContextualModel:
    """Load the model of a directory, or of a file; which kind it is its files tell.

    Parameters
    ----------
    source : str or os.PathLike
    options : ModelOptions
    parameter : str, default="source"
        What the caller calls `source`, for messages.

    Returns
    -------
    ContextualModel

    Raises
    ------
    FileNotFoundError
        If it is not on this disk, or a file is missing.
    ValueError
        If no family knows its files, or they do not fit together: the message names the file.
    TypeError
        If `source` is no path.
    ImportError
        If the family needs a package that is not installed.
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"{parameter} must be the path of a directory, got {type(source).__name__}; a model of "
            "sentence-transformers or transformers is first to be saved there, with its tokenizer."
        )
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(_not_there(source, parameter))
    for family in FAMILIES:
        if family.knows(path):
            refuse_pointers(_files_of_models(path) if path.is_dir() else [path])
            module, function = family.opener.split(":")
            return getattr(import_module(module), function)(path, options)
    known = "; ".join(f"of {family.name}: {family.files}" for family in FAMILIES)
    held = "is a file"
    if path.is_dir():
        held = f"holds {', '.join(sorted(entry.name for entry in path.iterdir())[:5]) or 'nothing'}"
    raise ValueError(f"{parameter}={os.fspath(source)!r} {held}; expected the files of a model, {known}.")


def _files_of_models(folder: Path) -> list[Path]:
    """Those that no further directory describes, as that of a transformer does."""
    return sorted(
        {
            path
            for name in ("*options.json", "*weights.hdf5", "encoder.safetensors", "*.pth", "*.vec")
            for path in folder.glob(name)
        }
    )


def _not_there(source: str | os.PathLike, parameter: str) -> str:
    said = f"{parameter}={os.fspath(source)!r} is no directory on this disk, and nothing is downloaded."
    if re.fullmatch(r"[\w.\-]+(/[\w.\-]+)?", os.fspath(source)):
        said += (
            " If it is a model's name on a hub, save it once where there is a network, as "
            f"AutoModel.from_pretrained({os.fspath(source)!r}).save_pretrained(folder) and the same of "
            "AutoTokenizer, or SentenceTransformer(...).save(folder), and pass the folder."
        )
    return said


def split_words(document: str | list[str]) -> tuple[list[str], np.ndarray]:
    """Return the words of a text and where they stand, for models of whole words; the tokens of a list are its words.

    Parameters
    ----------
    document : str or list of str

    Returns
    -------
    list of str
        Runs of letters and digits, with the apostrophes and hyphens within them; and each mark by itself.
    ndarray of shape (n_words, 2), int64
        `TokenSequence.spans`.

    Examples
    --------
    >>> words, spans = split_words("Don't ring!")
    >>> words, spans.tolist()
    (["Don't", 'ring', '!'], [[0, 5], [6, 10], [10, 11]])
    """
    if not isinstance(document, str):
        starts = np.arange(len(document), dtype=np.int64)
        return list(document), np.stack([starts, starts + 1], axis=1)
    found: list[tuple[int, int]] = []
    for match in _WORD.finditer(document):
        start, end = match.span()
        if found and found[-1][1] == start and _continues(document[start - 1], document[start]):
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return [document[start:end] for start, end in found], np.array(found, dtype=np.int64).reshape(-1, 2)


def _continues(before: str, after: str) -> bool:
    """Whether a sign of a vowel, as Indic scripts have, joins two runs of letters."""
    return _is_combining(after) or (_is_combining(before) and after.isalnum())


def _is_combining(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character).startswith("M")
