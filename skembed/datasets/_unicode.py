"""The named characters of Unicode as a table of categories, read from Python's own ``unicodedata``."""

import sys
import unicodedata
from importlib.util import find_spec

import numpy as np
from sklearn.utils import Bunch

# Characters whose name is only a rule and a number: they would be three quarters of the rows and teach nothing.
_RULED_NAMES = ("CJK UNIFIED IDEOGRAPH-", "HANGUL SYLLABLE ", "TANGUT IDEOGRAPH-")

_FEATURES = ["row", "script", "kind", "last_word", "width", "decomposition", "name_length"]

_DESCRIPTION = """The named characters of Unicode {version}: {rows:,} rows, {columns} columns, {classes} classes.

One row is one character of Python's `unicodedata`. Ideographs and Hangul syllables whose names follow from their
number are left out. What is to be guessed is the general category ("Lu" upper-case letter, "Ll" lower-case letter,
"Mn" combining mark, "Sm" mathematical symbol ...).

row            the row of 256 code points the character stands in, "U+04xx"; neighbours often share a script
script         the first word of the name, mostly the script: "LATIN", "CYRILLIC", "EGYPTIAN"
kind           the second word of the name: "LETTER", "SMALL", "SIGN", "VOWEL"; "" if there is none
last_word      the last word of the name: high cardinality, most levels are rare
width          East Asian width: "N", "W", "A", "H", "Na", "F"
decomposition  how it decomposes: "none", "canonical", "font", "circle" ...
name_length    characters in the name, the one numeric column

The combining class, the direction of writing and the mirrored flag are left out: each all but states the answer for
the characters it concerns.
Rows and counts follow the Unicode version of the running Python: {version} here.
"""


def load_unicode(*, return_X_y=False, as_frame="auto"):
    """Load the named characters of Unicode, to be classified by general category.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool or "auto", default="auto"
        Whether ``data`` is a pandas DataFrame. ``"auto"``: if pandas is installed.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        ``data``: DataFrame or object array of shape (n_samples, 7). ``target``: array of str of shape (n_samples,), the
        general category, some 26 classes, a few of them with a single member. ``feature_names``: list of str.
        ``target_names``: the classes, sorted. ``characters``: array of str of shape (n_samples,), the characters
        themselves. ``DESCR``: what the columns mean, and the Unicode version.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ValueError
        If ``as_frame`` is none of True, False and "auto".
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Notes
    -----
    Everything is read from :mod:`unicodedata`, so that the rows differ between versions of Python; ``DESCR`` names the
    Unicode version. There are some 35,000.

    Examples
    --------
    >>> from skembed.datasets import load_unicode
    >>> unicode = load_unicode(as_frame=False)
    >>> row = unicode.characters.tolist().index("é")
    >>> unicode.data[row].tolist()
    ['U+00xx', 'LATIN', 'SMALL', 'ACUTE', 'A', 'canonical', 31]
    >>> str(unicode.target[row])
    'Ll'
    """
    as_frame = _resolve_as_frame(as_frame)
    rows, target, characters = [], [], []
    for character in map(chr, range(sys.maxunicode + 1)):
        name = unicodedata.name(character, "")
        if name and not name.startswith(_RULED_NAMES):
            rows.append(_describe(character, name))
            target.append(unicodedata.category(character))
            characters.append(character)

    data = np.empty((len(rows), len(_FEATURES)), dtype=object)
    data[:] = rows
    if as_frame:
        import pandas as pd

        data = pd.DataFrame({name: data[:, j].tolist() for j, name in enumerate(_FEATURES)})
    y = np.array(target)
    if return_X_y:
        return data, y
    classes = np.unique(y)
    description = _DESCRIPTION.format(
        version=unicodedata.unidata_version, rows=len(rows), columns=len(_FEATURES), classes=len(classes)
    )
    return Bunch(
        data=data,
        target=y,
        feature_names=list(_FEATURES),
        target_names=classes.tolist(),
        characters=np.array(characters),
        DESCR=description,
    )


def _resolve_as_frame(as_frame):
    installed = find_spec("pandas") is not None
    if isinstance(as_frame, str) and as_frame == "auto":
        return installed
    if not isinstance(as_frame, bool):
        raise ValueError(f'as_frame={as_frame!r}: expected True, False or "auto".')
    if as_frame and not installed:
        raise ImportError('as_frame=True needs pandas: pip install "skembed[dataframe]", or give as_frame=False.')
    return as_frame


def _describe(character, name):
    code_point = ord(character)
    # "CJK COMPATIBILITY IDEOGRAPH-F900": the number says nothing beyond the row
    words = name.removesuffix(f"-{code_point:X}").split()
    decomposition = unicodedata.decomposition(character)
    if decomposition.startswith("<"):
        decomposition = decomposition[1:].split(">")[0]
    elif decomposition:
        decomposition = "canonical"
    return (
        f"U+{code_point >> 8:02X}xx",
        words[0],
        words[1] if len(words) > 1 else "",
        words[-1],
        unicodedata.east_asian_width(character),
        decomposition or "none",
        len(name),
    )
