"""Tables that a file gave numbers which are not finite: what compares vectors names the key."""

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.formats import FormatError
from skembed.inspection import EmbeddingDisplay, compare_tables, evaluate_analogies, evaluate_similarity, hubness
from skembed.pairs import translate

MESSAGE = r"vectors must be finite float32, got (nan|-?inf) for the key 'w7' \(row 7, component 1\)"


@pytest.fixture(params=[np.nan, np.inf, -np.inf])
def tables(request, tmp_path):
    """A table as a file gave it, and one with a vector in the place of the bad one."""
    vectors = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    sound = EmbeddingTable([f"w{i}" for i in range(60)], vectors)
    vectors = vectors.copy()
    vectors[7, 1] = request.param
    lines = [f"w{i} {' '.join(map(str, vector))}\n" for i, vector in enumerate(vectors)]
    (tmp_path / "table").write_text("".join(lines))
    return EmbeddingTable.load(tmp_path / "table", allow_nonfinite=True), sound


@pytest.mark.parametrize(
    "ask",
    [
        lambda bad, sound: bad.nearest("w1"),
        lambda bad, sound: bad.nearest("w1", metric="euclidean"),
        lambda bad, sound: bad.nearest("w1", metric="csls"),
        lambda bad, sound: bad.nearest("w7", restrict_to=["w1", "w2"]),
        lambda bad, sound: bad.nearest("w1", restrict_to=["w1", "w7"]),
        lambda bad, sound: bad.kneighbors(sound.vectors, metric="dot"),
        lambda bad, sound: bad.analogy(["w1", "w2"], ["w3"]),
        lambda bad, sound: bad.analogy(["w1", "w2"], ["w3"], method="3cosmul"),
        lambda bad, sound: bad.align_to(sound),
        lambda bad, sound: sound.align_to(bad),
        lambda bad, sound: translate(sound, bad),
        lambda bad, sound: translate(bad, sound),
        lambda bad, sound: hubness(bad),
        lambda bad, sound: compare_tables(bad, sound),
        lambda bad, sound: evaluate_analogies(bad, [("w1", "w2", "w3", "w4")]),
        lambda bad, sound: evaluate_analogies(bad, [("w1", "w2", "w3", "w4")], method="3cosmul"),
        lambda bad, sound: evaluate_similarity(bad, [("w1", "w7", 1), ("w1", "w2", 3), ("w4", "w2", 4)]),
        lambda bad, sound: EmbeddingDisplay.from_table(bad),
        lambda bad, sound: EmbeddingDisplay.from_table(bad, method="mds", metric="cosine"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_vector_that_is_not_finite_is_named(tables, ask):
    with pytest.raises(ValueError, match=MESSAGE):
        ask(*tables)


@pytest.mark.filterwarnings("error")
def test_without_it_all_goes_on(tables):
    bad, sound = tables
    kept = bad.subset(bad.keys[np.isfinite(bad.vectors).all(axis=1)])
    assert kept == sound.subset([key for key in sound if key != "w7"])
    others = ["w2", "w3", "w4"]
    assert bad.nearest("w1", restrict_to=others) == sound.nearest("w1", restrict_to=others)
    pairs = [("w1", "w2", 1), ("w1", "w3", 3), ("w4", "w2", 4)]
    assert evaluate_similarity(bad, pairs) == evaluate_similarity(sound, pairs)


@pytest.mark.parametrize("options", [{}, {"mmap": True}, {"limit": 9}, {"keys": ["w7", "w1"]}])
def test_the_own_format_gives_it_back_where_that_is_asked_for(tables, tmp_path, options):
    bad, _ = tables
    bad.save(tmp_path / "own.safetensors")
    message = r"got (nan|-?inf) \(key 'w7'\); pass allow_nonfinite=True to take it as it is\.$"
    with pytest.raises(FormatError, match=message):
        EmbeddingTable.load(tmp_path / "own.safetensors", **options)
    again = EmbeddingTable.load(tmp_path / "own.safetensors", allow_nonfinite=True, **options)
    assert again == bad.subset(again.keys)
    assert "w7" in again
