"""EmbeddingDisplay: which points it shows, what it says of them, and the figure that matplotlib makes of it."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skembed import EmbeddingTable
from skembed.inspection import EmbeddingDisplay
from skembed.inspection._display_plot import _widths
from skembed.inspection._palette import CATEGORY_COLORS, OTHER_COLOR, Field
from skembed.inspection.labels import label_order
from skembed.inspection.plane import principal_plane


def clustered(n=60, dim=8, n_clusters=3, seed=0):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, n_clusters, n)
    vectors = 4 * rng.normal(size=(n_clusters, dim))[clusters] + rng.normal(size=(n, dim))
    return EmbeddingTable([f"key{i}" for i in range(n)], vectors), clusters


class Learned(TransformerMixin, BaseEstimator):
    """A transformer that `fit` gives the tables that it was made with."""

    def __init__(self, embedding_=None, embeddings_=None):
        self.embedding_ = embedding_
        self.embeddings_ = embeddings_

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)

    def __sklearn_clone__(self):
        return Learned(self.embedding_, self.embeddings_)


class WithArray(TransformerMixin, BaseEstimator):
    """As scikit-learn's own manifold learners: `embedding_` is the rows that it was fitted on."""

    def fit(self, X, y=None):
        self.embedding_ = np.asarray(X)
        return self

    def transform(self, X):
        return np.asarray(X)


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib draws the figures")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


class TestLayout:
    def test_principal_components_are_scikit_learns(self):
        table, _ = clustered(200, 12)
        display = EmbeddingDisplay.from_table(table, dim=3)
        pca = PCA(3).fit(table.vectors.astype(np.float64))
        expected = pca.transform(table.vectors.astype(np.float64))
        signs = np.sign((expected * display.coordinates).sum(axis=0))
        np.testing.assert_allclose(display.coordinates * signs, expected, atol=1e-9)
        assert display.variance_share == pytest.approx(pca.explained_variance_ratio_.sum())

    def test_many_components_and_many_rows_take_other_paths_to_the_same_plane(self, monkeypatch):
        vectors = np.random.default_rng(0).normal(size=(50, 30)) * np.linspace(5, 0.1, 30)
        coordinates, share = principal_plane(vectors)
        monkeypatch.setattr("skembed.inspection.plane._BLOCK_ROWS", 7)
        in_blocks, block_share = principal_plane(vectors)
        np.testing.assert_allclose(in_blocks, coordinates, atol=1e-9)
        assert block_share == pytest.approx(share)
        monkeypatch.setattr("skembed.inspection.plane._MAX_COVARIANCE", 10)
        by_svd, svd_share = principal_plane(vectors)
        np.testing.assert_allclose(by_svd, coordinates, atol=1e-3)
        assert svd_share == pytest.approx(share, abs=1e-4)

    @pytest.mark.parametrize("method", ["tsne", "mds", "isomap", "umap"])
    @pytest.mark.parametrize("dim", [2, 3])
    def test_methods_keep_clusters_together(self, method, dim):
        if method == "umap":
            pytest.importorskip("umap", reason="umap-learn is not installed")
        table, clusters = clustered(80, 10)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="sklearn.manifold._isomap")  # clusters apart are joined, and told
            warnings.filterwarnings("ignore", module="scipy")
            display = EmbeddingDisplay.from_table(table, method=method, dim=dim, random_state=0)
        assert display.coordinates.shape == (80, dim)
        distances = np.linalg.norm(display.coordinates[:, None] - display.coordinates[None], axis=-1)
        np.fill_diagonal(distances, np.inf)
        assert (clusters[distances.argmin(axis=1)] == clusters).mean() > 0.9
        assert display.variance_share is None

    @pytest.mark.parametrize("method", ["pca", "tsne", "mds"])
    def test_one_seed_one_map(self, method):
        table, _ = clustered(40)
        state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state, to see that it stays
        maps = [EmbeddingDisplay.from_table(table, method=method, random_state=3) for _ in range(2)]
        np.testing.assert_array_equal(maps[0].coordinates, maps[1].coordinates)
        assert maps[0].caption == maps[1].caption
        np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002

    def test_a_transformer_is_used_as_it_is_set(self):
        table, _ = clustered(40)
        display = EmbeddingDisplay.from_table(table, method=TSNE(perplexity=5, random_state=0))
        expected = TSNE(perplexity=5, random_state=0).fit_transform(table.vectors)
        np.testing.assert_array_equal(display.coordinates, expected)
        assert display.caption.startswith("TSNE of 40 keys")
        with pytest.raises(ValueError, match=r"must give an array of shape \(40, 2\).*got \(40, 3\)"):
            EmbeddingDisplay.from_table(table, method=PCA(3))

    def test_cosine_looks_at_directions_alone(self):
        table, _ = clustered(30)
        longer = EmbeddingTable(table.keys, table.vectors * np.linspace(1, 9, 30, dtype=np.float32)[:, None])
        maps = [EmbeddingDisplay.from_table(each, metric="cosine").coordinates for each in (table, longer)]
        np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)
        plain = [EmbeddingDisplay.from_table(each).coordinates for each in (table, longer)]
        assert not np.allclose(plain[0], plain[1], atol=0.1)

    @pytest.mark.parametrize(("n", "dim"), [(1, 1), (1, 4), (2, 3), (3, 1), (5, 2)])
    def test_few_points_and_few_components(self, n, dim, plt):
        table = EmbeddingTable(range(n), np.arange(n * dim, dtype=float).reshape(n, dim) ** 2)
        for axes in (2, 3):
            display = EmbeddingDisplay.from_table(table, dim=axes).plot()
            assert np.isfinite(display.coordinates).all()
            display.figure_.canvas.draw()

    @pytest.mark.parametrize("numbers", [[np.inf] * 6, [-np.inf, np.nan] * 3, [np.nan] * 6, [np.inf, *range(5)]])
    def test_colours_that_are_no_finite_numbers(self, numbers, plt):
        table = EmbeddingTable(list("abcdef"), np.arange(18.0).reshape(6, 3) ** 2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            EmbeddingDisplay.from_table(table, color=numbers).plot().figure_.canvas.draw()

    def test_equal_vectors(self, plt):
        display = EmbeddingDisplay.from_table(EmbeddingTable(list("abcdef"), np.full((6, 3), 0.3))).plot()
        assert display.variance_share == 1
        assert (display.coordinates == 0).all()
        display.figure_.canvas.draw()


class TestPoints:
    def test_caption_says_what_is_kept(self):
        table, _ = clustered(60)
        display = EmbeddingDisplay.from_table(table)
        trust = trustworthiness(table.vectors, display.coordinates, n_neighbors=10)
        assert display.trust.value == pytest.approx(trust, abs=1e-6)
        assert display.caption == (
            f"PCA of 60 keys, 8 dimensions; {100 * display.variance_share:.0f} % of the variance is shown; "
            f"trustworthiness {trust:.2f} (10 neighbours)"
        )

    def test_of_many_points_a_sample_is_judged_and_told(self):
        table = EmbeddingTable(range(2500), np.random.default_rng(0).normal(size=(2500, 4)))
        display = EmbeddingDisplay.from_table(table, random_state=0)
        whole = trustworthiness(table.vectors, display.coordinates, n_neighbors=10)
        assert display.trust.value == pytest.approx(whole, abs=0.02)
        assert display.caption.endswith("(10 neighbours of 1,000 of the points)")

    def test_keys_choose_points_in_their_order(self):
        table, _ = clustered()
        display = EmbeddingDisplay.from_table(table, keys=["key7", "key3", "key5"], color=["a", "b", "c"])
        assert display.table.keys.tolist() == ["key7", "key3", "key5"]
        field = display.fields["color"]
        assert [field.categories[code] for code in field.codes] == ["a", "b", "c"]
        assert display.caption.startswith("PCA of 3 of 60 keys")

    def test_max_points_takes_the_first_or_the_largest_and_what_is_named(self):
        table, _ = clustered()
        first = EmbeddingDisplay.from_table(table, max_points=4, color=np.arange(60.0))
        assert first.table.keys.tolist() == ["key0", "key1", "key2", "key3"]
        assert first.fields["color"].numbers.tolist() == [0, 1, 2, 3]
        largest = EmbeddingDisplay.from_table(table, max_points=3, size={f"key{i}": i for i in range(50)})
        assert largest.table.keys.tolist() == ["key47", "key48", "key49"]
        named = EmbeddingDisplay.from_table(table, max_points=3, label=["key50"], links=[("key9", "key8")])
        assert named.table.keys.tolist() == ["key8", "key9", "key50"]
        assert named.links == {"": [(1, 0)]}

    def test_seventy_thousand_words_do_not_go_to_t_sne_unasked(self):
        table = EmbeddingTable(range(70_000), np.random.default_rng(0).normal(size=(70_000, 2)))
        seen = []
        EmbeddingDisplay.from_table(
            table, method=SimpleNamespace(fit_transform=lambda x: (seen.append(len(x)), x)[1]), random_state=0
        )
        assert seen == [10_000]

    @pytest.mark.parametrize("kind", ["dict", "series", "plain series", "array", "list", "polars"])
    def test_values_come_in_many_containers(self, kind):
        table, clusters = clustered(12)
        values = clusters.astype(float) + 0.5
        if kind == "dict":
            given = {f"key{i}": values[i] for i in reversed(range(12))}
        elif kind == "series":
            given = pytest.importorskip("pandas").Series(values[::-1], index=[f"key{i}" for i in range(12)][::-1])
        elif kind == "plain series":
            given = pytest.importorskip("pandas").Series(values)
        elif kind == "polars":
            given = pytest.importorskip("polars").Series("color", values)
        else:
            given = values if kind == "array" else values.tolist()
        display = EmbeddingDisplay.from_table(table, color=given, keys=["key5", "key2"])
        assert display.fields["color"].numbers.tolist() == [values[5], values[2]]

    def test_fields_of_a_frame(self):
        pd = pytest.importorskip("pandas")
        table, clusters = clustered(12)
        frame = pd.DataFrame({"cluster": clusters, "weight": np.arange(12.0)}, index=table.keys)
        display = EmbeddingDisplay.from_table(table, fields=frame.iloc[::-1], color="cluster", size="weight")
        assert list(display.fields) == ["cluster", "weight"]
        assert display.fields["weight"].numbers.tolist() == list(range(12))

    def test_from_an_estimator(self):
        table, _ = clustered()
        other, _ = clustered(10)
        one = SimpleNamespace(embedding_=table)
        many = SimpleNamespace(embeddings_={"a": table, "b": other})
        assert EmbeddingDisplay.from_estimator(one, method="pca").table is table
        assert EmbeddingDisplay.from_estimator(many, column="b").table is other
        assert EmbeddingDisplay.from_estimator(SimpleNamespace(embeddings_={"a": table})).table is table
        with pytest.raises(ValueError, match="column must be one of 'a', 'b', got None"):
            EmbeddingDisplay.from_estimator(many)
        with pytest.raises(ValueError, match="column must be None"):
            EmbeddingDisplay.from_estimator(one, column="a")
        with pytest.raises(TypeError, match=r"SimpleNamespace has neither embedding_ nor embeddings_\. Call fit"):
            EmbeddingDisplay.from_estimator(SimpleNamespace())

    def test_from_the_one_step_of_a_pipeline_that_has_tables(self):
        table, _ = clustered()
        other, _ = clustered(10)
        X = np.arange(12.0).reshape(4, 3)
        encoder = make_pipeline(StandardScaler(), Learned(embeddings_={"a": table, "b": other}))
        columns = ColumnTransformer([("city", encoder, [0]), ("left out", "drop", [1])], remainder="passthrough")
        words = make_pipeline(StandardScaler(), Learned(embedding_=table), WithArray())
        for fitted in (words.fit(X), make_union(PCA(1), words).fit(X)):
            assert EmbeddingDisplay.from_estimator(fitted).table is table
        for fitted in (columns.fit(X), make_pipeline(columns, PCA(1)).fit(X)):
            assert EmbeddingDisplay.from_estimator(fitted, column="b", dim=3).table is other
            with pytest.raises(ValueError, match="column must be one of 'a', 'b', got None"):
                EmbeddingDisplay.from_estimator(fitted)

    def test_a_pipeline_with_no_such_step_or_several_names_them(self):
        table, _ = clustered()
        X = np.arange(12.0).reshape(4, 3)
        with pytest.raises(
            ValueError, match="must have one step with embedding_ or embeddings_; Pipeline has"
        ) as caught:
            EmbeddingDisplay.from_estimator(make_pipeline(StandardScaler(), "passthrough", WithArray()).fit(X))
        assert str(caught.value).endswith(
            "none among named_steps['standardscaler'] (StandardScaler), named_steps['witharray'] (WithArray). Pass a "
            "fitted one that has such a step, or a table to from_table."
        )
        columns = ColumnTransformer([("city", Learned(embedding_=table), [0])])
        fitted = Pipeline([("columns", columns), ("map", Learned(embeddings_={"a": table}))]).fit(X)
        with pytest.raises(ValueError, match="Pipeline has 2") as caught:
            EmbeddingDisplay.from_estimator(fitted)
        assert str(caught.value).endswith(
            "has 2: named_steps['columns'].named_transformers_['city'] (Learned), named_steps['map'] (Learned). Pass "
            "one of them, as from_estimator(estimator.named_steps['columns'].named_transformers_['city'])."
        )
        with pytest.raises(ValueError, match="Pipeline has none"):
            EmbeddingDisplay.from_estimator(make_pipeline(Learned(embedding_=None)))
        with pytest.raises(TypeError, match="ColumnTransformer has neither"):
            EmbeddingDisplay.from_estimator(ColumnTransformer([]))

    def test_a_page_shows_neighbours_by_the_metric_of_the_table(self, tmp_path):
        table = EmbeddingTable(list("abc"), [[1.0, 0.0], [9.0, 0.0], [1.0, 2.0]], metric="euclidean")
        display = EmbeddingDisplay.from_table(table)
        pages = {}
        for metric in (None, "euclidean", "cosine"):
            display.to_html(tmp_path / "map.html", n_neighbors=1, metric=metric)
            pages[metric] = (tmp_path / "map.html").read_text()
        assert pages[None] == pages["euclidean"] != pages["cosine"]


class TestFaults:
    @pytest.mark.parametrize(
        ("kwargs", "error", "message"),
        [
            ({"method": "lda"}, ValueError, "method must be one of 'pca', 'tsne'.*got 'lda'"),
            ({"dim": 4}, ValueError, "dim must be 2 or 3, got 4"),
            ({"metric": "dot"}, ValueError, "metric must be 'euclidean' or 'cosine', got 'dot'"),
            ({"keys": ["nobody"]}, KeyError, "nobody"),
            ({"keys": []}, ValueError, "at least one key"),
            ({"keys": "key1"}, TypeError, "list of keys"),
            ({"max_points": 0}, ValueError, "max_points must be a positive int or 'auto', got 0"),
            ({"color": "kind"}, ValueError, "color='kind' names no field; no fields were given"),
            ({"color": [1, 2]}, ValueError, "color must have a value for each key, 60 in all, got 2"),
            ({"color": np.ones((60, 2))}, ValueError, "color must be one-dimensional"),
            ({"color": 3}, TypeError, "color must be a sequence, a dict or a Series, got int"),
            ({"color": {"x": 1}}, ValueError, "color has a value for none of the 60 keys.*like 'x'.*'key0'"),
            ({"size": ["a"] * 60}, TypeError, "size must hold numbers, got 'a'"),
            ({"size": [-1.0] * 60}, ValueError, "size must not be negative, got -1"),
            ({"size": [-1.0] * 60, "max_points": 9}, ValueError, "^size must not be negative, got -1"),
            ({"size": ["a"] * 60, "max_points": 9}, TypeError, "^size must hold numbers, got 'a'"),
            ({"size": {"x": 1}, "max_points": 9}, ValueError, "^size has a value for none of the 60 keys"),
            ({"fields": [1]}, TypeError, "fields must be a dict"),
            ({"fields": {"f": [1]}}, ValueError, r"fields\['f'\] must have a value for each key"),
            ({"label": ["nobody"]}, KeyError, "label: 'nobody' not among"),
            ({"label": -1}, ValueError, "label must not be negative"),
            ({"label": "key1"}, ValueError, "label must be a bool, an int, 'groups' or a list of keys, got 'key1'"),
            ({"links": [("key1", "nobody")]}, KeyError, "links: 'nobody' not among"),
            ({"links": ["key1"]}, ValueError, r"pairs \(from, to\) of keys, got 'key1'"),
        ],
    )
    def test_what_does_not_fit_is_named(self, kwargs, error, message):
        with pytest.raises(error, match=message):
            EmbeddingDisplay.from_table(clustered()[0], **kwargs)

    def test_an_empty_table_and_too_few_points(self):
        with pytest.raises(ValueError, match="table must have keys to show"):
            EmbeddingDisplay.from_table(EmbeddingTable([], np.empty((0, 2))))
        with pytest.raises(ValueError, match="needs at least 4 points, got 3; method='pca'"):
            EmbeddingDisplay.from_table(clustered(3)[0], method="tsne")

    def test_memory_for_all_distances_is_predicted(self):
        table = EmbeddingTable(range(20_000), np.zeros((20_000, 2)))
        with pytest.raises(ValueError, match=r"20,000 points would take 13 GB\. Pass max_points=10000"):
            EmbeddingDisplay.from_table(table, method="mds", max_points=20_000)

    @pytest.mark.parametrize(
        ("missing", "call", "message"),
        [
            ("matplotlib", "EmbeddingDisplay.from_table(table).plot()", 'pip install "skembed\\[plot\\]"'),
            ("umap", "EmbeddingDisplay.from_table(table, method='umap')", r"pip install \"skembed\[umap\]\""),
        ],
    )
    def test_an_optional_package_is_named(self, missing, call, message, monkeypatch):
        monkeypatch.setitem(sys.modules, missing, None)
        if missing == "matplotlib":
            monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
        with pytest.raises(ImportError, match=message):
            eval(call, {"EmbeddingDisplay": EmbeddingDisplay, "table": clustered()[0]})

    def test_matplotlib_is_not_imported_before_it_is_needed(self):
        code = (
            "import sys, numpy as np\n"
            "from skembed import EmbeddingTable\nfrom skembed.inspection import EmbeddingDisplay\n"
            "EmbeddingDisplay.from_table(EmbeddingTable(range(9), np.eye(9)), color=list('abcabcabc'))\n"
            "print([m for m in ('matplotlib', 'torch', 'numba') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestFields:
    def test_what_is_a_number_and_what_a_category(self):
        assert Field.of("", [0.5, None, 1.5]).numbers.tolist()[::2] == [0.5, 1.5]
        assert Field.of("", [1.0, 2.0]).numbers.tolist() == [1, 2]  # floats stay numbers however few
        assert Field.of("", np.array([3, 1, 3])).categories == ["1", "3"]
        assert Field.of("", range(15)).numbers is not None
        assert Field.of("", [True, False, None]).categories == ["False", "True"]
        assert Field.of("", [10, 9, 100]).categories == ["9", "10", "100"]  # in the order of numbers
        assert Field.of("", ["b", 1, None, float("nan")]).codes.tolist() == [1, 0, -1, -1]
        assert Field.of("", [float("inf"), 1.5]).numbers.tolist()[1] == 1.5
        assert np.isnan(Field.of("", [10**400, 1.5]).numbers[0])
        assert Field.of("", [None, None]).codes.tolist() == [-1, -1]

    def test_as_many_categories_as_colours_and_shapes_then_the_largest_seven(self):
        groups, of_point = Field.of("", [f"c{i:02}" for i in range(14)]).groups()
        assert len({(group.color, group.shape) for group in groups}) == 14
        assert of_point.tolist() == list(range(14))
        values = [f"c{i:02}" for i in range(20) for _ in range(i + 1)] + [None]
        groups, of_point = Field.of("", values).groups()
        assert [group.name for group in groups] == [*(f"c{i}" for i in range(13, 20)), "13 others", "missing"]
        assert [group.color for group in groups[:7]] == list(CATEGORY_COLORS)
        assert groups[7].color == groups[8].color == OTHER_COLOR
        assert np.bincount(of_point).tolist() == [group.n_points for group in groups]
        assert groups[7].n_points == sum(range(1, 14))

    def test_an_outlier_does_not_take_the_scale(self):
        low, high = Field.of("", [*np.linspace(0, 1, 100), 1e9]).limits()
        assert 0 <= low < 0.1
        assert 0.9 < high <= 1
        assert Field.of("", [2.5, 2.5]).limits() == (2.0, 3.0)


class TestPlot:
    def test_returns_itself_with_what_was_drawn(self, plt):
        table, clusters = clustered()
        _, ax = plt.subplots()
        display = EmbeddingDisplay.from_table(table, color=[f"group {c}" for c in clusters])
        assert display.plot(ax) is display
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        assert sum(len(part.get_offsets()) for part in display.scatter_) == 60
        assert ax.get_xlabel().replace("\n", " ") == display.caption
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["group 0", "group 1", "group 2"]

    @pytest.mark.parametrize("dpi", [72, 200])
    def test_points_cover_the_same_share_of_any_figure(self, dpi, plt):
        ax = plt.figure(figsize=(7, 5), dpi=dpi).add_axes([0.1, 0.2, 0.8, 0.6])
        (points,) = EmbeddingDisplay.from_table(clustered(300)[0]).plot(ax).scatter_
        areas = np.broadcast_to(points.get_sizes(), 300) / 72**2  # in square inches
        assert areas.sum() == pytest.approx(0.12 * (7 * 0.8) * (5 * 0.6))

    def test_what_has_no_colour_of_its_own_lies_below_what_has(self, plt):
        from matplotlib.colors import to_hex

        counts = np.arange(1, 21)
        table = EmbeddingTable(range(counts.sum()), np.random.default_rng(0).normal(size=(counts.sum(), 3)))
        names = [f"group {k}" for k in np.repeat(np.arange(20), counts)]
        display = EmbeddingDisplay.from_table(table, color=[*names[:-1], None]).plot()
        drawn = sorted(display.ax_.collections, key=lambda part: part.get_zorder())
        colors = [to_hex(part.get_facecolor()[0][:3]) for part in drawn]
        assert colors[:2] == [OTHER_COLOR] * 2
        assert sorted(colors[2:]) == sorted(CATEGORY_COLORS)

    @pytest.mark.parametrize("dim", [2, 3])
    def test_labels_neither_overlap_nor_leave_the_axes(self, dim, plt):
        table, clusters = clustered(300)
        display = EmbeddingDisplay.from_table(table, dim=dim, color=clusters, size=np.arange(1, 301)).plot()
        display.figure_.canvas.draw()
        boxes = [label.get_window_extent() for label in display.labels_]
        frame = display.ax_.get_window_extent()
        assert 15 < len(boxes) <= 40
        for i, a in enumerate(boxes):
            assert a.x0 >= frame.x0 - 1
            assert a.x1 <= frame.x1 + 1
            assert a.y0 >= frame.y0 - 1
            assert a.y1 <= frame.y1 + 1
            for b in boxes[:i]:
                assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 2 or b.y1 <= a.y0 + 2

    def test_nothing_is_cut_off_by_the_figure(self, plt):
        table, _ = clustered(50)
        color = [f"a category with quite a long name {i % 9}" for i in range(50)]
        display = EmbeddingDisplay.from_table(table, color=color).plot(title="Title")
        display.figure_.canvas.draw()
        box = display.figure_.get_tightbbox()
        width, height = display.figure_.get_size_inches()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height

    def test_labels_stay_at_their_points_when_the_axes_are_turned(self, plt):
        from matplotlib.backend_bases import MouseEvent
        from mpl_toolkits.mplot3d import proj3d

        display = EmbeddingDisplay.from_table(clustered(30)[0], dim=3).plot()
        canvas, ax = display.figure_.canvas, display.ax_
        canvas.draw()
        before = [label.xy for label in display.labels_]
        ax.view_init(elev=70, azim=200)
        canvas.draw()
        canvas.callbacks.process("motion_notify_event", MouseEvent("motion_notify_event", canvas, 10, 10))
        place = {key: row for row, key in enumerate(display.table.keys)}
        for label, old in zip(display.labels_, before, strict=True):
            x, y, _ = proj3d.proj_transform(*display.coordinates[place[label.get_text()]], ax.get_proj())
            np.testing.assert_allclose(label.xy, (x, y), atol=1e-6)
            assert np.abs(np.subtract(label.xy, old)).max() > 1e-4

    def test_which_points_get_labels(self, plt):
        table, _ = clustered()

        def labels(**kwargs):
            return {text.get_text() for text in EmbeddingDisplay.from_table(table, **kwargs).plot().labels_}

        assert len(labels(label=5)) == 5
        assert labels(label=["key3", "key30"]) == {"key3", "key30"}
        assert labels(label=False) == labels(label=None) == set()
        assert {"key8", "key9"} <= labels(links=[("key8", "key9")], label=6)
        sizes = np.zeros(60)
        sizes[[11, 44]] = 9
        assert "key11" in labels(size=sizes, label=8)

    def test_groups_are_named_amid_their_points(self, plt):
        table, clusters = clustered()
        display = EmbeddingDisplay.from_table(table, color=[f"c{c}" for c in clusters], label="groups").plot()
        assert [text.get_text() for text in display.labels_] == ["c0", "c1", "c2"]
        for j, text in enumerate(display.labels_):
            np.testing.assert_allclose(text.get_position(), np.median(display.coordinates[clusters == j], axis=0))
        assert EmbeddingDisplay.from_table(table, color=np.arange(60.0), label="groups").plot().labels_ == []

    def test_every_region_has_its_label_before_one_has_two(self):
        rng = np.random.default_rng(0)
        crowd = np.concatenate([rng.normal(size=(500, 2)), [[40.0, 40.0]]])
        assert 500 in label_order(crowd)[:5]  # the crowd fills four regions
        assert label_order(crowd, importance=np.arange(501))[0] in (499, 500)
        assert sorted(label_order(crowd)) == list(range(501))

    def test_links_are_arrows_in_groups(self, plt):
        table, _ = clustered()
        links = {"to 1": [("key0", "key1")], "to 3": [("key2", "key3"), ("key4", "key3")]}
        display = EmbeddingDisplay.from_table(table, links=links, label=False).plot()
        arrows = [text for text in display.ax_.texts if text.arrow_patch is not None]
        assert len(arrows) == 3
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["to 1", "to 3"]
        flat = EmbeddingDisplay.from_table(table, links=links, dim=3).plot()
        assert len(flat.ax_.lines) == 3

    def test_no_label_hides_an_arrow(self, plt):
        square = EmbeddingTable(["a longer key", "b", "c", "d"], [[0, 0], [1, 0], [0, 1], [1, 1.0]])
        links = [("a longer key", "b"), ("c", "d")]
        display = EmbeddingDisplay.from_table(square, links=links).plot()
        display.figure_.canvas.draw()
        to_pixels = display.ax_.transData.transform
        for a, b in display.links[""]:
            line = to_pixels(display.coordinates[[a, b]]).T
            steps = np.linspace(0.03, 0.97, 200)
            on_line = line[:, 0] + steps[:, None] * (line[:, 1] - line[:, 0])
            for box in (text.get_window_extent() for text in display.labels_):
                inside = (on_line > [box.x0, box.y0]) & (on_line < [box.x1, box.y1])
                assert not inside.all(axis=1).any()
        assert len(display.labels_) == 4

    def test_keys_of_any_kind_are_drawn(self, plt):
        keys = ["$x_1$", "$", "a\nb", "\ud800", "\x00", "", None, ("a", 1), "x" * 500]
        table = EmbeddingTable(keys, np.random.default_rng(0).normal(size=(9, 3)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of glyphs that the font has not
            display = EmbeddingDisplay.from_table(table, color=keys, fields={"$y": keys}).plot(title="t")
            display.figure_.canvas.draw()
        assert {"$x_1$", "missing"} <= {text.get_text() for text in display.labels_}

    def test_numbers_have_a_scale_and_missing_ones_a_grey(self, plt):
        table, _ = clustered()
        values = np.linspace(0, 1, 60)
        values[:5] = np.nan
        display = EmbeddingDisplay.from_table(table, color=values).plot(cmap="cividis")
        assert [len(part.get_offsets()) for part in display.scatter_] == [5, 55]
        assert display.scatter_[1].get_cmap().name == "cividis"
        assert len(display.figure_.axes) == 2

    def test_the_axes_must_have_the_dimensions(self, plt):
        table, _ = clustered()
        with pytest.raises(ValueError, match="ax must have the projection 3d for 3 dimensions"):
            EmbeddingDisplay.from_table(table, dim=3).plot(plt.subplots()[1])

    def test_distances_are_comparable(self, plt):
        display = EmbeddingDisplay.from_table(clustered()[0]).plot()
        display.figure_.canvas.draw()
        ax = display.ax_
        unit = ax.transData.transform([[0, 0], [1, 0], [0, 1]])
        assert unit[1, 0] - unit[0, 0] == pytest.approx(unit[2, 1] - unit[0, 1])
        low, high = ax.transAxes.inverted().transform(ax.transData.transform(display.coordinates)).T.min(), 1
        assert 0 < low < high


@pytest.mark.parametrize("projection", [None, "3d"])
def test_labels_are_as_wide_as_the_figure_draws_them(projection):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    ax = Figure(dpi=144).add_subplot(projection=projection)
    texts = ["i", "WWWW", "a longer label", "$x$"]
    style = {"fontsize": 9, "color": "k", "path_effects": [], "parse_math": False, "zorder": 4}
    widths = _widths(ax, texts, style)
    drawn = [ax.annotate(text, (0, 0), fontsize=9, parse_math=False) for text in texts]
    assert widths == pytest.approx([text.get_window_extent().width for text in drawn])
    assert len(ax.texts) == len(texts)  # what measured is gone


@pytest.mark.parametrize("dim", [2, 3])
def test_points_keep_a_margin_from_the_frame(dim):
    pytest.importorskip("matplotlib")
    ax = EmbeddingDisplay.from_table(clustered()[0], dim=dim).plot().ax_
    assert ax.margins()[:2] == (0.06, 0.06)
