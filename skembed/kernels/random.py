"""A random number generator that lives in one element of an array: xorshift64* (Marsaglia 2003, Vigna 2016).

Each shard of the work owns a state of its own, so that the numbers it draws depend on the seed and on what the
shard is, never on which thread works on it or when.
"""

import numpy as np

from skembed.kernels.compile import compiled

__all__ = ["draw", "draw_below", "new_state"]

_MULTIPLIER = np.uint64(0x2545F4914F6CDD1D)  # Vigna's constant for xorshift64*
_LOW_32_BITS = np.uint64(0xFFFFFFFF)
_S12, _S25, _S27, _S32 = np.uint64(12), np.uint64(25), np.uint64(27), np.uint64(32)


def new_state(*entropy: int) -> np.ndarray:
    """State of a generator of its own for each tuple of non-negative integers.

    Parameters
    ----------
    *entropy : int
        The seed first, then what tells this stream from others: the pass, the shard.

    Returns
    -------
    ndarray of shape (1,), uint64
        Never zero, which xorshift could not leave.

    Examples
    --------
    >>> new_state(0, 1) == new_state(0, 2)
    array([False])
    """
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return state | np.uint64(1)


@compiled(inline="always")
def draw(state):
    """Next 32 random bits (as uint64); `state`, uint64 (1,), moves on."""
    x = state[0]
    x ^= x >> _S12
    x ^= x << _S25
    x ^= x >> _S27
    state[0] = x
    return (x * _MULTIPLIER) >> _S32


@compiled(inline="always")
def draw_below(state, bound):
    """Random integer in [0, bound), bound below 2**32, with a bias below bound / 2**32 (Lemire 2019, not rejecting)."""
    return np.int64((draw(state) * np.uint64(bound)) >> _S32)
