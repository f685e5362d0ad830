"""Numbers as text, slowly and surely: what the compiled parser does, for small files and for its hard cases."""

import re

import numpy as np

_NUMBER = re.compile(rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_OF_NUMBERS = b"0123456789+-.eEnNaAiIfFtTyY"


def number(token: bytes) -> float:
    """The float64 nearest to what the token says; ValueError unless it is a number as C and Python write them.

    Examples
    --------
    >>> number(b"-1.5e-3")
    -0.0015
    >>> number(b"1_000")
    Traceback (most recent call last):
        ...
    ValueError: b'1_000'
    """
    if not _NUMBER.fullmatch(token):
        raise ValueError(token[:40])
    return float(token)


def as_float32(value: float) -> np.float32:
    with np.errstate(over="ignore"):
        return np.float32(value)


def split_lines(block: bytes, dim: int) -> tuple[np.ndarray, int]:
    """Where the lines of a block have their keys and numbers.

    Parameters
    ----------
    block : bytes
        Whole lines, each with its newline.
    dim : int
        How many fields at the end of a line are numbers; what stands before them is the key.

    Returns
    -------
    spans : ndarray of shape (n, 4), int64
        Of each line that is not blank: start and stop of the key, start and stop of the numbers.
    bad : int
        Where the first line with fewer fields starts, which ends the spans; -1 if there is none.
    """
    spans: list[tuple[int, int, int, int]] = []
    start = 0
    while start < len(block):
        stop = block.index(b"\n", start)
        line = block[start:stop].rstrip(b" \t\r")
        fields = [field for field in line.replace(b"\t", b" ").split(b" ") if field]
        if fields:
            if len(fields) < dim or (len(fields) == dim and line[:1] not in (b" ", b"\t")):
                return np.array(spans, dtype=np.int64).reshape(-1, 4), start
            at = len(line)
            for field in reversed(fields[len(fields) - dim :]):
                at = line.rindex(field, 0, at)
            key = line[:at].rstrip(b" \t")
            begin = start + len(key) - len(key.lstrip(b" \t"))
            spans.append((begin, start + len(key), start + at, start + len(line)))
        start = stop + 1
    return np.array(spans, dtype=np.int64).reshape(-1, 4), -1


def parse_rows(
    block: bytes, starts: np.ndarray, stops: np.ndarray, out: np.ndarray, row: int, column: int, place: int
) -> tuple[int, int, int, int]:
    """Numbers of lines as rows of float32, from one row, column and place on.

    Returns
    -------
    row, column, start, stop : int
        The first number that needs a closer look, because it is none or is not finite; ``row == len(out)`` if none.
    """
    for at in range(row, len(out)):
        fields = [field for field in block[starts[at] : stops[at]].replace(b"\t", b" ").split(b" ") if field]
        if at > row or not column:
            try:
                if not b"".join(fields).translate(None, _OF_NUMBERS):
                    values = np.array(list(map(float, fields)))
                    if np.abs(values).max() < 3.4e38:  # and not, where one is nan
                        out[at] = values
                        continue
            except ValueError:
                pass
        position = int(starts[at])
        for index, field in enumerate(fields):
            position = block.index(field, position)
            end = position + len(field)
            if at > row or index >= column:
                try:
                    value = as_float32(number(field))
                except ValueError:
                    return at, index, position, end
                if not np.isfinite(value):
                    return at, index, position, end
                out[at, index] = value
            position = end
    return len(out), 0, 0, 0
