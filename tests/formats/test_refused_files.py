"""What is said of damaged files of each format: the kinds of messages that many small damages lead to.

PYTHONPATH=tests:tests/formats:. python tests/formats/test_refused_files.py   # after a change that is meant to be one
"""

import io
import json
import os
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_fuzz import FORMATS, NUMBERS, OPTIONS, TOKENS

from skembed.formats import FormatError, load_table

pytestmark = pytest.mark.skipif(
    "SKEMBED_LONG_TESTS" not in os.environ, reason="other versions say it in other words; SKEMBED_LONG_TESTS=1 runs it"
)
KEPT = Path(__file__).with_name("refused.json")
N_DAMAGES = 500
OF_OTHERS = re.compile(
    r"(zip data|zip archive|Unicode characters|schema at the end|in its pages|pickle|header): .*", re.DOTALL
)
FILES = [
    name for name in FORMATS if name not in ("parquet", "npz-compressed")
]  # pyarrow says what is wrong with parquet
OPTIONS_OF_EACH = [options for options in OPTIONS if options]


def damages(raw, seed):
    """The file cut short, longer, with a token or a number in another place, or with a piece left out."""
    rng = np.random.default_rng(seed)
    yield raw
    yield raw + b"\0"
    yield raw + raw
    for at in np.linspace(0, len(raw) - 1, 60).astype(int):
        yield raw[:at]
    for _ in range(N_DAMAGES):
        at = int(rng.integers(len(raw) if rng.random() < 0.5 else min(len(raw), 160)))
        n_left_out = int(rng.integers(1, 9))
        number = NUMBERS[rng.integers(len(NUMBERS))]
        put = [
            TOKENS[rng.integers(len(TOKENS))], b"", (number % (1 << 32)).to_bytes(4, "little"),
            (number % (1 << 64)).to_bytes(8, "little"),
        ][rng.integers(4)]  # fmt: skip
        yield raw[:at] + put + raw[at + (len(put) if len(put) in (4, 8) else n_left_out % 4) :]


def kind_of(message, name):
    """A message without what differs from file to file, or comes from other libraries."""
    message = message.replace(name, "FILE")
    message = OF_OTHERS.sub(r"\1", message)
    message = re.sub(r"'[^']*'|\"[^\"]*\"|\[[^]]*\]|\([^)]*\)", "<>", message)
    return re.sub(r"-?\d[\d.e+-]*|nan|inf", "N", message)[:90]


def damaged_files(name):
    """Damaged files of a format; of archives, with a damage inside of them."""
    raw = FORMATS[name]()
    if not name.startswith("npz"):
        yield from damages(raw, len(name))
        return
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    for member, content in members.items():
        for damaged in damages(content, len(member)):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as archive:
                for other, kept in members.items():
                    archive.writestr(other, damaged if other == member else kept)
            yield file.getvalue()


def refused(name, path):
    """All kinds of messages of a format."""
    said = set()
    for number, damaged in enumerate(damaged_files(name)):
        path.write_bytes(damaged)
        options = OPTIONS_OF_EACH[number % len(OPTIONS_OF_EACH)] if number % 2 else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load_table(path, **options)
        except FormatError as error:
            said.add(kind_of(str(error), str(path)))
        except (ValueError, TypeError, KeyError) as error:  # an option that the file has no use for
            said.add(type(error).__name__ + ": " + kind_of(str(error), str(path)))
    return sorted(said)


@pytest.mark.parametrize("name", FILES)
def test_what_is_said_of_damages(name, tmp_path):
    assert refused(name, tmp_path / "table") == json.loads(KEPT.read_text())[name]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {name: refused(name, Path(folder) / "table") for name in FILES}
    KEPT.write_text(json.dumps(found, indent=0) + "\n")
