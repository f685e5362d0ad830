"""Rows as vectors of another space, linear or not: one transformer over scikit-learn's solvers and an autoencoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    check_memory,
)

from skembed.base import EmbeddingTransformer
from skembed.data.columns import check_order
from skembed.data.matrix import FLOATS
from skembed.data.mixed import MixedColumns, MixedRows
from skembed.projection._autoencoder import Codec, fit_codec
from skembed.projection._incremental import Increments, incremental_map, partial_pca
from skembed.projection._inputs import TAKES_SPARSE, read_rows, read_training
from skembed.projection._linear import LinearMap
from skembed.projection._memory import Cache
from skembed.projection._parameters import CONSTRAINTS, check_settings
from skembed.projection._solvers import solve
from skembed.projection._task import NEEDS_Y, Task, check_params
from skembed.state import stored
from skembed.table import EmbeddingTable
from skembed.training.autoencoder import AutoencoderSettings
from skembed.training.callbacks import CallbackSupportMixin, PassCallbacks, with_callbacks
from skembed.training.run import Run, plain_number

__all__ = ["ProjectionEmbedder"]

OF_ONE_METHOD = (  # attributes that a fit by another method must not leave behind
    "projection_",
    "mean_",
    "explained_variance_",
    "explained_variance_ratio_",
    "embeddings_",
    "loss_curve_",
    "validation_scores_",
    "_map",
    "_codec",
    "_increments",
    "_n_rows",
)


def _can_invert(estimator: Any) -> bool:
    if estimator.method in NEEDS_Y:
        raise AttributeError(f"method={estimator.method!r} has no way back from vectors to rows.")
    return True


def _is_incremental(estimator: Any) -> bool:
    if estimator.method != "pca":
        raise AttributeError(f"method={estimator.method!r} cannot learn batch by batch; 'pca' can.")
    return True


def _learn_codec(
    mixed: MixedColumns, rows: MixedRows, task: Task, settings: AutoencoderSettings, *, random_state: Any, run: Run
) -> tuple[Codec, Any]:
    return fit_codec(mixed, rows, replace(task, random_state=random_state), settings, run)


@stored
class ProjectionEmbedder(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, EmbeddingTransformer):
    """Place rows in another space: by a matrix that one of several methods learns, or by an autoencoder.

    The method is one more value of a grid search. For linear methods ``transform(X)`` is
    ``(X - mean_) @ projection_``, whitened or not; and a matrix with a row for each column of X is a table, so that
    columns have vectors too (`embedding_`).

    Parameters
    ----------
    method : {"pca", "lda", "random", "nca", "svd", "autoencoder"}, default="pca"
        - "pca": the directions of greatest variance; of sparse X without making it dense.
        - "lda": the directions in which the classes of y differ most beside their spread; at most n_classes - 1. The
          spread's covariance is shrunk as far as classes of rows held out are told apart best.
        - "random": random directions, which keep distances about as they are (Johnson & Lindenstrauss 1984); any
          number of them.
        - "nca": directions in which rows of one class are each other's neighbours (Goldberger et al. 2004); it needs
          memory for all pairs of rows. Where columns differ in their spread it starts twice, with and without dividing
          by it, and keeps what brings more rows to their class.
        - "svd": like "pca" without centering, for sparse X (latent semantic analysis).
        - "autoencoder": a net that begins as "pca" of the standardised columns and learns what is not linear. Takes
          categorical columns and missing numbers too. Any number of dimensions.
    embedding_dim : int, float or "auto", default="auto"
        Dimensions of the vectors. A float between 0 and 1 is the share of the variance that they keep, for "pca",
        "svd", and by principal components for "nca" and "autoencoder". "auto" is 0.95 of the variance, but at most 512
        dimensions where X has more than 1000 rows and columns; for "lda" as many as the classes allow; for "random"
        `johnson_lindenstrauss_min_dim`, but at most the number of columns.
    whiten : bool, default=False
        Let the output have mean 0 and the identity as its covariance on the training rows, its axes as near as
        possible to those without. Directions without variance stay at 0.
    method_params : dict or None, default=None
        Further parameters of scikit-learn's solver: `PCA`, `LinearDiscriminantAnalysis`, `GaussianRandomProjection`
        (`SparseRandomProjection` if "density" is among them), `NeighborhoodComponentsAnalysis` or `TruncatedSVD`. For
        "lda" with more than priors, scikit-learn's solver learns: ``{"solver": "svd"}`` shrinks nothing.
    categorical_features : "all", "from_dtype" or array-like, default="from_dtype"
        For "autoencoder": the categorical columns: all; those whose dtype is not numeric; or names, positions or a
        mask. The other columns are numbers, and may have missing values.
    min_frequency : int, float or None, default=None
        For "autoencoder": levels in fewer rows (int) or a smaller share of the rows (float) are one level.
    max_categories : int or None, default=None
        For "autoencoder": at most this many levels a column, that of rare ones among them.
    hidden_layer_sizes : tuple of int, default=(256, 128)
        For "autoencoder": hidden layers of the encoder; the decoder has them in reverse.
    max_iter : int, default=100
        Passes of "autoencoder", steps of "nca", at most. With 0 the autoencoder is its linear start.
    batch_size : int or "auto", default="auto"
        For "autoencoder", as all below but `random_state`. "auto" is the 400th part of the rows, between 32 and 1024.
    learning_rate : float, default=0.001
        Step size of Adam. It is halved when the validation score no longer rises.
    early_stopping : bool, default=True
        Hold out `validation_fraction` of the rows, stop when the score on them has not risen for `n_iter_no_change`
        passes, and keep the best state, which may be the linear start.
    validation_fraction : float, default=0.1
        Of few rows at least 20 are held out, but at most a quarter of them.
    n_iter_no_change : int, default=10
    tol : float, default=1e-4
        Least rise of the validation score that counts.
    device : str, default="auto"
        Where the net trains: "auto" is CUDA where there is one. What is learned is kept as numpy arrays.
    random_state : int, RandomState instance or None, default=None
        Decides all that is random. The same seed gives the same bits.
    verbose : int, default=0
        A bar on stderr when positive.
    memory : None, str or object with the joblib.Memory interface, default=None
        Keep what `fit` learns, in the folder of that name or by that `joblib.Memory`, and read it where the same rows
        come with the same parameters and `random_state`; with None nothing is kept. "pca", "svd" and "lda" learn more
        dimensions than are asked for and cut, so that a search over `embedding_dim` and `whiten` learns once a fold;
        see Notes. The other methods keep a fit as it is. `partial_fit` does not look at it.

    Attributes
    ----------
    projection_ : ndarray of shape (n_features_in_, embedding_dim)
        Of linear methods; a sparse matrix for sparse random directions. The signs of learned directions are fixed:
        the largest entry of a column is positive.
    mean_ : ndarray of shape (n_features_in_,)
        Of linear methods; zeros where the method does not center: "random", "nca", "svd" without `whiten`.
    embedding_ : EmbeddingTable
        Of linear methods: the names of the columns of X beside the rows of `projection_`; of "pca" and "svd" beside
        their loadings, these rows with each dimension times the root of its share of the variance, so that columns that
        vary together are near whatever `embedding_dim` is.
    embeddings_ : dict of str to EmbeddingTable
        Of "autoencoder": for each categorical column its levels, None for missing, beside the vector of a row that has
        the level and is average otherwise; the table's `unknown` is the vector of levels that `fit` never met.
    explained_variance_, explained_variance_ratio_ : ndarray of shape (embedding_dim,)
        Of "pca" and "svd": variance of each dimension before whitening, and its share; of "lda" the share alone, of
        the variance between classes.
    loss_curve_, validation_scores_ : list of float
        Of "autoencoder", one value a pass: mean loss of a column, and the share of the null model's loss that is
        explained.
    n_iter_ : int
        Passes of "autoencoder", steps of "nca", 1 otherwise.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    EntityEmbeddingEncoder : Categories as vectors learned against a target.

    Notes
    -----
    float32 stays float32. Linear methods and the trained autoencoder transform with numpy alone.

    With `memory` as many dimensions are kept as the solver computes anyway: all of "lda"; all of "pca" by the solvers
    "full" and "covariance_eigh", which is what scikit-learn takes for dense X of at most 500 rows and columns and for
    any X of at most 1000 columns and 10 times as many rows. From other solvers it is 64, or the power of two from
    `embedding_dim` on, or all that the method allows where that is fewer. A cut then equals a fit of that size up to
    rounding; only randomized solvers, whose result depends on how much they are asked for, are exact to their
    tolerance alone, and a cut of more dimensions is nearer to the exact ones. It pays where learning costs more than
    reading X once, which finds out whether it is known: "pca" of fewer than some 200 columns by its covariance does
    not. A `random_state` of None keeps the first draw. A training that was interrupted or stopped by a callback is
    not kept; what a fit warns of, it warns of when it learns.

    "lda" divides columns by their spread within classes and shrinks the covariance that remains, (1 - s) S + s mu I,
    with the s of twelve from 0 to 1 that predicts the classes of a fifth of the rows best, each fifth in turn
    (regularized discriminant analysis, Friedman 1989); of more than 1000 columns and rows one fifth alone. No number is
    drawn.

    In the autoencoder a number counts by half its squared error in standard deviations; a category by cross-entropy,
    divided where levels are many such that what is lost if nothing is known is one half, too.
    Numbers are cut at 30 standard deviations, or twice the greatest distance from the mean in `fit` where that is
    more, and so is what `inverse_transform` returns. The code is centered and turned to its principal axes, so that
    dimensions come by falling variance.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skembed import ProjectionEmbedder
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> embedder = ProjectionEmbedder("pca", embedding_dim=2).fit(X)
    >>> embedder.transform(X).shape
    (150, 2)
    >>> embedder.embedding_.nearest("petal length (cm)", k=1)[0][0]
    'petal width (cm)'
    >>> ProjectionEmbedder("lda", embedding_dim=3).fit(X, y)
    Traceback (most recent call last):
    ...
    ValueError: embedding_dim is 3, but method='lda' gives at most min(n_classes - 1, n_features) for 3 classes = 2 ...
    """

    _state = {
        "_map": LinearMap, "_n_rows": int, "_increments": Increments, "_codec": Codec, "n_iter_": int,
        "projection_": Any, "mean_": np.ndarray, "explained_variance_": np.ndarray,
        "explained_variance_ratio_": np.ndarray, "loss_curve_": list[float], "validation_scores_": list[float],
        "embeddings_": dict[str, EmbeddingTable],
    }  # fmt: skip
    _parameter_constraints: dict = CONSTRAINTS
    _map: LinearMap
    _codec: Codec
    _n_rows: int

    def __init__(
        self,
        method: str = "pca",
        embedding_dim: int | float | str = "auto",
        *,
        whiten: bool = False,
        method_params: Mapping[str, Any] | None = None,
        categorical_features: Any = "from_dtype",
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
        hidden_layer_sizes: tuple[int, ...] = (256, 128),
        max_iter: int = 100,
        batch_size: int | str = "auto",
        learning_rate: float = 0.001,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        memory: Any = None,
    ) -> None:
        self.method = method
        self.embedding_dim = embedding_dim
        self.whiten = whiten
        self.method_params = method_params
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.memory = memory

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "ProjectionEmbedder":
        """Learn the projection.

        Parameters
        ----------
        X : array-like, dataframe or sparse matrix of shape (n_samples, n_features)
            Sparse for "pca", "svd" and "random"; mixed columns for "autoencoder".
        y : array-like of shape (n_samples,), default=None
            Classes, for "lda" and "nca"; not looked at by the others.

        Returns
        -------
        self
        """
        self._fit(X, y)
        return self

    @with_callbacks
    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Learn the projection, and return the vectors of X.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, embedding_dim), float32 for float32
        """
        read, vectors = self._fit(X, y)
        return self._embed(read) if vectors is None else vectors

    @available_if(_is_incremental)
    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None) -> "ProjectionEmbedder":
        """Go on learning from one more batch, for "pca"; after a `fit`, from where it ended.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The first batch needs as many rows as dimensions, two at least, and settles `embedding_dim` where that is no
            number. A sparse batch is made dense.
        y : Ignored

        Returns
        -------
        self
        """
        self._validate_params()
        # another method has left none, or one without variances, from which there is no going on
        first = not hasattr(self, "_map") or self._map.variance is None
        X = read_rows(self, X, reset=first, ensure_min_samples=2 if first else 1)
        if sparse.issparse(X):
            X = X.toarray()
        callbacks = PassCallbacks(self, 1, X)
        known = None if first else getattr(self, "_increments", None) or (self._map, self._n_rows)
        solver = partial_pca(X, known, self.embedding_dim)
        if first:
            self._forget()
        self._increments = Increments.of(solver)
        self._n_rows = int(solver.n_samples_seen_)
        found = incremental_map(solver)
        self._expose_map(found.whitened_components() if self.whiten else found)
        callbacks.end()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of rows.

        Parameters
        ----------
        X : array-like, dataframe or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, embedding_dim), float32 for float32
        """
        check_is_fitted(self)
        if hasattr(self, "_codec"):
            return self._embed(self._codec.columns.read(self._read_columns(X, reset=False), X))
        return self._embed(read_rows(self, X, reset=False))

    @available_if(_can_invert)
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the rows that vectors stand for; not for "lda" and "nca".

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, embedding_dim)
            Columns as those of `transform`, in their order.

        Returns
        -------
        ndarray of shape (n_samples, n_features_in_)
            What lies outside of the space of the vectors is lost: nearest rows for "pca" and "svd", shortest ones for
            "random". From "autoencoder" objects if there are categorical columns: numbers and the likeliest levels.
        """
        check_is_fitted(self)
        check_order(X, self.get_feature_names_out())
        Z = check_array(X, dtype=FLOATS, input_name="X")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {Z.shape[1]} features, but inverse_transform of this ProjectionEmbedder expects "
                f"{self._n_features_out}: vectors as transform returns them."
            )
        return self._codec.decode(Z) if hasattr(self, "_codec") else self._map.invert(Z)

    @property
    def embedding_(self) -> EmbeddingTable:
        """The columns of X as keys beside the rows of `projection_`, or loadings."""
        if "projection_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no table of columns: not fitted by a linear method.")
        return EmbeddingTable(_check_feature_names_in(self, None), self._map.column_vectors())

    def _fit(self, X: Any, y: Any) -> tuple[Any, np.ndarray | None]:
        """Learn; return X as it was read, and its vectors if the solver has computed them."""
        self._validate_params()
        check_settings(self.method, self.categorical_features, self.hidden_layer_sizes, self.device)
        task = Task(
            self.method,
            plain_number(self.embedding_dim),
            self.whiten,
            check_params(self.method, self.method_params),
            int(self.max_iter),
            check_random_state(self.random_state),
            None if self.memory is None else Cache(check_memory(self.memory), self.random_state),
        )
        if self.method == "autoencoder":
            return self._fit_codec(X, y, task), None
        read, y = read_training(self, X, y)
        callbacks = PassCallbacks(self, 1, X, y)
        found = solve(read, y, task)
        self._forget()
        self._n_rows = read.shape[0]
        self._expose_map(replace(found, output=None))
        callbacks.end()
        return read, found.output

    def _fit_codec(self, X: Any, y: Any, task: Task) -> MixedRows:
        if sparse.issparse(X):
            raise TypeError("X is sparse, but method='autoencoder' needs dense rows: X.toarray(), or method='svd'.")
        columns = self._read_columns(X, reset=True)
        if columns.n_rows < 2:
            raise ValueError(
                f"Found array with {columns.n_rows} sample(s) (shape={columns.n_rows, len(columns.values)}) while a "
                "minimum of 2 is required by ProjectionEmbedder."
            )
        mixed = MixedColumns(self.categorical_features, self.min_frequency, self.max_categories)
        rows = mixed.fit(columns, X)
        callbacks = PassCallbacks(self, self.max_iter, X, y)
        settings = AutoencoderSettings.of(self, columns.n_rows)
        run = Run(0, None, self.verbose, callbacks, "ProjectionEmbedder")
        if task.cache is None:
            codec, history = fit_codec(mixed, rows, task, settings, run)
        else:
            what = mixed, rows, task.without_cache(), settings
            codec, history = task.cache.learned(_learn_codec, *what, run=run)
        callbacks.end()
        self._forget()
        self._codec = codec
        self.n_iter_ = max(history.n_iter, 1) if history is not None else 1
        self.loss_curve_ = history.loss_curve if history is not None else []
        self.validation_scores_ = history.validation_scores if history is not None else []
        self.embeddings_ = {
            name: EmbeddingTable.of_keys(vocabulary.shared_keys, vectors[1:], unknown=vectors[0])
            for name, vocabulary, vectors in zip(mixed.names, codec.columns.vocabularies, codec.level_vectors())
        }
        return rows

    def _check_fitted(self) -> None:
        if hasattr(self, "_codec"):
            columns = self._codec.columns
            places = sorted([*columns.categorical, *columns.numeric])
            if len(places) != self.n_features_in_ or places != list(range(len(places))):  # a file may say any number
                raise ValueError(f"expected a position for each of {self.n_features_in_} columns")
            self._codec.check()
            return
        shape = (self.n_features_in_, self._n_features_out)
        if self._map.projection.shape != shape or self.projection_.shape != shape or self._map.mean.shape != shape[:1]:
            raise ValueError(f"expected a projection of shape {shape}, got {self._map.projection.shape}")
        if self._map.inverse is not None and self._map.inverse.shape != shape[::-1]:
            raise ValueError(f"expected an inverse of shape {shape[::-1]}, got {self._map.inverse.shape}")

    def _forget(self) -> None:
        for name in OF_ONE_METHOD:
            self.__dict__.pop(name, None)

    def _expose_map(self, found: LinearMap) -> None:
        self._map = found = found.contiguous()
        self.projection_, self.mean_, self.n_iter_ = found.projection, found.mean, found.n_iter
        if found.variance is not None:
            self.explained_variance_ = found.variance
        if found.share is not None:
            self.explained_variance_ratio_ = found.share

    def _embed(self, read: Any) -> np.ndarray:
        return self._codec.encode(read) if hasattr(self, "_codec") else self._map.apply(read)

    @property
    def _n_features_out(self) -> int:
        return self._codec.dim if hasattr(self, "_codec") else self.projection_.shape[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        mixed = self.method == "autoencoder"
        tags.input_tags.sparse = self.method in TAKES_SPARSE
        tags.input_tags.categorical = mixed
        tags.input_tags.string = mixed
        tags.input_tags.allow_nan = mixed
        tags.target_tags.required = self.method in NEEDS_Y
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
