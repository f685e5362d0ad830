"""A file that is written whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that becomes `path` when the block ends, and vanishes if it fails."""
    if path.exists() and not path.is_file():
        raise OSError(f"path must name a file, got {str(path)!r}, which is a folder or a device.")
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.unfinished")
    file = open(unfinished, "xb")  # noqa: SIM115 - closed before it is renamed, in either case
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    # The name itself reaches the disk with its folder, where the system lets one ask for that.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
