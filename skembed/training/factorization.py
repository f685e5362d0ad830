"""Factorization of the positive pointwise mutual information of keys that share sequences, by randomized SVD.

Levy & Goldberg 2014 show that skip-gram with negative sampling factorizes such a matrix implicitly; here it is done at
once. Subspace iteration follows Halko, Martinsson & Tropp 2011, algorithm 4.4. Threads own rows of the matrix and of
the tables, so their number changes no bit.
"""

from dataclasses import dataclass

import numpy as np

from skembed.data.ragged import Ragged
from skembed.kernels.ppmi import count_partners, multiply, write_ppmi
from skembed.kernels.simd import SIMD_WIDTH, aligned_zeros
from skembed.memory import check_memory
from skembed.parallel import Workers, open_workers
from skembed.threads import one_blas_thread
from skembed.training.run import Run
from skembed.training.sparse import even_parts

__all__ = ["PPMISettings", "factorize_ppmi"]

N_HISTOGRAM = 64
PLACE_BYTES = 12  # of a pair: its column, and its value in the matrix and in the transpose


@dataclass(frozen=True)
class PPMISettings:
    """Settings of `factorize_ppmi`.

    Attributes
    ----------
    embedding_dim : int
    context_exponent : float
        Contexts are smoothed by this power of their counts (Levy, Goldberg & Dagan 2015, section 3.1).
    eigenvalue_exponent : float
        Singular values are raised to it; a half shares them between keys and contexts.
    n_oversamples, n_power_iter : int
        Further random directions, and passes of subspace iteration.
    memory_limit : int
        Bytes that the matrix may take: where all pairs take more, those that share the fewest sequences are left out.
    """

    embedding_dim: int
    context_exponent: float = 0.75
    eigenvalue_exponent: float = 0.5
    n_oversamples: int = 16
    n_power_iter: int = 1
    memory_limit: int = 2**31


class _Matrix:
    """The matrix and its transpose, rows owned by threads."""

    def __init__(self, rows: Ragged, n_keys: int, settings: PPMISettings, workers: Workers) -> None:
        self.n_keys, self.workers = n_keys, workers
        by_key = rows.transposed(n_keys)
        lengths = np.diff(rows.indptr)
        # pairs of each key: the other keys of its sequences
        before = np.concatenate([[0], np.cumsum(lengths[by_key.indices] - 1)])
        marginals = before[by_key.indptr[1:]] - before[by_key.indptr[:-1]]
        self.parts = even_parts(marginals)
        arrays = rows.indptr, rows.indices, by_key.indptr, by_key.indices
        n_partners = np.zeros(n_keys, np.int64)
        histograms = np.zeros((len(self.parts), N_HISTOGRAM), np.int64)

        def count(least: int) -> None:
            histograms[:] = 0
            workers.map(
                count_partners,
                [
                    (*arrays, *part, least, *self._workspace(), histogram, n_partners)
                    for part, histogram in zip(self.parts, histograms)
                ],
            )

        least = 1
        np.minimum(marginals, n_keys - 1, out=n_partners)
        if n_partners.sum() * PLACE_BYTES > settings.memory_limit:
            count(1)
            least = _least_count(histograms.sum(axis=0), settings.memory_limit)
            if least > 1:
                count(least)
        self.starts = np.concatenate([[0], np.cumsum(n_partners)])[:-1]
        n_places = int(n_partners.sum())
        check_memory(n_places * PLACE_BYTES, f"{n_places} pairs of levels that occur together", "raise min_frequency")
        self.columns = np.empty(n_places, np.int32)
        self.values, self.transposed = np.empty(n_places, np.float32), np.empty(n_places, np.float32)
        self.lengths = np.zeros(n_keys, np.int64)
        log_marginals = np.log(np.maximum(marginals, 1))
        log_smoothed = settings.context_exponent * log_marginals
        log_total = float(np.log(np.exp(log_smoothed)[marginals > 0].sum()))

        logs = log_marginals, log_smoothed, log_total
        written = self.starts, self.columns, self.values, self.transposed, self.lengths
        workers.map(write_ppmi, ((*arrays, *part, *logs, least, *self._workspace(), *written) for part in self.parts))

    def product(self, table: np.ndarray, *, transposed: bool) -> np.ndarray:
        """Return the product of the matrix, or of its transpose, and a table, float32 (n_keys, width)."""
        padded = aligned_zeros(len(table), -(-table.shape[1] // SIMD_WIDTH) * SIMD_WIDTH)
        padded[:, : table.shape[1]] = table
        out = aligned_zeros(*padded.shape)
        values = self.transposed if transposed else self.values
        matrix = self.starts, self.lengths, self.columns, values
        self.workers.map(multiply, [(*matrix, padded, *part, out) for part in self.parts])
        return out[:, : table.shape[1]]

    def _workspace(self) -> tuple[np.ndarray, np.ndarray]:
        """Return zeros, and room for the partners of a key."""
        return np.zeros(self.n_keys, np.int32), np.empty(self.n_keys, np.int32)


def factorize_ppmi(rows: Ragged, n_keys: int, settings: PPMISettings, run: Run) -> np.ndarray:
    """Learn a vector for each key from the keys that it shares sequences with.

    Parameters
    ----------
    rows : Ragged
        A key occurs at most once in a sequence.
    n_keys : int
    settings : PPMISettings
    run : Run

    Returns
    -------
    ndarray of shape (n_keys, dim), float32
        The left singular vectors times a power of their values, by falling value; `dim` is less than `embedding_dim`
        where the matrix has not so many directions. Keys in no pair are zero.
    """
    rng = np.random.default_rng(run.seed)
    # matrices of the sizes met here: one thread of BLAS gives the same bits on every machine of a kind
    with one_blas_thread(), open_workers(run.n_jobs, threads=True) as workers:
        matrix = _Matrix(rows, n_keys, settings, workers)
        width = min(settings.embedding_dim + settings.n_oversamples, n_keys)
        basis = rng.standard_normal((n_keys, width), dtype=np.float32)
        for _ in range(settings.n_power_iter):
            basis = _orthonormal(matrix.product(basis, transposed=False))
            basis = _orthonormal(matrix.product(basis, transposed=True))
        basis = _orthonormal(_orthonormal(matrix.product(basis, transposed=False)))
        small = matrix.product(basis, transposed=True).astype(np.float64)  # (basis' M)'
        values, vectors = np.linalg.eigh(small.T @ small)
        values, vectors = np.sqrt(np.maximum(values[::-1], 0.0)), vectors[:, ::-1]
        kept = (values > 1e-5 * max(values[0], 1e-30))[: settings.embedding_dim].sum()
        found = basis @ vectors[:, :kept] * values[:kept] ** settings.eigenvalue_exponent
    found *= np.where(found[np.abs(found).argmax(axis=0), np.arange(kept)] < 0, -1.0, 1.0)  # a sign of its own
    return found.astype(np.float32)


def _orthonormal(table: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the columns, float64; once more where it has to be so to rounding.

    Directions that are lost to rounding become zero.
    """
    basis = table.astype(np.float64)
    values, vectors = np.linalg.eigh(basis.T @ basis)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    return basis @ (vectors[:, kept] / np.sqrt(values[kept]))


def _least_count(histogram: np.ndarray, memory_limit: int) -> int:
    """Return from how many sequences in common on pairs are kept, so that they fit the memory."""
    n_places = np.cumsum(histogram[::-1])[::-1]
    fits = np.flatnonzero(n_places * PLACE_BYTES <= memory_limit)
    return int(fits[0]) + 1 if len(fits) else len(histogram)
