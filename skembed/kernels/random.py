"""A random number generator that lives in one element of an array: xorshift64* (Marsaglia 2003, Vigna 2016).

Each shard of the work owns a state of its own, so that the numbers it draws depend on the seed and on what the
shard is, never on which thread works on it or when.
"""

from functools import cache

import numpy as np
from numba import types
from numba.core import cgutils

from skembed.kernels.compile import intrinsic

__all__ = ["N_JUMPS", "draw", "draw_below", "draws", "emit_draw_below", "new_state"]

N_JUMPS = 1024  # states that numpy finds at once
_MULTIPLIER = 0x2545F4914F6CDD1D  # Vigna's constant for xorshift64*


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


def draws(state: np.ndarray, n: int) -> np.ndarray:
    """Return what `draw` gives in n calls, one after the other, without a compiler: uint64 (n,); `state` moves on."""
    states = np.empty(n, np.uint64)
    for begin in range(0, n, N_JUMPS):
        following = _jumps()[:, : n - begin]
        is_set = (state[0] >> np.arange(64, dtype=np.uint64)) & np.uint64(1) != 0
        states[begin : begin + N_JUMPS] = np.bitwise_xor.reduce(following[is_set], axis=0)
        state[0] = states[min(begin + N_JUMPS, n) - 1]
    return (states * np.uint64(_MULTIPLIER)) >> np.uint64(32)


@cache
def _jumps() -> np.ndarray:
    """The states that follow states of one bit, uint64 (64, N_JUMPS).

    A step is linear over bits, so that those which follow any state are the exclusive or of those of its bits.
    """
    states = np.empty((64, N_JUMPS), np.uint64)
    x = np.uint64(1) << np.arange(64, dtype=np.uint64)
    for i in range(N_JUMPS):
        x ^= x >> np.uint64(12)
        x ^= x << np.uint64(25)
        x ^= x >> np.uint64(27)
        states[:, i] = x
    return states


def _draw(context, builder, kind, state):
    """Move a state on; returns the next 32 bits, as 64."""
    address = (
        state if isinstance(kind, types.CPointer) else cgutils.create_struct_proxy(kind)(context, builder, state).data
    )
    x = builder.load(address)
    number = x.type
    x = builder.xor(x, builder.lshr(x, number(12)))
    x = builder.xor(x, builder.shl(x, number(25)))
    x = builder.xor(x, builder.lshr(x, number(27)))
    builder.store(x, address)
    return builder.lshr(builder.mul(x, number(_MULTIPLIER)), number(32))


@intrinsic
def draw(typing_context, state):
    """Next 32 random bits (as uint64); `state`, uint64 (1,) or a pointer to it, moves on."""

    def generate(context, builder, signature, arguments):
        return _draw(context, builder, signature.args[0], arguments[0])

    return types.uint64(state), generate


def emit_draw_below(context, builder, kind, state, bound):
    """`draw_below` in LLVM's instructions; `kind` is numba's type of the state."""
    bits = _draw(context, builder, kind, state)
    return builder.lshr(builder.mul(bits, bound), bits.type(32))


@intrinsic
def draw_below(typing_context, state, bound):
    """Random integer in [0, bound), bound below 2**32, with a bias below bound / 2**32 (Lemire 2019, not rejecting)."""

    def generate(context, builder, signature, arguments):
        return emit_draw_below(context, builder, signature.args[0], *arguments)

    return types.int64(state, types.int64), generate
