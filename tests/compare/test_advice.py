"""The sentence of advice, on scores made up."""

import numpy as np
import pytest

from skembed.compare._advice import Gain, advise, best_row, gains_by_learner
from skembed.compare._evaluate import Encoding, Row
from skembed.compare._text import format_bytes, format_seconds, format_table

FOLDS = np.array([0.80, 0.82, 0.81, 0.79, 0.80])


def row(encoder, scores, learner="linear", skipped=""):
    encoding = Encoding([0.1] * 5, [0.01] * 5, n_columns=12, n_bytes=123_456)
    return Row(encoder, learner, encoding, list(scores), [0.2] * len(scores), skipped)


def test_worth_it():
    rows = [
        row("onehot", FOLDS),
        row("target", FOLDS - 0.1),
        row("entity", np.add(FOLDS, [0.012, 0.011, 0.012, 0.013, 0.012])),
    ]
    assert advise(rows) == (
        "Worth it: entity with linear gains +0.012 R2 over onehot with linear (0.816 against 0.804), in all 5 folds."
    )


def test_a_gain_within_the_spread_is_too_close_to_call():
    rows = [row("onehot", FOLDS), row("entity", np.add(FOLDS, [0.05, -0.04, 0.03, -0.02, 0.01]))]
    advice = advise(rows, "ROC AUC")
    assert advice.startswith("Too close to call: entity with linear gains +0.006 ROC AUC over onehot with linear")
    assert "ahead in 3 of 5 folds" in advice
    assert advice.endswith("onehot is simpler.")


def test_not_worth_it():
    worse = [row("onehot", FOLDS), row("entity", FOLDS - [0.02, 0.021, 0.02, 0.019, 0.02])]
    assert advise(worse) == (
        "Not worth it: onehot with linear is better by 0.020 R2 than entity with linear (0.784 against 0.804)."
    )
    equal = [row("onehot", FOLDS), row("entity", FOLDS + 0.0005)]  # certain, and too small to matter
    assert advise(equal).startswith("Not worth it: onehot with linear is as good as entity with linear and simpler")
    slightly_worse = [row("onehot", FOLDS), row("entity", FOLDS - [0.05, -0.04, 0.03, -0.02, 0.01])]
    assert advise(slightly_worse).startswith("Not worth it: onehot with linear is as good")


def test_best_pipelines_are_compared_across_learners():
    rows = [
        row("onehot", FOLDS),
        row("entity", FOLDS + 0.03),
        row("onehot", FOLDS + 0.1, "hgb"),
        row("entity", FOLDS + 0.05, "hgb"),
    ]
    assert best_row(rows) is rows[2]
    assert advise(rows) == (
        "Not worth it: onehot with hgb is better by 0.050 R2 than entity with hgb (0.854 against 0.904); "
        "but entity gains +0.030 over onehot with linear."
    )


def test_no_signal_no_advice():
    noise = np.array([-0.02, 0.01, 0.0, -0.01, 0.005])
    assert advise([row("onehot", noise), row("entity", noise + 0.001)]).startswith("No advice: nothing here predicts")
    assert advise([row("onehot", noise + 0.5), row("entity", noise + 0.5)], "ROC AUC").startswith("No advice")
    assert not advise([row("onehot", noise + 0.5), row("entity", noise + 0.5)], "R2").startswith("No advice")


def test_one_side_only():
    assert advise([row("onehot", FOLDS)]).startswith("Best is onehot with linear with R2 0.804 ± 0.011; entity vectors")
    assert advise([row("entity", FOLDS), row("onehot", [], skipped="broke")]).endswith("nothing to compare them with.")
    failed = [row("onehot", FOLDS), row("entity", [], skipped="entity failed: no memory")]
    assert advise(failed).endswith("entity vectors were not compared (entity failed: no memory).")
    assert advise([row("onehot", [], skipped="broke")]) == "Nothing could be compared."


def test_margin_is_the_corrected_resampled_t_interval():
    gain = Gain(row("entity", np.add(FOLDS, [0.01, 0.02, 0.03, 0.04, 0.05])), row("onehot", FOLDS))
    assert gain.mean == pytest.approx(0.03)
    # t(0.975, 4 degrees of freedom) = 2.7764, variance 0.00025, times 1/5 + 1/4
    assert gain.margin == pytest.approx(2.776445 * np.sqrt(0.00025 * 0.45), rel=1e-6)
    assert (gain.n_ahead, gain.n_folds) == (5, 5)


def test_gains_by_learner_need_both_sides():
    rows = [row("onehot", FOLDS), row("target", FOLDS + 0.1), row("entity", FOLDS), row("entity", FOLDS, "knn")]
    (gain,) = gains_by_learner(rows)
    assert (gain.a.learner, gain.b.encoder) == ("linear", "target")


def test_table():
    rows = [row("onehot", FOLDS), row("entity", FOLDS + 0.1), row("onehot", [], "hgb", skipped="too wide")]
    lines = format_table(rows, "R2").splitlines()
    assert len(lines) == 4
    assert lines[1].split() == ["linear", "onehot", "0.8040", "±", "0.0114", "12", "0.30", "0.010", "123", "kB"]
    assert lines[2].startswith("*")
    assert lines[3].split() == ["hgb", "onehot", "-", "too", "wide"]
    assert lines[0].index("R2") + 2 == lines[1].index("0.8040") + 6  # numbers stand under the right end of the name


def test_columns_stand_under_each_other_however_long_the_names_of_what_was_left_out():
    rows = [row("onehot", FOLDS), row("a long encoder", [], "a long learner", skipped="too wide"), row("entity", FOLDS)]
    lines = format_table(rows, "R2").splitlines()
    places = [line.index(name) for line, name in zip(lines, ("encoder", "onehot", "a long encoder", "entity"))]
    assert len(set(places)) == 1
    ends = [line.index(value) + len(value) for line, value in zip(lines, ("R2", "0.8040", " -", "0.8040"))]
    assert len(set(ends)) == 1


@pytest.mark.parametrize(("n", "text"), [(999, "999 B"), (1500, "1.5 kB"), (2.5e8, "250 MB"), (7.1e9, "7.1 GB")])
def test_bytes(n, text):
    assert format_bytes(n) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0123, "0.012"), (1.234, "1.23"), (1234.5, "1,234")])
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.002] * 3, "worth it"),
        ([0.0019] * 3, "not worth it"),
        ([0.0] * 3, "not worth it"),
        ([-0.1] * 3, "not worth it"),
        ([0.1, -0.1, 0.01], "too close to call"),
        ([0.1, -0.1, -0.01], "not worth it"),  # what is no better on average
        ([0.0011, 0.0010, 0.0012], "not worth it"),  # surely too small
        ([0.0011, 0.0010, 0.0042], "too close to call"),
        ([0.0041, 0.0040, 0.0042], "worth it"),
    ],
)
def test_verdicts_at_their_bounds(differences, verdict):
    gain = Gain(row("entity", differences), row("onehot", [0.0] * 3))
    assert gain.verdict == verdict
    assert gain.is_clear == (abs(gain.mean) > gain.margin)
    assert (gain.n_ahead, gain.n_folds) == (sum(d > 0 for d in differences), 3)


def test_whole_sentences():
    close = [row("onehot", FOLDS), row("entity", np.add(FOLDS, [0.05, -0.04, 0.03, -0.02, 0.01]))]
    margin = Gain(close[1], close[0]).margin
    assert advise(close) == (
        "Too close to call: entity with linear gains +0.006 R2 over onehot with linear (0.810 against 0.804), ahead in "
        f"3 of 5 folds, within the margin of ± {margin:.3f}; onehot is simpler."
    )
    assert advise([row("onehot", FOLDS), row("entity", FOLDS + 0.0005)]) == (
        "Not worth it: onehot with linear is as good as entity with linear and simpler (R2 0.804 against 0.804)."
    )
    some = [row("onehot", [0.8] * 9 + [0.9]), row("entity", [0.85] * 9 + [0.899])]
    assert advise(some) == (
        "Worth it: entity with linear gains +0.045 R2 over onehot with linear (0.855 against 0.810), ahead in 9 of 10 "
        "folds."
    )
    assert advise([row("onehot", FOLDS)], "ROC AUC") == (
        "Best is onehot with linear with ROC AUC 0.804 ± 0.011; entity vectors were not compared."
    )
    assert advise([row("entity", FOLDS)]) == (
        "Entity vectors reach R2 0.804 ± 0.011 with linear; there is nothing to compare them with."
    )
    assert advise([row("onehot", [0.01, -0.01, 0.0])]) == (
        "No advice: nothing here predicts the target better than chance (best is onehot with linear, 0.000 ± 0.010)."
    )
    three = [
        row("onehot", FOLDS + 0.3, "hgb"), row("entity", FOLDS, "hgb"), row("onehot", FOLDS),
        row("entity", FOLDS + 0.1),
        row("target", FOLDS, "knn"), row("entity", FOLDS + 0.2, "knn"),
    ]  # fmt: skip
    assert advise(three).endswith("; but entity gains +0.100 over onehot with linear and +0.200 over target with knn.")
    assert best_row([row("a", FOLDS), row("b", FOLDS)]).encoder == "a"
    assert best_row([row("a", [])]) is None


def test_the_chance_of_a_metric_and_how_sure_one_is():
    spread = np.array([-0.02, 0.0, 0.02])
    for metric, chance in (("R2", 0.0), ("ROC AUC", 0.5), ("ROC AUC (one vs rest)", 0.5)):
        standard_error = 0.02 / np.sqrt(3)
        for above, says in ((0.9, True), (1.1, False)):
            scores = chance + above * standard_error + spread
            assert advise([row("onehot", scores)], metric).startswith("No advice") == says


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (100_000, "100 kB"), (999_499, "999 kB"),
     (1e6, "1.0 MB"), (1e9, "1.0 GB"), (1e12, "1000.0 GB")],
)  # fmt: skip
def test_bytes_at_the_bounds_of_units(n, text):
    assert format_bytes(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0999, "0.100"), (0.1, "0.10"), (9.994, "9.99"), (10, "10"), (999.6, "1,000")]
)
def test_seconds_at_the_bounds_of_digits(seconds, text):
    assert format_seconds(seconds) == text
