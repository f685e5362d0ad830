"""Numbers that are there as text, too: who meets them is told, and nobody else."""

import warnings

import numpy as np
import pytest

from skembed import CooccurrenceEncoder, EntityEmbeddingEncoder, InteractionEmbedder, ProjectionEmbedder
from skembed.data.columns import factorize
from skembed.data.twins import twin_levels, twins_among
from skembed.interactions import read_interactions
from skembed.sequence import to_sequences

pd = pytest.importorskip("pandas")

X = pd.DataFrame({"zip": [1010, "1010", "A", 2] * 20, "shop": ["a", "b", "b", "a"] * 20})
Y = np.arange(80) % 4 < 2
OF_ZIP = (
    r"^1 levels of column 'zip' are there as a number and as text, as 1010 and '1010': they are two levels each\. Con"
)


def test_what_is_said():
    assert twins_among([2, "2", 7, "x", "7", 1.5, "1.5", 3], "users", "the column", " of column 'id'") == (
        "3 users of column 'id' are there as a number and as text, as 2 and '2': they are two users each. Convert the "
        "column to one type before, if they are the same."
    )
    assert twins_among([3, 1.5, "1.5", "3.0", 4, "4"], "users", "X")[:72] == (
        "3 users are there as a number and as text, as 3 and '3.0': they are two "
    )  # as pandas.read_csv has them of numbers beside missing ones
    for keys in ([], [1, 2], ["1", "2"], [1, "2", None], [True, "True"], [None, "None"], [(1,), "1"]):
        assert twins_among(keys, "users", "the column") is None
    factors = [factorize(values) for values in ([1, "1"], [1, "a"], [2, "2"])]
    assert [text[:30] for text in twin_levels(["a", "b", "c"], factors)] == [
        "1 levels of column 'a' are the", "1 levels of column 'c' are the",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fit",
    [
        lambda: EntityEmbeddingEncoder().fit(X, Y), lambda: CooccurrenceEncoder().fit(X),
        lambda: ProjectionEmbedder("autoencoder", categorical_features="all", max_iter=1).fit(X),
    ],
    ids=["entity", "co-occurrence", "autoencoder"],
)  # fmt: skip
def test_levels_of_columns(fit):
    if "Projection" in str(fit.__code__.co_names):
        pytest.importorskip("torch")
    with pytest.warns(UserWarning, match=OF_ZIP) as caught:
        fit()
    assert [warning.filename for warning in caught] == [__file__]


def test_a_fit_that_is_known_tells_again(tmp_path):
    for dim in (1, 2):
        with pytest.warns(UserWarning, match=OF_ZIP):
            EntityEmbeddingEncoder(dim, memory=str(tmp_path), random_state=0).fit(X, Y)


def test_levels_of_sequences():
    pytest.importorskip("torch")
    from skembed import SequenceEmbedder

    with pytest.warns(UserWarning, match="^1 levels of column 'x0' are there as a number and as text, as 3 and '3'"):
        SequenceEmbedder(2, max_iter=1).fit([[3, "3"], ["a"]] * 20)


def test_users_items_and_cases():
    log = pd.DataFrame({"user": [1, "1", "b"], "item": ["x", 5, "5"]})
    with pytest.warns(UserWarning, match="are there as a number and as text") as caught:
        assert read_interactions(log).X.shape == (3, 3)
    assert [str(warning.message)[:25] for warning in caught] == [
        "1 users of column 'user' ", "1 items of column 'item' "
    ]  # fmt: skip
    with pytest.warns(UserWarning, match="^1 cases of column 'user' are there as a number and as text, as 1 and '1'"):
        to_sequences(log, by="user")
    with pytest.warns(UserWarning, match="^1 items are there as a number and as text, as 5 and '5'"):
        InteractionEmbedder(1, method="popularity").fit([[5, "a"], ["5", "a"]])


def test_one_type_is_no_twin():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for zips in (X.zip.astype(str), X.zip.map(str).astype("category"), X.shop):
            CooccurrenceEncoder().fit(X.assign(zip=zips))
        read_interactions(pd.DataFrame({"user": [1, 2], "item": ["1", "2"]}))
