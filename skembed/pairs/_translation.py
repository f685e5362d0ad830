"""Translation of the keys of one table into those of another, by nearest neighbours in one space."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from skembed.table import EmbeddingTable
from skembed.table.csls import CSLS_NEIGHBORS, CSLSIndex
from skembed.table.keys import key_list
from skembed.table.neighbors import ExactIndex
from skembed.table.queries import positive_int

__all__ = ["translate"]


def translate(
    source: EmbeddingTable,
    target: EmbeddingTable,
    keys: Iterable[Any] | None = None,
    k: int = 1,
    *,
    metric: str = "csls",
    n_neighbors: int = CSLS_NEIGHBORS,
) -> list[list[tuple[Any, float]]]:
    """Return the keys of one table that are nearest to keys of another whose vectors are of the same space.

    Parameters
    ----------
    source, target : EmbeddingTable
        As of both sides of a `CCAEmbedder`, or of `EmbeddingTable.align_to`.
    keys : sequence of keys of `source`, default=None
        May repeat. None: all of them.
    k : int, default=1
    metric : {"csls", "cosine", "euclidean", "dot"}, default="csls"
        "csls" is twice the cosine, less the mean cosine of each of the two with its nearest ones of the other table:
        a hub, which is near to everything, no longer translates everything [1]_.
    n_neighbors : int, default=10
        So many nearest ones, of "csls".

    Returns
    -------
    list of list of (key, float)
        For each of `keys` the best of `target`, best first.

    Raises
    ------
    KeyError
        For keys that are not in `source`.
    ValueError
        If the tables have different dimensions, or a number or the metric does not fit.

    Notes
    -----
    Search is exact. The neighbours of all keys of both tables are looked for once a call, so that one call for many
    keys is much faster than many calls; what a key is translated to does not depend on the keys beside it.

    References
    ----------
    .. [1] Conneau et al. (2018), "Word Translation Without Parallel Data".

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.pairs import translate
    >>> german = EmbeddingTable(["Hund", "Katze"], [[1.0, 0.1], [0.2, 1.0]])
    >>> english = EmbeddingTable(["cat", "dog", "tea"], [[0.1, 1.0], [1.0, 0.2], [-1.0, 0.5]])
    >>> [found[0][0] for found in translate(german, english)]
    ['dog', 'cat']
    """
    for name, table in (("source", source), ("target", target)):
        if not isinstance(table, EmbeddingTable):
            raise TypeError(f"{name} must be an EmbeddingTable, got {type(table).__name__}.")
    if source.embedding_dim != target.embedding_dim:
        raise ValueError(
            f"source has {source.embedding_dim} dimensions and target {target.embedding_dim}; expected vectors of one "
            "space, as of both sides of a CCAEmbedder."
        )
    k, n_neighbors = positive_int(k, "k"), positive_int(n_neighbors, "n_neighbors")
    vectors = source.vectors if keys is None else source.vectors[source.index_of(key_list(keys))]
    if metric != "csls":
        return target.nearest(np.asarray(vectors), k, metric=metric)  # type: ignore[arg-type]
    index = CSLSIndex.of(
        ExactIndex(target.vectors, keys=target.keys), ExactIndex(source.vectors, keys=source.keys), n_neighbors
    )
    found = index.search(vectors, k)
    return [
        [(target.keys[row], score) for row, score in zip(rows, scores)]
        for rows, scores in zip(found.rows.tolist(), found.scores.tolist())
    ]
