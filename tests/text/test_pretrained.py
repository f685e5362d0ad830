"""PretrainedVectorizer: normalizers found from keys, documents and columns, subwords, files, learning on."""

import gzip
import pickle
import subprocess
import sys
import unicodedata
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skembed.formats import FormatError
from skembed.table import EmbeddingTable, SubwordTable
from skembed.table.subwords import Subwords
from skembed.testing import parametrize_with_text_checks
from skembed.testing._text_checks import documents as made_up_documents
from skembed.text import PretrainedVectorizer, Word2VecVectorizer
from skembed.text._normalizer import TextNormalizer, find_normalizer

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "data" / "vectors"
TEXTS = made_up_documents()
POOLINGS = ["mean", "tfidf", "sif", "max", "min"]
QUOTE = "\N{RIGHT SINGLE QUOTATION MARK}"
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def table_of(words, dim=6, seed=0, **options):
    words = list(words)
    return EmbeddingTable(words, np.random.default_rng(seed).standard_normal((len(words), dim)), **options)


def subword_table_of(words, dim=6):
    generator = np.random.default_rng(1)
    subwords = Subwords(generator.standard_normal((200, dim)).astype(np.float32), min_n=3, max_n=4, n_buckets=200)
    return SubwordTable.from_rows(list(words), generator.standard_normal((len(words), dim)), subwords)


WORDS = sorted({word for text in TEXTS for word in text.split()})
TABLE = table_of(WORDS)
SUBWORDS = subword_table_of(WORDS[:60])
FRAME = {"city": ["Ulm", "New York", None, "ulm am see"], "job": ["film maker", "maker", "Ulm", "nurse"]}


@pytest.fixture
def native(tmp_path):
    path = tmp_path / "vectors.safetensors"
    table_of([*WORDS, *(f"other{i}" for i in range(500))]).save(path)
    return path


# -------------------------------------------------------------------------------------------- common checks


@parametrize_with_text_checks(
    [
        PretrainedVectorizer(TABLE, pooling=POOLINGS),
        PretrainedVectorizer(SUBWORDS, pooling=POOLINGS),
        PretrainedVectorizer(TABLE.subset(WORDS[:60]), trainable=True, max_iter=1, keep="corpus"),
    ]
)
def test_text_checks(estimator, check):
    check(estimator)


def test_scikit_learns_own_checks():
    check_estimator(PretrainedVectorizer(TABLE))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"source": None}, "source"),
        ({"pooling": "sum"}, "pooling"),
        ({"keep": "some"}, "keep"),
        ({"trainable": "yes"}, "trainable"),
        ({"lowercase": "no"}, "lowercase"),
        ({"digits": "9"}, "digits"),
        ({"punctuation": "split"}, "punctuation"),
        ({"limit": 0}, "limit"),
        ({"window": 0}, "window"),
        ({"min_count": 0}, "min_count"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        PretrainedVectorizer(**{"source": TABLE, **parameters}).fit(TEXTS)


# ------------------------------------------------------------------------------------------------- normalizers


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["the", "of", "and", *NAMES], TextNormalizer(True, "spelled", "drop")),
        (["the", "The", "Ulm", "1984", "##"], TextNormalizer(False, "keep", "drop")),
        (["The", "of", "##", "####", "#", "3", "don't"], TextNormalizer(False, "#", "keep")),
        (["the", ",", ".", "n't", "'s", "1984", "3.5"], TextNormalizer(True, "keep", "keep")),
        (["the", "00", "0000", "0-0", *NAMES], TextNormalizer(True, "0", "keep")),
        (["the", "00", "mp3", "1984", *NAMES], TextNormalizer(True, "keep", "drop")),
        (["the", "well-known"] + ["word"] * 10, TextNormalizer(True, "keep", "keep")),
        (
            ["the", "a-b"] + [f"w{chr(97 + i % 26)}{i // 26 * 'x'}" for i in range(200)],
            TextNormalizer(True, "keep", "drop"),
        ),
        (["слово", "мир"], TextNormalizer(True, "keep", "drop")),
        ([], TextNormalizer(True, "keep", "drop")),
    ],
)
def test_the_normalizer_is_told_by_the_keys(keys, expected):
    assert find_normalizer(keys, set(keys)) == expected


@pytest.mark.parametrize(
    ("normalizer", "known", "text", "words"),
    [
        (
            TextNormalizer(True, "spelled", "drop"),
            [*NAMES, "in", "mp"],
            "In 1984, MP3",
            "in one nine eight four mp three",
        ),
        (TextNormalizer(False, "#", "keep"), ["####", "7", "In"], "In 1984 7", "In #### 7"),
        (TextNormalizer(True, "0", "keep"), ["0,000", "0000"], "1,984 1984", "0,000 0000"),
        (TextNormalizer(True, "keep", "keep"), ["do", "n't", "it", "'s", "."], f"Don't. It{QUOTE}s", "do n't . it 's"),
        (TextNormalizer(True, "keep", "keep"), ["don't", "do", "n't"], f"Don't don{QUOTE}t", "don't don't"),
        (TextNormalizer(True, "keep", "keep"), ["well", "known", "u.s"], "well-known u.s.", "well known u.s"),
        (TextNormalizer(True, "keep", "drop"), ["don", "t"], "Don't!", "don t"),
        (TextNormalizer(True, "keep", "keep"), [], "x-ray no!", "x ray no"),
        (TextNormalizer(True, "keep", "drop"), ["new_york", "ulm", "er"], "new_york ulm_er", "new_york ulm er"),
    ],
)
def test_texts_are_read_as_the_vectors_were_made(normalizer, known, text, words):
    table = table_of([*known, "x"])
    parameters = {"lowercase": normalizer.lowercase, "digits": normalizer.digits, "punctuation": normalizer.punctuation}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        vectorizer = PretrainedVectorizer(table, **parameters).fit(["x", text])
    counted = {**dict(zip(vectorizer.vocabulary_.keys, vectorizer.vocabulary_.counts)), "x": 0}
    read = words.split()
    assert {w: c for w, c in counted.items() if c} == {w: read.count(w) for w in read if w in table and w != "x"}
    assert set(vectorizer.unknown_words_) == {word for word in read if word not in table}
    known_words = [word for word in read if word in table]
    if known_words:
        np.testing.assert_allclose(vectorizer.transform([text])[0], table.lookup(known_words).mean(axis=0), rtol=1e-5)


SCRIPTS = ["नमस्ते", "दुनिया", "வணக்கம்", "សួស្តី", "café", "été", "việt", "שלום", "i̇stanbul"]


@pytest.mark.parametrize("marks", [[], [".", ",", "(", ")"]], ids=["drop", "keep"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_keep_their_vowel_signs_and_accents(marks, form):
    """Which are characters of their own in many scripts, and in any script as file names and PDF have them."""
    table = table_of([*SCRIPTS, *marks, *"ab"])
    words = [unicodedata.normalize(form, word) for word in [*SCRIPTS[:4], "Café", "été", "VIỆT", *SCRIPTS[7:]]]
    vectorizer = PretrainedVectorizer(table).fit([f"({words[0]}) {', '.join(words[1:])}."])
    assert vectorizer.punctuation_ == ("keep" if marks else "drop")
    assert set(vectorizer.vocabulary_) - set(marks) == set(SCRIPTS)
    assert vectorizer.unknown_words_ == []
    np.testing.assert_array_equal(vectorizer.transform(words), table.lookup(SCRIPTS))
    cells = PretrainedVectorizer(table).fit_transform(np.array(words, dtype=object)[:, None])
    np.testing.assert_array_equal(cells, table.lookup(SCRIPTS))


def test_words_that_are_composed_of_ngrams_are_whole():
    table = subword_table_of(["रात", "दिन"])
    vectorizer = PretrainedVectorizer(table).fit(["रात और दिन"])
    np.testing.assert_array_equal(vectorizer.transform(["दुनिया"]), [table["दुनिया"]])
    np.testing.assert_array_equal(vectorizer.transform([unicodedata.normalize("NFD", "châteaux")]), [table["châteaux"]])


def test_what_was_found_can_be_overruled_and_token_lists_are_read_too():
    table = table_of(["the", "Ulm", "####", "in", "x"])
    found = PretrainedVectorizer(table).fit(["in Ulm 1984"])
    assert (found.lowercase_, found.digits_, found.punctuation_) == (False, "#", "drop")
    assert found.unknown_share_ == 0
    np.testing.assert_array_equal(found.transform([["Ulm", "1984"]]), found.transform(["Ulm 1984"]))
    with pytest.warns(UserWarning, match=r"67% of the running words.*'1984' \(1 times\), 'ulm'"):
        overruled = PretrainedVectorizer(table, lowercase=True, digits="keep").fit(["in Ulm 1984"])
    assert overruled.unknown_words_ == ["1984", "ulm"]
    assert overruled.unknown_share_ == pytest.approx(2 / 3)


def test_a_third_unknown_is_the_limit_and_the_most_frequent_are_named():
    table = table_of(["known", "words"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PretrainedVectorizer(table).fit(["known words strange", "known words strange"])
        PretrainedVectorizer(table, stop_words=["strange"]).fit(["known strange strange"])
    with pytest.warns(UserWarning, match=r"40%.*most often 'odd' \(3 times\), 'strange' \(1 times\).*lowercase=True"):
        PretrainedVectorizer(table).fit(["known words odd odd", "known words known odd known strange"])


def test_no_known_word_is_an_error_that_names_some():
    with pytest.raises(ValueError, match=r"2 documents with 3 words.*none .* 'aa', 'bb'"):
        PretrainedVectorizer(TABLE).fit(["aa bb", "bb"])


# ------------------------------------------------------------------------------------------------ documents


def test_pooling_is_that_of_word2vec_on_the_same_vectors():
    learned = Word2VecVectorizer(8, max_iter=1, min_count=1, pooling=POOLINGS, random_state=0).fit(TEXTS)
    given = PretrainedVectorizer(learned.embedding_, pooling=POOLINGS).fit(TEXTS)
    np.testing.assert_array_equal(given.transform(TEXTS), learned.transform(TEXTS))
    assert given.vocabulary_.counts.tolist() == learned.vocabulary_.counts.tolist()
    assert given.get_feature_names_out()[3] == "pretrainedvectorizer3"


@pytest.mark.parametrize("source", [TABLE, SUBWORDS], ids=["table", "subwords"])
@pytest.mark.parametrize("keep", ["auto", "all", "corpus"])
def test_fit_transform_is_fit_and_transform_to_the_bit(source, keep):
    texts = [f"{text} badiba{row}" for row, text in enumerate(TEXTS)]
    rows = PretrainedVectorizer(source, keep=keep, pooling=POOLINGS).fit_transform(text for text in texts)
    np.testing.assert_array_equal(
        rows, PretrainedVectorizer(source, keep=keep, pooling=POOLINGS).fit(texts).transform(texts)
    )


def test_keep_says_which_words_have_a_vector_later(native, monkeypatch):
    table = EmbeddingTable.load(native)
    later = ["other7", TEXTS[0]]
    everything = PretrainedVectorizer(table).fit(TEXTS)
    assert everything.embedding_ is table
    np.testing.assert_array_equal(everything.transform(later)[0], table["other7"])
    np.testing.assert_array_equal(
        PretrainedVectorizer(native, keep="all").fit(TEXTS).transform(later), everything.transform(later)
    )
    for path in (native, str(native)):  # a small file is as good as its table
        kept = PretrainedVectorizer(path).fit(TEXTS)
        np.testing.assert_array_equal(kept.transform(later), everything.transform(later))
        assert kept.kept_ == everything.kept_ == "all"
    monkeypatch.setattr("skembed.text._source.memory_of_machine", lambda: native.stat().st_size * 15)
    for source, keep in ((table, "corpus"), (native, "corpus"), (native, "auto"), (str(native), "auto")):
        corpus = PretrainedVectorizer(source, keep=keep).fit(TEXTS)
        assert corpus.kept_ == "corpus"
        assert corpus.embedding_.keys.tolist() == corpus.vocabulary_.keys.tolist()
        assert not corpus.transform(later)[0].any()
        np.testing.assert_allclose(corpus.transform(later)[1], everything.transform(later)[1], rtol=1e-5)


@pytest.mark.parametrize("postprocess", [None, "pca"])
@pytest.mark.parametrize("keep", ["corpus", "all"])
def test_counts_of_the_source_stay(keep, postprocess):
    source = EmbeddingTable(["red", "green", "blue"], np.eye(3), counts=[5, 7, 9])
    model = PretrainedVectorizer(source, keep=keep, postprocess=postprocess).fit(["red green", "green red red"])
    held = dict(zip(model.embedding_, model.embedding_.counts.tolist(), strict=True))
    assert held == {"red": 5, "green": 7} | ({"blue": 9} if keep == "all" else {})


def test_unknown_words_have_the_vectors_of_their_subwords():
    for keep in ("auto", "all", "corpus"):
        vectorizer = PretrainedVectorizer(SUBWORDS, pooling=["mean", "tfidf", "sif"], keep=keep).fit(TEXTS)
        assert vectorizer.unknown_share_ == 0
        word = WORDS[70]  # of the corpus, no key
        np.testing.assert_allclose(vectorizer.transform([word])[0, :6], SUBWORDS[word], rtol=1e-6)
        new = vectorizer.transform(["novelty", "novelty badi", ""])
        if keep == "corpus":
            assert not new[0].any()
            continue
        np.testing.assert_array_equal(new[0, :6], SUBWORDS["novelty"])
        np.testing.assert_array_equal(new[0, 6:12], SUBWORDS["novelty"])
        assert not new[2].any()
        many = vectorizer.transform([f"novel{i} badi novel{i + 1} zz" for i in range(50)])
        for row in (0, 17, 49):
            alone = vectorizer.transform([f"novel{row} badi novel{row + 1} zz"])
            np.testing.assert_array_equal(alone[0], many[row])


def test_new_words_weigh_as_words_that_no_document_holds():
    # a key that the corpus lacks, and a word without a key, are equally new
    generator = np.random.default_rng(0)
    subwords = Subwords(generator.standard_normal((50, 4)).astype(np.float32), min_n=3, max_n=3, n_buckets=50)
    words = ["known", "words", "absent"]
    with_key = SubwordTable(words, subwords.compose(words)[0], subwords)
    without = SubwordTable(words[:2], subwords.compose(words[:2])[0], subwords)
    texts = ["known words", "known"]
    rows = [
        PretrainedVectorizer(table, pooling=["tfidf", "sif"]).fit(texts).transform(["known absent absent"])
        for table in (with_key, without)
    ]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-5)


def test_only_the_words_of_the_corpus_are_read_from_a_large_file(native, monkeypatch):
    calls = []
    original = EmbeddingTable.load.__func__

    def load(cls, path, **options):
        calls.append(options)
        return original(cls, path, **options)

    monkeypatch.setattr(EmbeddingTable, "load", classmethod(load))
    monkeypatch.setattr("skembed.text._source.memory_of_machine", lambda: None)  # as little as can be
    PretrainedVectorizer(native, limit=300).fit(TEXTS)
    assert [call["limit"] for call in calls] == [300, 300]
    assert set(WORDS) <= calls[1]["keys"]
    assert "other7" not in calls[1]["keys"]


@pytest.mark.parametrize("trainable", [False, True])
def test_callbacks_are_told_when_a_fit_begins_and_when_it_ends(trainable):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer has callbacks")
    told = []

    class Listener:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            told.append(f"{context.task_name} begins")

        def on_fit_task_end(self, estimator, context):
            told.append(f"{context.task_name} ends")

        def teardown(self, estimator, context):
            pass

    words = sorted({word for text in TEXTS for word in text.split()})
    vectorizer = PretrainedVectorizer(table_of(words), trainable=trainable, max_iter=2, random_state=0)
    vectorizer.set_callbacks(Listener()).fit(TEXTS)
    assert told == ["fit begins", *["pass begins", "pass ends"] * (2 if trainable else 0), "fit ends"]


def test_verbose_says_what_was_kept(native, capsys):
    PretrainedVectorizer(native, verbose=1).fit(TEXTS)
    assert f"{len(WORDS) + 500} words have a vector, all words of source" in capsys.readouterr().err
    PretrainedVectorizer(native, keep="corpus", verbose=1).fit(TEXTS)
    assert "keep='all'" in capsys.readouterr().err
    PretrainedVectorizer(native).fit(TEXTS)
    assert not capsys.readouterr().err


def test_files_of_other_formats_and_files_that_are_none(tmp_path):
    path = tmp_path / "glove.txt.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(f"{word} {row}.5 -1.25\n" for row, word in enumerate([*WORDS, ",", ".", "'s"]))
    vectorizer = PretrainedVectorizer(path).fit(TEXTS)
    assert vectorizer.punctuation_ == "keep"
    np.testing.assert_array_equal(vectorizer.transform([WORDS[3]]), [[3.5, -1.25]])
    with pytest.raises(FileNotFoundError):
        PretrainedVectorizer(tmp_path / "nothing").fit(TEXTS)
    path.write_bytes(b"\x80\x04 pickle")
    with pytest.raises(FormatError):
        PretrainedVectorizer(path).fit(TEXTS)


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors of ../shared/data are not there")
def test_fasttexts_file_gives_vectors_to_unknown_words(tmp_path):
    path = tmp_path / "toy.bin"
    path.write_bytes(gzip.decompress((VECTORS / "lee_fasttext_new.bin.gz").read_bytes()))
    table = EmbeddingTable.load(path)
    vectorizer = PretrainedVectorizer(path).fit(["the government said on monday"])
    assert set(table.keys) < set(vectorizer.embedding_.keys)  # and words of the corpus, composed
    assert "governmentally" not in table
    np.testing.assert_allclose(vectorizer.transform(["governmentally"])[0], table["governmentally"], rtol=1e-5)
    np.testing.assert_array_equal(vectorizer.transform(["president"])[0], vectorizer.embedding_["president"])


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors of ../shared/data are not there")
def test_words_of_a_corpus_are_composed_from_a_file_as_from_its_table(tmp_path):
    path, native = tmp_path / "toy.bin", tmp_path / "toy"
    path.write_bytes(gzip.decompress((VECTORS / "lee_fasttext_new.bin.gz").read_bytes()))
    table = EmbeddingTable.load(path)
    table.save(native)
    texts = ["the governmentally said on mondayish"]
    expected = PretrainedVectorizer(table, keep="corpus").fit(texts)
    assert "governmentally" in expected.embedding_
    for source in (path, VECTORS / "lee_fasttext_new.bin.gz", native):
        found = PretrainedVectorizer(source, keep="corpus").fit(texts)
        assert type(found.embedding_) is EmbeddingTable
        assert found.embedding_.keys.tolist() == expected.embedding_.keys.tolist()
        np.testing.assert_array_equal(found.embedding_.vectors, expected.embedding_.vectors)
        assert not isinstance(found.embedding_.vectors, np.memmap)
        assert found.unknown_words_ == expected.unknown_words_


# -------------------------------------------------------------------------------------------------- columns


CELLS = table_of(["Ulm", "New_York", "film", "maker", "nurse", "am"], unknown=np.full(6, 9.0))


def test_columns_stand_side_by_side(frame):
    vectorizer = PretrainedVectorizer(CELLS)
    if frame.kind == "list":
        pytest.skip("a list of lists is documents")
    X = frame(FRAME)
    rows = vectorizer.fit_transform(X)
    expected = np.zeros((4, 12), dtype=np.float32)
    expected[0] = np.concatenate([CELLS["Ulm"], CELLS.lookup(["film", "maker"]).mean(axis=0)])
    expected[1] = np.concatenate([CELLS["New_York"], CELLS["maker"]])
    expected[2, 6:] = CELLS["Ulm"]
    expected[3] = np.concatenate([CELLS["am"], CELLS["nurse"]])
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert vectorizer.n_features_in_ == 2
    names = vectorizer.get_feature_names_out()
    assert names[[0, 11]].tolist() == (["city_0", "job_5"] if frame.named else ["x0_0", "x1_5"])
    assert vectorizer.unknown_words_ == ["see", "ulm"]
    unknown = frame({"city": ["Bonn"], "job": [None]})
    np.testing.assert_array_equal(vectorizer.transform(unknown)[0], [9.0] * 6 + [0.0] * 6)


def test_a_frame_of_one_column_is_a_column_and_missing_has_its_key():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"city": ["Ulm", None, "Graz"], "n": 1})
    table = EmbeddingTable(["Ulm", "Graz", None], [[1.0], [2.0], [3.0]])
    pipeline = make_pipeline(
        ColumnTransformer([("vectors", PretrainedVectorizer(table, pooling=["mean", "max"]), ["city"])])
    )
    np.testing.assert_array_equal(pipeline.fit_transform(frame), [[1, 1], [3, 3], [2, 2]])
    documents = ColumnTransformer([("vectors", PretrainedVectorizer(table), "city")])
    with pytest.raises(TypeError, match="document 1 of X"):
        documents.fit_transform(frame)
    np.testing.assert_array_equal(documents.fit_transform(frame.fillna("")), [[1], [0], [2]])


def test_every_column_counts_for_itself():
    X = np.array([["film maker", "film"], ["film", "maker"], ["film", "nurse maker"]], dtype=object)
    rows = PretrainedVectorizer(CELLS, pooling=["tfidf", "sif"]).fit(X).transform(X)
    for column in (0, 1):
        alone = PretrainedVectorizer(CELLS, pooling="tfidf").fit_transform(X[:, column].tolist())
        np.testing.assert_allclose(rows[:, 12 * column : 12 * column + 6], alone, rtol=1e-6)


def test_sif_weighs_the_words_of_each_column_by_that_column_alone():
    first = np.array([["film maker"], ["film nurse"], ["nurse"], ["film maker nurse"]], dtype=object)
    X = np.hstack([first, np.array([["maker"] * 9 + ["film"]] * 4, dtype=object)[:, :1]])
    vectorizer = PretrainedVectorizer(table_of(["film", "maker", "nurse"]), pooling="sif")
    np.testing.assert_array_equal(vectorizer.fit_transform(X)[:, :6], vectorizer.fit_transform(first))


def test_sif_takes_nothing_out_of_a_column_that_was_empty_in_fit():
    table = table_of(["film", "nurse"])
    X = np.array([["film", None], ["nurse", None]], dtype=object)
    found = PretrainedVectorizer(table, pooling="sif").fit(X).transform(np.array([["film", "nurse"]], dtype=object))
    np.testing.assert_array_equal(found[0, 6:], table["nurse"])


@pytest.mark.parametrize("keep", ["all", "corpus"])
def test_stop_words_that_are_tokens_are_left_out_in_fit_as_in_transform(keep, recwarn):
    texts = ["I don't go .", "the good , well-known", f"can{QUOTE}t go"] * 2
    table = table_of(["do", "n't", "ca", "go", "well", "known", "the", "good", ".", ","])
    options = {"keep": keep, "punctuation": "keep", "stop_words": ["Don't", "well-known"]}
    vectorizer = PretrainedVectorizer(table, **options)
    rows = vectorizer.fit_transform(texts)
    np.testing.assert_array_equal(rows, vectorizer.transform(texts))
    np.testing.assert_allclose(rows[1], table[["the", "good", ","]].mean(axis=0), rtol=1e-5)
    assert not [str(warning.message) for warning in recwarn if "stop_words" in str(warning.message)]


@pytest.mark.parametrize("keep", ["all", "auto"])
@pytest.mark.parametrize("trainable", [False, True])
def test_words_that_fit_adds_are_no_reason_to_cut_others_at_them(keep, trainable):
    """The source has "'s" and not "zorba": "zorba's" is cut into "zorba" and "s", also once "zorba" has a row."""
    words = ["the", "film", "of", "'s", ",", "."]
    table = table_of(words) if trainable else subword_table_of(words)
    texts = ["the film of zorba .", "zorba's film , the film", "it of zorba's"] * 2
    options = {"trainable": trainable, "min_count": 1, "max_iter": 1, "subsample": 0, "random_state": 0}
    vectorizer = PretrainedVectorizer(table, keep=keep, punctuation="keep", **options)
    rows = vectorizer.fit_transform(texts)
    assert "zorba" in vectorizer.vocabulary_
    assert "'s" not in vectorizer.vocabulary_
    for same in (vectorizer, pickle.loads(pickle.dumps(vectorizer))):
        np.testing.assert_allclose(same.transform(texts), rows, rtol=1e-6)


@pytest.mark.parametrize("keep", ["all", "corpus"])
def test_a_cell_that_is_a_stop_word_as_a_whole_is_left_out(keep):
    X = np.array([["new york", "new"], ["film", "york"]], dtype=object)
    table = table_of(["new", "york", "film", "new_york"])
    for stop_words in (["new york"], ["new_york"]):
        vectorizer = PretrainedVectorizer(table, keep=keep, stop_words=stop_words)
        rows = vectorizer.fit_transform(X)
        np.testing.assert_array_equal(rows[0], [*np.zeros(6), *table["new"]])
        assert vectorizer.vocabulary_.counts.tolist() == [1, 1, 1]


def test_documents_and_columns_are_not_mixed_up():
    X = np.array([["film", "maker"]], dtype=object)
    columns = PretrainedVectorizer(CELLS).fit(X)
    with pytest.raises(ValueError, match="holds documents, but fit has seen columns"):
        columns.transform(["film"])
    documents = columns.fit(["film"])
    assert not hasattr(documents, "n_features_in_")
    with pytest.raises(ValueError, match="holds columns, but fit has seen documents"):
        documents.transform(X)
    with pytest.raises(ValueError, match="3 features, but PretrainedVectorizer is expecting 2"):
        PretrainedVectorizer(CELLS).fit(X).transform(np.array([["film"] * 3], dtype=object))
    with pytest.raises(TypeError, match="column 'x1' of X holds 3 of type int, expected strings"):
        PretrainedVectorizer(CELLS).fit(np.array([["film", 3]], dtype=object))


def test_set_output_names_the_columns():
    pandas = pytest.importorskip("pandas")
    out = PretrainedVectorizer(CELLS).set_output(transform="pandas").fit_transform(pandas.DataFrame(FRAME))
    assert out.columns[[0, 6]].tolist() == ["city_0", "job_0"]


# ------------------------------------------------------------------------------------------------- learning


def test_learning_goes_on_from_the_given_vectors():
    given = TABLE.subset(WORDS[:60])
    options = {"trainable": True, "max_iter": 2, "subsample": 0, "random_state": 0, "min_count": 5}
    vectorizer = PretrainedVectorizer(given, **options).fit(TEXTS)
    assert vectorizer.embedding_.keys[:60].tolist() == WORDS[:60]
    assert set(vectorizer.embedding_.keys[60:]) <= set(WORDS[60:])
    assert len(vectorizer.embedding_) > 65
    assert vectorizer.n_iter_ == len(vectorizer.loss_curve_) == 2
    moved = np.linalg.norm(vectorizer.embedding_.lookup(WORDS[:60]) - given.vectors, axis=1)
    assert (moved > 0).all()
    expected = Word2VecVectorizer(6, init=given, min_count=1, max_iter=2, subsample=0, random_state=0).fit(TEXTS)
    if vectorizer.vocabulary_.keys.tolist() == expected.vocabulary_.keys.tolist():
        shared = expected.embedding_.keys
        np.testing.assert_array_equal(vectorizer.embedding_.lookup(shared), expected.embedding_.vectors)
    again = PretrainedVectorizer(given, **options, n_jobs=2).fit(TEXTS)
    assert again.embedding_ == vectorizer.embedding_
    corpus = PretrainedVectorizer(table_of([*WORDS, "other"]), **options, keep="corpus").fit(TEXTS)
    assert "other" not in corpus.embedding_
    everything = PretrainedVectorizer(table_of([*WORDS, "other"]), **options).fit(TEXTS).embedding_
    np.testing.assert_array_equal(everything["other"], table_of([*WORDS, "other"])["other"])


def test_learning_on_with_subwords_begins_unknown_words_at_their_composition():
    options = {"trainable": True, "max_iter": 1, "learning_rate": 1e-6, "subsample": 0, "random_state": 0}
    vectorizer = PretrainedVectorizer(SUBWORDS, **options).fit(TEXTS)
    np.testing.assert_allclose(vectorizer.embedding_[WORDS[70]], SUBWORDS[WORDS[70]], atol=1e-3)
    np.testing.assert_array_equal(vectorizer.embedding_["novelty"], SUBWORDS["novelty"])


def test_the_cells_of_a_row_are_one_text():
    generator = np.random.default_rng(0)
    themes = [[f"{theme}{i}" for i in range(12)] for theme in ("sea", "sky")]
    rows = np.array([generator.choice(themes[row % 2], 4) for row in range(800)], dtype=object)
    known = EmbeddingTable(["seaa"], [[0.1] * 8])
    options = {"trainable": True, "max_iter": 10, "subsample": 0, "random_state": 0, "min_count": 1}
    with pytest.warns(UserWarning, match="100%"):
        vectorizer = PretrainedVectorizer(known, digits="keep", keep="corpus", **options).fit(rows)
    assert all(key.startswith("sea") for key, _ in vectorizer.embedding_.nearest("sea0", k=5))


# -------------------------------------------------------------------------------------------------- running


def test_a_pickle_needs_neither_file_nor_trainer(native, tmp_path):
    vectorizer = PretrainedVectorizer(native, pooling=POOLINGS).fit(TEXTS)
    expected = vectorizer.transform(TEXTS[:5])
    native.unlink()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(vectorizer)).transform(TEXTS[:5]), expected)
    path = tmp_path / "vectorizer.pickle"
    path.write_bytes(pickle.dumps(vectorizer))
    code = (
        "import pickle, sys; v = pickle.load(open(sys.argv[1], 'rb')); v.transform(['badi kuta']);"
        "print([m for m in ('torch', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(NotFittedError):
        PretrainedVectorizer(TABLE).transform(TEXTS)


def test_eight_threads_transform_as_one():
    fresh = pickle.loads(pickle.dumps(PretrainedVectorizer(SUBWORDS, pooling=POOLINGS).fit(TEXTS[:100])))
    expected = fresh.transform(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(fresh.transform, [TEXTS] * 32):
            np.testing.assert_array_equal(rows, expected)


def test_missing_documents_are_errors_or_empty_and_token_lists_are_lower_cased():
    table = EmbeddingTable(["good", "bad", "film"], [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    texts = ["Good film", None, ["BAD", "Film"], float("nan")]
    with pytest.raises(TypeError, match=r"document 1 .*missing='empty'"):
        PretrainedVectorizer(table).fit(texts)
    expected = [[0.5, 0.5], [0, 0], [-0.5, 0.5], [0, 0]]
    fitted = PretrainedVectorizer(table, missing="empty").fit(texts)
    np.testing.assert_array_equal(fitted.transform(texts), expected)
    np.testing.assert_array_equal(PretrainedVectorizer(table, missing="empty").fit_transform(texts), expected)
    stopped = PretrainedVectorizer(table, missing="empty", stop_words=["FILM"]).fit(texts)
    np.testing.assert_array_equal(stopped.transform(["film", "Good Film"]), [[0, 0], [1, 0]])
