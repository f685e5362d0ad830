"""ELMo and CoVe: perplexity, questions, translation, and speed beside a plain loop.

    python benchmarks/elmo.py                        half an hour on two cores
    python benchmarks/elmo.py --only trec            a part: perplexity, trec, translation, speed
    python benchmarks/elmo.py --wikipedia DIRECTORY  learns the ELMo of benchmarks/contextual.py, and keeps it there

Perplexity: lines of wikitext2_valid.txt.gz, as in benchmarks/nnlm.py: the first 90 % to learn from, the last 10 % to be
predicted, words as they stand, a vocabulary of those that occur twice, all others one word. `train_elmo` from left to
right beside `NNLMVectorizer` with the settings of that benchmark, which have been chosen for it.

Questions: TREC (Li & Roth 2002), 5,452 to learn from and 500 to be told apart by six kinds of answers. Both models are
learned from the questions to learn from, without their kinds: ELMo, and skip-gram vectors of as many components. A
logistic regression on the pooled vectors; layers, pooling and C by three-fold cross-validation on the questions to
learn from, and what they come to on the test printed once.

Translation: generated sentence pairs with a known dictionary (tests/text/translations.py), three of whose words mean
two things. Settings are those with the best validation score of a few; the pairs of the test are drawn with a seed that
nothing else has seen.

Speed: vectors of wikitext lines by a net of the size of the smallest published ELMo (1024 cells, 128 components, 2048
filters), random weights. The plain loop takes the lines in their order, 32 at a time, and the characters of each word
wherever it occurs, as AllenNLP's program does. Both run the same LSTMs, which leave out what is padding. In turns.
"""

import argparse
import gzip
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nnlm
import numpy as np
import torch
from runs import describe

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
ELMO = {"max_iter": 6, "dropout": 0.3}
QUESTIONS = {"max_iter": 8, "dropout": 0.3, "embedding_dim": 128, "batch_size": 64}
WIKIPEDIA = {"max_iter": 3, "dropout": 0.1, "embedding_dim": 128, "batch_size": 64}
N_WORDS, PIECE = 700_000, 25  # of the Wikipedia text
PUBLISHED = {
    "projection_dim": 128, "dim": 1024, "n_layers": 2, "character_dim": 16, "n_highway": 1, "activation": "relu",
    "filters": ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)),
}  # fmt: skip


class Passes:
    """Says how each pass went."""

    def begin_pass(self) -> None:
        self.begin = time.process_time()

    def end_pass(self, loss, score=None) -> bool:
        heard = "" if score is None else f", perplexity of what is held out {np.exp(-score):.1f}"
        print(f"    loss {loss:.3f}{heard}, {time.process_time() - self.begin:.0f} s of processor time", flush=True)
        return False


def perplexity(folder: Path, n_lines: int | None = None) -> None:
    from skembed import NNLMVectorizer
    from skembed.text import elmo_perplexity, train_elmo

    lines = nnlm.without_mark(nnlm.read_lines()[:n_lines])
    n_train = round(0.9 * len(lines))
    train, test = lines[:n_train], lines[n_train:]
    n_words = sum(map(len, train))
    print(
        f"perplexity: {n_train} lines with {n_words} words to learn from, {sum(len(line) + 1 for line in test)} events"
    )
    begin = time.process_time()
    report = train_elmo(train, folder / "wikitext", random_state=0, callbacks=Passes(), **ELMO)
    seconds = time.process_time() - begin
    forward, backward = elmo_perplexity(folder / "wikitext", test)
    print(f"  train_elmo({ELMO}), {report.n_iter} passes: from left to right {forward:.1f}, from right to left "
          f"{backward:.1f}; {seconds:.0f} s of processor time", flush=True)  # fmt: skip
    begin = time.process_time()
    model = NNLMVectorizer(min_count=2, lowercase=False, random_state=0, **nnlm.SETTINGS).fit(train)
    seconds = time.process_time() - begin
    words = [word for word in (folder / "wikitext" / "vocabulary.txt").read_text().split("\n")[3:] if word]
    if set(words) != set(model.vocabulary_):
        raise SystemExit("the vocabularies differ")
    print(f"  NNLMVectorizer {model.perplexity(test):.1f}; {seconds:.0f} s of processor time", flush=True)


def read_questions(part: str) -> tuple[list[list[str]], list[str]]:
    with gzip.open(DATA / f"raw_TREC.{part}.gz", "rt", encoding="utf-8", errors="replace") as file:
        rows = [line.split() for line in file if line.strip()]
    return [row[1:] for row in rows], [row[0].split(":")[0] for row in rows]


def accuracies(named: dict, labels: list[str], test_labels: list[str]) -> tuple[str, float, float]:
    """Choose vectors and C by cross-validation; their name, that score, and the accuracy on the test."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    grid = {"logisticregression__C": [1e-3, 1e-2, 1e-1]}
    found = {}
    for name, (train, _) in named.items():
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        found[name] = GridSearchCV(pipeline, grid, cv=3).fit(train, labels)
    best = max(found, key=lambda name: found[name].best_score_)
    return best, found[best].best_score_, found[best].score(named[best][1], test_labels)


def trec(folder: Path) -> None:
    from skembed import ContextualVectorizer, Word2VecVectorizer
    from skembed.text import train_elmo

    (train, labels), (test, test_labels) = read_questions("train"), read_questions("test")
    print(f"questions: {len(train)} with {sum(map(len, train))} words to learn from, {len(test)} of the test")
    begin = time.process_time()
    report = train_elmo(train, folder / "questions", random_state=0, callbacks=Passes(), **QUESTIONS)
    print(f"  train_elmo({QUESTIONS}), {report.n_iter} passes: {time.process_time() - begin:.0f} s of processor time")
    named = {}
    for layer, pooling in ((0, "mean"), (-1, "mean"), ("mean", "mean"), ([0, -1], "mean"), (-1, ["mean", "max"])):
        model = ContextualVectorizer(folder / "questions", layer=layer, pooling=pooling).fit(train)
        named[f"layer={layer!r}, pooling={pooling!r}"] = model.transform(train), model.transform(test)
    print("  ELMo, {}: {:.3f} by cross-validation, {:.3f} on the test".format(
        *accuracies(named, labels, test_labels)), flush=True)  # fmt: skip
    named = {}
    for n_passes in (5, 20):
        for pooling in ("mean", ["mean", "max"]):
            model = Word2VecVectorizer(
                QUESTIONS["embedding_dim"], min_count=2, max_iter=n_passes, pooling=pooling, lowercase=False,
                subsample=1e-2, random_state=0,
            ).fit(train)  # fmt: skip
            named[f"max_iter={n_passes}, pooling={pooling!r}"] = model.transform(train), model.transform(test)
    print("  skip-gram, {}: {:.3f} by cross-validation, {:.3f} on the test".format(
        *accuracies(named, labels, test_labels)), flush=True)  # fmt: skip


def translation(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "text"))
    from test_train_cove import nearest_has_the_sense
    from translations import sentence_pairs, word_vectors

    from skembed import ContextualVectorizer
    from skembed.text import cove_translate, train_cove

    source, target, _ = sentence_pairs(1000, 0)
    new, expected, senses = sentence_pairs(500, 2)
    settings = {"hidden_size": 48, "max_iter": 20, "learning_rate": 1e-2, "dropout": 0.1}
    begin = time.process_time()
    report = train_cove(source, target, word_vectors(), folder / "cove", random_state=0, **settings)
    print(f"translation: train_cove({settings}) on {len(source)} pairs, validation score "
          f"{max(report.validation_scores):.3f}, {time.process_time() - begin:.0f} s of processor time")  # fmt: skip
    translated = cove_translate(folder / "cove", new)
    pairs = [pair for one, words in zip(translated, expected) for pair in zip([*one, *[""] * 9], words.split())]
    whole = np.mean([one == words.split() for one, words in zip(translated, expected)])
    print(f"  {len(new)} other pairs: words right {np.mean([a == b for a, b in pairs]):.4f}, sentences {whole:.3f}")
    for layer in (0, 1, -1):
        found = ContextualVectorizer(folder / "cove", layer=layer).embed_tokens(new)
        vectors = np.array([one.vectors[place] for one, (place, _, _) in zip(found, senses)])
        print(
            f"  layer {layer}: nearest other occurrence has the same sense {nearest_has_the_sense(vectors, senses):.3f}"
        )


@torch.inference_mode()
def plain_loop(net, documents: list[list[str]], batch_size: int = 32) -> list[np.ndarray]:
    from skembed.apply.characters import character_ids

    found = []
    for start in range(0, len(documents), batch_size):
        batch = documents[start : start + batch_size]
        order = sorted(range(len(batch)), key=lambda i: -len(batch[i]))
        n_steps = len(batch[order[0]]) + 2
        padded = [["<S>", *batch[i], "</S>"] + ["</S>"] * (n_steps - len(batch[i]) - 2) for i in order]
        characters = torch.as_tensor(np.stack([character_ids(words, 50) for words in padded])).long()
        x = net.tokens(characters.flatten(0, 1)).unflatten(0, characters.shape[:2])
        layers, _ = net.layers(x, torch.tensor([len(batch[i]) + 2 for i in order]))
        for row, i in enumerate(np.argsort(order)):
            found.append(layers[-1][i, 1 : 1 + len(batch[row])].numpy())
    return found


def speed(folder: Path) -> None:
    from skembed import ContextualVectorizer
    from skembed.apply.elmo_directory import ElmoOptions, write_elmo_weights
    from skembed.apply.nets.elmo import ElmoNet

    torch.set_num_threads(2)
    options = ElmoOptions(**PUBLISHED)
    net = ElmoNet.random(options, torch.Generator().manual_seed(0)).requires_grad_(False)
    (folder / "published").mkdir()
    (folder / "published" / "options.json").write_text(json.dumps(options.as_json()))
    write_elmo_weights(folder / "published" / "weights.hdf5", net.arrays(), (np.zeros((1, 128)), np.zeros(1)))
    documents = nnlm.read_lines()[:48]
    vectorizer = ContextualVectorizer(folder / "published", dtype="float32", device="cpu").fit(documents)
    times: dict[str, list[float]] = {"ContextualVectorizer": [], "plain loop": []}
    for _ in range(3):
        begin = time.perf_counter()
        ours = vectorizer.embed_tokens(documents)
        times["ContextualVectorizer"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        plain = plain_loop(net, documents)
        times["plain loop"].append(time.perf_counter() - begin)
    far = max(float(np.abs(a.vectors - b).max()) for a, b in zip(ours, plain))
    n_words = sum(map(len, documents))
    print(f"speed: {len(documents)} lines with {n_words} words, 2 threads, medians of 3 in turns")
    for name, seconds in times.items():
        print(f"  {name:22s} {n_words / statistics.median(seconds):7.0f} words/s")
    ratio = statistics.median(p / o for o, p in zip(times["ContextualVectorizer"], times["plain loop"]))
    print(f"  ratio {ratio:.2f}; vectors differ by at most {far:.1e}")


def wikipedia(folder: Path) -> None:
    """Learn an ELMo from running text, for the senses of benchmarks/contextual.py."""
    from skembed.text import train_elmo

    with gzip.open(DATA / "wikipedia_en_100MB.txt.gz", "rt", encoding="utf-8") as file:
        words = file.read(8 * N_WORDS).split()[:N_WORDS]
    pieces = [words[begin : begin + PIECE] for begin in range(0, len(words), PIECE)]
    begin = time.process_time()
    train_elmo(pieces, folder, random_state=0, callbacks=Passes(), **WIKIPEDIA)
    print(
        f"wikipedia: {len(words)} words, train_elmo({WIKIPEDIA}), {time.process_time() - begin:.0f} s of processor time"
    )


PARTS: dict[str, Any] = {"perplexity": perplexity, "trec": trec, "translation": translation, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--lines", type=int, help="of wikitext, for perplexity; all by default")
    parser.add_argument("--wikipedia", type=Path, help="learn from running text, and nothing else")
    options = parser.parse_args()
    print(describe("torch", "h5py", "scikit-learn"), flush=True)
    if options.wikipedia is not None:
        return wikipedia(options.wikipedia)
    for name in options.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder), **({"n_lines": options.lines} if name == "perplexity" else {}))


if __name__ == "__main__":
    main()
