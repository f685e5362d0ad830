"""A linear classifier of bags of rows, rows learned with it: fastText's supervised model (Joulin et al. 2017).

arXiv:1607.01759. Parallel and reproducible at once, as `skembed.training.sequences`: rounds of shards of documents,
each learned on a compact copy of the rows it touches, and merged in their order.

The model is theirs, its steps are not. Theirs move a document's mean by 1 / n of a step, n the number of its words,
from classes that begin at zero, where nothing can be learned: how much ten passes learn depends on how long, how many
and of how many classes documents are, and of long or few ones it is nothing. Here it does not depend on these:

* Classes begin apart, at random with unit length, so that scores are learned from the first document on.
* A step is normalised (as in NLMS, Widrow & Hoff 1960): by itself it would move the score of the document by the
  learning rate times what it lacks. So ten passes bound what a document weighs, as C of a logistic regression does.
* Rows that few documents have take a larger part of it, by the squared inverse document frequency, as they would if
  they were multiplied by it: where classes are told by rare words, frequent ones do not drown them. Of n-grams of
  characters, which are as rare as a word by the dozen, it is not squared.
* A class meets all documents, a row those that it is in. Steps of classes are multiplied by the share of a class in all
  documents, else their length, and with it what scores can grow to, would go by how many documents there are.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from skembed.data.ragged import Ragged
from skembed.kernels import local_ids
from skembed.kernels.bags import new_hidden_workspace
from skembed.kernels.documents import ONE_VS_ALL, SAMPLED, SOFTMAX, train_documents
from skembed.kernels.huffman import HuffmanTree, huffman_tree
from skembed.kernels.noise import alias_table, draw_many
from skembed.kernels.random import new_state
from skembed.kernels.shard import Shard, Targets, Workspace
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
from skembed.parallel import Merger, RowDeltas, open_workers
from skembed.training.run import Run
from skembed.warning import warn

__all__ = [
    "NOISE_EXPONENT",
    "ClassSettings",
    "ClassTables",
    "LabelledBags",
    "StepSizes",
    "class_tree",
    "random_outputs",
    "random_rows",
    "step_sizes",
    "train_classes",
]

KINDS = {
    "softmax": SOFTMAX, "one-vs-all": ONE_VS_ALL, "negative-sampling": SAMPLED, "hierarchical-softmax": SAMPLED,
}  # fmt: skip
NOISE_EXPONENT = 0.5  # of the counts of classes, as in the fastText program
N_SHARDS = 4
FEW_ROWS = 1 << 20
CURVATURE = 0.1  # see `skembed.training.shards`
INITIAL, ORDER, TRAINING, CLASSES = 0, 1, 2, 3  # what a stream of random numbers is for
CURVATURE_OF_ALL = 0.25  # of a logistic loss, at most; all classes have it where training begins
GIVEN_SIZE = 10  # documents of a class that decide what vectors learned elsewhere say of it
ROWS_AT_ONCE = 2**20  # of bags whose equal rows are counted


class LabelledBags(NamedTuple):
    """What is learned from.

    Attributes
    ----------
    bags : Ragged of n_documents sequences
        The rows that each document is the mean of, at least one.
    labels : ndarray of shape (n_documents,), int32
    weights : ndarray of shape (n_documents,), float32
        Factors of the learning rate.
    counts : ndarray of shape (n_classes,)
        How often each class occurs, here or in all that was learned: frequent classes have short paths in the tree of
        hierarchical softmax, and are drawn more often as negative samples.
    """

    bags: Ragged
    labels: np.ndarray
    weights: np.ndarray
    counts: np.ndarray

    def take(self, which: np.ndarray) -> "LabelledBags":
        """Return these documents; the counts stay."""
        return LabelledBags(self.bags.take(which), self.labels[which], self.weights[which], self.counts)


class ClassTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    input : ndarray of shape (n_rows, embedding_dim), float32
    output : ndarray of shape (n_classes, embedding_dim), float32
        With hierarchical softmax (n_classes - 1, embedding_dim), those of the inner nodes.
    loss_curve : list of float
        Mean loss of a document, one value a pass.
    """

    input: np.ndarray
    output: np.ndarray
    loss_curve: list[float]


@dataclass(frozen=True)
class ClassSettings:
    """Settings of `train_classes`.

    Attributes
    ----------
    loss : {"softmax", "one-vs-all", "negative-sampling", "hierarchical-softmax"}
    negative : int
    learning_rate : float
        At the start; it falls linearly to 0. How far a step moves the score of a document, times what it lacks.
    max_iter : int
    n_shards : int or None
        Shards of a round. None: 4; 1, one after the other, where all bags have less than a million rows.
    rows_per_shard : int
        A document more or less.
    idf_power : float
        Steps of rows are multiplied by this power of their inverse document frequency.
    """

    loss: str
    negative: int
    learning_rate: float
    max_iter: int
    n_shards: int | None = None
    rows_per_shard: int = 8192
    idf_power: float = 2.0


def random_rows(n_rows: int, embedding_dim: int, seed: int) -> np.ndarray:
    """Return where rows begin: uniform in (-1 / embedding_dim, 1 / embedding_dim), float32."""
    generator = np.random.default_rng((seed, INITIAL))
    return (2 * generator.random((n_rows, embedding_dim), dtype=np.float32) - 1) / np.float32(embedding_dim)


def random_outputs(n_outputs: int, embedding_dim: int, seed: int) -> np.ndarray:
    """Return where classes begin: normal, of unit length in the mean square, float32."""
    generator = np.random.default_rng((seed, CLASSES))
    return generator.standard_normal((n_outputs, embedding_dim), np.float32) / np.float32(np.sqrt(embedding_dim))


class StepSizes(NamedTuple):
    """How far rows and classes move in a step.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,), float32
        A power of the inverse document frequencies.
    documents : ndarray of shape (n_documents,), float32
        By which the steps of its rows are multiplied, so that its score moves by the learning rate.
    outputs : float
        By which the steps of classes are multiplied.
    length : float
        Of the classes, squared: how far a score moves where the mean moves by a step.
    """

    rows: np.ndarray
    documents: np.ndarray
    outputs: float
    length: float


def step_sizes(
    data: LabelledBags, rows: np.ndarray, output: np.ndarray, settings: ClassSettings, *, given: bool = False
) -> StepSizes:
    """Return how far rows and classes move, see the head of this module.

    Parameters
    ----------
    data : LabelledBags
    rows : ndarray of shape (n_rows, embedding_dim), float32
        What training begins with.
    output : ndarray of shape (n_outputs, embedding_dim), float32
        What classes begin with.
    settings : ClassSettings
    given : bool
        Whether rows tell of classes by themselves, and these learn from them before rows move: if there are
        `GIVEN_SIZE` documents of a class, a step of classes moves scores by the rate, and of more documents by less.
    """
    n_documents, n_words = len(data.labels), data.bags.lengths.astype(np.float64)
    frequencies = np.zeros(len(rows), np.int64)
    for counts in _row_counts(data.bags, len(rows)):
        frequencies += np.bincount(counts.indices, minlength=len(rows))
    scales = (np.log((1 + n_documents) / (1 + frequencies)) + 1) ** settings.idf_power
    # a row that is k of n words moves by k / n, and moves the mean by k / n of that
    parts = [counts.power(2) @ scales for counts in _row_counts(data.bags, len(rows))]
    moved = np.concatenate(parts) / n_words**2
    length, share = _length(output, settings.loss), len(output) / max(n_documents, int(data.counts.sum()))
    if given:
        parts = [np.square(counts @ rows).sum(axis=1) for counts in _row_counts(data.bags, len(rows))]
        share = min(1.0, GIVEN_SIZE * share) / max(float((np.concatenate(parts) / n_words**2).mean()), 1e-30)
    return StepSizes(scales.astype(np.float32), (1 / (moved * length * share)).astype(np.float32), share, length)


def _row_counts(bags: Ragged, n_rows: int) -> Iterator[csr_matrix]:
    """How often each row is in each bag, `ROWS_AT_ONCE` or the rows of a longer bag at a time."""
    bounds = np.flatnonzero(np.diff(bags.indptr[1:] // ROWS_AT_ONCE)) + 1
    for begin, end in zip([0, *bounds], [*bounds, len(bags)]):
        indptr = bags.indptr[begin : end + 1]
        rows = bags.indices[indptr[0] : indptr[-1]].copy()
        counts = csr_matrix((np.ones(len(rows)), rows, indptr - indptr[0]), shape=(end - begin, n_rows))
        counts.sum_duplicates()
        yield counts


def _length(output: np.ndarray, loss: str) -> float:
    """The squared length of classes: how far scores move where a document moves towards its class by one.

    Where each class has a regression of its own, the classes together move it by as much as their gram matrix is long.
    """
    wide = output.astype(np.float64)
    length = float(np.square(wide).sum(axis=1).mean())
    if loss == "one-vs-all":
        length = max(length, CURVATURE_OF_ALL * float(np.linalg.eigvalsh(wide.T @ wide)[-1]))
    return length or 1.0


def train_classes(
    data: LabelledBags,
    rows: np.ndarray,
    settings: ClassSettings,
    run: Run,
    *,
    output: np.ndarray | None = None,
    given: bool = False,
    watch: Callable[[int, ClassTables], None] | None = None,
) -> ClassTables:
    """Learn rows and classes.

    Parameters
    ----------
    data : LabelledBags
        Each pass takes documents in another order.
    rows : ndarray of shape (n_rows, embedding_dim), float32
        What training begins with; changed in place.
    settings : ClassSettings
    run : Run
    output : ndarray, float32, default=None
        What the output rows begin with, changed in place; None: `random_outputs`, or zeros where rows are given.
    given : bool
        Whether some of the rows were learned elsewhere, so that they tell of classes by themselves.
    watch : callable, default=None
        Makes this a trial: ``watch(n_passes, tables)`` is called after each pass, and nobody else is told of it. Ctrl-C
        ends more than the trial, and KeyboardInterrupt goes on.

    Returns
    -------
    ClassTables

    Warns
    -----
    ConvergenceWarning
        If what was learned is not finite; the last finite tables are returned. Not of a trial.
    """
    bags, labels, weights, counts = data
    n_outputs = len(counts) - (settings.loss == "hierarchical-softmax")
    if output is None:
        shape = n_outputs, rows.shape[1]
        output = np.zeros(shape, np.float32) if given else random_outputs(*shape, run.seed)
    tables = rows, output
    sizes = step_sizes(data, rows, output, settings, given=given)
    fit = _FitDocuments(data, sizes, settings.loss, settings.negative)
    n_shards = settings.n_shards or (1 if len(bags.indices) < FEW_ROWS else N_SHARDS)
    n_total = len(labels) * settings.max_iter

    def train(on_pass: Callable, progress: Callable) -> ClassTables:
        loss_curve: list[float] = []
        n_done = 0
        with open_workers(run.n_jobs if n_shards > 1 else 1) as workers:
            merger = Merger(workers, tables)
            for pass_ in range(settings.max_iter):
                order = np.random.default_rng((run.seed, ORDER, pass_)).permutation(len(labels))
                lost = 0.0
                shards = _cut(order, bags.lengths, settings.rows_per_shard)
                for first in range(0, len(shards), n_shards):
                    chosen = shards[first : first + n_shards]
                    rate = settings.learning_rate * (1.0 - n_done / n_total)
                    tasks = [
                        (tables, (documents, rate, index), (run.seed, TRAINING, pass_, first + index))
                        for index, documents in enumerate(chosen)
                    ]
                    learned, reports = zip(*workers.map(fit, tasks))
                    if not all(finite for _, finite in reports):
                        warn(
                            f"in pass {pass_ + 1} vectors were no longer finite; training ended with the last finite "
                            f"ones. Lower learning_rate={settings.learning_rate}.",
                            ConvergenceWarning,
                        )
                        return ClassTables(*tables, loss_curve)
                    merger.merge(learned)
                    lost += sum(report[0] for report in reports)
                    n_learned = sum(map(len, chosen))
                    n_done += n_learned
                    progress(n_learned)
                loss_curve.append(lost / max(float(weights.sum()), 1e-30))
                if on_pass(pass_, ClassTables(*tables, list(loss_curve))):
                    break
        return ClassTables(*tables, loss_curve)

    if watch is None:
        return run.passes(train, settings.max_iter, total=n_total)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return train(lambda pass_, learned: watch(pass_ + 1, learned), lambda n_learned: None)


def class_tree(counts: np.ndarray) -> HuffmanTree:
    """Return the tree of hierarchical softmax, the one that the fastText program makes of these counts."""
    return huffman_tree(np.maximum(counts, 1), leaves_first=False)


def _cut(order: np.ndarray, lengths: np.ndarray, rows_per_shard: int) -> list[np.ndarray]:
    """The documents in this order, in shards of about so many rows."""
    n_rows = np.cumsum(lengths[order])
    bounds = np.flatnonzero(np.diff(n_rows // rows_per_shard)) + 1
    return np.split(order, bounds)


class _FitDocuments:
    """`fit_shard` for documents (see `skembed.parallel`); a shard is (documents, learning rate, shard index)."""

    def __init__(self, data: LabelledBags, sizes: StepSizes, loss: str, negative: int) -> None:
        self.bags, self.labels, self.weights, counts = data
        self.sizes, self.negative, self.kind = sizes, negative, KINDS[loss]
        self.tree = class_tree(counts) if loss == "hierarchical-softmax" else None
        self.noise = alias_table(np.asarray(counts, float) ** NOISE_EXPONENT) if loss == "negative-sampling" else None
        self._slots: dict[int, np.ndarray] = {}
        self._workspaces: dict[int, Workspace] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_slots": {}, "_workspaces": {}}

    def __call__(
        self, tables: Sequence[np.ndarray], shard: Any, seed: tuple[int, ...]
    ) -> tuple[list[RowDeltas], tuple[float, bool]]:
        documents, learning_rate, shard_index = shard
        state = new_state(*seed)
        bags = self.bags.take(documents)
        rate = learning_rate * self.sizes.outputs
        shares = np.repeat(1 / bags.lengths.astype(np.float32), bags.lengths)
        factors = self.sizes.rows[bags.indices] * np.repeat(self.sizes.documents[documents], bags.lengths) * shares
        local = bags.indices
        width = -(-tables[0].shape[1] // SIMD_WIDTH) * SIMD_WIDTH
        if shard_index not in self._slots:
            self._slots[shard_index] = np.full(len(tables[0]), -1, np.int32)
        slot = self._slots[shard_index]
        rows = np.empty(len(local), np.int32)
        n_rows = local_ids.add_rows(local, slot, rows, 0)
        rows = rows[:n_rows]
        local_ids.release(slot, rows)
        outputs_of = np.arange(len(tables[1]), dtype=np.int32)
        inputs, outputs = aligned_zeros(n_rows + 1, width), aligned_zeros(len(outputs_of) + 1, width)
        local_ids.gather_rows(tables[0], rows, inputs)
        local_ids.gather_rows(tables[1], outputs_of, outputs)
        local_shard = Shard(
            tokens=local, ends=bags.ends, documents=np.zeros(0, np.int64), inputs=inputs.ravel(),
            outputs=outputs.ravel(), width=width, frozen=np.zeros(0, bool), input_pairs=np.zeros(0, np.int32),
            output_pairs=np.zeros(len(outputs), np.int32),
        )  # fmt: skip
        targets, n_targets = self._targets(len(documents), len(outputs_of), state)
        loss = train_documents(
            local_shard, local.astype(np.int64) * width, factors, self.labels[documents], self.weights[documents],
            targets, self.kind, rate, state, self._workspace_of(shard_index, n_targets, width),
        )  # fmt: skip
        finite = local_ids.subtract_rows(tables[0], rows, inputs)
        finite &= local_ids.subtract_rows(tables[1], outputs_of, outputs)
        step_weight = np.float32(rate * CURVATURE)
        # a row moves by its factor of the step, moves the mean by its share of that, and the scores by classes as long
        covered = np.bincount(local, self.sizes.length * factors * shares, minlength=n_rows).astype(np.float32)
        return [
            RowDeltas(rows, inputs, step_weight * covered),
            RowDeltas(outputs_of, outputs, step_weight * local_shard.output_pairs),
        ], (loss, finite)

    def _workspace_of(self, shard_index: int, n_targets: int, width: int) -> Workspace:
        if shard_index not in self._workspaces:
            self._workspaces[shard_index] = new_hidden_workspace(0, n_targets, width)
        return self._workspaces[shard_index]

    def _targets(self, n_documents: int, n_outputs: int, state: np.ndarray) -> tuple[Targets, int]:
        none = np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.uint8)
        if self.tree is not None:
            return Targets(True, 0, np.zeros(0, np.int32), *self.tree), int(np.diff(self.tree.starts).max())
        if self.noise is None:
            return Targets(False, 0, np.zeros(0, np.int32), *none), n_outputs
        pool = np.empty(n_documents * self.negative, np.int32)
        draw_many(self.noise.threshold, self.noise.alias, pool, state)
        return Targets(False, self.negative, pool, *none), self.negative + 1
