"""ELMo: convolutions over characters, and a language model in each direction of LSTMs with projections.

Peters et al. 2018, "Deep contextualized word representations" (arXiv:1802.05365); characters as in Kim et al. 2016
(arXiv:1508.06615), highway layers of Srivastava et al. 2015, LSTMs of Sak et al. 2014 whose cells and projected states
are clipped. Equal to AllenNLP's and bilm-tf's.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from skembed.apply.characters import BEGIN, END, PADDING, character_ids
from skembed.apply.contextual_model import ModelDefaults, ModelOptions, TokenSequence, split_words
from skembed.apply.elmo_directory import ElmoOptions, cell_name, read_elmo_directory, read_elmo_weights
from skembed.apply.nets.projected_lstm import Clips, ProjectedLSTM, State
from skembed.apply.nets.threads import on_one_thread_in_forks

__all__ = ["ElmoModel", "ElmoNet", "StateMemory", "open_elmo"]

_CNN_CELLS = 2**22  # activations of one convolution that are in memory at a time
_GATES = 2**25  # gates of a batch that are in memory at a time, of both directions


class ElmoNet(nn.Module):
    """The net: weights by the names and in the layout of the file.

    Gates lie as in TensorFlow, which puts input, candidate, forget and output side by side and adds 1 to the forget
    gate; the candidate is moved to the end when the net runs, so that one sigmoid serves the other three.

    Parameters
    ----------
    options : ElmoOptions
    weights : dict of str -> Tensor
        Names and shapes as in `ElmoOptions.shapes`.
    """

    def __init__(self, options: ElmoOptions, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.options = options
        self.weights = nn.ParameterDict(weights)

    @classmethod
    def of_arrays(cls, options: ElmoOptions, arrays: dict[str, np.ndarray]) -> "ElmoNet":
        """Return a net to run, with the weights of a file."""
        weights: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return cls(options, weights).requires_grad_(False).eval()

    @classmethod
    @torch.inference_mode(False)
    def random(cls, options: ElmoOptions, generator: torch.Generator) -> "ElmoNet":
        """Return a net to begin training from, drawn from `generator` alone.

        Kernels have a standard deviation of 1 / sqrt(inputs), biases are 0, but those of the highways' carry gates,
        which begin nearly closed.
        """
        weights = {}
        for name, shape in options.shapes().items():
            kind = name.rpartition("/")[2]
            weight = torch.zeros(shape, dtype=torch.float32, device="cpu")
            if kind == "b_carry":
                weight.fill_(-2.0)
            elif kind == "char_embed":
                weight.uniform_(-1.0, 1.0, generator=generator)
            elif len(shape) > 1:
                weight.normal_(std=math.prod(shape[:-1]) ** -0.5, generator=generator)
            weights[name] = weight
        return cls(options, weights)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights as the file holds them."""
        return {name: weight.detach().cpu().numpy() for name, weight in self.weights.items()}

    def tokens(self, characters: torch.Tensor) -> torch.Tensor:
        """Return what words are by their characters.

        Parameters
        ----------
        characters : LongTensor of shape (n_words, max_characters)

        Returns
        -------
        Tensor of shape (n_words, projection_dim)
        """
        w, options = self.weights, self.options
        # Behind its end a word is padding, of which one window of each filter is as good as many.
        width = int((characters != PADDING).sum(dim=1).max()) + max(width for width, _ in options.filters)
        characters = characters[:, :width]
        x = w["char_embed"][characters].transpose(1, 2)  # (n_words, character_dim, max_characters)
        activation = torch.tanh if options.activation == "tanh" else torch.relu
        features = []
        for i in range(len(options.filters)):
            kernel = w[f"CNN/W_cnn_{i}"][0].permute(2, 1, 0)  # (n, character_dim, width)
            features.append(nn.functional.conv1d(x, kernel).amax(dim=2) + w[f"CNN/b_cnn_{i}"])
        x = activation(torch.cat(features, dim=1))  # neither changes which position is the largest
        for i in range(options.n_highway):
            carry = torch.sigmoid(x @ w[f"CNN_high_{i}/W_carry"] + w[f"CNN_high_{i}/b_carry"])
            transform = torch.relu(x @ w[f"CNN_high_{i}/W_transform"] + w[f"CNN_high_{i}/b_transform"])
            x = carry * transform + (1 - carry) * x
        return x @ w["CNN_proj/W_proj"] + w["CNN_proj/b_proj"] if "CNN_proj/W_proj" in w else x

    def lstm(self, layer: int) -> ProjectedLSTM:
        """Return the LSTMs of a layer."""
        w, options, names = self.weights, self.options, [cell_name(direction, layer) for direction in range(2)]
        order = torch.tensor([0, 2, 3, 1], device=w["char_embed"].device)
        kernels = torch.stack([w[f"{name}/W_0"] for name in names])
        kernels = kernels.view(2, -1, 4, options.dim)[:, :, order].flatten(2)
        of_input, of_state = kernels.split(options.projection_dim, dim=1)
        bias = torch.stack([w[f"{name}/B"] for name in names]).view(2, 4, options.dim)[:, order]
        forget = torch.zeros_like(bias)
        forget[:, 1] = 1.0
        projected = f"{names[0]}/W_P_0" in w
        projection = torch.stack([w[f"{name}/W_P_0"] for name in names]) if projected else None
        clips = Clips(options.cell_clip, options.proj_clip)
        return ProjectedLSTM(of_input, of_state, (bias + forget).flatten(1)[:, None], projection, clips)

    def layers(
        self,
        x: torch.Tensor,
        lengths: torch.Tensor,
        initial: list[State] | None = None,
        drop: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> tuple[list[torch.Tensor], list[State]]:
        """Run the LSTMs over sentences, each with its begin and end.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_steps, projection_dim)
            Tokens; what lies behind the length of a row has no influence.
        lengths : LongTensor of shape (n_rows,)
            Falling, the first one `n_steps`.
        initial : list of State, one for each layer, or None
            None begins from zeros.
        drop : callable or None
            What training does to the input of each layer.

        Returns
        -------
        list of Tensor of shape (n_rows, n_steps, 2 * projection_dim)
            Of each layer, left to right beside right to left; zeros behind the length of a row.
        list of State
            In which each layer ends: behind the last token of a row, and before its first one.
        """
        back = _mirror(lengths, x.shape[1])
        both = torch.stack([x, _gather(x, back)]).transpose(1, 2)  # (2, n_steps, n_rows, dim)
        active = _active(lengths, x.shape[1])
        outputs, finals = [], []
        for layer in range(self.options.n_layers):
            state = None if initial is None else initial[layer]
            out, final = self.lstm(layer).run(both if drop is None else drop(both), active, state)
            both = out + both if self.options.skip_connections and layer else out
            outputs.append(both.transpose(1, 2))
            finals.append(final)
        known = (torch.arange(x.shape[1], device=x.device)[None] < lengths[:, None])[:, :, None]
        return [torch.cat([left, _gather(right, back)], dim=2) * known for left, right in outputs], finals


def _active(lengths: torch.Tensor, n_steps: int) -> list[int]:
    """Return how many rows of falling lengths are longer than each step."""
    rising = lengths.flip(0).contiguous()
    steps = torch.arange(n_steps, device=lengths.device)
    return (len(lengths) - torch.searchsorted(rising, steps, right=True)).tolist()


def _mirror(lengths: torch.Tensor, n_steps: int) -> torch.Tensor:
    """Return (n_rows, n_steps) positions that turn each row around within its length."""
    steps = torch.arange(n_steps, device=lengths.device)[None]
    return torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)


def _gather(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return x.gather(1, positions[:, :, None].expand(-1, -1, x.shape[2]))


class StateMemory:
    """States that go on from batch to batch: row k begins where row k of the batch before ended.

    AllenNLP and bilm-tf run so: the vectors of a sentence depend on what stood in its place of the batches before.

    Attributes
    ----------
    states : list of State
        Of each layer, for as many rows as the largest batch had; rows that a smaller one does not reach stay.
    """

    def __init__(self) -> None:
        self.states: list[State] = []

    def begin(self, order: torch.Tensor, zeros: list[State]) -> list[State]:
        """Return the states of the rows of a batch in this order; zeros for those that no batch had before."""
        if not self.states:
            self.states = zeros
        missing = len(order) - self.states[0][0].shape[1]
        if missing > 0:
            pairs = zip(self.states, zeros)
            self.states = [
                (torch.cat([h, z[0][:, :missing]], dim=1), torch.cat([c, z[1][:, :missing]], dim=1))
                for (h, c), z in pairs
            ]
        return [(h[:, order], c[:, order]) for h, c in self.states]

    def end(self, order: torch.Tensor, states: list[State]) -> None:
        """Keep the states in which the rows of this order ended."""
        kept = []
        for old, new in zip(self.states, states):
            both = [part.clone() for part in old]
            for part, ended in zip(both, new):
                part[:, order] = ended
            kept.append((both[0], both[1]))
        self.states = kept


class ElmoModel:
    """An ELMo that is loaded, as a `skembed.apply.contextual_model.ContextualModel`.

    Words are read by their characters, so that none is unknown. Layer 0 is a word without its context, twice side by
    side, as the other layers are the states of left to right beside those of right to left.

    Parameters
    ----------
    net : ElmoNet
    options : ModelOptions

    Attributes
    ----------
    dims, n_before, n_after, max_length, defaults
        As in `ContextualModel`. The begin and the end of a sentence are put around each text, and taken out again.
    """

    n_before = n_after = 0
    max_length = None

    def __init__(self, net: ElmoNet, options: ModelOptions) -> None:
        self._net = net.to(options.device, getattr(torch, options.dtype)).eval()
        self._device = options.device
        elmo = net.options
        self.dims = (2 * elmo.projection_dim,) * (elmo.n_layers + 1)
        self.defaults = ModelDefaults()
        self._max_characters = elmo.max_characters
        self._marks = character_ids([BEGIN, END], elmo.max_characters)

    def read(self, documents: Sequence[str | list[str]]) -> list[TokenSequence]:
        """Return the words of documents; the tokens of a list are its words. Case and marks stay."""
        sequences = []
        for document in documents:
            words, spans = split_words(document)
            inputs = character_ids(words, self._max_characters)
            sequences.append(TokenSequence(inputs, words, spans))
        return sequences

    @torch.inference_mode()
    @on_one_thread_in_forks
    def states(
        self, batch: Sequence[np.ndarray], layers: Sequence[int], memory: StateMemory | None = None
    ) -> list[list[np.ndarray]]:
        """Run the model.

        Parameters
        ----------
        batch : sequence of ndarray of shape (n_tokens, max_characters)
            `TokenSequence.inputs`.
        layers : sequence of int
            From 0, a word without its context, to the top.
        memory : StateMemory or None, default=None
            None: each text by itself, which is what else is done with it. A memory makes row k go on where row k of the
            batch before ended, as AllenNLP's and bilm-tf's programs do; pass the same one from batch to batch.

        Returns
        -------
        list of list of ndarray of shape (n_tokens, 2 * projection_dim), float32
        """
        if memory is not None:
            return self._run(batch, np.arange(len(batch)), layers, memory)
        lengths = np.array([len(one) for one in batch])
        found: list[list[np.ndarray]] = [[] for _ in batch]
        for rows in _parts(lengths, max(1, _GATES // (8 * self._net.options.dim))):
            for row, states in zip(rows, self._run([batch[row] for row in rows], rows, layers, None)):
                found[row] = states
        return found

    def _run(
        self, batch: Sequence[np.ndarray], rows: np.ndarray, layers: Sequence[int], memory: StateMemory | None
    ) -> list[list[np.ndarray]]:
        lengths = np.array([len(one) for one in batch], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        vectors, ids = self._tokens([batch[i] for i in order])
        padded = np.zeros((len(batch), int(lengths.max(initial=0)) + 2), dtype=np.int64)
        for row, one in zip(padded, ids):
            row[1 : 1 + len(one)] = one
            row[1 + len(one)] = 1
        x = vectors[torch.as_tensor(padded, device=self._device)]
        steps = torch.as_tensor(lengths[order] + 2, device=self._device)
        states: list[torch.Tensor] = []
        if memory is not None or any(layers):
            initial, places = None, torch.as_tensor(order, device=self._device)
            if memory is not None:
                zeros = [self._net.lstm(layer).zeros(len(x)) for layer in range(self._net.options.n_layers)]
                initial = memory.begin(places, zeros)
            states, final = self._net.layers(x, steps, initial)
            if memory is not None:
                memory.end(places, final)
        of_layer = [torch.cat([x, x], dim=2) if not layer else states[layer - 1] for layer in layers]
        arrays = [one.float().cpu().numpy() for one in of_layer]
        place = np.argsort(order)
        return [[one[place[i], 1 : 1 + lengths[i]].copy() for one in arrays] for i in range(len(batch))]

    def _tokens(self, batch: list[np.ndarray]) -> tuple[torch.Tensor, list[np.ndarray]]:
        """Return vectors of different words, those of the begin and the end of a sentence first, and whose is which."""
        laid = np.ascontiguousarray(np.concatenate([self._marks, *batch]))
        keys = laid.view([("", laid.dtype)] * laid.shape[1])[:, 0]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        by_place = np.argsort(first)  # the marks stand first
        rank[by_place] = np.arange(len(first))
        words = laid[first[by_place]]
        ids = np.split(rank[inverse][2:], np.cumsum([len(one) for one in batch])[:-1])
        return self._vectors(words), ids

    def _vectors(self, words: np.ndarray) -> torch.Tensor:
        """Return the vectors of words (n, max_characters), those of about the same length at a time."""
        options = self._net.options
        n_read = (words != PADDING).sum(axis=1)
        n_at_a_time = max(1, _CNN_CELLS // (options.max_characters * max(n for _, n in options.filters)))
        out = torch.empty((len(words), options.projection_dim), device=self._device, dtype=self._dtype())
        order = np.argsort(n_read, kind="stable")
        for start in range(0, len(words), n_at_a_time):
            rows = order[start : start + n_at_a_time]
            characters = torch.as_tensor(words[rows].astype(np.int64), device=self._device)
            out[torch.as_tensor(rows, device=self._device)] = self._net.tokens(characters)
        return out

    def _dtype(self) -> torch.dtype:
        return self._net.weights["char_embed"].dtype


def _parts(lengths: np.ndarray, most_tokens: int) -> Iterator[np.ndarray]:
    """Yield positions of texts of about the same length, padded at most so many tokens, one text at least."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        n = max(1, most_tokens // (int(lengths[order[start]]) + 2))
        yield order[start : start + n]
        start += n


@on_one_thread_in_forks
def open_elmo(path: Path, options: ModelOptions) -> ElmoModel:
    """Load the model of a directory with options.json and weights.hdf5.

    Parameters
    ----------
    path : Path
    options : ModelOptions

    Returns
    -------
    ElmoModel

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the file, the weight, its shape and the one expected.
    ImportError
        Without h5py.
    """
    directory = read_elmo_directory(path)
    return ElmoModel(ElmoNet.of_arrays(directory.options, read_elmo_weights(directory)), options)
