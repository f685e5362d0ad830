"""train_elmo: what it learns and writes, its perplexity by hand, Ctrl-C, seeds, and what it refuses."""

import json
import pickle
import shutil
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skembed
from skembed import ContextualVectorizer
from skembed.apply.contextual_model import ModelOptions, open_contextual_model
from skembed.apply.elmo_directory import read_elmo_directory, read_elmo_weights, read_output_weights
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import elmo_perplexity, train_elmo
from skembed.text._model_training import steps_of
from skembed.training.language_model import cut_sentences

pytest.importorskip("h5py")
torch = pytest.importorskip("torch")
language_model = pytest.importorskip("skembed.training.nets.language_model")
TEXTS = made_up_documents()[:60]
SMALL = {"embedding_dim": 8, "max_iter": 1, "random_state": 0, "min_count": 1}


class Passes:
    """Counts passes, and does something at the end of one of them."""

    def __init__(self, at=0, what=None):
        self.at, self.what, self.begun, self.seen = at, what, 0, []

    def begin_pass(self):
        self.begun += 1

    def end_pass(self, loss, score=None):
        self.seen.append((loss, score))
        return self.what() if self.what is not None and len(self.seen) == self.at else False


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made") / "elmo"
    return train_elmo(TEXTS, directory, **SMALL)


def test_without_h5py_nothing_is_read(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'pip install "skembed\[elmo\]"'):
        train_elmo((pytest.fail("a document was read") for _ in range(1)), tmp_path / "elmo", **SMALL)
    assert not (tmp_path / "elmo").exists()


def test_a_directory_is_written_that_the_vectorizer_reads(trained):
    assert sorted(file.name for file in trained.directory.iterdir()) == [
        "options.json", "vocabulary.txt", "weights.hdf5",
    ]  # fmt: skip
    options = json.loads((trained.directory / "options.json").read_text())
    assert options["lstm"]["projection_dim"] == 4
    assert options["char_cnn"]["n_characters"] == 262
    assert len(trained.loss_curve) == len(trained.validation_scores) == trained.n_iter == 1
    vectorizer = ContextualVectorizer(trained.directory, layer=[0, -1]).fit(TEXTS)
    assert vectorizer.transform(["never seen before", ""]).shape == (2, 16)
    found = vectorizer.embed_tokens(["my wedding ring"])[0]
    assert found.tokens == ["my", "wedding", "ring"]


def test_the_order_of_words_is_learned_in_both_directions(tmp_path):
    rng = np.random.default_rng(0)
    after = {f"a{i}": f"b{i}" for i in range(4)}
    texts = [" ".join(part for a in rng.choice(list(after), 4) for part in (a, after[a])) for _ in range(200)]
    settings = {
        "embedding_dim": 16,
        "n_layers": 1,
        "batch_size": 8,
        "max_iter": 8,
        "learning_rate": 1e-2,
        "dropout": 0.0,
    }
    train_elmo(texts[50:], tmp_path / "elmo", random_state=0, **settings)
    # of 9 words 4 are one of 4 and the others certain: 4 ** (4 / 9) = 1.85; frequencies alone give 8
    for perplexity in elmo_perplexity(tmp_path / "elmo", texts[:50]):
        assert 1.8 < perplexity < 3.3


def test_few_texts_are_learned_from_by_default(tmp_path):
    """Five passes of two steps of 32 texts each learned nothing: 9.5, as frequencies give."""
    rng = np.random.default_rng(0)
    after = {f"a{i}": f"b{i}" for i in range(4)}
    texts = [" ".join(part for a in rng.choice(list(after), 4) for part in (a, after[a])) for _ in range(110)]
    train_elmo(texts[:60], tmp_path / "elmo", embedding_dim=16, n_layers=1, random_state=0)
    for perplexity in elmo_perplexity(tmp_path / "elmo", texts[60:]):
        assert perplexity < 6


@pytest.mark.parametrize(
    ("n_texts", "batch_size", "max_iter", "expected"),
    [
        (20, "auto", "auto", (4, 50)),
        (200, "auto", "auto", (8, 20)),
        (1000, "auto", "auto", (32, 16)),
        (5000, "auto", "auto", (32, 5)),
        (200, 32, "auto", (32, 50)),
        (50_000, 512, "auto", (512, 6)),
        (200, "auto", 3, (8, 3)),
        (7, 9, 2, (9, 2)),
        (0, "auto", "auto", (4, 50)),
    ],
)
def test_few_texts_have_small_batches_and_more_passes(n_texts, batch_size, max_iter, expected):
    assert steps_of(n_texts, batch_size, max_iter, 5) == expected


def test_the_learning_rate_falls_in_a_straight_line_over_all_steps(tmp_path, monkeypatch):
    rates = []

    class Optimizer(language_model.FlatAdamW):
        def step(self):
            rates.append(self.learning_rate)
            super().step()

    monkeypatch.setattr(language_model, "FlatAdamW", Optimizer)
    train_elmo(TEXTS, tmp_path / "elmo", **SMALL | {"max_iter": 3, "learning_rate": 0.01, "batch_size": 16})
    np.testing.assert_allclose(rates, 0.01 * np.maximum(1 - np.arange(len(rates)) / len(rates), 0.05))


def test_perplexity_is_that_of_the_formula(trained):
    model = open_contextual_model(trained.directory, ModelOptions(torch.device("cpu")))
    words = (trained.directory / "vocabulary.txt").read_text().split("\n")[:-1]
    directory = read_elmo_directory(trained.directory)
    weight, bias = read_output_weights(directory, len(words))
    texts = [TEXTS[0], "", f"{TEXTS[1]} neverseen"]
    sums, n_events = np.zeros(2), 0
    for text in texts:
        tokens = text.split()
        if not tokens:
            continue
        # the states of the marks themselves, too: the net behind the model is asked
        from skembed.apply.characters import character_ids

        net = model._net
        padded = ["<S>", *tokens, "</S>"]
        x = net.tokens(torch.as_tensor(character_ids(padded, 50)).long())[None]
        left, right = np.split(
            net.layers(x, torch.tensor([len(padded)]))[0][-1][0].detach().double().numpy(), 2, axis=1
        )
        rows = [words.index(token) if token in words else 2 for token in padded]
        for i in range(len(padded) - 1):
            for direction, (state, row) in enumerate([(left[i], rows[i + 1]), (right[i + 1], rows[i])]):
                scores = weight @ state + bias
                sums[direction] += scores[row] - np.log(np.exp(scores).sum())
        n_events += len(padded) - 1
    np.testing.assert_allclose(elmo_perplexity(trained.directory, texts), np.exp(-sums / n_events), rtol=1e-4)
    with pytest.raises(ValueError, match="docs hold no word"):
        elmo_perplexity(trained.directory, [""])


def test_the_same_seed_gives_the_same_files(trained, tmp_path):
    state = torch.get_rng_state()
    train_elmo(iter(TEXTS), tmp_path / "second", **SMALL)
    train_elmo(TEXTS, tmp_path / "third", **SMALL | {"random_state": 1})
    assert torch.equal(state, torch.get_rng_state())
    for file in trained.directory.iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()
    assert (tmp_path / "third" / "weights.hdf5").read_bytes() != (trained.directory / "weights.hdf5").read_bytes()


def test_ctrl_c_keeps_what_was_learned_and_before_the_first_pass_writes_nothing(tmp_path):
    with pytest.warns(UserWarning, match="interrupted in pass 3; kept the best state of 2"):
        report = train_elmo(TEXTS, tmp_path / "kept", callbacks=Passes(2, interrupt), **SMALL | {"max_iter": 5})
    assert report.n_iter == 2
    assert elmo_perplexity(tmp_path / "kept", TEXTS).forward < 1000
    passes = Passes()
    passes.begin_pass = interrupt
    with pytest.raises(KeyboardInterrupt):
        train_elmo(TEXTS, tmp_path / "none", callbacks=passes, **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_callbacks_hear_of_passes_and_may_stop(tmp_path):
    passes = Passes(2, lambda: True)
    report = train_elmo(TEXTS, tmp_path / "elmo", callbacks=passes, **SMALL | {"max_iter": 5})
    assert passes.begun == report.n_iter == 2
    assert [loss for loss, _ in passes.seen] == report.loss_curve
    assert [score for _, score in passes.seen] == report.validation_scores


def test_a_loss_that_is_not_finite_leaves_finite_weights(tmp_path):
    with pytest.warns(ConvergenceWarning, match="is not finite"):
        train_elmo(TEXTS, tmp_path / "elmo", **SMALL | {"learning_rate": 1e30, "max_iter": 3})
    weights = read_elmo_weights(read_elmo_directory(tmp_path / "elmo"))
    assert all(np.isfinite(weight).all() for weight in weights.values())


def test_rare_words_are_one_and_words_that_are_no_line_of_a_file_too(tmp_path):
    docs = [["new york", "a", "a\nb", " c", "rare"], ["new york", "a", "a\nb", " c", "<UNK>", "</S>"], ["b"]]
    train_elmo(docs, tmp_path / "elmo", **SMALL | {"min_count": 2, "early_stopping": False})
    assert (tmp_path / "elmo" / "vocabulary.txt").read_text() == "<S>\n</S>\n<UNK>\nnew york\na\n"
    train_elmo(docs, tmp_path / "one", **SMALL | {"max_features": 1})
    assert (tmp_path / "one" / "vocabulary.txt").read_text().split("\n")[3:] == ["new york", ""]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"embedding_dim": 7}, "embedding_dim=7, expected an even number"),
        ({"embedding_dim": 0}, "'embedding_dim' parameter of train_elmo"),
        ({"n_layers": 0}, "'n_layers'"),
        ({"dropout": 1.0}, "'dropout'"),
        ({"validation_fraction": 1}, "'validation_fraction'"),
        ({"n_samples": "some"}, "'n_samples'"),
        ({"max_iter": 1.5}, "'max_iter'"),
        ({"batch_size": "all"}, "'batch_size'"),
        ({"device": "no such"}, "device is 'no such'"),
        ({"min_count": 10**6}, "docs hold no word that occurs min_count=1000000 times"),
    ],
)
def test_parameters_out_of_range_are_named_and_nothing_is_written(tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        train_elmo(TEXTS, tmp_path / "elmo", **SMALL | parameters)
    assert not list(tmp_path.iterdir())


def test_docs_have_to_be_texts_with_words(tmp_path):
    with pytest.raises(ValueError, match="docs hold no word"):
        train_elmo(["", []], tmp_path / "elmo")
    with pytest.raises(TypeError, match="got the single str"):
        train_elmo("a text", tmp_path / "elmo")
    with pytest.raises(TypeError, match="document 1 of X must be a string"):
        train_elmo(["a", None], tmp_path / "elmo")


@pytest.mark.parametrize("embedding_dim", [2, 382, 384, 1024])
def test_other_readers_find_a_projection_to_fewer_components(tmp_path, embedding_dim):
    train_elmo(["a b c"], tmp_path / "elmo", n_layers=1, **SMALL | {"embedding_dim": embedding_dim})
    options = read_elmo_directory(tmp_path / "elmo").options
    assert options.n_filters > options.projection_dim == embedding_dim // 2
    assert {"CNN_proj/W_proj", "RNN_1/RNN/MultiRNNCell/Cell0/LSTMCell/W_P_0"} < set(options.shapes())


def test_what_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "empty").mkdir()
    train_elmo(["a b"], tmp_path / "empty", **SMALL)
    with pytest.raises(FileExistsError, match="empty' is there already, and not empty"):
        train_elmo(TEXTS, tmp_path / "empty", **SMALL)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file' is there already"):
        train_elmo(TEXTS, tmp_path / "file", **SMALL)
    with pytest.raises(FileNotFoundError, match="is to lie in"):
        train_elmo(TEXTS, tmp_path / "no" / "elmo", **SMALL)


def test_a_directory_that_cannot_be_filled_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OSError("disk full")

    monkeypatch.setattr("skembed.text._elmo.write_elmo_weights", full)
    with pytest.raises(OSError, match="disk full"):
        train_elmo(TEXTS, tmp_path / "elmo", **SMALL)
    assert not list(tmp_path.iterdir())


def test_perplexity_needs_what_train_elmo_wrote(trained, tmp_path):
    copy = shutil.copytree(trained.directory, tmp_path / "copy")
    (copy / "vocabulary.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"vocabulary\.txt begins with"):
        elmo_perplexity(copy, TEXTS)
    (copy / "vocabulary.txt").write_text("<S>\n</S>\n<UNK>\na\n")
    with pytest.raises(ValueError, match=r"weight 'softmax/W' has shape .* expected \(4, 4\)"):
        elmo_perplexity(copy, TEXTS)
    (copy / "vocabulary.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"vocabulary\.txt is missing"):
        elmo_perplexity(copy, TEXTS)


def test_pieces_hold_each_pair_of_neighbours_once():
    rng = np.random.default_rng(0)
    for _ in range(20):
        indptr = np.concatenate([[0], np.cumsum(rng.integers(3, 30, 8))])
        which = rng.random(8) < 0.7
        longest = int(rng.integers(2, 12))
        starts, stops = cut_sentences(indptr, which, longest)
        assert (stops - starts <= longest).all()
        found = [pair for a, b in zip(starts, stops) for pair in zip(range(a, b - 1), range(a + 1, b))]
        kept = [(a, b) for (a, b), use in zip(pairwise(indptr), which) if use]
        assert found == [pair for a, b in kept for pair in zip(range(a, b - 1), range(a + 1, b))]


def test_no_warning_in_a_plain_run(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_elmo(["a single text of words"], tmp_path / "elmo", **SMALL)


@pytest.mark.parametrize("layer", [0, "mean", "mix"])
def test_the_vectorizer_with_it_is_cloned_pickled_and_saved_by_its_path(trained, tmp_path, layer):
    vectorizer = ContextualVectorizer(trained.directory, layer=layer, pooling=["mean", "max"])
    rows = vectorizer.fit_transform(TEXTS)
    pickled = pickle.dumps(vectorizer)
    assert len(pickled) < 20_000
    skembed.save(vectorizer, tmp_path / "saved")
    for other in (clone(vectorizer), pickle.loads(pickled), skembed.load(tmp_path / "saved")):
        np.testing.assert_allclose(other.transform(TEXTS[::-1]), rows[::-1], atol=1e-6)
    assert rows.shape == (len(TEXTS), 16)
    assert np.isfinite(rows).all()


def test_layer_norm_of_the_mix_is_over_a_document_by_itself(trained):
    parameters = {"weights": [-np.inf, -np.inf, 0.0], "layer_norm": True}
    vectorizer = ContextualVectorizer(trained.directory, layer="mix", mix_params=parameters)
    top = ContextualVectorizer(trained.directory, layer=-1)
    for found, plain in zip(vectorizer.embed_tokens(TEXTS[:4]), top.embed_tokens(TEXTS[:4])):
        expected = (plain.vectors - plain.vectors.mean()) / plain.vectors.std()
        np.testing.assert_allclose(found.vectors, expected, atol=1e-4)
