"""The table of docs/persistence.md: how each example is kept, and what it was opened by.

    python tests/persistence_table.py

writes it anew, with sizes; tests/test_running.py fails where the page shows anything else. Sizes are of larger fits;
no test compares them.
"""

import io
import pickle
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from estimators import (
    BASKETS,
    CASES,
    EXAMPLES,
    FRAME,
    LINKS,
    PICTURES,
    TEXTS,
    WORDS,
    Example,
    in_new_process,
    tables,
)

import skembed
from skembed.table.subwords import Subwords

BEGIN, END = "<!-- estimators: made by tests/persistence_table.py -->\n", "<!-- end of estimators -->\n"
HEAD = (
    "| estimator | `partial_fit` | `skembed.save` | skops | opens without torch and numba "
    "| bytes of its tables | pickle |\n"
    "|---|---|---|---|---|---|---|\n"
)
SIZES = re.compile(r"^\| (\S+) \|.*\| ([\d,]* \| [\d,]*) \|$", re.MULTILINE)

# opens each way in a process that has neither, and says whether the answers are those of the estimator that was kept
OPEN = """
class Missing:
    def find_spec(name, *_):
        if name.split(".")[0] in ("torch", "numba"):
            raise ImportError(f"there is no {name}")
sys.meta_path.insert(0, Missing)  # None in sys.modules would stop scipy, which looks there
import pickle, skembed
from estimators import EXAMPLES
folder, names, found = FOLDER, NAMES, {}
for name, expected in names.items():
    found[name] = {}
    for way in ("pickle", "save"):
        try:
            with open(f"{folder}/{name}.{way}", "rb") as file:
                again = pickle.load(file) if way == "pickle" else skembed.load(file.name)
            found[name][way] = "same" if EXAMPLES[name].answers(again) == expected else "other answers"
        except Exception as error:
            found[name][way] = repr(error)
assert "torch" not in sys.modules and "numba" not in sys.modules
print(json.dumps(found))
"""


@dataclass
class KeptExample:
    """What became of a fitted example.

    Attributes
    ----------
    partial_fit, saved, by_skops : bool
        Whether it learned on; whether what `skembed.save` and skops wrote gave the same answers.
    opened : dict of str to str
        For "pickle" and "save": "same", or what was wrong in a process without torch and numba.
    """

    partial_fit: bool
    saved: bool
    by_skops: bool
    opened: dict[str, str] = field(default_factory=dict)

    @classmethod
    def all_of(cls, fitted: dict[str, Any], folder: Path) -> "dict[str, KeptExample]":
        """Keep each example in a folder, and open it again."""
        kept, answers = {}, {}
        for name, estimator in fitted.items():
            example = EXAMPLES[name]
            answers[name] = example.answers(estimator)
            (folder / f"{name}.pickle").write_bytes(pickle.dumps(estimator))
            skembed.save(estimator, folder / f"{name}.save")
            again = skembed.load(folder / f"{name}.save")
            saved = example.answers(again) == answers[name]
            by_skops = _by_skops(estimator, example) == answers[name]
            kept[name] = cls(learns_on(example, again), saved, by_skops)
        for name, opened in in_new_process(
            OPEN.replace("FOLDER", repr(str(folder))).replace("NAMES", repr(answers))
        ).items():
            kept[name].opened = opened
        return kept

    def cells(self) -> list[str]:
        without = all(way == "same" for way in self.opened.values())
        return ["yes" if value else "no" for value in (self.partial_fit, self.saved, self.by_skops, without)]


def _by_skops(estimator: Any, example: Example) -> str | None:
    try:
        import skops.io
    except ImportError:
        return None
    written = skops.io.dumps(estimator)
    return example.answers(skops.io.loads(written, trusted=skembed.trusted_types()))


def learns_on(example: Example, estimator: Any) -> bool:
    """Whether `partial_fit` is there, and takes further rows."""
    if not hasattr(estimator, "partial_fit"):
        return False
    estimator.partial_fit(*example.further)
    return True


def table_of(kept: dict[str, KeptExample], page: str = "") -> str:
    """The table, with the sizes that a page has already."""
    sizes = dict(SIZES.findall(page))
    return HEAD + "".join(
        f"| {name} | {' | '.join(one.cells())} | {sizes.get(name, ' | ')} |\n" for name, one in kept.items()
    )


def page_with(page: str, table: str) -> str:
    """The page with this table in the place of its own."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


# ------------------------------------------------------------------------------------------------------------ sizes


def sizes_of(example: Example) -> str:
    """Bytes of the tables and of the pickle of a larger fit: 5,000 words, 2,000 levels, items or nodes, 50 wide."""
    rng = np.random.default_rng(0)
    X, *y = example.data
    repeats, estimator = 50, example.new()
    words = np.array([f"w{i:04d}" for i in range(5_000)])
    if isinstance(estimator, skembed.PretrainedVectorizer):
        keys = [*dict.fromkeys(WORDS), *words]
        vectors = rng.normal(size=(len(keys), 50))
        source = skembed.EmbeddingTable(keys, vectors)
        if isinstance(estimator.source, skembed.SubwordTable):
            source = skembed.SubwordTable(keys, vectors, Subwords(vectors[:2_000], min_n=3, max_n=5, n_buckets=2_000))
        estimator.set_params(source=source)
        many = X
    elif X is TEXTS:
        many = [" ".join(rng.choice(words, 60)) for _ in range(len(TEXTS) * 10)]
        y = [list(labels) * 10 for labels in y]
    elif X is BASKETS:
        many = [[f"i{i:04d}" for i in set(rng.integers(2_000, size=20).tolist())] for _ in range(4_000)]
    elif X is CASES:
        many, y = np.tile(CASES, (repeats, 1)), [list(values) * repeats for values in y]
        many[:, 0] = [[f"s{i:04d}" for i in rng.integers(2_000, size=len(row))] for row in many[:, 0]]
    elif X is LINKS:
        half = np.triu(rng.random((2_000, 2_000)) < 0.005, 1)
        many = (half | half.T).astype(float)
    elif X is PICTURES:
        many = X
    elif isinstance(X, np.ndarray):
        many, y = rng.normal(size=(len(X) * repeats, 300)), [list(classes) * repeats for classes in y]
    else:
        many = pd.concat([X] * repeats, ignore_index=True)
        many["city"] = [f"c{i:04d}" for i in rng.integers(2_000, size=len(many))]
        y = [np.tile(np.asarray(values), repeats) for values in y]
    parameters = estimator.get_params()
    if "embedding_dim" in parameters and parameters.get("method") != "lda" and X is not FRAME:
        estimator.set_params(embedding_dim=50)
    getattr(estimator, example.begins)(many, *y)
    n_bytes = sum(table.vectors.nbytes for table in tables(estimator))
    return f"{n_bytes:,} | {len(pickle.dumps(estimator)):,}"


if __name__ == "__main__":
    import tempfile

    warnings.simplefilter("ignore")
    path = Path(__file__).parents[1] / "docs" / "persistence.md"
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptExample.all_of({name: example.fit() for name, example in EXAMPLES.items()}, Path(folder))
    sizes = io.StringIO()
    for name, example in EXAMPLES.items():
        print(f"| {name} | | {sizes_of(example)} |", file=sizes)
    page = path.read_text(encoding="utf-8")
    path.write_text(page_with(page, table_of(kept, sizes.getvalue())), encoding="utf-8")
