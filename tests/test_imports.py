"""Who imports whom, and what is not imported until it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skembed

ROOT = Path(skembed.__file__).parent
ESTIMATORS = {"categorical", "text", "projection", "graph", "recommendation", "sequence", "image"}
LEARNING = {"training", "kernels", "parallel"}
BOTTOM = {
    "roles",
    "target_type",
    "vocabulary",
    "table",
    "columns",
    "factor",
    "canonical",
    "neighbors",
    "approximate",
    "_keys",
    "_queries",
}
TABLES_ONLY = {"formats", "inspection"}


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


def parts_imported(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported_modules(path) if "." in name}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def violations(path: Path, part: str) -> set[str]:
    """Return the parts that a file of `part` imports and may not."""
    imported = parts_imported(path)
    if part in ESTIMATORS:
        return imported & (ESTIMATORS - {part})
    if part in LEARNING:
        return imported & ESTIMATORS
    if part in BOTTOM:
        return imported & (ESTIMATORS | LEARNING)
    if part in TABLES_ONLY:
        return imported & (ESTIMATORS | LEARNING)
    return set()


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_nobody_imports_upwards(path):
    part = part_of(path)
    forbidden = violations(path, part)
    assert not forbidden, f"{part} imports {sorted(forbidden)}"


def test_the_layer_rule_sees_imports_in_functions(tmp_path):
    source = tmp_path / "module.py"
    source.write_text("def f():\n    from skembed.categorical import EntityEmbeddingEncoder\n")
    assert violations(source, "training") == {"categorical"}
    assert violations(source, "formats") == {"categorical"}
    assert violations(source, "table") == {"categorical"}
    assert violations(source, "text") == {"categorical"}
    assert not violations(source, "categorical")


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
