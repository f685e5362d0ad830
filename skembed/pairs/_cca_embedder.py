"""Two kinds of things in one space, by regularized canonical correlations."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skembed.base import EmbeddingTransformer
from skembed.data.columns import filled, read_columns
from skembed.data.matrix import FLOATS, check_finite, naming_no_numbers, read_finite_matrix, summable
from skembed.state import stored
from skembed.training.callbacks import whole_or_nothing
from skembed.training.canonical import CanonicalSettings, learn_canonical
from skembed.training.whitening import dense, slices

__all__ = ["CCAEmbedder"]


@stored
class CCAEmbedder(ClassNamePrefixFeaturesOutMixin, EmbeddingTransformer):
    """Embed two kinds of things in one space, where what belongs together is near: images and names, two languages.

    Canonical correlations [1]_ with shrunk covariances [2]_, in closed form. Nearest neighbours by cosine, or by CSLS
    where hubs are in the way, then translate one kind into the other: see `EmbeddingTable.nearest`.

    Parameters
    ----------
    embedding_dim : int or None, default=None
        Dimensions; fewer where there are not so many. None takes all that the pairs have: at most as many as either
        side has columns, and one less than there are pairs. They come by falling canonical correlation of the shrunk
        covariances, so that the first of them are an embedding, too.
    shrinkage : float or "auto", default="auto"
        s of both covariances, (1 - s) S + s mu I with mu the mean variance: 0 is canonical correlation analysis, 1
        partial least squares. "auto" chooses it by how well partners of held-out rows are found; see Notes.

    Attributes
    ----------
    correlations_ : ndarray of shape (dim,)
        Correlation of each dimension of both sides on the pairs of `fit`, which need not fall where covariances were
        shrunk. With few pairs all are near 1; `trials_` says what they are worth.
    shrinkage_ : float
    trials_ : list of tuple (shrinkage, power, score)
        What "auto" tried: weights of dimensions are their canonical correlations to this power, and the score is the
        mean reciprocal rank of held-out partners. Empty where `shrinkage` is given, pairs are fewer than 20, or a side
        has a single direction.
    x_rotations_ : ndarray of shape (n_features_in_, dim)
        ``(X - x_mean_) @ x_rotations_`` is what `transform` returns.
    y_rotations_ : ndarray of shape (n_targets_, dim)
    y_loadings_ : ndarray of shape (n_targets_, dim)
        ``transform(X) @ y_loadings_.T + y_mean_`` is what `predict` returns.
    x_mean_, y_mean_ : ndarray of shape (n_features_in_,) and (n_targets_,)
    n_targets_ : int
        Columns of y.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    sklearn.cross_decomposition.CCA : Without shrinkage, by iteration, one dimension after the other.
    EmbeddingTable.align_to : Orthogonal Procrustes, for two tables of the same keys.
    skembed.inspection.hubness : Whether few rows are the nearest ones of many.

    Notes
    -----
    "auto" holds out a fifth of the pairs at a time, five times, and with up to 300 pairs in three different ways; rows
    that share their X or their y stay together, as several captions of a picture do, unless there are fewer than 20
    kinds of them or the kinds are classes, one-hot, which say nothing of each other. For each held-out row the rank of
    its partner among the held-out ones is looked at, both ways, by cosine. Of the settings that are no worse than the
    best one by more than a standard error and a hundredth, the one with the most shrinkage is taken. Where a side has a
    single direction, shrinkage is that of a ridge regression by generalized cross-validation.

    A canonical variate has variance 1, however little of its side it makes up. Each dimension is therefore multiplied,
    on both sides alike, by the spread that goes with it (the mean of both sides) and by a power of its canonical
    correlation, as Artetxe et al. [3]_ do by whitening, reweighing and dewhitening. Cosines say more by it.

    Both sides are centred and otherwise taken as they are. Columns of different units are to be scaled before; rows
    whose length means nothing, as of word vectors, may be normalized before.

    Time grows with the third power of the number of rows or of the columns of a side, whichever is less. Sparse
    matrices stay sparse.

    References
    ----------
    .. [1] Hotelling (1936), "Relations between two sets of variates".
    .. [2] Vinod (1976), "Canonical ridge and econometrics of joint production".
    .. [3] Artetxe, Labaka & Agirre (2018), "Generalizing and improving bilingual word embedding mappings with a
       multi-step framework of linear transformations".

    Examples
    --------
    >>> import numpy as np
    >>> from skembed import CCAEmbedder
    >>> rng = np.random.default_rng(0)
    >>> meaning = rng.normal(size=(200, 4))
    >>> X = meaning @ rng.normal(size=(4, 8)) + 0.1 * rng.normal(size=(200, 8))
    >>> Y = meaning @ rng.normal(size=(4, 5)) + 0.1 * rng.normal(size=(200, 5))
    >>> embedder = CCAEmbedder().fit(X[:150], Y[:150])
    >>> left, right = embedder.transform(X[150:], Y[150:])
    >>> cosines = left @ right.T / np.linalg.norm(right, axis=1)
    >>> float((cosines.argmax(axis=1) == np.arange(50)).mean())
    0.98
    """

    _state = {
        "correlations_": np.ndarray, "shrinkage_": float, "trials_": list[tuple[float, float, float]],
        "x_rotations_": np.ndarray, "y_rotations_": np.ndarray, "y_loadings_": np.ndarray, "x_mean_": np.ndarray,
        "y_mean_": np.ndarray, "_y_is_flat": bool, "_y_names": list[str] | None,
    }  # fmt: skip
    _parameter_constraints: dict = {
        "embedding_dim": [Interval(Integral, 1, None, closed="left"), None],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
    }
    _y_is_flat: bool
    _y_names: list[str] | None = None  # which files of before do not have

    def __init__(self, embedding_dim: int | None = None, *, shrinkage: float | str = "auto") -> None:
        self.embedding_dim = embedding_dim
        self.shrinkage = shrinkage

    @whole_or_nothing
    def fit(self, X: Any, y: Any) -> "CCAEmbedder":
        """Learn from pairs.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features)
        y : array-like, sparse matrix or dataframe of shape (n_samples, n_targets) or (n_samples,)
            The other side: row i belongs to row i of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are less than two pairs, a side is constant or not finite, or the numbers of rows differ.
        """
        self._validate_params()
        if y is None:
            raise ValueError(
                "CCAEmbedder requires y to be passed, but the target y is None: it learns from pairs, fit(X, Y)."
            )
        read = read_finite_matrix(self, X, reset=True, ensure_min_samples=2)
        other, flat, names = self._read_y(y)
        check_consistent_length(read, other)
        maps = learn_canonical(read, other, CanonicalSettings(self.embedding_dim, self.shrinkage))
        self.x_mean_, self.x_rotations_ = maps.x_mean, maps.x_rotations
        self.y_mean_, self.y_rotations_, self.y_loadings_ = maps.y_mean, maps.y_rotations, maps.y_loadings
        self.correlations_, self.shrinkage_ = maps.correlations, maps.shrinkage
        self.trials_ = [tuple(trial) for trial in maps.trials]
        self._y_is_flat, self._y_names = flat, names
        return self

    def transform(self, X: Any, y: Any = None) -> Any:
        """Return the vectors of one side, or of both.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features), or None
            None, where only `y` is to be embedded.
        y : array-like, sparse matrix or dataframe of shape (n_samples, n_targets), default=None
            Need not have as many rows as X, nor belong to them.

        Returns
        -------
        ndarray of shape (n_samples, dim), or a tuple of two
            The vectors of X; of X and of y where both are given; those of y where X is None. float32 for float32.

        Raises
        ------
        ValueError
            If a side has another number of columns than in `fit`, or columns of other names, or is not finite.
        """
        check_is_fitted(self)
        if X is None and y is None:
            raise ValueError("transform needs X, or y, or both; got neither.")
        x_vectors = None if X is None else _mapped(self._read_x(X), self.x_mean_, self.x_rotations_)
        if y is None:
            return x_vectors
        other, _, names = self._read_y(y)
        self._check_y(other, names)
        y_vectors = _mapped(other, self.y_mean_, self.y_rotations_)
        return y_vectors if x_vectors is None else (x_vectors, y_vectors)

    def fit_transform(self, X: Any, y: Any) -> Any:
        """Learn from pairs, and return the vectors of both sides, as `sklearn.cross_decomposition` does.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        tuple of ndarray, each of shape (n_samples, dim)
        """
        return self.fit(X, y).transform(X, y)

    def predict(self, X: Any) -> np.ndarray:
        """Return the other side that rows of X are expected to have: a ridge regression on the dimensions.

        Its penalty is chosen by generalized cross-validation, whatever `shrinkage` is; without shrinkage there is none.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_targets), or (n_samples,) if y was, float64
        """
        check_is_fitted(self)
        read = self._read_x(X)
        out = _mapped(read, self.x_mean_, self.x_rotations_) @ self.y_loadings_.T
        out += self.y_mean_  # float32 would lose the digits of a y that is far from 0
        return out[:, 0] if self._y_is_flat else out

    @property
    def n_targets_(self) -> int:
        """Columns of y."""
        check_is_fitted(self)
        return len(self.y_mean_)

    def _read_x(self, X: Any) -> Any:
        return read_finite_matrix(self, X, reset=False)

    def _read_y(self, y: Any) -> tuple[Any, bool, list[str] | None]:
        """Return y as a float matrix, whether it was one number a row, and the names of its columns if it has any."""
        y, columns = summable(filled(y)), None
        if not isinstance(y, np.ndarray) and not sparse.issparse(y) and len(getattr(y, "shape", ())) == 2:
            columns = read_columns(y, estimator=self)
        names = None if columns is None else columns.names
        with naming_no_numbers(y, "y", columns=columns):
            matrix = check_array(
                y, accept_sparse=("csr", "csc"), dtype=FLOATS, order="C", ensure_2d=False, ensure_all_finite=False,
                estimator=self, input_name="y",
            )  # fmt: skip
        flat = matrix.ndim == 1
        matrix = matrix.reshape(-1, 1) if flat else matrix
        check_finite(matrix, "y", names, type(self).__name__)
        return matrix, flat, names

    def _check_y(self, y: Any, names: list[str] | None) -> None:
        """Raise ValueError where y has other columns than in `fit`."""
        if y.shape[1] != self.n_targets_:
            raise ValueError(f"y has {y.shape[1]} columns, but CCAEmbedder was fitted with {self.n_targets_}.")
        if names is None or self._y_names is None or names == self._y_names:
            return
        place = next(i for i, (name, known) in enumerate(zip(names, self._y_names)) if name != known)
        raise ValueError(
            f"column {place} of y is {names[place]!r}, and {self._y_names[place]!r} in `fit`; expected the same "
            "columns in the same order."
        )

    def _check_fitted(self) -> None:
        p, q, dim = self.n_features_in_, len(self.y_mean_), len(self.correlations_)
        shapes = {
            "correlations_": (dim,), "x_mean_": (p,), "y_mean_": (q,), "x_rotations_": (p, dim),
            "y_rotations_": (q, dim), "y_loadings_": (q, dim),
        }  # fmt: skip
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError(f"expected {name} to be finite float64 of shape {shape}, got shape {array.shape}")
        if dim < 1 or not 0 <= self.shrinkage_ <= 1 or (self._y_is_flat and q != 1):
            raise ValueError("expected a dimension at least, and a shrinkage from 0 to 1")
        if self._y_names is not None and len(self._y_names) != q:
            raise ValueError(f"expected a name for each of {q} columns of y, or none")

    @property
    def _n_features_out(self) -> int:
        return self.x_rotations_.shape[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _mapped(X: Any, mean: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Return ``(X - mean) @ rotations`` in the dtype of X, a block of rows at a time."""
    out = np.empty((X.shape[0], rotations.shape[1]), dtype=X.dtype)
    for rows in slices(*X.shape):
        out[rows] = (dense(X[rows]) - mean) @ rotations
    return out
