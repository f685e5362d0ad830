"""The Huffman tree of hierarchical softmax (Mikolov et al. 2013, section 2.1; Morin & Bengio 2005)."""

from typing import NamedTuple

import numpy as np

from skembed.kernels.compile import compiled

__all__ = ["HuffmanTree", "huffman_tree"]


class HuffmanTree(NamedTuple):
    """The way from the root to every key, as one ragged array; inner nodes of n keys are 0 .. n - 2, the root the last.

    Attributes
    ----------
    starts : ndarray of shape (n + 1,), int64
        The path of key i lies at ``starts[i]:starts[i + 1]``, the root first.
    nodes : ndarray of shape (n_steps,), int32
        Inner nodes on the way.
    codes : ndarray of shape (n_steps,), uint8
        1 where the way goes right, 0 where it goes left.
    """

    starts: np.ndarray
    nodes: np.ndarray
    codes: np.ndarray


def huffman_tree(counts: np.ndarray, *, leaves_first: bool = True) -> HuffmanTree:
    """Binary code of minimal expected length, frequent keys near the root.

    Parameters
    ----------
    counts : array-like of shape (n,), n >= 2
        How often each key occurs, in any order; ties are settled by position, so that the tree is one and the same.
    leaves_first : bool, default=True
        Whether of a leaf and an inner node, equally frequent, the leaf is joined first, which keeps the tree shallow:
        keys that never occur would make a chain otherwise. False is the tree of the fastText program.

    Returns
    -------
    HuffmanTree

    Raises
    ------
    ValueError
        If there are fewer than two keys: nothing can be told apart.

    Examples
    --------
    >>> tree = huffman_tree([8, 4, 3])
    >>> np.diff(tree.starts)
    array([1, 2, 2])
    >>> tree.nodes
    array([1, 1, 0, 1, 0], dtype=int32)
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 1 or counts.size < 2:
        raise ValueError(
            f"loss='hierarchical-softmax' needs at least 2 keys, got {counts.size}. "
            "Lower min_count, or use loss='negative-sampling'."
        )
    order = np.argsort(-counts, kind="stable")
    parent, is_right = _build(counts[order], leaves_first)
    starts, nodes, codes = _paths(parent, is_right, np.argsort(order))
    return HuffmanTree(starts, nodes, codes)


@compiled()
def _build(counts, leaves_first):
    """Two queues, leaves by ascending count and inner nodes as they are made, which ascend by themselves: O(n).

    `counts` descend. Tree positions 0 .. n - 1 are the leaves, n .. 2 n - 2 the inner nodes.
    """
    n = counts.size
    weight = np.empty(2 * n - 1)
    weight[:n] = counts
    parent = np.zeros(2 * n - 1, np.int32)
    is_right = np.zeros(2 * n - 1, np.uint8)
    leaf, inner = n - 1, n
    for made in range(n, 2 * n - 1):
        for side in range(2):
            if leaf >= 0 and (
                inner >= made or weight[leaf] < weight[inner] or (leaves_first and weight[leaf] == weight[inner])
            ):
                child = leaf
                leaf -= 1
            else:
                child = inner
                inner += 1
            parent[child] = made
            is_right[child] = side
            weight[made] = weight[child] if side == 0 else weight[made] + weight[child]
    return parent, is_right


@compiled()
def _paths(parent, is_right, position_of):
    n = position_of.size
    root = 2 * n - 2
    starts = np.zeros(n + 1, np.int64)
    for key in range(n):
        node, length = np.int64(position_of[key]), 0
        while node != root:
            node = np.int64(parent[node])
            length += 1
        starts[key + 1] = starts[key] + length
    nodes = np.empty(starts[n], np.int32)
    codes = np.empty(starts[n], np.uint8)
    for key in range(n):
        node, step = np.int64(position_of[key]), starts[key + 1]
        while node != root:
            step -= 1
            codes[step] = is_right[node]
            node = np.int64(parent[node])
            nodes[step] = node - n
    return starts, nodes, codes
