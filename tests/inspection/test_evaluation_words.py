"""Similarity, analogies and categorization agree with slow twins, and with gensim where it is installed."""

import datetime
import gzip
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import skembed.inspection._analogies as analogies_module
from skembed import EmbeddingTable
from skembed.inspection import evaluate_analogies, evaluate_categorization, evaluate_similarity

SETS = Path(__file__).parents[3] / "shared" / "data" / "text" / "similarity"
PAIR_SETS = ["EN-WS-353-ALL.txt.gz", "EN-MEN-TR-3k.txt.gz"]


def set_path(name):
    if not (SETS / name).exists():
        pytest.skip(f"needs {name} in ../shared/data/text/similarity")
    return SETS / name


def spelling_vector(word, dim=40):
    """A vector from a word's pairs and triples of letters: words that are spelt alike are alike."""
    vector = np.zeros(dim)
    marked = f"<{word}>"
    for n in (2, 3):
        for i in range(len(marked) - n + 1):
            vector += np.random.default_rng(zlib.crc32(marked[i : i + n].encode())).standard_normal(dim)
    return vector


def spelling_table(words):
    return EmbeddingTable(words, np.array([spelling_vector(word) for word in words]))


@pytest.fixture(scope="module")
def real_table():
    """Words of the real test sets, a tenth left out, some in two spellings, with vectors by spelling."""
    words = []
    for name in [*PAIR_SETS, "questions-words.txt.gz"]:
        with gzip.open(set_path(name), "rt") as lines:
            words += [word for line in lines if not line.startswith(":") for word in line.split()]
    words = [word for word in dict.fromkeys(words) if not word[0].isdigit()]
    words = [word for word in words if zlib.crc32(word.encode()) % 10]
    doubled = [word.swapcase() for word in words[::7]]
    return spelling_table(list(dict.fromkeys([*words, *doubled])))


# Similarity


def slow_similarity(table, pairs, *, fold, zero=False):
    """The twin: one pair at a time."""
    rows = {}
    for row, key in enumerate(table.keys):
        rows.setdefault(fold(key), row)
    gold, cosines = [], []
    for a, b, score in pairs:
        if fold(a) in rows and fold(b) in rows:
            left, right = (table.vectors[rows[fold(word)]].astype(float) for word in (a, b))
            cosines.append(float(np.float32(left @ right / np.linalg.norm(left) / np.linalg.norm(right))))
        elif zero:
            cosines.append(0.0)
        else:
            continue
        gold.append(score)
    return stats.spearmanr(gold, cosines).statistic, stats.pearsonr(gold, cosines).statistic


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    words = ["Ant", "ant", "bee", "Bee", "cow", "dog", "elk", "fox", "GNU", "hen", "ibis", "jay", "yak"]
    return [(*rng.choice(words, 2), float(score)) for score in rng.integers(0, 10, 60)]


@pytest.fixture
def table():
    return spelling_table(["bee", "ant", "Ant", "cow", "Dog", "dog", "elk", "fox", "gnu", "hen", "ibis"])


@pytest.mark.parametrize("unknown", ["skip", "zero"])
@pytest.mark.parametrize("case_insensitive", [True, False])
def test_similarity_equals_its_twin(table, pairs, case_insensitive, unknown):
    result = evaluate_similarity(table, pairs, case_insensitive=case_insensitive, unknown=unknown)
    fold = str.upper if case_insensitive else str
    expected = slow_similarity(table, pairs, fold=fold, zero=unknown == "zero")
    assert (result.spearman, result.pearson) == pytest.approx(expected, abs=1e-9)
    there = {fold(key) for key in table.keys}
    oov = [not {fold(a), fold(b)} <= there for a, b, _ in pairs]
    assert result.oov_share == pytest.approx(np.mean(oov))
    assert result.n_pairs == 60
    assert set(result.oov_words) == {w for a, b, _ in pairs for w in (a, b) if fold(w) not in there}
    swapped = [(b, a, score) for a, b, score in pairs]
    again = evaluate_similarity(table, swapped, case_insensitive=case_insensitive, unknown=unknown)
    assert again.spearman == result.spearman


def test_pairs_come_in_any_container_and_from_files(table, pairs, tmp_path):
    pd = pytest.importorskip("pandas")
    expected = evaluate_similarity(table, pairs)
    assert evaluate_similarity(table, np.array(pairs, dtype=object)) == expected
    assert evaluate_similarity(table, np.array(pairs)) == expected  # of strings
    assert evaluate_similarity(table, pd.DataFrame(pairs)) == expected
    assert evaluate_similarity(table, iter(pairs)) == expected
    for delimiter in ("\t", " ", ","):
        heading = f"# made for this test\n{delimiter.join(['w1', 'w2', 'mean'])}\n\n"
        text = heading + "".join(f"{delimiter.join(map(str, pair))}\r\n" for pair in pairs)
        path = tmp_path / "pairs"
        path.write_bytes(text.encode())
        assert evaluate_similarity(table, path, delimiter="," if delimiter == "," else None) == expected
        path.write_bytes(gzip.compress(text.encode()))
        assert evaluate_similarity(table, str(path), delimiter=delimiter) == expected


def test_only_the_first_words_take_part(table, pairs):
    first = evaluate_similarity(table.subset(table.keys[:6]), pairs, restrict_vocab=None)
    assert evaluate_similarity(table, pairs, restrict_vocab=6) == first
    assert first.oov_share > evaluate_similarity(table, pairs).oov_share


def test_keys_that_are_no_strings():
    table = EmbeddingTable([1, 2, (3, "x"), None], [[1, 0], [1, 0.5], [0, 1], [1, 1]])
    result = evaluate_similarity(table, [(1, 2, 9.0), (1, (3, "x"), 1.0), (np.int64(2), (3, "x"), 5.0), ("1", 2, 3.0)])
    assert result.spearman == pytest.approx(1.0)
    assert result.oov_words == ("1",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cow\tdog\t1\ncow\tdog\n", r"line 2 of .* must be two words and a score"),
        ("cow\tdog\t1\ncow\tdog\tmuch\n", r"score in line 2 of .* must be a number, got 'much'"),
        ("cow\tdog\tnan\n", r"score in line 1 of .* must be finite"),
        ("cow,dog,1\n", r"is delimiter=None right"),
    ],
)
def test_a_line_that_is_no_pair_is_named(table, tmp_path, content, message):
    path = tmp_path / "pairs.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        evaluate_similarity(table, path)


def test_bad_input_is_named(table, pairs, tmp_path):
    with pytest.raises(ValueError, match=r"pairs\[0\] must be a number, got 'x'"):
        evaluate_similarity(table, [("cow", "dog", "x")])
    with pytest.raises(ValueError, match="rows of 3 values"):
        evaluate_similarity(table, [("cow", "dog")])
    with pytest.raises(TypeError, match="rows of 3 values"):
        evaluate_similarity(table, ["cow dog 3"])
    with pytest.raises(ValueError, match=r"two pairs or more, got 0: of 2 pairs 2 .*'pig'"):
        evaluate_similarity(table, [("pig", "dog", 1), ("pig", "cow", 1)])
    with pytest.raises(ValueError, match=r"unknown must be one of 'skip', 'zero', got 'drop'"):
        evaluate_similarity(table, pairs, unknown="drop")
    with pytest.raises(ValueError, match="restrict_vocab must be a positive int or None"):
        evaluate_similarity(table, pairs, restrict_vocab=0)
    with pytest.raises(TypeError, match="table must be an EmbeddingTable, got dict"):
        evaluate_similarity({}, pairs)
    zeros = EmbeddingTable(["cow", "dog"], np.zeros((2, 3)))
    with pytest.warns(UserWarning, match="all cosines are 0: the correlation is nan"):
        result = evaluate_similarity(zeros, [("cow", "dog", i) for i in range(3)])
    assert np.isnan(result.spearman)
    (tmp_path / "pairs").write_bytes("kühe\tdog\t1\n".encode())
    with pytest.raises(ValueError, match=r"no ascii text.*Pass the encoding"):
        evaluate_similarity(table, tmp_path / "pairs", encoding="ascii")


def test_the_result_reads_well_and_turns_into_json(table, pairs):
    result = evaluate_similarity(table, pairs)
    assert repr(result).startswith(f"SimilarityResult(spearman={result.spearman:.4g}, pearson=")
    assert json.loads(json.dumps(result.to_dict()))["n_pairs"] == 60
    with pytest.raises(AttributeError):
        result.spearman = 1.0


# Analogies


def slow_analogies(table, questions, method):
    """The twin, one question at a time, in upper case: for each the answer's spelling, or None for unknown words."""
    keys = [key.upper() for key in table.keys]
    units = table.vectors.astype(float) / np.linalg.norm(table.vectors.astype(float), axis=1, keepdims=True)
    answers = []
    for question in questions:
        a, b, c, expected = (word.upper() for word in question)
        if not {a, b, c, expected} <= set(keys):
            answers.append(None)
            continue
        a_cos, b_cos, c_cos = (units @ units[keys.index(word)] for word in (a, b, c))
        if method == "3cosadd":
            scores = b_cos + c_cos - a_cos
        else:
            scores = (b_cos + 1) / 2 * (c_cos + 1) / 2 / ((a_cos + 1) / 2 + 0.001)
        scores[[key in (a, b, c) for key in keys]] = -np.inf
        answers.append(keys[int(scores.argmax())])
    return answers


@pytest.fixture(scope="module")
def questions():
    verbs = ["walk", "talk", "jump", "play", "help", "look", "call", "turn", "form", "push"]
    nouns = ["cat", "dog", "tree", "car", "Apple", "book", "hand"]
    return {
        "gram-past": [(a, f"{a}ed", b, f"{b}ed") for a in verbs for b in verbs if a != b],
        "plural": [(a, f"{a}s", b, f"{b}s") for a in nouns for b in nouns if a != b],
        "gram-nothing": [("walk", "talk", "xyz", "jump")],
    }


@pytest.fixture(scope="module")
def verb_table(questions):
    words = dict.fromkeys(word for section in questions.values() for row in section for word in row)
    words = [word for word in words if word not in ("xyz", "handed", "books")]
    return spelling_table([*words, "WALKED", "Walked", "DOGS", "APPLE", "walker", "player", "carts"])


@pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
@pytest.mark.parametrize(("questions_at_once", "scores_at_once"), [(1024, 1 << 22), (7, 90)])
def test_analogies_equal_their_twin(monkeypatch, verb_table, questions, method, questions_at_once, scores_at_once):
    monkeypatch.setattr(analogies_module, "_QUESTIONS_AT_ONCE", questions_at_once)
    monkeypatch.setattr(analogies_module, "_SCORES_AT_ONCE", scores_at_once)
    result = evaluate_analogies(verb_table, questions, method=method)
    assert 0 < result.accuracy < 1
    n_unknown = 0
    for section in result.sections:
        expected = slow_analogies(verb_table, questions[section.name], method)
        known = [answer for answer in expected if answer is not None]
        assert [answer.answer.upper() for answer in section.answers] == known
        right = sum(answer == row[3].upper() for answer, row in zip(expected, questions[section.name]))
        assert (section.n_correct, section.n_questions) == (right, len(known))
        assert section.n_unknown == len(expected) - len(known)
        n_unknown += section.n_unknown
    assert result.oov_share == pytest.approx(n_unknown / sum(map(len, questions.values())))
    assert result.n_correct == result.semantic.n_correct + result.syntactic.n_correct
    assert result.semantic.n_questions == result.sections[1].n_questions
    assert result.accuracy == result.n_correct / result.n_questions


def test_3cosmul_answers_as_the_table_does(verb_table):
    questions = [("walk", "walked", "talk", "talked"), ("cat", "cats", "tree", "trees")]
    found = evaluate_analogies(verb_table, questions, method="3cosmul", case_insensitive=False).sections[0].answers
    for a, b, c, _, answer in found:
        assert verb_table.analogy([b, c], [a], k=1, method="3cosmul")[0][0] == answer


def test_questions_with_unknown_words_left_out_or_wrong(verb_table, questions):
    skipped, wrong = (evaluate_analogies(verb_table, questions, unknown=unknown) for unknown in ("skip", "zero"))
    assert skipped.n_correct == wrong.n_correct
    assert wrong.n_questions == sum(map(len, questions.values())) > skipped.n_questions
    assert np.isnan(skipped.sections[2].accuracy)
    assert wrong.sections[2].accuracy == 0.0


def test_restricted_words_are_no_answers(verb_table, questions):
    n = len(verb_table) // 2
    restricted = evaluate_analogies(verb_table, questions, restrict_vocab=n)
    cut = evaluate_analogies(verb_table.subset(verb_table.keys[:n]), questions, restrict_vocab=None)
    assert str(restricted.to_dict()) == str(cut.to_dict())


def test_given_words_are_no_answer_in_any_spelling():
    words = ["man", "Man", "MAN", "king", "King", "KING", "woman", "WOMAN", "queen"]
    vectors = [[1, 0, 1]] * 3 + [[3, 0, 1]] * 3 + [[1, 1, 1]] * 2 + [[3, 1, 1]]
    table = EmbeddingTable(words, vectors)
    for method in ("3cosadd", "3cosmul"):
        result = evaluate_analogies(table, [("man", "woman", "KING", "Queen")], method=method)
        assert result.accuracy == 1.0
        assert result.sections[0].answers[0].answer == "queen"
        nothing_left = evaluate_analogies(table.subset(words[:8]), [("man", "woman", "king", "man")], method=method)
        assert nothing_left.sections[0].answers[0].answer is None
        assert nothing_left.accuracy == 0.0


def test_an_answer_that_is_farther_than_all_given_words():
    table = EmbeddingTable(["man", "woman", "king", "tea"], [[1, 0, 1], [1, 1, 1], [3, 0, 1], [-3, -1, -1]])
    for method in ("3cosadd", "3cosmul"):
        assert evaluate_analogies(table, [("man", "woman", "king", "tea")], method=method).accuracy == 1.0


def test_questions_from_a_file(verb_table, questions, tmp_path):
    text = "".join(f": {name}\n" + "".join(" ".join(row) + "\n" for row in rows) for name, rows in questions.items())
    path = tmp_path / "questions"
    path.write_text(text)
    assert repr(evaluate_analogies(verb_table, path)) == repr(evaluate_analogies(verb_table, questions))
    path.write_text(text + "one two three\n")
    with pytest.raises(
        ValueError, match=rf"line {text.count(chr(10)) + 1} of .* must be four words, got 'one two three'"
    ):
        evaluate_analogies(verb_table, path)
    path.write_text(": nothing\n")
    with pytest.raises(ValueError, match="questions must hold at least one question"):
        evaluate_analogies(verb_table, path)
    with pytest.raises(ValueError, match=r"questions\['a'\] must hold rows of 4 values"):
        evaluate_analogies(verb_table, {"a": [("x", "y", "z")]})
    with pytest.raises(ValueError, match="method must be one of '3cosadd', '3cosmul', got 'cosadd'"):
        evaluate_analogies(verb_table, questions, method="cosadd")


def test_analogies_of_only_unknown_words(verb_table):
    for method in ("3cosadd", "3cosmul"):
        result = evaluate_analogies(verb_table, [("q", "w", "e", "r")], method=method)
        assert np.isnan(result.accuracy)
        assert result.oov_share == 1.0
        assert "AnalogyResult(accuracy=nan, 0 of 0" in repr(result)


def test_threads_give_the_same_bits(verb_table, questions, pairs, table):
    def run(_):
        return (
            evaluate_similarity(table, pairs),
            evaluate_analogies(verb_table, questions).to_dict(),
            evaluate_categorization(
                verb_table, [("walk", 0), ("walked", 1), ("talk", 0), ("talked", 1)], random_state=0
            ),
        )

    alone = run(0)
    with ThreadPoolExecutor(8) as pool:
        for threaded in pool.map(run, range(16)):
            assert str(threaded) == str(alone)


# The real test sets


@pytest.mark.real_data
def test_real_sets_are_read_whole(real_table):
    assert evaluate_similarity(real_table, set_path(PAIR_SETS[0])).n_pairs == 353
    assert evaluate_similarity(real_table, set_path(PAIR_SETS[1])).n_pairs == 3000
    everything = evaluate_analogies(real_table, set_path("questions-words.txt.gz"), unknown="zero")
    assert everything.n_questions == 19_544
    assert len(everything.sections) == 14
    assert (everything.semantic.n_questions, everything.syntactic.n_questions) == (8_869, 10_675)
    assert everything.syntactic.accuracy > 0.2  # words that are spelt alike: most of what syntax changes
    categories = evaluate_categorization(real_table, set_path("battig.csv.gz"), random_state=0)
    assert categories.n_categories == 56


@pytest.mark.real_data
@pytest.mark.parametrize("case_insensitive", [True, False])
@pytest.mark.parametrize("unknown", ["skip", "zero"])
def test_agrees_with_gensim(real_table, case_insensitive, unknown):
    gensim = pytest.importorskip("gensim")
    vectors = gensim.models.KeyedVectors(real_table.embedding_dim)
    vectors.add_vectors(real_table.keys.tolist(), real_table.vectors)
    options = {"case_insensitive": case_insensitive, "restrict_vocab": len(real_table) - 300}
    for name in PAIR_SETS:
        ours = evaluate_similarity(real_table, set_path(name), unknown=unknown, **options)
        pearson, spearman, oov = vectors.evaluate_word_pairs(
            str(set_path(name)), dummy4unknown=unknown == "zero", **options
        )
        assert ours.pearson == pytest.approx(pearson[0], abs=1e-6)
        assert ours.spearman == pytest.approx(spearman[0], abs=1e-6)
        assert 100 * ours.oov_share == pytest.approx(oov, abs=1e-6)
    path = set_path("questions-words.txt.gz")
    ours = evaluate_analogies(real_table, path, unknown=unknown, **options)
    accuracy, sections = vectors.evaluate_word_analogies(str(path), dummy4unknown=unknown == "zero", **options)
    assert ours.accuracy == pytest.approx(accuracy, abs=1e-6)
    for section, theirs in zip(ours.sections, sections):
        n_correct = len(theirs["correct"])
        assert (section.n_correct, section.n_questions) == (n_correct, n_correct + len(theirs["incorrect"]))


def test_keys_of_test_sets_are_those_of_tables():
    days = [datetime.date(2024, 1, day) for day in range(1, 6)]
    table = EmbeddingTable([*days, None], np.random.default_rng(0).standard_normal((6, 3)))
    pairs = [(days[0], np.datetime64(days[1]), 1), (days[2], days[3], 2), (days[4], float("nan"), 3)]
    assert evaluate_similarity(table, pairs).oov_share == 0
    assert evaluate_analogies(table, [days[:4]]).n_questions == 1
    assert evaluate_categorization(table, dict.fromkeys(days[:2], 0) | dict.fromkeys(days[2:], 1)).oov_share == 0
