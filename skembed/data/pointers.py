"""Pointers of Git LFS: a few lines of text that stand in place of a large file until it is fetched."""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["POINTER", "WAY_OUT", "refuse_pointers"]

POINTER = b"version https://git-lfs"  # what each begins with
WAY_OUT = "a pointer of Git LFS in place of the file; fetch it by git lfs pull"
_LONGEST = 1024  # bytes; by its specification a pointer is shorter


def refuse_pointers(paths: Iterable[str | os.PathLike]) -> None:
    """Raise ValueError for the first file that is a pointer; what is no file is passed over.

    Where they are opened, readers would say that a header is too large, or a value missing in line 1.
    """
    for path in map(Path, paths):
        if path.is_file() and path.stat().st_size < _LONGEST:
            with open(path, "rb") as file:
                if file.read(len(POINTER)) == POINTER:
                    raise ValueError(f"{path} is {WAY_OUT}.")
