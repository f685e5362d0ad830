"""Bounds for tests that read files by the thousand: a place in memory, and little more address space than there is."""

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["file_in_memory", "little_memory"]

MORE_MEMORY = 1 << 30  # address space beside what the process has: 64 MB that any file may expand to, and room


@contextmanager
def file_in_memory() -> Iterator[Path]:
    """A file in memory where the system has such a place: files that are written by the thousand wear out a disk."""
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=folder) as made:
        yield Path(made) / "file"


@contextmanager
def little_memory() -> Iterator[None]:
    """A bound on the address space, where the system tells how much there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    before = resource.getrlimit(resource.RLIMIT_AS)
    if pages is not None:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MORE_MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
