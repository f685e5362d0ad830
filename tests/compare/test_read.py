"""Reading tables: separators, encodings, compressions, headers, and files that are none."""

import bz2
import csv
import gzip
import lzma
import sys
import zipfile

import pytest

pd = pytest.importorskip("pandas")

from skembed.compare import InputError, read_table  # noqa: E402
from skembed.data import compression  # noqa: E402

ROWS = "city,size\nKöln,1086000\nGraz,292000\n"


def write(tmp_path, content, name="towns.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def assert_towns(table):
    assert table.columns.tolist() == ["city", "size"]
    assert table["city"].tolist() == ["Köln", "Graz"]
    assert table["size"].tolist() == [1086000, 292000]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(tmp_path, separator):
    assert_towns(read_table(write(tmp_path, ROWS.replace(",", separator))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_encodings(tmp_path, encoding):
    assert_towns(read_table(write(tmp_path, ROWS.encode(encoding))))


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends(tmp_path, newline):
    assert_towns(read_table(write(tmp_path, ROWS.replace("\n", newline))))


@pytest.mark.parametrize("member", ["xl/workbook.xml", "META-INF/manifest.xml"])
def test_a_workbook_is_to_be_saved_as_csv(tmp_path, member):
    path = tmp_path / "towns.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("mimetype", member, "content.xml"):
            archive.writestr(name, "<x/>")
    with pytest.raises(InputError, match="is a workbook of a spreadsheet: save the sheet as csv and give that"):
        read_table(path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressions_under_any_suffix(tmp_path, compress):
    assert_towns(read_table(write(tmp_path, compress(ROWS.encode()), "towns.txt")))


def test_zip(tmp_path):
    path = tmp_path / "towns.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("towns.csv", ROWS)
        archive.writestr("__MACOSX/._towns.csv", b"\x00\x05")
    assert_towns(read_table(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.csv", ROWS)
    with pytest.raises(InputError, match=r"holds 2 files \(towns.csv, more.csv\)"):
        read_table(path)


def test_parquet_under_any_suffix(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"city": ["Köln", "Graz"], "size": [1086000, 292000]})
    frame.to_parquet(tmp_path / "towns.parquet")
    raw = (tmp_path / "towns.parquet").read_bytes()
    assert_towns(read_table(write(tmp_path, raw, "towns.csv")))
    with pytest.raises(InputError, match="damaged parquet"):
        read_table(write(tmp_path, raw[:200]))


def test_separator_in_quotes_and_blank_lines(tmp_path):
    table = read_table(write(tmp_path, '\n"city, or town";size\n\n"Kö;ln";1\nGraz;2\n'))
    assert table.columns.tolist() == ["city, or town", "size"]
    assert table["city, or town"].tolist() == ["Kö;ln", "Graz"]


@pytest.mark.parametrize(
    "content",
    ["name;price\n" + "a;1,5\n" * 40, "low;high\n" + "1,5;2,5\n" * 40],
)
def test_decimal_commas_are_no_separators(tmp_path, content):
    table = read_table(write(tmp_path, content))
    assert table.columns.tolist() == content.split("\n")[0].split(";")
    assert table.iloc[0].tolist() == content.split("\n")[1].split(";")


def test_decimal_commas_without_header(tmp_path):
    assert read_table(write(tmp_path, "1,5;2,5\n3,5;4,5\n"), header_rows=0).to_numpy().tolist()[0] == ["1,5", "2,5"]


def test_semicolons_within_cells_are_no_separators(tmp_path):
    table = read_table(write(tmp_path, "name,place\n" + "a,1;2\n" * 40))
    assert table.iloc[0].tolist() == ["a", "1;2"]
    table = read_table(write(tmp_path, "a,1;2,x\nb,3;4,y\n"), header_rows=0)
    assert table.iloc[0].tolist() == ["a", "1;2", "x"]


def test_apostrophes_are_no_quotes(tmp_path):
    table = read_table(write(tmp_path, "n\ttext\n" + "1\tit's, 'fine', ok\n" * 9))
    assert table["text"].tolist() == ["it's, 'fine', ok"] * 9


def test_line_break_in_a_name(tmp_path):
    table = read_table(write(tmp_path, '"ci\nty",size\nKöln,1\n'))
    assert table.to_numpy().tolist() == [["Köln", 1]]


def test_nameless_and_repeated_names(tmp_path):
    assert read_table(write(tmp_path, ",a,a\n1,2,3\n")).columns.tolist() == ["column_1", "a", "a (2)"]


def test_row_names_without_a_heading(tmp_path):
    assert read_table(write(tmp_path, "a,b\nx,1,2\ny,3,4\n")).columns.tolist() == ["column_1", "a", "b"]
    table = read_table(write(tmp_path, "a,b\n\nx,1,\ny,3,4\n"))  # the first value of b is missing
    assert table.columns.tolist() == ["column_1", "a", "b"]
    assert table["a"].tolist() == [1, 3]


def test_lines_that_end_in_a_separator(tmp_path):
    for content in ("a,b\nx,1,\ny,2,\n", "a,b\nx,1,\ny,2\n", "a,b\nx,1\ny,2,\n"):
        table = read_table(write(tmp_path, content))
        assert table.columns.tolist() == ["a", "b", "column_3"]
        assert table["b"].tolist() == [1, 2]


def test_one_value_too_many_shifts_no_other_row(tmp_path):
    with pytest.raises(InputError, match="is not a table of 3 columns"):
        read_table(write(tmp_path, "name,n,kind\nMiller, Jr.,1,x\nSmith,2,y\n"))


def test_a_first_line_that_tells_the_separator(tmp_path):
    for mark in ("sep=;", '"sep=;"'):
        table = read_table(write(tmp_path, f"{mark}\na;b,c;d\n1,5;2;x\n3,5;4;y\n"))
        assert table.columns.tolist() == ["a", "b,c", "d"]
        assert table["a"].tolist() == ["1,5", "3,5"]


def test_without_header(tmp_path):
    table = read_table(write(tmp_path, "Köln, 1\nGraz, 2\n"), header_rows=0)
    assert table.columns.tolist() == ["column_1", "column_2"]
    assert table["column_1"].tolist() == ["Köln", "Graz"]


def test_two_lines_of_names(tmp_path):
    table = read_table(write(tmp_path, "id,Age,,Sex\n,young,old,\n7,x,,m\n"), header_rows=2)
    assert table.columns.tolist() == ["id", "Age: young", "Age: old", "Sex"]
    assert len(table) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n \n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a\n1\n2\n", "has one column only"),
        (bytes(range(256)) * 20, "neither text nor parquet"),
        (bytes(range(1, 32)) * 20, "neither text nor parquet"),
        (b"a,b\n1,2\n3,4,5\n", "not a table of 2 columns separated by comma.*line 3"),
        (b"# of 2020\n#\na,b\n1,2\n3,4,5\n", "not a table of 2 columns separated by comma.*line 5"),
        (b"# a comment\n#\n", "has one column only"),
        (gzip.compress(ROWS.encode() * 99, mtime=0)[:-20], "compressed and damaged"),
        (b"PK\x03\x04 no archive", "compressed and damaged"),
    ],
)
def test_what_is_no_table(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(write(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert "towns.csv" in str(caught.value)


def test_directory_and_mistyped_name(tmp_path):
    write(tmp_path, ROWS)
    with pytest.raises(InputError, match="is a directory"):
        read_table(tmp_path)
    with pytest.raises(InputError, match=r"does not exist. Is it .*towns\.csv\?"):
        read_table(tmp_path / "town.csv")
    with pytest.raises(InputError, match=r"does not exist\.$"):
        read_table(tmp_path / "nowhere" / "x.csv")


def test_values_are_of_one_type_however_long_the_file(tmp_path):
    """pandas would guess types part by part: codes of an early part would be numbers, and lose their zeros."""
    rest = ",1" * 127
    lines = [f"code{''.join(f',n{i}' for i in range(127))}", *[f"0{i % 7}{rest}" for i in range(9000)], f"x1{rest}"]
    codes = read_table(write(tmp_path, "\n".join(lines) + "\n"))["code"]
    assert codes.iloc[0] == "00"
    assert set(map(type, codes)) == {str}


def test_without_pandas(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"needs pandas: pip install \"skembed\[dataframe\]\""):
        read_table(write(tmp_path, ROWS))


def test_windows_signs(tmp_path):
    table = read_table(write(tmp_path, "price,name\n5 €,“a”\n6 €,b\n".encode("cp1252")))
    assert table["price"].tolist() == ["5 €", "6 €"]
    assert table["name"].tolist() == ["“a”", "b"]


@pytest.mark.parametrize(
    ("content", "header_rows", "names", "first"),
    [
        ("a,b\n1,2,\n3,4,\n", 1, ["a", "b", "column_3"], [1, 2]),  # each line ends in a separator
        ("\n\na;b\n\n1;2\n", 1, ["a", "b"], [1, 2]),
        ("a , b\n1, x \n", 1, ["a", "b"], [1, "x "]),
        ("x,y,\nu,,w\n1,2,3\n", 2, ["x: u", "y", "y: w"], [1, 2, 3]),
        ("x,y\n\nu,w\n1,2\n", 2, ["x: u", "y: w"], [1, 2]),
        ("a,b\n", 2, ["a", "b"], None),
        ("1,2\n3,4\n", 0, ["column_1", "column_2"], [1, 2]),
        ("a,a,a\n1,2,3\n", 1, ["a", "a (2)", "a (3)"], [1, 2, 3]),
        ("a,a (2),a\n1,2,3\n", 1, ["a", "a (2)", "a (3)"], [1, 2, 3]),
        ("a|b;c\n1|2;3\n4|5;6\n", 1, ["a", "b;c"], [1, "2;3"]),
        ("a\tb\n1,5\t2\n3,5\t4\n", 1, ["a", "b"], ["1,5", 2]),
        ("a,b\n" + "1,2\n" * 89 + "1;2;3,4\n" * 10, 1, ["a", "b"], ["1", 2]),
        ("# made by hand\na,b\n1,2\n", 1, ["a", "b"], [1, 2]),
        ("\n# in 2020, by a, b\n# x;y\n#\n\na;b\n1,5;2\n", 1, ["a", "b"], ["1,5", 2]),
        ("sep=;\n# made by hand\na;b\n1;2\n", 1, ["a", "b"], [1, 2]),
        ("# made by hand\nx,y\nu,w\n1,2\n", 2, ["x: u", "y: w"], [1, 2]),
        ("# made by hand\n1,2\n", 0, ["column_1", "column_2"], [1, 2]),
        ("# made by hand\n# a,b\n1,2\n", 1, ["# a", "b"], [1, 2]),  # names, as those of numpy.savetxt
        ("#id;size\n \n1,5;2,5\n", 1, ["#id", "size"], ["1,5", "2,5"]),
        ("#a,1\n#b,2\nc,3\n", 0, ["column_1", "column_2"], ["#a", 1]),
        ("#id,size\n1,2,\n3,4,\n", 1, ["#id", "size", "column_3"], [1, 2]),
        ("#id,size\n1,\n3,4\n", 1, ["#id", "size"], [1]),
        ("#a,1\n#b,2\n", 0, ["column_1", "column_2"], ["#a", 1]),
    ],
)
def test_names_and_first_rows(tmp_path, content, header_rows, names, first):
    path = write(tmp_path, content)
    if first is None:
        with pytest.raises(InputError, match="has column names but no rows"):
            read_table(path, header_rows=header_rows)
        return
    table = read_table(path, header_rows=header_rows)
    assert table.columns.tolist() == names
    assert table.iloc[0].tolist()[: len(first)] == first


def test_the_separator_is_that_of_the_first_lines(tmp_path):
    commas, bars = "a,b\n" + "1,2\n" * 60, "1|2|3\n" * 5000
    table = read_table(write(tmp_path, "a|b|c\n" + "1,5|2|3\n" * 99 + bars))
    assert table.columns.tolist() == ["a", "b", "c"]
    assert read_table(write(tmp_path, commas + '3,"|"\n' * 39)).columns.tolist() == ["a", "b"]


def test_an_index_of_a_frame_is_a_column(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"city": ["Köln", "Graz"], "size": [1, 2]})
    frame.set_index("city").to_parquet(tmp_path / "named.parquet")
    assert read_table(tmp_path / "named.parquet").columns.tolist() == ["city", "size"]
    frame.set_index(["city", "size"]).assign(x=1).to_parquet(tmp_path / "two.parquet")
    assert read_table(tmp_path / "two.parquet").columns.tolist() == ["city", "size", "x"]
    frame.set_index(pd.Index([7, 3])).to_parquet(tmp_path / "plain.parquet")
    table = read_table(tmp_path / "plain.parquet")
    assert (table.columns.tolist(), table.index.tolist()) == (["city", "size"], [0, 1])


@pytest.mark.parametrize("share", [0.01, 0.03])
def test_text_has_few_control_characters(tmp_path, share):
    n = int(share * 4096)
    content = "a,b\n" + "1,2\n" * 1100
    content = content[:10] + "\x01" * n + content[10:]
    if share > 0.02:
        with pytest.raises(InputError, match="neither text nor parquet: expected"):
            read_table(write(tmp_path, content))
    else:
        assert len(read_table(write(tmp_path, content))) == 1100


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write(tmp_path, ROWS)
    monkeypatch.setattr(type(path), "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError(13, "denied")))
    with pytest.raises(InputError, match=r"cannot be read: denied\.$"):
        read_table(path)


def test_more_than_comes_out_of_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "FREE_BYTES", 1000)
    zeros = b"0," * 200_000
    with pytest.raises(InputError, match=r"bytes or more come out of \d+, more than \d+ times as many"):
        read_table(write(tmp_path, gzip.compress(zeros), "zeros.gz"))
    path = tmp_path / "zeros.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.csv", zeros)
    with pytest.raises(InputError, match="refused as a decompression bomb"):
        read_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6):
            archive.writestr(f"{number}.csv", ROWS)
        archive.writestr("folder/", b"")
    with pytest.raises(InputError, match=r"holds 6 files \(0.csv, 1.csv, 2.csv, 3.csv, 4.csv ...\)"):
        read_table(path)


def test_names_of_parquet_are_texts_and_all_different(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table([[1], [2], [3]], names=["a", "", "a (2)"]), tmp_path / "odd.parquet")
    assert read_table(tmp_path / "odd.parquet").columns.tolist() == ["a", "column_2", "a (2)"]
    frame = pd.DataFrame({"size": [5, 6]}, index=pd.Index(["x", "y"], name="7"))
    frame.to_parquet(tmp_path / "index.parquet")
    assert read_table(tmp_path / "index.parquet").columns.tolist() == ["7", "size"]


def test_without_pyarrow_parquet_names_the_extra(tmp_path, monkeypatch):
    def absent(*args, **kwargs):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd, "read_parquet", absent)
    with pytest.raises(InputError, match=r'^reading parquet needs pyarrow: pip install "skembed\[dataframe\]"\.$'):
        read_table(write(tmp_path, b"PAR1...."))


def test_a_file_is_judged_by_its_beginning(tmp_path):
    content = "a,b\n" + "1,2\n" * 1100 + "3,\x01\x02\n" * 300
    assert len(read_table(write(tmp_path, content))) == 1400


def test_marks_that_lie_about_the_encoding(tmp_path):
    table = read_table(write(tmp_path, b"\xef\xbb\xbf" + "name,size\ncaf\xe9,1\n".encode("cp1252")))
    assert table.iloc[0, 0] == "caf\xe9"
    with pytest.raises(InputError, match="zero bytes"):
        read_table(write(tmp_path, b"\xff\xfe" + "a,b\n1,2\n".encode("utf-16-le")[:-1]))


def test_a_file_of_names_alone_has_no_rows(tmp_path):
    for content in ("a,b", "a,b\n\n", '"a","b"\n'):
        with pytest.raises(InputError, match=r"towns\.csv has column names but no rows\.$"):
            read_table(write(tmp_path, content))


@pytest.fixture
def short_fields():
    before = csv.field_size_limit(50)
    yield
    csv.field_size_limit(before)


def test_a_name_without_an_end_is_named(tmp_path, short_fields):
    for content in ('a,"b\n' + "x,1\n" * 60, "x" * 60 + ",b\na,1\n"):
        with pytest.raises(InputError, match=r"towns\.csv is not a table: field larger than field limit \(50\)\.$"):
            read_table(write(tmp_path, content))


def test_a_cell_may_be_longer_than_the_reader_of_names_takes(tmp_path, short_fields):
    table = read_table(write(tmp_path, "a;b\n" + "x, y" * 60 + ";1\nz;2\n"))
    assert table["a"].tolist() == ["x, y" * 60, "z"]
    assert table["b"].tolist() == [1, 2]


def test_a_name_of_a_file_that_no_system_takes(tmp_path):
    with pytest.raises(InputError, match=r"x+ cannot be read: File name too long\.$"):
        read_table(tmp_path / ("x" * 5000))


def test_a_name_that_is_nearly_that_of_a_file(tmp_path):
    write(tmp_path, ROWS, "towns.csv")
    (tmp_path / "townsh").mkdir()
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "town.csv")
    assert str(caught.value) == f"{tmp_path / 'town.csv'} does not exist. Is it {tmp_path / 'towns.csv'}?"
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "zzz")
    assert str(caught.value) == f"{tmp_path / 'zzz'} does not exist."
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "none" / "towns.csv")
    assert str(caught.value) == f"{tmp_path / 'none' / 'towns.csv'} does not exist."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty."),
        (b"a\n1\n", "has one column only (tried comma, semicolon, tab, bar between columns): a target and one more are "
         "needed."),
        (b"a,b\n1,2\n3,4,5\n",
         "is not a table of 2 columns separated by comma: Error tokenizing data. C error: Expected 2 fields in line 3, "
         "saw 3."),
        (b"a,b\n1,2,3,4\n5,6,7,8\n",
         "is not a table of 2 columns separated by comma: Length of header or names does not match length of data. "
         "This leads to a loss of data with index_col=False."),
        (b"a;b\x00;c", "is neither text nor parquet (it holds zero bytes): expected csv or parquet."),
        (bytes(range(1, 32)) * 20, "is neither text nor parquet: expected csv or parquet."),
    ],
)  # fmt: skip
def test_whole_messages(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path} {message}"
