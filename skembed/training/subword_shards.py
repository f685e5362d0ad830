"""Learning from one shard where vectors of keys are means of rows that they have in common: words and n-grams."""

from collections.abc import Sequence

import numpy as np

from skembed.data.ragged import Ragged
from skembed.kernels import bags, local_ids
from skembed.kernels.bags import new_hidden_workspace
from skembed.kernels.huffman import HuffmanTree
from skembed.kernels.noise import AliasTable
from skembed.kernels.random import new_state
from skembed.kernels.shard import Shard, Targets, Workspace
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
from skembed.parallel import RowDeltas
from skembed.training.sequence_settings import SequenceSettings
from skembed.training.shards import NO_DOCUMENTS, FitShard, Report, TokenShard

__all__ = ["FitSubwordShard", "count_rows"]

KERNELS = {"skip-gram": bags.train_skip_gram_of_means, "cbow": bags.train_cbow_of_means}
# As in `skembed.training.shards`, of the mean of the rows of a key, which move together. CBOW learns endings the
# worse the larger it is, and overshoots where it is too small: the n-grams that all words have are moved too far. The
# shorter a shard, the sooner others see what it has taught, and the smaller it may be.
CURVATURE = {"skip-gram": 0.1, "cbow": 0.02}
TOKENS_PER_SHARD = {"skip-gram": 8192, "cbow": 4096}
# N-grams are in so many words that their rows soon learn which words a small pool of negatives holds: with one for 16
# tokens, as words with rows of their own take it, word similarity fell to nothing.
TOKENS_PER_NEGATIVE = {"skip-gram": 1, "cbow": 1}
_NONE = np.zeros(0, np.int32)


def count_rows(subword_rows: Ragged, n_keys: int) -> int:
    """How many rows keys are made of.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """
    indptr, rows = subword_rows.indptr, subword_rows.indices
    if len(indptr) != n_keys + 1 or indptr[0] != 0 or indptr[-1] != len(rows) or (np.diff(indptr) < 1).any():
        raise ValueError(f"subword_rows must name at least one row for each of {n_keys} keys, one key after the other.")
    if rows.min() < 0:
        raise ValueError(f"subword_rows must be rows of 0 or more, got {rows.min()}.")
    return int(rows.max()) + 1


class FitSubwordShard(FitShard):
    """`FitShard` for keys whose vectors are means of rows.

    Parameters
    ----------
    settings, keep, source, max_tokens
        As for `FitShard`; the loss may be "softmax" too, and no row is frozen.
    subword_rows : Ragged of n_keys sequences
        The input rows of each key.
    """

    tokens_per_negative = TOKENS_PER_NEGATIVE
    tokens_per_shard = TOKENS_PER_SHARD

    def __init__(
        self,
        settings: SequenceSettings,
        keep: np.ndarray,
        source: HuffmanTree | AliasTable,
        max_tokens: int,
        subword_rows: Ragged,
    ) -> None:
        super().__init__(settings, keep, source, max_tokens, frozen=np.zeros(0, bool))
        self.subword_rows = subword_rows
        self.softmax = settings.loss == "softmax"
        self._subword_buffers: dict[int, _SubwordBuffers] = {}

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_subword_buffers": {}}

    def __call__(
        self, tables: Sequence[np.ndarray], shard: TokenShard, seed: tuple[int, ...]
    ) -> tuple[list[RowDeltas], Report]:
        """Learn from a shard, starting from `tables` (input, output), which stay as they are."""
        buffers = self._buffers_of(shard.shard_index, tables)
        subwords = self._subword_buffers_of(shard.shard_index, tables)
        state = new_state(*seed)
        n_tokens, n_sequences, n_keys = local_ids.to_local_ids(
            shard.tokens, shard.ends, self.keep, 2, buffers.slot, buffers.rows, buffers.tokens, buffers.ends,
            buffers.kept, state,
        )  # fmt: skip
        keys = buffers.rows[:n_keys].copy()  # behind them come the negatives
        if self.softmax:
            local_ids.release(buffers.slot, keys)
            output_rows = subwords.all_outputs
            targets = Targets(False, 0, _NONE, buffers.path_starts, buffers.path_nodes, buffers.path_codes)
        else:
            output_rows, targets = self._targets(buffers, n_keys, len(shard.tokens), state)
        bags.compose(
            tables[0], keys, self.subword_rows.indptr, self.subword_rows.indices, buffers.inputs, subwords.indptr,
            subwords.rows,
        )  # fmt: skip
        indptr = subwords.indptr[: n_keys + 1]
        rows = Ragged(indptr, subwords.rows[: indptr[-1]])
        outputs = subwords.outputs if self.softmax else buffers.outputs
        local_ids.gather_rows(tables[1], output_rows, outputs)
        inputs, outputs = buffers.inputs[: n_keys + 1], outputs[: len(output_rows) + 1]
        first = subwords.first[: n_keys + 1]
        first[:] = inputs
        local_shard = Shard(
            tokens=buffers.tokens[:n_tokens],
            ends=buffers.ends[:n_sequences],
            documents=NO_DOCUMENTS,
            inputs=inputs.ravel(),
            outputs=outputs.ravel(),
            width=inputs.shape[1],
            frozen=self.frozen,
            input_pairs=np.zeros(len(inputs), np.int32),
            output_pairs=np.zeros(len(outputs), np.int32),
        )
        settings = self.settings
        loss, n_losses = KERNELS[settings.architecture](
            local_shard, rows.lengths.astype(np.int32), keys if self.softmax else _NONE, targets, settings.window,
            settings.shrink_window, shard.learning_rate, state, subwords.workspace,
        )  # fmt: skip
        finite = local_ids.subtract_rows(first, np.arange(n_keys, dtype=np.int32), inputs)
        finite &= local_ids.subtract_rows(tables[1], output_rows, outputs)
        step_weight = np.float32(shard.learning_rate * CURVATURE[settings.architecture])
        deltas = [
            RowDeltas(rows, inputs, step_weight * local_shard.input_pairs[:n_keys]),
            RowDeltas(output_rows, outputs, step_weight * local_shard.output_pairs),
        ]
        return deltas, Report(loss, n_losses, finite)

    def _subword_buffers_of(self, shard_index: int, tables: Sequence[np.ndarray]) -> "_SubwordBuffers":
        if shard_index not in self._subword_buffers:
            self._subword_buffers[shard_index] = _SubwordBuffers(self, tables)
        return self._subword_buffers[shard_index]


class _SubwordBuffers:
    """The rows of keys, beside the buffers of `FitShard`. Pages that no shard writes to take no memory."""

    workspace: Workspace

    def __init__(self, fit: FitSubwordShard, tables: Sequence[np.ndarray]) -> None:
        dim, n_outputs = tables[0].shape[1], len(tables[1])
        width = -(-dim // SIMD_WIDTH) * SIMD_WIDTH
        n_keys = min(fit.max_tokens, len(fit.keep))
        lengths = np.sort(fit.subword_rows.lengths)
        self.indptr = np.zeros(n_keys + 1, np.int64)
        self.rows = np.empty(lengths[len(lengths) - n_keys :].sum(), np.int32)
        self.first = aligned_zeros(n_keys + 1, width)
        self.all_outputs = np.arange(n_outputs if fit.softmax else 0, dtype=np.int32)
        self.outputs = aligned_zeros(len(self.all_outputs) + 1, width)
        longest_path = int(np.diff(fit.source.starts).max()) if isinstance(fit.source, HuffmanTree) else 0
        n_targets, n_contexts = max(longest_path, fit.settings.negative + 1), 2 * fit.settings.window
        if fit.softmax:
            n_targets = n_outputs
        elif fit.settings.architecture == "skip-gram":
            n_targets *= n_contexts
        self.workspace = new_hidden_workspace(fit.settings.window, n_targets, width)
