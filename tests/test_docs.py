"""Code of the documentation pages that says what it prints."""

import contextlib
import importlib
import io
import re
from pathlib import Path

import pytest

import skembed

DOCS = Path(__file__).parent.parent / "docs"
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
PRINTED = re.compile(r"```text\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def page():
    """What the code of "write an estimator" defines, what it printed, and what the page says that it prints."""
    text = (DOCS / "write_an_estimator.md").read_text(encoding="utf-8")
    names: dict = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in CODE.findall(text):
            exec(compile(block, "write_an_estimator.md", "exec"), names)  # the page is ours
    return names, printed.getvalue(), "".join(PRINTED.findall(text))


def test_the_page_of_persistence_prints_what_it_says():
    pytest.importorskip("skops")
    text = (DOCS / "persistence.md").read_text(encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("".join(CODE.findall(text)), "persistence.md", "exec"), {})
    assert printed.getvalue() == "".join(PRINTED.findall(text))


def test_the_page_of_users_and_items_prints_what_it_says():
    text = (DOCS / "interactions.md").read_text(encoding="utf-8")
    first, code = CODE.findall(text)[:2]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec("\n".join([*first.splitlines()[:2], code]), {})  # the first block is about a frame of one's own
    assert printed.getvalue() == "".join(PRINTED.findall(text))


def test_the_page_of_pairs_prints_what_it_says():
    text = (DOCS / "pairs.md").read_text(encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("".join(CODE.findall(text)), "pairs.md", "exec"), {})
    assert printed.getvalue() == "".join(PRINTED.findall(text))


def test_the_page_prints_what_it_says(page):
    _, printed, said = page
    assert printed == said


def test_the_example_is_a_page_of_code():
    block = CODE.findall((DOCS / "write_an_estimator.md").read_text(encoding="utf-8"))[0]
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 60


def test_the_example_keeps_the_promises_of_the_page(page, tmp_path):
    names, _, _ = page
    palettes, embedder = names["palettes"], names["PaletteEmbedder"]
    first = embedder(random_state=0).fit(palettes)
    again = embedder(n_jobs=2, random_state=0).fit(palettes)
    assert (first.embedding_.vectors == again.embedding_.vectors).all()
    assert not first.transform([["no colour"]]).any()
    skembed.save(first, tmp_path / "palettes")
    assert (skembed.load(tmp_path / "palettes").transform(palettes) == first.transform(palettes)).all()
    with pytest.raises(TypeError, match="entry 0 of X must be a list of keys, got 'red'"):
        first.transform(["red"])
    with pytest.raises(ValueError, match="embedding_dim"):
        embedder(embedding_dim=0).fit(palettes)


def listed_names():
    """Return each name of docs/api.md with its module."""
    names, package = set(), "skembed"
    for line in (DOCS / "api.md").read_text(encoding="utf-8").splitlines():
        first = re.findall(r"`([\w.]+)`", line.split("|")[1]) if line.startswith("|") else []
        if first and line.rstrip().endswith("| |"):  # the head of a table says what its names are in
            package = first[0]
            continue
        for name in first:
            if name.startswith("skembed."):
                package, name = name.rsplit(".", 1)
            names.add((package, name))
    return names


def test_the_list_of_names_is_complete_and_true():
    listed = listed_names()
    for package, name in listed:
        assert hasattr(importlib.import_module(package), name), f"{package}.{name}"
    names = {name for _, name in listed}
    packages = [part for part in skembed.__all__ if Path(skembed.__path__[0], part).is_dir()]
    for package in [*packages, "table"]:
        missing = set(importlib.import_module(f"skembed.{package}").__all__) - names
        assert not missing, f"docs/api.md lacks {missing} of skembed.{package}"


@pytest.mark.parametrize(
    "page",
    [*sorted(DOCS.glob("*.md")), *DOCS.parent.glob("*.md"), DOCS.parent / "benchmarks" / "README.md"],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, target


def test_extras_are_quoted():
    """To zsh unquoted brackets are a pattern: "no matches found"."""
    root = DOCS.parent
    texts = {path: path.read_text(encoding="utf-8") for path in [*root.rglob("skembed/**/*.py"), *DOCS.glob("*.md")]}
    texts[root / "README.md"] = (root / "README.md").read_text(encoding="utf-8")
    assert [path.name for path, text in texts.items() if re.search(r"pip install [^\n\"']*\[", text)] == []


def test_each_benchmark_is_listed():
    benchmarks = DOCS.parent / "benchmarks"
    page = (benchmarks / "README.md").read_text(encoding="utf-8")
    assert [script.name for script in sorted(benchmarks.glob("*.py")) if f"`{script.name}`" not in page] == []
