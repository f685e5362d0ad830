"""Values as JSON and named arrays, and back: plain values, containers, arrays, and objects of registered classes.

==================================== ====================================================================
None, bool, int, str, finite float   as JSON has them
list                                 a JSON list
``{"float": "nan" | "inf" | "-inf"}``
``{"tuple" | "set" | "frozenset": [item, ...]}``, ``{"dict": [[key, value], ...]}``, in order
``{"array": name, "order": "F"}``    a tensor of the file; "order" where columns lie together
``{"values": state, "dtype": ..., "shape": ...}``  an array of strings or objects, spelled as keys are
``{"sparse": [data, indices, indptr], "shape": ..., "class": ...}``  of scipy's
``{"scalar": value, "dtype": ...}``  one of numpy's
``{"type": name}``, ``{"dtype": name}``  a numeric type of numpy's, as a class or a dtype
``{"path": text}``, ``{"random_state": [value, ...]}``
``{"object": class, "state": {...}}``, of estimators also "params"
``{"same": n}``                      the n-th object of the file once more
==================================== ====================================================================
"""

import json
import math
import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skembed.data.keycodes import decode_keys, encode_keys
from skembed.persistence._registry import registered
from skembed.state import STORED, check_state

__all__ = ["DTYPES", "Reader", "Writer"]

DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype("?"), "U8": np.dtype("u1"), "I8": np.dtype("i1"), "U16": np.dtype("<u2"), "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"), "I32": np.dtype("<i4"), "U64": np.dtype("<u8"), "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_PLAIN = frozenset({type(None), bool, int, str})
_CONTAINERS: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_LEAST_WIDE, _MOST_EXPANSION = 1 << 26, 100  # bytes of an array of strings: so many, or times those in the file
_OUTPUT_CONFIG, _REQUESTS, _CALLBACKS = "_sklearn_output_config", "_metadata_request", "_skl_callbacks"


class Writer:
    """Encodes values and collects their arrays.

    Attributes
    ----------
    tensors : dict of str to ndarray
    dtypes : dict of str to str
        What safetensors calls them.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}
        self.dtypes: dict[str, str] = {}
        self._names: dict[tuple, str] = {}
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no two objects have the same id in turn

    def encode(self, value: Any, where: str) -> Any:
        """Return what JSON holds for a value; TypeError names the place of one that cannot be written."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is np.str_:  # as grids of arrays hold them
            return str(value)
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is list:
            return [
                item if type(item) in _PLAIN else self.encode(item, f"{where}[{place}]")
                for place, item in enumerate(value)
            ]
        if kind in _CONTAINERS:
            items = [self.encode(item, where) for item in value]
            return {_CONTAINERS[kind]: items if kind is tuple else sorted(items, key=repr)}
        if kind is dict:
            return {"dict": [[self.encode(k, where), self.encode(v, where)] for k, v in value.items()]}
        if isinstance(value, np.ndarray) and type(value) in (np.ndarray, np.memmap):
            return self._array(value, where)
        if sparse.issparse(value) and value.format in ("csr", "csc"):
            parts = [self._array(part, where) for part in (value.data, value.indices, value.indptr)]
            name = f"{value.format}_{'array' if isinstance(value, sparse.sparray) else 'matrix'}"
            return {"sparse": parts, "shape": list(value.shape), "class": name}
        if isinstance(value, np.generic) and value.dtype in _NAMES:
            return {"scalar": self.encode(value.item(), where), "dtype": value.dtype.name}
        if isinstance(value, np.dtype) and value in _NAMES:
            return {"dtype": value.name}
        if isinstance(value, type) and issubclass(value, np.generic) and np.dtype(value) in _NAMES:
            return {"type": np.dtype(value).name}
        if isinstance(value, PurePath):
            return {"path": os.fspath(value)}
        if kind is np.random.RandomState:
            return {"random_state": [self.encode(part, where) for part in value.get_state()]}
        if STORED.get(kind.__name__) is kind:
            return self._object(value, where)
        raise TypeError(
            f"{where} cannot be written: {value!r:.80} is a {kind.__module__}.{kind.__qualname__}. Files of skembed "
            "hold plain values, arrays and tables alone, and no code. Set another value and fit again, or, where you "
            "trust all who can write the file, use pickle."
        )

    def _array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        if array.dtype.kind in "OUS":
            flat = array.ravel().astype(object)
            try:
                types, offsets, text = encode_keys(flat)
            except TypeError as error:
                raise TypeError(f"{where} cannot be written: {error}") from None
            parts = types, np.diff(offsets), np.frombuffer(text, dtype=np.uint8)
            packed = [self._array(part, f"{where}.{name}") for part, name in zip(parts, ("types", "lengths", "text"))]
            return {"values": packed, "dtype": array.dtype.str, "shape": list(array.shape)}
        little = array.dtype.newbyteorder("<")
        if little not in _NAMES:
            raise TypeError(f"{where} cannot be written: an array of {array.dtype}; expected numbers or booleans.")
        # in the same order as now, for the last bits of products depend on it
        columns_first = (
            array.ndim == 2 and not array.flags.c_contiguous and abs(array.strides[0]) < abs(array.strides[1])
        )
        place = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        if place not in self._names:
            self._kept.append(array)
            name = self._names[place] = f"{len(self.tensors):04d}.{where.split('.', 1)[-1]}"
            plain = np.asarray(array).T if columns_first else np.asarray(array)
            self.tensors[name] = np.ascontiguousarray(plain, dtype=little).reshape(plain.shape)
            self.dtypes[name] = _NAMES[little]
        return {"array": self._names[place], **({"order": "F"} if columns_first else {})}

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        name = type(value).__name__
        if id(value) in self._numbers:
            return {"same": self._numbers[id(value)]}
        self._kept.append(value)
        if isinstance(value, BaseEstimator):
            node = {"object": name, **self._estimator(value)}
        else:
            state = value._asdict() if hasattr(value, "_fields") else value.__getstate__()
            node = {"object": name, "state": {n: self.encode(v, f"{where}.{n}") for n, v in state.items()}}
        self._numbers[id(value)] = len(self._numbers)
        return node

    def _estimator(self, estimator: BaseEstimator) -> dict[str, Any]:
        name = type(estimator).__name__
        parameters = estimator.get_params(deep=False)
        fitted = {n: v for n, v in estimator.__getstate__().items() if n not in parameters}
        if fitted.pop(_CALLBACKS, None):
            raise TypeError(f"{name}: callbacks cannot be written; take them off before: estimator.set_callbacks().")
        node: dict[str, Any] = {
            "params": {n: self.encode(v, f"{name}: the parameter {n!r}") for n, v in parameters.items()}
        }
        if output := fitted.pop(_OUTPUT_CONFIG, None):
            node["output"] = self.encode(output, f"{name}.set_output")
        if requests := fitted.pop(_REQUESTS, None):
            asked = {method: getattr(requests, method).requests for method in _methods(requests)}
            node["requests"] = self.encode({m: dict(r) for m, r in asked.items() if r}, f"{name}.metadata_request")
        try:
            check_state(type(estimator), fitted)
        except ValueError as error:
            raise TypeError(f"{error}; attributes that were set by hand cannot be written.") from None
        if fitted:
            try:
                estimator._check_fitted()  # as `load` does, when it is too late
            except ValueError as error:
                raise ValueError(
                    f"{name} cannot be written, for nothing could open it again: {error}. Attributes were changed after"
                    " fit; fit again."
                ) from error
        node["state"] = {n: self.encode(v, f"{name}.{n}") for n, v in fitted.items()}
        return node


class Reader:
    """Decodes what a `Writer` encoded; ValueError or TypeError says what is wrong with it.

    Parameters
    ----------
    tensors : dict of str to ndarray

    Attributes
    ----------
    unused : set of str
        Names of tensors that nothing has asked for.
    """

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors, self.unused = tensors, set(tensors)
        self._objects: list[Any] = []
        self._matrices: dict[str, Any] = {}

    def decode(self, node: Any) -> Any:
        """Return the value of a node."""
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        kind = next(iter(node), None)
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is None or not set(node) <= read[1]:
            raise ValueError(f"expected a value, got an object of {sorted(node)!s:.80}")
        return read[0](self, node)

    def _float(self, node: dict) -> float:
        if node["float"] not in ("nan", "inf", "-inf"):
            raise ValueError(f"expected 'nan', 'inf' or '-inf', got {node['float']!r:.40}")
        return float(node["float"])

    def _items(self, node: dict) -> Any:
        ((name, items),) = node.items()
        if not isinstance(items, list):
            raise ValueError(f"expected the items of a {name} as a list")
        make = {name: make for make, name in _CONTAINERS.items()}[name]
        return make(self.decode(item) for item in items)

    def _dict(self, node: dict) -> dict:
        pairs = node["dict"]
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise ValueError("expected a dict as a list of keys and values")
        found = {self.decode(key): self.decode(value) for key, value in pairs}
        if len(found) < len(pairs):
            raise ValueError("a key of a dict occurs twice")
        return found

    def _array(self, node: dict) -> np.ndarray:
        name = node["array"]
        if not isinstance(name, str) or name not in self.tensors or node.get("order", "F") != "F":
            raise ValueError(f"expected the name of a tensor, got {name!r:.60}")
        self.unused.discard(name)
        return self.tensors[name].T if "order" in node else self.tensors[name]

    def _values(self, node: dict) -> np.ndarray:
        parts = [self.decode(part) for part in node["values"]]
        if len(parts) != 3 or not all(
            isinstance(p, np.ndarray) and p.ndim == 1 and p.dtype.kind in "iu" for p in parts
        ):
            raise ValueError("expected the types, lengths and bytes of strings")
        types, lengths, text = parts
        dtype, shape = np.dtype(str(node["dtype"])), tuple(node["shape"])
        if dtype.kind not in "OUS" or len(types) != len(lengths) or (len(lengths) and lengths.min() < 0):
            raise ValueError("expected an array of strings or objects")
        if dtype.kind != "O" and dtype.itemsize * len(types) > max(_LEAST_WIDE, _MOST_EXPANSION * len(text)):
            raise ValueError(f"{len(types)} strings of {len(text)} bytes as {dtype}")
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        values = decode_keys(types, offsets, text.astype(np.uint8).tobytes(), canonical=False)
        return np.fromiter(values, dtype=object, count=len(values)).reshape(shape).astype(dtype)

    def _scalar(self, node: dict) -> np.generic:
        return _dtype(node["dtype"]).type(self.decode(node["scalar"]))

    def _sparse(self, node: dict) -> Any:
        # what was one matrix is one again
        place = json.dumps(node, sort_keys=True)
        if place not in self._matrices:
            self._matrices[place] = self._sparse_matrix(node)
        return self._matrices[place]

    def _sparse_matrix(self, node: dict) -> Any:
        # copies of their own: scipy sorts indices in place, which another name of the same array must not feel
        data, indices, indptr = (np.array(self.decode(part)) for part in node["sparse"])
        kinds = data.dtype.kind + indices.dtype.kind + indptr.dtype.kind
        if kinds != "fii" or data.dtype.itemsize < 4 or any(part.ndim != 1 for part in (data, indices, indptr)):
            raise ValueError("expected the numbers, indices and starts of a sparse matrix")
        # scipy's own check leaves out a matrix whose last start is negative, and reads beyond its arrays
        if (
            not len(indptr)
            or indptr[0] != 0
            or (np.diff(indptr) < 0).any()
            or not indptr[-1] == len(indices) == len(data)
        ):
            raise ValueError("expected starts of a sparse matrix that rise from 0 to the number of its entries")
        if node["class"] not in ("csr_array", "csc_array", "csr_matrix", "csc_matrix"):
            raise ValueError(f"expected a class of sparse matrices, got {node['class']!r:.40}")
        shape = tuple(node["shape"])
        made = getattr(sparse, node["class"])((data, indices, indptr), shape=shape)
        made.check_format(full_check=True)
        return made

    def _random_state(self, node: dict) -> np.random.RandomState:
        state = tuple(self.decode(part) for part in node["random_state"])
        random_state = np.random.RandomState(0)
        if len(state) != 5 or state[0] != "MT19937" or not 0 <= state[2] <= 624:
            raise ValueError("expected the state of a RandomState")
        random_state.set_state(state)
        return random_state

    def _same(self, node: dict) -> Any:
        number = node["same"]
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise ValueError(f"expected the number of one of {len(self._objects)} objects, got {number!r:.40}")
        return self._objects[number]

    def _object(self, node: dict) -> Any:
        name, state = node["object"], node.get("state")
        cls = registered(name) if isinstance(name, str) else None
        if cls is None:
            raise ValueError(f"there is no class {name!r:.60} in this version of skembed")
        if not isinstance(state, dict):
            raise ValueError(f"{name}: expected its state")
        made: Any
        if issubclass(cls, BaseEstimator):
            made = self._estimator(cls, node, state)
        else:
            if set(node) != {"object", "state"}:
                raise ValueError(f"{name}: expected its state alone, got {sorted(node)!s:.80}")
            values = {n: self.decode(v) for n, v in state.items()}
            if hasattr(cls, "_fields"):
                check_state(cls, values, cls._fields)
                made = cls(**values)
            else:
                made = object.__new__(cls)
                made.__setstate__(values)
        self._objects.append(made)
        return made

    def _estimator(self, cls: Any, node: dict, state: dict) -> BaseEstimator:
        params = node.get("params")
        known = cls._get_param_names()
        if not isinstance(params, dict) or not set(params) <= set(known):
            raise ValueError(f"{cls.__name__}: expected the parameters {known}, got {sorted(params or ())!s:.200}")
        estimator = cls(**{n: self.decode(v) for n, v in params.items()})
        estimator._validate_params()  # as `fit` does
        if "output" in node:
            output = self.decode(node["output"])
            if not isinstance(output, dict) or not output.keys() <= {"transform"}:
                raise ValueError(f"expected the container that transform returns, got {output!r:.60}")
            estimator.set_output(**output)
        if "requests" in node:
            estimator._metadata_request = _requests(estimator, self.decode(node["requests"]))
        fitted = {n: self.decode(v) for n, v in state.items()}
        check_state(cls, fitted)
        estimator.__dict__.update(fitted)
        if fitted:
            estimator._check_fitted()
        return estimator


_READERS: dict[str, tuple[Any, set[str]]] = {
    "float": (Reader._float, {"float"}),
    **{name: (Reader._items, {name}) for name in _CONTAINERS.values()},
    "dict": (Reader._dict, {"dict"}),
    "array": (Reader._array, {"array", "order"}),
    "values": (Reader._values, {"values", "dtype", "shape"}),
    "scalar": (Reader._scalar, {"scalar", "dtype"}),
    "dtype": (lambda reader, node: _dtype(node["dtype"]), {"dtype"}),
    "type": (lambda reader, node: _dtype(node["type"]).type, {"type"}),
    "path": (lambda reader, node: Path(node["path"]), {"path"}),
    "sparse": (Reader._sparse, {"sparse", "shape", "class"}),
    "random_state": (Reader._random_state, {"random_state"}),
    "object": (Reader._object, {"object", "state", "params", "output", "requests"}),
    "same": (Reader._same, {"same"}),
}


def _dtype(name: Any) -> np.dtype:
    found = next((dtype for dtype in DTYPES.values() if dtype.name == name), None)
    if found is None:
        raise ValueError(f"expected the name of a numeric type, got {name!r:.40}")
    return found.newbyteorder("=")


def _methods(requests: Any) -> list[str]:
    return [name for name, value in vars(requests).items() if hasattr(value, "requests")]


def _requests(estimator: BaseEstimator, asked: Any) -> Any:
    """The metadata that an estimator asks for, as scikit-learn keeps it: method -> name -> request."""
    requests = estimator._get_metadata_request()
    if not isinstance(asked, dict) or not set(asked) <= set(_methods(requests)):
        raise ValueError(f"expected requests of metadata, got {asked!r:.80}")
    for method, names in asked.items():
        for name, request in dict(names).items():
            if not isinstance(name, str) or not isinstance(request, bool | str | None):
                raise ValueError(f"expected a request of metadata, got {name!r:.40}: {request!r:.40}")
            getattr(requests, method).add_request(param=name, alias=request)
    return requests
