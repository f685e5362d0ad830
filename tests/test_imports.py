"""Imports: who imports whom, and what is not imported until it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skembed

ROOT = Path(skembed.__file__).parent
ESTIMATORS = {"categorical", "text", "projection"}
# the packages and modules of skembed, and which others each may import
ALLOWED = {
    "memory": set(),
    "atomic": set(),
    "data": {"memory", "atomic"},
    "table": {"data", "memory", "formats"},  # formats on the way to and from files alone, see below
    "kernels": set(),
    "parallel": {"kernels", "data"},
    "training": {"kernels", "parallel", "data", "memory"},
    "apply": {"data", "table"},
    "formats": {"table", "data", "kernels", "memory", "atomic"},
    "inspection": {"table", "data", "memory", "atomic"},
    "base": {"data", "table", "training", "memory"},
    **{
        name: {"base", "training", "apply", "kernels", "parallel", "data", "table", "memory", "atomic"}
        for name in sorted(ESTIMATORS)
    },
    "datasets": set(),
    "testing": {"table", "data"},
    "compare": {*ESTIMATORS, "inspection", "datasets", "data", "table", "base", "formats", "memory", "atomic"},
    "__main__": {"compare"},
    "__init__": {*ESTIMATORS, "inspection", "table", "compare", "datasets", "formats", "testing"},
}
# what alone may import torch, numba and the containers of tables (which need not be installed)
TORCH = ("training/nets/", "apply/nets/", "testing/")  # testing looks whether global states were left alone
NUMBA = ("kernels/", "testing/")
CONTAINERS = (
    "data/",
    "compare/",
    "datasets/",
    "testing/",
    "formats/_parquet.py",  # a file format of its own
    "table/embedding_table.py",  # to_frame
)


def imported_modules(path: Path) -> set[str]:
    """Return the full names of skembed's modules that a file imports anywhere, in its functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import in line {node.lineno}"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "skembed"}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def violations(path: Path, part: str) -> set[str]:
    """Return the parts that a file of `part` imports and may not."""
    parts = {name.split(".")[1] for name in imported_modules(path) if "." in name}
    return {name for name in parts if name in ALLOWED and name != part} - ALLOWED[part]


def foreign_modules(path: Path) -> set[str]:
    """Return the packages that are not skembed which a file imports, or looks for among the modules that are loaded."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, (ast.Subscript, ast.Call)) and ast.unparse(node).startswith("sys.modules"):
            found |= {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}
    return found


def private_names_of_others(path: Path, part: str) -> set[str]:
    """Return what a file takes from another part although its name begins with an underscore."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "skembed":
            names = [*node.module.split(".")[1:], *(alias.name for alias in node.names)]
            if names[0] != part and names[0] in ALLOWED:
                found |= {name for name in names if name.startswith("_") and not name.startswith("__")}
    return found


def compilers_of_numba(path: Path) -> set[str]:
    """Return which of numba's decorators that compile a file names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "numba":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "numba":
            names.add(node.attr)
    return names & {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil"}


FILES = sorted(ROOT.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])


@each_file
def test_nobody_imports_upwards(path):
    part = part_of(path)
    assert not violations(path, part), f"{part} may import {sorted(ALLOWED[part])}"


@each_file
@pytest.mark.parametrize(
    ("package", "homes"),
    [("torch", TORCH), ("numba", NUMBA), *((name, CONTAINERS) for name in ("pandas", "polars", "pyarrow", "networkx"))],
)
def test_each_of_these_packages_is_known_in_one_place(path, package, homes):
    place = str(path.relative_to(ROOT)).replace("\\", "/")
    assert package not in foreign_modules(path) or place.startswith(homes)


@each_file
def test_private_names_stay_within_their_package(path):
    assert not private_names_of_others(path, part_of(path))


@each_file
def test_kernels_are_compiled_by_one_decorator(path):
    # so that what it says of caches and of time holds for all of them
    assert not compilers_of_numba(path) or path == ROOT / "kernels" / "compile.py"


def test_every_part_has_a_rule():
    assert {part_of(path) for path in FILES} == set(ALLOWED)


def test_a_table_knows_formats_only_within_functions():
    for path in (ROOT / "table").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            assert not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("skembed.formats")


def test_the_rules_see_imports_in_functions(tmp_path):
    source = tmp_path / "module.py"
    source.write_text("def f():\n    from skembed.categorical import EntityEmbeddingEncoder\n")
    for part in ("training", "formats", "table", "text", "data", "apply", "kernels"):
        assert violations(source, part) == {"categorical"}
    assert not violations(source, "categorical")
    source.write_text("def f():\n    import torch.nn\n    return sys.modules.get('pandas'), sys.modules['polars']\n")
    assert foreign_modules(source) == {"torch", "pandas", "polars"}
    source.write_text("from skembed.table.queries import _hidden\nfrom skembed.text._words import words\n")
    assert private_names_of_others(source, "formats") == {"_hidden", "_words"}
    assert private_names_of_others(source, "text") == {"_hidden"}
    source.write_text("import numba\ndef f():\n    from numba.core.decorators import jit, types\n    numba.njit(f)\n")
    assert compilers_of_numba(source) == {"njit", "jit"}


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("statement", ["import skembed", "from skembed import EntityEmbeddingEncoder, EmbeddingTable"])
def test_importing_loads_neither_torch_nor_numba(statement):
    loaded = run(f"import sys; {statement}; print([m for m in ('torch', 'numba') if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_transform_of_an_unpickled_encoder_imports_neither_torch_nor_numba(tmp_path):
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
original = compile._OptionalCache.load_overload
def load(self, *arguments):
    files = [f.filename for f in traceback.extract_stack() if pathlib.Path(f.filename).is_relative_to(root)]
    stacks.append([file for file in files if not file.endswith("compile.py")])
    return original(self, *arguments)
compile._OptionalCache.load_overload = load
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
