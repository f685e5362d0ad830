"""The map of an EmbeddingDisplay drawn with matplotlib."""

import textwrap
from typing import Any

import numpy as np

from skembed.inspection._palette import CATEGORY_COLORS, OTHER_COLOR, Field
from skembed.inspection.labels import key_text, place_labels, shorten

_MARKERS = ("o", "^")
_INK, _FAINT = "#22252b", "#5f656e"
_LABEL_SIZE, _CAPTION_SIZE, _GROUP_SIZE = 8.5, 8, 11
_INKED = 0.12  # share of the axes that the points would cover side by side
_LARGEST, _SMALLEST = 60.0, 1.5  # area of a point, in points squared
_SOLID, _SEE_THROUGH = 0.9, 0.35
_MANY = 8_000  # points: from here on they overlap
_MAX_LEGEND_NAME = 24
_N_VISIBLE = 400  # points that no label covers: of so many, each can still be made out


def draw(display: Any, ax: Any, *, title, caption, legend, cmap, point_size, alpha) -> tuple:
    """Draw `display`; the axes, the figure, the collections of points and the labels."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('plot needs matplotlib: pip install "skembed[plot]".') from error
    flat = display.coordinates.shape[1] == 2
    if ax is None:
        figure = plt.figure(figsize=(8, 6), layout="constrained")
        ax = figure.add_subplot(projection=None if flat else "3d")
    elif not hasattr(ax, "get_window_extent"):
        raise TypeError(f"ax must be an Axes of matplotlib or None, got {type(ax).__name__}.")
    elif flat == (getattr(ax, "name", "") == "3d"):
        raise ValueError(
            f"ax must have the projection {'2d' if flat else '3d'} for {display.coordinates.shape[1]} dimensions; "
            "pass plt.figure().add_subplot(projection='3d') for three."
        )
    areas = _areas(display, ax, point_size)
    alpha = alpha if alpha is not None else (_SOLID if len(areas) < _MANY else _SEE_THROUGH)
    _frame(ax, display.coordinates, flat)
    scatter, handles = _draw_points(ax, display, areas, alpha, cmap)
    handles += _draw_links(ax, display, areas, flat)
    if title:
        ax.set_title(title, loc="left", fontsize=12, color=_INK)
    if caption and display.caption:
        _draw_caption(ax, display.caption, flat)
    if legend:
        _draw_legend(ax, display, scatter, handles)
    labels = _draw_labels(ax, display, areas, flat) if display.n_labels else []
    if display.label_groups and flat:
        labels += _name_groups(ax, display)
    return ax, ax.figure, scatter, labels


def _areas(display, ax, point_size):
    n = len(display.coordinates)
    width, height = ax.get_window_extent().size * 72 / ax.figure.dpi
    largest = float(np.clip(_INKED * width * height / n, _SMALLEST, _LARGEST)) if point_size is None else point_size
    if display.size is None:
        return np.full(n, largest)
    numbers = np.nan_to_num(display.fields[display.size].numbers)
    largest = largest * 4 if point_size is None else largest  # most are smaller than the largest
    return np.maximum(largest * numbers / (numbers.max() or 1.0), min(largest, 6 * _SMALLEST))


def _frame(ax, coordinates, flat):
    """No ticks: the axes of a map have no unit. Room at the edges, and one scale for all axes."""
    ax.margins(0.06)
    for axis in "xyz"[: coordinates.shape[1]]:
        getattr(ax, f"set_{axis}ticks")([])
    if flat:
        ax.set_aspect("equal", adjustable="datalim")
        for spine in ax.spines.values():
            spine.set_color("#d4d2cd")
    else:
        extent = np.ptp(coordinates, axis=0)
        ax.set_box_aspect(np.maximum(extent / (extent.max() or 1.0), 0.2))


def _draw_points(ax, display, areas, alpha, cmap):
    """One collection for each group of points, large points below small ones; and what the legend names."""
    columns, edges = display.coordinates.T, {"edgecolors": "white", "linewidths": 0.3 if len(areas) < _MANY else 0}
    many = {"rasterized": len(areas) > _MANY}  # a vector file of so many points is slow to open
    order = np.argsort(-areas, kind="stable")
    field = display.fields.get(display.color) if display.fields else None
    style = {"alpha": alpha, **edges, **many}
    if field is None:
        return [ax.scatter(*columns[:, order], s=areas[order], c=CATEGORY_COLORS[0], **style)], []
    if field.numbers is not None:
        return _draw_numbers(ax, columns, areas, order, field, cmap, style), []
    groups, group_of = field.groups()
    scatter, handles = [], []
    # the rest of the legend lies below the groups that have colours of their own
    for j in sorted(range(len(groups)), key=lambda j: (groups[j].color != OTHER_COLOR, j)):
        rows = order[group_of[order] == j]
        marker = _MARKERS[groups[j].shape]
        scatter.append(ax.scatter(*columns[:, rows], s=areas[rows], c=groups[j].color, marker=marker, **style))
    for group in groups:
        name = shorten(key_text(group.name), _MAX_LEGEND_NAME)
        mark = {"marker": _MARKERS[group.shape], "linestyle": "", "markersize": 6, "markeredgecolor": "none"}
        handles.append(_line(color=group.color, label=name, **mark))
    return scatter, handles


def _draw_numbers(ax, columns, areas, order, field: Field, cmap, style):
    absent = np.isnan(field.numbers[order])
    low, high = field.limits()
    rows, missing = order[~absent], order[absent]
    scatter = []
    if len(missing):
        scatter.append(ax.scatter(*columns[:, missing], s=areas[missing], c=OTHER_COLOR, **style))
    scatter.append(
        ax.scatter(*columns[:, rows], s=areas[rows], c=field.numbers[rows], cmap=cmap, vmin=low, vmax=high, **style)
    )
    return scatter


def _line(**style):
    from matplotlib.lines import Line2D

    return Line2D([], [], **style)


def _draw_links(ax, display, areas, flat):
    handles = []
    groups = display.links or {}
    for j, (name, pairs) in enumerate(groups.items()):
        # from the end of the palette, as points take from its start
        color = _INK if not name else ("#d55e00", "#0072b2", "#009e73", "#cc79a7")[j % 4]
        for a, b in pairs:
            start, end = display.coordinates[a], display.coordinates[b]
            if flat:
                shrink = [np.sqrt(areas[i] / np.pi) + 2 for i in (a, b)]
                arrow = {"arrowstyle": "-|>", "color": color, "lw": 1.3, "shrinkA": shrink[0], "shrinkB": shrink[1]}
                ax.annotate("", end, start, arrowprops=arrow, zorder=3)
            else:
                ax.plot(*zip(start, end), color=color, lw=1.3)
        if name:
            handles.append(_line(color=color, lw=1.6, label=shorten(key_text(name), _MAX_LEGEND_NAME)))
    return handles


def _draw_caption(ax, caption, flat):
    width = ax.get_window_extent().width * 72 / ax.figure.dpi
    lines = textwrap.wrap(caption, max(20, int(width / (0.53 * _CAPTION_SIZE))))
    if flat:
        ax.set_xlabel("\n".join(lines), fontsize=_CAPTION_SIZE, color=_FAINT, loc="left", parse_math=False)
    else:
        ax.text2D(0.0, -0.02, "\n".join(lines), transform=ax.transAxes, fontsize=_CAPTION_SIZE, color=_FAINT, va="top")


def _draw_legend(ax, display, scatter, handles):
    """The legend beside the map, or the scale of the numbers."""
    field = display.fields.get(display.color) if display.fields else None
    name = "" if field is None or field.name == "color" else shorten(key_text(field.name), _MAX_LEGEND_NAME)
    if field is not None and field.numbers is not None:
        low, high = field.limits()
        least, most = np.nanmin(field.numbers, initial=low), np.nanmax(field.numbers, initial=high)
        beyond = np.array([least < low, most > high])
        extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[tuple(beyond.astype(int))]
        bar = ax.figure.colorbar(scatter[-1], ax=ax, shrink=0.6, aspect=28, pad=0.02, extend=extend)
        bar.solids.set(alpha=1)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=_LABEL_SIZE, color=_FAINT)
        bar.set_label(name, fontsize=_LABEL_SIZE, parse_math=False)
    if not handles:
        return
    frame = {"fontsize": _LABEL_SIZE, "frameon": False, "borderaxespad": 0.0, "handletextpad": 0.3}
    legend = ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.015, 1), title=name or None, **frame)
    legend.set_title(name or None, prop={"size": _LABEL_SIZE})
    for text in [*legend.get_texts(), legend.get_title()]:
        text.set_parse_math(False)


def _draw_labels(ax, display, areas, flat):
    """Labels beside their points where there is room, inside the axes; they move with the points."""
    from matplotlib import patheffects

    figure = ax.figure
    figure.draw_without_rendering()  # settles the layout: what comes is measured in pixels
    scale = figure.dpi / 72
    frame = ax.get_window_extent()
    order = np.asarray(display.label_order, dtype=np.int64)[: 20 * display.n_labels + 200]
    flattened = _flattener(ax, display.coordinates[order])
    pixels = ax.transData.transform(flattened())

    def from_upper_left(at):
        return (at - [frame.x0, frame.y0]) * [1, -1] + [0, frame.height]

    points = from_upper_left(pixels)
    radii = np.sqrt(areas[order] / np.pi) * scale
    texts = [shorten(key_text(display.table.keys[i])) for i in order.tolist()]
    halo = [patheffects.withStroke(linewidth=2.2, foreground="white", alpha=0.9)]
    style = {"fontsize": _LABEL_SIZE, "color": _INK, "path_effects": halo, "parse_math": False, "zorder": 4}
    widths = _widths(ax, texts, style)
    everywhere = _flattener(ax, display.coordinates)
    taken: list[tuple] = []
    for pair in (pair for pairs in (display.links or {}).values() for pair in pairs):
        start, end = from_upper_left(ax.transData.transform(everywhere()[list(pair)]))
        taken += _along(start, end, 4 * scale)
    placed = place_labels(
        points, radii, texts, width=frame.width, height=frame.height, size=_LABEL_SIZE * scale,
        n_max=display.n_labels, n_marks=_N_VISIBLE, widths=widths, taken=taken,
    )  # fmt: skip
    labels, at = [], flattened()
    for j, left, baseline in placed:
        offset = np.array([left - points[j][0], points[j][1] - baseline]) / scale
        labels.append(ax.annotate(texts[j], at[j], offset, textcoords="offset points", annotation_clip=True, **style))
    if not flat:
        _follow_turns(ax, labels, [j for j, _, _ in placed], flattened)
    return labels


def _along(start, end, step):
    """Small boxes along a line, so that no label hides it, but for its ends, which lie under their points."""
    n = int(np.hypot(*(end - start)) / step)
    middles = start + (end - start) * np.linspace(0, 1, n + 1)[2:-2, None]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in middles]


def _name_groups(ax, display):
    """The names of the categories, each at the median of its points."""
    field = display.fields.get(display.color) if display.color else None
    if field is None or field.codes is None:
        return []
    from matplotlib import patheffects

    groups, group_of = field.groups()
    halo = [patheffects.withStroke(linewidth=3, foreground="white", alpha=0.9)]
    style = {"fontsize": _GROUP_SIZE, "fontweight": "bold", "color": _INK, "path_effects": halo, "parse_math": False}
    labels = []
    for j, group in enumerate(groups):
        if group.color != OTHER_COLOR:
            middle = np.median(display.coordinates[group_of == j], axis=0)
            name = shorten(key_text(group.name), _MAX_LEGEND_NAME)
            labels.append(ax.text(*middle, name, ha="center", va="center", zorder=4, **style))
    return labels


def _flattener(ax, coordinates):
    """A function that gives the points in the plane of the axes, as they are seen now."""
    if coordinates.shape[1] == 2:
        return lambda: coordinates
    from mpl_toolkits.mplot3d import proj3d

    return lambda: np.column_stack(proj3d.proj_transform(*coordinates.T, ax.get_proj())[:2])


def _follow_turns(ax, labels, rows, flattened):
    """Move the labels along when the axes are turned by hand."""

    def move(_):
        at = flattened()
        for label, row in zip(labels, rows):
            label.xy = at[row]

    ax.figure.canvas.mpl_connect("motion_notify_event", move)


def _widths(ax, texts, style):
    """Widths of texts in pixels, as the figure's own renderer has them."""
    probe = ax.text(0, 0, "", **{key: style[key] for key in ("fontsize", "parse_math")}) if ax.name != "3d" else None
    probe = probe or ax.text2D(0, 0, "", fontsize=style["fontsize"], parse_math=False)
    widths = []
    for text in texts:
        probe.set_text(text)
        widths.append(probe.get_window_extent().width)
    probe.remove()
    return widths
