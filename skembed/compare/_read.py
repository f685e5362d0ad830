"""Files to data frames: csv and its relatives in any compression, separator and encoding, and parquet.

What a file is, its first bytes decide; its suffix is not believed.
"""

import contextlib
import csv
import io
import itertools
import lzma
import re
import warnings
import zipfile
import zlib
from pathlib import Path

from skembed.data.compression import MAX_EXPANSION, find_compression, most_bytes

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SNIFFED_LINES = 100
_SNIFFED_CHARACTERS = 1 << 20
_COMMA_BESIDE_TEXT = re.compile(r"\D,|,\D")
_TOLD_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?\n')  # the first line of a file for Excel
_WORKBOOKS = {"xl/workbook.xml", "xl/workbook.bin", "META-INF/manifest.xml"}  # members of xlsx, xlsb and ods
_PIECE = 1 << 20  # bytes of compressed content
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class InputError(ValueError):
    """What was asked for cannot be read or compared; the message is one line and says what to do."""


def read_table(path, *, header_rows=1):
    """Read a csv or parquet file as it is: no column is converted beyond what the file format says.

    Parameters
    ----------
    path : str or path-like
        csv, tsv and the like (also gzip, bz2, xz, zip), or parquet. Separator and encoding are found out. Lines
        before the names that begin with "#" are comments, unless they have as many cells as the line behind them.
    header_rows : int, default=1
        How many lines hold the column names, 0 to 2. With 0 the columns are called ``column_1``, ``column_2`` ...; of
        two lines, the names are joined by ``": "``.

    Returns
    -------
    table : pandas.DataFrame of shape (n_rows, n_columns)
        Columns with unique names of type str.

    Raises
    ------
    InputError
        If the file is absent, a directory, empty, no table, or damaged, or if pandas is not installed.
    """
    path = Path(path)
    pd = _import_pandas()
    try:
        if path.is_dir():
            raise InputError(f"{path} is a directory: give one csv or parquet file.")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.{_files_like(path)}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    raw = _decompress(raw, path)
    if not raw.strip():
        raise InputError(f"{path} is empty.")
    if raw.startswith(b"PAR1"):
        table = _read_parquet(pd, raw, path)
    else:
        table = _read_csv(pd, _decode(raw, path), path, header_rows)
    if table.columns.size < 2:
        tried = ", ".join(SEPARATORS.values())
        raise InputError(
            f"{path} has one column only (tried {tried} between columns): a target and one more are needed."
        )
    if not len(table):
        raise InputError(f"{path} has column names but no rows.")
    return table


def _import_pandas():
    try:
        import pandas as pd
    except ImportError:
        raise InputError('reading files needs pandas: pip install "skembed[dataframe]".') from None
    return pd


def _files_like(path):
    """A hint for a mistyped file name."""
    from difflib import get_close_matches

    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return ""
    near = get_close_matches(path.name, names, n=1)
    return f" Is it {path.with_name(near[0])}?" if near else ""


def _decompress(raw, path):
    try:
        compression = find_compression(raw)
        if compression is not None:
            content = bytearray()
            with compression.open(io.BytesIO(raw)) as file:
                while piece := file.read(_PIECE):
                    content += piece
                    _check_expansion(path, len(content), len(raw))
            return bytes(content)
        if raw.startswith(b"PK\x03\x04"):
            return _only_member(raw, path)
    except (
        OSError,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise InputError(f"{path} is compressed and damaged, or not the whole file: {error}.") from None
    return raw


def _only_member(raw, path):
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        # macOS puts a shadow beside every file it zips
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if not _WORKBOOKS.isdisjoint(names):
            raise InputError(f"{path} is a workbook of a spreadsheet: save the sheet as csv and give that.")
        if len(names) != 1:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise InputError(f"{path} holds {len(names)} files ({shown}): unpack it and give one of them.")
        info = archive.getinfo(names[0])
        _check_expansion(path, info.file_size, info.compress_size)  # no more is read than the archive says
        return archive.read(info)


def _check_expansion(path, n_bytes, n_compressed):
    if n_bytes > most_bytes(n_compressed):
        raise InputError(
            f"{path}: {n_bytes} bytes or more come out of {n_compressed}, more than {MAX_EXPANSION} times as many: "
            "refused as a decompression bomb. If you trust the file, unpack it and give what comes out."
        )


def _read_parquet(pd, raw, path):
    try:
        table = pd.read_parquet(io.BytesIO(raw))
    except ImportError:
        raise InputError('reading parquet needs pyarrow: pip install "skembed[dataframe]".') from None
    except Exception as error:  # pyarrow raises its own family, whose base is Exception
        raise InputError(f"{path} is a damaged parquet file: {_first_line(error)}") from None
    if table.index.name is not None or table.index.nlevels > 1:
        table = table.reset_index()
    table.columns = _unique_names([str(name) for name in table.columns])
    return table.reset_index(drop=True)


def _decode(raw, path):
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                break
    if b"\x00" in raw:
        raise InputError(f"{path} is neither text nor parquet (it holds zero bytes): expected csv or parquet.")
    for encoding in ("utf-8", "cp1252", "latin-1"):  # the last can read every byte
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    head = text[:4096]
    controls = sum(c < " " and c not in "\t\r\n\f" for c in head)
    if controls > 0.02 * len(head):
        raise InputError(f"{path} is neither text nor parquet: expected csv or parquet.")
    return text


def _read_csv(pd, text, path, header_rows):
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    told = _TOLD_SEPARATOR.match(text)
    text = text if told is None else text[told.end() :]
    comments, text = _split_comments(text)
    last = [line for line in comments if line.startswith("#")][-1:]  # it may hold the names
    separator = _sniff_separator("".join([*last, text])) if told is None else told[1]
    text = _kept_names(comments, text, separator) + text
    names, n_skipped = _read_header(text, separator, header_rows, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more values than names: shifted, not cut off
            return pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=None,
                names=names,
                skiprows=n_skipped,
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
            )
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=names)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
        raise InputError(
            f"{path} is not a table of {len(names)} columns separated by {SEPARATORS[separator]}: {_first_line(error)}"
        ) from None


def _split_comments(text):
    """The lines before the first that is neither blank nor begins with "#", and the rest; none if all are such."""
    lines = list(itertools.takewhile(lambda line: line.startswith("#") or line.isspace(), io.StringIO(text)))
    rest = text[sum(map(len, lines)) :]
    return (lines, rest) if rest else ([], text)


def _kept_names(comments, text, separator):
    """Comments as blank lines, by which errors go on to number lines as the file does.

    Names may begin with "#", too, and so may rows of a file without names: lines are kept that have as many cells as
    the first one behind them, if no other comment stands between.
    """

    def cells(lines):
        with contextlib.suppress(csv.Error):  # of a cell that is too long
            return next(csv.reader(lines, delimiter=separator, skipinitialspace=True))
        return []

    first, n_comments = cells(io.StringIO(text)), len(comments)
    widths = {len(first), len(first) - (first[-1:] == [""])}  # lines may end in a separator
    while n_comments and (comments[n_comments - 1].isspace() or len(cells([comments[n_comments - 1]])) in widths):
        n_comments -= 1
    return "\n" * n_comments + "".join(comments[n_comments:])


def _read_header(text, separator, header_rows, path):
    """Column names, and the number of rows they take, blank ones included."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    rows, n_skipped = [], 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                if len(rows) == header_rows + _SNIFFED_LINES:
                    break
            n_skipped += len(rows) <= header_rows
    except csv.Error as error:  # a cell too long for this reader, though not for the one of the rows
        if len(rows) < max(header_rows, 1):
            raise InputError(f"{path} is not a table: {error}.") from None
    header, data = rows[:header_rows], rows[header_rows:]
    n_columns = max(len(row) for row in rows[: header_rows + 1]) if header_rows != 1 else len(rows[0])
    if header_rows == 0:
        return [f"column_{j + 1}" for j in range(n_columns)], 0
    if header_rows == 1:
        names = header[0]
        longer = [row for row in data if len(row) == len(names) + 1]
        if longer and all(row[-1] == "" for row in longer):
            names = [*names, ""]  # lines end in a separator
        elif longer and len(longer) == len(data):  # else a row holds a separator too many
            names = ["", *names]  # written with the row names of R or pandas: one name fewer than values
    else:
        names = _join_headers(header, n_columns)
    return _unique_names(names), n_skipped


def _join_headers(header, n_columns):
    """Two lines of names to one: the upper one holds until the next."""
    upper, lower = ([*row, *[""] * (n_columns - len(row))] for row in (*header, *[[]] * (2 - len(header))))
    names, above = [], ""
    for first, second in zip(upper, lower):
        above = first or above
        names.append(": ".join(part for part in (above, second) if part))
    return names


def _sniff_separator(text):
    """The separator that cuts the most of the first lines into as many columns, if possible the line of names, too.

    No library tells it as well. `csv.Sniffer` takes apostrophes in texts for quotes: it finds a comma in tab-separated
    cells of ``it's, 'fine', ok``, and needs a minute for 64 KB of ``,'``. `pandas.read_csv(sep=None)` asks it about one
    line, with no list of separators: it cuts "city|size" at the "i". polars and pyarrow must be told.
    """
    lines = text[:_SNIFFED_CHARACTERS].split("\n", _SNIFFED_LINES)[:_SNIFFED_LINES]
    best, best_rank = ",", (0.0, False, 0)
    for separator in reversed(SEPARATORS):
        widths = []
        with contextlib.suppress(csv.Error):  # of a cell that is too long; the lines before it say enough
            for row in filter(None, csv.reader(lines, delimiter=separator, skipinitialspace=True)):
                widths.append(len(row))
        if not widths:
            continue
        width = max(set(widths), key=widths.count, default=1)
        if width > 1:
            # "name;price" and "a;1,5": commas that cut the rows, but not their names, are decimal marks
            decimal = separator == "," and not _COMMA_BESIDE_TEXT.search("\n".join(lines))
            rank = (round(widths.count(width) / len(widths), 1), widths[0] == width, width - decimal)
            if rank > best_rank:
                best, best_rank = separator, rank
    return best


def _unique_names(names):
    """Name the nameless by their place, and number the repeated."""
    seen, out = set(), []
    for j, name in enumerate(names):
        name = name or f"column_{j + 1}"
        candidate, copy = name, 2
        while candidate in seen:
            candidate, copy = f"{name} ({copy})", copy + 1
        seen.add(candidate)
        out.append(candidate)
    return out


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") + "."
