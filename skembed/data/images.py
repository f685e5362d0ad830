"""Images from whatever container they come in, opened by Pillow (the extra `image`): paths, bytes, arrays, PIL images.

Everything that Pillow opens becomes an RGB image of 8 bits a channel, turned as its EXIF data say.
"""

import io
import os
import stat
import sys
import threading
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

from skembed.data.columns import as_table, read_columns

__all__ = ["UnreadableImage", "describe_image", "open_image", "pillow", "read_images"]

_OPENING = threading.Lock()  # an image of the caller's own that is not loaded yet has one file for all threads


class UnreadableImage(ValueError):
    """An image that cannot be read; the message says why."""


@cache
def pillow() -> ModuleType:
    """Return Pillow's package with the modules that images need.

    Raises
    ------
    ImportError
        Where it is not installed; names the extra.
    """
    try:
        import PIL
        from PIL import Image, ImageOps  # noqa: F401 (which makes them attributes of the package)
    except ImportError as error:
        raise ImportError('reading images needs Pillow: pip install "skembed[image]".') from error
    return PIL


# ------------------------------------------------------------------------------------------------------ containers


def read_images(X: Any) -> list[Any]:
    """Return what stands for each image of X, without opening any.

    Parameters
    ----------
    X : iterable of images, ndarray of shape (n, height, width, 3) or (n, height, width), or frame of one column
        An image is a path (str or os.PathLike), encoded bytes, a PIL image, an array of shape (height, width),
        (height, width, 1), (height, width, 3) or (height, width, 4), or a dict with the key "bytes" or "path", as
        files of parquet have them. None, NaN and nulls are missing images. A frame, Series, or 2-D array of objects
        has one column.

    Returns
    -------
    list

    Raises
    ------
    TypeError
        If X is a single image, or holds what is none.
    ValueError
        If X is an array of numbers of another shape, or has several columns.

    Examples
    --------
    >>> read_images(["a.jpg", "b.png"])
    ['a.jpg', 'b.png']
    >>> [image.shape for image in read_images(np.zeros((2, 4, 5, 3), np.uint8))]
    [(4, 5, 3), (4, 5, 3)]
    """
    if sparse.issparse(X):
        raise TypeError(f"X must be a list of images, got a sparse matrix of shape {X.shape}.")
    if isinstance(X, str | bytes | bytearray | memoryview | os.PathLike | dict) or _is_pil(X):
        way_out = "pass [X] if it is one image"
        if isinstance(X, str | os.PathLike) and os.path.isdir(X):
            way_out = "pass the files of this folder, as sorted(pathlib.Path(X).glob('*.jpg'))"
        raise TypeError(f"X must be a list of images, got the single {describe_image(X)}; {way_out}.")
    if len(getattr(X, "shape", ())) > 2 and hasattr(X, "__array__"):
        X = np.asarray(X)  # tensors
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUST":
        return _of_array(X)
    images = [_plain(value) for value in _cells(X)]
    for row, image in enumerate(images):
        if not (isinstance(image, _KINDS) or _is_pil(image)):
            raise TypeError(
                f"X[{row}] must be an image: a path, bytes, a PIL image or an array of shape (height, width, 3), got "
                f"{image!r:.60}."
            )
    return images


_KINDS = (str, bytes, os.PathLike, np.ndarray, dict, type(None))


def _cells(X: Any) -> Iterable:
    """Return the values of the only column, or of whatever can be iterated over."""
    X = as_table(X)
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if len(shape) == 2:
        if shape[1] != 1:
            raise ValueError(
                f"X has {shape[1]} columns, expected one column of images. In a ColumnTransformer give each its own "
                "ImageEmbedder."
            )
        if isinstance(X, np.ndarray):
            return X[:, 0]
        return read_columns(X).values[0] if shape[0] else []
    try:
        return iter(X)
    except TypeError:
        raise TypeError(f"X must be a list of images, got {X!r:.60}, a {type(X).__name__}.") from None


def _plain(value: Any) -> Any:
    """Return a cell as the image it stands for; scalars of pyarrow as Python's, missing values as None."""
    if type(value).__module__.startswith("pyarrow"):
        value = value.as_py()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, float | np.floating) and np.isnan(value):
        return None
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if not isinstance(value, _KINDS) and not _is_pil(value) and hasattr(value, "__array__"):
        return np.asarray(value)  # tensors
    return value


def _of_array(X: np.ndarray) -> list[np.ndarray]:
    """Return the images of one array of numbers."""
    if X.ndim == 4 and X.shape[3] in (1, 3, 4):
        return list(X)
    if X.ndim == 4 and X.shape[1] in (1, 3, 4):
        hint = "channels come last: pass X.transpose(0, 2, 3, 1)"
    elif X.ndim == 3 and X.shape[2] in (1, 3, 4):
        hint = "pass X[None] if it is one image, X[..., None] if these are grey ones"
    elif X.ndim == 3:
        return list(X)
    else:
        hint = "rows of pixels are reshaped before: X.reshape(-1, height, width, 3)"
    raise ValueError(
        f"X is an array of numbers of shape {X.shape}, expected images of shape (n, height, width, 3) or, grey ones, "
        f"(n, height, width); {hint}."
    )


def _is_pil(value: Any) -> bool:
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def describe_image(image: Any) -> str:
    """Return what messages call an image.

    Examples
    --------
    >>> describe_image("a.jpg"), describe_image(b"GIF89a"), describe_image(np.zeros((2, 3)))
    ("'a.jpg'", '6 bytes', 'an array of shape (2, 3)')
    """
    if isinstance(image, str | os.PathLike):
        return repr(os.fspath(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return f"{len(image)} bytes"
    if isinstance(image, dict):
        return repr(image["path"]) if isinstance(image.get("path"), str) else "a dict"
    if isinstance(image, np.ndarray):
        return f"an array of shape {image.shape}"
    if image is None:
        return "a missing value"
    return repr(getattr(image, "filename", "")) if getattr(image, "filename", "") else "a PIL image"


# ---------------------------------------------------------------------------------------------------------- opening


def open_image(image: Any) -> Any:
    """Return an image as one of PIL's: RGB, 8 bits a channel, upright.

    Grey images have three equal channels. What is transparent is laid on white. Floats are from 0 to 1, integers of 16
    bits from 0 to 65,535; both lose what 8 bits do not hold. Of animations it is the first picture.

    Parameters
    ----------
    image : as `read_images` returns it

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    UnreadableImage
        If it is missing, no image, cut short, or has no pixels or more than `PIL.Image.MAX_IMAGE_PIXELS`.

    Examples
    --------
    >>> open_image(np.full((2, 3), 0.5)).getpixel((0, 0))  # doctest: +SKIP
    (128, 128, 128)
    """
    if image is None:
        raise UnreadableImage("it is missing")
    if isinstance(image, dict):
        image = image["bytes"] if image.get("bytes") is not None else image.get("path")
        return open_image(image)
    if isinstance(image, np.ndarray):
        return pillow().Image.fromarray(_pixels(image))
    if _is_pil(image):
        return _decoded(image)
    if isinstance(image, bytes):
        return _decoded(io.BytesIO(image))
    if isinstance(image, bytearray | memoryview):  # within a dict; others are bytes by then
        return _decoded(io.BytesIO(image))
    try:
        path = os.fspath(image)
    except TypeError:
        raise UnreadableImage(f"its dict holds {image!r:.60}, expected bytes or a path") from None
    if isinstance(path, str) and path.startswith(("http://", "https://")):
        raise UnreadableImage("it is an address; nothing is downloaded")
    try:
        # a pipe would be waited for
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableImage("it is a folder, a pipe or a device, no file")
        with open(path, "rb") as file:
            return _decoded(file)
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableImage):
            raise
        raise UnreadableImage(getattr(error, "strerror", None) or str(error)) from error


def _decoded(source: Any) -> Any:
    """Decode a binary file, or a PIL image that may not be loaded yet."""
    Image = pillow().Image
    given = _is_pil(source)
    try:
        if given:
            image = source
        else:
            image = Image.open(source)
        _check_pixels(*image.size)
        if given:
            with _OPENING:
                image.load()
        return _rgb(_upright(image))
    except (UnreadableImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"{error} Raise PIL.Image.MAX_IMAGE_PIXELS where you trust it") from error
    except Exception as error:  # decoders fail in whatever way the bytes lead them to
        raise UnreadableImage(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, pillow().UnidentifiedImageError):
        return "it is in no format that Pillow knows"
    return str(error) or type(error).__name__


def _check_pixels(width: int, height: int) -> None:
    """Refuse no pixels, as of an empty cut, and more than Pillow's limit, beyond which it only warns at first."""
    if not width or not height:
        raise UnreadableImage(f"it has {width} x {height} pixels")
    limit = pillow().Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise UnreadableImage(
            f"it has {width} x {height} pixels, more than PIL.Image.MAX_IMAGE_PIXELS ({limit}), as bombs have; raise "
            "that limit where you trust it"
        )


def _upright(image: Any) -> Any:
    try:
        return pillow().ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:
        image.load()  # the damage may be the picture's; if not, it is shown as it lies
        return image


def _rgb(image: Any) -> Any:
    Image = pillow().Image
    if image.mode.startswith("I") or image.mode == "F":
        values = _sixteen_bits(image)
        pixels = _pixels(values)
        if isinstance(clear := image.info.get("transparency"), int):  # a value that a PNG names
            pixels[values == clear] = 255
        return Image.fromarray(pixels)
    if image.mode == "La":
        image = image.convert("LA")  # of premultiplied grey Pillow makes nothing else
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, opaque).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _sixteen_bits(image: Any) -> np.ndarray:
    values = np.asarray(image)
    if image.mode == "F":
        return values
    if values.min(initial=0) < 0 or values.max(initial=0) > 65_535:
        raise UnreadableImage(f"its values are from {values.min()} to {values.max()}, expected 0 to 65,535")
    return values.astype(np.uint16)


def _pixels(array: np.ndarray) -> np.ndarray:
    """Return an array as (height, width, 3), uint8."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise UnreadableImage(
            f"its shape is {array.shape}, expected (height, width), (height, width, 3) or (height, width, 4)"
        )
    eight = _eight_bits(array)
    if array.shape[2] == 4:
        alpha = eight[:, :, 3:].astype(np.uint16)
        eight = ((eight[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight, (*array.shape[:2], 3)))


def _eight_bits(array: np.ndarray) -> np.ndarray:
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind == "u" and array.dtype.itemsize == 2:  # in either order of bytes, as readers of TIFF and FITS give it
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind not in "iuf":
        raise UnreadableImage(f"its dtype is {array.dtype}, expected numbers")
    low, high, most = array.min(), array.max(), 1 if kind == "f" else 255
    # what resizing leaves beyond 0 or 1 by rounding is one of the 256 steps still; NaN is none
    if not (np.rint(low * (255.0 / most)) >= 0 and np.rint(high * (255.0 / most)) <= 255):
        raise UnreadableImage(
            f"its values are from {low:g} to {high:g}, expected 0 to {most} of {array.dtype}; divide them before"
        )
    return np.rint(array * 255.0).astype(np.uint8) if kind == "f" else array.astype(np.uint8)
