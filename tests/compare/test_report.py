"""The page and its pictures: escaped, self-contained, nothing covered or cut off, written whole or not at all."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from skembed.compare import ComparisonProblem, _evaluate, _map, evaluate, pipeline
from skembed.compare._evaluate import Encoding, Row
from skembed.compare._map import LevelMap, map_levels, principal_plane
from skembed.compare._picture import level_picture, score_chart
from skembed.compare._report import make_report
from skembed.inspection.html import write_page
from skembed.inspection.labels import place_labels, shorten, text_width

EVIL = "<script>alert('x')</script>&\"'"


def row(encoder, learner, scores, skipped=""):
    return Row(encoder, learner, Encoding([0.1], [0.1], 3, 1000), list(scores), [0.1] * len(scores), skipped)


ROWS = [
    row("onehot", "linear", [0.7, 0.72, 0.71]),
    row("entity", "linear", [0.8, 0.82, 0.81]),
    row("onehot", "hgb", [], skipped=f"failed: {EVIL}"),
]


def level_map(n=40, task="regression", classes=(), **changes):
    rng = np.random.default_rng(0)
    values = rng.integers(0, len(classes), n).astype(float) if task == "multiclass" else rng.random(n)
    made = {"column": "city", "keys": [f"city {i}" for i in range(n)], "xy": rng.normal(size=(n, 2))}
    made |= {"counts": np.arange(n, 0, -1), "values": values, "task": task, "classes": list(classes)}
    made |= {"n_left_out": 0, "shown_share": 1.0}
    return LevelMap(**{**made, **changes})


def problem(name="y"):
    X = np.array([["a", 1.0], ["b", 2.0]] * 10, dtype=object)
    return ComparisonProblem(X, np.arange(20.0), "regression", [0], [1], name, name, [name, name], {name: name}, [name])


class _Page(HTMLParser):
    """Collects tags, and fails on one that is closed without being open."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [
            v for k, v in attrs if k in ("href", "src", "xlink:href") or (v and "url(" in v and "url(#" not in v)
        ]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(html):
    page = _Page()
    page.feed(html)
    assert page.open == []
    return page


def test_every_string_of_the_user_is_escaped():
    for task, classes in (("regression", ()), ("binary", (EVIL, EVIL)), ("multiclass", (EVIL, "b", "c"))):
        levels = level_map(3, task, classes, column=EVIL, keys=[EVIL, None, 7])
        html = make_report(problem(EVIL), ROWS, level_map=levels, snippet=EVIL)
        assert "script" not in parse(html).seen
        assert EVIL not in html
        assert "&lt;script&gt;" in html


def test_nothing_is_fetched():
    html = make_report(problem(), ROWS, level_map=level_map(), snippet="x = 1")
    assert parse(html).links == []
    assert not re.search(r"https?:|@import|@font-face|<link|<img", html)


def test_the_page_says_what_the_terminal_says():
    html = make_report(problem(), ROWS, cv=3)
    assert "<b>Worth it:</b> entity with linear gains +0.100 R2" in html
    assert "0.7100 ± 0.0100" in html
    assert "failed:" in html
    assert "prefers-color-scheme: dark" in html


def test_write_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_page(path, "old")
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_page(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    monkeypatch.undo()
    write_page(path, "lone surrogate \ud800")
    assert path.read_text() == "lone surrogate ?"


def test_chart_stays_inside_its_frame():
    hopeless = row("ordinal", "knn", [-5.0, -6.0, -7.0])
    svg = score_chart([*ROWS, hopeless], "R2")
    assert "\u25c2" in svg  # off the axis, and said so
    xs = [float(x) for x in re.findall(r'(?:cx|x1|x2)="([-\d.]+)"', svg)]
    assert min(xs) >= 0
    assert max(xs) <= 860


def test_chart_of_equal_scores():
    assert "nan" not in score_chart([row("onehot", "linear", [0.5, 0.5])], "R2")


def test_labels_neither_overlap_nor_leave_the_picture():
    rng = np.random.default_rng(1)
    points = rng.uniform(20, 300, (200, 2))
    texts = ["Köln Süd", "東京都", "illicit", "WWW"] * 50
    labels = place_labels(points, np.full(200, 4.0), texts, width=320, height=320)
    assert len(labels) > 15
    boxes = [(x, y - 11, x + text_width(texts[j], 11), y + 3) for j, x, y in labels]
    for i, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[2] <= 320
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] + 1.6 or b[3] <= a[1] + 1.6


def test_shorten():
    assert shorten("a  b\nc") == "a b c"
    assert len(shorten("x" * 99)) == 26


def test_a_flat_map_is_stretched_and_told():
    flat = level_map(xy=np.random.default_rng(0).normal(size=(40, 2)) * [1, 0.01])
    _, stretch = level_picture(flat)
    assert stretch == pytest.approx(10)
    assert "drawn 10.0 times as large" in make_report(problem(), ROWS, level_map=flat)
    line = level_map(xy=np.linspace(-1, 1, 40)[:, None] * [1, 0])
    assert "nan" not in level_picture(line)[0]


def test_every_point_has_its_tooltip():
    svg, _ = level_picture(level_map(30, "multiclass", ("a", "b")))
    assert svg.count("<title>city ") == 30
    assert "<title>city 0: 30 rows, mostly" in svg


def test_principal_plane_keeps_distances_of_flat_vectors():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(20, 2)) @ np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    xy, share = principal_plane(plane, rng.integers(1, 9, 20))
    assert share == pytest.approx(1)
    np.testing.assert_allclose(np.linalg.norm(xy[0] - xy[1]), np.linalg.norm(plane[0] - plane[1]))
    assert principal_plane(plane[:, :1], np.ones(20))[0][:, 1].tolist() == [0] * 20
    assert principal_plane(np.ones((4, 3)), np.ones(4))[1] == 1


def test_map_takes_the_column_whose_vectors_differ_most():
    rng = np.random.default_rng(0)
    strong, weak = rng.integers(0, 12, 400), rng.integers(0, 12, 400)
    X = np.array([[f"s{k}" for k in strong], [f"w{k}" for k in weak]], dtype=object).T
    X[:5, 0] = None
    made = ComparisonProblem(
        X, strong * 5 + rng.normal(size=400), "regression", [0, 1], [], "s", "y", ["strong", "weak"]
    )
    levels = map_levels(made)
    assert levels.column == "strong"
    assert len(levels.keys) == 13
    assert levels.counts.sum() == 400
    assert list(levels.counts) == sorted(levels.counts, reverse=True)
    means = [made.y[[x == key for x in X[:, 0]]].mean() for key in levels.keys]
    np.testing.assert_allclose(levels.values, means)


def test_the_map_is_fitted_with_the_seed_that_is_asked_for(monkeypatch):
    seeds = []
    monkeypatch.setattr(
        _evaluate, "pipeline", lambda *args, random_state: [seeds.append(random_state), pipeline(*args)][1]
    )
    X = np.array([["a"], ["b"]] * 20, dtype=object)
    map_levels(ComparisonProblem(X, np.arange(40.0), "regression", [0], [], "s", "y", ["c"]), random_state=7)
    assert seeds == [7]


def test_of_more_levels_than_a_map_has_points_the_most_frequent_are_drawn(monkeypatch):
    codes = np.repeat(np.arange(12), np.arange(20, 8, -1))
    X = np.array([[f"s{k}"] for k in codes], dtype=object)
    made = ComparisonProblem(X, codes * 5.0, "regression", [0], [], "s", "y", ["street"])
    whole = map_levels(made)
    monkeypatch.setattr(_map, "_MAX_POINTS", 7)
    drawn = map_levels(made)
    assert (whole.n_left_out, drawn.n_left_out) == (0, 5)
    assert drawn.keys == [f"s{k}" for k in range(7)]
    for name in ("xy", "counts", "values"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(whole, name)[:7])


def test_no_map_without_levels():
    made = ComparisonProblem(
        np.array([["a"], ["b"]] * 20, dtype=object), np.arange(40.0), "regression", [0], [], "s", "y", ["c"]
    )
    assert map_levels(made) is None
    assert evaluate(made, encoders=["onehot"], learners=["linear"], cv=2)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_colours_of_a_map_of_classes(task):
    """The share of the second of two classes; of more the one that most rows of the level have, the first of equals."""
    levels = np.repeat([*"abcde", None], [8, 7, 6, 5, 4, 3])
    n_classes = 2 if task == "binary" else 3
    y = np.array(["high", "low", "middle"])[np.random.default_rng(1).integers(0, n_classes, len(levels))]
    X = levels[:, None].astype(object)
    made = map_levels(ComparisonProblem(X, y, task, [0], [], "s", "y", ["c"]))
    assert made.classes == ["high", "low", "middle"][:n_classes]
    assert sorted(map(str, made.keys)) == sorted(["a", "b", "c", "d", "e", "None"])
    for key, value in zip(made.keys, made.values):
        shares = [np.mean(y[levels == key] == label) for label in made.classes]
        assert value == pytest.approx(shares[1] if task == "binary" else np.argmax(shares))


def test_of_two_columns_with_equal_vectors_the_first_is_drawn_and_few_levels_are_no_map():
    codes = np.arange(120) % 5
    X = np.array([[f"a{k}", f"b{k}", f"c{k % 4}"] for k in codes], dtype=object)
    y = codes * 3.0
    assert map_levels(ComparisonProblem(X[:, 2:], y, "regression", [0], [], "s", "y", ["c"])) is None
    assert map_levels(ComparisonProblem(X[:, 1:], y, "regression", [0, 1], [], "s", "y", ["b", "c"])).column == "b"


def test_a_legend_names_classes_as_long_as_there_is_room_and_none_behind_it():
    names = ["a", *("W" * 15 + str(j) for j in range(4)), "i"]  # for the last of which there would be room
    values = np.repeat(np.arange(6.0), [10, 9, 8, 7, 6, 5])
    svg, _ = level_picture(level_map(45, "multiclass", names, values=values, counts=np.ones(45, dtype=int)))
    legend = re.findall(r"<text[^>]*>([^<]*)</text>", svg[svg.index('<g class="legend">') :])
    assert legend == names[:4]
    few, _ = level_picture(level_map(45, "multiclass", list("abcdefghij"), values=np.arange(45.0) % 10))
    legend = re.findall(r"<text[^>]*>([^<]*)</text>", few[few.index('<g class="legend">') :])
    assert (len(legend), legend[-1]) == (9, "other")
