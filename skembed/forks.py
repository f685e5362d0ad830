"""Forks: whether this process is one, whose parent's threads are lost."""

import os

__all__ = ["is_fork"]

_forked = False


def _note() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)


def is_fork() -> bool:
    """Whether this process was forked from one that had imported this module."""
    return _forked
