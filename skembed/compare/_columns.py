"""Kinds of columns: numbers and dates written as text, identifiers, codes, and plain categories."""

import re

import numpy as np

# A text column is read as numbers or dates when nearly every row and most distinct values parse: among the codes
# "0", "a", "b", "c" nearly every row may be a "0".
_PARSED_ROWS = 0.98
_PARSED_LEVELS = 0.9
# those of `pandas.read_csv` lack the marks and know few spellings
_PLACEHOLDERS = frozenset(["", "-", "--", "\u2013", "\u2014", ".", "?", "n.a.", "n.d.", "na", "nan", "none", "null"])

# No library reads money: signs and units are errors to `pandas.to_numeric` and to the casts of polars and pyarrow, of
# which only `pandas.read_csv` knows of thousands, and it drops their mark wherever it stands: with ``thousands=","``,
# "1,2,3" is 123 and "12,5" is 125, and with "." the version "1.2.3" is 123.
_AFFIXES = re.compile(r"^(?:[$€£¥₹₩₽]|USD|EUR|GBP|CHF|JPY)|(?:[$€£¥₹₩₽%]|USD|EUR|GBP|CHF|JPY)$")
# between digits they are marks of thousands or none at all: a score of "2 1" is no 21, and a height of 6'2 no 62
_SPACES = re.compile(r"(?<!\d)[\s']|[\s'](?=\d{3}(?!\d))|[\s'](?!\d)")
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_POINT = re.compile(rf"[+-]?(?=\.?\d)(?:\d+|\d{{1,3}}(?:,\d{{3}})+)?(?:\.\d*)?{_EXPONENT}")
_COMMA = re.compile(rf"[+-]?(?=,?\d)(?:\d+|\d{{1,3}}(?:\.\d{{3}})+)?(?:,\d*)?{_EXPONENT}")
_CODE = re.compile(r"0\d+")  # "00544" is a ZIP code, not 544

_LOOKS_LIKE_DATE = re.compile(r"\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4}")
# One format for a whole column, the one that reads the most of it. `pandas.to_datetime` decides by the first date, so
# that 31/12/2016 after 01/02/2017 is missing, or date by date where ``format="mixed"``: 12/11/2016 is in December
# beside 13/12/2016, and the version "1.2.3" is a day of 2003. What guesses formats for it (`guess_datetime_format`)
# knows neither years of two digits nor AM and PM. polars expects days before months.
_DATE_FORMATS = [
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
]
_DATE_FORMATS += ["%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"]
_TIMES = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"]

_DAYS = "days since 1970"

# Shrinks the mean of a level towards the mean of all, in rows.
_PRIOR_ROWS = 10
_CODE_GAIN = (
    1.25  # how much more of the target a level's own mean must explain than its neighbours' before order is given up
)
_CODE_GAIN_FLOOR = 0.002
LARGEST = 1e100  # of numbers whose squares, and sums of many of these, are within float64


def to_numbers(column):
    """Numbers of a column, or None if it is none of numbers, money, percentages, dates and durations.

    Parameters
    ----------
    column : pandas.Series

    Returns
    -------
    numbers : float64 array of shape (n_rows,) or None
        Missing values are nan. Dates are days since 1970-01-01, durations are days.
    how : str
        Empty where the column already held numbers, else what they were read as: "numbers", "days since 1970" or
        "days".
    """
    import pandas as pd

    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) or isinstance(kind, pd.CategoricalDtype):
        return None, ""
    if pd.api.types.is_complex_dtype(kind):
        return None, ""
    if pd.api.types.is_numeric_dtype(kind):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), ""
    if pd.api.types.is_datetime64_any_dtype(kind):
        return _days(column), _DAYS
    if pd.api.types.is_timedelta64_dtype(kind):
        return (column / pd.Timedelta(days=1)).to_numpy(dtype=np.float64), "days"
    return _numbers_of_objects(column)


def _numbers_of_objects(column):
    import pandas as pd

    codes, levels = pd.factorize(column)
    if not len(levels):
        return None, ""
    if not all(isinstance(level, str) for level in levels):
        kind = pd.api.types.infer_dtype(levels, skipna=True)
        if kind in ("decimal", "integer", "floating", "mixed-integer-float"):
            return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan), ""
        if kind in ("date", "datetime", "datetime64"):  # older pandas makes its own of them
            return _days(pd.to_datetime(column, errors="coerce", utc=True)), _DAYS
        return None, ""
    levels = [level.strip() for level in levels]
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    known = np.array([level.lower() not in _PLACEHOLDERS for level in levels])
    if not known.any():
        return None, ""
    for read, how in ((_parse_numbers, "numbers"), (_parse_dates, _DAYS)):
        parsed = read(levels)
        if parsed is None:
            continue
        good = np.isfinite(parsed) & known
        if good.sum() >= _PARSED_LEVELS * known.sum() and counts[good].sum() >= _PARSED_ROWS * counts[known].sum():
            return np.append(np.where(good, parsed, np.nan), np.nan)[codes], how
    return None, ""


def _parse_numbers(levels):
    """Numbers of texts such as "$69,222.18", "1 234", "(12.5)", "7 %", "1.234,56 €"; nan for what is none."""
    bare = []
    for level in levels:
        text = _SPACES.sub("", level).replace("\u2212", "-")
        if text.startswith("(") and text.endswith(")"):
            text = "-" + text[1:-1]  # how accountants write a loss
        sign = text[:1] if text[:1] in "+-" else ""
        bare.append(sign + _AFFIXES.sub("", _AFFIXES.sub("", text.removeprefix(sign))))
    if sum(_CODE.fullmatch(text) is not None for text in bare) > 1:
        return None
    point, comma = (np.array([p.fullmatch(t) is not None for t in bare]) for p in (_POINT, _COMMA))
    pattern, drop, decimal = (point, ",", ".") if point.sum() >= comma.sum() else (comma, ".", ",")
    plain = (
        text.replace(drop, "").replace(decimal, ".") if is_number else "nan" for text, is_number in zip(bare, pattern)
    )
    return np.fromiter(plain, dtype=np.float64, count=len(bare))


def _parse_dates(levels):
    """Days since 1970 of the one format that reads the most texts; nan for what it cannot read."""
    import pandas as pd

    if np.mean([_LOOKS_LIKE_DATE.match(level) is not None for level in levels]) < _PARSED_LEVELS:
        return None
    texts = pd.Series(levels, dtype=object)
    sample = texts.sample(min(len(texts), 500), random_state=0)  # at random: the 1st and the 15th may take turns
    has_time = ":" in "".join(sample)
    formats = ["ISO8601", *(date + time for date in _DATE_FORMATS for time in (_TIMES[1:] if has_time else _TIMES[:1]))]
    best, best_parsed = None, 0
    for pattern in formats:
        parsed = int(pd.to_datetime(sample, format=pattern, errors="coerce", utc=True).notna().sum())
        if parsed > best_parsed:
            best, best_parsed = pattern, parsed
        if parsed == len(sample):
            break
    return None if best is None else _days(pd.to_datetime(texts, format=best, errors="coerce", utc=True))


def _days(dates):
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    # not as pandas' own difference, which takes nanoseconds: they end in the years 1677 and 2262
    return (dates.to_numpy() - np.datetime64(0, "D")) / np.timedelta64(1, "D")


def is_huge(numbers):
    """Whether the largest of some numbers is beyond `LARGEST`; missing ones are nan."""
    return bool(np.abs(numbers[~np.isnan(numbers)]).max(initial=0.0) > LARGEST)


def is_row_number(numbers):
    """Whether whole numbers only count or name the rows: all different, and rising, falling or without gaps."""
    known = numbers[~np.isnan(numbers)]
    if len(known) < _PARSED_ROWS * len(numbers) or not _is_whole(known) or len(np.unique(known)) < len(known):
        return False
    steps = np.diff(known)
    return bool((steps > 0).all() or (steps < 0).all() or np.ptp(known) < 1.05 * len(known))


def is_code(numbers, targets):
    """Whether whole numbers are names (a store, a role) rather than amounts: nearness in value then says little.

    A level's own mean of the target (its own row left out) is set against the mean over the levels beside it. Amounts
    are guessed as well from their neighbours; codes are not.

    Parameters
    ----------
    numbers : float64 array of shape (n_rows,)
        Missing values are nan.
    targets : float64 array of shape (n_rows, n_targets)
        The target, or one indicator column per class.
    """
    known = ~np.isnan(numbers)
    numbers, targets = numbers[known], targets[known]
    if not len(numbers) or not _is_whole(numbers):
        return False
    levels, codes, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(levels) < 3 or len(levels) > len(numbers) / 3:
        return False  # two levels have no order; levels met once or twice cannot be told from amounts
    targets = targets - targets.mean(axis=0)
    sums = np.stack([np.bincount(codes, column) for column in targets.T], axis=1)
    squares = np.bincount(codes, (targets**2).sum(axis=1))
    total = squares.sum()
    if total == 0:
        return False
    # a level's squared errors follow from its sums: those of (sum - t) * weight as a guess of t, its own row left out,
    weight = 1 / (counts - 1 + _PRIOR_ROWS)
    lengths = (sums**2).sum(axis=1)
    own = (1 + weight) ** 2 * squares - (2 + (2 - counts) * weight) * weight * lengths
    # and those of the mean of the levels beside it
    means = (_mean_beside(sums, counts, reach) for reach in (1, 2, 4, 8, 16))
    beside = min((squares + (mean * (counts[:, None] * mean - 2 * sums)).sum(axis=1)).sum() for mean in means)
    return bool(1 - own.sum() / total > _CODE_GAIN * max(1 - beside / total, 0.0) + _CODE_GAIN_FLOOR)


def _is_whole(numbers):
    return bool(np.isfinite(numbers).all() and (np.floor(numbers) == numbers).all())


def _mean_beside(sums, counts, reach):
    """Mean target of the `reach` levels on either side of each level, itself left out."""
    ends = np.arange(len(counts))
    low, high = np.maximum(ends - reach, 0), np.minimum(ends + reach + 1, len(counts))
    rows = np.append(0, np.cumsum(counts))
    totals = np.vstack([np.zeros_like(sums[:1]), np.cumsum(sums, axis=0)])
    return (totals[high] - totals[low] - sums) / (rows[high] - rows[low] - counts + _PRIOR_ROWS)[:, None]


def as_levels(column):
    """A column as categories that every encoder reads alike: whole numbers as int, all else as str, missing as nan.

    Returns
    -------
    levels : pandas.Series of dtype int64, or of dtype object holding str and nan
    """
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(numbers)
        if not _is_whole(numbers[known]) or np.abs(numbers[known]).max(initial=0) > 2**53:
            return _text(column)
        if known.all():
            return pd.Series(numbers.astype(np.int64), index=column.index, name=column.name)
        texts = np.full(len(numbers), np.nan, dtype=object)
        texts[known] = [str(int(number)) for number in numbers[known]]
        return pd.Series(texts, index=column.index, name=column.name, dtype=object)
    return _text(column)


def _text(column):
    codes, levels = column.factorize()
    texts = np.empty(len(levels) + 1, dtype=object)
    texts[:-1] = [level if isinstance(level, str) else str(level) for level in levels]
    texts[-1] = np.nan  # code -1: missing
    return type(column)(texts[codes], index=column.index, name=column.name, dtype=object)
