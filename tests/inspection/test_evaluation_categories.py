"""Purity of clusters of words: what it counts, and what it says of words and files that do not fit."""

import numpy as np
import pandas as pd
import pytest

from skembed import EmbeddingTable
from skembed.inspection import evaluate_categorization


@pytest.mark.parametrize("method", ["kmeans", "agglomerative"])
def test_purity(tmp_path, method):
    rng = np.random.default_rng(0)
    centers = 5 * np.eye(3)
    words = [f"{kind}{i}" for kind in "abc" for i in range(20)]
    table = EmbeddingTable(words, np.repeat(centers, 20, axis=0) + rng.standard_normal((60, 3)) / 5)
    categories = [(word.upper(), word[0]) for word in words]
    perfect = evaluate_categorization(table, categories, method=method, random_state=0)
    assert (perfect.purity, perfect.adjusted_rand, perfect.n_categories, perfect.oov_share) == (1.0, 1.0, 3, 0.0)
    # six words are said to be of another category than their neighbours: purity loses exactly them
    moved = [(word, "b" if word in ("A0", "A1", "A2", "A3", "A4", "A5") else category) for word, category in categories]
    result = evaluate_categorization(table, [*moved, *moved, ("zebra", "z")], method=method, random_state=0)
    assert result.purity == pytest.approx(54 / 60)
    assert (result.n_words, result.oov_share, result.oov_words) == (61, pytest.approx(1 / 61), ("zebra",))
    path = tmp_path / "categories.csv"
    path.write_text(",category,word\n" + "".join(f'{i},"{c}, or so",{w}\n' for i, (w, c) in enumerate(moved)))
    assert evaluate_categorization(table, path, method=method, random_state=0).purity == result.purity


def test_purity_is_that_of_clusters_not_of_categories():
    # one cluster holds two categories, of 15 and 5 words; two clusters share the third, of 20
    vectors = np.repeat(np.eye(3), [20, 10, 10], axis=0)
    labels = np.repeat(["a", "b", "c"], [15, 5, 20])
    result = evaluate_categorization(EmbeddingTable(range(40), vectors), dict(enumerate(labels)), random_state=0)
    assert result.purity == (15 + 10 + 10) / 40


def test_categorization_leaves_random_states_alone_and_names_what_is_wrong(tmp_path):
    table = EmbeddingTable(["a", "b", "c"], np.eye(3))
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    evaluate_categorization(table, {"a": 0, "b": 1, "c": 1}, random_state=3)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    with pytest.raises(ValueError, match=r"two categories or more .* got 1: 2 of 3 words"):
        evaluate_categorization(table, {"a": 0, "b": 0, "x": 1})
    path = tmp_path / "categories.csv"
    path.write_text("key,kind\na,1\n")
    with pytest.raises(ValueError, match=r"columns named 'word' and 'category', got \['key', 'kind'\]"):
        evaluate_categorization(table, path)
    large = EmbeddingTable(range(30_001), np.ones((30_001, 1)))
    with pytest.raises(ValueError, match=r"30001 words, 3600240004 bytes.*Use method='kmeans'"):
        evaluate_categorization(large, {key: key % 2 for key in range(30_001)}, method="agglomerative")


def test_words_by_category_are_refused_with_what_to_make_of_them():
    table = EmbeddingTable(["a", "b", "c"], np.eye(3))
    with pytest.raises(
        TypeError, match=r"each word to its category, got \['a', 'b'\] of type list; of lists of words make"
    ):
        evaluate_categorization(table, {"x": ["a", "b"], "y": ["c"]})


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_missing_categories_are_none(missing):
    table = EmbeddingTable(["a", "b", "c"], np.eye(3))
    for categories in ({"a": 0, "b": 1, "c": missing}, [("a", 0), ("b", 1), ("c", missing)]):
        with pytest.raises(ValueError, match="1 words without a category, the first 'c'"):
            evaluate_categorization(table, categories)


@pytest.mark.parametrize("row", ["c", "c,2,x"])
def test_rows_of_a_file_with_other_cells_than_its_heading(tmp_path, row):
    path = tmp_path / "categories.csv"
    path.write_text(f"word,category\na,0\nb,1\n{row}\n")
    with pytest.raises(ValueError, match="cells in the row of 'c', expected 2 as in its heading"):
        evaluate_categorization(EmbeddingTable(["a", "b", "c"], np.eye(3)), path)


def test_one_word_in_two_spellings_counts_once():
    table = EmbeddingTable(["ruby", "oak"], np.eye(2))
    rows = [("Ruby", "s"), ("ruby", "s"), ("oak", "t"), ("oak", "s")]
    assert evaluate_categorization(table, rows).n_words == 3
    assert evaluate_categorization(table, rows, case_insensitive=False).n_words == 4


def test_a_series_maps_words_to_categories():
    table = EmbeddingTable(["a", "b", "c"], np.eye(3))
    categories = {"a": "x", "b": "y", "c": "y"}
    expected = evaluate_categorization(table, categories, random_state=0)
    assert evaluate_categorization(table, pd.Series(categories), random_state=0) == expected
