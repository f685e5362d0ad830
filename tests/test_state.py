"""States: what a class may be made of, by names and types, and what is wrong with one that was read."""

import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from skembed.state import STORED, check_state, conforms, state_types, stored


class Shape(NamedTuple):
    rows: int
    name: str


@dataclass(frozen=True)
class Settings:
    alpha: float
    names: list[str]


class Base:
    _state = {"n_rows": int}


class Model(Base):
    _state = {"vectors": np.ndarray, "settings": Settings}

    def __init__(self):
        self.n_rows, self.vectors, self.settings = 2, np.eye(2), Settings(0.5, ["a"])


@pytest.fixture
def registered(monkeypatch):
    """Register a class for the length of a test."""
    monkeypatch.setattr("skembed.state.STORED", {})

    def register(cls):
        return stored(cls)

    yield register
    for cls in (Model, Settings, Shape):
        if "__setstate__" in cls.__dict__:
            del cls.__setstate__


def test_registered_classes_are_described(registered):
    assert registered(Model) is Model
    assert state_types(Model) == {"n_rows": int, "vectors": np.ndarray, "settings": Settings}
    assert state_types(registered(Settings)) == {"alpha": float, "names": list[str]}
    assert state_types(registered(Shape)) == {"rows": int, "name": str}
    assert registered(Model) is Model  # once more
    assert "__setstate__" not in Shape.__dict__


def test_names_of_two_classes_are_refused(registered):
    registered(Model)
    other = type("Model", (), {"_state": {}, "__module__": "elsewhere"})
    with pytest.raises(
        TypeError, match=r"^Model is the name of two classes that are stored; files would confuse them\.$"
    ):
        stored(other)
    other.__module__ = Model.__module__  # the same one, defined anew
    assert stored(other) is other


def test_states_are_compared_where_they_are_restored(registered):
    registered(Model)
    registered(Settings)
    model = pickle.loads(pickle.dumps(Model()))
    assert (model.n_rows, model.settings) == (2, Settings(0.5, ["a"]))
    state = dict(Model().__dict__)
    made = Settings.__new__(Settings)
    made.__setstate__({"alpha": 1, "names": []})  # also of what is frozen
    assert made == Settings(1, [])
    for change, message in [
        ({"n_rows": 2.5}, r"^Model: expected 'n_rows' to be int, got 2\.5$"),
        ({"vectors": [1]}, r"^Model: expected 'vectors' to be ndarray, got \[1\]$"),
        ({"other": 1}, r"^Model: expected \['n_rows', 'settings', 'vectors'\], got 'other'$"),
    ]:
        with pytest.raises(ValueError, match=message):
            Model.__new__(Model).__setstate__(state | change)
    del state["n_rows"]
    with pytest.raises(ValueError, match=r"^Model: 'n_rows' is missing$"):
        Model.__new__(Model).__setstate__(state)
    with pytest.raises(ValueError, match=r"^Settings: expected 'names' to be list\[str\], got \['a', 1\]$"):
        made.__setstate__({"alpha": 1.0, "names": ["a", 1]})


def test_what_is_no_state():
    check_state(Model, {})
    check_state(Model, {"n_rows": 1}, ["n_rows"])
    with pytest.raises(ValueError, match=r"^Model: expected a dict of its state, got list$"):
        check_state(Model, [])
    with pytest.raises(ValueError, match=r"^Model: 'vectors' is missing$"):
        check_state(Model, {"n_rows": 1}, ["n_rows", "vectors"])
    with pytest.raises(ValueError, match=r"^Model: expected 'n_rows' to be int, got 'x{59}$"):
        check_state(Model, {"n_rows": "x" * 99})


VALUES = {
    "None": None, "True": True, "np.True_": np.True_, "1": 1, "np.int64": np.int64(1), "1.5": 1.5,
    "np.float32": np.float32(1.5), "a": "a", "[]": [], "[1]": [1], "[1, 'a']": [1, "a"], "{1}": {1}, "(1,)": (1,),
    "(1, 'a')": (1, "a"), "(1, 2)": (1, 2), "()": (), "{}": {}, "{'a': 1}": {"a": 1}, "{'a': 'b'}": {"a": "b"},
    "{1: 1}": {1: 1}, "array": np.zeros(1), "shape": Shape(1, "a"), "frozen": frozenset([1]),
}  # fmt: skip
INTS, BOOLS = {"1", "np.int64"}, {"True", "np.True_"}
TYPES = [
    (Any, set(VALUES)),
    (None, {"None"}),
    (int, INTS),
    (float, INTS | {"1.5", "np.float32"}),
    (bool, BOOLS),
    (str, {"a"}),
    (np.ndarray, {"array"}),
    (int | None, INTS | {"None"}),
    (str | bool | None, {"a", "None"} | BOOLS),
    (list[int], {"[]", "[1]"}),
    (list[int | str], {"[]", "[1]", "[1, 'a']"}),
    (list[Any], {"[]", "[1]", "[1, 'a']"}),
    (set[int], {"{1}"}),
    (frozenset[int], {"frozen"}),
    (frozenset[str], set()),
    (tuple[int], {"(1,)"}),
    (tuple[int, str], {"(1, 'a')"}),
    (tuple[int, ...], {"()", "(1,)", "(1, 2)"}),
    (dict[str, int], {"{}", "{'a': 1}"}),
    (dict[str, Any], {"{}", "{'a': 1}", "{'a': 'b'}"}),
    (dict[int, int], {"{}", "{1: 1}"}),
    (Shape, {"shape"}),
    (type[int], set()),
]


@pytest.mark.parametrize(("hint", "names"), TYPES, ids=[str(hint) for hint, _ in TYPES])
def test_values_of_types(hint, names):
    assert {name for name, value in VALUES.items() if conforms(value, hint)} == names


def test_classes_of_the_library_are_registered_under_their_names():
    from skembed.data.vocabulary import Vocabulary

    assert STORED["Vocabulary"] is Vocabulary
    assert all(name == cls.__name__ for name, cls in STORED.items())
