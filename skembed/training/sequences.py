"""Word2vec's models over sequences of integer ids, whatever they stand for: words, nodes of walks, items of baskets.

Mikolov et al. 2013 (arXiv:1301.3781, arXiv:1310.4546). Training is parallel and reproducible at once. The stream of
tokens is cut into rounds, a round into a fixed number of shards. Each shard is learned on a compact copy of the
rows it touches, from the tables as they were when the round began, and what the shards learned is added in their
order. Where the cuts are depends on how many tokens there are, not on workers or chunks. It is no slower than threads
that write to the same tables at will: the copy stays in the cache of its core.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skembed.data.ragged import Ragged
from skembed.kernels.local_ids import keep_thresholds
from skembed.parallel import Merger, open_workers
from skembed.training.run import Run
from skembed.training.sequence_settings import SequenceSettings, plan_rounds
from skembed.training.shards import KERNELS, NO_DOCUMENTS, FitShard, Report, TokenShard, target_source
from skembed.training.subword_shards import FitSubwordShard, count_rows
from skembed.warning import warn

__all__ = ["SequenceSettings", "SequenceTables", "checked_chunks", "train_sequences", "uniform_vectors"]

LOSSES = ("negative-sampling", "hierarchical-softmax")
INITIAL_REACH = 2.0  # times 1 / embedding_dim; word2vec's 0.5 leaves the saddle at zero later, CBOW's above all
INITIAL, TRAINING = 0, 1  # what a stream of random numbers is for


class SequenceTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    input : ndarray of shape (n_keys, embedding_dim), float32
        The vectors of the keys; or, of keys that are means of rows, (n_rows, embedding_dim), these rows. Where
        documents have vectors, these follow.
    output : ndarray of shape (n_keys, embedding_dim) or (n_keys - 1, embedding_dim), float32
        The vectors of the keys as targets; with hierarchical softmax those of the inner nodes of the Huffman tree.
    loss_curve : list of float
        Mean loss, one value a pass: of a pair of context and center for skip-gram, of a center for CBOW. It is read at
        every 16th center while learning, in the same places whatever `n_jobs`; 0.0 if there was nothing to learn from.
    """

    input: np.ndarray
    output: np.ndarray
    loss_curve: list[float]


def train_sequences(
    chunks: Iterable[Ragged],
    counts: np.ndarray,
    settings: SequenceSettings,
    run: Run,
    *,
    start: Any = None,
    frozen: np.ndarray | None = None,
    subword_rows: Ragged | None = None,
    n_documents: int = 0,
    pass_size: int | None = None,
) -> SequenceTables:
    """Learn a vector for each key from the keys around it.

    Parameters
    ----------
    chunks : re-iterable of Ragged
        Iterated over once a pass. Ids are rows of `counts`; negative ones are left out, and windows reach over them.
        How sequences are spread over chunks changes nothing.
    counts : ndarray of shape (n_keys,)
        How often each key occurs. Their sum is what the decay of the learning rate goes by.
    settings : SequenceSettings
    run : Run
        Corpora of less than half a million tokens take one worker.
    start : object with attributes `input` and `output`, or None
        Tables to begin from, such as SequenceTables; `output` may be None.
    frozen : ndarray of shape (n_keys,), bool, or None
        Rows of the input table that stay as they are.
    subword_rows : Ragged of n_keys sequences, or None
        The input rows that each key is the mean of, at least one, for keys that have parts in common, such as words and
        their character n-grams; one that is named twice counts twice. `input` then has as many rows as they name, and
        none is frozen. None: key i has row i. `start` may have more rows than are named; these stay as they are.
    n_documents : int
        Sequences of a pass, empty ones too, if each is to have a vector of its own, which is one more context of each
        of its windows: the paragraph vectors of Le & Mikolov 2014 (arXiv:1405.4053). "cbow" is then their PV-DM, with
        means; ``window=0`` their PV-DBOW, in which the document alone predicts each of its words; "skip-gram" that
        and the model of words at once. Sequence i has the input row ``n_keys + i``. 0: sequences have no vectors.
    pass_size : int or None
        Tokens of a pass, for the progress bar, where `counts` are those of earlier calls, too.

    Returns
    -------
    SequenceTables

    Raises
    ------
    ValueError
        If a name is unknown, shapes do not fit, an id is not below ``len(counts)``, `start` is not finite, or there
        are more sequences than `n_documents`.
    KeyboardInterrupt
        On Ctrl-C before the first pass has ended, when no worker runs any more; later it warns.

    Warns
    -----
    ConvergenceWarning
        If what was learned is not finite. Training ends there, with the last finite tables.

    Examples
    --------
    >>> ids = np.tile(np.array([0, 1, 2, 3], np.int32), 500)
    >>> chunk = Ragged(np.arange(0, 2001, 4), ids)
    >>> tables = train_sequences([chunk], np.bincount(ids), SequenceSettings(8, subsample=0), Run(seed=0))
    >>> tables.input.shape, len(tables.loss_curve)
    ((4, 8), 5)
    """
    counts = np.asarray(counts)
    _check_names(settings, subword_rows, n_documents)
    n_keys, n_tokens = len(counts), int(counts.sum())
    kind: type[FitShard] = FitShard if subword_rows is None else FitSubwordShard
    n_shards, shard_size = plan_rounds(n_tokens, settings, kind.tokens_per_shard[settings.architecture])
    shared = settings, keep_thresholds(counts, settings.subsample), target_source(counts, settings), shard_size
    fit_shard: FitShard
    if subword_rows is None:
        kept = np.zeros(n_keys, bool) if frozen is None else np.asarray(frozen, bool)
        fit_shard = FitShard(*shared, np.append(kept, np.zeros(n_documents, bool)))
        n_rows = n_keys + n_documents
    else:
        fit_shard = FitSubwordShard(*shared, subword_rows)
        n_rows = max(count_rows(subword_rows, n_keys), 0 if start is None else len(start.input))
    n_outputs = n_keys - (settings.loss == "hierarchical-softmax")
    tables = _first_tables(n_rows, n_outputs, settings.embedding_dim, run.seed, start)

    def train(on_pass: Callable, progress: Callable) -> SequenceTables:
        loss_curve: list[float] = []
        with open_workers(run.n_jobs if n_shards > 1 else 1) as workers:
            merger = Merger(workers, tables)
            for pass_ in range(settings.max_iter):
                n_done = 0
                pass_reports: list[Report] = []
                stream = _with_documents(chunks, n_keys, n_documents)
                for round_, (ids, ends, documents) in enumerate(_cut(stream, shard_size * n_shards)):
                    rate = _learning_rate(settings, pass_ + min(1.0, n_done / max(n_tokens, 1)))
                    cuts = _cut([(ids, ends, documents)], -(-len(ids) // n_shards))
                    tasks = [
                        (
                            tables,
                            TokenShard(tokens, stops, rate, index, numbers),
                            (run.seed, TRAINING, pass_, round_, index),
                        )
                        for index, (tokens, stops, numbers) in enumerate(cuts)
                    ]
                    learned, reports = zip(*workers.map(fit_shard, tasks))
                    if not all(report.finite for report in reports):
                        _warn_not_finite(pass_, settings.learning_rate)
                        return SequenceTables(*tables, loss_curve)
                    merger.merge(learned)
                    pass_reports += reports
                    n_done += len(ids)
                    progress(len(ids))
                n_losses = sum(report.n_losses for report in pass_reports)
                loss_curve.append(sum(report.loss for report in pass_reports) / max(1, n_losses))
                if on_pass(pass_, SequenceTables(*tables, list(loss_curve))):
                    break
        return SequenceTables(*tables, loss_curve)

    pass_size = n_tokens if pass_size is None else pass_size
    return run.passes(train, settings.max_iter, total=pass_size * settings.max_iter)


def _learning_rate(settings: SequenceSettings, n_passes: float) -> float:
    """Return the rate after so many passes, whole and begun ones."""
    rate, least = settings.learning_rate, settings.min_learning_rate
    return max(min(least, rate), rate * (1.0 - n_passes / settings.max_iter))


def _check_names(settings: SequenceSettings, subword_rows: Ragged | None, n_documents: int) -> None:
    architecture, loss = settings.architecture, settings.loss
    if architecture not in KERNELS:
        raise ValueError(f"architecture={architecture!r} is not known; choose one of {', '.join(map(repr, KERNELS))}.")
    losses = LOSSES if subword_rows is None else (*LOSSES, "softmax")
    if loss not in losses:
        raise ValueError(f"loss={loss!r} is not known; choose one of {', '.join(map(repr, losses))}.")
    if subword_rows is not None and n_documents:
        raise ValueError(f"n_documents={n_documents} goes with keys that have rows of their own, without subword_rows.")
    if settings.window < (0 if n_documents else 1):
        raise ValueError(f"window={settings.window}, expected at least 1, or 0 and vectors of documents: n_documents.")


def uniform_vectors(n_rows: int, dim: int, seed: int) -> np.ndarray:
    """Vectors to begin with, uniform in +- INITIAL_REACH / dim: float32 of shape (n_rows, dim)."""
    generator = np.random.default_rng((seed, INITIAL))
    return (2 * generator.random((n_rows, dim), dtype=np.float32) - 1) * np.float32(INITIAL_REACH / dim)


def _first_tables(n_rows: int, n_outputs: int, dim: int, seed: int, start: Any) -> tuple[np.ndarray, np.ndarray]:
    """Copies of `start`; without, uniform in +- 2 / dim for the input and zeros for the output."""
    if start is None or start.input is None:
        input_ = uniform_vectors(n_rows, dim, seed)
    else:
        input_ = _copied("start.input", start.input, (n_rows, dim))
    if start is None or start.output is None:
        return input_, np.zeros((n_outputs, dim), np.float32)
    return input_, _copied("start.output", start.output, (n_outputs, dim))


def _copied(name: str, table: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    copy = np.array(table, dtype=np.float32, order="C")
    if copy.shape != shape:
        raise ValueError(f"{name} has shape {copy.shape}, but {shape} is needed: one row a key, embedding_dim columns.")
    if not np.isfinite(copy).all():
        row = int(np.flatnonzero(~np.isfinite(copy).all(axis=1))[0])
        raise ValueError(f"{name} holds NaN or inf in row {row}; start from finite vectors, or leave that key out.")
    return copy


def checked_chunks(chunks: Iterable[Ragged], n_keys: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks with the types that kernels read without looking, and no id that they would look up out of bounds."""
    for chunk in chunks:
        ids, ends = np.asarray(chunk.indices), chunk.ends
        if ids.size == 0:
            continue
        if (largest := int(ids.max())) >= n_keys:
            raise ValueError(f"a chunk has the id {largest}, but counts has {n_keys} rows; ids are rows of counts.")
        ends = np.asarray(ends, dtype=np.int64)
        ends = ends[ends < ids.size]
        if ends.size and (ends[0] < 0 or (np.diff(ends) < 0).any()):
            raise ValueError(
                "ends of the sequences in a chunk must ascend from 0 or more, in tokens from its beginning."
            )
        yield np.ascontiguousarray(ids, dtype=np.int32), np.append(ends, ids.size)


Piece = tuple[np.ndarray, np.ndarray, np.ndarray]  # ids, ends of sequences, and their documents if they have any


def _with_documents(chunks: Iterable[Ragged], n_keys: int, n_documents: int) -> Iterator[Piece]:
    """Chunks with the input rows of the documents that their sequences are, numbered over the stream."""
    first = n_keys
    for chunk in chunks:
        for ids, ends in checked_chunks([chunk], n_keys):
            if n_documents and first + len(ends) > n_keys + n_documents:
                raise ValueError(f"there are more than n_documents={n_documents} sequences; count empty ones, too.")
            yield ids, ends, np.arange(first, first + len(ends)) if n_documents else NO_DOCUMENTS
        first += len(chunk)


def _cut(chunks: Iterable[Piece], length: int) -> Iterator[Piece]:
    """Cut the stream of all chunks every `length` tokens, wherever chunks and sequences end."""
    ids_so_far: list[np.ndarray] = []
    ends_so_far: list[np.ndarray] = []
    documents_so_far: list[np.ndarray] = []
    n = 0

    def chunk() -> Piece:
        ends = np.concatenate(ends_so_far)
        if ends.size == 0 or ends[-1] < n:
            ends = np.append(ends, n)
        return np.concatenate(ids_so_far), ends, np.concatenate(documents_so_far)

    for ids, ends, documents in chunks:
        begin = 0
        while begin < ids.size:
            stop = min(ids.size, begin + length - n)
            first, last = np.searchsorted(ends, (begin, stop), side="right")
            ids_so_far.append(ids[begin:stop])
            ends_so_far.append(ends[first:last] - begin + n)
            is_cut = last == 0 or ends[last - 1] < stop  # a sequence that goes on has begun
            documents_so_far.append(documents[first : last + is_cut])
            n += stop - begin
            begin = stop
            if n == length:
                yield chunk()
                ids_so_far, ends_so_far, documents_so_far, n = [], [], [], 0
    if n:
        yield chunk()


def _warn_not_finite(pass_: int, learning_rate: float) -> None:
    warn(
        f"in pass {pass_ + 1} vectors were no longer finite; training ended with the last finite ones. "
        f"Lower learning_rate={learning_rate}.",
        ConvergenceWarning,
    )
