"""train_cove: pairs with a known dictionary, senses in the encoder, attention by hand, Ctrl-C, seeds, and refusals."""

import os
import pickle

import numpy as np
import pytest
from translations import AMBIGUOUS, sentence_pairs, word_vectors

from skembed import ContextualVectorizer, EmbeddingTable
from skembed.text import cove_translate, train_cove

torch = pytest.importorskip("torch")
translator = pytest.importorskip("skembed.training.nets.translator")
SOURCE, TARGET, _ = sentence_pairs(60, 3)
VECTORS = word_vectors(8)
SMALL = {"hidden_size": 4, "max_iter": 1, "random_state": 0}


class Passes:
    def __init__(self, at, what):
        self.at, self.what, self.seen = at, what, []

    def begin_pass(self):
        pass

    def end_pass(self, loss, score=None):
        self.seen.append((loss, score))
        return self.what() if len(self.seen) == self.at else False


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made") / "cove"
    return train_cove(SOURCE, TARGET, VECTORS, directory, **SMALL)


def nearest_has_the_sense(vectors, senses):
    """Of each occurrence, the nearest other one of the same word: the share that has the same sense."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for word in AMBIGUOUS:
        which = [i for i, (_, of, _) in enumerate(senses) if of == word]
        similar = vectors[which] @ vectors[which].T
        np.fill_diagonal(similar, -np.inf)
        sense = np.array([senses[i][2] for i in which])
        found += list(sense[similar.argmax(axis=1)] == sense)
    return np.mean(found)


@pytest.mark.slow
@pytest.mark.skipif("SKEMBED_LONG_TESTS" not in os.environ, reason="a minute or more; SKEMBED_LONG_TESTS=1 runs it")
def test_translation_is_learned_and_senses_part(tmp_path):
    source, target, _ = sentence_pairs(1000, 0)
    new, expected, senses = sentence_pairs(150, 1)
    train_cove(
        source, target, word_vectors(), tmp_path / "cove", hidden_size=48, max_iter=20, learning_rate=1e-2, dropout=0.1,
        random_state=0,
    )  # fmt: skip
    translated = cove_translate(tmp_path / "cove", new)
    pairs = [pair for one, words in zip(translated, expected) for pair in zip([*one, *[""] * 9], words.split())]
    assert np.mean([a == b for a, b in pairs]) > 0.95
    of_layer = []
    for layer in (0, -1):
        found = ContextualVectorizer(tmp_path / "cove", layer=layer).embed_tokens(new)
        vectors = np.array([one.vectors[place] for one, (place, _, _) in zip(found, senses)])
        of_layer.append(nearest_has_the_sense(vectors, senses))
    assert of_layer[0] < 0.6  # given vectors do not know
    assert of_layer[1] > 0.8


def test_few_pairs_are_learned_from_by_default(tmp_path):
    """Ten passes of two steps of 32 pairs each came to a perplexity of 24."""
    sources, targets, _ = sentence_pairs(60, seed=0)
    report = train_cove(sources, targets, word_vectors(), tmp_path / "cove", n_layers=1, random_state=0)
    assert np.exp(-max(report.validation_scores)) < 10


def test_a_small_dictionary_is_learned(tmp_path):
    rng = np.random.default_rng(0)
    words = ["one", "two", "three", "four"]
    said = dict(zip(words, ["eins", "zwei", "drei", "vier"]))
    source = [list(rng.choice(words, rng.integers(1, 4))) for _ in range(300)]
    target = [[said[word] for word in reversed(sentence)] for sentence in source]
    table = EmbeddingTable(words, np.eye(4, dtype=np.float32))
    train_cove(source[40:], target[40:], table, tmp_path / "cove", hidden_size=12, n_layers=1, max_iter=10,
               learning_rate=2e-2, batch_size=16, dropout=0.0, random_state=0)  # fmt: skip
    found = cove_translate(tmp_path / "cove", source[:40])
    assert np.mean([a == b for a, b in zip(found, target[:40])]) > 0.9


def test_a_directory_is_written_that_the_vectorizer_reads(trained):
    assert sorted(file.name for file in trained.directory.iterdir()) == [
        "decoder.safetensors", "encoder.safetensors", "target_vocabulary.txt", "vectors.safetensors",
    ]  # fmt: skip
    assert len(trained.loss_curve) == len(trained.validation_scores) == trained.n_iter == 1
    vectorizer = ContextualVectorizer(trained.directory, layer=[0, -1]).fit(SOURCE)
    assert vectorizer.transform(["the ring never seen", ""]).shape == (2, 8 + 8)
    assert ContextualVectorizer(trained.directory).embed_tokens(["the ring"])[0].tokens == ["the", "ring"]


def test_the_decoder_is_that_of_the_formulas(trained):
    """Translate a sentence in plain numpy: Luong's general attention, input feeding, the likeliest word each time."""
    from safetensors.numpy import load_file

    weights = {name: a.astype(float) for name, a in load_file(trained.directory / "decoder.safetensors").items()}
    words = (trained.directory / "target_vocabulary.txt").read_text().split("\n")[:-1]
    encoder = load_file(trained.directory / "encoder.safetensors")
    net = torch.nn.LSTM(8, 4, num_layers=2, bidirectional=True)
    net.load_state_dict({name: torch.from_numpy(a) for name, a in encoder.items()})
    sentence = SOURCE[0]
    with torch.no_grad():
        out, (h, c) = net(torch.from_numpy(VECTORS.lookup(sentence.split()))[:, None])
    states, h, c = out[:, 0].double().numpy(), h[-2:].flatten().double().numpy(), c[-2:].flatten().double().numpy()
    fed, word, written = np.zeros(8), 0, []
    for _ in range(60):
        z = weights["of_word.weight"] @ weights["words"][word] + weights["of_word.bias"]
        i, f, g, o = np.split(z + weights["of_state.weight"] @ np.concatenate([fed, h]), 4)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        scores = states @ weights["ask.weight"].T @ h
        share = np.exp(scores - scores.max())
        read = share / share.sum() @ states
        fed = np.tanh(weights["answer.weight"] @ np.concatenate([read, h]) + weights["answer.bias"])
        word = int(np.argmax(weights["output"][:, :-1] @ fed + weights["output"][:, -1]))
        if word == 1:
            break
        written.append(words[word])
    assert cove_translate(trained.directory, ["", sentence]) == [[], written]
    assert cove_translate(trained.directory, ["", ""]) == [[], []]
    assert cove_translate(trained.directory, []) == []


def test_the_same_seed_gives_the_same_files(trained, tmp_path):
    state = torch.get_rng_state()
    train_cove(iter(SOURCE), iter(TARGET), VECTORS, tmp_path / "second", **SMALL)
    assert torch.equal(state, torch.get_rng_state())
    for file in trained.directory.iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()


def test_ctrl_c_keeps_what_was_learned_and_callbacks_may_stop(tmp_path):
    passes = Passes(2, interrupt)
    with pytest.warns(UserWarning, match="interrupted in pass 3; kept the best state of 2"):
        report = train_cove(SOURCE, TARGET, VECTORS, tmp_path / "kept", callbacks=passes, **SMALL | {"max_iter": 5})
    assert report.n_iter == 2
    assert [loss for loss, _ in passes.seen] == report.loss_curve
    passes = Passes(1, lambda: True)
    assert (
        train_cove(SOURCE, TARGET, VECTORS, tmp_path / "stopped", callbacks=passes, **SMALL | {"max_iter": 5}).n_iter
        == 1
    )
    passes.begin_pass = interrupt
    with pytest.raises(KeyboardInterrupt):
        train_cove(SOURCE, TARGET, VECTORS, tmp_path / "none", callbacks=passes, **SMALL)
    assert not (tmp_path / "none").exists()


def test_halves_that_are_empty_are_left_out_and_long_ones_cut(tmp_path):
    report = train_cove(
        ["the ring", "", "the"], ["a b c d", "x", []], VECTORS, tmp_path / "cove", max_length=3, **SMALL
    )
    assert (tmp_path / "cove" / "target_vocabulary.txt").read_text() == "<S>\n</S>\n<UNK>\na\nb\nc\n"
    assert report.validation_scores == []


@pytest.mark.parametrize(
    ("source", "target", "parameters", "message"),
    [
        (SOURCE[:3], TARGET[:2], {}, "source_texts has more sentences than target_texts, which ends after 2"),
        (SOURCE[:2], TARGET[:3], {}, "target_texts has more sentences than source_texts, which ends after 2"),
        (["", "a"], ["b", ""], {}, "hold no pair with words on both sides"),
        (["zzz yyy"], ["b"], {}, "vectors hold none of the words of source_texts, such as 'zzz', 'yyy'"),
        (SOURCE, TARGET, {"min_count": 10**6}, "no word that occurs min_count=1000000 times"),
        (SOURCE, TARGET, {"hidden_size": 0}, "'hidden_size' parameter of train_cove"),
        (SOURCE, TARGET, {"vectors": [[1.0]]}, "'vectors' parameter of train_cove"),
        (SOURCE, TARGET, {"device": "no such"}, "device is 'no such'"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path, source, target, parameters, message):
    given = {"vectors": VECTORS, "directory": tmp_path / "cove"} | SMALL | parameters
    with pytest.raises(ValueError, match=message):
        train_cove(source, target, **given)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_never_overwritten_and_files_are_named(trained, tmp_path):
    with pytest.raises(FileExistsError, match="is there already, and not empty"):
        train_cove(SOURCE, TARGET, VECTORS, trained.directory, **SMALL)
    with pytest.raises(FileNotFoundError, match=r"target_vocabulary\.txt is missing"):
        cove_translate(tmp_path, SOURCE)


def test_the_vectorizer_takes_given_vectors_and_says_which_layers_cannot_be_added_up(trained, tmp_path):
    other = EmbeddingTable(VECTORS.keys, -VECTORS.vectors)
    given = ContextualVectorizer(trained.directory, vectors=other, layer=0).fit(SOURCE)
    own = ContextualVectorizer(trained.directory, layer=0).fit(SOURCE)
    np.testing.assert_allclose(given.transform(SOURCE), -own.transform(SOURCE), atol=1e-6)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(given)).transform(SOURCE), given.transform(SOURCE), atol=1e-6)
    train_cove(SOURCE, TARGET, VECTORS, tmp_path / "wide", **SMALL | {"hidden_size": 5})
    with pytest.raises(ValueError, match="layer"):
        ContextualVectorizer(tmp_path / "wide", layer="mean").fit(SOURCE)
