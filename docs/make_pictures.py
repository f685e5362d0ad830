"""Draw the pictures of the README and the guide: ``python docs/make_pictures.py``."""

from pathlib import Path

from skembed.compare._map import map_levels
from skembed.compare._picture import level_picture
from skembed.compare._problem import unicode_problem

IMAGES = Path(__file__).parent / "images"
STYLE = """<style>
svg { background: #fff; font: 11px system-ui, sans-serif }
text { fill: #1b1f24; font: 11px system-ui, sans-serif } circle { fill-opacity: .8; stroke: #fff; stroke-width: .7 }
.labels text { paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round }
</style>"""


def entity_map() -> str:
    """The levels of the most telling column of the Unicode data."""
    picture, _ = level_picture(map_levels(unicode_problem(max_rows=8_000)))
    head, body = picture.split(">", 1)
    if "xmlns=" not in head:
        head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{head}>{STYLE}{body}\n"


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "entity_map.svg").write_text(entity_map(), encoding="utf-8")
