"""GloVe over a counted table of co-occurrences, whatever its keys stand for; in parallel and the same to the bit.

Pennington, Socher & Manning 2014 (https://aclanthology.org/D14-1162). Keys are cut into blocks. A pass is a tournament
of the blocks: in a round each block is paired with one other, and the workers learn from cells of pairs that
have no row in common. So they write to the tables directly, nothing is copied or merged, and who did what leaves no
trace. This is the stratified gradient descent of Gemulla et al. 2011 for a table whose rows and columns are one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skembed.kernels.glove import CACHE, PARTS, new_records, train_buckets
from skembed.memory import check_memory
from skembed.parallel import Workers, open_workers
from skembed.training.cooccurrence import Cooccurrences
from skembed.training.run import Run
from skembed.warning import warn

__all__ = ["GloVeSettings", "GloVeTables", "glove_vectors", "train_glove"]

INITIAL, TRAINING = 0, 1  # what a stream of random numbers is for
INITIAL_REACH = 0.5  # times 1 / embedding_dim
LARGEST_RATE = 1e30  # of float32 arithmetic
NOTHING = 1e-3  # of a loss: where all counts are 1, zeros are perfect, and the beginning is not


class GloVeTables(NamedTuple):
    """What was learned.

    Attributes
    ----------
    words, contexts : ndarray of shape (n_keys, embedding_dim), float32
        Vectors of the keys as rows and as columns of the table; views of what training works on.
    word_biases, context_biases : ndarray of shape (n_keys,), float32
    loss_curve : list of float
        One value a pass: half the weighted squared error, a mean over the cells of the table, each as it was when it
        was met; 0.0 if there are no cells.
    """

    words: np.ndarray
    contexts: np.ndarray
    word_biases: np.ndarray
    context_biases: np.ndarray
    loss_curve: list[float]


class Pair(NamedTuple):
    """Two blocks of a round, or one with itself, and where their buckets lie.

    Attributes
    ----------
    first, second : int
        The blocks.
    buckets : list of tuple (begin, end, row_block, column_block)
    """

    first: int
    second: int
    buckets: list[tuple[int, int, int, int]]

    @property
    def n_cells(self) -> int:
        return sum(end - begin for begin, end, _, _ in self.buckets)


@dataclass(frozen=True)
class GloVeSettings:
    """Settings of `train_glove`.

    Attributes
    ----------
    embedding_dim : int
    max_iter : int
        Passes.
    learning_rate : float
        Of AdaGrad.
    """

    embedding_dim: int
    max_iter: int
    learning_rate: float = 0.05


def train_glove(
    cooccurrences: Cooccurrences,
    settings: GloVeSettings,
    run: Run,
    *,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> GloVeTables:
    """Learn vectors whose products are the logarithms of the counts.

    Parameters
    ----------
    cooccurrences : Cooccurrences
    settings : GloVeSettings
    run : Run
        Its seed decides where vectors begin and the order of rounds.
    start : (words, contexts) or None
        Vectors to begin with, each of shape (n_keys, embedding_dim).

    Returns
    -------
    GloVeTables

    Raises
    ------
    MemoryError
        If what is learned is larger than the machine's memory.
    KeyboardInterrupt
        On Ctrl-C before the first pass has ended, when no worker runs any more; later it warns.

    Warns
    -----
    ConvergenceWarning
        If the last loss is above what it can begin with.

    Examples
    --------
    >>> from skembed.data.ragged import Ragged
    >>> from skembed.training.cooccurrence import CountSettings, count_cooccurrences
    >>> ids, run = np.tile(np.array([0, 1, 2, 3], np.int32), 500), Run(seed=0)
    >>> chunks, settings = [Ragged(np.array([0, 2000]), ids)], CountSettings(window=1)
    >>> with count_cooccurrences(chunks, np.bincount(ids), settings, run) as cooccurrences:
    ...     tables = train_glove(cooccurrences, GloVeSettings(embedding_dim=8, max_iter=15), run)
    >>> tables.words.shape, len(tables.loss_curve)
    ((4, 8), 15)
    """
    n_keys, dim = int(cooccurrences.block_starts[-1]), settings.embedding_dim
    check_memory(
        (PARTS + 1) * n_keys * (dim + 2) * 4,
        f"GloVe of {n_keys} keys with embedding_dim={dim}",
        "lower embedding_dim or the number of keys",
    )
    records = new_records(*(glove_vectors(n_keys, dim, run.seed) if start is None else start))
    learning_rate = min(settings.learning_rate, LARGEST_RATE)
    rounds = _rounds(cooccurrences)

    def train(on_pass: Callable, progress: Callable) -> GloVeTables:
        loss_curve: list[float] = []
        with open_workers(run.n_jobs) as workers:
            for pass_ in range(settings.max_iter):
                order = np.random.default_rng((run.seed, TRAINING, pass_)).permutation(len(rounds))
                losses = np.zeros(len(rounds))
                for round_ in order:
                    losses[round_] = _learn(workers, records, cooccurrences, rounds[round_], learning_rate)
                    progress(sum(pair.n_cells for pair in rounds[round_]))
                loss_curve.append(float(losses.sum()) / max(1, cooccurrences.n_cells))
                if on_pass(pass_, _tables(records, dim, loss_curve)):
                    break
        _warn_if_diverged(cooccurrences, loss_curve, settings, with_start=start is not None)
        return _tables(records, dim, loss_curve)

    return run.passes(train, settings.max_iter, total=len(cooccurrences.cells) * settings.max_iter)


def glove_vectors(n_keys: int, dim: int, seed: int) -> list[np.ndarray]:
    """Words and contexts uniform in +- INITIAL_REACH / dim, each of shape (n_keys, dim), float32."""
    generator = np.random.default_rng((seed, INITIAL))
    reach = np.float32(INITIAL_REACH / dim)
    return [(2 * generator.random((n_keys, dim), dtype=np.float32) - 1) * reach for _ in range(2)]


def _tables(records: np.ndarray, dim: int, loss_curve: list[float]) -> GloVeTables:
    words, contexts = records[:, 0], records[:, 2]
    return GloVeTables(words[:, :dim], contexts[:, :dim], words[:, dim], contexts[:, dim + 1], list(loss_curve))


def _warn_if_diverged(
    cooccurrences: Cooccurrences, loss_curve: list[float], settings: GloVeSettings, with_start: bool
) -> None:
    numbers, n_at_once = cooccurrences.cells.view(np.float32), 1 << 20
    parts = [numbers[begin : begin + n_at_once] for begin in range(0, len(numbers), n_at_once)]
    product = np.float32(INITIAL_REACH**2 / settings.embedding_dim)  # at most, of two vectors as they begin
    at_most = sum(0.5 * float((part[:, 2] * (abs(part[:, 1]) + product) ** 2).sum(dtype=np.float64)) for part in parts)
    bound = at_most / max(1, len(numbers)) + NOTHING
    if with_start:  # may begin with more
        bound = max(bound, loss_curve[0])
    if not loss_curve[-1] <= bound:
        warn(
            f"the loss of the last pass, {loss_curve[-1]:.4g}, is above {bound:.4g}, the most that it can begin with. "
            f"Lower learning_rate={min(settings.learning_rate, LARGEST_RATE)}.",
            ConvergenceWarning,
        )


def _rounds(cooccurrences: Cooccurrences) -> list[list[Pair]]:
    """Rounds of pairs of blocks: one of each block with itself, then those of the circle method."""
    n_blocks = len(cooccurrences.block_starts) - 1
    block_pairs = [[(block, block) for block in range(n_blocks)]]
    for turn in range(n_blocks - 1):  # the last block stays, the others go round
        first, *others = ((turn + i) % (n_blocks - 1) for i in range(n_blocks - 1))
        block_pairs.append([(first, n_blocks - 1), *((others[i], others[-1 - i]) for i in range(len(others) // 2))])
    pairs = [[_pair(cooccurrences, *sorted(block_pair)) for block_pair in round_] for round_ in block_pairs]
    return [found for round_ in pairs if (found := [pair for pair in round_ if pair.n_cells])]


def _pair(cooccurrences: Cooccurrences, first: int, second: int) -> Pair:
    places = [(first, second)] if first == second or cooccurrences.both else [(first, second), (second, first)]
    return Pair(first, second, [(*cooccurrences.bucket(*place), *place) for place in places])


def _learn(
    workers: Workers, records: np.ndarray, cooccurrences: Cooccurrences, pairs: list[Pair], learning_rate: float
) -> float:
    """Learn from the pairs of a round, which have no row in common; returns the sum of losses in their order."""
    groups = _balanced([pair.n_cells for pair in pairs], workers.n_workers)
    starts, both = cooccurrences.block_starts, cooccurrences.both
    losses = np.zeros(len(pairs))
    if workers.share_memory:
        tasks = [
            (records, cooccurrences.cells, starts, both, learning_rate, [pairs[i] for i in group]) for group in groups
        ]
        for group, found in zip(groups, workers.map(_learn_pairs, tasks)):
            losses[group] = found
        return float(losses.sum())
    tasks = [_on_copies(records, cooccurrences, pairs[i], learning_rate) for group in groups for i in group]
    places = [i for group in groups for i in group]
    for i, (loss, learned) in zip(places, workers.map(_learn_copies, tasks)):
        losses[i] = loss
        begin = 0
        for block in dict.fromkeys((pairs[i].first, pairs[i].second)):
            n = starts[block + 1] - starts[block]
            records[starts[block] : starts[block + 1]] = learned[begin : begin + n]
            begin += n
    return float(losses.sum())


def _balanced(sizes: list[int], n_workers: int) -> list[list[int]]:
    """Divide things of these sizes among workers, the largest first to the one that has least."""
    shares: list[list[int]] = [[] for _ in range(min(n_workers, len(sizes)))]
    held = np.zeros(len(shares), np.int64)
    for i in np.argsort(sizes, kind="stable")[::-1]:
        least = int(np.argmin(held))
        shares[least].append(int(i))
        held[least] += sizes[i]
    return shares


def _learn_pairs(
    records: np.ndarray, cells: np.ndarray, starts: np.ndarray, both: bool, learning_rate: float, pairs: list[Pair]
) -> list[float]:
    """Learn from pairs one after the other, in place; returns the loss of each."""
    buckets = np.array([bucket for pair in pairs for bucket in pair.buckets], np.int64).T
    begins, ends, row_blocks, column_blocks = (line.copy() for line in buckets)
    n_rows = np.diff(starts)
    far = (n_rows[row_blocks] + n_rows[column_blocks]) * records[0].nbytes > CACHE
    losses = np.zeros(len(begins))
    train_buckets(
        records, cells, begins, ends, starts[row_blocks], starts[column_blocks], far, both, learning_rate, losses
    )
    cuts = np.cumsum([len(pair.buckets) for pair in pairs])[:-1]
    return [float(part.sum()) for part in np.split(losses, cuts)]


def _on_copies(records: np.ndarray, cooccurrences: Cooccurrences, pair: Pair, learning_rate: float) -> tuple:
    """Everything that learning from a pair takes, small enough to be sent away."""
    starts = cooccurrences.block_starts
    blocks = list(dict.fromkeys((pair.first, pair.second)))
    new_starts = np.cumsum([0, *(starts[block + 1] - starts[block] for block in blocks)])
    cells = np.concatenate([cooccurrences.cells[begin:end] for begin, end, _, _ in pair.buckets])
    ends = np.cumsum([end - begin for begin, end, _, _ in pair.buckets])
    buckets = [
        (0 if i == 0 else int(ends[i - 1]), int(ends[i]), blocks.index(row), blocks.index(column))
        for i, (_, _, row, column) in enumerate(pair.buckets)
    ]
    rows = np.concatenate([records[starts[block] : starts[block + 1]] for block in blocks])
    return rows, cells, new_starts, cooccurrences.both, learning_rate, pair._replace(buckets=buckets)


def _learn_copies(
    rows: np.ndarray, cells: np.ndarray, starts: np.ndarray, both: bool, learning_rate: float, pair: Pair
) -> tuple[float, np.ndarray]:
    """`_learn_pairs` in another process: the loss of a pair, and its rows as they are then."""
    rows = rows.copy()  # may be mapped read-only
    return _learn_pairs(rows, cells, starts, both, learning_rate, [pair])[0], rows
