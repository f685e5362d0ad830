"""Code of the documentation pages that says what it prints."""

import contextlib
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
