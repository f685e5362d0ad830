"""``python -m skembed``: from files to the last line, and every error in one line."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from skembed.__main__ import main

pd = pytest.importorskip("pandas")
FAST = ["--encoders", "onehot,target", "--learner", "linear", "--cv", "3"]


@pytest.fixture
def houses(tmp_path):
    rng = np.random.default_rng(0)
    street = rng.integers(0, 15, 150)
    frame = pd.DataFrame(
        {
            "street": [f"{k} Elm & <Oak>" for k in street],
            "built": rng.choice(["12/31/1999", "06/01/2005", "03/15/2020"], 150),
            "price": [f"${p:,.2f}" for p in 100_000 + 9_000 * street + 500 * rng.normal(size=150)],
        }
    )
    frame.to_csv(tmp_path / "houses.csv", index=False)
    return tmp_path / "houses.csv"


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    return status, *capsys.readouterr()


def test_end_to_end(houses, capsys, tmp_path):
    report = tmp_path / "report.html"
    status, out, err = run(capsys, "compare", houses, "--target", "price", "--html", report, *FAST)
    assert (status, err) == (0, "")
    assert 'houses.csv: 150 rows, to predict "price" (regression)' in out
    assert "treated as categorical: street" in out
    assert "treated as numeric: built" in out
    assert "Best is onehot with linear" in out or "Best is target with linear" in out
    assert "Report: " in out
    assert "Elm &amp; &lt;Oak&gt;" in report.read_text() or "<Oak>" not in report.read_text()


def test_what_is_chosen_is_compared_and_nothing_else(houses, capsys):
    _, out, _ = run(capsys, "compare", houses, "--target", "price", "--cv", 3, "--encoders", "target", *FAST[2:4])
    lines = out.split("learner  encoder")[1].split("\n\n")[0].splitlines()[1:]
    rows = [line.removeprefix("*").split()[:2] for line in lines]
    assert rows == [["linear", "target"]]


def test_the_printed_snippet_runs(houses, capsys):
    _, out, _ = run(capsys, "compare", houses, "--target", "price", "--seed", 3, *FAST)
    code = "\n".join(line[4:] for line in out.split("To take the best pipeline:")[1].splitlines() if line[:4] == "    ")
    names = {}
    exec(code, names)
    assert names["model"].score(names["problem"].X, names["problem"].y) > 0.9


def test_the_snippet_names_the_folds_where_they_decide_which_classes_are_left_out(houses, capsys):
    _, out, _ = run(capsys, "compare", houses, "--target", "price", *FAST)
    assert "cv=" not in out
    _, out, _ = run(capsys, "compare", houses, "--target", "street", "--categorical", "built", *FAST)
    assert "cv=3" in out


def test_report_with_a_map(houses, capsys, tmp_path):
    report = tmp_path / "report.html"
    options = ["--encoders", "onehot,entity", "--learner", "linear", "--cv", "2", "--html", report]
    status, _, _ = run(capsys, "compare", houses, "--target", "price", *options)
    assert status == 0
    page = report.read_text()
    assert "Map of street" in page
    assert "Elm &amp; &lt;Oak&gt;" in page
    assert "<Oak>" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "{houses}"], 'which column is to be predicted? Give --target COLUMN: houses.csv has "street"'),
        (["compare", "{houses}", "--target", "prize"], 'no column "prize". Is it "price"?'),
        (["compare", "{houses}x", "--target", "price"], "does not exist. Is it "),
        (["compare", "{folder}", "--target", "price"], "is a directory"),
        (["compare", "{houses}", "--target", "price", "--drop", "street"], "no column of categories left"),
        (
            ["compare", "{houses}", "--target", "price", "--encoders", "hash"],
            '--encoders: "hash" is unknown; choose from',
        ),
        (["compare", "{houses}", "--target", "price", "--learner", "auto,svm"], '--learner: "auto" is unknown'),
        (["compare", "{houses}", "--target", "price", "--cv", "1"], "expected a whole number from 2 to 50, got '1'"),
        (["compare", "{houses}", "--target", "price", "--cv", "50"], "150 rows are too few for 50 folds"),
        (["compare", "{houses}", "--target", "price", "--html", "{folder}"], "--html: {folder} is a directory"),
        (["compare", "{houses}", "--target", "price", "--html", "{folder}/no/x.html"], "{folder}/no does not exist"),
        (["--target", "price"], "--target needs a FILE"),
        (["--no-header"], "--header-rows needs a FILE"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_errors_are_one_line_and_status_2(houses, capsys, arguments, message):
    names = {"houses": houses, "folder": houses.parent}
    status, _, err = run(capsys, *(a.format(**names) for a in arguments))
    assert status == 2
    assert err.startswith("skembed: error: ")
    assert err.count("\n") == 1
    assert message.format(**names) in err


def test_names_with_commas_stand_in_quotes(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text('"a, b",c,y\n' + "".join(f"{i % 5},{'xyz'[i % 3]},{i % 7}.5\n" for i in range(60)))
    status, out, _ = run(capsys, "compare", path, "--target", "y", "--drop", '"a, b"', *FAST)
    assert status == 0
    assert "left out: a, b (as asked)" in out


def test_help_and_version(capsys):
    assert run(capsys, "--help")[0] == 0
    status, out, _ = run(capsys, "compare", "--help")
    assert status == 0
    assert "--target COLUMN" in out
    assert run(capsys, "--version")[1].startswith("skembed ")


def test_without_arguments_the_characters_of_unicode(capsys, monkeypatch):
    from skembed.compare import command_line, unicode_problem

    monkeypatch.setattr(
        command_line, "unicode_problem", lambda **options: unicode_problem(**{"max_rows": 900, **options})
    )
    status, out, _ = run(capsys, *FAST)
    assert status == 0
    assert "the characters of Unicode" in out
    assert "900 of " in out
    assert "python -m skembed compare FILE --target COLUMN" in out


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on POSIX")
def test_ctrl_c_ends_with_130_and_one_line(houses):
    command = [sys.executable, "-m", "skembed", "compare", houses, "--target", "price", "--cv", "30"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()  # the description: the comparison has begun
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "skembed: interrupted"


def test_an_interrupt_in_code_of_a_string_ends_with_130(tmp_path):
    """Python would end a module by the signal, though the interrupt was caught."""
    (tmp_path / "interrupted.py").write_text(
        "import sys, skembed.__main__ as main, skembed.compare.command_line as r\n"
        "def run(arguments, check_interrupt):\n"
        "    exec('import signal; signal.raise_signal(signal.SIGINT)')\n"
        "r.run = run\n"
        "sys.exit(main.main(['compare']))\n"
    )
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 130, done.stderr


def test_an_interrupt_that_an_encoder_swallowed_still_ends_the_run(houses, capsys, monkeypatch):
    from sklearn.preprocessing import OneHotEncoder

    fit_transform = OneHotEncoder.fit_transform

    def interrupted(self, X, y=None):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return fit_transform(self, X, y)

    monkeypatch.setattr(OneHotEncoder, "fit_transform", interrupted)
    status, _, err = run(capsys, "compare", houses, "--target", "price", *FAST)
    assert status == 130
    assert err.strip() == "skembed: interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_off_the_main_thread_no_signal_is_asked_for(capsys):
    before = signal.getsignal(signal.SIGINT)
    found = []
    thread = threading.Thread(target=lambda: found.append(main(["compare", "none.csv", "--target", "y"])))
    thread.start()
    thread.join()
    assert found == [2]
    assert "none.csv does not exist" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_reader_that_has_gone_ends_the_run_quietly(houses, tmp_path):
    """As in ``... | head``: nothing is said of it, also not as the process ends."""
    code = (
        "import os, sys, skembed.compare.command_line as c\n"
        "from skembed.__main__ import main\n"
        "def run(arguments, check_interrupt):\n"
        "    print('x' * 10, flush=True); raise BrokenPipeError\n"
        "c.run = run\n"
        "status = main(['compare'])\n"
        "print('y' * 100_000)\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "xxxxxxxxxx\n", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_told_in_one_line(houses):
    command = [sys.executable, "-m", "skembed", "compare", houses, "--target", "price", *FAST]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2, "skembed: error: the output cannot be written: No space left on device.\n"
    )  # fmt: skip


def test_ctrl_c_while_arguments_are_read_ends_with_130(monkeypatch, capsys):
    from skembed import __main__

    monkeypatch.setattr(__main__, "_parser", lambda: signal.raise_signal(signal.SIGINT))
    assert main(["compare"]) == 130
    assert capsys.readouterr().err.strip() == "skembed: interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cv", "x"], "argument --cv: expected a whole number from 2 to 50, got 'x'"),
        (["--cv", "1"], "argument --cv: expected a whole number from 2 to 50, got '1'"),
        (["--cv", "51"], "argument --cv: expected a whole number from 2 to 50, got '51'"),
        (["--max-rows", "-1"], "argument --max-rows: expected a whole number at least 0, got '-1'"),
        (["--max-rows", "1.5"], "argument --max-rows: expected a whole number at least 0, got '1.5'"),
        (["--seed", "4294967296"], "argument --seed: expected a whole number from 0 to 4294967295, got '4294967296'"),
        (["--task", "x"], "argument --task: invalid choice: 'x'"),
        (["--no-header", "--header-rows", "2"], "argument --header-rows: not allowed with argument --no-header"),
        (["--targ", "x"], "unrecognized arguments: --targ"),
    ],
)
def test_options_that_cannot_be_read(arguments, message, capsys):
    status, out, err = run(capsys, "compare", "file.csv", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"skembed: error: {message}")
    assert err.endswith("(see python -m skembed --help)\n")


def test_what_the_options_mean():
    from skembed.__main__ import _parser

    plain = vars(_parser().parse_args(["compare"]))
    assert plain == {
        "command": "compare", "file": None, "target": None, "task": "auto", "drop": (), "categorical": (),
        "numeric": (), "group": None, "header_rows": 1, "max_rows": None, "encoders": ["onehot", "target", "entity"],
        "learner": ["auto"], "cv": 5, "seed": 0, "html": None, "quiet": False,
    }  # fmt: skip
    columns = ["--target", "y", "--drop", ' a , "b, c",,', "--numeric", "", "--encoders", "ordinal"]
    numbers = ["--cv", "50", "--seed", "4294967295", "--max-rows", "0"]
    given = _parser().parse_args(["compare", "t.csv", *columns, *numbers, "--no-header", "--quiet", "--html", "p.html"])
    assert (given.file, given.target, given.html, given.quiet) == ("t.csv", "y", "p.html", True)
    assert (given.drop, given.numeric, given.encoders) == (["a", "b, c"], [], ["ordinal"])
    assert (given.cv, given.seed, given.max_rows, given.header_rows) == (50, 2**32 - 1, 0, 0)


def test_compare_is_what_is_meant_without_a_command(monkeypatch, capsys):
    from skembed.compare import command_line

    seen = []
    monkeypatch.setattr(command_line, "run", lambda arguments, **options: seen.append(arguments) or 0)
    for argv in ([], ["--seed", "3"], ["compare", "--seed", "3"]):
        assert main(argv) == 0
    assert [arguments.seed for arguments in seen] == [0, 3, 3]
    monkeypatch.setattr(sys, "argv", ["skembed", "--seed", "4"])
    assert main() == 0
    assert seen[-1].seed == 4
    assert main(["-h"]) == 0
    assert "usage: python -m skembed [-h] [--version]" in capsys.readouterr().out
    assert len(seen) == 4


def test_warnings_of_learners_are_not_shown(monkeypatch):
    from skembed.compare import command_line

    monkeypatch.setattr(command_line, "run", lambda *args, **options: warnings.warn("more", stacklevel=1) or 0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert main(["compare"]) == 0
    assert found == []
