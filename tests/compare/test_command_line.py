"""The command line of `compare`: what is refused before any work is done."""

import os
from contextlib import contextmanager

import pytest

pytest.importorskip("pandas")

from skembed.__main__ import main
from skembed.compare import command_line


def test_a_folder_that_cannot_be_written_to_is_told_of_first(tmp_path, capsys, monkeypatch):
    table = tmp_path / "houses.csv"
    table.write_text("street,price\n" + "a,1\nb,2\n" * 20)
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    monkeypatch.setattr(command_line, "_make_problem", lambda *_: pytest.fail("work was begun"))
    assert main(["compare", str(table), "--target", "price", "--html", str(tmp_path / "report.html")]) == 2
    assert f"--html: the folder {tmp_path} cannot be written to." in capsys.readouterr().err
    assert (tmp_path, os.W_OK) in asked


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
