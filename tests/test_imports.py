"""Imports: who imports whom, and what is not imported until it is needed."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import skembed

ROOT = Path(skembed.__file__).parent
ESTIMATORS = {"anomaly", "categorical", "graph", "image", "interactions", "pairs", "projection", "sequence", "text"}
# the packages and modules of skembed, and which others each may import
ALLOWED = {
    "memory": set(),
    "atomic": set(),
    "state": set(),
    "ranking": set(),
    "threads": set(),
    "forks": set(),
    "data": {"memory", "atomic", "state"},
    "table": {"data", "memory", "state", "formats"},  # formats on the way to and from files alone, see below
    "kernels": set(),
    "parallel": {"kernels", "data"},
    "training": {"kernels", "parallel", "data", "memory", "state", "ranking", "threads", "forks"},
    "apply": {
        "data",
        "table",
        "state",
        "ranking",
        "memory",
        "kernels",
        "threads",
        "forks",
    },  # kernels under models that run, see below
    "formats": {"table", "data", "kernels", "memory", "atomic"},
    "inspection": {"table", "data", "memory", "atomic"},
    "base": {"data", "table", "training", "memory"},
    **{
        name: {
            "base",
            "training",
            "apply",
            "kernels",
            "parallel",
            "data",
            "table",
            "memory",
            "atomic",
            "state",
            "ranking",
            "threads",
        }
        for name in sorted(ESTIMATORS)
    },
    "text": {
        "base",
        "training",
        "apply",
        "kernels",
        "parallel",
        "data",
        "table",
        "memory",
        "atomic",
        "state",
        "formats",
    },
    "persistence": {*ESTIMATORS, "formats", "table", "data", "state"},
    "datasets": set(),
    "testing": {"table", "data"},
    "compare": {*ESTIMATORS, "inspection", "datasets", "data", "table", "base", "formats", "memory", "atomic"},
    "__main__": {"compare"},
    "__init__": {*ESTIMATORS, "inspection", "table", "compare", "datasets", "formats", "testing", "persistence"},
}
ALLOWED = {name: {*others, "warning"} for name, others in ALLOWED.items()} | {"warning": set()}  # of any line
# what alone may import torch, numba and the containers of tables (which need not be installed)
TORCH = (
    "training/nets/",
    "apply/nets/",
    "testing/",  # looks whether global states were left alone
    "table/torch_module.py",  # to_torch
)
NUMBA = ("kernels/", "testing/")
CONTAINERS = (
    "data/",
    "compare/",
    "datasets/",
    "testing/",
    "formats/_parquet.py",  # a file format of its own
    "table/embedding_table.py",  # to_frame
)
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil"}  # numba's decorators that compile


class Reference(NamedTuple):
    """A module, or a name in one, that a file imports, names or looks for among the loaded modules."""

    line: int
    name: str  # in full, as skembed.table.queries
    in_function: bool = False
    relative: bool = False


@cache
def references(source: str) -> tuple[Reference, ...]:
    """Return what a file imports anywhere, in its functions too, looks for in `sys.modules`, or names as numba.NAME."""
    return tuple(sorted(set(_references(ast.parse(source), in_function=False))))


def _references(parent: ast.AST, in_function: bool) -> Iterator[Reference]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Reference(node.lineno, alias.name, in_function)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}" if node.module else alias.name
                yield Reference(node.lineno, name, in_function, relative=node.level > 0)
        elif isinstance(node, (ast.Subscript, ast.Call, ast.Compare)):
            if any(_is_attribute(leaf, "sys", "modules") for leaf in _operands(node)):
                for leaf in ast.walk(node):
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                        yield Reference(node.lineno, leaf.value, in_function)
        elif isinstance(node, ast.Attribute) and _is_attribute(node, "numba", node.attr):
            yield Reference(node.lineno, f"numba.{node.attr}", in_function)
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _references(node, in_function or is_function)


def _operands(node: ast.AST) -> list[ast.expr]:
    """Return the places in which ``sys.modules["pandas"]``, its methods and ``"pandas" in sys.modules`` hold it."""
    if isinstance(node, ast.Compare):
        return node.comparators
    if isinstance(node, ast.Call):
        return [node.func.value] if isinstance(node.func, ast.Attribute) else []
    return [node.value] if isinstance(node, ast.Subscript) else []


def _is_attribute(node: ast.AST, owner: str, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    )


# A rule takes a file's place below skembed/ and its source, and yields the references that break it.
Rule = Callable[[str, str], Iterator[Reference]]


def part_of(place: str) -> str:
    return place.split("/")[0].removesuffix(".py")


def within_skembed(source: str) -> Iterator[tuple[Reference, list[str]]]:
    """Return the references to skembed's own modules, each with its path below skembed."""
    for reference in references(source):
        package, *path = reference.name.split(".")
        if package == "skembed" and path:
            yield reference, path


def relative_imports(place: str, source: str) -> Iterator[Reference]:
    return (reference for reference in references(source) if reference.relative)


def upward_imports(place: str, source: str) -> Iterator[Reference]:
    part = part_of(place)
    for reference, (other, *_) in within_skembed(source):
        if other in ALLOWED and other != part and other not in ALLOWED[part]:
            yield reference


def public_names_of_the_root(place: str, source: str) -> Iterator[Reference]:
    """Yield names taken from skembed itself, which hides the part that they come from."""
    for reference, (name, *_) in within_skembed(source):
        if name not in ALLOWED and name != "__version__":
            yield reference


def private_names_of_others(place: str, source: str) -> Iterator[Reference]:
    for reference, path in within_skembed(source):
        private = any(name.startswith("_") and not name.startswith("__") for name in path)
        if private and path[0] in ALLOWED and path[0] != part_of(place):
            yield reference


def formats_at_import_time(place: str, source: str) -> Iterator[Reference]:
    """Yield a table's imports of formats outside functions: the two would import each other in a circle."""
    for reference, (other, *_) in within_skembed(source):
        if part_of(place) == "table" and other == "formats" and not reference.in_function:
            yield reference


def compilation_of_kernels(place: str, source: str) -> Iterator[Reference]:
    """Yield compiling decorators of numba: all kernels use the one of skembed, which knows of caches and of time."""
    for reference in references(source):
        package, *path = reference.name.split(".")
        if place != "kernels/compile.py" and package == "numba" and COMPILERS.intersection(path):
            yield reference


def elsewhere(package: str, homes: tuple[str, ...]) -> Rule:
    """Return the rule that only files in `homes` may know a package."""

    def foreign(place: str, source: str) -> Iterator[Reference]:
        if not place.startswith(homes):
            yield from (reference for reference in references(source) if reference.name.split(".")[0] == package)

    return foreign


HOMES = {
    "torch": TORCH,
    "numba": NUMBA,
    **dict.fromkeys(("pandas", "polars", "pyarrow", "networkx"), CONTAINERS),
}
RULES = {
    rule.__name__: rule
    for rule in (
        relative_imports,
        upward_imports,
        public_names_of_the_root,
        private_names_of_others,
        formats_at_import_time,
        compilation_of_kernels,
    )
} | {f"{package}_elsewhere": elsewhere(package, homes) for package, homes in HOMES.items()}


@cache
def sources() -> dict[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


@pytest.mark.parametrize("name", RULES)
def test_no_file_breaks_the_rule(name):
    broken = [
        f"skembed/{place}:{reference.line}: {reference.name}"
        for place, source in sources().items()
        for reference in RULES[name](place, source)
    ]
    assert not broken, f"{name}:\n" + "\n".join(broken)


def test_every_part_has_a_rule():
    assert {part_of(place) for place in sources()} == set(ALLOWED)


IN_FUNCTION = "def f():\n    "


@pytest.mark.parametrize(
    ("name", "place", "source", "lines"),
    [
        ("relative_imports", "data/x.py", "from . import y\nfrom .y import z\nimport a\n", [1, 2]),
        *(
            ("upward_imports", f"{part}/x.py", IN_FUNCTION + "from skembed.categorical import Encoder\n", [2])
            for part in ("training", "formats", "table", "text", "data", "apply", "kernels", "inspection")
        ),
        ("upward_imports", "categorical/x.py", "from skembed.categorical import Encoder\n", []),
        ("upward_imports", "memory.py", "import skembed.data.factor\nfrom skembed import data\n", [1, 2]),
        ("public_names_of_the_root", "data/x.py", "from skembed import data, EmbeddingTable\n", [1]),
        ("public_names_of_the_root", "data/x.py", "import skembed\nfrom skembed import __version__\n", []),
        (
            "private_names_of_others",
            "text/x.py",
            "from skembed.table.q import _hidden\nfrom skembed.text._words import w\nfrom skembed.data._x import y\n",
            [1, 3],
        ),
        ("private_names_of_others", "text/x.py", "from skembed.formats import _load\nimport skembed.data._x\n", [1, 2]),
        (
            "formats_at_import_time",
            "table/x.py",
            IN_FUNCTION + "from skembed.formats import a\nif f:\n    from skembed.formats import a\n",
            [4],
        ),
        ("formats_at_import_time", "text/x.py", "from skembed.formats import a\n", []),
        (
            "compilation_of_kernels",
            "kernels/x.py",
            "import numba\n@numba.njit\ndef f():\n    from numba.core.decorators import jit, types\nnumba.extending\n",
            [2, 4],
        ),
        ("compilation_of_kernels", "kernels/compile.py", "from numba import njit\n", []),
        *((f"{package}_elsewhere", "text/x.py", IN_FUNCTION + f"import {package}.a as b\n", [2]) for package in HOMES),
        *((f"{package}_elsewhere", homes[0] + "x.py", f"import {package}\n", []) for package, homes in HOMES.items()),
        (
            "pandas_elsewhere",
            "text/x.py",
            "a = sys.modules.get('pandas')\nb = sys.modules['pandas'].NA\nc = 'pandas' in sys.modules\nd = 'pandas'\n",
            [1, 2, 3],
        ),
    ],
)
def test_the_rule_finds_what_breaks_it(name, place, source, lines):
    assert [reference.line for reference in RULES[name](place, source)] == lines


def test_the_rules_that_are_tested_on_made_up_sources_are_all_rules():
    (marker,) = test_the_rule_finds_what_breaks_it.pytestmark
    assert {name for name, *_, lines in marker.args[1] if lines} == set(RULES)


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import skembed",
        "from skembed import EntityEmbeddingEncoder, EmbeddingTable",
        "from skembed import NNLMVectorizer, NodeEmbedder, ProjectionEmbedder",
        "import skembed.training.autoencoder, skembed.training.level_net, skembed.training.next_words",
    ],
)
def test_importing_loads_neither_torch_nor_numba(statement):
    loaded = run(f"import sys; {statement}; print([m for m in ('torch', 'numba') if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_who_learns_word_vectors_waits_for_no_other_model():
    loaded = run("import sys; from skembed import Word2VecVectorizer; print(*sys.modules)").split()
    assert "skembed.text._word2vec" in loaded
    assert not {f"skembed.text._{name}" for name in ("classifier", "contextual", "nnlm", "pretrained")}.intersection(
        loaded
    )


def test_transform_of_an_unpickled_encoder_imports_neither_torch_nor_numba(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "encoder.pickle"
    run(
        "import pickle, sys, numpy as np\n"
        "from skembed import EntityEmbeddingEncoder\n"
        "X = np.array([[str(i % 7), str(i % 3)] for i in range(400)], dtype=object)\n"
        "encoder = EntityEmbeddingEncoder(hidden_layer_sizes=(8,), max_iter=2, random_state=0)\n"
        "encoder.fit(X, np.arange(400) % 7 + 0.5)\n"
        "assert 'torch' in sys.modules and encoder.loss_curve_\n"
        "pickle.dump(encoder, open(sys.argv[1], 'wb'))\n",
        str(path),
    )
    loaded = run(
        "import pickle, sys\n"
        "encoder = pickle.load(open(sys.argv[1], 'rb'))\n"
        "Z = encoder.transform([['1', '2'], ['new', None]])\n"
        "encoder.inverse_transform(Z), encoder.get_feature_names_out(), repr(encoder)\n"
        "print([m for m in ('torch', 'numba') if m in sys.modules])\n",
        str(path),
    )
    assert loaded.strip() == "[]"


FIRST_KERNEL = """
import pathlib, sys, traceback, warnings
warnings.simplefilter("ignore")
import numpy as np, skembed, skembed.kernels.compile as compile
root, stacks = pathlib.Path(skembed.__file__).parent, []
def noted(original):
    def call(self, *arguments):
        files = [f.filename for f in traceback.extract_stack() if pathlib.Path(f.filename).is_relative_to(root)]
        # what wraps `fit` comes before it, and the compiler is no step on the way
        stacks.append([file for file in files if not file.endswith(("compile.py", "callbacks.py"))])
        return original(self, *arguments)
    return call
# a kernel is loaded at its first call, unless its twin in numpy does its work to begin with
compile._OptionalCache.load_overload = noted(compile._OptionalCache.load_overload)
compile.LateKernel.__call__ = noted(compile.LateKernel.__call__)
texts = ["the king rules the land", "the queen eats fish"] * 40
X = np.array([[str(i % 7), str(i % 5), str(i % 3)] for i in range(400)], dtype=object)
ESTIMATOR
print(len(stacks[0]))
"""


@pytest.mark.parametrize(
    "fit",
    [
        "Word2VecVectorizer(8, max_iter=1).fit(texts)",
        "GloVeVectorizer(8, max_iter=1).fit(texts)",
        "CooccurrenceEncoder().fit(X)",
        "EntityEmbeddingEncoder().fit(X, np.arange(400) % 7 + 0.5)",
        "FastTextVectorizer(8, max_iter=1).fit(texts)",
        "FastTextClassifier(8, max_iter=1).fit(texts, [0, 1] * 40)",
    ],
)
def test_from_fit_to_the_first_kernel_is_a_short_way(fit):
    pytest.importorskip("numba")
    assert int(run(FIRST_KERNEL.replace("ESTIMATOR", f"skembed.{fit}"))) <= 6
