"""Forward passes of an LSTM and a GRU, one sequence after the other: what a row gives depends on no other row.

Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000, and Cho et al. 2014 with the
reset gate applied to the product, as in torch.
"""

import math

import numpy as np

from skembed.kernels.compile import compiled

__all__ = ["fold_rows", "recurrent_states", "sum_rows"]


@compiled(fastmath={"contract"})
def fold_rows(vectors, weights, out):
    """Write ``vectors @ weights`` to `out`, each row by itself in one order of sums, whatever rows are beside it."""
    for i in range(len(vectors)):
        out[i] = np.float32(0.0)
        for d in range(vectors.shape[1]):
            v = vectors[i, d]
            for g in range(out.shape[1]):
                out[i, g] += v * weights[d, g]


@compiled(fastmath={"contract"})
def sum_rows(rows, shares, table, out):
    """Add to each row of `out` the rows of `table` that `rows` names, times their shares."""
    for i in range(len(rows)):
        for p in range(rows.shape[1]):
            share = shares[i, p]
            row = rows[i, p]
            for g in range(out.shape[1]):
                out[i, g] += share * table[row, g]


@compiled()
def _sigmoid(x):
    return np.float32(1.0) / (np.float32(1.0) + np.float32(math.exp(-x)))


@compiled(fastmath={"contract"})
def _lstm_step(gates, hidden, memory):
    dim = len(hidden)
    for d in range(dim):
        kept = _sigmoid(gates[dim + d]) * memory[d]
        memory[d] = kept + _sigmoid(gates[d]) * np.float32(math.tanh(gates[2 * dim + d]))
        hidden[d] = _sigmoid(gates[3 * dim + d]) * np.float32(math.tanh(memory[d]))


@compiled(fastmath={"contract"})
def _gru_step(gates, product, hidden):
    dim = len(hidden)
    for d in range(dim):
        reset = _sigmoid(gates[d] + product[d])
        update = _sigmoid(gates[dim + d] + product[dim + d])
        new = np.float32(math.tanh(gates[2 * dim + d] + reset * product[2 * dim + d]))
        hidden[d] = new + update * (hidden[d] - new)


@compiled(fastmath={"contract"})
def _pool(pooling, position, hidden, pooled):
    """Take a state into the mean (1) or the maximum (2) of those before it; the last one (0) is itself."""
    for d in range(len(hidden)):
        if pooling == 0 or position == 0:
            pooled[d] = hidden[d]
        elif pooling == 1:
            pooled[d] += hidden[d]
        else:
            pooled[d] = max(pooled[d], hidden[d])


@compiled(fastmath={"contract"})
def recurrent_states(
    is_lstm, pooling, indptr, rows, shares, table, base, begin, recurrent, recurrent_bias, read_indptr, read_length, out
):
    """Write the pooled states of sequences after some of their events.

    Parameters
    ----------
    is_lstm : bool
    pooling : int
        0 the last state, 1 their mean, 2 their maximum.
    indptr : ndarray of shape (n + 1,), int64
        Sequence i has the events ``indptr[i] : indptr[i + 1]``.
    rows, shares : ndarray of shape (n_events, n_pairs), int64 and float32
        What an event adds to the gates: rows of `table` times shares.
    table : ndarray of shape (n_rows, n_gates), float32
    base : ndarray of shape (n, n_gates), float32
        What a sequence adds to the gates of each of its events, the bias included.
    begin : ndarray of shape (n, dim) or (n, 2 * dim), float32
        The state that a sequence begins in: the output before its tanh, and of an LSTM the memory.
    recurrent : ndarray of shape (dim, n_gates), float32
    recurrent_bias : ndarray of shape (n_gates,), float32
        Of a GRU, within the product.
    read_indptr : ndarray of shape (n + 1,), int64
    read_length : ndarray of shape (n_reads,), int64
        Of each sequence after how many events its states are wanted, ascending; 0 is the state that it begins in.
    out : ndarray of shape (n_reads, dim), float32
    """
    dim, n_gates = recurrent.shape
    gates, product = np.empty(n_gates, np.float32), np.empty(n_gates, np.float32)
    hidden, memory, pooled = np.empty(dim, np.float32), np.empty(dim, np.float32), np.empty(dim, np.float32)
    for i in range(len(indptr) - 1):
        for d in range(dim):
            hidden[d] = math.tanh(begin[i, d])
        if is_lstm:
            memory[:] = begin[i, dim:]
        pooled[:] = hidden
        read, last = read_indptr[i], read_indptr[i + 1]
        while read < last and read_length[read] == 0:
            out[read] = hidden
            read += 1
        position = 0
        while read < last:
            event = indptr[i] + position
            gates[:] = base[i]
            for p in range(rows.shape[1]):
                share, row = shares[event, p], rows[event, p]
                for g in range(n_gates):
                    gates[g] += share * table[row, g]
            product[:] = gates if is_lstm else recurrent_bias
            for d in range(dim):
                h = hidden[d]
                for g in range(n_gates):
                    product[g] += h * recurrent[d, g]
            if is_lstm:
                _lstm_step(product, hidden, memory)
            else:
                _gru_step(gates, product, hidden)
            _pool(pooling, position, hidden, pooled)
            position += 1
            while read < last and read_length[read] == position:
                divisor = np.float32(position) if pooling == 1 else np.float32(1.0)
                for d in range(dim):
                    out[read, d] = pooled[d] / divisor
                read += 1
