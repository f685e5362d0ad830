"""A file, or a directory, that is written whole or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_new_directory", "new_directory", "replacing"]

_SHOWN_BYTES = 200  # of a name; 255 are the most, and 29 are added


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that becomes `path` when the block ends, and vanishes if it fails.

    Who may read and write it is as of the file that it replaces.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"path must name a file, got {str(path)!r}, which is a folder or a device.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} is to lie in {str(path.absolute().parent)!r}, which is not there.")
    unfinished = _beside(path)
    file = open(unfinished, "xb")  # noqa: SIM115 - closed before it is renamed, in either case
    try:
        with file:
            if path.exists():
                shutil.copymode(path, unfinished)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def check_new_directory(path: str | os.PathLike) -> Path:
    """Return where a new directory may be made; FileExistsError where anything is there but an empty directory.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    FileNotFoundError
        If the directory that it is to lie in is not there.
    """
    target = Path(path)
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise FileExistsError(
            f"directory={os.fspath(path)!r} is there already, and not empty; expected one that is to be made. Move it "
            "away, or pass another name."
        )
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"directory={os.fspath(path)!r} is to lie in {target.absolute().parent}, which is not there."
        )
    return target


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A folder that becomes `path` when the block ends, with the files in it, and vanishes if it fails.

    `path` is what `check_new_directory` returned.
    """
    unfinished = _beside(path.absolute())
    unfinished.mkdir()
    try:
        yield unfinished
        for file in unfinished.iterdir():
            with open(file, "rb") as written:
                os.fsync(written.fileno())
        check_new_directory(path)
        if path.exists():
            path.rmdir()  # an empty one; not every system renames onto it
        os.rename(unfinished, path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _flush_folder(path.absolute().parent)


def _beside(path: Path) -> Path:
    """A new name in the same folder, which says what it is for, and is no longer than file systems take."""
    shown = os.fsencode(path.name)[:_SHOWN_BYTES].decode(errors="ignore")
    return path.with_name(f".{shown}.{secrets.token_hex(8)}.unfinished")


def _flush_folder(folder: Path) -> None:
    """Let names reach the disk, where the system lets one ask for that."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
