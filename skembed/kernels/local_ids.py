"""Local ids of a shard of sequences: the rows that it touches, numbered from 0 in order of appearance.

A kernel that works on a compact copy of the few thousand rows a shard touches stays in the cache, and what it learned
is a list of rows and deltas, which is all that has to be merged.
"""

import numpy as np

from skembed.kernels.compile import compiled, compiled_late
from skembed.kernels.random import draw, draws
from skembed.kernels.simd import clear_row, copy_row, pointer, prefetch, prefetch_row

__all__ = [
    "add_rows",
    "gather_rows",
    "keep_thresholds",
    "release",
    "subtract_rows",
    "to_local_ids",
    "to_local_paths",
]

AHEAD = 4  # rows of a table, met in no order, that are asked for before they are needed
_TWO_32 = 4294967296.0
_LARGEST = np.finfo(np.float32).max


def keep_thresholds(counts: np.ndarray, subsample: float) -> np.ndarray:
    """How likely an occurrence of each key is kept, as a 32-bit threshold (word2vec's rule).

    With f the share of a key among all tokens, p = sqrt(subsample / f) + subsample / f, and 1 at most: the formula of
    the word2vec program, which differs from that of Mikolov et al. 2013 (equation 5).

    Parameters
    ----------
    counts : array-like of shape (n_keys,)
    subsample : float
        0 keeps everything.

    Returns
    -------
    ndarray of shape (n_keys,), uint32
        An occurrence is kept when a draw of 32 bits is at most this.

    Examples
    --------
    >>> keep_thresholds([99, 1], subsample=0.0)
    array([4294967295, 4294967295], dtype=uint32)
    """
    counts = np.asarray(counts, dtype=np.float64)
    if subsample <= 0:
        return np.full(counts.shape, np.uint32(0xFFFFFFFF))
    ratio = subsample * counts.sum() / np.maximum(counts, 1.0)
    return np.minimum(np.floor(_TWO_32 * (np.sqrt(ratio) + ratio)), _TWO_32 - 1).astype(np.uint32)


def _to_local_ids(tokens, ends, keep, shortest, slot, rows, local_tokens, local_ends, kept, state):
    (places,) = np.nonzero(tokens >= 0)
    places = places[draws(state, len(places)) <= keep[tokens[places]]]
    n_rows = _number(tokens[places], slot, rows, 0)
    of_sequence = np.searchsorted(ends, places, side="right")
    lengths = np.bincount(of_sequence, minlength=len(ends))
    (sequences,) = np.nonzero(lengths >= shortest)
    found = tokens[places[lengths[of_sequence] >= shortest]]
    local_tokens[: len(found)] = slot[found]
    local_ends[: len(sequences)] = np.cumsum(lengths[sequences])
    kept[: len(sequences)] = sequences
    return len(found), len(sequences), n_rows


def _number(tokens, slot, rows, n_rows):
    """Give a slot to what has none, in order of appearance; returns how many have one now."""
    new = tokens[slot[tokens] < 0]
    order = np.arange(len(new))
    slot[new[::-1]] = order[::-1]  # where each is first: of several that are written, the last stays
    new = new[slot[new] == order]
    n_all = n_rows + len(new)
    rows[n_rows:n_all] = new
    slot[new] = np.arange(n_rows, n_all)
    return n_all


@compiled_late(_to_local_ids)
def to_local_ids(tokens, ends, keep, shortest, slot, rows, local_tokens, local_ends, kept, state):
    """Subsample a shard and number its keys in order of appearance.

    Parameters
    ----------
    tokens : ndarray of shape (n,), int32
        Row of each token; negative ones are left out.
    ends : ndarray of shape (n_sequences,), int64
        Ascending ends of the sequences in `tokens`; the last is n.
    keep : ndarray of shape (n_keys,), uint32
        See `keep_thresholds`.
    shortest : int
        Sequences that keep fewer tokens are left out: 2, since one token has no context, or 1.
    slot : ndarray of shape (n_keys,), int32
        -1 everywhere; afterwards the local id of each row seen. `release` cleans it.
    rows, local_tokens, local_ends, kept
        Outputs: the global row of each local id, the kept tokens in local ids, the ends of the sequences that
        kept enough, and which these are, int32.
    state : ndarray of shape (1,), uint64

    Returns
    -------
    n_kept, n_sequences, n_rows : int
    """
    n_kept = n_sequences = n_rows = 0
    position = 0
    for sequence in range(ends.size):
        first = n_kept
        while position < ends[sequence]:
            token = tokens[position]
            position += 1
            if token < 0 or draw(state) > np.uint64(keep[token]):
                continue
            if slot[token] < 0:
                slot[token] = n_rows
                rows[n_rows] = token
                n_rows += 1
            local_tokens[n_kept] = slot[token]
            n_kept += 1
        if n_kept - first < shortest:
            n_kept = first
        else:
            local_ends[n_sequences] = n_kept
            kept[n_sequences] = sequence
            n_sequences += 1
    return n_kept, n_sequences, n_rows


def _add_rows(tokens, slot, rows, n_rows):
    n_all = _number(tokens, slot, rows, n_rows)
    tokens[:] = slot[tokens]
    return n_all


@compiled_late(_add_rows)
def add_rows(tokens, slot, rows, n_rows):
    """Replace `tokens`, int32 (m,), by local ids, appending to `rows` what was not seen; returns the new n_rows."""
    for i in range(tokens.size):
        token = tokens[i]
        if slot[token] < 0:
            slot[token] = n_rows
            rows[n_rows] = token
            n_rows += 1
        tokens[i] = slot[token]
    return n_rows


@compiled()
def to_local_paths(rows, starts, nodes, codes, slot, node_rows, local_starts, local_nodes, local_codes):
    """Write the paths of `rows` through a Huffman tree in local ids of the inner nodes; returns how many nodes.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), int32
    starts, nodes, codes
        The tree; see `skembed.kernels.huffman.HuffmanTree`.
    slot : ndarray of shape (n_nodes,), int32
        As for `to_local_ids`, of the inner nodes.
    node_rows : ndarray, int32
        Output: the inner node of each local id.
    local_starts, local_nodes, local_codes
        Outputs: the ragged array of paths.
    """
    path_nodes, path_codes, slots = pointer(nodes), pointer(codes), pointer(slot)
    n_nodes = np.int32(0)
    step = 0
    local_starts[0] = 0
    for key in range(rows.size):
        if key + AHEAD < rows.size:  # a path lies in one or two cache lines
            begin, end = starts[rows[key + AHEAD]], starts[rows[key + AHEAD] + 1]
            prefetch(path_nodes, begin)
            prefetch(path_nodes, end - 1)
            prefetch(path_codes, begin)
        for j in range(starts[rows[key]], starts[rows[key] + 1]):
            node = path_nodes[j]
            if slots[node] < 0:
                slots[node] = n_nodes
                node_rows[n_nodes] = node
                n_nodes += np.int32(1)
            local_nodes[step] = slots[node]
            local_codes[step] = path_codes[j]
            step += 1
        local_starts[key + 1] = step
    return n_nodes


def release(slot: np.ndarray, rows: np.ndarray) -> None:
    """Set the slots of `rows` back to -1."""
    slot[rows] = -1


def _gather_rows(table, rows, local):
    dim = table.shape[1]
    local[: len(rows), :dim] = table[rows]
    local[: len(rows), dim:] = 0.0
    local[len(rows)] = 0.0


@compiled_late(_gather_rows)
def gather_rows(table, rows, local):
    """Copy `rows` of `table`, (n_rows, dim), to the first rows of `local`; its padding and the row after them are 0."""
    dim, width = table.shape[1], local.shape[1]
    start, to = pointer(table), pointer(local)
    for i in range(rows.size):
        if i + AHEAD < rows.size:
            prefetch_row(start, np.int64(rows[i + AHEAD]), dim)
        copy_row(start, np.int64(rows[i]) * dim, dim, to, i * width)
        clear_row(to, i * width + dim, width - dim)
    clear_row(to, rows.size * width, width)


def _subtract_rows(table, rows, local):
    deltas = local[: len(rows), : table.shape[1]]
    deltas -= table[rows]
    return bool(np.isfinite(deltas).all())


@compiled_late(_subtract_rows)
def subtract_rows(table, rows, local):
    """Turn local copies of rows into deltas, ``local[i] -= table[rows[i]]``; returns whether all are finite."""
    dim, width = table.shape[1], local.shape[1]
    start, at = pointer(table), pointer(local)
    strange = 0
    for i in range(rows.size):
        if i + AHEAD < rows.size:
            prefetch_row(start, np.int64(rows[i + AHEAD]), dim)
        row = np.int64(rows[i]) * dim
        for d in range(dim):
            delta = at[i * width + d] - start[row + d]
            at[i * width + d] = delta
            strange |= not (abs(delta) <= _LARGEST)
    return strange == 0
