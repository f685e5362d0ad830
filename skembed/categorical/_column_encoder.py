"""Encoders of categorical columns: how a fitted one reads X, and replaces levels by the vectors of its tables."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skembed.apply.columns import gather, invert, output_names
from skembed.base import EmbeddingTransformer
from skembed.data.columns import Columns, check_order
from skembed.data.levels import encode_levels, warn_strangers
from skembed.data.roles import numeric_columns
from skembed.data.vocabulary import Vocabulary
from skembed.state import stored
from skembed.table import EmbeddingTable

__all__ = ["ColumnEncoder", "ColumnSchema", "ReadsColumns"]


class ReadsColumns(Protocol):
    """What reading X needs to know: see `ColumnSchema`."""

    names: list[str]
    positions: list[int]
    numeric_positions: list[int]
    vocabularies: list[Vocabulary]


@stored
@dataclass
class ColumnSchema:
    """How X is read, as `fit` decided.

    Attributes
    ----------
    names : list of str
        Of the categorical columns.
    positions, numeric_positions : list of int
        The categorical and the numeric columns of X.
    vocabularies : list of Vocabulary
    """

    names: list[str]
    positions: list[int]
    numeric_positions: list[int]
    vocabularies: list[Vocabulary]


class ColumnEncoder(EmbeddingTransformer):
    """Base of the encoders whose `fit` sets `_schema` and `embeddings_`, a table for each categorical column.

    Subclasses have the parameters `handle_unknown` and `remainder`.
    """

    handle_unknown: str
    remainder: str
    embeddings_: dict[str, EmbeddingTable]
    _schema: ReadsColumns
    _state = {"embeddings_": dict[str, EmbeddingTable]}

    def _check_fitted(self) -> None:
        schema, n_columns = self._schema, self.n_features_in_
        if list(self.embeddings_) != schema.names or not len(schema.names) == len(schema.vocabularies):
            raise ValueError("expected a table for each categorical column")
        for name, vocabulary in zip(schema.names, schema.vocabularies):
            table = self.embeddings_[name]
            if table.shared_keys is not vocabulary.shared_keys or table.unknown is None:
                raise ValueError(
                    f"expected the table of {name!r} to have the levels of its column, and an unknown vector"
                )
        places = sorted([*schema.positions, *schema.numeric_positions])
        if len(places) != n_columns or places != list(range(len(places))):  # a file may say any number
            raise ValueError(f"expected a position for each of {n_columns} columns")

    @property
    def categories_(self) -> list[np.ndarray]:
        """The levels of each categorical column that have a vector."""
        return [vocabulary.shared_keys.array for vocabulary in self._schema.vocabularies]

    @property
    def infrequent_categories_(self) -> list[np.ndarray]:
        """The levels of each categorical column that share the unknown vector, because they are rare."""
        return [vocabulary.infrequent for vocabulary in self._schema.vocabularies]

    def transform(self, X: Any) -> np.ndarray:
        """Replace each category by its vector.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32, float64 if numeric columns pass through
        """
        check_is_fitted(self)
        columns = self._read_columns(X, reset=False)
        ids = self._encode_levels(columns)
        warn_strangers(columns, self._schema.positions, self._schema.vocabularies, ids)
        return self._gather(columns, ids)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the level whose vector is nearest, column by column.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features_out)
            Columns as those of `transform`, in their order.

        Returns
        -------
        ndarray of shape (n_samples, n_features_in_), object
            None where a level is missing, or a numeric column was dropped.
        """
        check_is_fitted(self)
        check_order(X, self.get_feature_names_out())
        tables = list(self.embeddings_.values())
        return invert(X, tables, self._schema.positions, self._passed_positions(), self.n_features_in_)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``{column}_{i}`` for each dimension, then the names of numeric columns that pass through.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns where `fit` saw none.

        Returns
        -------
        ndarray of shape (n_features_out,), object
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        embedded = [names[position] for position in self._schema.positions]
        return output_names(embedded, self._output_dims(), [names[p] for p in self._passed_positions()])

    def _encode_levels(self, columns: Columns) -> list[np.ndarray]:
        """Return the table rows of every categorical column."""
        schema, strict = self._schema, self.handle_unknown == "error"
        return encode_levels(columns, schema.positions, schema.vocabularies, check_unknown=strict)

    def _output_dims(self) -> list[int]:
        """Columns of the output for each categorical column."""
        return [table.embedding_dim for table in self.embeddings_.values()]

    def _passed_positions(self) -> list[int]:
        return self._schema.numeric_positions if self.remainder == "passthrough" else []

    def _gather(self, columns: Columns, ids: list[np.ndarray]) -> np.ndarray:
        """Put the vectors of every column side by side, and the numeric columns behind them."""
        numeric = numeric_columns(columns, self._passed_positions())
        return gather(list(self.embeddings_.values()), ids, numeric, columns.n_rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.string = tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags
