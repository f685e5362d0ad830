"""The README's code runs, and prints what the README says it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
TOLERANCE = 0.01  # accuracies move with the versions of Unicode and of the libraries


def test_every_python_block_is_followed_by_its_output():
    assert len(BLOCKS) == README.read_text(encoding="utf-8").count("```python") >= 2


@pytest.mark.parametrize(("code", "expected"), BLOCKS, ids=range(len(BLOCKS)))
def test_code_prints_what_the_readme_says(code, expected):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(README), "exec"), {})  # the README is ours
    lines, expected_lines = printed.getvalue().splitlines(), expected.splitlines()
    assert len(lines) == len(expected_lines)
    for line, wanted in zip(lines, expected_lines):
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", wanted).split()
        for number, target in zip(NUMBER.findall(line), NUMBER.findall(wanted)):
            if "." in target:
                assert float(number) == pytest.approx(float(target), abs=TOLERANCE)
            else:  # numbers of columns follow the number of characters in Python's Unicode tables
                assert float(number) == pytest.approx(float(target), rel=0.05)
