"""EntityEmbeddingEncoder over time: partial_fit, warm starts, given tables, weights, callbacks."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline

from skembed import EmbeddingTable, EntityEmbeddingEncoder
from skembed.training.callbacks import HAS_CALLBACKS


def encoder(**parameters):
    return EntityEmbeddingEncoder(**({"max_iter": 3, "random_state": 0} | parameters))


@pytest.fixture
def X(shop, make_objects):
    return make_objects(shop.columns)


def marginal(fitted, column=0):
    """The marginal effect of every level, in units of y."""
    effects = fitted._learned.effects.marginal[column][1:, 0] * fitted._schema.target.scale[0]
    return dict(zip(fitted._schema.vocabularies[column].keys, effects))


class TestPartialFit:
    def test_the_first_call_is_a_fit(self, X, shop):
        first, fitted = encoder().partial_fit(X, shop.y), encoder().fit(X, shop.y)
        np.testing.assert_array_equal(first.transform(X), fitted.transform(X))

    def test_known_levels_keep_their_place_and_new_ones_come_behind(self, X, shop):
        fitted = encoder().fit(X, shop.y)
        before = fitted.categories_[0].tolist()
        more = X[:40].copy()
        more[:20, 0] = "Paris"
        fitted.partial_fit(more, shop.y[:40])
        assert fitted.categories_[0].tolist() == [*before, "Paris"]
        assert "Paris" in fitted.embeddings_["x0"]

    def test_each_call_goes_on_where_the_one_before_stopped(self):
        codes = np.random.default_rng(0).integers(8, size=(600, 2))
        y = (codes % 2).prod(axis=1) * 4.0  # what the net alone can learn, pass by pass
        X = codes.astype(str).astype(object)
        options = {"hidden_layer_sizes": (16,), "learning_rate": 0.01, "batch_size": 32, "early_stopping": False}
        fitted = encoder(max_iter=1, **options).fit(X, y)
        for _ in range(3):
            fitted.partial_fit(X, y)
        losses = np.array(fitted.loss_curve_)
        assert (losses[1:] < 0.85 * losses[:-1]).all()

    @pytest.mark.parametrize("n_first", [320, 100])  # with and without a net
    def test_marginal_effects_are_those_of_all_rows(self, X, shop, n_first):
        y = shop.y + 2.0 * np.random.default_rng(0).standard_normal(len(X))
        y[:2] += 20.0
        y[:n_first] -= y[:n_first].mean()
        y[n_first:] -= y[n_first:].mean()
        Z = X.copy()
        Z[:2, 0] = "rare"  # what unknown levels learn from
        Z[n_first::2, 0] = "Paris"  # new in the second part
        fitted = encoder(tol=0).fit(Z[:n_first], y[:n_first])
        ratio = fitted._learned.ratios.marginal[0]
        assert abs(fitted._learned.effects.marginal[0][0, 0]) > 0.01  # a guess that is no prior
        fitted.partial_fit(Z[n_first:], y[n_first:])
        found = marginal(fitted)
        for key in fitted.categories_[0]:
            mine = np.array([z == key for z in Z[:, 0]])
            assert found[key] == pytest.approx(y[mine].sum() / (mine.sum() + ratio), abs=1e-4)

    def test_many_small_parts_come_near_the_whole(self, X, shop):
        whole = encoder().fit(X, shop.y)
        parts = encoder().fit(X[:300], shop.y[:300])
        for rows in np.array_split(np.arange(300, len(X)), 6):
            parts.partial_fit(X[rows], shop.y[rows])
        a, b = marginal(whole), marginal(parts)
        assert np.corrcoef([a[k] for k in a], [b[k] for k in a])[0, 1] > 0.99
        assert parts.n_iter_ == 3 + 6
        assert len(parts.loss_curve_) == parts.n_iter_
        assert np.isfinite(parts.transform(X)).all()

    def test_rows_of_weight_zero_are_as_if_they_were_not_there(self, X, shop):
        more = X[:30].copy()
        more[:10, 0] = "Paris"
        weight = np.ones(30)
        weight[:10] = 0
        one = encoder().fit(X, shop.y).partial_fit(more, shop.y[:30], sample_weight=weight)
        other = encoder().fit(X, shop.y).partial_fit(more[10:], shop.y[10:30])
        assert "Paris" not in one.embeddings_["x0"]
        assert one.embeddings_ == other.embeddings_

    def test_whole_weights_count_as_repeated_rows(self, X, shop):
        more, y = X[:10].copy(), shop.y[:10]
        more[:2, 0] = "Paris"
        one = encoder(min_frequency=3).fit(X, shop.y).partial_fit(more, y, sample_weight=np.full(10, 2.0))
        other = encoder(min_frequency=3).fit(X, shop.y).partial_fit(np.repeat(more, 2, axis=0), np.repeat(y, 2))
        assert "Paris" in one.embeddings_["x0"]
        np.testing.assert_allclose(list(marginal(one).values()), list(marginal(other).values()), atol=1e-6)

    def test_new_levels_of_a_small_fit_have_no_code_either(self, X, shop):
        fitted = encoder().fit(X[:100], shop.y[:100])
        more = X[:20].copy()
        more[:10, 0] = "Paris"
        table = fitted.partial_fit(more, shop.y[:20]).embeddings_["x0"]
        np.testing.assert_array_equal(table.vectors[:, 2:], 0)

    def test_classes(self, X, shop):
        third = np.digitize(shop.y, np.quantile(shop.y, [0.3, 0.6]))
        some = third < 2
        fitted = encoder().partial_fit(X[some], third[some], classes=[0, 1, 2])
        fitted.partial_fit(X[~some], third[~some])
        assert fitted.classes_.tolist() == [0, 1, 2]
        with pytest.raises(ValueError, match=r"y holds 7; expected one of the classes \[0, 1, 2\]"):
            fitted.partial_fit(X, np.full(len(X), 7))
        with pytest.raises(ValueError, match="y holds 'a'; expected one of the classes"):
            fitted.partial_fit(X, ["a", "b"] * 210)
        with pytest.raises(ValueError, match="Leave classes out"):
            encoder().partial_fit(X, shop.y, classes=[0, 1])

    def test_a_first_batch_that_is_too_small_to_tell_is_told_of(self):
        X = np.array([["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]] * 100, dtype=object)
        y = (X[:, 0] == "a") + 0.1 * np.random.default_rng(0).standard_normal(400)
        balanced = np.repeat([0.5, 1.25], 4)  # once with each pair
        fitted = encoder()
        message = r"^in the 8 rows of the first partial_fit the columns 'x0', 'x1' say nothing of the target, and thei"
        with pytest.warns(UserWarning, match=message):
            fitted.partial_fit(X[:8], balanced)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted.partial_fit(X, y)
            encoder().fit(X[:8], balanced)
            assert encoder().partial_fit(X, y).uninformative_features_ == ["x1"]
        assert not fitted.transform(X).any()

    def test_columns_have_to_be_the_same(self, X, shop):
        with pytest.raises(ValueError, match="features"):
            encoder().fit(X, shop.y).partial_fit(X[:, :1], shop.y)

    def test_one_row(self, X, shop):
        fitted = encoder().fit(X, shop.y)
        assert np.isfinite(fitted.partial_fit(X[:1], shop.y[:1]).transform(X)).all()


class TestWarmStart:
    def test_goes_on_from_the_last_fit(self, X, shop):
        options = {"hidden_layer_sizes": (128, 64), "learning_rate": 0.01, "early_stopping": False}
        cold = encoder(**options).fit(X, shop.y)
        warm = encoder(warm_start=True, **options).fit(X, shop.y)
        assert warm.loss_curve_ == cold.loss_curve_
        warm.fit(X, shop.y)
        assert warm.loss_curve_[0] < cold.loss_curve_[0]
        assert warm.loss_curve_[0] < 1.2 * cold.loss_curve_[-1]

    def test_another_net_begins_anew(self, X, shop):
        options = {"learning_rate": 0.01, "early_stopping": False, "max_iter": 2}
        warm = encoder(warm_start=True, hidden_layer_sizes=(8,), **options).fit(X, shop.y)
        for changes, y in (({"hidden_layer_sizes": (6, 5)}, shop.y), ({}, shop.y > 2), ({}, np.arange(len(X)) % 3)):
            assert np.isfinite(warm.set_params(**changes).fit(X, y).transform(X)).all()

    def test_other_columns_and_targets_begin_anew(self, X, shop):
        warm = encoder(warm_start=True).fit(X, shop.y)
        np.testing.assert_array_equal(
            warm.fit(X, shop.y < 2).embeddings_["x0"].keys, encoder().fit(X, shop.y < 2).embeddings_["x0"].keys
        )
        assert np.isfinite(warm.fit(X[:, 1:], shop.y).transform(X[:, 1:])).all()

    def test_initial_vectors_hold_nothing_of_the_target(self, X, shop):
        options = {"hidden_layer_sizes": (128, 64), "learning_rate": 0.02, "early_stopping": False, "max_iter": 20}
        warm = encoder(warm_start=True, **options).fit(X, shop.y)
        initial, raw = warm._learned.net.initial, warm._learned.net.raw
        warm.fit(X, shop.y)
        for before, learned, after in zip(initial, raw, warm._learned.net.initial):
            np.testing.assert_array_equal(after, before)
            assert not np.array_equal(learned, before)

    def test_does_not_leak_into_rows_held_out(self):
        rng = np.random.default_rng(0)
        n = 600
        noise = rng.integers(150, size=n).astype(str)[:, None]
        y = rng.standard_normal(n)
        options = {"hidden_layer_sizes": (128, 64), "learning_rate": 0.02, "early_stopping": False, "max_iter": 20}
        warm = encoder(warm_start=True, **options).fit(noise, y)
        out = warm.fit_transform(noise, y)
        half = np.arange(n) < n // 2
        score = Ridge(alpha=1e-3).fit(out[half], y[half]).score(out[~half], y[~half])
        assert score < 0.05


class TestInit:
    @pytest.fixture
    def table(self):
        vectors = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
        return EmbeddingTable(["Bonn", "Graz", "Oslo", "Bari", "Ulm", "elsewhere"], vectors)

    def test_frozen(self, X, shop, table):
        fitted = encoder(init={"x0": table}, init_frozen=True).fit(X, shop.y)
        learned = fitted.embeddings_["x0"]
        for key in ("Bonn", "Graz", "Oslo", "Bari", "Ulm"):
            np.testing.assert_array_equal(learned[key], table[key])
        np.testing.assert_allclose(learned["Rome"], table.vectors.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(learned.unknown, table.vectors.mean(axis=0), atol=1e-6)
        out = encoder(init={"x0": table}, init_frozen=True).fit_transform(X, shop.y)
        np.testing.assert_array_equal(out[:, :4], fitted.transform(X)[:, :4])

    def test_fine_tuned(self, X, shop, table):
        fitted = encoder(init={"x0": table}, max_iter=20, learning_rate=0.01).fit(X, shop.y)
        learned = fitted.embeddings_["x0"]
        change = np.abs(learned.lookup(table.keys[:5]) - table.vectors[:5]).max()
        assert 1e-4 < change < 2.0
        assert learned.embedding_dim == 4
        assert np.isfinite(fitted.partial_fit(X[:50], shop.y[:50]).transform(X)).all()

    def test_a_net_that_was_left_out_stays_so(self, X, shop, table):
        y = np.random.default_rng(1).standard_normal(len(X)) > 0
        fitted = encoder(init={"x0": table}).fit(X, y)
        before, n_layers = fitted.embeddings_["x0"], len(fitted._learned.net.head)
        assert (fitted.shrinkage_, n_layers > 0) == (np.inf, True)
        for _ in range(2):
            fitted.partial_fit(X, y)
        assert fitted.embeddings_["x0"] == before
        assert fitted.loss_curve_[-2:] == pytest.approx([np.log(2)] * 2, abs=0.02)  # logistic, as that of the net

    def test_without_enough_rows_for_a_net(self, X, shop, table):
        learned = encoder(init={"x0": table}).fit(X[:100], shop.y[:100]).embeddings_["x0"]
        np.testing.assert_array_equal(learned["Bonn"], table["Bonn"])

    def test_a_learned_table_is_handed_on(self, X, shop):
        first = encoder().fit(X, shop.y)
        second = encoder(init={"x0": first.embeddings_["x0"]}, init_frozen=True).fit(X, -shop.y)
        assert second.embeddings_["x0"] == first.embeddings_["x0"]

    def test_errors(self, X, shop, table):
        with pytest.raises(ValueError, match=r"init names 'city', which is not a categorical column"):
            encoder(init={"city": table}).fit(X, shop.y)
        with pytest.raises(TypeError, match=r"init\['x0'\] is of type list; expected an EmbeddingTable"):
            encoder(init={"x0": [1.0]}).fit(X, shop.y)
        with pytest.raises(ValueError, match="shares no key with column 'x1'"):
            encoder(init={"x1": table}).fit(X, shop.y)


class TestWeights:
    def test_weight_zero_is_as_if_the_row_was_not_there(self, X, shop):
        weight = np.ones(len(X))
        weight[::10] = 0
        kept = weight > 0
        one = encoder().fit(X, shop.y, sample_weight=weight)
        other = encoder().fit(X[kept], shop.y[kept])
        assert one.embeddings_ == other.embeddings_
        out = encoder().fit_transform(X, shop.y, sample_weight=weight)
        np.testing.assert_array_equal(out[kept], encoder().fit_transform(X[kept], shop.y[kept]))
        np.testing.assert_array_equal(out[~kept], one.transform(X[~kept]))

    def test_whole_weights_count_as_repeated_rows(self, X, shop):
        rng = np.random.default_rng(0)
        weight, folds = rng.integers(1, 4, len(X)), rng.integers(3, size=len(X))
        number = np.exp(rng.standard_normal(len(X)))
        number[rng.random(len(X)) < 0.2] = np.nan
        y = shop.y + np.nan_to_num(number)
        table = np.column_stack([X.astype(object), number])
        rows = np.repeat(np.arange(len(X)), weight)

        def learned(rows, **weights):
            splits = [(np.flatnonzero(folds[rows] != k), np.flatnonzero(folds[rows] == k)) for k in range(3)]
            columns = list(range(X.shape[1]))
            fitted = encoder(cv=splits, categorical_features=columns, max_iter=0).fit(table[rows], y[rows], **weights)
            return fitted, fitted.transform(table)

        (one, Z), (other, expected) = learned(np.arange(len(X)), sample_weight=weight), learned(rows)
        assert one._schema.scaler.width == pytest.approx(other._schema.scaler.width)
        np.testing.assert_allclose(Z, expected, atol=1e-4)

    def test_two_rows_of_positive_weight_are_needed(self, X, shop):
        weight = np.zeros(len(X))
        weight[7] = 1
        with pytest.raises(ValueError, match=r"1 sample.s. of positive weight while a minimum of 2 is required"):
            encoder().fit(X, shop.y, sample_weight=weight)

    def test_only_ratios_of_weights_count(self, X, shop):
        weight = np.random.default_rng(0).uniform(0.1, 1, len(X))
        one = encoder().fit(X, shop.y, sample_weight=weight).transform(X)
        for factor in (4.0, 2.0**-40, 1e300):
            other = encoder().fit(X, shop.y, sample_weight=factor * weight).transform(X)
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

    def test_class_weight(self, X, shop):
        y = np.where(shop.y > np.quantile(shop.y, 0.8), "high", "low")
        plain = encoder().fit(X, y).transform(X)[:, :1]
        balanced = encoder(class_weight="balanced").fit(X, y).transform(X)
        named = encoder(class_weight={"high": 0.5 / 0.2, "low": 0.5 / 0.8}).fit(X, y).transform(X)
        assert np.abs(plain - balanced[:, :1]).max() > 0.05
        np.testing.assert_allclose(named, balanced, rtol=1e-3, atol=1e-4)
        with pytest.raises(ValueError, match="class_weight is 'balanced' and the target is continuous"):
            encoder(class_weight="balanced").fit(X, shop.y)

    def test_weights_of_classes_that_a_batch_lacks(self, X, shop):
        y = np.where(shop.y > np.quantile(shop.y, 0.8), "high", "low")
        low = np.flatnonzero(y == "low")
        named, without = (encoder(class_weight={"high": 2.0}).partial_fit(X, y) for _ in range(2))
        named.partial_fit(X[low], y[low])
        without.set_params(class_weight=None).partial_fit(X[low], y[low])
        np.testing.assert_array_equal(named.transform(X), without.transform(X))
        first = encoder(class_weight={"high": 2.0}).partial_fit(X[low], y[low], classes=["high", "low"])
        assert first.classes_.tolist() == ["high", "low"]
        with pytest.raises(ValueError, match="weighs classes that y lacks; y holds 'low'"):
            encoder(class_weight={"high": 2.0}).fit(X[low], y[low])

    def test_rows_of_weight_zero_do_not_count_where_classes_are_balanced(self, X, shop):
        y = np.where(shop.y > np.quantile(shop.y, 0.8), "high", "low")
        weight = np.where(y == "low", np.arange(len(y)) % 3, 1)
        kept = weight > 0
        balanced = encoder(class_weight="balanced")
        out = balanced.fit_transform(X, y, sample_weight=weight)
        np.testing.assert_array_equal(out[kept], balanced.fit_transform(X[kept], y[kept], sample_weight=weight[kept]))


class TestRouting:
    @pytest.fixture(autouse=True)
    def routing(self):
        with sklearn.config_context(enable_metadata_routing=True):
            yield

    def test_groups_and_weights_reach_the_encoder_in_a_pipeline(self, X, shop):
        groups = shop.city
        weight = np.linspace(0.5, 1.5, len(X))
        step = encoder(cv=GroupKFold(3)).set_fit_request(groups=True, sample_weight=True)
        pipeline = make_pipeline(step, Ridge().set_fit_request(sample_weight=False))
        pipeline.fit(X, shop.y, groups=groups, sample_weight=weight)
        direct = encoder(cv=GroupKFold(3))
        direct.fit_transform(X, shop.y, groups=groups, sample_weight=weight)
        np.testing.assert_array_equal(pipeline[0].transform(X), direct.transform(X))
        assert not np.array_equal(
            direct.transform(X), encoder(cv=GroupKFold(3)).fit(X, shop.y, groups=groups).transform(X)
        )

    def test_groups_hold_out_whole_levels(self, X, shop):
        held_out = encoder(cv=GroupKFold(7))
        out = held_out.fit_transform(X, shop.y, groups=shop.city)
        dim = held_out.embeddings_["x0"].embedding_dim
        unseen = [np.unique(out[shop.city == c, :dim], axis=0) for c in range(7)]
        assert all(len(u) == 1 for u in unseen)  # the city's rows all lie in one fold, whose tables never saw it
        assert held_out.uninformative_features_ == ["x0"]  # it tells nothing of other cities,
        assert held_out.interactions_ == []  # nor does what grades are worth in it
        assert np.ptp(out[:, dim]) > 1.0


class TestFolds:
    def test_cv_none_is_fit_then_transform(self, X, shop):
        out = encoder(cv=None).fit_transform(X, shop.y)
        np.testing.assert_array_equal(out, encoder(cv=None).fit(X, shop.y).transform(X))

    def test_held_out_rows_lie_near_in_the_same_space(self, X, shop):
        out = encoder(max_iter=20).fit_transform(X, shop.y)
        full = encoder(max_iter=20).fit(X, shop.y).transform(X)
        for k in range(out.shape[1]):
            if full[:, k].std() > 1e-3:
                assert np.corrcoef(out[:, k], full[:, k])[0, 1] > 0.9

    def test_rows_whose_own_target_weighs_get_vectors_of_other_rows(self, X, shop):
        rare = X.copy()
        rare[:, 0] = [f"{v} {i % 12}" for i, v in enumerate(X[:, 0])]
        out, full = encoder().fit_transform(rare, shop.y), encoder().fit(rare, shop.y).transform(rare)
        assert not np.array_equal(out, full)
        one, dim = encoder(cv=None), encoder().fit(rare, shop.y).embeddings_["x1"].embedding_dim
        np.testing.assert_array_equal(out[:, -dim:], full[:, -dim:])  # grades have 140 rows each
        np.testing.assert_array_equal(one.fit_transform(rare, shop.y), one.transform(rare))

    def test_fit_transform_and_fit_learn_the_same_tables(self, X, shop):
        one, other = encoder(), encoder()
        one.fit_transform(X, shop.y)
        assert one.embeddings_ == other.fit(X, shop.y).embeddings_

    def test_splitters_lists_and_generators(self, X, shop):
        folds = KFold(3, shuffle=True, random_state=0)
        expected = encoder(cv=folds).fit_transform(X, shop.y)
        for cv in (list(folds.split(X)), folds.split(X)):
            np.testing.assert_array_equal(encoder(cv=cv).fit_transform(X, shop.y), expected)


@pytest.mark.skipif(not HAS_CALLBACKS, reason="callbacks need scikit-learn 1.9")
class TestCallbacks:
    @pytest.fixture
    def recorder(self):
        class Recorder:
            def __init__(self, stop_after=None):
                self.calls, self.losses, self.stop_after = [], [], stop_after

            def setup(self, estimator, context):
                self.calls.append("setup")

            def teardown(self, estimator, context):
                self.calls.append("teardown")

            def on_fit_task_begin(self, estimator, context, **_):
                self.calls.append(f"begin {context.task_name}")

            def on_fit_task_end(self, estimator, context, *, metadata=None, **_):
                self.calls.append(f"end {context.task_name}")
                if context.task_name == "pass":
                    self.losses.append(metadata["loss"])
                return len(self.losses) == self.stop_after

        return Recorder

    def test_called_once_a_pass(self, X, shop, recorder):
        for method in ("fit", "fit_transform", "partial_fit"):
            callback = recorder()
            fitted = encoder().set_callbacks(callback)
            getattr(fitted, method)(X, shop.y)
            passes = ["begin pass", "end pass"] * fitted.n_iter_
            assert callback.calls == ["setup", "begin fit", *passes, "end fit", "teardown"]
            assert callback.losses == fitted.loss_curve_

    def test_may_stop(self, X, shop, recorder):
        assert encoder(max_iter=9).set_callbacks(recorder(stop_after=2)).fit(X, shop.y).n_iter_ == 2

    def test_later_parts_are_one_pass(self, X, shop, recorder):
        callback = recorder()
        encoder().fit(X, shop.y).set_callbacks(callback).partial_fit(X, shop.y)
        assert callback.calls == ["setup", "begin fit", "begin pass", "end pass", "end fit", "teardown"]

    def test_without_a_net(self, X, shop, recorder):
        for options, rows in (({"max_iter": 0}, 400), ({}, 100)):
            callback = recorder()
            encoder(**options).set_callbacks(callback).fit(X[:rows], shop.y[:rows])
            assert callback.calls == ["setup", "begin fit", "end fit", "teardown"]

    def test_progress_bar(self, X, shop):
        callback = pytest.importorskip("sklearn.callback")
        pytest.importorskip("rich")
        fitted = encoder().set_callbacks(callback.ProgressBar()).fit(X, shop.y)
        assert np.isfinite(fitted.transform(X)).all()


def test_verbose_shows_a_bar_with_the_loss(X, shop, capsys):
    encoder(verbose=1).fit(X, shop.y)
    shown = capsys.readouterr().err
    assert "EntityEmbeddingEncoder" in shown
    assert "loss=" in shown
    encoder().fit(X, shop.y)
    assert capsys.readouterr().err == ""
