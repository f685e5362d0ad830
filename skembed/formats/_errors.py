"""FormatError, the one error of all readers, and what it says of files that hold something else."""

from skembed.data.compression import COMPRESSIONS

_PICKLE = b"\x80"
# for the pickles that gensim saves vectors and models as
GENSIM_RECIPE = """ Vectors of gensim, for example:
    kv = gensim.models.KeyedVectors.load(path)  # of a model: gensim.models.Word2Vec.load(path).wv
    EmbeddingTable(kv.index_to_key, kv.vectors).save("vectors.safetensors")
"""
# first bytes -> what such a file is, and how its vectors come here without a program in it being run
_FOREIGN = {
    _PICKLE: "a pickle",
    b"PK\x03\x04": "a zip archive, as .pt and .npz files are",
    **dict.fromkeys((b"x\x01", b"x^", b"x\x9c", b"x\xda"), "compressed with zlib, as joblib files may be"),
    **{compression.magic: f"compressed with {compression.name}" for compression in COMPRESSIONS},
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a .npy array",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"SQLite format 3\0": "an SQLite database, as those of pymagnitude are",
    b"ARROW1": "an Arrow or Feather file",
    b"FiFu": "a file of finalfusion",
}


class FormatError(ValueError):
    """A file is not what its format says: the message names the file, the place, and what was expected there."""


def foreign_hint(start: bytes) -> str:
    """A sentence on what a file that starts with these bytes is and what to do, or nothing if that cannot be told."""
    for signature, kind in _FOREIGN.items():
        if start.startswith(signature):
            return (
                f" The file looks like {kind}; skembed never unpickles and guesses no format. Open it where it was "
                "made, if you trust it, and pass its keys and vectors to EmbeddingTable(keys, vectors)."
                + (GENSIM_RECIPE if signature == _PICKLE else "")
            )
    return ""
