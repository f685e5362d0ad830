"""Learning from one shard of sequences: the pure function that `skembed.training.sequences` runs in rounds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skembed.kernels import local_ids
from skembed.kernels.huffman import HuffmanTree, huffman_tree
from skembed.kernels.noise import AliasTable, alias_table, draw_many
from skembed.kernels.random import new_state
from skembed.kernels.shard import Shard, Targets, Workspace, new_workspace
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
from skembed.kernels.windows import train_cbow, train_skip_gram
from skembed.parallel import RowDeltas
from skembed.training.sequence_settings import SequenceSettings

__all__ = ["FitShard", "Report", "TokenShard", "target_source"]

KERNELS = {"skip-gram": train_skip_gram, "cbow": train_cbow}
# of the logistic loss of a pair of rows, p (1 - p) times a squared length, seen from one direction; a context of CBOW
# has a share of the mean only, and means are short
CURVATURE = {"skip-gram": 0.1, "cbow": 0.05}
# A shard draws its negatives from so small a pool that their rows stay in the cache. Analogies of CBOW, which moves a
# negative once a window and not once a context, suffer from a smaller one.
TOKENS_PER_NEGATIVE = {"skip-gram": 16, "cbow": 8}
# Of large corpora: long enough that copying rows and merging them is a small part, short enough for the cache.
TOKENS_PER_SHARD = {"skip-gram": 8192, "cbow": 8192}
NO_DOCUMENTS = np.zeros(0, np.int64)


class TokenShard(NamedTuple):
    """A shard of tokens, as `FitShard` takes it.

    Attributes
    ----------
    tokens : ndarray of shape (n_tokens,), int32
    ends : ndarray of shape (n_sequences,), int64
    learning_rate : float
    shard_index : int
        Shards that run at the same time have different ones: each has buffers of its own.
    documents : ndarray of shape (n_sequences,) or (0,), int64
        The input row of the document that each sequence is, no two the same; empty: windows hold no document.
    """

    tokens: np.ndarray
    ends: np.ndarray
    learning_rate: float
    shard_index: int
    documents: np.ndarray = NO_DOCUMENTS


class Report(NamedTuple):
    """Sum of the losses that were read, how many they were, and whether all that was learned is finite."""

    loss: float
    n_losses: int
    finite: bool


def target_source(counts: np.ndarray, settings: SequenceSettings) -> HuffmanTree | AliasTable:
    """Return what the targets of a center come from: the tree of hierarchical softmax, or noise in proportion.

    A softmax over all keys draws nothing; its noise stays unused.
    """
    if settings.loss == "hierarchical-softmax":
        return huffman_tree(counts)
    seen = counts > 0
    return alias_table(np.power(counts, settings.ns_exponent, where=seen, out=np.zeros(len(counts))))


class FitShard:
    """`fit_shard` for sequences (see `skembed.parallel`).

    It is pure but for its buffers: the deltas it returns are valid until the next call for the same
    `shard_index`. Buffers do not travel in a pickle.

    Parameters
    ----------
    settings : SequenceSettings
    keep : ndarray of shape (n_keys,)
        How likely each key is kept (`skembed.kernels.local_ids.keep_thresholds`).
    source : HuffmanTree or AliasTable
        Of the targets; see `target_source`.
    max_tokens : int
        The longest shard there will be.
    frozen : ndarray of shape (n_keys,), bool
        Input rows that stay as they are; behind them, where shards have documents, those of the documents.
    """

    tokens_per_negative = TOKENS_PER_NEGATIVE
    tokens_per_shard = TOKENS_PER_SHARD

    def __init__(
        self,
        settings: SequenceSettings,
        keep: np.ndarray,
        source: HuffmanTree | AliasTable,
        max_tokens: int,
        frozen: np.ndarray,
    ) -> None:
        self.settings, self.keep, self.source, self.max_tokens = settings, keep, source, max_tokens
        self.frozen = frozen
        self._buffers: dict[int, _Buffers] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_buffers": {}}

    def __call__(
        self, tables: Sequence[np.ndarray], shard: TokenShard, seed: tuple[int, ...]
    ) -> tuple[list[RowDeltas], Report]:
        """Learn from a shard, starting from `tables` (input, output), which stay as they are."""
        buffers = self._buffers_of(shard.shard_index, tables)
        state = new_state(*seed)
        n_tokens, n_sequences, n_rows = local_ids.to_local_ids(
            shard.tokens, shard.ends, self.keep, 1 if len(shard.documents) else 2, buffers.slot, buffers.rows,
            buffers.tokens, buffers.ends, buffers.kept, state,
        )  # fmt: skip
        input_rows, documents = self._input_rows(buffers.rows[:n_rows], shard.documents, buffers.kept[:n_sequences])
        output_rows, targets = self._targets(buffers, n_rows, len(shard.tokens), state)
        local_ids.gather_rows(tables[0], input_rows, buffers.inputs)
        local_ids.gather_rows(tables[1], output_rows, buffers.outputs)
        inputs, outputs = buffers.inputs[: len(input_rows) + 1], buffers.outputs[: len(output_rows) + 1]
        local_shard = Shard(
            tokens=buffers.tokens[:n_tokens],
            ends=buffers.ends[:n_sequences],
            documents=documents,
            inputs=inputs.ravel(),
            outputs=outputs.ravel(),
            width=inputs.shape[1],
            frozen=self.frozen[input_rows],
            input_pairs=np.zeros(len(inputs), np.int32),
            output_pairs=np.zeros(len(outputs), np.int32),
        )
        settings = self.settings
        # a document alone is the mean of itself, and the kernel of means has no pairs of contexts to be made whole
        kernel = KERNELS[settings.architecture] if settings.window else train_cbow
        shrink = settings.shrink_window and settings.window > 0
        loss, n_losses = kernel(
            local_shard, targets, settings.window, shrink, shard.learning_rate, state, buffers.workspace
        )
        finite = local_ids.subtract_rows(tables[0], input_rows, inputs)
        finite &= local_ids.subtract_rows(tables[1], output_rows, outputs)
        step_weight = np.float32(shard.learning_rate * CURVATURE[settings.architecture])
        deltas = [
            RowDeltas(input_rows, inputs, step_weight * local_shard.input_pairs),
            RowDeltas(output_rows, outputs, step_weight * local_shard.output_pairs),
        ]
        return deltas, Report(loss, n_losses, finite)

    def _input_rows(self, rows: np.ndarray, documents: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the input rows that the shard touches, and which of them are the documents of its sequences."""
        if not len(documents):
            return rows, NO_DOCUMENTS
        words = rows if self.settings.window else rows[:0]
        input_rows = np.concatenate([words, documents[kept]]).astype(np.int32)
        return input_rows, np.arange(len(words), len(input_rows))

    def _targets(
        self, buffers: "_Buffers", n_rows: int, n_tokens: int, state: np.ndarray
    ) -> tuple[np.ndarray, Targets]:
        """Return the output rows that the shard touches, and what its centers are among them."""
        source = self.source
        paths = buffers.path_starts, buffers.path_nodes, buffers.path_codes
        if isinstance(source, AliasTable):
            pool = buffers.pool[: -(-n_tokens // self.tokens_per_negative[self.settings.architecture])]
            draw_many(source.threshold, source.alias, pool, state)
            n_output = local_ids.add_rows(pool, buffers.slot, buffers.rows, n_rows)
            local_ids.release(buffers.slot, buffers.rows[:n_output])
            return buffers.rows[:n_output], Targets(False, self.settings.negative, pool, *paths)
        rows = buffers.rows[:n_rows]
        local_ids.release(buffers.slot, rows)
        n_nodes = local_ids.to_local_paths(
            rows, source.starts, source.nodes, source.codes, buffers.node_slot, buffers.node_rows, *paths
        )
        local_ids.release(buffers.node_slot, buffers.node_rows[:n_nodes])
        return buffers.node_rows[:n_nodes], Targets(True, 0, buffers.pool[:0], *paths)

    def _buffers_of(self, shard_index: int, tables: Sequence[np.ndarray]) -> "_Buffers":
        if shard_index not in self._buffers:
            dim = tables[0].shape[1]
            self._buffers[shard_index] = _Buffers(
                self.max_tokens, dim, self.settings, self.source, len(self.keep), len(self.frozen) - len(self.keep),
                self.tokens_per_negative[self.settings.architecture],
            )  # fmt: skip
        return self._buffers[shard_index]


class _Buffers:
    """The arrays of one shard, allocated once: fresh pages for every shard would cost as much as learning from it."""

    workspace: Workspace

    def __init__(
        self,
        n_tokens: int,
        dim: int,
        settings: SequenceSettings,
        source: HuffmanTree | AliasTable,
        n_keys: int,
        n_documents: int,
        tokens_per_negative: int,
    ) -> None:
        width = -(-dim // SIMD_WIDTH) * SIMD_WIDTH
        n_pool = -(-n_tokens // tokens_per_negative)
        n_rows = min(n_tokens, n_keys)
        self.tokens = np.empty(n_tokens, np.int32)
        self.ends = np.empty(n_tokens, np.int64)
        self.kept = np.empty(n_tokens, np.int32)
        self.slot = np.full(n_keys, -1, np.int32)
        self.pool = np.empty(n_pool, np.int32)
        longest, n_nodes = 0, 0
        if isinstance(source, HuffmanTree):
            longest, n_nodes = int(np.diff(source.starts).max()), n_keys - 1
        self.node_slot = np.full(n_nodes, -1, np.int32)
        self.node_rows = np.empty(n_nodes, np.int32)
        self.path_starts = np.zeros(n_rows + 1, np.int64)
        self.path_nodes = np.empty(n_rows * longest, np.int32)
        self.path_codes = np.empty(n_rows * longest, np.uint8)
        n_output = min(n_rows * longest, n_nodes) if longest else min(n_rows + n_pool, n_keys)
        self.rows = np.empty(n_rows + n_pool, np.int32)
        # pages that no shard writes to take no memory
        self.inputs = aligned_zeros(n_rows + min(n_tokens, max(0, n_documents)) + 1, width)
        self.outputs = aligned_zeros(n_output + 1, width)
        self.workspace = new_workspace(settings.window, max(longest, settings.negative + 1), width)
