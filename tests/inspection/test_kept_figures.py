"""Figures of displays, artist by artist, as they were when they were last looked at.

PYTHONPATH=tests:. python tests/inspection/test_kept_figures.py   # after a change that is meant to be one
"""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import __version__ as matplotlib_version
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from skembed import EmbeddingTable
from skembed.inspection import EmbeddingDisplay, _display_plot
from skembed.inspection._palette import Field
from skembed.inspection.labels import text_width

KEPT = Path(__file__).parent / "kept" / "figures.txt"


def display_of(n, dim=2, **options):
    rng = np.random.default_rng(n)
    keys = [f"key {i}" + " that goes on and on" * (i % 7 == 3) for i in range(n - 1)] + [None]
    table = EmbeddingTable(keys, rng.normal(size=(n, 4)))
    coordinates = rng.normal(size=(n, dim)) * [3, 1, 1][:dim]
    return EmbeddingDisplay(table, coordinates, **{"label_order": range(n), **options})


def fields_of(n):
    rng = np.random.default_rng(n + 1)
    numbers = np.round(rng.lognormal(size=n), 3)
    few, many = rng.integers(-1, 3, n), np.minimum(rng.geometric(0.12, n), 18) - 1
    return {
        "few": Field("few", codes=few, categories=["red", "green", "a colour with a name that is long"]),
        "fourteen": Field("fourteen", codes=np.arange(n) % 14, categories=[f"c{j}" for j in range(14)]),
        "many": Field("many", codes=many, categories=[f"group {j}" for j in range(18)]),
        "color": Field("color", numbers=np.where(numbers > 4, np.nan, numbers)),
        "a scale with a name that is long": Field("a scale with a name that is long", numbers=numbers),
        "even": Field("even", numbers=np.arange(n) % 2 * 1.0),
        "size": Field("size", numbers=np.where(few < 0, np.nan, numbers)),
    }


CASES = {
    "plain, with labels and a caption": (
        lambda: display_of(30, n_labels=12, caption="PCA of 30 keys, 4 dimensions; " + "something more to say. " * 6),
        {"title": "Keys"},
    ),
    "no caption, opaque, large": (
        lambda: display_of(5, caption="PCA", n_labels=9), {"caption": False, "alpha": 1.0, "point_size": 90},
    ),
    "few categories and areas": (
        lambda: display_of(25, fields=fields_of(25), color="few", size="size"), {"title": ""},
    ),
    "two shapes": (lambda: display_of(28, fields=fields_of(28), color="fourteen"), {"alpha": 0.5}),
    "others and missing ones, points of one's own area": (
        lambda: display_of(60, fields=fields_of(60), color="many", size="size"), {"point_size": 40},
    ),
    "numbers without a name, some missing": (
        lambda: display_of(40, fields=fields_of(40), color="color"), {"cmap": "cividis"},
    ),
    "numbers with a name": (
        lambda: display_of(40, fields=fields_of(40), color="a scale with a name that is long"), {},
    ),
    "numbers of two kinds": (lambda: display_of(40, fields=fields_of(40), color="even"), {}),
    "no legend": (lambda: display_of(25, fields=fields_of(25), color="few"), {"legend": False}),
    "groups and links": (
        lambda: display_of(
            20, fields=fields_of(20), color="few", label_groups=True, n_labels=4,
            links={"": [(0, 1)], "to": [(2, 3), (3, 4)], "and a name of a group that is long": [(5, 6)]},
        ), {},
    ),
    "named groups of many": (lambda: display_of(60, fields=fields_of(60), color="many", label_groups=True), {}),
    "in space": (
        lambda: display_of(
            15, 3, fields=fields_of(15), color="few", n_labels=5, caption="PCA of 15 keys", label_groups=True,
            links={"": [(0, 1)], "to": [(2, 3)]},
        ), {"title": "Space"},
    ),
    "very many": (lambda: display_of(8001, fields=fields_of(8001), color="few"), {}),
    "just not so many": (lambda: display_of(7999, fields=fields_of(7999), color="few"), {}),
}  # fmt: skip


def rounded(values):
    return " ".join(f"{value:.3g}" for value in np.ravel(values))


def brief(values):
    """Few values one by one, of many their sum."""
    values = np.asarray(values, dtype=np.float64)
    return rounded(values) if values.size <= 60 else f"{values.shape}, together {values.sum():.4g}"


def points_of(artist):
    flat = not hasattr(artist, "_offsets3d")
    at = artist.get_offsets() if flat else np.ma.stack([np.ma.asarray(part) for part in artist._offsets3d], axis=1)
    colours = {to_hex(colour) for colour in np.unique(np.round(artist.get_facecolors(), 3), axis=0)}
    yield f"points {len(at)}: {brief(at)}"
    areas, corners = artist.get_sizes() if flat else artist._sizes3d, len(artist.get_paths()[0].vertices)
    yield f"  areas {brief(areas)}; corners {corners}"
    yield f"  colours {len(colours)}: {' '.join(sorted(colours)[:4])}; alpha {artist.get_alpha()}"
    yield f"  edges {to_hex(artist.get_edgecolors()[0])} {rounded(artist.get_linewidths())}; {artist.get_rasterized()}"
    if artist.get_array() is not None:
        yield f"  numbers {brief(artist.get_array())} in {rounded(artist.get_clim())} as {artist.get_cmap().name}"


def text_of(text):
    effects = [f"{effect._gc['linewidth']} {effect._gc['foreground']}" for effect in text.get_path_effects()]
    if isinstance(text, Annotation):
        at = f"{rounded(text.xy)} + {rounded(text.xyann)}, {text.anncoords}, clipped {text.get_annotation_clip()}"
    else:
        at = f"{rounded(text.get_position())}, {text.get_ha()} {text.get_va()}"
    style = f"{text.get_fontsize():g} {text.get_fontweight()} {to_hex(text.get_color())} z{text.get_zorder():g}"
    yield f"text {text.get_text()!r} at {at}; {style}; math {text.get_parse_math()}; halo {effects}"
    arrow = getattr(text, "arrow_patch", None)
    if arrow is not None:
        kind = type(arrow.get_arrowstyle()).__name__
        yield (
            f"  arrow {kind} {to_hex(arrow.get_edgecolor())} {arrow.get_linewidth():g}; "
            f"shrunk {arrow.shrinkA:.3g} {arrow.shrinkB:.3g}"
        )


def described(display):
    """Lines that say what was drawn."""
    ax, flat = display.ax_, display.coordinates.shape[1] == 2
    yield f"title {ax.get_title(loc='left')!r} {ax.title.get_text()!r} {to_hex(ax._left_title.get_color())}"
    yield f"margins {rounded(ax.margins())}; ticks {[len(axis.get_ticklocs()) for axis in ax._axis_map.values()]}"
    if flat:
        spines = sorted({to_hex(spine.get_edgecolor()) for spine in ax.spines.values()})
        yield f"aspect {ax.get_aspect()} {ax.get_adjustable()}; spines {spines}"
        label = ax.xaxis.label
        style = f"{label.get_fontsize():g} {to_hex(label.get_color())} {label.get_ha()} math {label.get_parse_math()}"
        yield f"below {label.get_text()!r} {style}"
    else:
        yield f"box {rounded(ax._box_aspect / ax._box_aspect.max())}"
    for artist in ax.collections:
        if isinstance(artist, PathCollection):
            yield from points_of(artist)
    for line in ax.lines:
        at = line.get_data() if flat else line.get_data_3d()
        yield f"line {rounded(at)} {to_hex(line.get_color())} {line.get_linewidth()}"
    for text in ax.texts:
        yield from text_of(text)
    if ax.get_legend() is not None:
        yield from legend_of(ax.get_legend())
    for other in display.figure_.axes[1:]:
        yield from scale_of(other)
    yield f"drawn: {len(display.scatter_)} groups of points, labels {[t.get_text() for t in display.labels_]}"


def legend_of(legend):
    title = legend.get_title()
    style = f"{title.get_fontsize():g} framed {legend.get_frame_on()} math {title.get_parse_math()}"
    yield f"legend {title.get_text()!r} {style}"
    for text, mark in zip(legend.get_texts(), legend.legend_handles):
        name = f"{text.get_text()!r} {text.get_fontsize():g} math {text.get_parse_math()}"
        kind = f"{mark.get_marker()} {mark.get_markersize():g} {mark.get_linestyle()} {mark.get_linewidth():g}"
        yield f"  {name}: {to_hex(mark.get_color())} {kind}"


def scale_of(ax):
    bar, label = ax._colorbar, ax.yaxis.label
    yield f"scale {bar.extend} {rounded([bar.vmin, bar.vmax])}, {label.get_text()!r} {label.get_fontsize():g}"
    yield f"  math {label.get_parse_math()}, outline {bar.outline.get_visible()}, alpha {bar.solids.get_alpha()}"
    tick = ax.yaxis.get_major_ticks()[0]
    yield f"  aspect {ax.get_box_aspect():g}, ticks {tick.label1.get_fontsize():g} {to_hex(tick.tick2line.get_color())}"


def figure_of(name):
    make, options = CASES[name]
    display = make()
    flat = display.coordinates.shape[1] == 2
    figure = Figure(figsize=(6, 4.5), dpi=110)
    display.plot(figure.add_axes([0.1, 0.15, 0.7, 0.75], projection=None if flat else "3d"), **options)
    return "\n".join([f"=== {name}", *described(display), ""])


def estimated_widths(ax, texts, style):
    """As fonts differ from system to system."""
    return [text_width(text, style["fontsize"] * ax.figure.dpi / 72) for text in texts]


@pytest.mark.skipif(
    not matplotlib_version.startswith("3.11."), reason="kept with matplotlib 3.11, whose parts it names"
)
@pytest.mark.parametrize("name", CASES)
def test_figures_are_as_they_were(name, monkeypatch):
    monkeypatch.setattr(_display_plot, "_widths", estimated_widths)
    kept = KEPT.read_text(encoding="utf-8")
    start = kept.index(f"=== {name}\n")
    stop = kept.find("\n=== ", start)
    assert figure_of(name) == kept[start : None if stop < 0 else stop + 1]


if __name__ == "__main__":
    _display_plot._widths = estimated_widths
    KEPT.write_text("".join(map(figure_of, CASES)), encoding="utf-8")
