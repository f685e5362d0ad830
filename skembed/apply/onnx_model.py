"""ONNX models on the processor through onnxruntime (the extra `image`): one image -> the row of an output."""

import os
from typing import Any

import numpy as np

from skembed.data.images import UnreadableImage

__all__ = ["OnnxModel"]


class OnnxModel:
    """A model with one input, of images.

    Parameters
    ----------
    path : str or os.PathLike
        It is run as it is; external data lie beside it.

    Attributes
    ----------
    architecture : "onnx"
    channels_last : bool
        Whether its input is (n, height, width, 3) rather than (n, 3, height, width).
    input_size : tuple of (int or None, int or None)
        Height and width that it takes; None is any.
    outputs : list of str

    Raises
    ------
    ImportError
        Without onnxruntime.
    ValueError
        If the file is no such model, or has no input of images.
    """

    architecture = "onnx"
    n_beside = 1  # its session has threads of its own

    def __init__(self, path: str | os.PathLike) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError('ONNX models need onnxruntime: pip install "skembed[image]".') from error
        self._path = os.fspath(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors are raised; warnings are about the graph, and none of the user's
        try:
            self._session = onnxruntime.InferenceSession(
                self._path, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no class
            raise ValueError(f"{self._path} is no ONNX model that can be run: {_first_line(error)}") from error
        inputs = self._session.get_inputs()
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape] if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in _TYPES or 3 not in (shape[1], shape[3], None):
            described = ", ".join(f"{one.name}: {one.type} {one.shape}" for one in inputs)
            raise ValueError(
                f"{self._path} takes {described or 'nothing'}; expected one input of images, floats of shape "
                "(n, 3, height, width) or (n, height, width, 3)."
            )
        self._input, self._dtype = inputs[0].name, _TYPES[inputs[0].type]
        self._n_images = shape[0] or 1
        self.channels_last = shape[3] == 3 and shape[1] != 3
        self.input_size = (shape[1], shape[2]) if self.channels_last else (shape[2], shape[3])
        self.outputs = [output.name for output in self._session.get_outputs()]
        self._shapes = {output.name: output.shape for output in self._session.get_outputs()}

    def output_of(self, layer: str) -> str:
        """Return the name of the output that is asked for: `layer` itself, or the first one.

        Raises
        ------
        ValueError
            If `layer` is no output, or is "logits" and the first output is of more than two dimensions.
        """
        if layer in self.outputs:
            return layer
        if layer not in ("pool", "logits"):
            raise ValueError(
                f"layer={layer!r} is no output of {self._path}; expected one of {', '.join(map(repr, self.outputs))}."
            )
        if layer == "logits" and len(self._shapes[self.outputs[0]]) != 2:
            raise ValueError(
                f"layer='logits', and the first output of {self._path} has the shape {self._shapes[self.outputs[0]]}; "
                "expected (n, n_classes). Name the output, or take layer='pool'."
            )
        return self.outputs[0]

    def width(self, layer: str, size: tuple[int, int]) -> int:
        """Return how many columns an output has, by running the model on a black image of this size."""
        return len(self.run(np.zeros((*size, 3), np.float32), layer))

    def run(self, pixels: np.ndarray, layer: str) -> np.ndarray:
        """Return the row of one image.

        Parameters
        ----------
        pixels : ndarray of shape (height, width, 3), float32
        layer : str
            As for `output_of`.

        Returns
        -------
        ndarray of shape (width,), float32
            Of an output with places, (n, channels, height, width), the mean over them; of one with tokens,
            (n, tokens, channels), likewise.

        Raises
        ------
        UnreadableImage
            If the model cannot run on an image of this size.
        """
        image = pixels if self.channels_last else pixels.transpose(2, 0, 1)
        batch = np.zeros((self._n_images, *image.shape), self._dtype)
        batch[0] = image
        try:
            (output,) = self._session.run([self.output_of(layer)], {self._input: batch})
        except Exception as error:
            if isinstance(error, ValueError) and "layer=" in str(error):
                raise
            raise UnreadableImage(
                f"{self._path} cannot run on an image of {pixels.shape[0]} x {pixels.shape[1]} pixels: "
                f"{_first_line(error)}"
            ) from error
        return _pooled(np.asarray(output)[0].astype(np.float32), self._path, self.channels_last)


_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


def _pooled(one: np.ndarray, path: str, channels_last: bool) -> np.ndarray:
    """Return the output of one image without its places."""
    if one.ndim == 3:
        return one.mean(axis=(0, 1) if channels_last else (1, 2))
    if one.ndim == 2:
        return one.mean(axis=0)
    if one.ndim != 1:
        raise ValueError(f"{path} gives an output of {one.ndim + 1} dimensions, expected 2, 3 or 4.")
    return one


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
