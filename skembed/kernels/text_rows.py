# ruff: noqa: SIM109 - the compiler makes two comparisons faster than a look into a tuple
"""The same as `_numbers`, compiled: numbers of text at hundreds of megabytes a second.

A number of up to 15 digits and a small power of ten is one exact product or quotient of two float64 (Clinger 1990).
For others the float64 is known up to a few units of its last place; where all of that range rounds to one float32, so
does the number, and where it does not, once in some ten million, the slow twin is asked.
"""

import numpy as np

from skembed.kernels.compile import compiled

__all__ = ["join_keys", "parse_rows", "split_lines"]

_MAX_POWER = 80  # beyond it the slow twin is asked: float32 ends at 1e38 and 1e-45, a mantissa of 18 digits beside it
_POWERS = np.array([float(f"1e{power}") for power in range(_MAX_POWER + 1)])
_EXACT_POWER = 22  # 10 ** 22 is the last power of ten that is a float64
_EXACT_INTEGER = 1 << 53
_MAX_MANTISSA = 10**17  # one more digit fits int64
_SPREAD = 2.0**-50  # the product of a rounded mantissa and a rounded power is off by less than 2 ** -51
_FLOAT32_END = 3.4e38

_SPACE, _TAB, _RETURN, _NEWLINE, _PLUS, _MINUS, _POINT, _ZERO, _E = 32, 9, 13, 10, 43, 45, 46, 48, 101


@compiled()
def split_lines(data, dim, spans):
    """See `_numbers.split_lines`; `spans` has as many rows as there are lines. Returns their number, and `bad`."""
    n_lines, start, n_bytes = 0, 0, len(data)
    while start < n_bytes:
        n_fields, place, inside = 0, start, False
        first_stop = start
        while data[place] != _NEWLINE:
            byte = data[place]
            if byte == _SPACE or byte == _TAB:
                if inside and n_fields == 1:
                    first_stop = place
                inside = False
            elif not inside:
                inside = True
                n_fields += 1
            place += 1
        stop, n_returns = place, 0
        while stop > start and (data[stop - 1] == _SPACE or data[stop - 1] == _TAB or data[stop - 1] == _RETURN):
            stop -= 1
            n_returns += data[stop] == _RETURN
        simple_end = n_returns == 0 or place - stop == 1  # else a carriage return was counted as a field
        if stop == start:
            start = place + 1
            continue
        begin = start
        while data[begin] == _SPACE or data[begin] == _TAB:
            begin += 1
        if n_fields == dim + 1 and simple_end and first_stop > begin and first_stop < stop:
            key_stop, values = first_stop, first_stop
        else:  # a key with spaces, or none: the numbers are counted from the end
            values, left = stop, dim
            while left > 0 and values > start:
                while values > start and (data[values - 1] == _SPACE or data[values - 1] == _TAB):
                    values -= 1
                if values == start:
                    break
                while values > start and not (data[values - 1] == _SPACE or data[values - 1] == _TAB):
                    values -= 1
                left -= 1
            if left > 0 or values == start:
                return n_lines, start
            key_stop = values
            while key_stop > start and (data[key_stop - 1] == _SPACE or data[key_stop - 1] == _TAB):
                key_stop -= 1
            begin = min(begin, key_stop)
        while data[values] == _SPACE or data[values] == _TAB:
            values += 1
        spans[n_lines, 0] = begin
        spans[n_lines, 1] = key_stop
        spans[n_lines, 2] = values
        spans[n_lines, 3] = stop
        n_lines += 1
        start = place + 1
    return n_lines, -1


@compiled()
def join_keys(data, spans, out):
    """Write the keys of lines one after the other, each with a newline; return how many bytes that took."""
    at = 0
    for line in range(len(spans)):
        for place in range(spans[line, 0], spans[line, 1]):
            out[at] = data[place]
            at += 1
        out[at] = _NEWLINE
        at += 1
    return at


@compiled()
def parse_rows(data, starts, stops, out, row, column, place):
    """See `_numbers.parse_rows`: row, column, start and stop of the first number that needs a closer look."""
    n_rows, dim = out.shape
    while row < n_rows:
        if column == 0:
            place = starts[row]
        stop = stops[row]
        while column < dim:
            while place < stop and (data[place] == _SPACE or data[place] == _TAB):
                place += 1
            start = place
            negative = False
            if place < stop and (data[place] == _MINUS or data[place] == _PLUS):
                negative = data[place] == _MINUS
                place += 1
            mantissa, power, n_digits = 0, 0, 0
            while place < stop:
                digit = int(data[place]) - _ZERO
                if digit < 0 or digit > 9:
                    break
                if mantissa < _MAX_MANTISSA:
                    mantissa = mantissa * 10 + digit
                else:
                    power += 1
                n_digits += 1
                place += 1
            exact = power == 0
            if place < stop and data[place] == _POINT:
                place += 1
                while place < stop:
                    digit = int(data[place]) - _ZERO
                    if digit < 0 or digit > 9:
                        break
                    if mantissa < _MAX_MANTISSA:
                        mantissa = mantissa * 10 + digit
                        power -= 1
                    else:
                        exact = False
                    n_digits += 1
                    place += 1
            sound = n_digits > 0
            if place < stop and (data[place] | 32) == _E:
                place += 1
                down = False
                if place < stop and (data[place] == _MINUS or data[place] == _PLUS):
                    down = data[place] == _MINUS
                    place += 1
                exponent, n_exponent = 0, 0
                while place < stop:
                    digit = int(data[place]) - _ZERO
                    if digit < 0 or digit > 9:
                        break
                    if exponent < 10_000:
                        exponent = exponent * 10 + digit
                    n_exponent += 1
                    place += 1
                sound = sound and n_exponent > 0
                power += -exponent if down else exponent
            if place < stop and data[place] != _SPACE and data[place] != _TAB:
                sound = False
            if sound:
                if mantissa == 0:
                    value = np.float32(0.0)
                elif power < -_MAX_POWER or power > _MAX_POWER:
                    sound = False
                else:
                    wide = mantissa * _POWERS[power] if power >= 0 else mantissa / _POWERS[-power]
                    value = np.float32(wide)
                    if wide > _FLOAT32_END:
                        sound = False
                    elif not (
                        exact and mantissa <= _EXACT_INTEGER and power >= -_EXACT_POWER and power <= _EXACT_POWER
                    ):
                        sound = np.float32(wide * (1.0 - _SPREAD)) == np.float32(wide * (1.0 + _SPREAD))
            if not sound:
                while place < stop and data[place] != _SPACE and data[place] != _TAB:
                    place += 1
                return row, column, start, place
            out[row, column] = -value if negative else value
            column += 1
        column = 0
        row += 1
    return row, 0, 0, 0
