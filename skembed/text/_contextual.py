"""ContextualVectorizer: documents and their tokens as the states of a model that reads them in their context."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skembed.apply.contextual_model import ContextualModel, ModelOptions, TokenSequence, split_words
from skembed.apply.contextual_states import DocumentStates, read_states, vectors_of
from skembed.apply.model_cache import ModelHolder
from skembed.data.documents import MISSING, read_documents
from skembed.memory import check_memory
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.text._contextual_settings import CONTEXTUAL_POOLINGS, ContextualSettings, settings_for
from skembed.text._vectorizer import DocumentTransformer
from skembed.training.run import Run

__all__ = ["ContextualVectorizer", "TokenVectors"]

_CHUNK_DOCUMENTS, _CHUNK_CHARACTERS = 2**14, 2**24  # which are sorted by length, and in memory, at a time
_PROBE = "The 2 of them, Anna and Bo, rang the bell; nobody came."  # tells whether a model is the one of `fit`
_CLOSE = {"float32": 1e-3}  # share of its length by which the vector of the probe may differ
_ROUNDED = 0.1  # of other types
_WEIGHTS = ("*.safetensors", "*.hdf5", "*.pth")
_SMALLER = "pass the directory of a smaller model"
_HOLDER = "_holder"  # of the model: no part of the state


@dataclass(frozen=True, eq=False, repr=False)
class TokenVectors:
    """The tokens of a document, beside their vectors.

    Attributes
    ----------
    tokens : list of str
    vectors : ndarray of shape (n_tokens, n_columns), float32
    spans : ndarray of shape (n_tokens, 2), int64
        ``document[start:end]`` is the token in the document; in a token list these are positions of tokens.
    """

    tokens: list[str]
    vectors: np.ndarray
    spans: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        n_tokens, n_columns = self.vectors.shape
        shown = ", ".join(map(repr, self.tokens[:8])) + (", ..." if n_tokens > 8 else "")
        return f"TokenVectors([{shown}], {n_tokens} x {n_columns})"

    def of(self, token: str) -> np.ndarray:
        """Return the vectors of a token wherever it occurs, whatever its case: (n_occurrences, n_columns).

        Accents may be composed with their letters or not.
        """
        folded = _folded(token)
        return self.vectors[[i for i, found in enumerate(self.tokens) if _folded(found) == folded]]


def _folded(token: str) -> str:
    return unicodedata.normalize("NFC", token.casefold())


@stored
class ContextualVectorizer(DocumentTransformer):
    """Turn documents into vectors, and words into vectors of their context, by a model that is on this disk.

    "My wedding ring" and "boxers in the ring": one word, two vectors. A table of word vectors has one for both; a model
    that reads the whole sentence tells them apart. It costs a thousand times as much. Nothing is ever downloaded, no
    pickle is opened, and no code that a directory brings along is run.

    Parameters
    ----------
    source : str or os.PathLike
        A directory of transformers or sentence-transformers (BERT, RoBERTa, DistilBERT, GPT-2, MiniLM, ...): a
        configuration, weights in ``model.safetensors``, a tokenizer. Needs ``pip install "skembed[transformers]"``. Or
        the files of an ELMo (``pip install "skembed[elmo]"``) or of a CoVe, given or learned by
        `skembed.text.train_elmo` and `train_cove`. The model is loaded when it is first used.
    layer : int, list of int, "mean" or "mix", default=-1
        Whose states are taken. 0 is a token without its context, -1 the last layer; layers of a list stand side by
        side. "mean" is the mean of all layers, "mix" their weighted sum, see `mix_params`.
    mix_params : dict, default=None
        Of "mix", the scalar mix of ELMo: ``weights``, one a layer, of which the softmax is taken (-inf leaves a layer
        out), ``gamma``, a factor of the whole, and ``layer_norm``, whether layers are brought to a mean of 0 and a
        variance of 1 before, of each document by itself. What is left out is that of the model's files, if it was
        trained with one; else weights are equal, ``gamma`` is 1 and ``layer_norm`` False.
    pooling : {"auto", "mean", "max", "cls", "last", "mean-sqrt"} or list of these, default="auto"
        How the states of a document's tokens become its vector. "auto": as the directory says, with the dense layers
        that it has; where it says nothing, "mean". "cls" is the first state, that of [CLS] where the model has one,
        "last" the last one, as suits GPT; "mean-sqrt" is the sum over the root of the number of tokens. What the model
        puts around a document, as [CLS] and [SEP], is pooled too. Poolings of a list stand side by side.
    normalize : "auto" or bool, default="auto"
        Whether vectors of documents have length 1. "auto": as the directory says, if `pooling` is "auto"; else no.
    prompt : str, default=None
        Stands before each document: a text, or the name of one in the directory ("query"). None: the directory's
        default; "": none.
    max_length : int, default=None
        Tokens that are read of a document, [CLS] and [SEP] among them. None: as many as the directory says, or as the
        model has positions.
    long_documents : {"cut", "windows"}, default="cut"
        Longer ones are cut, or read in windows of `max_length` that share a quarter; each token has its state from the
        window in which it stands farthest from an edge.
    vectors : EmbeddingTable, str or os.PathLike, default=None
        The word vectors, or their file, of models that read such.
    missing : {"error", "empty"}, default="error"
        Whether a missing document (None, NaN, NA, null) is an error or an empty one.
    batch_size : int or "auto", default="auto"
        Documents that are run at once, at most. "auto": as many as have 4,096 tokens together, on a GPU 65,536.
    dtype : {"float32", "float16", "bfloat16"}, default="float32"
        Of weights and arithmetic. Vectors are float32 in any case.
    device : str, default="auto"
        "auto" is the first CUDA device if there is one, else the CPU.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    n_layers_ : int
        Of the model, the one without context among them.
    layers_ : list of int
        That are used.
    pooling_ : list of str
    max_length_ : int or None
    prompt_ : str

    Notes
    -----
    There is nothing to learn: `fit` looks at the model and keeps what parameters and files come to, and `transform` of
    one that is not fitted does the same on its way.

    Pickles and files hold the path and not the weights, which clones and estimators of the same directory share. Where
    the directory has moved, ``set_params(source=...)`` says where to. A fitted one refuses a model that gives other
    vectors than that of `fit` did.

    Documents are run in batches of about their length, equal ones once. Rows do not depend on the rows beside them but
    for rounding, about 1e-6. An empty document has the vector that the model gives to one, or zeros where it needs
    tokens.

    References
    ----------
    Devlin et al. 2019, "BERT" (arXiv:1810.04805); Reimers & Gurevych 2019, "Sentence-BERT" (arXiv:1908.10084); Peters
    et al. 2018, "Deep contextualized word representations" (arXiv:1802.05365).

    Examples
    --------
    >>> from skembed import ContextualVectorizer
    >>> vectorizer = ContextualVectorizer("all-MiniLM-L6-v2")  # a folder
    >>> vectorizer.transform(["my wedding ring", "boxers in the ring"]).shape  # doctest: +SKIP
    (2, 384)
    >>> wedding, boxers = vectorizer.embed_tokens(["my wedding ring", "boxers in the ring"])  # doctest: +SKIP
    >>> wedding.of("ring") @ boxers.of("ring").T  # doctest: +SKIP
    """

    _state = {"n_layers_": int, "_settings": ContextualSettings, "_probe": np.ndarray}
    _parameter_constraints: dict = {
        "source": [str, os.PathLike],
        "layer": [Integral, "array-like", StrOptions({"mean", "mix"})],
        "mix_params": [dict, None],
        "pooling": [StrOptions({"auto", *CONTEXTUAL_POOLINGS}), list, tuple],
        "normalize": ["boolean", StrOptions({"auto"})],
        "prompt": [str, None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "long_documents": [StrOptions({"cut", "windows"})],
        "vectors": [EmbeddingTable, str, os.PathLike, None],
        "missing": [StrOptions(set(MISSING))],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "dtype": [StrOptions({"float32", "float16", "bfloat16"})],
        "device": [str],
        "verbose": ["verbose"],
    }

    n_layers_: int
    _settings: ContextualSettings
    _probe: np.ndarray  # the vector of `_PROBE`

    def __init__(
        self,
        source,
        *,
        layer=-1,
        mix_params=None,
        pooling="auto",
        normalize="auto",
        prompt=None,
        max_length=None,
        long_documents="cut",
        vectors=None,
        missing="error",
        batch_size="auto",
        dtype="float32",
        device="auto",
        verbose=0,
    ) -> None:
        self.source = source
        self.layer = layer
        self.mix_params = mix_params
        self.pooling = pooling
        self.normalize = normalize
        self.prompt = prompt
        self.max_length = max_length
        self.long_documents = long_documents
        self.vectors = vectors
        self.missing = missing
        self.batch_size = batch_size
        self.dtype = dtype
        self.device = device
        self.verbose = verbose

    def fit(self, X=None, y=None):
        """Look at the model, and check that the parameters fit it.

        Parameters
        ----------
        X : iterable of str or of token lists, default=None
            Not read.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        FileNotFoundError
            If the directory, or a file in it, is not there.
        ValueError
            If files do not fit together, a parameter is out of its range or does not fit the model, or the model gives
            vectors that are not finite.
        ImportError
            If the model needs a package that is not installed.
        MemoryError
            If its weights would not fit into memory.
        """
        if isinstance(X, str | bytes):
            next(read_documents(X))  # raises what `transform` would
        model, settings = self._resolved(anew=True)
        probe = self._vectors([_probe_of(model)], model, settings)[0]
        if not np.isfinite(probe).all():
            raise ValueError(
                f"source={os.fspath(self.source)!r} gives a vector that is not finite to a sentence with "
                f"dtype={self.dtype!r}; its weights are damaged, or that type is too narrow for them: pass 'float32'."
            )
        self.n_layers_, self._settings, self._probe = len(model.dims), settings, probe
        self.__dict__[_HOLDER].trust(probe, model)
        return self

    def transform(self, X):
        """Return the vectors of documents.

        Parameters
        ----------
        X : iterable of str or of token lists
            Token lists are read with spaces between their tokens. A `LineCorpus` or generator is read chunk by chunk.

        Returns
        -------
        ndarray of shape (n_documents, n_poolings * n_columns), float32

        Raises
        ------
        ValueError
            If the model is another one than that of `fit`.
        """
        model, settings = self._ready()
        with self._bar(X) as bar:
            chunks = [self._vectors(chunk, model, settings, bar.update) for chunk in self._chunks(X)]
        if not chunks:
            width = self._vectors([_PROBE], model, settings).shape[1]
            return np.empty((0, width), dtype=np.float32)
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def embed_tokens(self, X, *, by="word"):
        """Return the vectors of the tokens of each document, in their context.

        Parameters
        ----------
        X : iterable of str or of token lists
        by : {"word", "piece"}, default="word"
            "word": runs of letters and digits, with the apostrophes and hyphens within them, and single marks; the
            vector of a word is the mean of those of its pieces. Words in one piece, as the dots of "..." may be, share
            its vector. The tokens of a list are its words: scripts without spaces are best cut into words before.
            "piece": the tokens of the model, as its vocabulary writes them.

        Returns
        -------
        list of TokenVectors
            One a document. Tokens beyond `max_length` are missing where documents are cut, and so are those that the
            model does not see, as control characters; `TokenVectors.spans` says which ones are there.

        Examples
        --------
        >>> vectorizer = ContextualVectorizer("all-MiniLM-L6-v2")
        >>> (found,) = vectorizer.embed_tokens(["My wedding ring."])  # doctest: +SKIP
        >>> found.tokens, found.vectors.shape  # doctest: +SKIP
        (['My', 'wedding', 'ring', '.'], (4, 384))
        """
        if by not in ("word", "piece"):
            raise ValueError(f"by={by!r}; expected 'word' or 'piece'.")
        model, settings = self._ready()
        reading = settings.reading(self.batch_size, self._device())
        found: list[TokenVectors] = []
        with self._bar(X) as bar:
            for chunk in self._chunks(X):
                ordered: dict[int, TokenVectors] = {}
                for position, states in read_states(model, chunk, reading):
                    ordered[position] = _token_vectors(chunk[position], states, by)
                    bar.update(1)
                found += [ordered[position] for position in range(len(chunk))]
        return found

    # -------------------------------------------------------------------------------------------------- what is fitted

    @property
    def layers_(self) -> list[int]:
        """Numbers of the layers that are used, from 0 on."""
        return list(self._fitted().layers)

    @property
    def pooling_(self) -> list[str]:
        """Names of the poolings."""
        names = {name: ours for ours, name in CONTEXTUAL_POOLINGS.items()}
        return [names[name] for name in self._fitted().poolings]

    @property
    def max_length_(self) -> int | None:
        """Tokens that are read of a document, or in a window."""
        return self._fitted().max_length

    @property
    def prompt_(self) -> str:
        """What stands before each document."""
        return self._fitted().prompt

    def _fitted(self) -> ContextualSettings:
        try:
            return self.__dict__["_settings"]
        except KeyError:
            raise AttributeError(f"this {type(self).__name__} is not fitted yet; call fit.") from None

    @property
    def _n_features_out(self) -> int:
        return len(self._probe)

    def _check_fitted(self) -> None:
        self._settings.check()
        if self._probe.ndim != 1 or self._probe.dtype != np.float32 or self.n_layers_ <= max(self._settings.layers):
            raise ValueError("expected a vector of float32, and layers that the model has")

    # ---------------------------------------------------------------------------------------------------- the model

    def _device(self) -> Any:
        from skembed.training.nets.device import resolve_device  # torch: when it is used

        return resolve_device(self.device)

    def _model(self, *, anew: bool = False) -> ContextualModel:
        options = ModelOptions(self._device(), self.dtype, self.vectors)
        return self.__dict__.setdefault(_HOLDER, ModelHolder()).get(self.source, options, anew=anew)

    def _resolved(self, *, anew: bool = False) -> tuple[ContextualModel, ContextualSettings]:
        self._validate_params()
        check_memory(_weight_bytes(Path(self.source)), f"the model of source={os.fspath(self.source)!r}", _SMALLER)
        model = self._model(anew=anew)
        names = ("layer", "mix_params", "pooling", "normalize", "prompt", "max_length", "long_documents")
        return model, settings_for(model, **{name: getattr(self, name) for name in names})

    def _ready(self) -> tuple[ContextualModel, ContextualSettings]:
        """Return the model and what was fitted, or would be."""
        if "_settings" not in self.__dict__:
            return self._resolved()
        model = self._model()
        holder = self.__dict__[_HOLDER]
        if holder.trusted(self._probe) is not model:
            self._check_same(model)
            holder.trust(self._probe, model)
        return model, self._settings

    def _check_same(self, model: ContextualModel) -> None:
        """Raise ValueError where the model gives another vector to the probe than that of `fit` did."""
        told = f"source={os.fspath(self.source)!r} is another model than that of fit"
        if len(model.dims) != self.n_layers_:
            raise ValueError(f"{told}, with {len(model.dims)} layers in place of {self.n_layers_}; fit again.")
        probe = self._vectors([_probe_of(model)], model, self._settings)[0]
        if probe.shape != self._probe.shape:
            raise ValueError(f"{told}, with {probe.size} columns in place of {self._probe.size}; fit again.")
        share = float(np.linalg.norm(probe - self._probe)) / max(float(np.linalg.norm(self._probe)), 1e-12)
        if not share <= _CLOSE.get(self.dtype, _ROUNDED):
            raise ValueError(
                f"{told}: the vector of a sentence differs by {share:.0%} of its length. Pass the directory of fit by "
                "set_params(source=...), or fit again."
            )

    def _vectors(self, documents: list, model: ContextualModel, settings: ContextualSettings, *bar: Any) -> np.ndarray:
        reading = settings.reading(self.batch_size, self._device())
        return settings.finish(vectors_of(model, documents, reading, settings.pool, *bar), model)

    def _chunks(self, X: Any) -> Iterator[list]:
        return _chunks(read_documents(X, missing=self.missing))

    def _bar(self, X: Any) -> Any:
        total: Any = len(X) if hasattr(X, "__len__") and not hasattr(X, "tocsr") else None
        return Run(0, verbose=self.verbose, label="documents").bar(total, unit="")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != _HOLDER}

    def __sklearn_clone__(self):
        new = super().__sklearn_clone__()
        new.__dict__[_HOLDER] = self.__dict__.setdefault(_HOLDER, ModelHolder())
        return new

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def _probe_of(model: ContextualModel) -> str | list[str]:
    """Return a text that tells one model from another; models of given words are asked for some that they know."""
    known_words = getattr(model, "known_words", None)
    return _PROBE if known_words is None else known_words(_PROBE)


def _weight_bytes(path: Path) -> int:
    return sum(file.stat().st_size for pattern in _WEIGHTS for file in path.glob(pattern))


def _chunks(documents: Iterable[str | list]) -> Iterator[list]:
    chunk: list[str | list] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document) if isinstance(document, str) else sum(map(len, document))
        if len(chunk) == _CHUNK_DOCUMENTS or size >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _token_vectors(document: str | list[str], states: DocumentStates, by: str) -> TokenVectors:
    if by == "piece":
        return TokenVectors(states.tokens.texts, states.body.copy(), states.tokens.spans)
    words, spans = split_words(document)
    word_of, token = _words_of(states.tokens, spans)
    if not len(word_of):
        return TokenVectors([], np.empty((0, states.body.shape[1]), dtype=np.float32), spans[:0])
    present, starts, n_pieces = np.unique(word_of, return_index=True, return_counts=True)
    means = np.add.reduceat(states.body[token], starts, axis=0) / n_pieces[:, None].astype(np.float32)
    return TokenVectors([words[word] for word in present], means, spans[present])


def _words_of(tokens: TokenSequence, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return words, rising, and beside each a token that belongs to it.

    A token belongs to the word that it begins in; to a word that none begins in, those that cover it.
    """
    begins, ends = tokens.spans.T
    shown = np.flatnonzero(begins < ends)
    if not len(spans) or not len(shown):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    word = np.searchsorted(spans[:, 0], begins[shown], side="right") - 1
    inside = (word >= 0) & (begins[shown] < spans[word, 1])
    word, token = word[inside], shown[inside]
    without = np.setdiff1d(np.flatnonzero(spans[:, 0] < ends.max()), word)
    covered = [np.flatnonzero((begins <= start) & (start < ends)) for start in spans[without, 0]]
    word = np.concatenate([word, np.repeat(without, list(map(len, covered)))])
    token = np.concatenate([token, *covered])
    order = np.argsort(word, kind="stable")
    return word[order], token[order]
