"""EmbeddingDisplay: a table as a map that one can look at, in a figure, a page, or TensorBoard."""

import os
from typing import Any

from sklearn.utils import check_random_state

from skembed.inspection._display_choice import choose_fields, describe, labelled, link_groups, most_points, order_labels
from skembed.inspection._display_estimator import with_tables
from skembed.inspection._display_points import Points
from skembed.inspection._palette import Field
from skembed.inspection.plane import METHODS, lay_out, measure_trust
from skembed.table import EmbeddingTable
from skembed.table.vectors import check_finite_vectors


class EmbeddingDisplay:
    """A map of vectors: points near each other stand for keys that are alike.

    Made by `from_table` or `from_estimator`, drawn by `plot`, written by `to_html` and `to_tensorboard`.

    Parameters
    ----------
    table : EmbeddingTable
        The keys shown, beside their vectors.
    coordinates : float array of shape (n_points, 2) or (n_points, 3)
        Where each of them lies.
    fields : dict of str to Field, default=None
        Values of the points.
    color, size : str, default=None
        Name of the field that gives colours, and of the one that gives areas.
    label_order : sequence of int, default=()
        Points that may get a label, the most important first.
    n_labels : int, default=0
        At most this many labels in a figure.
    label_groups : bool, default=False
        Whether to name the categories of `color` amid their points.
    links : dict of str to list of (int, int), default=None
        Arrows between points, by group.
    caption : str, default=""
        What the layout is, and how much of the structure it keeps.
    variance_share : float, default=None
        Share of the variance of the vectors that the layout holds.
    trust : Trust, default=None
        Trustworthiness of the layout, and what it was measured on.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    scatter_ : list of matplotlib PathCollection
        One for each group of points.
    labels_ : list of matplotlib Text

    Examples
    --------
    >>> from skembed import EmbeddingTable
    >>> from skembed.inspection import EmbeddingDisplay
    >>> table = EmbeddingTable(["Ulm", "Graz", "Bern"], [[3, 0, 0], [4, 0, 0], [0, 1, 0]])
    >>> display = EmbeddingDisplay.from_table(table, color={"Ulm": "DE", "Graz": "AT", "Bern": "CH"})
    >>> display.coordinates.shape
    (3, 2)
    >>> display.variance_share
    1.0
    """

    def __init__(
        self,
        table: EmbeddingTable,
        coordinates: Any,
        *,
        fields: dict[str, Field] | None = None,
        color: str | None = None,
        size: str | None = None,
        label_order: Any = (),
        n_labels: int = 0,
        label_groups: bool = False,
        links: dict[str, list[tuple[int, int]]] | None = None,
        caption: str = "",
        variance_share: float | None = None,
        trust: Any = None,
    ):
        self.table = table
        self.coordinates = coordinates
        self.fields = fields
        self.color = color
        self.size = size
        self.label_order = label_order
        self.n_labels = n_labels
        self.label_groups = label_groups
        self.links = links
        self.caption = caption
        self.variance_share = variance_share
        self.trust = trust

    @classmethod
    def from_table(
        cls,
        table: EmbeddingTable,
        *,
        method: Any = "pca",
        dim: int = 2,
        metric: str = "euclidean",
        keys: Any = None,
        max_points: int | str = "auto",
        color: Any = None,
        size: Any = None,
        label: Any = True,
        links: Any = None,
        fields: Any = None,
        random_state: Any = None,
    ) -> "EmbeddingDisplay":
        """Lay out the vectors of a table.

        Parameters
        ----------
        table : EmbeddingTable
        method : {"pca", "tsne", "umap", "mds", "isomap"} or transformer, default="pca"
            Principal components show the most of the spread that a plane can, and distances as they are; the others
            keep neighbours together. A transformer, as ``TSNE(perplexity=50)``, is used by its `fit_transform`.
            "umap" needs the package umap-learn.
        dim : {2, 3}, default=2
        metric : {"euclidean", "cosine"}, default="euclidean"
            "cosine": directions alone count; vectors are brought to unit length before anything else.
        keys : sequence of keys, default=None
            What to show. None: all, up to `max_points`.
        max_points : int or "auto", default="auto"
            Of more keys, the largest by `size`, else the first are shown, and the caption says so. "auto": as many as
            the method lays out in about a minute, from 1,000 for "mds" to 100,000 for "pca".
        color, size : sequence, dict, Series or name of a field, default=None
            A value for each key: a sequence in the order of the table (or of `keys`), a dict or an indexed Series by
            key, which may leave keys out. Numbers are shown on a scale; strings, truth values and integers of at
            most 14 kinds as categories. `size` takes numbers that are not negative: areas.
        label : bool, int, "groups" or sequence of keys, default=True
            Which points may have a label. True: 40 at most; an int: this many at most; keys: these alone. Labels go
            to the largest points, or the first of the table, of every region; one that finds no room is left out.
            "groups": the names of the colours' categories instead, each in the middle of its points.
        links : list of (key, key), array or frame of two columns, or dict of str to such, default=None
            Arrows to draw, as from "man" to "king" and from "woman" to "queen". A dict names groups of them.
        fields : dict of str to values, or data frame, default=None
            Further values, as for `color`, that a page can colour by and show.
        random_state : int, RandomState instance or None, default=None
            Of the methods that start at random, and of the points on which trustworthiness is measured.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError, TypeError
            If a parameter is none of the above.
        KeyError
            For keys that are not in the table.
        ImportError
            If ``method="umap"`` and umap-learn is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from skembed import EmbeddingTable
        >>> from skembed.inspection import EmbeddingDisplay
        >>> table = EmbeddingTable(range(300), np.random.default_rng(0).normal(size=(300, 8)))
        >>> display = EmbeddingDisplay.from_table(table, method="tsne", max_points=100, random_state=0)
        >>> display.caption
        't-SNE of 100 of 300 keys, 8 dimensions; trustworthiness 0.88 (10 neighbours)'
        """
        if method not in METHODS if isinstance(method, str) else not hasattr(method, "fit_transform"):
            raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))} or a transformer, got {method!r}.")
        if dim not in (2, 3):
            raise ValueError(f"dim must be 2 or 3, got {dim!r}.")
        if metric not in ("euclidean", "cosine"):
            raise ValueError(f"metric must be 'euclidean' or 'cosine', got {metric!r}.")
        points, pairs = Points(table, keys), link_groups(links)
        linked = points.check([key for group in pairs.values() for pair in group for key in pair], "links")
        wanted, n_labels = labelled(points, label)
        given, chosen = choose_fields(fields, color=color, size=size)
        by_size = None if chosen["size"] is None else given[chosen["size"]]
        points.limit(most_points(max_points, method), by_size, [*linked, *wanted])
        made = {name: points.field(values, name, chosen) for name, values in given.items()}
        shown = table if len(points.rows) == len(table) and keys is None else table.subset(table.keys[points.rows])
        check_finite_vectors(shown.vectors, shown.keys)
        vectors = (shown.normalize() if metric == "cosine" else shown).vectors
        random = check_random_state(random_state)  # one stream: layout, then sample
        layout = lay_out(vectors, method, dim, random)
        trust = measure_trust(vectors, layout.coordinates, random)
        place = {key: i for i, key in enumerate(shown.keys.tolist())}
        return cls(
            shown,
            layout.coordinates,
            fields=made,
            **chosen,
            label_order=order_labels(
                layout.coordinates, None if chosen["size"] is None else made[chosen["size"]], wanted, linked, place
            ),
            n_labels=n_labels,
            label_groups=isinstance(label, str),
            links={name: [(place[a], place[b]) for a, b in group] for name, group in pairs.items() if group},
            caption=describe(layout, trust, len(table), shown.shape, metric),
            variance_share=layout.variance_share,
            trust=trust,
        )

    @classmethod
    def from_estimator(cls, estimator: Any, *, column: Any = None, **kwargs: Any) -> "EmbeddingDisplay":
        """Lay out what a fitted estimator has learned: its `embedding_`, or that of one column in its `embeddings_`.

        Parameters
        ----------
        estimator : fitted estimator
            Or a Pipeline, ColumnTransformer or FeatureUnion in which, at any depth, one step has tables.
        column : str, default=None
            Which of `embeddings_`; may be left out where there is one only.
        **kwargs
            Of `from_table`.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError
            If `column` is none of the estimator's, or is needed and not given; if no step of a pipeline has tables,
            or more than one.
        TypeError
            If the estimator has neither attribute, as before `fit`.

        Examples
        --------
        >>> from skembed import EntityEmbeddingEncoder
        >>> from skembed.inspection import EmbeddingDisplay
        >>> X = [["a", "x"], ["b", "y"], ["c", "x"], ["a", "y"]] * 10
        >>> encoder = EntityEmbeddingEncoder(max_iter=2, random_state=0).fit(X, [1, 2, 3, 1] * 10)
        >>> len(EmbeddingDisplay.from_estimator(encoder, column="x0").table)
        3
        """
        estimator = with_tables(estimator)
        tables = getattr(estimator, "embeddings_", None)
        if tables is not None:
            if column is None and len(tables) == 1:
                column = next(iter(tables))
            if column not in tables:
                raise ValueError(f"column must be one of {', '.join(map(repr, tables))}, got {column!r}.")
            return cls.from_table(tables[column], **kwargs)
        table = getattr(estimator, "embedding_", None)
        if table is None:
            name = type(estimator).__name__
            raise TypeError(
                f"estimator must have learned an embedding; {name} has neither embedding_ nor embeddings_. "
                "Call fit first, or pass a table to from_table."
            )
        if column is not None:
            raise ValueError(f"column must be None for an estimator with one embedding, got {column!r}.")
        return cls.from_table(table, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        title: str | None = None,
        caption: bool = True,
        legend: bool = True,
        cmap: Any = "viridis",
        point_size: float | None = None,
        alpha: float | None = None,
    ) -> "EmbeddingDisplay":
        """Draw the map with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            With the projection "3d" for three dimensions. None: a new figure.
        title : str, default=None
        caption : bool, default=True
            Whether to write below the map what share of the structure it keeps.
        legend : bool, default=True
            Whether to draw the legend of the categories, or the scale of the numbers.
        cmap : str or Colormap, default="viridis"
            Of numbers.
        point_size : float, default=None
            Area of a point in points squared, of the largest where sizes differ. None: smaller the more there are.
        alpha : float, default=None
            Opacity, between 0 and 1. None: less the more there are.

        Returns
        -------
        self : EmbeddingDisplay
            With `ax_`, `figure_`, `scatter_` and `labels_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from skembed.inspection._display_plot import draw

        drawn = draw(
            self, ax, title=title, caption=caption, legend=legend, cmap=cmap, point_size=point_size, alpha=alpha
        )
        self.ax_, self.figure_, self.scatter_, self.labels_ = drawn
        return self

    def to_html(
        self, path: str | os.PathLike, *, title: str | None = None, n_neighbors: int = 10, metric: str | None = None
    ) -> None:
        """Write one page that shows the map and needs nothing else: no network, no server.

        It zooms and pans, searches keys, colours by any field, and shows for a point its nearest neighbours among all
        points in the full space, found exactly. The file takes about 60 bytes a point.

        Parameters
        ----------
        path : str or path-like
            Written whole or not at all.
        title : str, default=None
        n_neighbors : int, default=10
            0 to 100.
        metric : {"cosine", "euclidean", "dot"}, default=None
            By which points are neighbours, as in `EmbeddingTable.nearest`. None: the table's own.
        """
        from skembed.inspection.html import make_page, write_page

        metric = self.table.metric if metric is None else metric
        write_page(path, make_page(self, title=title, n_neighbors=n_neighbors, metric=metric))

    def to_tensorboard(
        self, directory: str | os.PathLike, *, name: str = "embedding", images: Any = None, tensors: str = "tsv"
    ) -> None:
        """Write the vectors in the form that TensorBoard's projector reads: ``tensorboard --logdir directory``.

        Parameters
        ----------
        directory : str or path-like
            Made if absent; its ``projector_config.pbtxt`` is replaced.
        name : str, default="embedding"
        images : array of shape (n_points, height, width) or (n_points, height, width, 3 or 4), default=None
            A picture for each point: uint8, or floats between 0 and 1.
        tensors : {"tsv", "bytes"}, default="tsv"
            Text, or float32 in little-endian order, which is smaller and quicker to read.

        Raises
        ------
        ValueError
            If the vectors have one component only, which TensorBoard does not read, or the images do not fit.
        """
        from skembed.inspection._tensorboard import write_projector

        write_projector(self, directory, name=name, images=images, tensors=tensors)
