"""What pyproject.toml, constraints.txt and noxfile.py say of versions: the same."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUNDS = dict(requirement.split(">=") for requirement in PROJECT["dependencies"])
PINS = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def noxfile(name: str):
    """A constant of noxfile.py, which only nox itself can import."""
    for statement in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return ast.literal_eval(statement.value)
    raise LookupError(name)


def test_pythons_are_those_that_are_tried():
    pythons = noxfile("PYTHONS")
    classified = [line.removeprefix("Programming Language :: Python :: ") for line in PROJECT["classifiers"]]
    assert [version for version in classified if re.fullmatch(r"3\.\d+", version)] == pythons
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_the_lowest_scikit_learn_is_tried():
    assert noxfile("SCIKIT_LEARN")[0] == BOUNDS["scikit-learn"]


@pytest.mark.parametrize("name", BOUNDS)
def test_constraints_lie_within_the_bounds(name):
    assert number(PINS[name]) >= number(BOUNDS[name])
