"""The trainer of sequences: what decides its bits, what it learns, and how it stops."""

import itertools
import pickle
import signal
import threading

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from trainers import train_sequences

from skembed.data.ragged import Ragged
from skembed.kernels.local_ids import keep_thresholds
from skembed.training.sequences import TRAINING, SequenceSettings, SequenceTables, uniform_vectors
from skembed.training.shards import FitShard, TokenShard, target_source

# cuts small corpora as large ones are: several shards a round, many rounds a pass
MANY_ROUNDS = {"n_shards": 4, "tokens_per_shard": 300}
KINDS = list(itertools.product(["skip-gram", "cbow"], ["negative-sampling", "hierarchical-softmax"]))


def topics(n_sequences=300, length=20, n_topics=4, keys_per_topic=10, seed=0):
    """Sequences that each stay within the keys of one topic: keys of a topic should come to lie together."""
    generator = np.random.default_rng(seed)
    topic = generator.integers(n_topics, size=n_sequences)
    ids = topic[:, None] * keys_per_topic + generator.integers(keys_per_topic, size=(n_sequences, length))
    return ids.astype(np.int32).ravel(), np.arange(length, n_sequences * length + 1, length)


def chunked(ids, ends, sequences_per_chunk):
    bounds = [0, *ends[sequences_per_chunk - 1 :: sequences_per_chunk].tolist()]
    if bounds[-1] != len(ids):
        bounds.append(len(ids))
    return [(ids[a:b], ends[(ends > a) & (ends <= b)] - a) for a, b in itertools.pairwise(bounds)]


def same_bits(a, b):
    return a.input.tobytes() == b.input.tobytes() and a.output.tobytes() == b.output.tobytes() and a[2] == b[2]


@pytest.mark.parametrize(("architecture", "loss"), KINDS)
class TestSameBits:
    def train(self, chunks, counts, architecture, loss, **changes):
        settings = {"embedding_dim": 12, "subsample": 1e-2, "max_iter": 2, "seed": 5} | MANY_ROUNDS | changes
        return train_sequences(chunks, counts, architecture=architecture, loss=loss, **settings)

    def test_for_any_number_of_workers(self, architecture, loss):
        ids, ends = topics()
        one = self.train([(ids, ends)], np.bincount(ids), architecture, loss, n_jobs=1)
        for n_jobs in (None, 2, 3, 8):
            assert same_bits(one, self.train([(ids, ends)], np.bincount(ids), architecture, loss, n_jobs=n_jobs))

    def test_for_any_chunks(self, architecture, loss):
        ids, ends = topics()
        one = self.train([(ids, ends)], np.bincount(ids), architecture, loss)
        for size in (1, 7, 100, 299):
            chunks = chunked(ids, ends, size)
            assert same_bits(one, self.train(chunks, np.bincount(ids), architecture, loss))
        assert same_bits(one, self.train([(ids.astype(np.int64), ends[:-1])], np.bincount(ids), architecture, loss))

    def test_for_the_same_seed_alone(self, architecture, loss):
        ids, ends = topics()
        state = np.random.get_state()[1].tolist()  # noqa: NPY002 - it must stay as it is
        first, again, other = (
            self.train([(ids, ends)], np.bincount(ids), architecture, loss, seed=seed) for seed in (5, 5, 6)
        )
        assert same_bits(first, again)
        assert not same_bits(first, other)
        assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_processes_give_the_same_bits():
    ids, ends = topics(60)
    settings = {"embedding_dim": 5, "max_iter": 1, "seed": 0, "subsample": 0} | MANY_ROUNDS
    one = train_sequences([(ids, ends)], np.bincount(ids), **settings)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert same_bits(one, train_sequences([(ids, ends)], np.bincount(ids), **settings))


@pytest.mark.parametrize(("architecture", "loss"), KINDS)
@pytest.mark.parametrize("cut", [{}, MANY_ROUNDS], ids=["one shard", "many rounds"])
def test_keys_of_a_topic_come_to_lie_together(architecture, loss, cut):
    ids, ends = topics()
    tables = train_sequences(
        [(ids, ends)], np.bincount(ids), embedding_dim=16, architecture=architecture, loss=loss, subsample=0,
        learning_rate=0.05, max_iter=10, seed=0, **cut,
    )  # fmt: skip
    unit = tables.input / np.linalg.norm(tables.input, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -1)
    assert (alike.argmax(axis=1) // 10 == np.arange(40) // 10).mean() > 0.9
    assert len(tables.loss_curve) == 10
    assert tables.loss_curve[-1] < 0.95 * tables.loss_curve[0]


@pytest.mark.parametrize(("architecture", "loss"), KINDS)
def test_a_key_that_is_everywhere_does_not_make_shards_diverge(architecture, loss):
    """All shards pull its rows to the same place; the plain sum of what they did goes far beyond it."""
    ids, ends = topics(3000)
    ids[::2] = 40
    settings = {
        "embedding_dim": 16,
        "architecture": architecture,
        "loss": loss,
        "subsample": 0,
        "seed": 0,
        "max_iter": 3,
        "tokens_per_shard": 8192,
    }
    together = train_sequences([(ids, ends)], np.bincount(ids), n_shards=4, **settings)
    alone = train_sequences([(ids, ends)], np.bincount(ids), n_shards=1, **settings)
    assert together.loss_curve[-1] < 2 * alone.loss_curve[-1]  # the sum: eight times or more


def test_windows_reach_over_negative_ids():
    ids = np.tile(np.array([0, -1, 1, -1, -1, 2], np.int32), 100)
    tables = train_sequences(
        [(ids, np.arange(3, 601, 3))], np.bincount(ids[ids >= 0]), embedding_dim=8, subsample=0, learning_rate=0.1,
        window=1, seed=0, max_iter=20,
    )  # fmt: skip
    products = tables.input @ tables.output.T
    assert min(products[0, 1], products[1, 0]) > 0
    assert max(products[0, 2], products[1, 2]) < 0


def test_windows_do_not_cross_sequences():
    ids = np.tile(np.array([0, 1, 2, 3], np.int32), 100)
    pairs = train_sequences(
        [(ids, np.arange(2, 401, 2))], np.bincount(ids), embedding_dim=8, subsample=0, learning_rate=0.1, seed=0,
        max_iter=20,
    )  # fmt: skip
    products = pairs.input @ pairs.output.T
    assert min(products[0, 1], products[1, 0], products[2, 3], products[3, 2]) > 0
    assert max(products[0, 2], products[0, 3], products[1, 2], products[1, 3]) < 0


def test_frozen_rows_stay_and_others_go_on_from_start():
    ids, ends = topics(100)
    generator = np.random.default_rng(0)
    begin = SequenceTables(generator.normal(size=(40, 6)).astype(np.float32), None, [])
    frozen = np.arange(40) < 20
    tables = train_sequences(
        [(ids, ends)], np.bincount(ids), embedding_dim=6, seed=0, subsample=0, start=begin, frozen=frozen
    )
    assert (tables.input[:20] == begin.input[:20]).all()
    assert (tables.input[20:] != begin.input[20:]).any(axis=1).all()
    assert tables.output.any()
    further = train_sequences(
        [(ids, ends)], np.bincount(ids), embedding_dim=6, seed=0, subsample=0, start=tables, max_iter=1,
        learning_rate=1e-5, min_learning_rate=1e-5,
    )  # fmt: skip
    np.testing.assert_allclose(further.output, tables.output, atol=0.05)
    assert begin.output is None


def test_loss_of_a_pass_is_comparable_and_the_same_for_other_cuts():
    ids, ends = topics(600)
    settings = {"embedding_dim": 8, "subsample": 0, "seed": 0, "learning_rate": 1e-6, "min_learning_rate": 1e-6}
    several = train_sequences([(ids, ends)], np.bincount(ids), max_iter=3, **MANY_ROUNDS, **settings).loss_curve
    longer = {"n_shards": 4, "tokens_per_shard": 3000}
    larger = train_sequences([(ids, ends)], np.bincount(ids), max_iter=3, **longer, **settings).loss_curve
    np.testing.assert_allclose(several, 6 * np.log(2), rtol=0.05)  # nothing learned: a coin for each label
    np.testing.assert_allclose(several, larger, rtol=0.05)


def test_on_pass_sees_the_tables_and_can_end_training():
    ids, ends = topics(50)
    seen, words = [], []
    tables = train_sequences(
        [(ids, ends)], np.bincount(ids), embedding_dim=4, seed=0, max_iter=5, progress=words.append,
        on_pass=lambda pass_, live: seen.append((pass_, live.input.copy(), len(live.loss_curve))) or pass_ == 2,
    )  # fmt: skip
    assert [(pass_, n) for pass_, _, n in seen] == [(0, 1), (1, 2), (2, 3)]
    assert (seen[-1][1] == tables.input).all()
    assert sum(words) == 3 * len(ids)


def test_ctrl_c_comes_out_when_all_threads_have_stopped():
    ids, ends = topics()
    n_threads = threading.active_count()
    reached = []

    def interrupt(pass_, tables):
        reached.append(tables)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_sequences(
            [(ids, ends)], np.bincount(ids), embedding_dim=4, seed=0, n_jobs=3, on_pass=interrupt, **MANY_ROUNDS
        )
    assert threading.active_count() == n_threads
    assert np.isfinite(reached[0].input).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_is_not_finite_ends_training_with_the_last_finite_tables(n_jobs):
    ids, ends = topics()
    with pytest.warns(ConvergenceWarning, match=r"Lower learning_rate=1e\+30"):
        tables = train_sequences(
            [(ids, ends)], np.bincount(ids), embedding_dim=4, seed=0, learning_rate=1e30, n_jobs=n_jobs, subsample=0,
            **MANY_ROUNDS,
        )  # fmt: skip
    assert np.isfinite(tables.input).all()
    assert np.isfinite(tables.output).all()


def test_nothing_to_learn_from():
    one_each = np.arange(4, dtype=np.int32), np.arange(1, 5)
    tables = train_sequences([one_each], np.ones(4), embedding_dim=3, seed=0, max_iter=2)
    assert tables.loss_curve == [0.0, 0.0]
    assert not tables.output.any()
    assert train_sequences([], np.ones(4), embedding_dim=3, seed=0, max_iter=1).loss_curve == [0.0]


def test_one_key_more_negatives_than_keys_and_windows_longer_than_sequences():
    ids, ends = np.zeros(100, np.int32), np.arange(10, 101, 10)
    tables = train_sequences([(ids, ends)], [100], embedding_dim=3, seed=0, subsample=0, negative=20, window=50)
    assert np.isfinite(tables.input).all()
    ids[::2] = 1
    tables = train_sequences([(ids, ends)], [50, 50], embedding_dim=3, seed=0, subsample=0, negative=20, window=50)
    assert np.isfinite(tables.input).all()


def test_counts_need_not_be_those_of_the_chunks():
    ids, ends = topics(50)
    for factor in (0.1, 10):
        tables = train_sequences([(ids, ends)], np.bincount(ids) * factor, embedding_dim=3, seed=0)
        assert np.isfinite(tables.input).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "glove"}, "architecture='glove'"),
        ({"loss": "softmax"}, "loss='softmax'"),
        ({"counts": np.ones(3)}, "the id 39, but counts has 3 rows"),
        ({"chunks": [(np.zeros(5, np.int32), np.array([4, 2]))]}, "must ascend"),
        ({"start": SequenceTables(np.ones((40, 3)), None, [])}, r"start.input has shape \(40, 3\), but \(40, 4\)"),
        ({"start": SequenceTables(np.ones((40, 4)), np.ones((2, 4)), [])}, "start.output has shape"),
        ({"start": SequenceTables(np.full((40, 4), np.nan), None, [])}, "NaN or inf in row 0"),
    ],
)
def test_errors_name_what_is_wrong(changes, message):
    ids, ends = topics(50)
    arguments = {"chunks": [(ids, ends)], "counts": np.bincount(ids), "embedding_dim": 4, "seed": 0} | changes
    with pytest.raises(ValueError, match=message):
        train_sequences(**arguments)


def test_a_learning_rate_below_the_smallest_is_taken_as_it_is():
    ids, ends = topics(50)
    settings = {"embedding_dim": 8, "subsample": 0, "max_iter": 1, "seed": 0}
    start = train_sequences([(ids, ends)], np.bincount(ids), **settings)
    found = train_sequences([(ids, ends)], np.bincount(ids), start=start, learning_rate=1e-9, **settings)
    np.testing.assert_allclose(found.input, start.input, atol=1e-6)


def test_buffers_do_not_travel_in_a_pickle():
    ids, ends = topics(50)
    counts = np.bincount(ids)
    settings = SequenceSettings(100, architecture="cbow", window=2, negative=2)
    fit = FitShard(settings, keep_thresholds(counts, 0), target_source(counts, settings), 1000, np.zeros(40, bool))
    tables = np.ones((40, 100), np.float32), np.ones((40, 100), np.float32)
    shard = TokenShard(ids, ends, 0.1, 0)
    first, report = fit(tables, shard, (1,))
    first = [[array.copy() for array in deltas[:3]] for deltas in first]
    copy = pickle.loads(pickle.dumps(fit))
    assert len(pickle.dumps(fit)) < 20_000
    again, report_again = copy(tables, shard, (1,))
    assert report == report_again
    for a, b in zip(first, again):
        assert all((x[: len(a[0])] == y[: len(a[0])]).all() for x, y in zip(a, b))
    assert (tables[0] == 1).all()


@pytest.fixture
def seeds(monkeypatch):
    """The seed of each shard that is learned, and behind it the shard's index."""
    learn, seeds = FitShard.__call__, []

    def learn_and_tell(self, tables, shard, seed):
        seeds.append((*seed, shard.shard_index))
        return learn(self, tables, shard, seed)

    monkeypatch.setattr(FitShard, "__call__", learn_and_tell)
    return seeds


def places(seeds):
    """Expected seeds of two passes of as many rounds as there were, of as many shards."""
    n_rounds, n_shards = (1 + max(column) for column in zip(*(seed[3:5] for seed in seeds)))
    places = itertools.product(range(2), range(n_rounds), range(n_shards))
    return n_rounds, n_shards, [(5, TRAINING, *place, place[-1]) for place in places]


def test_each_shard_has_the_seed_of_its_place(seeds):
    ids, ends = topics(240)  # four rounds of four shards
    train_sequences([(ids, ends)], np.bincount(ids), embedding_dim=4, max_iter=2, seed=5, **MANY_ROUNDS)
    assert (4, 4, seeds) == places(seeds)


def test_small_corpora_are_learned_one_shard_after_another(seeds):
    ids, ends = topics(240)
    train_sequences([(ids, ends)], np.bincount(ids), embedding_dim=4, max_iter=2, seed=5)
    assert (5, 1, seeds) == places(seeds)  # 4800 tokens, 1024 a shard


def test_sequences_without_any_key_leave_the_vectors_as_they_begin():
    chunks = [(np.full(6, -1, np.int32), np.array([3, 6]))]
    tables = train_sequences(
        chunks, np.zeros(2, np.int64), embedding_dim=4, loss="hierarchical-softmax", max_iter=1, seed=0
    )
    assert tables.input.tobytes() == uniform_vectors(2, 4, 0).tobytes()
    assert tables.loss_curve == [0.0]


# ------------------------------------------------------------------------------------------- vectors of documents

DOCUMENT_MODELS = [{"window": 0}, {}, {"architecture": "cbow"}]


@pytest.mark.parametrize("model", DOCUMENT_MODELS, ids=["alone", "skip-gram", "cbow"])
class TestDocuments:
    def train(self, chunks, ids, n_documents, model, **changes):
        settings = {"embedding_dim": 12, "subsample": 0, "max_iter": 2, "seed": 5} | MANY_ROUNDS | model | changes
        return train_sequences(chunks, np.bincount(ids), n_documents=n_documents, **settings)

    def test_same_bits_for_any_workers_and_chunks(self, model):
        ids, ends = topics()
        one = self.train([(ids, ends)], ids, 300, model)
        assert one.input.shape == (340, 12)
        for changes in ({"n_jobs": 2}, {"n_jobs": 5}):
            assert same_bits(one, self.train([(ids, ends)], ids, 300, model, **changes))
        for size in (1, 7, 299):
            assert same_bits(one, self.train(chunked(ids, ends, size), ids, 300, model))

    @pytest.mark.parametrize("cut", [{"n_shards": None, "tokens_per_shard": None}, {}], ids=["one shard", "many"])
    def test_documents_of_a_topic_come_to_lie_together(self, model, cut):
        ids, ends = topics()
        tables = self.train([(ids, ends)], ids, 300, model, max_iter=30, learning_rate=0.05, **cut)
        documents = tables.input[40:] - tables.input[40:].mean(axis=0)
        unit = documents / np.linalg.norm(documents, axis=1, keepdims=True)
        alike = unit @ unit.T
        np.fill_diagonal(alike, -1)
        topic = ids[::20] // 10
        # the words around a word leave little for the document to tell; by chance it were a quarter
        least = 0.6 if model.get("architecture") == "cbow" else 0.9
        assert (topic[alike.argmax(axis=1)] == topic).mean() > least
        assert tables.loss_curve[-1] < 0.95 * tables.loss_curve[0]

    def test_only_documents_with_words_move_and_each_by_its_own_words(self, model):
        """Empty sequences are counted, at the beginning, within and at the end of chunks, and between them."""
        words = {1: [0, 1], 4: [2], 5: [0, 0, 1, 2]}
        lengths = np.array([len(words.get(i, ())) for i in range(8)])
        ids, ends = np.concatenate([*map(np.int32, words.values())]), np.cumsum(lengths)
        start = uniform_vectors(3 + 8, 12, 5)
        parts = [(ids[:2], ends[:3]), (ids[:0], ends[:1]), (ids[2:], ends[4:] - 2)]
        for chunks in ([(ids, ends)], parts):
            tables = self.train(chunks, ids, 8, model)
            moved = (tables.input[3:] != start[3:]).any(axis=1)
            assert np.flatnonzero(moved).tolist() == sorted(words)


def test_a_document_that_a_shard_cuts_is_one():
    """All shards of a round move its vector towards its words, as one shard does."""
    ids = np.tile(np.array([0, 1], np.int32), 600)
    ids = np.concatenate([ids, ids + 2])
    chunks, counts = [(ids, np.array([1200, 2400]))], np.bincount(ids)
    tables = train_sequences(
        chunks, counts, n_documents=2, window=0, embedding_dim=8, subsample=0, max_iter=3, learning_rate=0.1, seed=0,
        n_shards=4, tokens_per_shard=250,
    )  # fmt: skip
    products = tables.input[4:] @ tables.output.T
    assert products[0, :2].min() > products[0, 2:].max() + 1
    assert products[1, 2:].min() > products[1, :2].max() + 1


def test_words_alone_are_not_moved_where_documents_alone_predict():
    ids, ends = topics(50)
    tables = train_sequences([(ids, ends)], np.bincount(ids), n_documents=50, window=0, embedding_dim=4, seed=0)
    assert (tables.input[:40] == uniform_vectors(90, 4, 0)[:40]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_documents": 49}, "more than n_documents=49 sequences"),
        ({"window": 0, "n_documents": 0}, "window=0, expected at least 1, or 0 and vectors of documents"),
        ({"window": -1}, "window=-1"),
        ({"subword_rows": Ragged(np.arange(41), np.arange(40))}, "without subword_rows"),
    ],
)
def test_errors_of_documents_name_what_is_wrong(changes, message):
    ids, ends = topics(50)
    arguments = {"embedding_dim": 4, "seed": 0, "n_documents": 50} | changes
    with pytest.raises(ValueError, match=message):
        train_sequences([(ids, ends)], np.bincount(ids), **arguments)
