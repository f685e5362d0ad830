"""Recent fits of one process, cached ones, for fits of the same rows that differ in `embedding_dim` alone.

What a fit learns does not depend on how it is cut, and neither do the levels it numbers. A grid search over the
dimension asks for both as often as it has candidates; here they are found by a hash of all that they depend on, without
X being read again. The cache on disk has another key, of what is learned from, ids and targets; what is held here is
used only while the cache has it, too.
"""

import numbers
import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

import numpy as np

from skembed.categorical._problem import Learned
from skembed.categorical._setup import Schema, Setup
from skembed.data.columns import Columns
from skembed.data.content import content_hash
from skembed.data.keys import smallest
from skembed.data.roles import some_categorical_positions
from skembed.training.cache import Call, call_key
from skembed.training.recent import Recent, size_in_bytes

__all__ = ["LEVELS", "RECENT", "KnownFit", "encode_again", "fit_key", "known_fit", "remember"]

RECENT = Recent(limit=1 << 28)  # five folds of a million rows of eight columns with some thousand levels
LEVELS = Recent(limit=1 << 26)  # their test rows, at two bytes a level
NOT_LEARNED = {"embedding_dim", "handle_unknown", "remainder", "memory", "verbose"}  # parameters that change no vector
READ = {"categorical_features", "cv", "init", "random_state", "warm_start"}  # those that `fit_key` looks at itself


@dataclass(frozen=True)
class KnownFit:
    """What was learned of some rows, not cut yet.

    Attributes
    ----------
    setup : Setup
        Its schema's `dims` are those of one of the estimators.
    learned : Learned
    call : Call
        Where the cache has it; without the result.
    """

    setup: Setup
    learned: Learned
    call: Call

    def own_learned(self) -> Learned:
        """Return what was learned, for one estimator: lists that it shows are copies, arrays are nowhere written to."""
        learned, history = self.learned, self.learned.history
        shown = replace(history, loss_curve=[*history.loss_curve], validation_scores=[*history.validation_scores])
        interactions, net = learned.interactions, learned.net
        if interactions.history is history:
            interactions = replace(interactions, history=shown)
        if net.history is history:
            net = replace(net, history=shown)
        return replace(learned, interactions=interactions, net=net, history=shown)


def fit_key(
    estimator: Any, memory: Any, columns: Columns, y: Any, weight: np.ndarray, groups: Any, classes: Any, previous: Any
) -> str | None:
    """Return a hash of all that decides what is learned, and of where it is cached.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder
    memory : joblib.Memory or an object with its interface
    columns : Columns
    y : array-like
    weight : ndarray of shape (n_samples,)
    groups, classes, previous
        As in `set_up`.

    Returns
    -------
    str or None
        None where nothing is cached, where equal arguments need not give equal results, or where they are hard to
        compare: a random state that is no int, a splitter of the user's own, tables in `init`, a warm start, cells that
        are objects of classes unknown.
    """
    location = getattr(memory, "location", None)
    if location is None or groups is not None or classes is not None or previous is not None or estimator.init:
        return None
    if not isinstance(estimator.random_state, numbers.Integral) or not _is_settled(estimator.cv):
        return None
    try:
        target = np.asarray(y)
    except ValueError:  # of lists of unequal lengths, which `set_up` refuses
        return None
    hashes = [content_hash(values) for values in (*columns.values, target)]
    hashes.append(b"" if (weight == 1).all() else content_hash(weight))
    if None in hashes:
        return None
    parameters = {k: v for k, v in estimator.get_params(deep=False).items() if k not in NOT_LEARNED | READ}
    settled = type(estimator.cv).__name__, getattr(estimator.cv, "__dict__", estimator.cv), int(estimator.random_state)
    positions = some_categorical_positions(estimator.categorical_features, columns)
    container = type(y).__name__, [str(dtype) for dtype in getattr(y, "dtypes", [])] if target.ndim == 2 else []
    try:
        return call_key(
            type(estimator), str(location), columns.names, hashes, positions, container, parameters, settled
        )
    except (pickle.PicklingError, TypeError, AttributeError):
        return None


def _is_settled(cv: Any) -> bool:
    """Whether equal `cv` split equal rows alike: a number of folds, or a splitter of scikit-learn's that draws none."""
    if cv is None or isinstance(cv, numbers.Integral):
        return True
    if not type(cv).__module__.startswith("sklearn.model_selection."):
        return False
    if not all(value is None or isinstance(value, (int, float, str)) for value in vars(cv).values()):
        return False
    return getattr(cv, "random_state", None) is not None or not getattr(cv, "shuffle", True)


def known_fit(key: str | None) -> KnownFit | None:
    """Return the recent fit of a key, if there is one and the cache has it still."""
    known = None if key is None else RECENT.get(key)
    if known is not None and not known.call.is_kept():
        RECENT.drop(key)
        return None
    return known


def remember(key: str, setup: Setup, call: Call) -> KnownFit:
    """Hold a fit for the next ones, as far as there is memory for it."""
    schema = replace(setup.schema, target=deepcopy(setup.schema.target))  # its classes are shown
    known = KnownFit(replace(setup, schema=schema), replace(call.result), replace(call, result=None))
    RECENT.put(key, known, size_in_bytes((known.setup, known.learned)))
    return known


@dataclass(frozen=True)
class KnownLevels:
    """The table rows of some columns.

    Attributes
    ----------
    vocabularies : list of weakref.ref
        By which they were numbered.
    ids : list of ndarray of shape (n_rows,), unsigned
    """

    vocabularies: list[ref]
    ids: list[np.ndarray]


def encode_again(columns: Columns, schema: Schema, encode: Callable[[Columns], list[np.ndarray]]) -> list[np.ndarray]:
    """Return ``encode(columns)``, now or from an earlier call with equal columns and the same vocabularies.

    Those of one fit are the same for every cut of it, and a grid search transforms equal rows by each.
    """
    hashes = [content_hash(columns.values[position]) for position in schema.positions]
    if None in hashes:
        return encode(columns)
    key = tuple(hashes), tuple(map(id, schema.vocabularies))
    known = LEVELS.get(key)
    if known is not None and all(held() is own for held, own in zip(known.vocabularies, schema.vocabularies)):
        return known.ids
    ids = encode(columns)
    known = KnownLevels(list(map(ref, schema.vocabularies)), list(map(smallest, ids)))
    LEVELS.put(key, known, size_in_bytes(known.ids))
    return ids
