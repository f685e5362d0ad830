"""FastTextVectorizer: checks, words never seen, files that others read, and what does not change its bits."""

import joblib
import numpy as np
import pytest

from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import word_ngrams
from skembed.testing import parametrize_with_text_checks
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import FastTextVectorizer
from skembed.text._subword_rows import NgramRule, rows_of_words

TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]


def small(**parameters):
    defaults = {"embedding_dim": 8, "max_iter": 2, "subsample": 0, "n_buckets": 5000, "random_state": 0}
    return FastTextVectorizer(**{**defaults, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return small(pooling=POOLINGS).fit(TEXTS)


@parametrize_with_text_checks(
    [
        FastTextVectorizer(8, max_iter=2, n_buckets=5000),
        FastTextVectorizer(
            4, max_iter=2, n_buckets=50, architecture="cbow", pooling=POOLINGS, phrases=1, phrase_threshold=1.0,
            stop_words=["badi"], subsample=0,
        ),
    ]
)  # fmt: skip
def test_text_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "hinge"}, "loss"),
        ({"min_n": 0}, "min_n"),
        ({"min_n": 5, "max_n": 4}, "min_n=5 is above max_n=4; pass min_n of at most 4, or max_n=0"),
        ({"max_n": -1}, "max_n"),
        ({"n_buckets": 0}, "n_buckets"),
        ({"architecture": "glove"}, "architecture"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(TEXTS)


def test_members_are_a_word_and_its_ngrams():
    words = ["Ulm", "ulmer", "Bern", "x"]
    members, buckets = rows_of_words(words, NgramRule(2, 4, 60))
    rows, starts = members.indices, members.indptr
    for i, word in enumerate(words):
        mine = rows[starts[i] : starts[i + 1]]
        assert mine[0] == i
        assert len(mine) == 1 + len(word_ngrams(word, 2, 4))
        assert (mine[1:] >= len(words)).all()
    assert (np.diff(buckets) > 0).all()
    assert set(rows[rows >= 4] - 4) == set(range(len(buckets)))  # no row but those in use


@pytest.mark.parametrize("loss", ["negative-sampling", "hierarchical-softmax", "softmax"])
def test_partial_fit_grows_words_and_ngrams_and_goes_on(loss):
    vectorizer = small(loss=loss, max_n=4).partial_fit(TEXTS[:120])
    before, output = vectorizer.embedding_, vectorizer._output.copy()
    vectorizer.partial_fit([f"{text} brandnew" for text in TEXTS[120:]])
    after = vectorizer.embedding_
    assert after.keys[: len(before)].tolist() == before.keys.tolist()
    assert "brandnew" in after
    assert "brandnew" not in before
    assert set(before.subwords.buckets) < set(after.subwords.buckets)
    assert vectorizer.n_iter_ == len(vectorizer.loss_curve_) == 4
    assert len(vectorizer._output) == len(after) - (loss == "hierarchical-softmax")
    # one more pass that hardly teaches changes what is there by little: it goes on from the same rows
    again = vectorizer.set_params(learning_rate=1e-6, max_iter=1).partial_fit(TEXTS)
    np.testing.assert_allclose(again.embedding_.vectors[: len(after)], after.vectors, atol=1e-3)
    unseen = ["brandnewer", "xbadix"]
    np.testing.assert_allclose(again.embedding_.lookup(unseen), after.lookup(unseen), atol=1e-3)
    if loss != "hierarchical-softmax":
        np.testing.assert_allclose(again._output[: len(after)], vectorizer._output[: len(after)], atol=1e-3)
        assert np.abs(vectorizer._output[: len(output)] - output).max() > 1e-3
    for parameters, message in [({"max_n": 5}, "the n-grams of the earlier calls"), ({"embedding_dim": 9}, "fit can")]:
        with pytest.raises(ValueError, match=message):
            vectorizer.set_params(**{"max_n": 4, "embedding_dim": 8, **parameters}).partial_fit(TEXTS)


def test_init_gives_words_and_ngrams_their_rows(fitted, tmp_path):
    fitted.embedding_.save(tmp_path / "model.bin", format="fasttext-bin")
    for table in (fitted.embedding_, EmbeddingTable.load(tmp_path / "model.bin")):  # the file has all buckets
        vectorizer = small(init=table, learning_rate=1e-6, max_iter=1, min_count=1).fit([*TEXTS[:60], "newcomer"] * 2)
        assert "newcomer" in vectorizer.embedding_
        words = [word for word in table.keys if word in vectorizer.embedding_]
        assert words
        np.testing.assert_allclose(vectorizer.embedding_.lookup(words), table.lookup(words), atol=1e-3)
        # n-grams of words that this corpus lacks are still there
        rest = [word for word in table.keys if word not in vectorizer.embedding_]
        composed = table.subwords.compose(rest)[0]
        np.testing.assert_allclose(vectorizer.embedding_.lookup(rest), composed, atol=1e-3)


def test_init_of_another_kind(fitted):
    plain = EmbeddingTable(fitted.embedding_.keys, fitted.embedding_.vectors)
    vectorizer = small(init=plain, learning_rate=1e-6, max_iter=1).fit(TEXTS)
    np.testing.assert_allclose(vectorizer.embedding_.own_rows(), plain.lookup(vectorizer.embedding_.keys), atol=1e-3)
    with pytest.raises(
        ValueError, match="init were made with min_n=3, max_n=6, n_buckets=5000, but this has n_buckets=60; pass"
    ):
        small(init=fitted.embedding_, n_buckets=60).fit(TEXTS)
    with pytest.raises(ValueError, match="pass embedding_dim=8"):
        small(init=fitted.embedding_, embedding_dim=4).fit(TEXTS)


def test_an_init_brings_the_rule_of_its_ngrams_to_parameters_of_default_values():
    first = small(min_n=2, max_n=4, n_buckets=60).fit(TEXTS)
    second = FastTextVectorizer(8, max_iter=2, subsample=0, random_state=0, init=first.embedding_).fit(TEXTS)
    settings = {"min_n": 2, "max_n": 4, "n_buckets": 60}
    assert second.embedding_.subwords.settings == settings | {"absent": "zero"}
    same = small(**settings, init=first.embedding_).fit(TEXTS)
    assert second.embedding_ == same.embedding_
    assert second.partial_fit(TEXTS).embedding_.subwords.n_buckets == 60
    with pytest.raises(ValueError, match="max_n=4, n_buckets=60, but this has max_n=5; pass the same, or leave"):
        FastTextVectorizer(8, max_n=5, init=first.embedding_).fit(TEXTS)
    short = small(min_n=1, max_n=2).fit(TEXTS).embedding_
    assert small(max_n=2, init=short).fit(TEXTS).embedding_.subwords.min_n == 1


@pytest.mark.parametrize("loss", ["negative-sampling", "hierarchical-softmax", "softmax"])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_words_that_keep_the_same_company_are_close(architecture, loss):
    generator = np.random.default_rng(0)
    stems = {theme: [theme + "".join(generator.choice(list("abcdefgh"), 5)) for _ in range(30)] for theme in "xy"}
    themes = [generator.permutation(stems["x"] + stems["y"])[:30] for _ in range(2)]
    themes[1] = [word for word in stems["x"] + stems["y"] if word not in set(themes[0])]
    texts = [" ".join(generator.choice(themes[row % 2], 10)) for row in range(600)]
    vectorizer = small(architecture=architecture, loss=loss, max_iter=15, learning_rate=0.1).fit(texts)
    table = EmbeddingTable(vectorizer.embedding_.keys, vectorizer.embedding_.vectors)
    near = [key in set(themes[0]) for word in themes[0][:10] for key, _ in table.nearest(word, k=3)]
    assert np.mean(near) > 0.8
    assert vectorizer.loss_curve_[-1] < vectorizer.loss_curve_[0]


def test_an_unknown_word_is_the_mean_of_its_ngrams(fitted):
    table = fitted.embedding_
    assert isinstance(table, SubwordTable)
    word = table.keys[0] + table.keys[1]
    assert word not in table
    vector = table.subwords.compose([word])[0][0]
    np.testing.assert_array_equal(fitted.transform([word])[0, :8], vector)
    np.testing.assert_array_equal(fitted.transform([[word]])[0, :8], table[word])
    known = table.keys[2]
    both = fitted.transform([f"{known} {word}"])[0]
    np.testing.assert_allclose(both[:8], (table[known] + vector) / 2, rtol=1e-5)
    np.testing.assert_array_equal(both[24:32], np.maximum(table[known], vector))
    assert vector.any()


def test_known_words_are_the_mean_of_their_rows(fitted):
    table = fitted.embedding_
    again = SubwordTable.from_rows(table.keys, table.own_rows(), table.subwords)
    np.testing.assert_allclose(again.vectors, table.vectors, atol=1e-6)
    word = table.keys[3]
    np.testing.assert_array_equal(fitted.transform([word.upper()])[0, :8], table[word])
    assert table.counts.tolist() == fitted.vocabulary_.counts.tolist()


def test_order_of_words_and_of_documents_change_no_bit(fitted):
    words = [*fitted.embedding_.keys[:3], "badikuta", "zzbadi", "kutafo"]
    one = fitted.transform([" ".join(words)])
    np.testing.assert_array_equal(fitted.transform([" ".join(words[::-1])]), one)
    np.testing.assert_array_equal(fitted.transform(["aabadi kukuta", *TEXTS, " ".join(words)])[-1:], one)


def test_stop_words_are_not_composed():
    vectorizer = small(stop_words=["the", "badi"]).fit(["the badi kuta kuta fo fo ka ka"] * 9)
    assert not vectorizer.transform(["the badi the", ["the", "badi"]]).any()
    assert vectorizer.transform(["badikuta"]).any()


def test_words_without_an_ngram_are_left_out(fitted):
    word = fitted.embedding_.keys[0]
    bare = small(max_n=0).fit(TEXTS)
    assert not bare.transform(["neverseen", ""]).any()
    np.testing.assert_array_equal(bare.transform([f"{word} neverseen"]), bare.transform([word]))
    narrow = small(n_buckets=2**31 - 1).fit(TEXTS)  # no n-gram shares a bucket with another
    assert not narrow.transform(["日本語日本語"]).any()
    np.testing.assert_array_equal(narrow.transform([f"{word} 日本語日本語"]), narrow.transform([word]))


def test_parts_of_phrases_are_words():
    texts = ["new york is big", "old york and new kuta is small"] * 30
    vectorizer = small(phrases=1, phrase_threshold=1.0, min_count=1).fit(texts)
    assert vectorizer.phrases_
    first, second = vectorizer.phrases_[0].split("_")
    apart = vectorizer.transform([f"{first} zz", [first]])
    joined = vectorizer.transform([f"{first} {second}", [vectorizer.phrases_[0]]])
    np.testing.assert_array_equal(joined[0], joined[1])
    np.testing.assert_array_equal(apart[1], vectorizer.embedding_[first])


def test_gensim_reads_what_is_saved(tmp_path, fitted):
    models = pytest.importorskip("gensim.models.fasttext")
    path = tmp_path / "model.bin"
    fitted.embedding_.save(path, format="fasttext-bin")
    theirs = models.load_facebook_vectors(str(path))
    words = [*fitted.embedding_.keys, "badikuta", "zzz", "kutasfo"]
    np.testing.assert_allclose(np.array([theirs[word] for word in words]), fitted.embedding_.lookup(words), atol=1e-6)
    ours = EmbeddingTable.load(path)
    np.testing.assert_allclose(ours.lookup(words), fitted.embedding_.lookup(words), atol=1e-6)


def test_bits_do_not_depend_on_jobs_or_containers(train_with):
    train_with(n_shards=4, tokens_per_shard=300)
    for parameters in ({}, {"architecture": "cbow", "loss": "softmax"}, {"loss": "hierarchical-softmax"}):
        expected = joblib.hash(small(**parameters).fit(TEXTS).transform(TEXTS))
        for n_jobs in (2, 3):
            assert joblib.hash(small(**parameters, n_jobs=n_jobs).fit(TEXTS).transform(TEXTS)) == expected
        generator = (text.split() for text in TEXTS)
        assert joblib.hash(small(**parameters).fit_transform(generator)) == expected
