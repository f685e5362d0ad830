"""Word2vec's models over sequences of integer ids, whatever they stand for: words, nodes of walks, items of baskets.

Mikolov et al. 2013 (arXiv:1301.3781, arXiv:1310.4546). Training is parallel and reproducible at once. The stream of
tokens is cut into rounds, a round into a fixed number of stretches. Each stretch is learned on a compact copy of the
rows it touches, from the tables as they were when the round began, and the deltas are merged in the order of the
stretches. The cut depends on how many tokens there are and on nothing else, neither workers nor chunks.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from skembed.kernels import localise as local
from skembed.kernels.huffman import HuffmanTree, huffman_tree
from skembed.kernels.merge import add_deltas, subtract_rows, tally
from skembed.kernels.noise import AliasTable, alias_table, draw_many
from skembed.kernels.random import new_state
from skembed.kernels.windows import train_skip_gram
from skembed.parallel import workers

__all__ = ["SequenceTables", "train_sequences"]

N_SHARDS = 2
STRETCH = 16384  # tokens a shard works on between two merges
POOL = 4096  # negatives are drawn for a stretch at once
MERGE_RATE = 0.0


class SequenceTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    input : ndarray of shape (n_keys, embedding_dim), float32
        The vectors of the keys.
    output : ndarray of shape (n_keys, embedding_dim) or (n_keys - 1, embedding_dim), float32
        The vectors of the keys as targets; with hierarchical softmax those of the inner nodes of the Huffman tree.
    loss_curve : list of float
        Mean loss of a pair of context and center, one value a pass.
    """

    input: np.ndarray
    output: np.ndarray
    loss_curve: list[float]


def train_sequences(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
    counts: np.ndarray,
    *,
    embedding_dim: int = 100,
    architecture: str = "skip-gram",
    loss: str = "negative-sampling",
    window: int = 5,
    shrink_window: bool = True,
    subsample: float = 1e-4,
    negative: int = 5,
    ns_exponent: float = 0.75,
    learning_rate: float = 0.025,
    min_learning_rate: float = 1e-4,
    max_iter: int = 5,
    n_jobs: int | None = None,
    seed: int = 0,
    start: SequenceTables | None = None,
    frozen: np.ndarray | None = None,
    on_pass: Callable[[int, SequenceTables], Any] | None = None,
    progress: Callable[[int], Any] | None = None,
) -> SequenceTables:
    counts = np.asarray(counts)
    hierarchical = loss == "hierarchical-softmax"
    n_keys = len(counts)
    tree = huffman_tree(counts) if hierarchical else None
    noise = None if hierarchical else alias_table(counts.astype(np.float64) ** ns_exponent)
    tables = _start(n_keys, embedding_dim, hierarchical, seed, start)
    task = _Stretch(
        architecture,
        hierarchical,
        window,
        shrink_window,
        negative,
        local.keep_thresholds(counts, subsample),
        noise,
        tree,
        None if frozen is None else np.asarray(frozen, dtype=bool),
    )
    n_tokens = int(counts.sum())
    stretch, n_shards = STRETCH, N_SHARDS
    loss_curve: list[float] = []
    merge = _Merge(tables, MERGE_RATE)
    with workers(n_jobs) as (map_, shared_memory):
        for pass_ in range(max_iter):
            done = 0
            total_loss, total_pairs = 0.0, 0
            for round_, (tokens, ends) in enumerate(_rounds(chunks, stretch * n_shards)):
                share = min(1.0, (pass_ + min(1.0, done / n_tokens)) / max_iter)
                rate = max(min_learning_rate, learning_rate * (1.0 - share))
                pieces = _cut(tokens, ends, n_shards)
                results = map_(
                    task,
                    [
                        (tables.input, tables.output, piece, rate, (seed, pass_, round_, shard), shard)
                        for shard, piece in enumerate(pieces)
                    ],
                )
                merge(map_ if shared_memory else None, results, rate)
                for result in results:
                    total_loss += result.loss
                    total_pairs += result.n_pairs
                done += len(tokens)
                if progress is not None:
                    progress(len(tokens))
            loss_curve.append(total_loss / max(total_pairs, 1))
            if on_pass is not None:
                on_pass(pass_, SequenceTables(*tables, list(loss_curve)))
    return SequenceTables(*tables, loss_curve)


class _Tables(NamedTuple):
    input: np.ndarray
    output: np.ndarray


def _start(n_keys: int, dim: int, hierarchical: bool, seed: int, start: Any) -> _Tables:
    n_output = n_keys - 1 if hierarchical else n_keys
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed,))))
    if start is None:
        input_ = (generator.random((n_keys, dim), dtype=np.float32) - np.float32(0.5)) / np.float32(dim)
        return _Tables(input_, np.zeros((n_output, dim), np.float32))
    output = np.zeros((n_output, dim), np.float32) if start.output is None else np.array(start.output, np.float32)
    return _Tables(np.array(start.input, np.float32, order="C"), output)


def _rounds(chunks: Iterable[tuple[np.ndarray, np.ndarray]], size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut the stream of all chunks every `size` tokens, wherever the chunks end."""
    kept_tokens: list[np.ndarray] = []
    kept_ends: list[np.ndarray] = []
    n_kept = 0
    for tokens, ends in chunks:
        tokens = np.ascontiguousarray(tokens, dtype=np.int32)
        ends = np.asarray(ends, dtype=np.int64)
        if ends.size == 0 or ends[-1] < tokens.size:
            ends = np.append(ends, tokens.size)
        begin = 0
        while begin < tokens.size:
            stop = min(tokens.size, begin + size - n_kept)
            first, last = np.searchsorted(ends, (begin, stop), side="right")
            kept_tokens.append(tokens[begin:stop])
            kept_ends.append(ends[first:last] - begin + n_kept)
            if last == 0 or ends[last - 1] < stop:
                pass
            n_kept += stop - begin
            begin = stop
            if n_kept == size:
                yield np.concatenate(kept_tokens), np.concatenate(kept_ends)
                kept_tokens, kept_ends, n_kept = [], [], 0
    if n_kept:
        yield np.concatenate(kept_tokens), np.concatenate(kept_ends)


def _cut(tokens: np.ndarray, ends: np.ndarray, n_pieces: int) -> list[tuple[np.ndarray, np.ndarray]]:
    length = math.ceil(len(tokens) / n_pieces)
    pieces = []
    for begin in range(0, len(tokens), length):
        piece = tokens[begin : begin + length]
        first, last = np.searchsorted(ends, (begin, begin + len(piece)), side="right")
        inside = ends[first:last] - begin
        if inside.size == 0 or inside[-1] < len(piece):
            inside = np.append(inside, len(piece))
        pieces.append((piece, inside))
    return pieces


class _Learned(NamedTuple):
    """What one stretch learned."""

    input_rows: np.ndarray
    input_deltas: np.ndarray
    input_counts: np.ndarray
    output_rows: np.ndarray
    output_deltas: np.ndarray
    output_counts: np.ndarray
    loss: float
    n_pairs: int


class _Stretch:
    """`fit_partition` for a stretch of tokens: pure but for the buffers of each shard, which do not travel in a pickle."""

    def __init__(
        self,
        architecture: str,
        hierarchical: bool,
        window: int,
        shrink: bool,
        negative: int,
        keep: np.ndarray,
        noise: AliasTable | None,
        tree: HuffmanTree | None,
        frozen: np.ndarray | None,
    ) -> None:
        self.architecture = architecture
        self.hierarchical = hierarchical
        self.window = window
        self.shrink = shrink
        self.negative = negative
        self.keep = keep
        self.noise = noise
        self.tree = tree
        self.frozen = frozen
        self._buffers: dict[int, _Buffers] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_buffers": {}}

    def __call__(self, input_, output, piece, rate, entropy, shard) -> _Learned:
        tokens, ends = piece
        b = self._buffers.get(shard)
        if b is None or len(b.tokens) < len(tokens):
            longest = 0 if self.tree is None else int(np.diff(self.tree.starts).max())
            b = self._buffers[shard] = _Buffers(len(tokens), input_.shape, len(output), longest, self.negative)
        state = new_state(*entropy)
        n_tokens, n_ends, n_rows = local.localise(tokens, ends, self.keep, b.slot, b.rows, b.tokens, b.ends, state)
        local.gather_rows(input_, b.rows, n_rows, b.input)
        b.input_counts[:n_rows] = 0
        if self.hierarchical:
            n_out = local.localise_paths(
                b.rows, n_rows, self.tree.starts, self.tree.nodes, b.node_slot, b.node_rows, b.path_starts,
                b.path_nodes, b.path_codes, self.tree.codes,
            )  # fmt: skip
            out_rows = b.node_rows
            local.release(b.node_slot, b.node_rows, n_out)
        else:
            draw_many(*self.noise, b.pool, state)
            n_out = local.add_rows(b.pool, b.slot, b.rows, n_rows)
            out_rows = b.rows
        local.release(b.slot, b.rows, n_rows if self.hierarchical else n_out)
        local.gather_rows(output, out_rows, n_out, b.output)
        b.output_counts[:n_out] = 0
        loss, n_pairs = train_skip_gram(
            b.tokens[:n_tokens], b.ends[:n_ends], self.window, self.shrink, self.hierarchical, self.negative, b.pool,
            b.path_starts, b.path_nodes, b.path_codes, b.input, b.output, b.frozen, rate, state,
            b.targets, b.labels, b.gradients, b.target_rows, b.input_counts, b.output_counts,
        )  # fmt: skip
        subtract_rows(input_, b.rows, n_rows, b.input)
        subtract_rows(output, out_rows, n_out, b.output)
        return _Learned(
            b.rows[:n_rows], b.input[:n_rows], b.input_counts[:n_rows],
            out_rows[:n_out], b.output[:n_out], b.output_counts[:n_out], loss, n_pairs,
        )  # fmt: skip


class _Buffers:
    def __init__(self, n_tokens, input_shape, n_output, longest_path, negative):
        n_keys, dim = input_shape
        width = -(-dim // local.LOCAL_LANES) * local.LOCAL_LANES
        n_targets = max(longest_path, negative + 1)
        self.tokens = np.empty(n_tokens, np.int32)
        self.ends = np.empty(n_tokens, np.int64)
        self.slot = np.full(n_keys, -1, np.int32)
        self.rows = np.empty(n_tokens + POOL, np.int32)
        self.pool = np.empty(POOL, np.int32)
        self.input = np.empty((n_tokens, width), np.float32)
        self.input_counts = np.empty(n_tokens, np.int64)
        n_paths = n_tokens * longest_path
        most = min(n_output, n_paths) if longest_path else n_tokens + POOL
        self.output = np.empty((most, width), np.float32)
        self.output_counts = np.empty(most, np.int64)
        self.node_slot = np.full(n_output if longest_path else 0, -1, np.int32)
        self.node_rows = np.empty(most if longest_path else 0, np.int32)
        self.path_starts = np.zeros(n_tokens + 1, np.int64)
        self.path_nodes = np.empty(n_paths, np.int32)
        self.path_codes = np.empty(n_paths, np.uint8)
        self.frozen = np.zeros(n_tokens, np.uint8)
        self.targets = np.empty(n_targets, np.int64)
        self.labels = np.empty(n_targets, np.float32)
        self.gradients = np.empty(n_targets, np.float32)
        self.target_rows = np.empty((n_targets, width), np.float32)


class _Merge:
    def __init__(self, tables: _Tables, rate_factor: float) -> None:
        self.tables = tables
        self.rate_factor = rate_factor
        self.total = [np.zeros(len(t), np.int64) for t in tables]
        self.progress = [np.zeros(len(t)) for t in tables]

    def __call__(self, map_, results, rate) -> None:
        tasks = [
            (which, [(r[3 * which], r[3 * which + 1], r[3 * which + 2]) for r in results], rate) for which in (0, 1)
        ]
        if map_ is None:
            for task in tasks:
                self._merge(*task)
        else:
            map_(self._merge, tasks)

    def _merge(self, which, parts, rate) -> None:
        table, total, progress = self.tables[which], self.total[which], self.progress[which]
        a = rate * self.rate_factor
        if a > 0:
            for rows, _, counts in parts:
                tally(rows, counts, 0, 1, a, total, progress)
        for rows, deltas, _ in parts:
            add_deltas(table, rows, deltas, 0, 1, a, total, progress)
        if a > 0:
            for rows, _, _ in parts:
                total[rows] = 0
                progress[rows] = 0
