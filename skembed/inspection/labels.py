"""Keys as text, and labels beside points so that none covers another."""

import unicodedata

import numpy as np

# Widths of characters in a sans-serif font, in ems; a little generous, as the reader's font is not known.
_NARROW = dict.fromkeys("iljtfI.,:;|!'()[]/\\ -`\"", 0.36)
_WIDE = dict.fromkeys("mwMW@%\u2014\u2026", 0.95)
_MOST_CELLS = 8  # along an edge: more regions than these have no room for a label each


def text_width(text, size):
    """Width of a text in units of `size`, an estimate from above."""
    ems = 0.0
    for character in text:
        if character in _NARROW:
            ems += _NARROW[character]
        elif character in _WIDE:
            ems += _WIDE[character]
        elif ord(character) >= 0x1100:
            ems += 1.05  # East Asian letters and pictographs are as wide as high
        else:
            ems += 0.74 if character.isupper() else 0.64
    return ems * size


def key_text(key):
    """A key as it stands in a picture: one line, without characters that no font has."""
    if key is None:
        return "missing"
    text = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and not c.isspace() else c for c in str(key))
    return " ".join(text.split()) or "(blank)"


def label_order(coordinates, importance=None):
    """Points in the order in which they should get a label: the most important of every region, then the next.

    Parameters
    ----------
    coordinates : float array of shape (n_points, dim)
    importance : float array of shape (n_points,), default=None
        None: the first point is the most important one.

    Returns
    -------
    order : int64 array of shape (n_points,)
    """
    n = len(coordinates)
    by_importance = np.arange(n) if importance is None else np.argsort(-np.asarray(importance), kind="stable")
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    n_cells = int(np.clip(np.sqrt(n / 4), 2, _MOST_CELLS))
    cells = ((coordinates - low) / np.where(high > low, high - low, 1) * n_cells).clip(0, n_cells - 1).astype(np.int64)
    region = (cells[:, :2] * [1, n_cells]).sum(axis=1)[by_importance]
    # how many more important points there are in the region of each
    grouped = np.argsort(region, kind="stable")
    firsts = np.searchsorted(region[grouped], region[grouped])
    rank = np.empty(n, dtype=np.int64)
    rank[grouped] = np.arange(n) - firsts
    return by_importance[np.argsort(rank, kind="stable")]


def shorten(text, n_max=26):
    text = " ".join(str(text).split())
    return text if len(text) <= n_max else text[: n_max - 1].rstrip() + "\u2026"


def place_labels(points, radii, texts, *, width, height, size=11, n_max=45, n_marks=None, widths=None, taken=()):
    """Find a free place beside each point, in the order given; points without one stay unlabelled.

    Parameters
    ----------
    points : array of shape (n_points, 2)
    radii : array of shape (n_points,)
    texts : list of str
        Most important first.
    width, height : float
        Of the picture: labels lie inside it.
    size : float
        Of the font.
    n_max : int
        At most this many labels.
    n_marks : int, default=None
        No label covers one of so many points; None: of the first `n_max`.
    widths : sequence of float, default=None
        Of the texts; None: estimated.
    taken : sequence of (left, top, right, bottom)
        Boxes that no label may cover.

    Returns
    -------
    labels : list of (int, float, float)
        Index of the point, and left end and baseline of its label.
    """
    taken = list(taken)  # and then the boxes of labels
    labels: list[tuple] = []
    n_marks = n_max if n_marks is None else n_marks
    # large points must stay visible: a label may cover small ones, never these
    marks = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(points[:n_marks], radii[:n_marks])]
    for j, text in enumerate(texts):
        if len(labels) >= n_max:
            break
        (x, y), r = points[j], radii[j]
        w = text_width(text, size) if widths is None else widths[j]
        gap = r + 3
        for left, baseline in (
            (x + gap, y + 0.35 * size),
            (x - gap - w, y + 0.35 * size),
            (x - w / 2, y - gap),
            (x - w / 2, y + gap + 0.8 * size),
            (x + 0.7 * gap, y - 0.7 * gap),
            (x + 0.7 * gap, y + 0.7 * gap + 0.7 * size),
            (x - 0.7 * gap - w, y - 0.7 * gap),
            (x - 0.7 * gap - w, y + 0.7 * gap + 0.7 * size),
        ):
            box = (left - 2, baseline - 0.85 * size, left + w + 2, baseline + 0.3 * size)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            others = (mark for i, mark in enumerate(marks) if i != j)
            if inside and not any(_overlap(box, other) for other in (*taken, *others)):
                taken.append(box)
                labels.append((j, left, baseline))
                break
    return labels


def _overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
