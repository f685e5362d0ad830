"""Vectors laid out in the plane or in space, and how much of their structure the layout keeps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skembed.inspection._neighborhood import trustworthiness

METHODS = ("pca", "tsne", "umap", "mds", "isomap")
NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP", "mds": "MDS", "isomap": "Isomap"}
# Points that a method lays out in about a minute on one core, where there are no more than that many.
MAX_POINTS = {"pca": 100_000, "umap": 50_000, "tsne": 10_000, "isomap": 2_000, "mds": 1_000}
MAX_POINTS_OF_OTHERS = 10_000
# All pairwise distances, several times over, in float64: 10,000 points are some 3 GB.
_MAX_PAIRED = 10_000
_N_COMPONENTS_FIRST = 50  # more than these only slow down t-SNE (van der Maaten & Hinton 2008, section 4.2)
_MAX_COVARIANCE = 4_096  # beyond so many components the covariance matrix itself is the cost
_BLOCK_ROWS = 65_536
_ROUNDING = 1e-12
_ALL_JUDGED = 2_000
_SAMPLE = 1_000  # of more points, those whose neighbours are looked at
_N_NEIGHBORS = 10


@dataclass(frozen=True)
class Layout:
    """Where the points lie.

    Attributes
    ----------
    coordinates : float64 array of shape (n_points, dim)
    name : str
        Of the method, as a caption has it.
    variance_share : float or None
        Share of the variance of the vectors that the layout holds; None unless it is linear.
    """

    coordinates: np.ndarray
    name: str
    variance_share: float | None = None


def principal_plane(vectors, weights=None, dim=2):
    """First principal components.

    Parameters
    ----------
    vectors : array of shape (n_points, embedding_dim)
    weights : array of shape (n_points,), default=None
        What each point counts; None: all the same.
    dim : int, default=2

    Returns
    -------
    coordinates : float64 array of shape (n_points, dim)
        Columns beyond embedding_dim are zero. Each axis points to where its largest loading is positive.
    share : float
        Share of the (weighted) variance that they hold.
    """
    n = len(vectors)
    weights = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    mean = sum(weights[block] @ vectors[block].astype(np.float64) for block in _blocks(n))
    axes, variances = _principal_axes(vectors, weights, mean, dim)
    # a sign that does not depend on the linear algebra library
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    coordinates = np.zeros((n, dim))
    for block in _blocks(n):
        coordinates[block, : axes.shape[1]] = (vectors[block].astype(np.float64) - mean) @ axes
    total = sum(float(weights[b] @ ((vectors[b].astype(np.float64) - mean) ** 2).sum(axis=1)) for b in _blocks(n))
    if total <= _ROUNDING**2 * (mean @ mean):  # all the same, but for rounding, which is no structure to look at
        return np.zeros((n, dim)), 1.0
    return coordinates, min(1.0, float(variances.sum() / total))


def _principal_axes(vectors, weights, mean, dim):
    embedding_dim = vectors.shape[1]
    if embedding_dim > _MAX_COVARIANCE:
        from sklearn.utils.extmath import randomized_svd

        scaled = (vectors.astype(np.float64) - mean) * np.sqrt(weights)[:, None]
        _, singular, rows = randomized_svd(scaled, dim, random_state=0)
        return rows.T, singular**2
    covariance = np.zeros((embedding_dim, embedding_dim))
    for block in _blocks(len(vectors)):
        centred = vectors[block].astype(np.float64) - mean
        covariance += (centred * weights[block, None]).T @ centred
    variances, axes = np.linalg.eigh(covariance)
    return axes[:, ::-1][:, :dim], variances[::-1][:dim].clip(0)


def _blocks(n):
    return [slice(start, min(start + _BLOCK_ROWS, n)) for start in range(0, n, _BLOCK_ROWS)]


def lay_out(vectors: np.ndarray, method: Any, dim: int, random_state: Any) -> Layout:
    """Lay out the rows of float32 `vectors` by a method of `METHODS` or a transformer with `fit_transform`."""
    if not isinstance(method, str):
        return _by_transformer(vectors, method, dim)
    if method != "pca" and len(vectors) < 4:
        raise ValueError(f"method={method!r} needs at least 4 points, got {len(vectors)}; method='pca' takes any.")
    if method == "pca":
        coordinates, share = principal_plane(vectors, dim=dim)
        return Layout(coordinates, NAMES[method], share)
    if method in ("mds", "isomap") and len(vectors) > _MAX_PAIRED:
        raise ValueError(
            f"method={method!r} holds all distances between points: {len(vectors):,} points would take "
            f"{4 * 8 * len(vectors) ** 2 / 1e9:,.0f} GB. Pass max_points={_MAX_PAIRED} or fewer, or method='pca'."
        )
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    coordinates = {"tsne": _tsne, "umap": _umap, "mds": _mds, "isomap": _isomap}[method](vectors, dim, seed)
    return Layout(np.asarray(coordinates, dtype=np.float64), NAMES[method])


def _by_transformer(vectors, transformer, dim):
    coordinates = np.asarray(transformer.fit_transform(vectors), dtype=np.float64)
    if coordinates.shape != (len(vectors), dim):
        raise ValueError(
            f"method={transformer!r} must give an array of shape ({len(vectors)}, {dim}), as dim={dim} asks, "
            f"got {coordinates.shape}; set its n_components to {dim}."
        )
    return Layout(coordinates, type(transformer).__name__)


def _tsne(vectors, dim, seed):
    from sklearn.manifold import TSNE

    if vectors.shape[1] > _N_COMPONENTS_FIRST:
        vectors = principal_plane(vectors, dim=_N_COMPONENTS_FIRST)[0].astype(np.float32)
    start = principal_plane(vectors, dim=dim)[0]
    start *= 1e-4 / max(start[:, 0].std(), 1e-12)  # as small as the method's authors start it
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return TSNE(dim, perplexity=perplexity, init=start.astype(np.float32), random_state=seed).fit_transform(vectors)


def _umap(vectors, dim, seed):
    try:
        from umap import UMAP
    except ImportError as error:
        raise ImportError('method="umap" needs umap-learn: pip install "skembed[umap]", or "tsne".') from error
    n_neighbors = min(15, len(vectors) - 1)
    # from a start of its own it needs more points than there are axes
    init = "spectral" if len(vectors) > 4 * dim + 4 else "random"
    return UMAP(n_components=dim, n_neighbors=n_neighbors, init=init, random_state=seed, n_jobs=1).fit_transform(
        vectors
    )


def _mds(vectors, dim, seed):
    from sklearn.manifold import smacof
    from sklearn.metrics import euclidean_distances

    start = principal_plane(vectors, dim=dim)[0]
    distances = euclidean_distances(vectors.astype(np.float64))
    distances = (distances + distances.T) / 2
    return smacof(distances, n_components=dim, init=start, n_init=1, normalized_stress=False, random_state=seed)[0]


def _isomap(vectors, dim, seed):
    from sklearn.manifold import Isomap

    return Isomap(n_components=dim, n_neighbors=min(_N_NEIGHBORS, len(vectors) - 1)).fit_transform(vectors)


@dataclass(frozen=True)
class Trust:
    """Trustworthiness of a layout (Venna & Kaski 2001): 1 where no point has neighbours that are not its own.

    Attributes
    ----------
    value : float
    n_neighbors : int
    n_sampled : int
        Points whose neighbours were looked at.
    """

    value: float
    n_neighbors: int
    n_sampled: int


def measure_trust(vectors: np.ndarray, coordinates: np.ndarray, random_state: Any) -> Trust | None:
    """Trustworthiness, of more than 2,000 points that of 1,000 drawn at random; None for fewer than 5 points."""
    n = len(vectors)
    if n < 5:
        return None
    sample_size = None if n <= _ALL_JUDGED else _SAMPLE
    n_neighbors = min(_N_NEIGHBORS, (n - 1) // 2)
    value = trustworthiness(
        vectors, coordinates, n_neighbors=n_neighbors, sample_size=sample_size, random_state=random_state
    )
    return Trust(value, n_neighbors, sample_size or n)
