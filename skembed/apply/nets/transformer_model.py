"""Transformers of the package transformers, BERT's and GPT's families: loaded from a directory, run on torch.

Vaswani et al. 2017 (arXiv:1706.03762), Devlin et al. 2019 (arXiv:1810.04805), Radford et al. 2019; with the steps that
a directory of sentence-transformers names (Reimers & Gurevych 2019, arXiv:1908.10084). Needs the packages transformers
and tokenizers (the extra `transformers`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from skembed.apply.contextual_model import ModelDefaults, ModelOptions, TokenSequence
from skembed.apply.model_directory import ModelDirectory, read_model_directory
from skembed.apply.nets.threads import on_one_thread_in_forks

__all__ = ["TransformerModel", "open_transformer"]

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.spm")
_UNUSED = {"pooler", "lm_head"}  # weights that no state depends on; of translators, nor on the decoder's
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNBOUNDED = 10**9  # what configurations write for "any length" is larger
_PROBE_TOKENS = 16
_SAME = {"float32": 1e-3}  # share by which rounding may change states
_SAME_ROUNDED = 0.1  # of other types


@on_one_thread_in_forks
def open_transformer(path: Path, options: ModelOptions) -> "TransformerModel":
    """Open a directory that transformers or sentence-transformers has saved.

    Raises
    ------
    FileNotFoundError, ValueError
        If files are missing or do not fit together: the message names the file.
    ImportError
        Without transformers.
    """
    return TransformerModel(read_model_directory(path), options)


class TransformerModel:
    """A transformer with its tokenizer: a `skembed.apply.contextual_model.ContextualModel`.

    Parameters
    ----------
    directory : ModelDirectory
    options : ModelOptions
    """

    def __init__(self, directory: ModelDirectory, options: ModelOptions) -> None:
        tokenizer, model = _loaded(directory.transformer)
        if _translates(model):
            model = model.get_encoder()
        self._model = model.to(options.device, getattr(torch, options.dtype)).eval()
        self._device = options.device
        self._lowercase = directory.lowercase
        self._tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.unknown_id = tokenizer.unk_token_id  # in `inputs`, of whatever the vocabulary has no piece for
        self._before, self._after = _around(self._tokenizer)
        config = model.config.get_text_config()
        # what the model itself takes for padding, since some tell positions by it
        pads = (getattr(config, "pad_token_id", None), tokenizer.pad_token_id, 0)
        self._pad = next(pad for pad in pads if isinstance(pad, int) and pad >= 0)
        self.n_before, self.n_after = len(self._before), len(self._after)
        self.max_length = _positions(self._model, config)
        limits = (directory.max_length, tokenizer.model_max_length, self.max_length)
        self.defaults = ModelDefaults(
            poolings=directory.poolings,
            dense=directory.dense,
            normalize=directory.normalize,
            max_length=min((limit for limit in limits if limit is not None and limit < _UNBOUNDED), default=None),
            prompts=directory.prompts,
            prompt=directory.prompt,
            include_prompt=directory.include_prompt,
        )
        try:
            self.dims = self._dims()
            self._pads = self._padding_is_without_influence(_usual_ids(tokenizer), options.dtype)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(
                f"{directory.transformer} holds a model, {type(model).__name__}, that cannot be run on texts: {error}"
            ) from error

    def _dims(self) -> tuple[int, ...]:
        probe = np.full(1, self._pad, dtype=np.int64)
        return tuple(states.shape[-1] for states in self._hidden(probe[None], None, top=False))

    def _padding_is_without_influence(self, ids: np.ndarray, dtype: str) -> bool:
        """Return whether states are the same beside a longer sequence; of FNet and MobileBERT, say, they are not."""
        if self.max_length is not None:
            ids = ids[: max(self.max_length - self.n_before - self.n_after, 0)]
        if len(ids) < 2:
            return False
        layers, short = range(len(self.dims)), ids[: len(ids) // 2]
        (alone,), (beside, _) = self._run([short], layers), self._run([short, ids], layers)
        most_other = _SAME.get(dtype, _SAME_ROUNDED)
        return all(np.linalg.norm(x - y) <= most_other * np.linalg.norm(x) for x, y in zip(alone, beside))

    def read(self, documents: Sequence[str | list[str]]) -> list[TokenSequence]:
        """Return the pieces of documents; a token list is its tokens with spaces between them."""
        texts = [
            _known_to_utf8(document if isinstance(document, str) else " ".join(document)) for document in documents
        ]
        lowered = [text.lower() for text in texts] if self._lowercase else texts
        encodings = self._tokenizer.encode_batch(lowered, add_special_tokens=False)
        return [_sequence(*each) for each in zip(encodings, documents, texts, lowered)]

    @on_one_thread_in_forks
    def states(self, batch: Sequence[np.ndarray], layers: Sequence[int]) -> list[list[np.ndarray]]:
        """Return the states of each sequence in each layer, (n_before + n_tokens + n_after, dims[layer])."""
        if self._pads:
            return self._run(batch, layers)
        places: dict[int, list[int]] = {}  # of sequences by their lengths
        for i, ids in enumerate(batch):
            places.setdefault(len(ids) + self.n_before + self.n_after, []).append(i)
        nothing = [np.zeros((0, self.dims[layer]), dtype=np.float32) for layer in layers]
        found = [nothing] * len(batch)
        for length, alike in places.items():
            for i, states in zip(alike, self._run([batch[i] for i in alike], layers) if length else ()):
                found[i] = states
        return found

    def _run(self, batch: Sequence[np.ndarray], layers: Sequence[int]) -> list[list[np.ndarray]]:
        """Run the model on sequences side by side, padded to the longest."""
        lengths = [len(ids) + self.n_before + self.n_after for ids in batch]
        padded = np.full((len(batch), max(lengths)), self._pad, dtype=np.int64)
        for row, ids, length in zip(padded, batch, lengths):
            row[:length] = np.concatenate([self._before, ids, self._after])
        mask = None
        if min(lengths) < max(lengths):
            mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        top = len(self.dims) - 1
        hidden = self._hidden(padded, mask, top=all(layer == top for layer in layers))
        found = [hidden[layer].float().cpu().numpy() for layer in layers]
        return [[states[i, :length] for states in found] for i, length in enumerate(lengths)]

    @torch.inference_mode()
    def _hidden(self, ids: np.ndarray, mask: np.ndarray | None, *, top: bool) -> Any:
        """Return the states of layers (n_sequences, n_tokens, dim); with `top`, of the last one for any index."""
        given = {"input_ids": torch.from_numpy(ids).to(self._device)}
        if mask is not None:
            given["attention_mask"] = torch.from_numpy(mask).to(self._device)
        if top:
            return _Any(self._model(**given).last_hidden_state)
        found = self._model(**given, output_hidden_states=True)
        # some models bring the states of the top to another scale after they have noted them down
        return [*found.hidden_states[:-1], found.last_hidden_state]


def _known_to_utf8(text: str) -> str:
    """Return a text with the replacement character for each lone surrogate, of which tokenizers make an error."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


class _Any:
    """One value for every index."""

    def __init__(self, value: torch.Tensor) -> None:
        self._value = value

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._value


def _sequence(encoding: Any, document: str | list[str], text: str, lowered: str) -> TokenSequence:
    spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    if len(lowered) != len(text):  # a few capitals have two small letters
        origins = np.repeat(np.arange(len(text)), [len(character.lower()) for character in text])
        spans = np.stack([origins[spans[:, 0]], origins[spans[:, 1] - 1] + 1], axis=1)
    for span in spans:  # byte-level pieces have the space before them
        while span[0] < span[1] and text[span[0]].isspace():
            span[0] += 1
    if not isinstance(document, str):
        ends = np.cumsum([len(token) + 1 for token in document], dtype=np.int64)
        tokens = np.searchsorted(ends, spans[:, 0], side="right")
        spans = np.stack([tokens, tokens + (spans[:, 0] < spans[:, 1])], axis=1)  # a space is no token
    return TokenSequence(np.array(encoding.ids, dtype=np.int64), encoding.tokens, spans)


def _usual_ids(tokenizer: Any) -> np.ndarray:
    """Return ids of a few pieces that stand for text."""
    ids = sorted(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))
    return np.array(ids[:_PROBE_TOKENS], dtype=np.int64)


def _around(tokenizer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids that stand before and behind each text."""
    probe = tokenizer.encode("a")
    inner = [i for i, special in enumerate(probe.special_tokens_mask) if not special]
    ids = np.array(probe.ids, dtype=np.int64)
    return (ids[: inner[0]], ids[inner[-1] + 1 :]) if inner else (ids[:0], ids[:0])


def _positions(model: Any, config: Any) -> int | None:
    """Return how many positions a model has; None where it does not count them from the first."""
    limit = getattr(config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit >= _UNBOUNDED or limit < 1:
        return None
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and getattr(module, "padding_idx", None) is not None:
            return limit - module.padding_idx - 1  # RoBERTa's begin behind the padding's
    return limit


def _loaded(folder: Path) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise ImportError(
            f'reading {folder}, a directory of transformers, needs that package: pip install "skembed[transformers]".'
        ) from error
    if not any(True for name in _TOKENIZER_FILES for _ in folder.glob(name)):
        raise FileNotFoundError(
            f"{folder} has no tokenizer ({', '.join(_TOKENIZER_FILES)}); save it there as well: "
            "AutoTokenizer.from_pretrained(...).save_pretrained(folder)."
        )
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet(), torch.device("cpu"):  # whatever the default device is
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            model, report = AutoModel.from_pretrained(
                folder,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
                **local,
            )
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        raise ValueError(f"{folder} holds no transformer that can be loaded: {error}") from error
    _check_weights(folder, report, _UNUSED | ({"decoder"} if _translates(model) else set()))
    _check_tokenizer(folder, tokenizer, model)
    model.config.use_cache = False  # GPT's would keep what it needs to write on
    return tokenizer, model


def _translates(model: Any) -> bool:
    """Whether a model has an encoder, whose states are wanted, beside a decoder."""
    return hasattr(model, "encoder") and hasattr(model, "decoder")


def _check_weights(folder: Path, report: dict[str, Any], unused: set[str]) -> None:
    other = sorted(report["mismatched_keys"])
    if other:
        name, got, expected = other[0]
        raise ValueError(
            f"{folder} has a weight {name} of shape {tuple(got)}, but its config.json asks for {tuple(expected)}; "
            f"expected weights and configuration of the same model ({len(other)} of another shape)."
        )
    missing = sorted(name for name in report["missing_keys"] if unused.isdisjoint(name.split(".")[:2]))
    if missing:
        raise ValueError(
            f"{folder} lacks weights that its config.json asks for, {', '.join(missing[:3])} among {len(missing)}; "
            "they would be random."
        )


def _check_tokenizer(folder: Path, tokenizer: Any, model: Any) -> None:
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"{folder} has the tokenizer {type(tokenizer).__name__}, which does not say where tokens stand; expected "
            "one that is written to tokenizer.json."
        )
    try:
        n_rows = model.get_input_embeddings().weight.shape[0]
    except NotImplementedError:
        raise ValueError(
            f"{folder} holds a model, {type(model).__name__}, that has no vectors of the pieces of a tokenizer; "
            "expected one that reads texts alone."
        ) from None
    most = max(tokenizer.get_vocab().values(), default=-1)
    if most >= n_rows:
        raise ValueError(
            f"{folder} has a tokenizer with the id {most}, but its model has vectors for {n_rows} pieces; expected the "
            "tokenizer that the model was trained with."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and reports of transformers, which are put back: what is wrong is raised."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
