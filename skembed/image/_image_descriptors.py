"""ImageDescriptors: images as a table of their plain properties, for reports and for looking at what a set holds."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skembed.data.images import open_image, pillow
from skembed.image._image_transformer import ImageTransformer
from skembed.state import stored

__all__ = ["ImageDescriptors"]

_PLAIN = (
    "width", "height", "aspect", "mean_red", "mean_green", "mean_blue", "brightness", "contrast", "sharpness",
)  # fmt: skip
_MOST_SIDE = 256  # of the longer side where sharpness and colours are measured
_STEPS = 4  # boxes of colours along each channel


@stored
class ImageDescriptors(ImageTransformer):
    """Describe images by size, colours, contrast and sharpness: a named column each.

    Parameters
    ----------
    n_colors : int, default=3
        Dominant colours.
    on_error : {"raise", "nan", "zero"}, default="raise"
        What becomes of images that cannot be read: an error, or a row of NaN or zeros and a warning that names them.
    batch_size : int, default=32
        Images that are decoded ahead; memory, not rows, depends on it.
    n_jobs : int, default=None
        Threads; None is one.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    n_colors_ : int
    n_features_in_, feature_names_in_ : int, ndarray of shape (1,)
        Where X was a frame.

    See Also
    --------
    ImageEmbedder : What is in the pictures.

    Notes
    -----
    `width`, `height` : pixels of the upright image; `aspect` is their ratio.
    `mean_red`, `mean_green`, `mean_blue` : from 0 to 255.
    `brightness`, `contrast` : mean and standard deviation of the luma (ITU-R 601), from 0 to 255.
    `sharpness` : variance of the Laplacian of the luma [1]_, of images with longer sides than 256 pixels of the image
    made so small; of one scene, blurred pictures have less.
    `color1_red`, ..., `color1_share` : dominant colours and the share of pixels that they stand for, most first. The
    cube of colours is cut into 4 x 4 x 4 boxes, and a colour is the mean of the pixels of a box; where there are fewer
    than `n_colors` the others are zeros.

    References
    ----------
    .. [1] Pech-Pacheco et al. (2000), "Diatom autofocusing in brightfield microscopy: a comparative study".

    Examples
    --------
    >>> import numpy as np
    >>> from skembed import ImageDescriptors
    >>> red = np.zeros((20, 40, 3), np.uint8)
    >>> red[..., 0] = 200
    >>> descriptors = ImageDescriptors(n_colors=1).fit([red])
    >>> descriptors.get_feature_names_out()[:4].tolist()
    ['width', 'height', 'aspect', 'mean_red']
    >>> descriptors.transform([red])[0, :4].tolist()
    [40.0, 20.0, 2.0, 200.0]
    """

    _state = {"n_colors_": int}
    _parameter_constraints: dict = {
        **ImageTransformer._parameter_constraints,
        "n_colors": [Interval(Integral, 0, _STEPS**3, closed="both")],
    }

    def __init__(self, n_colors=3, *, on_error="raise", batch_size=32, n_jobs=None, verbose=0):
        self.n_colors = n_colors
        self.on_error = on_error
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "ImageDescriptors":
        """Learn nothing; of X only its kind is looked at.

        Parameters
        ----------
        X : iterable of images, array or column
            As in `ImageEmbedder`.
        y : object, default=None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is an array of other numbers, or holds no image.
        TypeError
            If X is a single image, or holds what is none.
        """
        self._learn(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and return the descriptors of X: the same as `fit` and `transform`, with X read only once.

        Parameters
        ----------
        X, y : as in `fit`

        Returns
        -------
        ndarray of shape (n_images, n_columns), float32
        """
        return self._describe(self._learn(X))

    def _learn(self, X: Any) -> list[Any]:
        self._validate_params()
        images = self._read(X, reset=True)
        if not images:
            raise ValueError("X holds no image, expected at least one.")
        self.n_colors_ = int(self.n_colors)
        return images

    def transform(self, X: Any) -> np.ndarray:
        """Return the descriptors of images.

        Parameters
        ----------
        X : as in `fit`
            May be empty.

        Returns
        -------
        ndarray of shape (n_images, n_columns), float32
        """
        check_is_fitted(self)
        return self._describe(self._read(X, reset=False))

    def _describe(self, images: list[Any]) -> np.ndarray:
        n_colors = self.n_colors_
        return self._rows(images, lambda image: _described(image, n_colors), lambda row: row, len(_names(n_colors)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the name of each column.

        Parameters
        ----------
        input_features : object, default=None
            Not used.

        Returns
        -------
        ndarray of shape (n_columns,), object
        """
        check_is_fitted(self)
        return np.array(_names(self.n_colors_), dtype=object)

    def _check_fitted(self) -> None:
        if not 0 <= self.n_colors_ <= _STEPS**3:
            raise ValueError(f"expected from 0 to {_STEPS**3} dominant colours, got {self.n_colors_}")


def _names(n_colors: int) -> list[str]:
    parts = ("red", "green", "blue", "share")
    return [*_PLAIN, *(f"color{rank + 1}_{part}" for rank in range(n_colors) for part in parts)]


def _described(image: Any, n_colors: int) -> np.ndarray:
    picture = open_image(image)
    width, height = picture.size
    counts = np.asarray(picture.histogram(), dtype=np.float64).reshape(3, 256)
    means = counts @ np.arange(256.0) / (width * height)
    luma = np.asarray(picture.convert("L").histogram(), dtype=np.float64) / (width * height)
    brightness = luma @ np.arange(256.0)
    contrast = np.sqrt(luma @ (np.arange(256.0) - brightness) ** 2)
    small = _reduced(picture)
    plain = [width, height, width / height, *means, brightness, contrast, _sharpness(small)]
    return np.array([*plain, *_dominant(small, n_colors)], dtype=np.float32)


def _reduced(picture: Any) -> Any:
    longer = max(picture.size)
    if longer <= _MOST_SIDE:
        return picture
    size = tuple(max(1, round(side * _MOST_SIDE / longer)) for side in picture.size)
    return picture.resize(size, pillow().Image.Resampling.BILINEAR)


def _sharpness(picture: Any) -> float:
    """Return the variance of the Laplacian of the luma, with its four neighbours; 0 where there are none."""
    luma = np.asarray(picture.convert("L"), dtype=np.float64)
    if min(luma.shape) < 3:
        return 0.0
    middle = luma[1:-1, 1:-1]
    return float((luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle).var())


def _dominant(picture: Any, n_colors: int) -> np.ndarray:
    """Return red, green, blue and share of each dominant color, (4 * n_colors,)."""
    pixels = np.asarray(picture).reshape(-1, 3)
    box = pixels // (256 // _STEPS) @ np.array([_STEPS**2, _STEPS, 1])
    counts = np.bincount(box, minlength=_STEPS**3)
    best = np.argsort(-counts, kind="stable")[:n_colors]
    sums = np.stack([np.bincount(box, pixels[:, channel], minlength=_STEPS**3)[best] for channel in range(3)], axis=1)
    means = sums / np.maximum(counts[best], 1)[:, None]
    return np.column_stack([means, counts[best] / len(pixels)]).ravel()
