"""Documents from whatever container they come in: lists, columns, arrays, generators, and files larger than memory."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skembed.data.compression import text_lines
from skembed.warning import warn

__all__ = ["MISSING", "LineCorpus", "plain_strings", "read_documents"]

MISSING = ("error", "empty")  # what the parameter `missing` of whatever reads documents may be


class LineCorpus:
    """The lines of a text file as documents, read anew each time they are iterated over.

    Pass it to `fit` or `transform` in place of a list: the file is never in memory as a whole.

    Parameters
    ----------
    path : str or os.PathLike
        A text file with one document a line: plain, or compressed by gzip, bzip2 or xz, which is told by its first
        bytes. An empty line is an empty document, so that document i is line i. A byte order mark is no part of the
        text.
    encoding : str, default="utf-8"
    errors : str, default="strict"
        What to do with bytes that are no text in this encoding, as in `bytes.decode`: "strict" refuses them,
        "replace" and "ignore" lose them, "surrogateescape" keeps them apart.

    Raises
    ------
    ValueError
        While iterating, for bytes that are no text in `encoding`, and for a line of a compressed file that is beyond
        64 MB and a hundred times as long as all that was read of the file: names the file and what to do.
    OSError
        While iterating, if the file is not there or its compressed data are damaged.

    Examples
    --------
    >>> import gzip, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "corpus.txt.gz")
    ...     with gzip.open(path, "wt") as file:
    ...         _ = file.write("the cat sat\\non the mat\\n")
    ...     list(LineCorpus(path))
    ['the cat sat', 'on the mat']
    """

    def __init__(self, path: str | os.PathLike, *, encoding: str = "utf-8", errors: str = "strict") -> None:
        self.path = path
        self.encoding = encoding
        self.errors = errors

    def __iter__(self) -> Iterator[str]:
        try:
            # Lines end at \n alone: a stray \r within a document must not shift all that follow.
            for line in text_lines(self.path, encoding=self.encoding, errors=self.errors, newline="\n"):
                yield line.removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{os.fspath(self.path)!r} is no {self.encoding} text: {error}. Pass the encoding it was written "
                "in, or errors='replace' to go on without what cannot be read."
            ) from error

    def __repr__(self) -> str:
        return f"LineCorpus({os.fspath(self.path)!r})"


def read_documents(X: Any, *, missing: str | None = "error", lowercase: bool = False) -> Iterator[str | list]:
    """Yield the documents of `X`, each a string or a list of tokens.

    Parameters
    ----------
    X : iterable of str or of token lists
        A list, a Series, an array, a generator, a `LineCorpus`, a data frame with one column: anything that can be
        iterated over, once.
    missing : {"error", "empty"} or None, default="error"
        Whether a missing document (None, NaN, NA, null) is an error or an empty one. None: an error to callers that
        have no such parameter.
    lowercase : bool, default=False
        Put the tokens of lists in lower case; of strings, the tokenizer does.

    Yields
    ------
    str or list
        Token lists may be tuples or arrays in `X`.

    Raises
    ------
    ValueError
        If `X` has more than one column.
    TypeError
        If `X` is one string, a set or no iterable, or a document is missing, is bytes, or is no text, or a token is no
        string.

    Warns
    -----
    UserWarning
        If documents are lists of one text, which is then one word.
    """
    n_lists_of_one = n_texts = n_documents = 0
    for row, document in enumerate(_as_iterable(X)):
        n_documents += 1
        if isinstance(document, str):
            yield document
        elif isinstance(document, list | tuple) or (isinstance(document, np.ndarray) and document.ndim == 1):
            tokens = plain_strings(list(document))
            if not set(map(type, tokens)) <= {str}:
                raise TypeError(_not_a_token(row, tokens))
            if len(tokens) == 1:
                n_lists_of_one += 1
                n_texts += len(tokens[0].split(maxsplit=1)) > 1
                example = document
            yield [token.lower() for token in tokens] if lowercase else tokens
        elif missing == "empty" and _is_missing(document):
            yield ""
        else:
            raise TypeError(_not_a_document(row, document, missing))
    if n_lists_of_one == n_documents and 2 * n_texts > n_documents:
        warn(
            f"all {n_documents} documents of X are lists of one text, such as {_short(example)}; a list holds the "
            "words of a document, so that each text is one word. Pass the texts themselves: [text for (text,) in X]."
        )


def plain_strings(tokens: list) -> list:
    """Return tokens whose strings are of the type itself: others, as members of enumerations, may hash otherwise."""
    if set(map(type, tokens)) <= {str}:
        return tokens
    return [str.__str__(token) if isinstance(token, str) else token for token in tokens]


def _as_iterable(X: Any) -> Iterable:
    if isinstance(X, str | bytes):
        raise TypeError(
            f"X must be a list of documents, got the single {type(X).__name__} {_short(X)}; pass [X] if it "
            "is one document."
        )
    if isinstance(X, os.PathLike):
        raise TypeError(f"X must be documents, got the path {os.fspath(X)!r}; pass LineCorpus(X), a document a line.")
    if isinstance(X, set | frozenset):
        raise TypeError(
            f"X is a {type(X).__name__}, which has no order: its texts stand in another one in each process. Pass a "
            "list, sorted(X) for instance."
        )
    shape: tuple[int, ...] = getattr(X, "shape", (0,))
    if hasattr(X, "toarray"):
        raise TypeError(f"X must be an iterable of documents (strings or token lists), got a {type(X).__name__}.")
    if len(shape) == 2 and shape[1] == 1:
        return _as_iterable(_only_column(X))
    if len(shape) == 2:
        names = getattr(X, "column_names", None) or list(getattr(X, "columns", ()))
        named = f" with the columns {', '.join(map(repr, names[:5]))}" if names else ""
        raise ValueError(
            f"X must be one column of documents, got shape {tuple(shape)}{named}. "
            "Select the column of text, or name it in a ColumnTransformer: (vectorizer, 'column')."
        )
    if isinstance(X, dict) or len(shape) != 1 or not isinstance(X, Iterable):
        raise TypeError(f"X must be an iterable of documents (strings or token lists), got {_short(X)}.")
    # The containers' own loops are much faster than their iterators.
    to_list = next((getattr(X, name) for name in ("tolist", "to_list", "to_pylist") if hasattr(X, name)), None)
    return X if to_list is None else to_list()


def _only_column(X: Any) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    if hasattr(X, "to_series"):
        return X.to_series()
    return np.asarray(X)[:, 0] if isinstance(X, np.ndarray) else X.column(0)  # of a numpy.matrix a column is a matrix


def _not_a_document(row: int, document: Any, missing: str | None) -> str:
    expected = f"document {row} of X must be a string or a list of tokens, got {_short(document)} of type "
    expected += type(document).__name__
    if isinstance(document, bytes):
        return f"{expected}; decode it first: document.decode('utf-8')."
    if _is_missing(document):
        parameter = "" if missing is None else ", or pass missing='empty'"
        return f"{expected}; drop missing documents or fill them with '' (an empty document){parameter}."
    return f"{expected}."


def _not_a_token(row: int, tokens: list) -> str:
    place, token = next((place, token) for place, token in enumerate(tokens) if not isinstance(token, str))
    return (
        f"document {row} of X is a token list that holds {_short(token)} of type {type(token).__name__} at position "
        f"{place}, expected strings; turn the tokens into strings first: [str(token) for token in document]."
    )


def _is_missing(document: Any) -> bool:
    pandas = sys.modules.get("pandas")
    if document is None or (pandas is not None and (document is pandas.NA or document is pandas.NaT)):
        return True
    return isinstance(document, float | np.floating) and bool(document != document)


def _short(value: Any) -> str:
    text = repr(value[:40] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
