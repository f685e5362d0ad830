"""The versions that skembed works with: `nox` tries all of them, `nox -l` lists them; docs/versions.md has the results.

`nox -- --without-torch` leaves torch out, and the tests that need it are skipped: for places where torch is not to be
had, or large. What else follows `--` is handed to pytest in place of CORE: `nox -s lowest -- tests/formats`.
"""

import re
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
PYTHONS = ["3.11", "3.12", "3.13"]
SCIKIT_LEARN = ["1.6", "1.7", "1.8", "newest"]
WITHOUT_TORCH = "--without-torch"
# a minute or two of tests: where a version of scikit-learn tells, and where those of numpy, numba and the containers do
CHECKS = [
    "tests/test_common.py",
    "tests/test_faults.py",
    "tests/anomaly/test_neighbor_detector.py",
    "tests/categorical/test_targets.py",
    "tests/data/test_holdout.py",
    "tests/interactions/test_interaction_embedder.py",
    "tests/pairs/test_cca_embedder.py",
    "tests/persistence/test_files.py",
    "tests/persistence/test_skops.py",
    "tests/projection/test_nca_starts.py",
    "tests/projection/test_projection.py",
    "tests/text/test_pretrained.py",
]
CORE = [
    *CHECKS,
    "tests/categorical/test_entity.py",
    "tests/table/test_table.py",
    "tests/table/test_subwords.py",
    "tests/table/test_neighbors_index.py",
    "tests/compare/test_column_kinds.py",
    "tests/data/test_columns.py",
    "tests/data/test_content.py",
    "tests/data/test_documents.py",
    "tests/data/test_target_type.py",
    "tests/data/test_vocabulary.py",
    "tests/formats/test_messages.py",
    "tests/graph/test_node_embedder.py",
    "tests/image/test_image_descriptors.py",
    "tests/image/test_images.py",
    "tests/inspection/test_word_movers.py",
    "tests/persistence/test_values.py",
    "tests/sequence/test_states.py",
    "tests/text/test_word2vec.py",
    "tests/training/test_methods.py",
]
LONG = [  # and nothing in them depends on a version
    "tests/categorical/test_entity.py::test_grid_search_over_dimensions_is_the_same_in_two_processes",
    "tests/data/test_columns.py::test_hash_seed_changes_nothing",
    "tests/text/test_pretrained.py::test_a_pickle_needs_neither_file_nor_trainer",
    "tests/text/test_word2vec.py::test_words_that_keep_the_same_company_are_close",
]


def requirements(session: nox.Session, *, exactly: bool = False, test: bool = True) -> list[str]:
    """What pyproject.toml names, or exactly the lowest versions that it allows."""
    named = [*PROJECT["dependencies"], *(PROJECT["optional-dependencies"]["test"] if test else [])]
    if WITHOUT_TORCH in session.posargs:
        named = [requirement for requirement in named if not requirement.startswith("torch>=")]
    return [requirement.replace(">=", "==") for requirement in named] if exactly else named


def run_tests(session: nox.Session, chosen: list[str], *pins: str, exactly: bool = False) -> None:
    """Install what is named, beside pins, then the package alone, and run the tests."""
    session.install(*requirements(session, exactly=exactly), *pins)
    session.install("--no-deps", "-e", ".")
    show = "import sys; from importlib.metadata import version; print(*(f'{n} {version(n)}' for n in sys.argv[1:]))"
    session.run("python", "-c", show, *(re.split("[>=]", requirement)[0] for requirement in requirements(session)))
    own = [argument for argument in session.posargs if argument != WITHOUT_TORCH]
    arguments = own or [*chosen, *(f"--deselect={test}" for test in LONG)]
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", "-ra", *arguments)


def compile_anew(session: nox.Session) -> None:
    """Keep kernels apart that are compiled beside other versions of numpy and numba than the newest."""
    session.env["NUMBA_CACHE_DIR"] = session.create_tmp()


@nox.session(python=PYTHONS)
@nox.parametrize("scikit_learn", SCIKIT_LEARN)
def tests(session: nox.Session, scikit_learn: str) -> None:
    """A version of scikit-learn on a version of Python, all else the newest."""
    if scikit_learn == "newest":
        run_tests(session, CORE)
    else:
        run_tests(session, CHECKS, f"scikit-learn=={scikit_learn}.*")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Exactly the lowest versions that pyproject.toml allows, of what tests use, too."""
    compile_anew(session)
    run_tests(session, CORE, exactly=True)


@nox.session(python=PYTHONS[0])
def numpy1(session: nox.Session) -> None:
    """numpy 1.26, all else the newest that works with it; pyarrow 26 needs numpy 2, and says so when it is imported."""
    compile_anew(session)
    run_tests(session, CORE, "numpy==1.26.*", "pyarrow<26")


@nox.session(python=PYTHONS[0])
def numpy2(session: nox.Session) -> None:
    """numpy 2.0, the first of numpy 2, all else the newest that works with it."""
    compile_anew(session)
    run_tests(session, CORE, "numpy==2.0.*")


@nox.session(python=PYTHONS)
def package(session: nox.Session) -> None:
    """Wheel and sdist: built, looked into, and each installed in an environment where there is nothing else."""
    folder = Path(session.create_tmp())
    for old in folder.glob("skembed-*"):
        old.unlink()
    session.install("hatchling", "pip", *requirements(session, test=False))
    session.run("python", ".ci/package.py", str(folder))
    for number, distribution in enumerate(sorted(folder.glob("skembed-*"))):
        fresh = folder / f"fresh{number}"
        session.run("python", "-m", "venv", "--clear", str(fresh))
        python = fresh / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = [str(python), "-m", "pip", "install", "-q"]
        if WITHOUT_TORCH in session.posargs:
            session.run(*install, *requirements(session, test=False), external=True)
            install.append("--no-deps")
        session.run(*install, str(distribution), external=True)
        session.run(str(python), ".ci/smoke.py", str(fresh), external=True)
