"""The format of a file, told by its content and never by its name."""

import re

from skembed.data.pointers import POINTER, WAY_OUT
from skembed.formats._csv import looks_like_csv
from skembed.formats._errors import FormatError, foreign_hint
from skembed.formats._fasttext import MAGIC, plausible_without_magic
from skembed.formats._numbers import number
from skembed.formats._open import Source
from skembed.formats._rows import BYTE_ORDER_MARK

_LOOKED_AT = 1 << 16
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_HEADER = re.compile(rb"[+-]?[0-9]+[ \t]+[+-]?[0-9]+[ \t]*\r?")
_FIELD_ENDS = re.compile(rb"[ \t,;]+")
_PAIR = re.compile(rb"[0-9]+:[-+.0-9eE]+")
_A_PAGE = "a web page, which a server sends in place of a file; download the file anew"
_JSON = "JSON; read it by json.load, and pass keys and vectors: EmbeddingTable(content.keys(), content.values())"
_OTHER_TEXTS = {
    POINTER: WAY_OUT,
    b"<!doctype html": _A_PAGE, b"<html": _A_PAGE, b"{": _JSON,
}  # fmt: skip
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def sniffed(source: Source) -> str:
    """The name of the format; FormatError says what else the file looks like."""
    start = source.peek(_LOOKED_AT)
    if not start:
        raise source.error(0, "expected vectors, the file is empty")
    if start.startswith(MAGIC.to_bytes(4, "little")) or plausible_without_magic(start):
        return "fasttext-bin"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"\x93NUMPY"):
        return "numpy"
    if is_native(start):
        return "safetensors"
    hint = foreign_hint(start)
    if hint:
        raise FormatError(f"{source.name}: at byte 0: expected vectors in a format that skembed reads.{hint}")
    if start.startswith(_UTF16):
        raise source.error(0, "expected text in UTF-8, the file looks like UTF-16; convert it first")
    head, newline, rest = start.partition(b"\n")
    if newline and _HEADER.fullmatch(head):
        _refuse_sparse_rows(source, len(head) + 1, rest)
        return "text" if _is_text(rest, int(head.split()[1])) else "word2vec-binary"
    if _CONTROL.search(start[:1024]):
        raise source.error(0, f"expected vectors in a format that skembed reads, got bytes of none: {start[:16]!r}")
    _refuse_other_texts(source, head)
    _refuse_numbers_alone(source, start)
    return "csv" if looks_like_csv(start) else "text"


def _refuse_sparse_rows(source: Source, offset: int, rest: bytes) -> None:
    """FormatError for rows of components that are not zero, each beside its number, as those of PPMI are."""
    pairs = rest.split(b"\n", 1)[0].split()[1:]
    if pairs and all(_PAIR.fullmatch(pair) for pair in pairs):
        raise source.error(
            offset,
            f"expected a number for each component, found pairs such as {pairs[0][:40]!r}, as of sparse vectors; make "
            "dense ones of few components, by sklearn.decomposition.TruncatedSVD for instance, and pass them to "
            "EmbeddingTable(keys, vectors)",
        )


def _refuse_other_texts(source: Source, head: bytes) -> None:
    """FormatError for what stands where vectors should: a page of an error, a pointer of Git, JSON."""
    words = head.split()
    if not words or _is_number(words[-1]):
        return
    for beginning, found in _OTHER_TEXTS.items():
        if head.strip().lower().startswith(beginning):
            raise source.error(0, f"expected vectors, found {found}")


def _refuse_numbers_alone(source: Source, start: bytes) -> None:
    """FormatError for vectors without keys, as TensorFlow's projector and numpy.savetxt write them.

    Keys may be numbers, those of nodes for instance, but most are then whole.
    """
    lines = start.removeprefix(BYTE_ORDER_MARK).split(b"\n")
    rows = [
        _FIELD_ENDS.split(line.strip()) for line in (lines[:-1] if len(start) == _LOOKED_AT else lines) if line.strip()
    ]
    if not rows or not all(_is_number(field) for row in rows for field in row):
        return
    parts = [row[0] for row in rows if b"." in row[0] and not float(row[0]).is_integer()]
    if 2 * len(parts) > len(rows):
        raise source.error(
            0,
            f"expected a key before the numbers of each row, got numbers alone, such as {parts[0][:40]!r}; read them "
            "by numpy.loadtxt, and put the keys beside them: EmbeddingTable(keys, vectors). If the first numbers are "
            "the keys, name the format: format='glove', or 'csv'",
        )


def is_native(start: bytes) -> bool:
    """Whether a file starts as one of safetensors: the length of a JSON object, and its first bracket."""
    return len(start) >= 8 and start[4:8] == b"\0\0\0\0" and start[8:9] in (b"{", b"")


def _is_text(rest: bytes, dim: int) -> bool:
    """Whether what follows a header is lines of text; numbers in binary have control characters among them."""
    fields = rest.split(b"\n", 1)[0].split()
    are_numbers = [_is_number(field) for field in fields[1:]]
    if len(fields) > dim > 0 and all(are_numbers[-dim:]):
        return True
    if len(fields) <= dim and not all(are_numbers):  # a short line of text at least has no other than numbers
        return False
    return not _CONTROL.search(rest[:4096])


def _is_number(field: bytes) -> bool:
    try:
        number(field)
    except ValueError:
        return False
    return True
