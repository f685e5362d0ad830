"""Advice in a sentence: whether entity vectors are worth it, by differences of scores paired over the folds."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from skembed.compare._evaluate import Row

_SMALLEST_GAIN = 0.002  # of R2 or ROC AUC; less is not worth a second thought, however certain
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gain:
    """What row `a` gains over row `b`, paired over the folds."""

    a: Row
    b: Row

    @property
    def differences(self):
        return np.subtract(self.a.scores, self.b.scores)

    @property
    def mean(self):
        return float(self.differences.mean())

    @property
    def n_ahead(self):
        return int((self.differences > 0).sum())

    @property
    def n_folds(self):
        return len(self.a.scores)

    @property
    def margin(self):
        """Half the width of the 95 % interval of the mean difference.

        Folds share most of their training rows, so that the plain standard error is too small; corrected as by Nadeau
        and Bengio, "Inference for the generalization error", Machine Learning 52 (2003), equation for the corrected
        resampled t-test, with n_test / n_train = 1 / (n_folds - 1).
        """
        k = self.n_folds
        variance = self.differences.var(ddof=1) * (1 / k + 1 / (k - 1))
        return float(stats.t.ppf((1 + _CONFIDENCE) / 2, k - 1) * np.sqrt(variance))

    @property
    def is_clear(self):
        return abs(self.mean) > self.margin

    @property
    def verdict(self):
        """ "worth it", "not worth it" or "too close to call"."""
        if self.mean >= _SMALLEST_GAIN and self.is_clear:
            return "worth it"
        if self.mean + self.margin < _SMALLEST_GAIN or self.mean <= 0:
            return "not worth it"
        return "too close to call"


def best_row(rows):
    """The row of the highest mean score, the earlier of two equals; None if no row has scores."""
    scored = [row for row in rows if row.scores]
    return max(scored, key=lambda row: row.mean, default=None)


def gains_by_learner(rows, encoder="entity"):
    """What `encoder` gains over the best other encoder with the same learner: one Gain per learner that has both."""
    gains = []
    for learner in dict.fromkeys(row.learner for row in rows):
        of_learner = [row for row in rows if row.learner == learner]
        a = best_row(row for row in of_learner if row.encoder == encoder)
        b = best_row(row for row in of_learner if row.encoder != encoder)
        if a and b:
            gains.append(Gain(a, b))
    return gains


def advise(rows, metric="R2"):
    """Judge in one sentence whether entity vectors are worth it.

    Parameters
    ----------
    rows : list of Row
        From `evaluate`; all of the same folds.
    metric : str
        Name of the score.

    Returns
    -------
    advice : str
        The best pipeline with entity vectors against the best one without: "Worth it: ...", "Not worth it: ..." or
        "Too close to call: ...". Where the two verdicts differ, learners that gain are named at the end.
    """
    best = best_row(rows)
    if best is None:
        return "Nothing could be compared."
    if best.mean <= _chance(metric) + best.spread / np.sqrt(len(best.scores)):
        return (
            f"No advice: nothing here predicts the target better than chance (best is {_label(best)}, {_score(best)})."
        )
    a, b = best_row(r for r in rows if r.encoder == "entity"), best_row(r for r in rows if r.encoder != "entity")
    if a is None:
        why = next((f" ({row.skipped})" for row in rows if row.encoder == "entity"), "")
        return f"Best is {_label(best)} with {metric} {_score(best)}; entity vectors were not compared{why}."
    if b is None:
        return f"Entity vectors reach {metric} {_score(a)} with {a.learner}; there is nothing to compare them with."
    gain = Gain(a, b)
    scores = f"{a.mean:.3f} against {b.mean:.3f}"
    ahead = f"ahead in {gain.n_ahead} of {gain.n_folds} folds"
    if gain.verdict == "worth it":
        ahead = f"in all {gain.n_folds} folds" if gain.n_ahead == gain.n_folds else ahead
        return f"Worth it: {_label(a)} gains {gain.mean:+.3f} {metric} over {_label(b)} ({scores}), {ahead}."
    also = _also_gains(rows)
    if gain.verdict == "too close to call":
        return (
            f"Too close to call: {_label(a)} gains {gain.mean:+.3f} {metric} over {_label(b)} ({scores}), "
            f"{ahead}, within the margin of \u00b1 {gain.margin:.3f}; {b.encoder} is simpler{also}."
        )
    if gain.mean <= -_SMALLEST_GAIN and gain.is_clear:
        return f"Not worth it: {_label(b)} is better by {-gain.mean:.3f} {metric} than {_label(a)} ({scores}){also}."
    scores = f"{metric} {b.mean:.3f} against {a.mean:.3f}"
    return f"Not worth it: {_label(b)} is as good as {_label(a)} and simpler ({scores}){also}."


def _also_gains(rows):
    """Learners for which the vectors are worth it, though the best pipeline of all does without them."""
    worth = [gain for gain in gains_by_learner(rows) if gain.verdict == "worth it"]
    if not worth:
        return ""
    parts = " and ".join(f"{g.mean:+.3f} over {g.b.encoder} with {g.a.learner}" for g in worth)
    return f"; but entity gains {parts}"


def _chance(metric):
    return 0.0 if metric == "R2" else 0.5


def _label(row):
    return f"{row.encoder} with {row.learner}"


def _score(row):
    return f"{row.mean:.3f} \u00b1 {row.spread:.3f}"
