"""Small ONNX models, written field by field as protocol buffers: onnxruntime reads them, no other package is needed.

    python tests/image/onnx_file.py

writes tests/image/tiny.onnx, which the example of tests/estimators.py runs.
"""

from pathlib import Path

import numpy as np

TINY = Path(__file__).with_name("tiny.onnx")
_TYPES = {np.dtype("f4"): 1, np.dtype("i8"): 7, np.dtype("f2"): 10}


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def _field(number: int, value) -> bytes:
    """One field of a message: a number, text, or the bytes of a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, side) for side in array.shape)
    return dims + _field(2, _TYPES[array.dtype]) + _field(8, name) + _field(9, array.tobytes())


def _value(name: str, shape, dtype: str = "f4") -> bytes:
    """A named input or output; sides that are strings may be of any size."""
    dims = b"".join(_field(1, _field(1 if isinstance(side, int) else 2, side)) for side in shape)
    tensor = _field(1, _TYPES[np.dtype(dtype)]) + _field(2, dims)
    return _field(1, name) + _field(2, _field(1, tensor))


def _attribute(name: str, values: list[int]) -> bytes:
    return _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7)


def node(op: str, inputs: list[str], output: str, **attributes: list[int]) -> bytes:
    """An operation; attributes are lists of integers."""
    parts = [_field(1, name) for name in inputs] + [_field(2, output), _field(4, op)]
    return b"".join([*parts, *(_field(5, _attribute(name, values)) for name, values in attributes.items())])


def model(nodes: list[bytes], inputs: dict, outputs: dict, arrays: dict[str, np.ndarray], dtype: str = "f4") -> bytes:
    """A model; inputs and outputs are shapes by name."""
    graph = [_field(1, one) for one in nodes] + [_field(2, "tests")]
    graph += [_field(5, _tensor(name, array)) for name, array in arrays.items()]
    graph += [_field(11, _value(name, shape, dtype)) for name, shape in inputs.items()]
    graph += [_field(12, _value(name, shape, dtype)) for name, shape in outputs.items()]
    return _field(1, 8) + _field(7, b"".join(graph)) + _field(8, _field(1, "") + _field(2, 13))


def small_net(side=8, *, n="n", features: bool = True, dtype: str = "f4") -> bytes:
    """A convolution, its mean over places, and two classes of it; outputs are named maps, features and scores."""
    rng = np.random.default_rng(0)
    arrays = {
        "kernel": rng.normal(size=(4, 3, 3, 3)).astype(dtype), "bias": rng.normal(size=4).astype(dtype),
        "head": rng.normal(size=(4, 2)).astype(dtype),
    }  # fmt: skip
    nodes = [
        node("Conv", ["image", "kernel", "bias"], "convolved", kernel_shape=[3, 3]),
        node("Relu", ["convolved"], "maps"),
        node("ReduceMean", ["maps"], "means", axes=[2, 3]),
        node("Flatten", ["means"], "features"),
        node("MatMul", ["features", "head"], "scores"),
    ]
    outputs = {"scores": (n, 2)} | ({"features": (n, 4), "maps": (n, 4, "h", "w")} if features else {})
    return model(nodes, {"image": (n, 3, side, side)}, outputs, arrays, dtype)


if __name__ == "__main__":
    TINY.write_bytes(small_net())
