"""Memory that something needs, compared with what the machine has, before any of it is taken."""

import os

__all__ = ["check_memory", "memory_of_machine"]


def memory_of_machine() -> int | None:
    """Return the bytes of main memory, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(needed: int, what: str, advice: str) -> None:
    """Raise MemoryError where more is needed than the machine has.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        What needs them.
    advice : str
        What to lower.

    Raises
    ------
    MemoryError
    """
    there = memory_of_machine()
    if there is not None and needed > there:
        raise MemoryError(f"{what} needs at least {needed} bytes and this machine has {there}; {advice}.")
