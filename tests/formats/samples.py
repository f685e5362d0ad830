"""Small files of every format, built byte by byte from the formats' descriptions, not by the writers under test."""

import bz2
import copy
import gzip
import io
import lzma
import struct
import zipfile

import numpy as np

from skembed import EmbeddingTable
from skembed.table import SubwordTable
from skembed.table.subwords import Subwords

WORDS = ["the", "Köln", "of", "naïve", "日本"]
RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((len(WORDS), 4)).astype(np.float32)


def text(words=WORDS, vectors=VECTORS, *, header=True, end="\n", separator=" "):
    lines = [separator.join([word, *(repr(float(x)) for x in row)]) for word, row in zip(words, vectors)]
    if header:
        lines.insert(0, f"{len(words)} {len(vectors[0])}")
    return (end.join(lines) + end).encode()


def word2vec_binary(words=WORDS, vectors=VECTORS, *, newline=b""):
    head = f"{len(words)} {len(vectors[0])}\n".encode()
    return head + b"".join(w.encode() + b" " + v.astype("<f4").tobytes() + newline for w, v in zip(words, vectors))


def matrix(rows):
    return struct.pack("<2q", *rows.shape) + rows.astype("<f4").tobytes()


def quantiser(dim, part_dim, centroids):
    n_parts = -(-dim // part_dim)
    return struct.pack("<4i", dim, n_parts, part_dim, dim % part_dim or part_dim) + centroids.astype("<f4").tobytes()


def quantised(codes, dim, part_dim, centroids, norm_codes=None, norms=None):
    head = struct.pack("<B2qi", norm_codes is not None, len(codes), dim, codes.size)
    body = head + codes.astype("u1").tobytes() + quantiser(dim, part_dim, centroids)
    return body if norms is None else body + norm_codes.astype("u1").tobytes() + quantiser(1, 1, norms)


def fasttext(
    words=WORDS, own=VECTORS, ngrams=None, *, version=12, model=2, minn=3, maxn=6, bucket=None, labels=(), pruned=None,
    quantised_input=None, counts=None, output=None,
):  # fmt: skip
    """A model file; `version` 0 is the oldest, without magic number."""
    dim = own.shape[1]
    ngrams = np.zeros((0, dim)) if ngrams is None else ngrams
    bucket = len(ngrams) if bucket is None else bucket
    counts = counts or [1] * len(words)
    settings = (dim, 5, 5, 1, 5, 1, 2, model, bucket, minn, maxn, 100)
    parts = [struct.pack("<2i", 793712314, version)] if version else []
    parts.append(struct.pack("<12id", *settings, 1e-4))
    parts.append(struct.pack("<3iq", len(words) + len(labels), len(words), len(labels), sum(counts)))
    if version:
        parts.append(struct.pack("<q", -1 if pruned is None else len(pruned)))
    entries = [(word, count, 0) for word, count in zip(words, counts)] + [(label, 1, 1) for label in labels]
    for word, count, kind in entries:
        raw = word if isinstance(word, bytes) else word.encode()
        parts.append(raw + b"\0" + struct.pack("<qb", count, kind))
    parts += [struct.pack("<2i", *pair) for pair in (pruned or [])]
    if version:
        parts.append(b"\1" if quantised_input else b"\0")
    parts.append(quantised_input or matrix(np.concatenate([own, ngrams])))
    if version:
        parts.append(b"\0")
    parts.append(matrix(np.zeros((len(labels) or len(words), dim))) if output is None else output)
    return b"".join(parts)


NGRAMS = RNG.standard_normal((20, 4)).astype(np.float32)


def ftz(norms=None):
    """Five words and three n-grams that pruning left, in two parts of three and one columns, with norms."""
    rng = copy.deepcopy(RNG)  # the same file whoever has asked for it before
    codes = rng.integers(0, 256, (8, 2))
    centroids, norm_codes = rng.standard_normal(256 * 4), rng.integers(0, 256, 8)
    norms = rng.random(256) if norms is None else norms
    packed = quantised(codes, 4, 3, centroids, norm_codes, norms)
    return fasttext(
        model=3, labels=["__label__a", "__label__b"], bucket=50, minn=2, maxn=3, pruned=[(7, 2), (3, 0), (31, 1)],
        quantised_input=packed,
    )  # fmt: skip


def npz(keys=WORDS, vectors=VECTORS, *, compressed=False, counts=None):
    file, counted = io.BytesIO(), {} if counts is None else {"counts": np.array(counts)}
    (np.savez_compressed if compressed else np.savez)(file, keys=np.array(keys), vectors=vectors, **counted)
    return file.getvalue()


def csv(counts=None):
    """Without names, or with names, counts, quotes and semicolons."""
    if counts is None:
        return "".join(f"{word},{','.join(map(str, row))}\n" for word, row in zip(WORDS, VECTORS.tolist())).encode()
    lines = [f'"{word}";{count};{";".join(map(str, row))}' for word, count, row in zip(WORDS, counts, VECTORS.tolist())]
    return "\r\n".join(["word;count;0;1;2;3", *lines]).encode()


def zipped(content, name="vectors.txt", method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def native(tmp_path, *, subwords=True):
    table = EmbeddingTable([*WORDS, 7, None], np.ones((7, 4)), unknown=[1, 2, 3, 4])
    if subwords:
        held = Subwords(NGRAMS, min_n=3, max_n=6, n_buckets=40, buckets=np.arange(0, 40, 2), absent="zero")
        table = SubwordTable.from_rows(WORDS, VECTORS, held, counts=np.arange(5))
    table.save(tmp_path / "native")
    return (tmp_path / "native").read_bytes()


def parquet():
    pa = __import__("pytest").importorskip("pyarrow")
    import pyarrow.parquet

    file = io.BytesIO()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), 4)
    pyarrow.parquet.write_table(pa.table({"key": WORDS, "vector": vectors}), file)
    return file.getvalue()


COMPRESSIONS = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}
