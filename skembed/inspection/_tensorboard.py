"""Files of TensorBoard's embedding projector: tensors, metadata, a sprite of images, and the configuration.

What they may hold follows the projector's own reader: tensors are lines of numbers with tabs between; metadata of one
column has no line of names, that of several has; lines of white space alone are passed over, as if a point were not
there; a sprite holds its images row by row in a grid with as many columns as rows at least, at most 8,192 pixels wide
and high.
"""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from skembed.atomic import replacing
from skembed.inspection._palette import Field

_MAX_SPRITE = 8_192
_LINES_AT_ONCE = 10_000
_TENSORS = {"tsv": "tensors.tsv", "bytes": "tensors.bytes"}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\v": "\\v", "\f": "\\f", "\x00": "\\0"})


def write_projector(display: Any, directory: str | os.PathLike, *, name: str, images: Any, tensors: str) -> None:
    """Write the files; see `EmbeddingDisplay.to_tensorboard`. The configuration comes last: it names what is there."""
    if tensors not in _TENSORS:
        raise ValueError(f"tensors must be 'tsv' or 'bytes', got {tensors!r}.")
    vectors = display.table.vectors
    if vectors.shape[1] < 2:
        raise ValueError(f"TensorBoard reads vectors of two components or more, these have {vectors.shape[1]}.")
    sprite = None if images is None else _sprite(images, len(vectors))
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / _TENSORS[tensors]) as file:
        for lines in _tensor_lines(vectors) if tensors == "tsv" else [vectors.astype("<f4", copy=False).tobytes()]:
            file.write(lines)
    with replacing(directory / "metadata.tsv") as file:
        file.write(_metadata(display.table.keys, display.fields or {}).encode(errors="backslashreplace"))
    entries = [
        f"tensor_name: {_quoted(str(name))}",
        f"tensor_shape: {vectors.shape[0]}",
        f"tensor_shape: {vectors.shape[1]}",
        f"tensor_path: {_quoted(_TENSORS[tensors])}",
        'metadata_path: "metadata.tsv"',
    ]
    if sprite is not None:
        pixels, height, width = sprite
        with replacing(directory / "sprite.png") as file:
            file.write(_png(pixels))
        dims = f"single_image_dim: {width} single_image_dim: {height}"
        entries.append(f'sprite {{ image_path: "sprite.png" {dims} }}')
    config = "embeddings {\n" + "".join(f"  {entry}\n" for entry in entries) + "}\n"
    with replacing(directory / "projector_config.pbtxt") as file:
        file.write(config.encode())


def _tensor_lines(vectors: np.ndarray):
    """Numbers with as few digits as give the same float32 again."""
    for start in range(0, len(vectors), _LINES_AT_ONCE):
        rows = vectors[start : start + _LINES_AT_ONCE]
        yield "".join("\t".join(map(str, row)) + "\n" for row in rows).encode("ascii")


def _metadata(keys: np.ndarray, fields: dict[str, Field]) -> str:
    """One line a point: its key as text, then its values; the names of the columns first if there are several."""
    if not fields:
        return "".join(f"{_one_line(key)}\n" for key in keys)
    columns = [[_one_line(key) for key in keys], *(_texts(field) for field in fields.values())]
    names = ["key", *(_one_line(name) for name in fields)]
    return "".join("\t".join(line) + "\n" for line in [names, *zip(*columns)])


def _one_line(key: Any) -> str:
    """Text without tabs and ends of line, and never blank: a blank line would shift all that follow."""
    text = ("missing" if key is None else str(key)).translate(_ESCAPES)
    return text if text.strip() else f"'{text}'"


def _texts(field: Field) -> list[str]:
    if field.numbers is not None:
        return ["" if np.isnan(number) else repr(float(number)) for number in field.numbers]
    return ["" if code < 0 else _one_line(field.categories[code]) for code in field.codes]


def _quoted(text: str) -> str:
    """A string of protobuf's text format, in ASCII."""
    encoded = text.encode("utf-8", errors="replace")
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\{b:03o}" for b in encoded) + '"'


def _sprite(images: Any, n_points: int) -> tuple[np.ndarray, int, int]:
    """All images in one, (height, width, 3 or 4) uint8, and the height and width of each."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    if images.ndim != 4 or images.shape[3] not in (3, 4) or len(images) != n_points or 0 in images.shape:
        raise ValueError(
            f"images must have shape ({n_points}, height, width), or with 3 or 4 channels at the end, "
            f"got {images.shape}."
        )
    if images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1:
        images = np.rint(255 * images).astype(np.uint8)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, or floats between 0 and 1, got {images.dtype}.")
    n, height, width, channels = images.shape
    side = int(np.ceil(np.sqrt(n)))
    if side * max(height, width) > _MAX_SPRITE:
        raise ValueError(
            f"images: {n:,} of {height} x {width} pixels need a sprite of {side * height} x {side * width}, and "
            f"TensorBoard opens {_MAX_SPRITE} x {_MAX_SPRITE} at most; pass smaller images, or fewer points."
        )
    grid = np.zeros((side * side, height, width, channels), dtype=np.uint8)
    grid[:n] = images
    grid = grid.reshape(side, side, height, width, channels).swapaxes(1, 2)
    return grid.reshape(side * height, side * width, channels), height, width


def _png(pixels: np.ndarray) -> bytes:
    """Pixels (height, width, 3 or 4) uint8 as a PNG file (ISO/IEC 15948), every line unfiltered."""
    height, width, channels = pixels.shape
    lines = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # the first byte names the filter: none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
