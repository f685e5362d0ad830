"""The command line of `compare`: what is refused before any work is done."""

import html
import io
import os
import re
import signal
import sys
import textwrap
from contextlib import contextmanager

import pytest

pytest.importorskip("pandas")

from skembed.__main__ import main
from skembed.compare import InputError, command_line


def test_a_folder_that_cannot_be_written_to_is_told_of_first(tmp_path, capsys, monkeypatch):
    table = tmp_path / "houses.csv"
    table.write_text("street,price\n" + "a,1\nb,2\n" * 20)
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    monkeypatch.setattr(command_line, "_make_problem", lambda *_: pytest.fail("work was begun"))
    assert main(["compare", str(table), "--target", "price", "--html", str(tmp_path / "report.html")]) == 2
    assert f"--html: the folder {tmp_path} cannot be written to." in capsys.readouterr().err
    assert (tmp_path, os.W_OK) in asked


def test_the_file_that_is_read_is_not_replaced_by_the_report(houses, capsys, monkeypatch):
    before = houses.read_bytes()
    monkeypatch.chdir(houses.parent)
    assert run(houses, "--target", "price", "--html", houses.name) == 2
    assert "--html: houses.csv is the file that is read, which the report would replace" in capsys.readouterr().err
    assert houses.read_bytes() == before


def test_the_bar_counts_each_fit(tmp_path, monkeypatch, capsys):
    table = tmp_path / "houses.csv"
    table.write_text("street,price\n" + "a,1.5\nb,2.5\nc,4\nb,3\n" * 10)
    steps = []

    @contextmanager
    def progress(n_steps, quiet):
        steps.append(n_steps)
        yield lambda what: steps.append(what)

    monkeypatch.setattr(command_line, "_progress", progress)
    options = ["--encoders", "onehot,target", "--learner", "linear", "--cv", "3"]
    assert main(["compare", str(table), "--target", "price", *options]) == 0
    assert steps[0] == len(steps[1:]) == 3 * 2 * 2


@pytest.fixture
def houses(tmp_path):
    table = tmp_path / "houses.csv"
    table.write_text("street,price\n" + "a,1.5\nb,2.5\nc,4\nb,3\n" * 10)
    return table


def run(*arguments):
    return main(["compare", *map(str, arguments)])


ONE = ["--encoders", "onehot", "--learner", "linear", "--cv", "2"]


def test_the_bar_moves_on_where_somebody_watches(houses, monkeypatch, capsys):
    import tqdm

    made, lines = [], []

    class Bar(tqdm.tqdm):
        def __init__(self, **options):
            made.append(options)
            super().__init__(**{**options, "file": io.StringIO()})

        def set_description(self, what, refresh=True):
            lines.append(what)
            super().set_description(what, refresh)

        def close(self):
            lines.append(self.n)
            super().close()

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    assert run(houses, "--target", "price", *ONE) == 0
    assert made == []  # nobody does
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert run(houses, "--target", "price", "--quiet", *ONE) == 0
    assert made == []
    assert run(houses, "--target", "price", *ONE) == 0
    assert (made[0]["total"], made[0]["file"], made[0]["leave"]) == (4, sys.stderr, False)
    assert lines[:5] == ["onehot", "onehot, linear", "onehot", "onehot, linear", 4]
    assert "onehot, linear" not in capsys.readouterr().out


def test_the_bar_of_all_learners(houses, monkeypatch):
    totals = []

    @contextmanager
    def progress(n_steps, quiet):
        totals.append((n_steps, quiet))
        yield lambda what: None

    monkeypatch.setattr(command_line, "_progress", progress)
    monkeypatch.setattr(command_line, "evaluate", lambda *args, **options: pytest.skip("counted"))
    with pytest.raises(pytest.skip.Exception):
        run(houses, "--target", "price", "--cv", "4", "--quiet")
    assert totals == [(4 * 3 * 4, True)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoders", ","], "--encoders: nothing is named; choose from onehot, target, entity, ordinal."),
        (["--learner", ","], "--learner: nothing is named; choose from linear, knn, hgb."),
        (["--encoders", "onehot,hash"], '--encoders: "hash" is unknown; choose from onehot, target, entity, ordinal.'),
        (["--html", "{folder}"], "--html: {folder} is a directory: give the name of a file."),
        (["--html", os.devnull], f"--html: {os.devnull} is a device: give the name of a file."),
        (
            ["--html", "{folder}/" + "x" * 300],
            "--html: {folder}/" + "x" * 300 + " cannot be written: File name too long.",
        ),
        (["--html", "{folder}/no/x.html"], "--html: the folder {folder}/no does not exist."),
    ],
)
def test_whole_messages(houses, capsys, arguments, message):
    folder = houses.parent
    assert run(houses, "--target", "price", *(a.format(folder=folder) for a in arguments)) == 2
    assert capsys.readouterr().err == f"skembed: error: {message.format(folder=folder)}\n"


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--target", "a"], "target"), (["--task", "regression"], "task"), (["--drop", "a"], "drop"),
        (["--categorical", "a"], "categorical"), (["--numeric", "a"], "numeric"), (["--no-header"], "header-rows"),
        (["--header-rows", "2"], "header-rows"), (["--group", "a"], "group"),
    ],
)  # fmt: skip
def test_options_of_files_need_one(arguments, option, capsys):
    assert run(*arguments) == 2
    expected = f"skembed: error: --{option} needs a FILE: python -m skembed compare FILE --target COLUMN.\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--max-rows", "0"], {"max_rows": None}),
        (["--max-rows", "300"], {"max_rows": 300}),
        (["--seed", "3"], {"random_state": 3}),
        (["--cv", "3"], {"cv": 3}),
        (["--cv", "5"], {}),
        (["--task", "classification", "--drop", "a,b", "--numeric", "c", "--categorical", "d"],
         {"task": "classification", "drop": ["a", "b"], "numeric": ["c"], "categorical": ["d"]}),
        (["--header-rows", "2"], {"header_rows": 2}),
        (["--no-header"], {"header_rows": 0}),
        (["--group", "a"], {"group": "a"}),
        (["--header-rows", "1", "--task", "auto"], {}),
    ],
)  # fmt: skip
def test_options_reach_the_reader(arguments, options, monkeypatch):
    read = []
    monkeypatch.setattr(command_line, "read_problem", lambda *args, **given: read.append((args, given)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("t.csv", "--target", "price", *arguments)
    assert read == [(("t.csv", "price"), options)]


def test_options_reach_the_characters_of_unicode(monkeypatch):
    read = []
    monkeypatch.setattr(command_line, "unicode_problem", lambda **given: read.append(given) or 1 / 0)
    for arguments in ([], ["--max-rows", "0", "--seed", "2", "--cv", "20"], ["--max-rows", "70", "--cv", "21"]):
        with pytest.raises(ZeroDivisionError):
            run(*arguments)
    assert read == [{}, {"max_rows": None, "random_state": 2}, {"max_rows": 70, "cv": 21}]


def test_the_seed_and_the_folds_reach_all_that_is_drawn(houses, monkeypatch, tmp_path):
    given = []

    def watch(name, function):
        def watched(*args, **options):
            given.append((name, {key: options[key] for key in ("cv", "random_state") if key in options}, args[4:]))
            return function(*args, **options)

        monkeypatch.setattr(command_line, name, watched)

    for name in ("evaluate", "make_report", "make_snippet"):
        watch(name, getattr(command_line, name))
    monkeypatch.setattr(command_line, "map_levels", lambda *args, **options: given.append(("map", options)))
    options = ["--encoders", "entity", "--learner", "linear", "--cv", "2", "--seed", "7"]
    assert run(houses, "--target", "price", *options, "--html", tmp_path / "page.html") == 0
    assert given == [
        ("evaluate", {"cv": 2, "random_state": 7}, ()),
        ("make_snippet", {}, (7,)),
        ("map", {"random_state": 7}),
        ("make_report", {"cv": 2}, ()),
    ]


def test_the_page_is_that_of_the_run(houses, capsys, tmp_path):
    page = tmp_path / "page.html"
    assert run(houses, "--target", "price", *ONE, "--html", page) == 0
    said = capsys.readouterr().out
    assert said.endswith(f"\nReport: {page}\n")
    snippet = said.split("To take the best pipeline:\n\n")[1].split("\n\nReport")[0]
    code = re.search("<pre>(.*?)</pre>", page.read_text(), re.DOTALL)[1]
    assert html.unescape(code) == textwrap.dedent(snippet).strip()
    assert "mean over 2 folds" in page.read_text()
    assert "Map of" not in page.read_text()


def test_a_page_that_cannot_be_written_is_told_of(houses, capsys, monkeypatch, tmp_path):
    def full(path, page):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command_line, "write_page", full)
    page = tmp_path / "page.html"
    assert run(houses, "--target", "price", *ONE, "--html", page) == 2
    said = capsys.readouterr()
    assert said.err == f"skembed: error: --html: {page} cannot be written: No space left on device.\n"
    assert "Report: " not in said.out
    assert "To take the best pipeline" in said.out  # what is known by then is shown


@pytest.mark.parametrize("step", ["evaluate", "map_levels"])
def test_an_interrupt_that_a_step_swallowed_ends_the_run_behind_it(step, houses, monkeypatch, capsys, tmp_path):
    function = getattr(command_line, step)

    def interrupted(*args, **options):
        options.pop("progress", None)
        found = function(*args, **options)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return found

    monkeypatch.setattr(command_line, step, interrupted)
    page = tmp_path / "page.html"
    options = ["--encoders", "entity", "--learner", "linear", "--cv", "2", "--html", page]
    assert run(houses, "--target", "price", *options) == 130
    said = capsys.readouterr()
    assert said.err == "\nskembed: interrupted\n"
    assert not page.exists()
    assert ("To take the best pipeline" in said.out) == (step == "map_levels")


def test_errors_are_one_line_also_where_their_texts_are_not(monkeypatch, capsys):
    def fail(*args, **options):
        raise InputError("one\n  two\tthree")

    monkeypatch.setattr(command_line, "unicode_problem", fail)
    assert run() == 2
    assert capsys.readouterr() == ("", "skembed: error: one two three\n")


def test_names_that_the_terminal_cannot_show_do_not_stop_it(houses, monkeypatch):
    houses.write_text("stra\u00dfe,price\n" + "a,1.5\nb,2.5\nc,4\nb,3\n" * 10)
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run(houses, "--target", "price", *ONE) == 0
    assert b"treated as categorical: stra?e" in terminal.buffer.getvalue()
