"""The table of Unicode characters: what it holds, with and without pandas."""

import sys
import unicodedata

import numpy as np
import pytest

from skembed.datasets import load_unicode


@pytest.fixture(scope="module")
def unicode():
    return load_unicode(as_frame=False)


def test_shape_and_target(unicode):
    assert unicode.data.shape == (len(unicode.target), len(unicode.feature_names))
    assert 30_000 < len(unicode.target) < 60_000  # grows with the versions of Unicode
    assert unicode.data.dtype == object
    picked = np.random.default_rng(0).integers(len(unicode.target), size=200)
    for character, category in zip(unicode.characters[picked], unicode.target[picked]):
        assert unicodedata.category(character) == category
    assert unicode.target_names == sorted(set(unicode.target))


def test_ruled_names_are_left_out(unicode):
    held = set(unicode.characters)
    assert "é" in held
    assert not held & {"一", "가"}  # a unified ideograph and a Hangul syllable


def test_code_points_do_not_leak_into_words(unicode):
    row = unicode.characters.tolist().index("\uf900")  # CJK COMPATIBILITY IDEOGRAPH-F900
    assert unicode.data[row, 3] == "IDEOGRAPH"


@pytest.mark.parametrize(("character", "kind"), [("é", "canonical"), ("ﬁ", "compat"), ("½", "fraction"), ("!", "none")])
def test_what_a_character_is_made_of(unicode, character, kind):
    assert unicode.data[unicode.characters.tolist().index(character), 5] == kind


def test_one_column_is_of_high_cardinality_and_none_names_the_row(unicode):
    n_levels = [len(set(unicode.data[:, j])) for j in range(6)]
    assert max(n_levels) > 5_000
    assert max(n_levels) < 0.5 * len(unicode.target)


def test_description_names_the_version(unicode):
    assert unicodedata.unidata_version in unicode.DESCR
    for name in unicode.feature_names:
        assert name in unicode.DESCR


def test_frame_holds_the_same(unicode):
    pytest.importorskip("pandas")
    frame = load_unicode(as_frame=True).data
    assert list(frame.columns) == unicode.feature_names
    assert frame.to_numpy(dtype=object).tolist() == unicode.data.tolist()


def test_return_X_y():
    X, y = load_unicode(return_X_y=True, as_frame=False)
    assert len(X) == len(y)


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("skembed.datasets._unicode.find_spec", lambda name: None)
    assert isinstance(load_unicode().data, np.ndarray)
    with pytest.raises(ImportError, match="skembed\\[dataframe\\]"):
        load_unicode(as_frame=True)


def test_as_frame_is_checked():
    with pytest.raises(ValueError, match="as_frame='yes'"):
        load_unicode(as_frame="yes")
