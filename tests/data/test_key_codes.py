"""Keys as bytes: the code and the spelling of each type, and spellings that are none."""

import datetime as dt
import decimal
import re
import uuid

import numpy as np
import pytest

from skembed.data import keycodes
from skembed.data.canonical import canonical_key
from skembed.data.keycodes import decode_keys, encode_keys

UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
SPELLED = [
    (None, 0, ""), (False, 1, "False"), (True, 1, "True"), (0, 2, "0"), (-12, 2, "-12"), (10**30, 2, str(10**30)),
    (0.5, 3, "0x1.0000000000000p-1"), (float("inf"), 3, "inf"), (1e300, 3, (1e300).hex()), ("", 4, ""),
    ("Köln", 4, "Köln"), ("\ud800", 4, None), ("a\0b", 4, "a\0b"), (b"\x00\xff", 5, "\x00\xff"), (b"", 5, ""),
    (dt.datetime(2020, 2, 29, 1, 2, 3, 4), 6, "2020-02-29T01:02:03.000004"),
    (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), 6, "2020-01-01T00:00:00+00:00"), (dt.timedelta(-1, 5), 7, "-86395000000"),
    (decimal.Decimal("1.50"), 8, "1.50"), (decimal.Decimal("-Infinity"), 8, "-Infinity"), (UUID, 9, str(UUID)),
    (np.datetime64(1, "ns"), 10, "ns 1"), (np.datetime64("10000-01-01", "s"), 10, "s 253402300800"),
    (np.timedelta64(1, "ns"), 11, "ns 1"), (np.timedelta64(3, "Y"), 11, "Y 3"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "code", "text"), SPELLED)
def test_each_type_has_its_code_and_spelling(key, code, text):
    keys = np.array([key, None], dtype=object)[:-1]
    codes, offsets, blob = encode_keys(keys)
    assert codes.tolist() == [code]
    assert (codes.dtype, offsets.dtype) == (np.uint8, np.dtype("<i8"))
    assert offsets.tolist() == [0, len(blob)]
    if text is not None:
        assert blob.decode() == text
    (again,) = decode_keys(codes, offsets, blob)
    assert again == key
    assert type(again) is type(key)


@pytest.mark.parametrize("at_once", [1, 2, 1 << 16])
@pytest.mark.parametrize(
    "keys",
    [[], ["a"], ["a", "", "Köln", "", "b"], ["a", None, 7], ["\ud800", "x"], [key for key, _, _ in SPELLED],
     [chr(i) for i in range(128)], [chr(i) for i in range(128)] + ["é"]],
)  # fmt: skip
def test_many_keys_lie_one_after_the_other(keys, at_once, monkeypatch):
    monkeypatch.setattr(keycodes, "KEYS_AT_ONCE", at_once)
    codes, offsets, blob = encode_keys(np.array([*keys, None], dtype=object)[:-1])
    assert offsets[0] == 0
    assert offsets[-1] == len(blob)
    found = decode_keys(codes, offsets, blob)
    assert found == keys
    assert list(map(type, found)) == list(map(type, keys))


def test_times_of_each_unit_have_one_spelling():
    """A number is that of a key if no coarser unit holds the time."""
    for make, code in ((np.datetime64, 10), (np.timedelta64, 11)):
        for unit in ("ns", "ps", "fs", "as", "us", "s"):
            for number in (0, 1, -1, 999, 1000, -1001, 10**6, 10**9 + 1, 10**15, 2**63 - 1, -(2**63)):
                key, blob = canonical_key(make(number, unit)), f"{unit} {number}".encode()
                codes, offsets = np.uint8([code]), np.int64([0, len(blob)])
                if isinstance(key, np.generic) and np.datetime_data(key.dtype)[0] == unit:
                    (found,) = decode_keys(codes, offsets, blob)
                    assert (found, found.dtype) == (key, key.dtype)
                else:
                    with pytest.raises(ValueError, match=r"another spelling|OverflowError"):
                        decode_keys(codes, offsets, blob)


def test_keys_of_other_types_are_named():
    message = (
        "keys in a file must be str, int, float, Decimal, bool, bytes, UUID, times or None, got (1, 2) of type tuple "
        "(row 1). Build the table with other keys to save it: EmbeddingTable([str(key) for key in table], "
        "table.vectors)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        encode_keys(np.array(["a", (1, 2), None], dtype=object))


@pytest.mark.parametrize(
    ("code", "text", "why"),
    [
        (0, "x", 'ValueError("expected \'\'")'), (1, "true", "KeyError('true')"), (2, "+1", "another spelling"),
        (2, "01", "another spelling"), (2, "x", "invalid literal"), (3, "0.5", "another spelling"),
        (3, "0x1p99999", "OverflowError"), (6, "2020-02-30T00:00:00", "ValueError"),
        (6, "2020-02-28", "another spelling"), (7, "1e3", "invalid literal"), (7, "9" * 30, "OverflowError"),
        (8, "one", "no decimal number"), (8, "NaN", "expected a number"), (8, "1_0", "another spelling"),
        (9, "1234", "badly formed"), (9, UUID.hex, "another spelling"),
        (10, "ns", "invalid literal"), (10, "fortnight 1",
         "expected one of the units ns, ps, fs, as, us, ms, s, m, h, D, W, M, Y"),
        (10, "s 0", "another spelling of the same key"), (10, "ns 1000", "another spelling of the same key"),
        (10, "ns 01", "another spelling of the same key"), (11, "us 5", "another spelling of the same key"),
        (12, "", "KeyError(12)"), (255, "x", "KeyError(255)"),
    ],
)  # fmt: skip
def test_spellings_that_are_none(code, text, why):
    blob = b"7" + text.encode()
    with pytest.raises(ValueError, match=re.escape(why)) as caught:
        decode_keys(np.uint8([2, code]), np.int64([0, 1, len(blob)]), blob)
    assert str(caught.value).startswith(f"key_bytes: no key of type code {code} in {text.encode()[:40]!r} (row 1): ")


@pytest.mark.parametrize("offsets", [[1, 2], [0, 1], [0, 3, 2], [0, 3], [-1, 2]])
def test_offsets_rise_to_the_end(offsets):
    with pytest.raises(
        ValueError, match=r"^key_offsets: expected to rise from 0 to the 2 bytes of key_bytes, they do not$"
    ):
        decode_keys(np.full(len(offsets) - 1, 4, np.uint8), np.int64(offsets), b"ab")


def test_texts_that_are_no_utf_8_are_named_by_their_row():
    with pytest.raises(ValueError, match=r"^key_bytes: no key of type code 4 in b'\\xff' \(row 1\)"):
        decode_keys(np.uint8([4, 4]), np.int64([0, 1, 2]), b"a\xff")
    with pytest.raises(ValueError, match=r"no key of type code 4 in b'\\xc3' \(row 0\)"):
        decode_keys(np.uint8([4, 4]), np.int64([0, 1, 2]), "é".encode())  # a character that two keys share
