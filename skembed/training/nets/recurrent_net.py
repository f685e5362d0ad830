"""An LSTM or GRU over sequences, with a loss at any of their events: all beginnings of a case in one pass over it.

Batches hold cases of about one length and are packed: no step is taken for an event that is not there.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from skembed.data.ragged import Ragged
from skembed.training.nets.adam import FlatAdamW
from skembed.training.nets.device import resolve_device, seeded_generator
from skembed.training.nets.losses import MultiLoss
from skembed.training.nets.recurrent_layers import RecurrentLayers, contiguous
from skembed.training.nets.threads import one_thread_in_forks, threads_for
from skembed.training.passes import History, repeat_passes
from skembed.training.recurrent import CaseProblem, RecurrentSettings, RecurrentWeights
from skembed.training.run import Run

__all__ = ["LearnedNet", "RecurrentNet", "learn_recurrent", "length_batches"]

MAX_BATCH_EVENTS = 1 << 14
MIN_STEPS = 32  # of a pass: with few cases the score would stop rising before the net has learned anything
MAX_HELD_OUT_SCORES = 1 << 22  # a few weights are learned from them
_JITTER = 0.15  # of a length: how far from each other cases may be in the order of lengths and share a batch
_CLIP = 1.0  # length of a gradient beyond which it is shortened: one long case may not undo a pass
_UNKNOWN_RATE = 0.01  # share of levels that training makes unknown, so that the unknown row is learned
_AVERAGE = 0.99  # of the running mean of the weights, which is what is kept (Polyak & Juditsky 1992)
_RATE_DECAY = 0.5  # when the validation score has not risen for half of `n_iter_no_change` passes
_INPUT_DROPOUT = 0.5  # of `dropout`


class Batch(NamedTuple):
    """Cases of falling lengths, the empty ones last; their events by position, first events first."""

    cases: torch.Tensor  # (n,)
    events: torch.Tensor  # (n_events,) numbers of events
    owner: torch.Tensor  # (n_events,) places of their cases in the batch
    sizes: torch.Tensor  # (longest,) cases that have an event there; on the CPU
    reads: torch.Tensor  # (n_reads,) numbers of reads
    read_place: torch.Tensor  # (n_reads,) places among the states: n of the beginning, then one for each event
    read_rank: torch.Tensor  # (n_reads,) places of their cases in the batch
    read_length: torch.Tensor  # (n_reads,)


class RecurrentNet:
    """A `Resumable` of the loop whose kept state is the running mean of the weights.

    Parameters
    ----------
    problem : CaseProblem
    settings : RecurrentSettings
    generator : torch.Generator
        On the CPU; decides start, batches and dropout.
    device : torch.device
    """

    def __init__(
        self, problem: CaseProblem, settings: RecurrentSettings, generator: torch.Generator, device: torch.device
    ) -> None:
        self.problem, self.settings, self.generator, self.device = problem, settings, generator, device
        cases = problem.cases
        self.lengths = cases.lengths
        self.net = RecurrentLayers(problem, settings, generator).to(device)
        self.ids, self.case_ids = (
            torch.as_tensor(a, dtype=torch.int64, device=device) for a in (cases.ids, cases.case_ids)
        )
        self.places, self.case_places = (
            torch.as_tensor(a, dtype=torch.float32, device=device) for a in (cases.places, cases.case_places)
        )
        kind = torch.int64 if problem.target.ndim == 1 else torch.float32
        self.target = torch.as_tensor(problem.target, dtype=kind, device=device)
        self.weight = torch.as_tensor(problem.weight, dtype=torch.float32, device=device)
        self.loss = MultiLoss(problem.parts) if problem.parts else None
        self.mean_scores = self.net.output.bias.detach().clone()  # what the net says of every case before it learns
        self.reads = _reads_of_cases(problem.read_case, len(cases))
        self.optimizer = FlatAdamW(self.net, settings.learning_rate, settings.weight_decay)
        self.average, self.n_averaged = self.optimizer.weight.clone(), 0
        held_out = np.zeros(len(cases), dtype=bool)
        held_out[problem.held_out] = True
        self.learned = np.flatnonzero(~held_out)
        self.batch_size = max(1, min(settings.batch_size, len(self.learned) // MIN_STEPS))
        self.validation = self._batches(problem.held_out, None)
        self.learned_weight = float(problem.weight[~held_out[problem.read_case]].sum(dtype=np.float64))
        n_events = min(self.batch_size * float(self.lengths.mean()), MAX_BATCH_EVENTS)
        self.n_products = n_events * len(self.optimizer.weight)  # of a step
        self.best_score, self.n_stale = -np.inf, 0

    # --------------------------------------------------------------------------------------------------- learning

    def one_pass(self) -> float:
        """Learn from all cases that are not held out, once; return the mean loss."""
        batches = self._batches(self.learned, self.generator)
        per_batch = self.learned_weight / max(len(batches), 1)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for i in torch.randperm(len(batches), generator=self.generator, device="cpu").tolist():
            total += self.step(batches[i], per_batch).double()
        return float(total) / max(self.learned_weight, 1e-300)

    def step(self, batch: Batch, per_batch: float) -> torch.Tensor:
        """Learn from a batch; return its summed loss. `per_batch` is the mean weight of one."""
        loss = (self._losses(batch, training=True) * self.weight[batch.reads]).sum()
        self.optimizer.zero_grad()
        (loss / per_batch).backward()
        gradient = self.optimizer.gradient
        gradient.mul_((_CLIP / gradient.norm().clamp(min=1e-30)).clamp(max=1.0))
        self.optimizer.step()
        self.n_averaged += 1
        self.average.lerp_(self.optimizer.weight, 1 - min(_AVERAGE, self.n_averaged / (self.n_averaged + 10)))
        return loss.detach()

    def _losses(self, batch: Batch, *, training: bool) -> torch.Tensor:
        scores = self.net.output(self._drop(self.vectors(batch, training=training), self.settings.dropout, training))
        target = self.target[batch.reads]
        if self.loss is None:
            return functional.cross_entropy(scores, target, reduction="none")
        return self.loss(scores, target)

    def vectors(self, batch: Batch, *, training: bool = False) -> torch.Tensor:
        """Return the pooled states of the reads of a batch, (n_reads, dim)."""
        net, n = self.net, len(batch.cases)
        constant = net.of_cases(self._ids(self.case_ids, batch.cases, training), self.case_places[batch.cases])
        start = net.start(constant)
        begin = torch.tanh(start[:, : net.dim])
        states = begin
        if len(batch.sizes):
            events = net.events(self._ids(self.ids, batch.events, training), self.places[batch.events])
            inputs = torch.cat([events, constant[batch.owner]], dim=1) if constant.shape[1] else events
            inputs = self._drop(inputs, _INPUT_DROPOUT * self.settings.dropout, training)
            packed = torch.nn.utils.rnn.PackedSequence(inputs, batch.sizes)
            n_full = int(batch.sizes[0])
            first = begin[None, :n_full].contiguous()
            hidden = (first, start[None, :n_full, net.dim :].contiguous()) if self.settings.cell == "lstm" else first
            states = torch.cat([begin, net.cell(packed, hidden)[0].data])
        if self.settings.pooling != "last" and self.problem.parts:
            return self._pooled(batch, states, n)
        return states.index_select(0, batch.read_place)

    def _pooled(self, batch: Batch, states: torch.Tensor, n: int) -> torch.Tensor:
        """Return means or maxima of the states up to each read; of no event the state that a case begins in."""
        longest = len(batch.sizes)
        if not longest:
            return states.index_select(0, batch.read_place)
        position = torch.repeat_interleave(torch.arange(longest, device="cpu"), batch.sizes).to(self.device)
        padded = states.new_zeros((longest, n, states.shape[1]))
        padded = padded.index_put((position, batch.owner), states[n:])
        if self.settings.pooling == "mean":
            counts = torch.arange(1, longest + 1, dtype=states.dtype, device=self.device)
            pooled = padded.cumsum(dim=0) / counts[:, None, None]
        else:
            pooled = padded.cummax(dim=0).values
        read = pooled[(batch.read_length - 1).clamp(min=0), batch.read_rank]
        return torch.where((batch.read_length > 0)[:, None], read, states[batch.read_rank])

    def _ids(self, ids: torch.Tensor, rows: torch.Tensor, training: bool) -> torch.Tensor:
        found = ids.index_select(0, rows)
        if not training or not ids.shape[1]:
            return found
        draws = torch.rand(found.shape, generator=self.generator, dtype=torch.float32, device="cpu")
        return found * (draws >= _UNKNOWN_RATE).to(self.device)

    def _drop(self, values: torch.Tensor, rate: float, training: bool) -> torch.Tensor:
        if not training or not rate:
            return values
        kept = torch.rand(values.shape, generator=self.generator, dtype=torch.float32, device="cpu") >= rate
        return values * (kept.to(values.dtype) / (1 - rate)).to(self.device)

    # ---------------------------------------------------------------------------------------------------- batches

    def _batches(self, cases: np.ndarray, generator: torch.Generator | None) -> list[Batch]:
        """Return batches to learn from, mixed by a generator, or without one to look at."""
        jitter, size = None, self.settings.batch_size
        if generator is not None:
            size = self.batch_size
            jitter = torch.rand(len(cases), generator=generator, dtype=torch.float64, device="cpu").numpy()
        parts = length_batches(self.lengths[cases], size, jitter)
        return [self._batch(cases[part]) for part in parts]

    def _batch(self, cases: np.ndarray) -> Batch:
        lengths, begins = self.lengths[cases], self.problem.cases.indptr[:-1][cases]
        sizes = len(cases) - np.cumsum(np.bincount(lengths))[:-1]  # by position: those longer than it
        firsts = np.cumsum(sizes) - sizes
        position = np.repeat(np.arange(len(sizes)), sizes)
        owner = np.arange(int(sizes.sum())) - firsts[position]
        reads = self.reads.take(cases)
        read_rank = np.repeat(np.arange(len(cases)), reads.lengths)
        read_length = self.problem.read_length[reads.indices]
        place = read_rank.copy()
        later = read_length > 0
        place[later] += len(cases) + firsts[read_length[later] - 1]

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(values, dtype=torch.int64, device=self.device)

        return Batch(
            cases=tensor(cases),
            events=tensor(begins[owner] + position),
            owner=tensor(owner),
            sizes=torch.as_tensor(sizes, dtype=torch.int64, device="cpu"),
            reads=tensor(reads.indices),
            read_place=tensor(place),
            read_rank=tensor(read_rank),
            read_length=tensor(read_length),
        )

    # ------------------------------------------------------------------------------------------------------ state

    @torch.no_grad()
    def validation_score(self) -> float:
        """Return minus the mean loss on the cases held out, of the averaged weights.

        With y, of scores drawn towards the average (`MultiLoss.shrunk`): vectors are for a model behind.
        """
        weight = self.optimizer.weight.clone()
        self.optimizer.weight.copy_(self.average)
        score = -(self._mean_loss() if self.loss is None else self._shrunk_loss(self.loss))
        self.optimizer.weight.copy_(weight)
        self.n_stale = self.n_stale + 1 if score <= self.best_score else 0
        if self.n_stale and self.n_stale % max(self.settings.n_iter_no_change // 2, 1) == 0:
            self.optimizer.learning_rate *= _RATE_DECAY
        self.best_score = max(score, self.best_score)
        return score

    def _mean_loss(self) -> float:
        total, seen = 0.0, 0.0
        for batch in self.validation:
            weights = self.weight[batch.reads]
            total += float((self._losses(batch, training=False) * weights).sum())
            seen += float(weights.sum())
        return total / max(seen, 1e-300)

    def _shrunk_loss(self, loss: MultiLoss) -> float:
        reads = torch.cat([batch.reads for batch in self.validation])
        scores = torch.cat([self.net.output(self.vectors(batch)) for batch in self.validation])
        return loss.shrunk(scores, self.target[reads], self.weight[reads], self.mean_scores)

    @torch.no_grad()
    def held_out_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Return reads of the cases held out, and what the net says of each class before softmax.

        Returns
        -------
        reads : ndarray of shape (n,), int64
            Ascending, evenly chosen where all would be many numbers; none where targets are no classes.
        scores : ndarray of shape (n, n_targets), float32
        """
        n_targets = self.problem.n_targets
        held_out = np.flatnonzero(np.isin(self.problem.read_case, self.problem.held_out))
        n = min(len(held_out), max(1, MAX_HELD_OUT_SCORES // n_targets)) if self.loss is None else 0
        reads = held_out[np.arange(n) * len(held_out) // max(n, 1)]
        scores = np.empty((n, n_targets), dtype=np.float32)
        for batch in self.validation if n else []:
            which, place, _ = np.intersect1d(batch.reads.cpu().numpy(), reads, return_indices=True)
            found = self.net.output(self.vectors(batch).index_select(0, torch.as_tensor(place, device=self.device)))
            scores[np.searchsorted(reads, which)] = _array(found)
        return reads, scores

    def snapshot(self) -> Any:
        return self.average.clone()

    def restore(self, state: Any) -> None:
        self.optimizer.weight.copy_(state)
        self.average.copy_(state)

    def tables(self) -> list[np.ndarray]:
        """Return the vectors of the levels of each column of categories."""
        return [_array(t).copy() for part in (self.net.events, self.net.of_cases) for t in part.tables]

    def weights(self) -> RecurrentWeights:
        """Return the net as arrays."""
        net, n_events = self.net, self.net.events.width
        inputs, start = _array(net.cell.weight_ih_l0), _array(net.start.weight)
        bias, recurrent_bias = _array(net.cell.bias_ih_l0).copy(), _array(net.cell.bias_hh_l0).copy()
        if self.settings.cell == "lstm":
            bias, recurrent_bias = bias + recurrent_bias, np.zeros_like(bias)
        return RecurrentWeights(
            cell=self.settings.cell,
            events=net.events.weights(inputs[:, :n_events]),
            cases=net.of_cases.weights(np.vstack([inputs[:, n_events:], start])),
            recurrent=contiguous(_array(net.cell.weight_hh_l0).T),
            bias=bias,
            recurrent_bias=recurrent_bias,
            start=_array(net.start.bias).copy(),
            output=np.vstack([_array(net.output.weight).T, _array(net.output.bias)[None]]),
        )


def _array(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().cpu().numpy()


def _reads_of_cases(read_case: np.ndarray, n_cases: int) -> Ragged:
    """Return the numbers of the reads of each case."""
    order = np.argsort(read_case, kind="stable")
    return Ragged.from_ends(order, np.cumsum(np.bincount(read_case, minlength=n_cases)))


def length_batches(lengths: np.ndarray, batch_size: int, jitter: np.ndarray | None = None) -> list[np.ndarray]:
    """Return batches of cases of about one length, each by falling length.

    Parameters
    ----------
    lengths : ndarray of shape (n_cases,)
    batch_size : int
        Cases of a batch at most; fewer where they have very many events.
    jitter : ndarray of shape (n_cases,), optional
        Draws from [0, 1) that mix cases of about one length.

    Returns
    -------
    list of ndarray of int64
    """
    if not len(lengths):
        return []
    drawn = lengths if jitter is None else (lengths + 1.0) * (1 + _JITTER * jitter) + jitter
    order = np.argsort(-drawn, kind="stable")
    batches, begin = [], 0
    while begin < len(order):
        longest = int(lengths[order[begin]])
        n = max(1, min(batch_size, MAX_BATCH_EVENTS // max(longest, 1)))
        batch = order[begin : begin + n]
        batches.append(batch[np.argsort(-lengths[batch], kind="stable")])
        begin += n
    return batches


class LearnedNet(NamedTuple):
    """What was learned.

    Attributes
    ----------
    weights : RecurrentWeights
    tables : list of ndarray of shape (n_levels + 1, dim), float32
        The vectors of the levels of each column of categories.
    history : History
    held_out : tuple of ndarray
        As `RecurrentNet.held_out_scores` returns it.
    """

    weights: RecurrentWeights
    tables: list[np.ndarray]
    history: History
    held_out: tuple[np.ndarray, np.ndarray]


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def learn_recurrent(problem: CaseProblem, settings: RecurrentSettings, run: Run) -> LearnedNet:
    """Train a recurrent net.

    Parameters
    ----------
    problem : CaseProblem
    settings : RecurrentSettings
    run : Run

    Returns
    -------
    LearnedNet
    """
    device, generator = resolve_device(settings.device), seeded_generator(run.seed)
    net = RecurrentNet(problem, settings, generator, device)
    settings = replace(settings, early_stopping=settings.early_stopping and len(problem.held_out) > 0)
    with threads_for(net.n_products):
        history = repeat_passes(net, net.one_pass, settings, run, advice="Lower learning_rate.")
        return LearnedNet(net.weights(), net.tables(), history, net.held_out_scores())
