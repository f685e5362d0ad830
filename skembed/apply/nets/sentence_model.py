"""Sentence model of transformers, loaded from a directory on disk and run on torch: texts -> vectors.

Reimers & Gurevych 2019, "Sentence-BERT" (arXiv:1908.10084): the states of a transformer, pooled. Needs the packages
transformers and tokenizers (the extra `transformers`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from skembed.apply.model_directory import ModelDirectory

__all__ = ["SentenceModel"]

_BATCH_TOKENS = 2**12  # padding among them: what keeps the states of a layer in a processor's cache


class SentenceModel:
    """A transformer with its tokenizer and the steps behind it.

    Parameters
    ----------
    directory : ModelDirectory
        As `read_model_directory` returns it.
    device : torch.device

    Attributes
    ----------
    directory : ModelDirectory

    Raises
    ------
    ImportError
        Without transformers.
    ValueError
        Where the weights or the tokenizer do not fit the configuration.
    """

    def __init__(self, directory: ModelDirectory, device: torch.device) -> None:
        self.directory = directory
        self._device = device
        self._tokenizer, self._model = _loaded(self.directory)
        self._model.to(self._device).eval()
        self._n_prompt = self._prompt_tokens() if not self.directory.include_prompt else 0

    @property
    def lowercase(self) -> bool:
        """Whether the case of letters makes no difference."""
        probe = "Aa Bb"
        return self.directory.lowercase or self._ids([probe]) == self._ids([probe.lower()])

    def encode(self, texts: Sequence[str], *, lengths: bool = False) -> np.ndarray:
        """Return the vectors of texts, each by itself: which texts stand beside it makes no difference but of rounding.

        Parameters
        ----------
        texts : sequence of str
        lengths : bool, default=False
            Whether vectors keep their lengths where the directory brings them to 1.

        Returns
        -------
        ndarray of shape (n_texts, embedding_dim), float32
        """
        ids = self._ids([self.directory.prompt + text for text in texts])
        out: np.ndarray | None = None
        for which in _batches([len(one) for one in ids]):
            vectors = self._pooled([ids[i] for i in which])
            for dense in self.directory.dense:
                vectors = dense(vectors)
            if self.directory.normalize and not lengths:
                vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            if out is None:
                out = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
            out[which] = vectors
        return np.empty((0, 0), np.float32) if out is None else out

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if self.directory.lowercase:
            texts = [text.lower() for text in texts]
        length = self.directory.max_length
        return self._tokenizer(texts, truncation=length is not None, max_length=length)["input_ids"]

    def _prompt_tokens(self) -> int:
        """How many tokens from the first on are those of the prompt."""
        alone = self._ids([self.directory.prompt])[0] if self.directory.prompt else []
        return max(len(alone) - 1, 0)  # the last one closes the text

    @torch.inference_mode()
    def _pooled(self, ids: list[list[int]]) -> np.ndarray:
        width = max(map(len, ids))
        pad = self._tokenizer.pad_token_id or 0
        padded = torch.tensor([one + [pad] * (width - len(one)) for one in ids], device=self._device)
        lengths = torch.tensor([len(one) for one in ids], device=self._device)
        mask = torch.arange(width, device=self._device)[None] < lengths[:, None]
        states = self._model(input_ids=padded, attention_mask=mask.long()).last_hidden_state.float()
        if self._n_prompt:
            mask[:, : self._n_prompt] = False
        pooled = [_pool(name, states, mask, lengths) for name in self.directory.poolings]
        return torch.cat(pooled, dim=1).cpu().numpy()


def _pool(name: str, states: torch.Tensor, mask: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Pool states (n_texts, n_tokens, dim) where the mask is true; (n_texts, dim)."""
    if name == "cls":
        return states[:, 0]
    if name == "lasttoken":
        return states[torch.arange(len(states)), lengths - 1]
    if name == "max":
        return states.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)
    total = (states * mask[:, :, None]).sum(dim=1)
    n_tokens = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return total / (n_tokens if name == "mean" else n_tokens.sqrt())


def _batches(lengths: list[int]) -> Iterator[np.ndarray]:
    """Yield positions of texts of about the same length, at most `_BATCH_TOKENS` tokens at a time."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop - start + 1) * lengths[order[stop]] <= _BATCH_TOKENS:
            stop += 1
        yield order[start:stop]
        start = stop


def _loaded(directory: ModelDirectory) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise ImportError(
            "reading a sentence-transformers directory needs transformers: pip install skembed[transformers]."
        ) from error
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory.transformer, **local)
        model, loaded = AutoModel.from_pretrained(
            directory.transformer, use_safetensors=True, output_loading_info=True, **local
        )
    except (OSError, KeyError, RuntimeError, ValueError, SafetensorError) as error:
        raise ValueError(f"{directory.transformer} holds no transformer that can be loaded: {error}") from error
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))  # which nothing uses
    if missing:
        raise ValueError(
            f"{directory.transformer} lacks weights that its config.json asks for, {', '.join(missing[:3])} among "
            f"{len(missing)}; they would be random."
        )
    return tokenizer, model
