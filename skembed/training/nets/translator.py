"""Translator with attention: LSTMs in both directions read a sentence, an LSTM writes the other one, word by word.

McCann et al. 2017 (arXiv:1708.00107), section 3; attention and input feeding are those of Luong et al. 2015
(arXiv:1508.04025): the decoder reads the word before beside its last attentional state, its state asks all states of
the encoder, and what they answer and itself give the next word.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skembed.data.ragged import Ragged
from skembed.training.nets.adam import FlatAdamW
from skembed.training.nets.device import resolve_device, seeded_generator
from skembed.training.nets.loop import run_passes
from skembed.training.nets.row_tables import RowTable
from skembed.training.nets.sampled_softmax import SampledSoftmax, initial_output
from skembed.training.nets.threads import one_thread_in_forks
from skembed.training.passes import History
from skembed.training.run import Run
from skembed.training.translation import BEGIN_ROW, END_ROW, SentencePairs, TranslationSettings

__all__ = ["learn_translation", "translate_greedily"]

_LAST_RATE = 0.05  # of the learning rate, to which it falls in a straight line
_INITIAL_REACH = 0.1
_SCORED_PAIRS = 64  # whose states are in memory at a time
_SCORES = 2**22  # probabilities over all words that are
_ENCODER = "encoder."


class TranslatorNet(nn.Module):
    """Encoder, decoder and attention; not the words of the target.

    Parameters
    ----------
    width : int
        Components of the source's word vectors, and of the target's.
    hidden_size, n_layers : int
        Of the encoder.
    """

    def __init__(self, width: int, hidden_size: int, n_layers: int) -> None:
        super().__init__()
        dim = 2 * hidden_size
        made: dict[str, Any] = {"device": "meta", "dtype": torch.float32}
        self.encoder = nn.ModuleList(
            nn.LSTM(dim if k else width, hidden_size, bidirectional=True, batch_first=True, **made)
            for k in range(n_layers)
        )
        self.of_word = nn.Linear(width, 4 * dim, **made)
        self.of_state = nn.Linear(2 * dim, 4 * dim, bias=False, **made)
        self.ask = nn.Linear(dim, dim, bias=False, **made)
        self.answer = nn.Linear(2 * dim, dim, **made)
        self.to_empty(device="cpu")

    def draw(self, generator: torch.Generator) -> "TranslatorNet":
        """Draw all weights uniform in ±1/sqrt(inputs), as torch does; forget gates begin open."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.LSTM | nn.Linear):
                    n = module.hidden_size if isinstance(module, nn.LSTM) else module.in_features
                    for parameter in module.parameters():
                        parameter.uniform_(-(n**-0.5), n**-0.5, generator=generator)
            self.of_word.bias.view(4, -1)[1] += 1
        return self

    def encode(self, x: torch.Tensor, lengths: torch.Tensor, drop: Any = None) -> tuple[torch.Tensor, Any]:
        """Return states (n_rows, n_steps, dim) of sentences of falling lengths, and what the decoder begins from."""
        for layer in self.encoder:
            packed = pack_padded_sequence(x if drop is None else drop(x), lengths.cpu(), batch_first=True)
            out, (h, c) = layer(packed)
            x, _ = pad_packed_sequence(out, batch_first=True)
        return x, (h.transpose(0, 1).flatten(1), c.transpose(0, 1).flatten(1))

    def step(self, of_word: torch.Tensor, fed: torch.Tensor, state: Any, memory: "_Memory") -> tuple[torch.Tensor, Any]:
        """Return the attentional state (n_rows, dim) after a word, as `of_word` turns it, and the state."""
        h, c = state
        enter, keep, candidate, leave = (of_word + self.of_state(torch.cat([fed, h], dim=1))).chunk(4, dim=1)
        c = torch.sigmoid(keep) * c + torch.sigmoid(enter) * torch.tanh(candidate)
        h = torch.sigmoid(leave) * torch.tanh(c)
        return torch.tanh(self.answer(torch.cat([memory.read(h), h], dim=1))), (h, c)


class _Memory:
    """The states of the encoder, as attention reads them: Luong's general score."""

    def __init__(self, net: TranslatorNet, states: torch.Tensor, lengths: torch.Tensor) -> None:
        steps = torch.arange(states.shape[1], device=states.device)[None]
        self._states, self._asked = states, net.ask(states)
        is_word = steps < lengths[:, None].to(states.device)
        self._hidden = states.new_zeros(is_word.shape).masked_fill_(~is_word, -torch.inf)

    def read(self, h: torch.Tensor) -> torch.Tensor:
        scores = torch.bmm(self._asked, h[:, :, None])[:, :, 0] + self._hidden
        return torch.bmm(torch.softmax(scores, dim=1)[:, None], self._states)[:, 0]


class _Sequences:
    """Sequences of ids on a device, padded where they are asked for."""

    def __init__(self, ragged: Ragged, device: torch.device) -> None:
        self.indices = torch.as_tensor(ragged.indices, dtype=torch.int64, device=device)
        self.starts = torch.as_tensor(ragged.indptr[:-1], device=device)
        self.lengths = torch.as_tensor(ragged.lengths, device=device)

    def padded(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids (n_rows, n_steps) and lengths; each row is filled with its first id."""
        lengths = self.lengths[rows]
        steps = torch.arange(int(lengths.max()), device=rows.device)[None]
        places = self.starts[rows][:, None] + torch.where(steps < lengths[:, None], steps, 0)
        return self.indices[places], lengths


class _Translation:
    """A net and the words of its target; a `Trainable` over pairs of sentences."""

    def __init__(
        self,
        net: TranslatorNet,
        pairs: SentencePairs,
        softmax: SampledSoftmax,
        words: RowTable,
        settings: TranslationSettings,
        schedule: tuple[np.ndarray, int],
        generator: torch.Generator,
    ) -> None:
        self.net, self.softmax, self.words = net, softmax, words
        self.settings, self.generator = settings, generator
        self.device = words.weight.device
        self.source, self.target = (_Sequences(part, self.device) for part in (pairs.source, pairs.target))
        self.vectors = torch.as_tensor(pairs.vectors, device=self.device)
        self.held, self._total = schedule
        self.optimizer = FlatAdamW(net, settings.learning_rate, settings.weight_decay)
        length = float(self.target.lengths.double().mean())
        self.n_products = length * (len(self.optimizer.weight) + softmax.n_products)
        self._n_steps = 0

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        rate = self.settings.learning_rate * max(1 - self._n_steps / self._total, _LAST_RATE)
        for part in (self.optimizer, self.softmax.table, self.words):
            part.learning_rate = rate
        self._n_steps += 1
        features, targets, ids, gathered = self._read(rows, self._drop)
        chosen = self.softmax.choose(targets)
        loss = self.softmax.loss(features, targets, chosen)
        self.optimizer.zero_grad()
        (loss / len(targets)).backward()
        norm = float(self.optimizer.gradient.norm())
        if norm > self.settings.max_norm:
            self.optimizer.gradient.mul_(self.settings.max_norm / norm)
        with torch.no_grad():
            self.optimizer.step()
            self.softmax.update(chosen)
            self.words.update(ids, gathered.grad)  # type: ignore[arg-type]
        return loss.detach()

    def _read(
        self, rows: torch.Tensor, drop: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return features (n_events, dim), targets (n_events,), rows of `words` that were read, and their vectors."""
        rows = rows.to(self.device)
        rows = rows[torch.argsort(self.source.lengths[rows], descending=True, stable=True)]
        ids, lengths = self.source.padded(rows)
        states, state = self.net.encode(self.vectors[ids], lengths, drop)
        memory = _Memory(self.net, states, lengths)
        read, lengths = self.target.padded(rows)
        before = read[:, :-1].flatten()
        gathered = self.words.weight.index_select(0, before)
        if drop is not None:
            gathered.requires_grad_(True)
        of_words = self.net.of_word(gathered if drop is None else drop(gathered)).unflatten(0, (len(rows), -1))
        fed, answers = torch.zeros_like(state[0]), []
        for of_word in of_words.unbind(1):
            fed, state = self.net.step(of_word, fed, state, memory)
            answers.append(fed)
        events = torch.arange(read.shape[1] - 1, device=self.device)[None] < lengths[:, None] - 1
        features = torch.stack(answers, dim=1)[events]
        return features if drop is None else drop(features), read[:, 1:][events], before, gathered

    def _drop(self, values: torch.Tensor) -> torch.Tensor:
        rate = self.settings.dropout
        if not rate:
            return values
        kept = torch.rand(values.shape, generator=self.generator, dtype=torch.float32, device="cpu") >= rate
        return values * kept.to(values.device) / (1 - rate)

    @torch.no_grad()
    def validation_score(self) -> float:
        """Return the mean log-probability of a word of held-out translations, after the true words before it."""
        total, n_events = 0.0, 0
        for rows in torch.as_tensor(self.held, device="cpu").split(_SCORED_PAIRS):
            features, targets, _, _ = self._read(rows)
            size = max(1, _SCORES // len(self.words.weight))
            for part in zip(features.split(size), targets.split(size)):
                total -= float(self.softmax.full_loss(*part))
            n_events += len(targets)
        return total / max(n_events, 1)

    def _parts(self) -> tuple[torch.Tensor, ...]:
        return self.optimizer.weight, self.softmax.table.weight, self.words.weight

    def snapshot(self) -> Any:
        return [part.clone() for part in self._parts()]

    def restore(self, state: Any) -> None:
        for part, value in zip(self._parts(), state):
            part.copy_(value)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all weights: the encoder's by the names of a torch.nn.LSTM of all its layers, behind "encoder."."""
        state = self.net.state_dict()
        arrays = {name: value for name, value in state.items() if not name.startswith(_ENCODER)}
        for name, value in state.items():
            if name.startswith(_ENCODER):
                _, layer, part = name.split(".")
                arrays[_ENCODER + part.replace("_l0", f"_l{layer}")] = value
        arrays |= {"words": self.words.weight, "output": self.softmax.table.weight}
        return {name: value.cpu().numpy().copy() for name, value in arrays.items()}


@one_thread_in_forks()
@torch.inference_mode(False)
@torch.enable_grad()
def learn_translation(
    pairs: SentencePairs,
    held_out: np.ndarray,
    counts: np.ndarray,
    settings: TranslationSettings,
    run: Run,
) -> tuple[dict[str, np.ndarray], History]:
    """Train a translator.

    Parameters
    ----------
    pairs : SentencePairs
    held_out : ndarray of bool, (n_pairs,)
        Pairs that early stopping looks at; without any it is off.
    counts : ndarray of shape (n_target_words,)
        How often each word of the target is written.
    settings : TranslationSettings
    run : Run

    Returns
    -------
    dict of str -> ndarray, float32
        Weights; those behind "encoder." are the encoder's, by the names of a torch.nn.LSTM of both directions.
    History
    """
    device, generator = resolve_device(settings.device), seeded_generator(run.seed)
    settings = replace(settings, early_stopping=bool(held_out.any()))
    width = pairs.vectors.shape[1]
    net = TranslatorNet(width, settings.hidden_size, settings.n_layers).draw(generator).to(device)
    start = initial_output(counts, 2 * settings.hidden_size, _INITIAL_REACH, generator)
    table = RowTable(start.to(device), settings.learning_rate)
    softmax = SampledSoftmax(table, counts, settings.n_samples, settings.ns_exponent, generator)
    start = torch.empty((len(counts), width), dtype=torch.float32, device="cpu").uniform_(
        -_INITIAL_REACH, _INITIAL_REACH, generator=generator
    )
    words = RowTable(start.to(device), settings.learning_rate)
    rows = torch.as_tensor(np.flatnonzero(~held_out), device="cpu")
    schedule = np.flatnonzero(held_out), settings.max_iter * -(-len(rows) // settings.batch_size)
    model = _Translation(net, pairs, softmax, words, settings, schedule, generator)
    n_events = float((pairs.target.lengths[~held_out] - 1).sum())
    history = run_passes(model, rows, n_events, generator, settings, run)
    return model.arrays(), history


@torch.inference_mode()
def translate_greedily(
    arrays: dict[str, np.ndarray], sentences: Ragged, vectors: np.ndarray, max_length: int, device: torch.device
) -> list[list[int]]:
    """Return translations, the likeliest word each time, until the end of a sentence.

    Parameters
    ----------
    arrays : dict of str -> ndarray
        As `learn_translation` returns them.
    sentences : Ragged
        Rows of `vectors`; an empty one has an empty translation.
    vectors : ndarray of shape (n_words, dim), float32
    max_length : int
        Words of a translation, at most.
    device : torch.device

    Returns
    -------
    list of list of int
        Rows of the target's vocabulary.
    """
    n_layers = sum(name.startswith(f"{_ENCODER}weight_ih") for name in arrays) // 2
    hidden_size = arrays[f"{_ENCODER}weight_hh_l0"].shape[1]
    net = TranslatorNet(vectors.shape[1], hidden_size, n_layers)
    net.load_state_dict({_module_name(name): torch.as_tensor(value, device="cpu") for name, value in arrays.items()
                         if name not in ("words", "output")})  # fmt: skip
    net.to(device)
    words, output, of_row = (torch.as_tensor(a, device=device) for a in (arrays["words"], arrays["output"], vectors))
    source = _Sequences(sentences, device)
    found: list[list[int]] = [[] for _ in range(len(sentences))]
    some = torch.as_tensor(np.flatnonzero(sentences.lengths), device=device)
    if not len(some):  # of nothing torch makes one empty part
        return found
    for rows in some[torch.argsort(source.lengths[some], descending=True, stable=True)].split(_SCORED_PAIRS):
        ids, lengths = source.padded(rows)
        states, state = net.encode(of_row[ids], lengths)
        memory, fed = _Memory(net, states, lengths), torch.zeros_like(state[0])
        word = torch.full((len(rows),), BEGIN_ROW, device=device)
        written = []
        for _ in range(max_length):
            fed, state = net.step(net.of_word(words[word]), fed, state, memory)
            word = (fed @ output[:, :-1].T + output[:, -1]).argmax(dim=1)
            written.append(word)
            if len(written) % 8 == 0 and (torch.stack(written) == END_ROW).any(dim=0).all():
                break
        for row, line in zip(rows.tolist(), torch.stack(written, dim=1).tolist()):
            found[row] = line[: line.index(END_ROW)] if END_ROW in line else line
    return found


def _module_name(name: str) -> str:
    if not name.startswith(_ENCODER):
        return name
    part, _, rest = name.removeprefix(_ENCODER).rpartition("_l")
    layer, _, reverse = rest.partition("_")
    return f"{_ENCODER}{layer}.{part}_l0{reverse and '_' + reverse}"
