"""Run the code of the gallery and keep its pictures: ``python docs/make_gallery.py [DATA]``.

Every block of Python in ``gallery.md`` that follows a picture is run, in order and in one namespace where `data` is the
folder of data sets, and the figure of its `display` becomes that picture. A block whose data are absent is left out,
and said so.
"""

import argparse
import re
from pathlib import Path

import matplotlib

from skembed import EmbeddingTable

HERE = Path(__file__).parent
BLOCK = re.compile(r"(?:!\[[^\]]*\]\((?P<picture>images/[^)]+)\)\s+)?```python\n(?P<code>.*?)```", re.DOTALL)


def run(code: str, namespace: dict, words: Path | None) -> None:
    """Run a block; the training of `words` is left out where a file holds them, else they are kept in that file."""
    trains = re.search(r"^words = .*\n", code, re.MULTILINE)
    if trains and "words" in namespace:
        code = code.replace(trains[0], "")
    exec(code, namespace)
    if trains and words is not None and not words.exists():
        namespace["words"].save(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--words", type=Path, help="keep the trained word vectors in this file, or take them from it")
    parser.add_argument("--only", default="", help="pictures whose name holds this")
    arguments = parser.parse_args()
    matplotlib.use("agg")
    namespace = {"data": arguments.data}
    if arguments.words is not None and arguments.words.exists():
        namespace["words"] = EmbeddingTable.load(arguments.words)
    for block in BLOCK.finditer((HERE / "gallery.md").read_text(encoding="utf-8")):
        picture = block["picture"]
        if picture is not None and arguments.only not in picture:
            exec("\n".join(re.findall(r"^(?:from|import) .*", block["code"], re.MULTILINE)), namespace)
            continue
        try:
            run(block["code"], namespace, arguments.words)
        except (FileNotFoundError, NameError) as error:
            print(f"{picture or 'a block without a picture'}: left out, {error}")
            continue
        if picture is not None:
            figure = namespace["display"].figure_
            figure.savefig(HERE / picture, dpi=110, metadata={"Software": None})
            print(f"{picture}: {(HERE / picture).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
