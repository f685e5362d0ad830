"""Options that a caller may pass to any reader, checked once."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skembed.data.compression import MAX_EXPANSION, most_bytes
from skembed.table.keys import key_list
from skembed.table.queries import one_of, positive_int


@dataclass(frozen=True)
class ReadOptions:
    """The parameters of `load_table`, in the form in which readers use them."""

    limit: int | None = None
    wanted: frozenset | None = None
    mmap: bool = False
    half: bool = False
    errors: str = "strict"
    allow_nonfinite: bool = False
    subwords: bool = True
    member: str | None = None
    verify: bool = True
    max_expansion: int = MAX_EXPANSION
    ngrams_mapped: bool = False  # n-grams stay in the file, if not words

    def most_bytes(self, n_compressed: int) -> int:
        """How many bytes may come out of so many."""
        return most_bytes(n_compressed, self.max_expansion)

    @property
    def takes_all(self) -> bool:
        """Whether every row of the file is wanted as it is."""
        return self.limit is None and self.wanted is None and not self.half


def read_options(
    limit: Any = None,
    keys: Iterable | None = None,
    mmap: bool = False,
    dtype: Any = "float32",
    errors: str = "strict",
    allow_nonfinite: bool = False,
    subwords: bool | None = None,
    member: str | None = None,
    verify: bool = True,
    max_expansion: int = MAX_EXPANSION,
) -> ReadOptions:
    """Options of checked values; ValueError or TypeError names the parameter."""
    try:
        codecs.lookup_error(errors)
    except (LookupError, TypeError):
        raise ValueError(
            f"errors must be 'strict' or another error handler of Python's codecs ('replace', 'surrogateescape', ...), "
            f"got {errors!r}."
        ) from None
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    wanted = None if keys is None else frozenset(key_list(keys))
    if wanted is not None and not wanted:
        raise ValueError("keys must name at least one key to read, got none; leave keys out to read all of the file.")
    return ReadOptions(
        limit=None if limit is None else positive_int(limit, "limit"),
        wanted=wanted,
        mmap=bool(mmap),
        half=one_of(name, ("float32", "float16"), "dtype") == "float16",
        errors=errors,
        allow_nonfinite=bool(allow_nonfinite),
        subwords=keys is None if subwords is None else bool(subwords),
        member=member,
        verify=bool(verify),
        max_expansion=positive_int(max_expansion, "max_expansion"),
    )
