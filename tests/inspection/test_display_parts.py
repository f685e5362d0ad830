"""Parts of a display beside slow twins: labels, colours, choices, what a page holds, and where points lie."""

import base64
import gzip
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skembed import EmbeddingTable
from skembed.inspection import EmbeddingDisplay, _display_plot, html, plane
from skembed.inspection._display_choice import choose_fields, describe, labelled, link_groups, most_points, order_labels
from skembed.inspection._display_points import Points
from skembed.inspection._palette import Field, Group
from skembed.inspection.labels import key_text, label_order, place_labels, shorten, text_width
from skembed.inspection.plane import Layout, Trust, lay_out, measure_trust, principal_plane

# -------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("text", "ems"),
    [("", 0), ("il", 0.72), ("mW", 1.9), ("a", 0.64), ("A", 0.74), ("7", 0.64), ("京", 1.05), ("ᄀ", 1.05), ("é", 0.64),
     ("i mA京", 0.36 + 0.36 + 0.95 + 0.74 + 1.05)],
)  # fmt: skip
def test_widths_of_characters(text, ems):
    assert text_width(text, 10) == pytest.approx(10 * ems)


@pytest.mark.parametrize(
    ("key", "text"),
    [(None, "missing"), (7, "7"), ("a\n b\t", "a b"), ("", "(blank)"), ("  ", "(blank)"), ("\x00a", "\ufffda"),
     ("\ud800", "\ufffd"), (("a", 1), "('a', 1)"), ("\u00a0x", "x")],
)  # fmt: skip
def test_keys_as_text(key, text):
    assert key_text(key) == text


def test_long_texts_are_cut():
    assert shorten("x" * 26) == "x" * 26
    assert shorten("x" * 27) == "x" * 25 + "\u2026"
    assert shorten("ab cdef", 4) == "ab\u2026"
    assert shorten(" a  b\n") == "a b"
    assert shorten(12345, 4) == "123\u2026"


@given(st.integers(1, 60), st.integers(0, 99), st.booleans())
def test_labels_are_given_region_by_region(n, seed, weighted):
    rng = np.random.default_rng(seed)
    coordinates = rng.normal(size=(n, 2)).round(1)
    importance = rng.integers(0, 5, n).astype(float) if weighted else None
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    n_cells = int(min(max(np.sqrt(n / 4), 2), 8))
    order = sorted(range(n), key=lambda i: 0 if importance is None else -importance[i])
    seen, rank = {}, {}
    for i in order:
        cell = tuple(
            min(int((coordinates[i, k] - low[k]) / ((high[k] - low[k]) or 1) * n_cells), n_cells - 1) for k in (0, 1)
        )
        rank[i] = seen[cell] = seen.get(cell, 0) + 1
    assert label_order(coordinates, importance).tolist() == sorted(order, key=rank.__getitem__)


def slow_labels(points, radii, texts, width, height, size, n_max, n_marks, taken):
    """The twin: for each text the first of eight places where its box meets nothing."""
    found, boxes = [], list(taken)
    for j, text in enumerate(texts):
        if len(found) == n_max:
            break
        x, y = points[j]
        gap, wide, up = radii[j] + 3, text_width(text, size), 0.7 * size
        places = [
            (x + gap, y + size * 0.35), (x - gap - wide, y + size * 0.35), (x - wide / 2, y - gap),
            (x - wide / 2, y + gap + 0.8 * size), (x + 0.7 * gap, y - 0.7 * gap), (x + 0.7 * gap, y + 0.7 * gap + up),
            (x - 0.7 * gap - wide, y - 0.7 * gap), (x - 0.7 * gap - wide, y + 0.7 * gap + up),
        ]  # fmt: skip
        for left, base in places:
            box = (left - 2, base - 0.85 * size, left + wide + 2, base + 0.3 * size)
            marks = [
                (points[i][0] - radii[i], points[i][1] - radii[i], points[i][0] + radii[i], points[i][1] + radii[i])
                for i in range(min(n_marks, len(points)))
                if i != j
            ]
            fits = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if fits and all(
                box[2] <= b[0] or b[2] <= box[0] or box[3] <= b[1] or b[3] <= box[1] for b in boxes + marks
            ):
                boxes.append(box)
                found.append((j, left, base))
                break
    return found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n_max", "n_marks"), [(3, None), (45, None), (12, 40), (45, 0)])
def test_labels_are_placed_as_a_loop_places_them(seed, n_max, n_marks):
    rng = np.random.default_rng(seed)
    points, radii = rng.uniform(0, 200, (40, 2)), rng.uniform(2, 9, 40)
    texts = [["Ulm", "Wien", "im", "東京都"][j % 4] for j in range(40)]
    taken = [(90.0, 90.0, 120.0, 110.0)]
    found = place_labels(points, radii, texts, width=210, height=190, size=9, n_max=n_max, n_marks=n_marks, taken=taken)
    expected = slow_labels(
        points.tolist(), radii.tolist(), texts, 210, 190, 9, n_max, n_max if n_marks is None else n_marks, taken
    )
    assert [j for j, _, _ in found] == [j for j, _, _ in expected]
    np.testing.assert_allclose(found, expected)
    assert taken == [(90.0, 90.0, 120.0, 110.0)]  # of the caller
    widths = [text_width(text, 9) for text in texts]
    assert found == place_labels(
        points, radii, texts, width=210, height=190, size=9, n_max=n_max, n_marks=n_marks, taken=taken, widths=widths
    )


# ------------------------------------------------------------------------------------------------------------- fields


def test_ends_of_a_scale():
    assert Field("", numbers=np.arange(101.0)).limits() == (2.0, 98.0)
    assert Field("", numbers=np.array([np.nan, 3.0, 5.0])).limits() == (3.0, 5.0)
    assert Field("", numbers=np.array([0.0] * 99 + [7.0])).limits() == (0.0, 7.0)  # rather all than a point
    assert Field("", numbers=np.array([np.nan])).limits() == (0.0, 1.0)
    assert Field("", codes=np.array([0])).limits() == (0.0, 1.0)
    assert Field("", numbers=np.array([4.0, 4.0])).limits() == (3.5, 4.5)


def test_groups_of_a_legend():
    field = Field("f", codes=np.array([1, 0, -1, 1]), categories=["a", "b", "never"])
    groups, group_of = field.groups()
    assert groups == [
        Group("a", "#0072b2", 0, 1), Group("b", "#e69f00", 0, 2), Group("never", "#009e73", 0, 0),
        Group("missing", "#9a9a9a", 0, 1),
    ]  # fmt: skip
    assert group_of.tolist() == [1, 0, 3, 1]
    with pytest.raises(TypeError, match=r"^the field 'f' holds numbers; groups are of categories\.$"):
        Field("f", numbers=np.zeros(1)).groups()


def test_of_equally_frequent_categories_the_first_have_colours():
    field = Field("f", codes=np.r_[np.arange(15), 14], categories=[f"c{i}" for i in range(15)])
    groups, group_of = field.groups()
    assert [group.name for group in groups] == ["c0", "c1", "c2", "c3", "c4", "c5", "c14", "8 others"]
    assert (groups[-1].n_points, groups[-1].shape, groups[-1].color) == (8, 0, "#9a9a9a")
    assert group_of.tolist() == [0, 1, 2, 3, 4, 5, *[7] * 8, 6, 6]
    many = Field("f", codes=np.arange(2000), categories=[str(i) for i in range(2000)])
    assert many.groups()[0][-1].name == "1,993 others"


def test_values_become_fields():
    with pytest.raises(TypeError, match=r"^size must hold numbers, got 'a'\.$"):
        Field.of("size", [None, "a", 1], as_numbers=True)
    with pytest.raises(TypeError, match=r"^size must hold numbers, got None\.$"):
        Field.of("size", [None], as_numbers=True)
    with pytest.raises(TypeError, match=r"^size must hold numbers, got True\.$"):
        Field.of("size", [True, 1], as_numbers=True)
    assert Field.of("size", [3, None, 1], as_numbers=True).numbers.tolist()[::2] == [3.0, 1.0]
    assert Field.of("f", range(14)).categories == [str(i) for i in range(14)]
    assert Field.of("f", [*range(15), np.inf]).numbers.tolist()[:15] == list(range(15))
    assert Field.of("f", [["x"], ["x"], {"y": 1}]).categories == ["['x']", "{'y': 1}"]
    assert Field.of("f", [1, 1.0, float("nan")]).numbers is not None
    assert Field.of("f", [1, 2, float("nan")]).categories == ["1", "2"]  # of whole numbers NaN is a missing one
    assert Field.of("f", ["b", "a", "b"]).codes.tolist() == [1, 0, 1]


# ------------------------------------------------------------------------------------------------------------ choices


def test_which_field_gives_colour_and_size():
    numbers = SimpleNamespace(name="weight")
    assert choose_fields(None, color=None, size=None) == ({}, {"color": None, "size": None})
    assert choose_fields({"a": [1]}, color="a", size=None) == ({"a": [1]}, {"color": "a", "size": None})
    given_, chosen = choose_fields({"a": [1], 7: [2]}, color=[5], size=numbers)
    assert given_ == {"a": [1], "7": [2], "color": [5], "weight": numbers}
    assert chosen == {"color": "color", "size": "weight"}
    given_, chosen = choose_fields({"color": [1], "weight": [2]}, color=[5], size=numbers)
    assert chosen == {"color": "color (color)", "size": "weight (size)"}
    assert given_["weight (size)"] is numbers
    with pytest.raises(ValueError, match=re.escape(
        "color='b' names no field; the fields are 'a', 'c'. Pass fields=, a dict or a sequence."
    )):  # fmt: skip
        choose_fields({"a": [1], "c": [2]}, color="b")
    with pytest.raises(ValueError, match=r"^size='b' names no field; no fields were given"):
        choose_fields({}, size="b")


@pytest.mark.parametrize(
    ("max_points", "method", "expected"),
    [("auto", "pca", 100_000), ("auto", "mds", 1_000), ("auto", "umap", 50_000), ("auto", "tsne", 10_000),
     ("auto", "isomap", 2_000), ("auto", object(), 10_000), (7, "pca", 7), (np.int64(7), "pca", 7), (1, "mds", 1)],
)  # fmt: skip
def test_how_many_points(max_points, method, expected):
    assert most_points(max_points, method) == expected


@pytest.mark.parametrize("max_points", [0, -1, True, 2.5, "all", None])
def test_what_is_no_number_of_points(max_points):
    with pytest.raises(ValueError, match=rf"^max_points must be a positive int or 'auto', got {max_points!r}\.$"):
        most_points(max_points, "pca")


TABLE = EmbeddingTable(["a", "b", "c", None, 7.0], np.arange(10.0).reshape(5, 2))


def test_which_keys_are_labelled():
    points = Points(TABLE)
    for label, expected in [
        (True, ([], 40)), (False, ([], 0)), (None, ([], 0)), ("groups", ([], 0)), (0, ([], 0)), (3, ([], 3)),
        (["b", 7], (["b", 7], 2)), ([float("nan")], ([None], 1)),
    ]:  # fmt: skip
        assert labelled(points, label) == expected
    with pytest.raises(ValueError, match=r"^label must not be negative, got -1\.$"):
        labelled(points, -1)
    with pytest.raises(KeyError, match="label: 'x', 'y' not among the 5 keys of table"):
        labelled(points, ["x", "a", "y"])
    with pytest.raises(KeyError, match=re.escape("'0x', '1x', '2x', '3x', '4x' not among")):
        labelled(points, [f"{i}x" for i in range(6)])


def test_links_in_arrays_and_frames():
    pairs = [("a", "b"), ("c", "d")]
    assert link_groups(np.array(pairs)) == {"": pairs}
    assert link_groups(pytest.importorskip("pandas").DataFrame(pairs)) == {"": pairs}
    assert link_groups({"to": np.array(pairs)}) == {"to": pairs}
    assert link_groups(np.empty((0, 2))) == link_groups(()) == {"": []}


def test_links_in_groups():
    assert link_groups(None) == {"": []}
    assert link_groups([("a", "b"), ["c", 7.0]]) == {"": [("a", "b"), ("c", 7)]}
    assert link_groups({"x": [("a", "b")], 3: []}) == {"x": [("a", "b")], "3": []}
    for pair in ("ab", ("a",), ("a", "b", "c"), 7):
        with pytest.raises(ValueError, match=re.escape(f"links must be pairs (from, to) of keys, got {pair!r}.")):
            link_groups([pair])


def test_points_that_may_be_labelled_first():
    coordinates = np.array([[0.0, 0.0], [0.1, 0.0], [1.0, 1.0], [0.9, 1.0]])
    place = {key: i for i, key in enumerate("abcd")}
    assert order_labels(coordinates, None, ["d", "a", "d"], ["b"], place).tolist() == [3, 0]
    assert order_labels(coordinates, None, [], ["b", "b"], place).tolist() == [1, 0, 2, 3]
    assert order_labels(coordinates, None, [], [], place).tolist() == [0, 2, 1, 3]
    size = Field("size", numbers=np.array([1.0, 5.0, np.nan, 2.0]))
    assert order_labels(coordinates, size, [], [], place).tolist() == [1, 3, 0, 2]
    assert order_labels(coordinates, Field("size", codes=np.zeros(4)), [], [], place).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("layout", "trust", "n_keys", "metric", "expected"),
    [
        (Layout(None, "PCA", 0.876), None, 1200, "euclidean",
         "PCA of 1,200 keys, 1,024 dimensions; 88 % of the variance is shown"),
        (Layout(None, "t-SNE"), Trust(0.875, 10, 1200), 5000, "cosine",
         "t-SNE of 1,200 of 5,000 keys, 1,024 dimensions at unit length; trustworthiness 0.88 (10 neighbours)"),
        (Layout(None, "MDS"), Trust(0.5, 3, 1000), 1200, "euclidean",
         "MDS of 1,200 keys, 1,024 dimensions; trustworthiness 0.50 (3 neighbours of 1,000 of the points)"),
    ],
)  # fmt: skip
def test_captions(layout, trust, n_keys, metric, expected):
    assert describe(layout, trust, n_keys, (1200, 1024), metric) == expected


def test_which_points_are_kept():
    def kept(max_points, size=None, wanted=(), keys=None):
        points = Points(TABLE, keys)
        points.limit(max_points, size, list(wanted))
        return points.rows.tolist()

    assert kept(5) == [0, 1, 2, 3, 4]
    assert kept(2) == [0, 1]
    assert kept(2, wanted=["c"]) == [0, 2]
    assert kept(1, wanted=["c", "b"]) == [1, 2]  # what is named is shown, however few
    assert kept(2, size=[1.0, 5.0, None, 4.0, 0.0]) == [1, 3]
    assert kept(4, size=[1.0, 5.0, None, 4.0, 0.0]) == [0, 1, 3, 4]
    assert kept(2, keys=["c", None, "a"]) == [2, 3]
    assert kept(2, size={"a": 3.0, "c": 2.0}, keys=["b", "c", "a"]) == [2, 0]


def test_values_of_points():
    points = Points(TABLE, ["c", "a"])
    names = {"color": "f", "size": None}

    def values(given_):
        return points.field(given_, "f", names).numbers.tolist()

    assert values([0.5, 1.5]) == [0.5, 1.5]  # in the order of the keys
    assert values([0.5, 1.5, 2.5, 3.5, 4.5]) == [2.5, 0.5]  # in that of the table
    assert values({"a": 0.5, "c": 2.5, "other": 7.5}) == [2.5, 0.5]
    for given_, error, message in [
        ([0.5], ValueError, "color must have a value for each key, 2 or 5 in all, got 1; a dict from key to value may "
         "leave keys out."),
        ({"x": 1}, ValueError, "color has a value for none of the 2 keys shown; its keys are like 'x', the table's "
         "like 'c'."),
        (np.zeros((2, 2)), ValueError, "color must be one-dimensional, got an array of shape (2, 2)."),
        (7, TypeError, "color must be a sequence, a dict or a Series, got int."),
        (b"ab", TypeError, "color must be a sequence, a dict or a Series, got bytes."),
    ]:  # fmt: skip
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            points.field(given_, "f", names)
    with pytest.raises(ValueError, match=re.escape("fields['g'] must have a value for each key, 2 or 5 in all, got 0")):
        points.field([], "g", names)
    with pytest.raises(ValueError, match="color must have a value for each key, 5 in all, got 1"):
        Points(TABLE).field([1], "f", names)
    with pytest.raises(ValueError, match=r"^size must not be negative, got -2\.0\.$"):
        points.field([1, -2], "f", {"size": "f"})
    with pytest.raises(ValueError, match=r"^keys must name at least one key to show, got none"):
        Points(TABLE, [])


# ------------------------------------------------------------------------------------------------------------- layout


def test_principal_components_are_those_of_an_eigendecomposition():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)) + 7, rng.integers(1, 5, 30)
    repeated = np.repeat(X, weights, axis=0)
    centred = repeated - repeated.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(repeated))
    coordinates, share = principal_plane(X, weights, dim=3)
    assert share == pytest.approx(variances[::-1][:3].sum() / variances.sum())
    for k in range(3):
        axis = axes[:, -1 - k]
        axis = axis * np.sign(axis[np.abs(axis).argmax()])
        np.testing.assert_allclose(coordinates[:, k], (X - repeated.mean(axis=0)) @ axis, atol=1e-9)
    assert max(principal_plane(rng.normal(size=(9, 2)))[1] for _ in range(50)) == 1.0  # not more by rounding
    even, _ = principal_plane(X)
    np.testing.assert_allclose(even, principal_plane(X, np.full(30, 5))[0], atol=1e-9)


@pytest.mark.parametrize(("noise", "flat"), [(1e-9, False), (3e-13, True), (0.0, True)])
def test_a_spread_that_is_rounding_is_none(noise, flat):
    X = 1.0 + noise * np.random.default_rng(0).choice([-1.0, 1.0], (40, 3))
    coordinates, share = principal_plane(X)
    assert (not coordinates.any()) == flat
    assert (share == 1.0) if flat else (0.5 < share < 1)


def test_many_components_are_cut_before_t_sne(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 80)).astype(np.float32)
    given_ = []

    class TSNE:
        def __init__(self, dim, **options):
            given_.append((dim, options))

        def fit_transform(self, vectors):
            given_.append(vectors)
            return vectors[:, :2]

    monkeypatch.setattr("sklearn.manifold.TSNE", TSNE)
    layout = lay_out(X, "tsne", 2, 0)
    assert (layout.name, layout.variance_share, layout.coordinates.dtype) == ("t-SNE", None, np.float64)
    (dim, options), vectors = given_
    assert vectors.shape == (60, 50)
    np.testing.assert_allclose(vectors, principal_plane(X, dim=50)[0], rtol=1e-5, atol=1e-5)
    assert (dim, options["perplexity"]) == (2, pytest.approx(59 / 3))
    assert options["init"].std(axis=0)[0] == pytest.approx(1e-4)
    lay_out(rng.normal(size=(200, 50)).astype(np.float32), "tsne", 2, 0)
    assert given_[2][1]["perplexity"] == 30.0
    assert given_[3].shape == (200, 50)


def test_umap_is_given_as_many_neighbours_as_there_are(monkeypatch):
    given_ = []

    class UMAP:
        def __init__(self, **options):
            given_.append(options)

        def fit_transform(self, vectors):
            return vectors[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    for n in (12, 13, 40):
        assert lay_out(np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32), "umap", 2, 5).name == "UMAP"
    assert [options["n_neighbors"] for options in given_] == [11, 12, 15]
    assert [options["init"] for options in given_] == ["random", "spectral", "spectral"]
    assert {options["n_components"] for options in given_} == {2}
    assert len({options["random_state"] for options in given_}) == 1
    assert {options["n_jobs"] for options in given_} == {1}


@pytest.mark.parametrize(("n", "n_neighbors"), [(4, None), (5, 2), (20, 9), (21, 10), (50, 10)])
def test_trust_of_few_points(n, n_neighbors):
    X = np.random.default_rng(0).normal(size=(n, 3))
    trust = measure_trust(X, X[:, :2], 0)
    assert trust is None if n_neighbors is None else (trust.n_neighbors, trust.n_sampled) == (n_neighbors, n)


def test_of_more_points_a_sample_is_judged(monkeypatch):
    X = np.random.default_rng(0).normal(size=(31, 3))
    monkeypatch.setattr(plane, "_ALL_JUDGED", 30)
    monkeypatch.setattr(plane, "_SAMPLE", 20)
    assert measure_trust(X, X[:, :2], 0).n_sampled == 20
    assert measure_trust(X[:30], X[:30, :2], 0).n_sampled == 30
    assert measure_trust(X, X[:, :2], 0) == measure_trust(X, X[:, :2], 0)
    assert len({measure_trust(X, X[:, :2], seed).value for seed in range(6)}) > 1


# ----------------------------------------------------------------------------------------------------------- the page


def unpacked(text, dtype):
    planes = np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype=np.uint8)
    return planes.reshape(np.dtype(dtype).itemsize, -1).T.copy().view(dtype).ravel()


def page_data(display, **options):
    page = html.make_page(display, **{"title": None, "n_neighbors": 1, "metric": "cosine"} | options)
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_what_a_page_holds():
    numbers = np.where(np.arange(100) == 1, np.nan, np.arange(100.0))
    fields = {
        "scale": Field("scale", numbers=numbers),
        "kind": Field("kind", codes=np.r_[1, -1, 0, 1, np.zeros(96, int)], categories=["a\n", "b" * 400]),
        "size": Field("size", numbers=np.r_[0.0, 4.0, np.nan, 1.0, np.full(96, 2.0)]),
    }
    table = EmbeddingTable([f"k{i}" for i in range(99)] + ["x" * 400], np.random.default_rng(0).normal(size=(100, 3)))
    coordinates = np.random.default_rng(1).normal(size=(100, 2))
    display = EmbeddingDisplay(
        table, coordinates, fields=fields, color="kind", size="size", label_order=[3, 1], n_labels=2, caption="what",
        links={"": [(0, 1)], "to": [(1, 2)]},
    )  # fmt: skip
    data = page_data(display, n_neighbors=5, title="A <b>")
    assert (data["title"], data["caption"], data["n"], data["dim"], data["embeddingDim"]) == (
        "A <b>",
        "what",
        100,
        2,
        3,
    )
    scale, kind, size = data["fields"]
    assert (scale["name"], scale["low"], scale["high"]) == ("scale", *fields["scale"].limits())
    assert (scale["below"], scale["above"]) == (True, True)
    np.testing.assert_array_equal(unpacked(scale["numbers"], "<f4"), numbers.astype("f4"))
    assert kind["categories"] == ["a", "b" * 299 + "\u2026"]
    assert unpacked(kind["codes"], "<u4").tolist()[:4] == [1, 2, 0, 1]
    assert unpacked(kind["groupOf"], "u1").tolist()[:4] == [1, 2, 0, 1]
    assert [group["name"] for group in kind["groups"]] == ["a", "b" * 400, "missing"]
    assert [group["count"] for group in kind["groups"]] == [97, 2, 1]
    assert (size["low"], size["high"], size["below"], size["above"]) == (0.0, 4.0, False, False)
    assert data["color"] == 1
    assert unpacked(data["sizes"], "u1").tolist()[:5] == [0, 255, 0, 128, 180]
    assert data["links"] == [{"name": "", "pairs": [[0, 1]]}, {"name": "to", "pairs": [[1, 2]]}]
    assert unpacked(data["labels"], "<u4").tolist() == [3, 1]
    keys = json.loads(gzip.decompress(base64.b64decode(data["keys"])))
    assert keys[0] == "k0"
    assert keys[-1] == "x" * 299 + "\u2026"
    assert data["nNeighbors"] == 5


def test_what_a_page_does_without():
    display = EmbeddingDisplay(TABLE, np.arange(15.0).reshape(5, 3))
    data = page_data(display, n_neighbors=100)
    assert data["title"] == "Map of embeddings"
    assert (data["fields"], data["color"], data["sizes"], data["links"], data["labels"]) == ([], -1, None, [], None)
    assert (data["nNeighbors"], data["dim"], data["metric"]) == (4, 3, "cosine")
    assert page_data(display, n_neighbors=0)["nNeighbors"] == 0
    groups = EmbeddingDisplay(TABLE, np.zeros((5, 2)), label_groups=True, label_order=[4])
    assert unpacked(page_data(groups)["labels"], "<u4").tolist() == [4]
    within = EmbeddingDisplay(TABLE, np.zeros((5, 2)), fields={"f": Field("f", numbers=np.arange(5.0))}, size="f")
    data = page_data(within)
    assert (data["fields"][0]["below"], data["fields"][0]["above"]) == (False, False)
    assert unpacked(data["coordinates"], "<u2").tolist() == [32768] * 10  # all at one place, in the middle
    nothing = EmbeddingDisplay(TABLE, np.zeros((5, 2)), fields={"f": Field("f", numbers=np.zeros(5))}, size="f")
    assert unpacked(page_data(nothing)["sizes"], "u1").tolist() == [0] * 5
    for n_neighbors in (-1, 101, True, 1.0):
        with pytest.raises(ValueError, match=rf"^n_neighbors must be an int from 0 to 100, got {n_neighbors!r}\.$"):
            page_data(display, n_neighbors=n_neighbors)


def test_values_of_numpy_go_into_a_page_and_others_do_not():
    assert html._plain(np.float32(0.5)) == 0.5
    assert type(html._plain(np.int64(3))) is int
    with pytest.raises(TypeError, match=r"^set in a page$"):
        html._plain({1})
    linked = EmbeddingDisplay(TABLE, np.zeros((5, 2)), links={"": [(np.int64(0), np.int64(1))]})
    assert page_data(linked)["links"] == [{"name": "", "pairs": [[0, 1]]}]


# --------------------------------------------------------------------------------------------------------- the figure


def test_a_figure_of_its_own():
    plt = pytest.importorskip("matplotlib.pyplot")
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    for dim, name in ((2, "rectilinear"), (3, "3d")):
        display = EmbeddingDisplay(TABLE, np.arange(5.0 * dim).reshape(5, dim)).plot()
        assert display.figure_.get_size_inches().tolist() == [8, 6]
        assert isinstance(display.figure_.get_layout_engine(), ConstrainedLayoutEngine)
        assert display.ax_.name == name
        plt.close(display.figure_)
    with pytest.raises(ValueError, match="ax must have the projection 2d for 2 dimensions"):
        EmbeddingDisplay(TABLE, np.zeros((5, 2))).plot(plt.figure().add_subplot(projection="3d"))
    plt.close("all")


def test_small_boxes_along_an_arrow_but_for_its_ends():
    boxes = _display_plot._along(np.array([0.0, 0.0]), np.array([30.0, 40.0]), 5.0)
    middles = [((a + c) / 2, (b + d) / 2) for a, b, c, d in boxes]
    np.testing.assert_allclose(middles, [(3.0 * k, 4.0 * k) for k in range(2, 9)])
    assert all(c - a == d - b == 2 for a, b, c, d in boxes)
    assert _display_plot._along(np.zeros(2), np.array([3.0, 4.0]), 5.0) == []
