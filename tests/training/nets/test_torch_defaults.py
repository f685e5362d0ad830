"""Whatever device, type and mode torch is in, as notebooks set them, nets learn and say the same."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skembed import (  # noqa: E402
    ContextualVectorizer,
    EmbeddingTable,
    EntityEmbeddingEncoder,
    NNLMVectorizer,
    ProjectionEmbedder,
    SequenceEmbedder,
)
from skembed.text import cove_translate, train_cove, train_elmo  # noqa: E402

WORDS = [f"w{i}" for i in range(12)]
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, 5)) for _ in range(40)]
TABLE = EmbeddingTable(WORDS, RNG.normal(size=(12, 4)))
LEVELS, TARGET = RNG.choice(list("abc"), (120, 2)), np.arange(120) % 3
NUMBERS = RNG.normal(size=(60, 4)).cumsum(axis=1)
CASES = [["a", "b", "c"], ["a", "c"]] * 20


def cove(folder):
    train_cove(TEXTS, [text.replace("w", "z") for text in TEXTS], TABLE, folder / "cove", hidden_size=3, max_iter=2,
               random_state=0)  # fmt: skip
    rows = ContextualVectorizer(folder / "cove", layer=[0, 1, -1]).fit_transform(TEXTS[:5])
    return rows, np.array(cove_translate(folder / "cove", TEXTS[:3]), dtype=object)


def elmo(folder):
    pytest.importorskip("h5py")
    train_elmo(TEXTS, folder / "elmo", max_iter=1, min_count=1, embedding_dim=8, random_state=0)
    return (ContextualVectorizer(folder / "elmo", layer=[0, -1]).fit_transform(TEXTS[:5]),)


def bert(folder):
    pytest.importorskip("transformers")
    return (ContextualVectorizer(Path(__file__).parents[2] / "text" / "tiny_bert").fit_transform(TEXTS[:5]),)


LEARNED = {
    "cove": cove,
    "elmo": elmo,
    "bert": bert,
    "cases": lambda _: (SequenceEmbedder(3, max_iter=2, random_state=0).fit_transform(CASES),),
    "cases-mean": lambda _: (
        SequenceEmbedder(3, pooling="mean", cell="gru", max_iter=2, random_state=0)
        .fit(CASES, [0, 1] * 20)
        .transform(CASES),
    ),
    "nnlm": lambda _: (NNLMVectorizer(4, max_iter=2, min_count=1, random_state=0).fit_transform(TEXTS),),
    "levels": lambda _: (
        EntityEmbeddingEncoder(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit_transform(LEVELS, TARGET),
    ),
    "autoencoder": lambda _: (ProjectionEmbedder("autoencoder", 2, max_iter=2, random_state=0).fit_transform(NUMBERS),),
}


@pytest.mark.parametrize("name", LEARNED)
def test_defaults_of_torch_change_no_bit(name, tmp_path):
    def learned(part):
        (tmp_path / part).mkdir()
        return LEARNED[name](tmp_path / part)

    expected = learned("first")
    with torch.device("meta"):  # whatever is made there fails
        found = [learned("device")]
    with torch.inference_mode():
        found.append(learned("inference"))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found.append(learned("type"))
    finally:
        torch.set_default_dtype(before)
    for other in found:
        for ours, theirs in zip(expected, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
