"""Preprocessing of images for nets: resized, cropped at the centre, scaled; as torchvision's transforms have it.

``Resize(resize)``, ``CenterCrop(crop)``, ``ToTensor()`` and ``Normalize(mean, std)`` on PIL images. Of long and thin
images, which would become very large, only the part that the crop keeps is resized.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skembed.data.images import UnreadableImage, open_image, pillow
from skembed.state import stored

__all__ = ["INTERPOLATIONS", "Preprocessing", "check_size"]

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
MOST = 4096  # pixels of a side: what a size may be
_WHOLE = (
    1 << 24
)  # pixels that are resized before a part is taken; of longer images the part alone, which rounds otherwise

Size = tuple[int, int]


@stored
@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the numbers that a net takes.

    Attributes
    ----------
    resize : int, tuple of int or None
        Of the shorter side, the other in proportion; or (height, width). None leaves images as large as they are.
    crop : tuple of int or None
        (height, width) of the part at the centre; what it lacks is black. None takes all.
    mean, std : tuple of float
        A value for each channel, of pixels from 0 to 1: they are (pixels - mean) / std.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos"}
        With antialiasing, but for "nearest".

    Examples
    --------
    >>> white = np.full((40, 30, 3), 255, np.uint8)
    >>> Preprocessing(16, (8, 8), (0.5,) * 3, (0.5,) * 3, "bilinear").apply(white).shape  # doctest: +SKIP
    (8, 8, 3)
    """

    resize: int | Size | None
    crop: Size | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str

    def check(self) -> None:
        """Raise ValueError naming what is out of its range."""
        check_size("resize", self.resize, may_be_int=True)
        check_size("crop", self.crop)
        for name in ("mean", "std"):
            given = getattr(self, name)
            values = np.asarray(given, dtype=np.float64)
            if values.shape != (3,) or not np.isfinite(values).all() or (name == "std" and (values <= 0).any()):
                raise ValueError(f"{name} must be three finite numbers, those of std above 0, got {given!r:.60}")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {self.interpolation!r:.60}")

    def apply(self, image: Any) -> np.ndarray:
        """Return the numbers of one image.

        Parameters
        ----------
        image : as `skembed.data.images.read_images` returns it

        Returns
        -------
        ndarray of shape (height, width, 3), float32

        Raises
        ------
        UnreadableImage
        """
        pixels = np.asarray(self._cropped(open_image(image)), dtype=np.float32)
        scale = 1 / (255 * np.asarray(self.std))
        shift = -np.asarray(self.mean) / self.std
        pixels *= scale.astype(np.float32)
        pixels += shift.astype(np.float32)
        return pixels

    def _cropped(self, image: Any) -> Any:
        width, height = image.size
        rows, columns = self._resized(height, width)
        crop_rows, crop_columns = self.crop or (rows, columns)
        # where the part begins that is kept, as torchvision rounds it; negative where the image is smaller
        top, left = round((rows - crop_rows) / 2), round((columns - crop_columns) / 2)
        kept = max(top, 0), max(left, 0), min(top + crop_rows, rows), min(left + crop_columns, columns)
        part = self._resized_part(image, (rows, columns), kept)
        if part.size == (crop_columns, crop_rows):
            return part
        black = pillow().Image.new("RGB", (crop_columns, crop_rows))
        black.paste(part, ((crop_columns - columns) // 2 if left < 0 else 0, (crop_rows - rows) // 2 if top < 0 else 0))
        return black

    def _resized(self, height: int, width: int) -> Size:
        """Return the size to which an image is resized, before a part of it is taken."""
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        long = int(self.resize * max(height, width) / min(height, width))
        rows, columns = (self.resize, long) if height <= width else (long, self.resize)
        limit = pillow().Image.MAX_IMAGE_PIXELS
        if self.crop is None and limit is not None and rows * columns > limit:
            raise UnreadableImage(f"its sides of {width} and {height} pixels would become {columns} and {rows}")
        return rows, columns

    def _resized_part(self, image: Any, size: Size, kept: tuple[int, int, int, int]) -> Any:
        """Return the part from the rows and columns ``kept[:2]`` to ``kept[2:]`` of the resized image."""
        (rows, columns), (top, left, bottom, right) = size, kept
        method = pillow().Image.Resampling[self.interpolation.upper()]
        if rows * columns <= _WHOLE:
            whole = image if (columns, rows) == image.size else image.resize((columns, rows), method)
            return whole.crop((left, top, right, bottom))
        across, down = image.width / columns, image.height / rows
        box = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
        return image.resize((right - left, bottom - top), method, box=box)


def check_size(name: str, value: Any, *, may_be_int: bool = False) -> None:
    """Raise ValueError unless a value is None, a pair of sides, or where it `may_be_int` one side."""
    if value is None:
        return
    sides = value if isinstance(value, tuple) else (value,)
    whole = all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in sides)
    lengths = (1, 2) if may_be_int and not isinstance(value, tuple) else (2,)
    if not whole or len(sides) not in lengths or not all(1 <= side <= MOST for side in sides):
        raise ValueError(
            f"{name} must be {'a number of pixels, ' if may_be_int else ''}(height, width) or None, each from 1 to "
            f"{MOST}, got {value!r:.60}"
        )
