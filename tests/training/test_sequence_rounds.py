"""Rounds of sequences: rates, seeds and losses of each, what is cut where, what is refused, and tables begun from."""

import itertools
import pickle
import re

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from trainers import train_sequences

from skembed.data.ragged import Ragged
from skembed.kernels.local_ids import keep_thresholds
from skembed.training import sequences
from skembed.training.sequence_settings import FEW_TOKENS, SequenceSettings, plan_rounds
from skembed.training.sequences import SequenceTables, checked_chunks, uniform_vectors
from skembed.training.shards import FitShard, Report, TokenShard, target_source
from skembed.training.subword_shards import FitSubwordShard, count_rows

IDS = np.random.default_rng(0).integers(20, size=1000).astype(np.int32)
ENDS = np.arange(10, 1001, 10)
COUNTS = np.bincount(IDS, minlength=20)
SUBWORDS = Ragged.from_ends(np.arange(40, dtype=np.int32) % 30, np.arange(2, 41, 2))


@pytest.fixture
def shards(monkeypatch):
    """What each shard was told and what it reported."""
    noted = []
    for kind in (FitShard, FitSubwordShard):

        def noting(self, tables, shard, seed, learn=kind.__call__):
            shard = shard._replace(tokens=shard.tokens.copy(), ends=shard.ends.copy())
            found = learn(self, tables, shard, seed)
            noted.append((shard, seed, found[1]))
            return found

        monkeypatch.setattr(kind, "__call__", noting)
    return noted


@pytest.mark.parametrize("subword_rows", [None, SUBWORDS], ids=["rows", "means"])
@pytest.mark.parametrize(("rate", "least"), [(0.2, 0.0), (0.2, 0.15), (0.1, 0.3)])
def test_the_rate_falls_in_a_straight_line_and_losses_are_means_of_what_was_read(subword_rows, rate, least, shards):
    done = []
    tables = train_sequences(
        [(IDS, ENDS)], COUNTS, embedding_dim=4, subsample=0, max_iter=3, learning_rate=rate, min_learning_rate=least,
        n_shards=3, tokens_per_shard=70, seed=9, subword_rows=subword_rows, progress=done.append,
    )  # fmt: skip
    per_round = 210
    sizes = [210, 210, 210, 210, 160] * 3
    assert done == sizes
    place, before = 0, 0
    losses = [[] for _ in range(3)]
    for pass_, (round_, size) in itertools.product(range(3), enumerate(sizes[:5])):
        expected = max(min(least, rate), rate * (1 - before / 3000))
        n_each = -(-size // 3)
        tokens = IDS[round_ * per_round : round_ * per_round + size]
        for index in range(3):
            shard, seed, report = shards[place]
            assert shard.learning_rate == pytest.approx(expected)
            assert shard.shard_index == index
            assert seed == (9, sequences.TRAINING, pass_, round_, index)
            np.testing.assert_array_equal(shard.tokens, tokens[index * n_each : (index + 1) * n_each])
            losses[pass_].append(report)
            place += 1
        before += size
    assert place == len(shards)
    for reports, found in zip(losses, tables.loss_curve):
        assert found == pytest.approx(sum(r.loss for r in reports) / sum(r.n_losses for r in reports))


def test_counts_above_what_there_is_let_the_rate_fall_less_and_below_no_more_than_a_pass(shards):
    for factor, reached in ((2, 0.5), (0.5, 1.0)):
        shards.clear()
        train_sequences([(IDS, ENDS)], COUNTS * factor, embedding_dim=4, subsample=0, max_iter=2, learning_rate=0.2,
                        min_learning_rate=0.0, n_shards=1, tokens_per_shard=100, seed=9)  # fmt: skip
        second = [shard.learning_rate for shard, seed, _ in shards if seed[2] == 0]
        assert second[-1] == pytest.approx(0.2 * (1 - min(0.9 / factor, 1.0) / 2))
        first_of_next = next(shard.learning_rate for shard, seed, _ in shards if seed[2] == 1)
        assert first_of_next == pytest.approx(0.1)
        assert reached


def test_sequences_that_a_cut_goes_through_go_on_in_the_next_shard(shards):
    ids = np.arange(12, dtype=np.int32)
    chunks = [(ids[:7], np.array([3, 3, 7])), (ids[7:], np.array([2, 5]))]
    train_sequences(chunks, np.ones(12, int), embedding_dim=2, subsample=0, max_iter=1, n_shards=1,
                    tokens_per_shard=4, n_documents=5, seed=0)  # fmt: skip
    found = [(s.tokens.tolist(), s.ends.tolist(), (s.documents - 12).tolist()) for s, _, _ in shards]
    assert found == [
        ([0, 1, 2, 3], [3, 3, 4], [0, 1, 2]),
        ([4, 5, 6, 7], [3, 4], [2, 3]),
        ([8, 9, 10, 11], [1, 4], [3, 4]),
    ]


def test_plans_of_rounds():
    settings = SequenceSettings(8)
    small, large = FEW_TOKENS - 1, FEW_TOKENS
    assert plan_rounds(large, settings, 8192) == (4, 8192)
    assert plan_rounds(small, settings, 8192) == (1, small // 64)
    assert plan_rounds(small, settings, 4096) == (1, 4096)
    assert plan_rounds(10, settings, 8192) == (1, 1024)
    assert plan_rounds(10, settings, 500) == (1, 500)
    given = SequenceSettings(8, n_shards=2, tokens_per_shard=7)
    assert plan_rounds(10, given, 8192) == plan_rounds(large, given, 8192) == (2, 7)


@pytest.mark.parametrize(("kind", "architecture", "n_tokens"), [
    (FitShard, "skip-gram", 8192), (FitShard, "cbow", 8192),
    (FitSubwordShard, "skip-gram", 8192), (FitSubwordShard, "cbow", 4096),
])  # fmt: skip
def test_shards_of_large_corpora_are_as_long_as_is_good_for_the_model(
    kind, architecture, n_tokens, monkeypatch, shards
):
    assert kind.tokens_per_shard[architecture] == n_tokens
    asked = []
    monkeypatch.setattr(sequences, "plan_rounds", lambda n, settings, longest: asked.append((n, longest)) or (1, 1000))
    train_sequences([(IDS, ENDS)], COUNTS, embedding_dim=4, architecture=architecture, max_iter=1, seed=0,
                    subword_rows=SUBWORDS if kind is FitSubwordShard else None)  # fmt: skip
    assert asked == [(1000, n_tokens)]


def test_workers_are_opened_for_rounds_of_several_shards_alone(monkeypatch):
    asked, open_workers = [], sequences.open_workers
    monkeypatch.setattr(sequences, "open_workers", lambda n: asked.append(n) or open_workers(n))
    for n_shards in (1, 2):
        train_sequences([(IDS, ENDS)], COUNTS, embedding_dim=4, max_iter=1, seed=0, n_jobs=3, n_shards=n_shards)
    assert asked == [1, 3]


def test_vectors_begin_uniform_in_two_by_the_dimensions_and_outputs_at_zero():
    found = uniform_vectors(3000, 8, 1)
    assert found.dtype == np.float32
    assert 0.249 < found.max() <= 0.25
    assert -0.25 <= found.min() < -0.249
    assert (found != uniform_vectors(3000, 8, 2)).any()
    tables = train_sequences([], np.ones(9), embedding_dim=8, max_iter=1, seed=1)
    np.testing.assert_array_equal(tables.input, uniform_vectors(9, 8, 1))
    assert tables.output.shape == (9, 8)
    assert not tables.output.any()
    of_nodes = train_sequences([], np.ones(9), embedding_dim=8, max_iter=1, seed=1, loss="hierarchical-softmax")
    assert of_nodes.output.shape == (8, 8)
    with_documents = train_sequences([], np.ones(9), embedding_dim=8, max_iter=1, seed=1, n_documents=4)
    assert with_documents.input.shape == (13, 8)
    assert with_documents.output.shape == (9, 8)


def test_tables_to_begin_from_are_copied_and_either_may_be_missing():
    begin = np.ones((9, 3)), np.full((9, 3), 2.0)
    for start, expected in (
        (SequenceTables(*begin, []), begin),
        (SequenceTables(None, begin[1], []), (uniform_vectors(9, 3, 4), begin[1])),
        (SequenceTables(begin[0], None, []), (begin[0], np.zeros((9, 3)))),
    ):
        found = train_sequences([], np.ones(9), embedding_dim=3, max_iter=1, seed=4, start=start)
        np.testing.assert_array_equal(found.input, expected[0])
        np.testing.assert_array_equal(found.output, expected[1])
        assert found.input.dtype == found.output.dtype == np.float32
        assert found.input.flags.c_contiguous
        assert not np.shares_memory(found.input, begin[0])


def test_rows_that_no_key_names_stay_as_they_are():
    start = SequenceTables(np.ones((50, 4), np.float32), None, [])
    found = train_sequences(
        [(IDS, ENDS)], COUNTS, embedding_dim=4, subsample=0, max_iter=1, seed=0, subword_rows=SUBWORDS, start=start
    )
    assert found.input.shape == (50, 4)
    assert (found.input[30:] == 1).all()
    assert (found.input[:30] != 1).any(axis=1).all()
    assert train_sequences(
        [(IDS, ENDS)], COUNTS, embedding_dim=4, max_iter=1, seed=0, subword_rows=SUBWORDS
    ).input.shape == (30, 4)


@pytest.mark.parametrize(
    ("frozen", "subword_rows"), [(None, None), (np.ones(20, bool), None), (None, SUBWORDS)], ids=str
)
def test_either_table_beyond_float32_ends_training_with_the_last_finite_tables(frozen, subword_rows):
    """Where inputs are frozen, it is outputs alone that become infinite."""
    start = SequenceTables(np.full((30 if subword_rows else 20, 4), 1e18, np.float32), None, [])
    with pytest.warns(ConvergenceWarning, match=r"in pass 1 vectors were no longer finite.*Lower learning_rate=1e\+30"):
        found = train_sequences([(IDS, ENDS)], COUNTS, embedding_dim=4, subsample=0, max_iter=2, learning_rate=1e30,
                                seed=0, start=start, frozen=frozen, subword_rows=subword_rows)  # fmt: skip
    assert found.loss_curve == []
    np.testing.assert_array_equal(found.input, start.input)
    assert not found.output.any()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (Ragged(np.array([0, 2, 2]), np.array([0, 1], np.int32)), "at least one row for each of 2 keys"),
        (Ragged(np.array([0, 1]), np.array([0], np.int32)), "at least one row for each of 2 keys"),
        (Ragged(np.array([1, 2, 3]), np.array([0, 1, 2], np.int32)), "at least one row for each of 2 keys"),
        (Ragged(np.array([0, 1, 2]), np.array([0, 1, 2], np.int32)), "at least one row for each of 2 keys"),
        (Ragged(np.array([0, 1, 3]), np.array([0, -3, 2], np.int32)), "must be rows of 0 or more, got -3"),
    ],
)
def test_rows_of_keys_that_do_not_fit_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        count_rows(rows, 2)


def test_rows_of_keys_are_as_many_as_the_largest_says():
    assert count_rows(Ragged(np.array([0, 1, 3]), np.array([0, 7, 2], np.int32)), 2) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "glove"}, "architecture='glove' is not known; choose one of 'skip-gram', 'cbow'."),
        ({"loss": "softmax"}, "loss='softmax' is not known; choose one of 'negative-sampling', 'hierarchical-softmax'"),
        ({"loss": "none", "subword_rows": SUBWORDS}, "of 'negative-sampling', 'hierarchical-softmax', 'softmax'."),
        ({"subword_rows": SUBWORDS, "n_documents": 3}, "n_documents=3 goes with keys that have rows of their own"),
        ({"window": 0}, "window=0, expected at least 1, or 0 and vectors of documents: n_documents."),
        ({"window": -1, "n_documents": 100}, "window=-1, expected at least 1"),
        ({"n_documents": 99}, "there are more than n_documents=99 sequences; count empty ones, too."),
        (
            {"start": SequenceTables(np.ones((19, 4)), None, [])},
            "start.input has shape (19, 4), but (20, 4) is needed: one row a key, embedding_dim columns.",
        ),
        (
            {"start": SequenceTables(None, np.ones((20, 3)), [])},
            "start.output has shape (20, 3), but (20, 4) is needed",
        ),
        (
            {"start": SequenceTables(None, np.r_[np.ones((6, 4)), [[1, 1, np.inf, 1]], np.ones((13, 4))], [])},
            "start.output holds NaN or inf in row 6; start from finite vectors, or leave that key out.",
        ),
    ],
)  # fmt: skip
def test_errors_say_what_is_known_and_where(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train_sequences([(IDS, ENDS)], COUNTS, **{"embedding_dim": 4, "seed": 0} | changes)


@pytest.mark.parametrize("ends", [[5, 3, 10], [-1, 4, 10]])
def test_ends_of_sequences_ascend_from_the_beginning(ends):
    with pytest.raises(ValueError, match="must ascend from 0 or more, in tokens from its beginning"):
        list(checked_chunks([Ragged.from_ends(IDS[:10], np.array(ends))], 20))


def test_chunks_are_read_with_the_types_of_kernels_and_end_where_their_last_sequence_does():
    wide = IDS[:20].astype(np.int64)[::2]
    ((ids, ends),) = checked_chunks(
        [Ragged.from_ends(wide, np.array([0, 4, 12], np.int32)), Ragged.from_ends(IDS[:0], [0])], 20
    )
    assert (ids.dtype, ends.dtype) == (np.int32, np.int64)
    assert ids.flags.c_contiguous
    assert ends.tolist() == [0, 4, 10]
    with pytest.raises(ValueError, match="a chunk has the id 19, but counts has 19 rows; ids are rows of counts"):
        list(checked_chunks([Ragged.from_ends(np.array([19]), [1])], 19))


@pytest.mark.parametrize("loss", ["negative-sampling", "hierarchical-softmax", "softmax"])
def test_buffers_of_parts_do_not_travel_in_a_pickle(loss):
    settings = SequenceSettings(100, loss=loss, window=2, negative=2)
    source = target_source(COUNTS, settings)
    fit = FitSubwordShard(settings, keep_thresholds(COUNTS, 0), source, 1000, SUBWORDS)
    n_outputs = 20 - (loss[0] == "h")
    tables = np.ones((30, 100), np.float32), np.ones((n_outputs, 100), np.float32)
    shard = TokenShard(IDS, ENDS, 0.1, 0)
    first, report = fit(tables, shard, (1,))
    first = [[np.asarray(part).copy() for part in (d.deltas, d.step_weights)] for d in first]
    copy = pickle.loads(pickle.dumps(fit))
    assert len(pickle.dumps(fit)) < 20_000
    again, report_again = copy(tables, shard, (1,))
    assert report == report_again
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one[0], other.deltas)
        np.testing.assert_array_equal(one[1], other.step_weights)


@pytest.mark.parametrize(("architecture", "curvature"), [("skip-gram", 0.1), ("cbow", 0.05)])
def test_steps_are_weighed_by_rate_and_curvature_times_how_often_a_row_was_met(architecture, curvature):
    """In a window of one each key is the context of its neighbours, and of each meets the center and two negatives."""
    ids, ends = np.array([0, 1, 2, 1, 3], np.int32), np.array([3, 5])
    counts = np.bincount(ids)
    settings = SequenceSettings(4, architecture, window=1, shrink_window=False, negative=2)
    fit = FitShard(settings, keep_thresholds(counts, 0), target_source(counts, settings), 10, np.zeros(4, bool))
    tables = np.ones((4, 4), np.float32), np.ones((4, 4), np.float32)
    deltas, _ = fit(tables, TokenShard(ids, ends, 0.5, 0), (1,))
    weights = dict(zip(deltas[0].rows.tolist(), deltas[0].step_weights))
    n_contexts = np.array([1, 3, 1, 1])  # of 0 1 2 and of 1 3
    np.testing.assert_allclose([weights[k] for k in range(4)], 0.5 * curvature * 3 * n_contexts, rtol=1e-5)
    met = np.asarray(deltas[1].step_weights[: len(deltas[1].rows)]) / (0.5 * curvature)
    np.testing.assert_allclose(met, np.round(met), atol=1e-4)
    assert met.sum() >= (6 if architecture == "skip-gram" else 5)  # pairs, or windows


def test_noise_is_drawn_in_proportion_to_a_power_of_counts_and_never_where_there_are_none():
    counts = np.array([16, 0, 1, 81])
    table = target_source(counts, SequenceSettings(4, ns_exponent=0.5))
    from skembed.kernels.noise import draw_many
    from skembed.kernels.random import new_state

    drawn = np.empty(60_000, np.int32)
    draw_many(table.threshold, table.alias, drawn, new_state(0))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 60_000, np.array([4, 0, 1, 9]) / 14, atol=0.01)
    assert not (drawn == 1).any()


def test_reports_of_nothing_are_no_losses():
    assert Report(0.0, 0, True).finite
    tables = train_sequences([(np.array([0], np.int32), [1])], [1], embedding_dim=2, max_iter=2, seed=0)
    assert tables.loss_curve == [0.0, 0.0]
