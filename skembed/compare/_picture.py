"""Pictures as inline SVG: the scores with their spread, and the map of a column's levels.

Colours that depend on light and dark are classes of the page's style sheet; all text is escaped here.
"""

from dataclasses import dataclass
from html import escape

import numpy as np

from skembed.compare._advice import best_row
from skembed.inspection.labels import place_labels, shorten, text_width

ENCODER_COLOURS = {"onehot": "#5b8def", "target": "#e8963c", "entity": "#c9509c", "ordinal": "#4aa587"}
_CLASS_COLOURS = ("#4f8bf0", "#ee8434", "#35a574", "#d9508a", "#9a6ae0", "#c2a02e", "#39a9c4", "#b5704c")
_OTHER = "#8d939c"
_RAMP = ("#3d7be8", "#8a63dd", "#cf5299", "#f0803f", "#eebb3a")  # legible on white and on black

_CHART_WIDTH, _LABEL_WIDTH, _VALUE_WIDTH = 860, 150, 150
_ROW_HEIGHT, _GROUP_GAP = 26, 16
_MAP_WIDTH, _MAP_HEIGHT, _MAP_MIN_HEIGHT, _MAP_MARGIN = 860, 560, 240, 34
_INKED = 0.25  # share of the frame that the points would cover side by side
_MAX_STRETCH = 10.0  # a flat second axis may be drawn this much larger than the first


def score_chart(rows, metric):
    """Mean, spread and folds of every pipeline, one line each, grouped by learner.

    Returns
    -------
    svg : str
    """
    ticks, to_x, low = _score_axis(rows)
    best, parts, y, previous = best_row(rows), [], 14.0, None
    for row in rows:
        if row.learner != previous:
            y += _GROUP_GAP if previous is not None else 0
            parts.append(f'<text x="0" y="{y + 4:.1f}" class="strong">{escape(row.learner)}</text>')
            previous = row.learner
        parts.append(f'<text x="{_LABEL_WIDTH - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(row.encoder)}</text>')
        parts.append(_score_line(row, y, to_x, low, row is best))
        y += _ROW_HEIGHT
    bottom = y - _ROW_HEIGHT / 2 + 6
    grid = "".join(
        f'<line x1="{to_x(t):.1f}" x2="{to_x(t):.1f}" y1="0" y2="{bottom:.1f}" class="grid"/>'
        f'<text x="{to_x(t):.1f}" y="{bottom + 17:.1f}" text-anchor="middle" class="faint">{text}</text>'
        for t, text in ticks
    )
    middle = (to_x.left + to_x.right) / 2
    title = f'<text x="{middle:.0f}" y="{bottom + 37:.1f}" text-anchor="middle" class="faint">{escape(metric)}</text>'
    return _svg(_CHART_WIDTH, bottom + 44, f"{metric} of every pipeline", grid + "".join(parts) + title)


def _score_line(row, y, to_x, low, is_best):
    if not row.scores:
        why = escape(shorten(row.skipped, 90))
        return f'<text x="{_LABEL_WIDTH + 2}" y="{y + 4:.1f}" class="faint">\u2013 {why}</text>'
    colour = ENCODER_COLOURS.get(row.encoder, _OTHER)
    value = f"{row.mean:.3f} \u00b1 {row.spread:.3f}"
    if row.mean < low:
        mark = f'<text x="{to_x.left:.1f}" y="{y + 4:.1f}" fill="{colour}">\u25c2</text>'  # off the axis
    else:
        ends = (to_x(max(low, row.mean - row.spread)), to_x(row.mean + row.spread))
        folds = "".join(
            f'<circle cx="{to_x(s):.1f}" cy="{y:.1f}" r="2.6" opacity=".45"/>' for s in row.scores if s >= low
        )
        mark = (
            f'<g fill="{colour}" stroke="none"><line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="{colour}" stroke-width="2.5" stroke-linecap="round" opacity=".55"/>{folds}'
            f'<circle cx="{to_x(row.mean):.1f}" cy="{y:.1f}" r="5.5" class="ring"/></g>'
        )
    folds = ", ".join(f"{s:.4f}" for s in row.scores)
    title = f"<title>{escape(f'{row.encoder} with {row.learner}: {value} (folds {folds})')}</title>"
    weight = ' class="strong"' if is_best else ""
    return f'<g>{title}{mark}<text x="{_CHART_WIDTH}" y="{y + 4:.1f}" text-anchor="end"{weight}>{value}</text></g>'


class _Axis:
    def __init__(self, low, high, left, right):
        self.low, self.scale, self.left, self.right = low, (right - left) / (high - low), left, right

    def __call__(self, value):
        return self.left + (value - self.low) * self.scale


def _score_axis(rows):
    """Ticks with their texts, the axis, and the least score on it: a hopeless pipeline must not squeeze the others."""
    means = [row.mean for row in rows if row.scores]
    scores = [s for row in rows for s in row.scores]
    scores += [row.mean + sign * row.spread for row in rows if row.scores for sign in (-1, 1)]
    high = max(scores)
    low = max(min(scores), max(means) - 0.6)
    low, high = (low, high) if high - low > 1e-3 else (low - 5e-4, high + 5e-4)
    pad = 0.04 * (high - low)
    low, high = low - pad, high + pad
    step = _nice_step((high - low) / 5)
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    values = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    ticks = [(float(v), f"{v + 0.0:.{digits}f}") for v in values]
    return ticks, _Axis(low, high, _LABEL_WIDTH, _CHART_WIDTH - _VALUE_WIDTH), low


def _nice_step(rough):
    power = 10 ** np.floor(np.log10(rough))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9)))


def level_picture(level_map):
    """The levels of one column as points: size by rows, colour by target, labels for the most frequent.

    Returns
    -------
    svg : str
    stretch : float
        Of the second axis over the first, 1 where both have one scale.
    """
    layout = _lay_out(level_map)
    points, radii, height = layout.points, layout.radii, layout.height
    colours, legend = _map_colours(level_map, height + 22)
    texts = [shorten("missing" if key is None else key) for key in level_map.keys]
    circles = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{colours[j]}"><title>{escape(_tooltip(level_map, j))}'
        "</title></circle>"
        for j, ((x, y), r) in reversed(list(enumerate(zip(points, radii))))  # rare on top: they are small
    )
    placed = place_labels(points, radii, texts, width=_MAP_WIDTH, height=height)
    labels = "".join(f'<text x="{x:.1f}" y="{y:.1f}">{escape(texts[j])}</text>' for j, x, y in placed)
    body = f'<g class="points">{circles}</g><g class="labels">{labels}</g>{legend}'
    return _svg(_MAP_WIDTH, height + 34, f"Map of the levels of {level_map.column}", body), layout.stretch


@dataclass
class _Layout:
    """Where the points of a map go: `points` of shape (n_levels, 2) and `radii`, in units of the picture."""

    points: np.ndarray
    radii: np.ndarray
    height: float
    stretch: float  # of the second axis over the first


def _lay_out(level_map):
    xy = level_map.xy
    low, high = xy.min(axis=0), xy.max(axis=0)
    extent = np.where(high - low > 0, high - low, 1.0)
    room = np.array([_MAP_WIDTH, _MAP_HEIGHT]) - 2 * _MAP_MARGIN
    scale = np.minimum(room / extent, (room / extent).min() * np.array([1.0, _MAX_STRETCH]))
    height = max(_MAP_MIN_HEIGHT, scale[1] * extent[1] + 2 * _MAP_MARGIN)
    middle = np.array([_MAP_WIDTH, height]) / 2
    share = level_map.counts / level_map.counts.max()
    largest = np.clip(np.sqrt(_INKED * _MAP_WIDTH * height / (np.pi * share.sum())), 3.5, 11.5)
    return _Layout(
        points=middle + (xy - (low + high) / 2) * scale * [1, -1],
        radii=np.maximum(2.6, largest * np.sqrt(share)),
        height=float(height),
        stretch=float(scale[1] / scale[0]),
    )


def _map_colours(level_map, y):
    if level_map.task == "multiclass":
        return _class_colours(level_map, y)
    values = level_map.values
    order = np.argsort(values)
    share = np.cumsum(level_map.counts[order]) / level_map.counts.sum()
    low, high = (values[order][np.searchsorted(share, q)] for q in (0.02, 0.98))  # a rare outlier takes no colour
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(len(values), 0.5)
    legend = _ramp_legend(_number(low), _number(high), _meaning(level_map), y)
    return [_ramp(v) for v in scaled], legend


def _class_colours(level_map, y):
    classes = level_map.values.astype(int)
    rows = np.bincount(classes, weights=level_map.counts, minlength=len(level_map.classes))
    shown = [c for c in np.argsort(-rows, kind="stable")[: len(_CLASS_COLOURS)] if rows[c]]
    colour_of = dict(zip(shown, _CLASS_COLOURS))
    entries = [(shorten(level_map.classes[c], 16), colour_of[c]) for c in shown]
    if np.count_nonzero(rows) > len(shown):
        entries.append(("other", _OTHER))
    x, parts = 2.0, []
    for text, colour in entries:
        if x + 16 + text_width(text, 12) > _MAP_WIDTH:
            break
        parts.append(f'<circle cx="{x + 5:.1f}" cy="{y - 4:.1f}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15:.1f}" y="{y:.1f}">{escape(text)}</text>')
        x += 15 + text_width(text, 12) + 18
    return [colour_of.get(c, _OTHER) for c in classes], f'<g class="legend">{"".join(parts)}</g>'


def _ramp_legend(low, high, meaning, y):
    stops = "".join(f'<stop offset="{j / (len(_RAMP) - 1):.2f}" stop-color="{c}"/>' for j, c in enumerate(_RAMP))
    start = 8 + text_width(low, 12)
    after = start + 168
    return (
        f'<g class="legend"><defs><linearGradient id="ramp">{stops}</linearGradient></defs>'
        f'<text x="{start - 8:.1f}" y="{y:.1f}" text-anchor="end">{low}</text>'
        f'<rect x="{start:.1f}" y="{y - 10:.1f}" width="160" height="11" rx="3" fill="url(#ramp)"/>'
        f'<text x="{after:.1f}" y="{y:.1f}">{high}'
        f'<tspan dx="14" class="faint">{escape(meaning)}</tspan></text></g>'
    )


def _ramp(value):
    place = value * (len(_RAMP) - 1)
    j = min(int(place), len(_RAMP) - 2)
    a, b = ([int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in (_RAMP[j], _RAMP[j + 1]))
    return "#" + "".join(f"{round(p + (q - p) * (place - j)):02x}" for p, q in zip(a, b))


def _meaning(level_map):
    if level_map.task == "regression":
        return "mean of the target"
    return f'share of "{shorten(level_map.classes[1], 40)}"'


def _tooltip(level_map, j):
    key = "missing" if level_map.keys[j] is None else level_map.keys[j]
    value = level_map.values[j]
    if level_map.task == "multiclass":
        says = f'mostly "{level_map.classes[int(value)]}"'
    elif level_map.task == "binary":
        says = f'{100 * value:.1f} % "{level_map.classes[1]}"'
    else:
        says = f"mean {_number(value)}"
    n = level_map.counts[j]
    return f"{key}: {n:,} row{'s' if n != 1 else ''}, {says}"


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _svg(width, height, label, body):
    return f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(label)}">{body}</svg>'
