"""The map of an EmbeddingDisplay as one page that needs no network: data, style and script in one file.

Arrays travel as base64 of gzip of their bytes, first the lowest byte of every number, then the next: row numbers below
16 million then cost little more than three bytes each. The page's own code lies in the folder ``page``.
"""

import base64
import gzip
import json
import os
from html import escape
from importlib.resources import files
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from skembed.atomic import replacing
from skembed.inspection._palette import NUMBER_COLORS, OTHER_COLOR, Field
from skembed.inspection.labels import key_text, shorten
from skembed.table.neighbors import METRICS, ExactIndex

_SCRIPTS = ("data.js", "points.js", "map.js", "panel.js")
_MAX_NEIGHBORS = 100
_LONGEST_KEY = 300  # characters: a document may be its own key
_STEPS = 65_535  # of a number held in two bytes
_FLOAT32_MOST = np.finfo(np.float32).max
_FLOAT32_INTEGERS = 2**24  # up to it float32 holds every integer, and the page shows integers as they are


def make_page(display: Any, *, title: str | None, n_neighbors: int, metric: Any) -> str:
    """The page as text; see `EmbeddingDisplay.to_html`."""
    if not isinstance(n_neighbors, Integral) or isinstance(n_neighbors, bool) or not 0 <= n_neighbors <= _MAX_NEIGHBORS:
        raise ValueError(f"n_neighbors must be an int from 0 to {_MAX_NEIGHBORS}, got {n_neighbors!r}.")
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(map(repr, METRICS))}, got {metric!r}.")
    title = "Map of embeddings" if title is None else str(title)
    n_neighbors = min(int(n_neighbors), len(display.table) - 1)
    data = {
        "title": title,
        "caption": display.caption,
        "n": len(display.table),
        "dim": display.coordinates.shape[1],
        "embeddingDim": display.table.embedding_dim,
        "keys": _packed_json([shorten(key_text(key), _LONGEST_KEY) for key in display.table.keys]),
        "coordinates": _packed(_in_steps(display.coordinates)),
        **_neighbors(display.table.vectors, n_neighbors, metric),
        "fields": [_field(field) for field in (display.fields or {}).values()],
        "color": list(display.fields or {}).index(display.color) if display.color else -1,
        "sizes": None if display.size is None else _packed(_sizes(display.fields[display.size])),
        "links": [{"name": name, "pairs": pairs} for name, pairs in (display.links or {}).items()],
        "labels": _packed(np.asarray(display.label_order, dtype=np.uint32))
        if display.n_labels or display.label_groups
        else None,
        "ramp": NUMBER_COLORS,
        "other": OTHER_COLOR,
    }
    page = files("skembed.inspection").joinpath("page")
    parts = {
        "title": escape(_printable(title)),
        "style": page.joinpath("page.css").read_text("utf-8"),
        # in a script nothing but "<" can end it or hide its end
        "data": json.dumps(data, default=_plain).replace("<", "\\u003c"),
        "script": "\n".join(page.joinpath(name).read_text("utf-8") for name in _SCRIPTS),
    }
    pieces = page.joinpath("page.html").read_text("utf-8").split("%%")  # text, name, text, name, ..., text
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def write_page(path: str | os.PathLike, html: str) -> None:
    """Write a page so that a reader sees the old file or the new one, never a part.

    Raises
    ------
    OSError
        If the folder is absent or cannot be written to; nothing is left behind.
    """
    with replacing(Path(path)) as file:
        file.write(html.encode("utf-8", errors="replace"))


def _packed(array: np.ndarray) -> str:
    """An array in C order as base64 of gzip of its bytes: the lowest byte of each number, then the next."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    planes = little.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T
    return _zipped(planes.tobytes())


def _packed_json(value: Any) -> str:
    return _zipped(json.dumps(value, separators=(",", ":")).encode("ascii"))


def _zipped(raw: bytes) -> str:
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")


def _in_steps(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates as uint16 with one scale for all axes, the middle of each axis at the middle of the range."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    extent = (high - low).max() or 1.0
    return np.rint(((coordinates - (low + high) / 2) / extent + 0.5) * _STEPS).astype(np.uint16)


def _neighbors(vectors: np.ndarray, n_neighbors: int, metric: Any) -> dict[str, Any]:
    if n_neighbors < 1:
        return {"nNeighbors": 0}
    found = ExactIndex(vectors).search(vectors, n_neighbors, metric, own_rows=np.arange(len(vectors)))
    scores = np.clip(found.scores, -_FLOAT32_MOST, _FLOAT32_MOST).astype(np.float64)  # JSON has no infinity
    low, high = float(scores.min()), float(scores.max())
    steps = np.rint((scores - low) / ((high - low) or 1.0) * _STEPS)
    return {
        "nNeighbors": n_neighbors,
        "metric": metric,
        "neighbors": _packed(found.rows.astype(np.uint32)),
        "scores": _packed(steps.astype(np.uint16)),
        "scoreLow": low,
        "scoreHigh": high,
    }


def _field(field: Field) -> dict[str, Any]:
    if field.numbers is not None:
        low, high = field.limits()
        least, most = np.nanmin(field.numbers, initial=low), np.nanmax(field.numbers, initial=high)
        is_double = bool(max(-least, most) > _FLOAT32_INTEGERS)
        return {
            "name": field.name,
            "low": low,
            "high": high,
            "below": bool(least < low),
            "above": bool(most > high),
            "isDouble": is_double,
            "numbers": _packed(field.numbers.astype(np.float64 if is_double else np.float32)),
        }
    groups, group_of = field.groups()
    codes = np.where(field.codes < 0, len(field.categories), field.codes)
    return {
        "name": field.name,
        "groups": [
            {"name": key_text(group.name), "color": group.color, "shape": group.shape, "count": group.n_points}
            for group in groups
        ],
        "categories": [shorten(key_text(category), _LONGEST_KEY) for category in field.categories],
        "codes": _packed(codes.astype(np.uint32)),
        "groupOf": _packed(group_of.astype(np.uint8)),
    }


def _sizes(field: Field) -> np.ndarray:
    """Radii in steps of a 255th of the largest."""
    numbers = np.nan_to_num(field.numbers)
    return np.rint(255 * np.sqrt(numbers / (numbers.max() or 1.0))).astype(np.uint8)


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in a page")
