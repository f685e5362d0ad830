"""Settings of trainers: their defaults are those of estimators with such a parameter, and trainers run by them."""

from dataclasses import MISSING, FrozenInstanceError, fields

import numpy as np
import pytest
from scipy import sparse

import skembed
from skembed.data.ragged import Ragged
from skembed.training.autoencoder import AutoencoderSettings
from skembed.training.canonical import CanonicalSettings, learn_canonical
from skembed.training.cooccurrence import CountSettings, count_cooccurrences
from skembed.training.documents import ClassSettings, LabelledBags, random_rows, train_classes
from skembed.training.ease import EaseSettings, learn_ease
from skembed.training.factorization import PPMISettings, factorize_ppmi
from skembed.training.glove import GloVeSettings, train_glove
from skembed.training.ials import IALSSettings, learn_ials
from skembed.training.interactions import InteractionSettings, learn_items
from skembed.training.nodes import NodeSettings, learn_nodes
from skembed.training.run import Run
from skembed.training.sequence_settings import SequenceSettings, plan_rounds
from skembed.training.sequences import train_sequences

BASKETS = sparse.csr_matrix(np.random.default_rng(0).random((12, 5)) < 0.5, dtype=np.float32)
GRAPH = sparse.csr_matrix(np.ones((5, 5)) - np.eye(5))
CHUNK = Ragged.from_ends(np.tile(np.arange(4, dtype=np.int32), 10), np.arange(4, 41, 4))
COUNTS = np.full(4, 10)


def learn_glove(settings):
    with count_cooccurrences([CHUNK], COUNTS, CountSettings(), Run(0)) as cells:
        return train_glove(cells, settings(2, 1), Run(0))


def learn_class(settings):
    data = LabelledBags(CHUNK, np.arange(10, dtype=np.int32) % 2, np.ones(10, np.float32), np.array([5, 5]))
    return train_classes(data, random_rows(4, 2, 0), settings("softmax", 1, 0.1, 1), Run(0))


TRAINED = {
    NodeSettings: lambda settings: learn_nodes(GRAPH, settings("deepwalk", 2), Run(0)),
    CanonicalSettings: lambda settings: learn_canonical(np.eye(5)[:, :3], np.eye(5)[:, 2:], settings()),
    GloVeSettings: learn_glove,
    CountSettings: lambda settings: count_cooccurrences([CHUNK], COUNTS, settings(), Run(0)),
    SequenceSettings: lambda settings: (
        plan_rounds(40, settings(2), 8192), train_sequences([CHUNK], COUNTS, settings(2), Run(0))
    ),
    InteractionSettings: lambda settings: learn_items(BASKETS, settings("ease", 2), Run(0)),
    AutoencoderSettings: lambda settings: settings.of(skembed.ProjectionEmbedder("autoencoder"), 10),
    ClassSettings: learn_class,
    EaseSettings: lambda settings: learn_ease(BASKETS, settings(2), Run(0)),
    IALSSettings: lambda settings: learn_ials(BASKETS, settings(2, 0.1, 0.1), Run(0)),
    PPMISettings: lambda settings: factorize_ppmi(CHUNK, 4, settings(2), Run(0)),
}  # fmt: skip


def defaults_of(settings):
    assert TRAINED[settings](settings) is not None
    return {field.name: field.default for field in fields(settings) if field.default is not MISSING}


@pytest.mark.parametrize(
    ("settings", "estimator", "others"),
    [
        (NodeSettings, skembed.NodeEmbedder, {}),
        (CanonicalSettings, skembed.CCAEmbedder, {}),
        (GloVeSettings, skembed.GloVeVectorizer, {}),
        # what estimators call "auto" is here what it means where nothing else is known
        (CountSettings, skembed.GloVeVectorizer, {"x_max": 100.0}),
        (
            SequenceSettings,
            skembed.Word2VecVectorizer,
            {"subsample": 1e-4, "learning_rate": 0.025, "min_learning_rate": 1e-4, "max_iter": 5, "n_shards": None,
             "tokens_per_shard": None},
        ),
        (
            InteractionSettings,
            skembed.InteractionEmbedder,
            {"penalty": None, "dropout": None, "user_exponent": 0.0, "max_iter": None, "value_exponent": 1.0,
             "prior": 0.0},
        ),
        (AutoencoderSettings, skembed.ProjectionEmbedder, {"early_stopping": False, "n_iter_no_change": 3}),
    ],
)  # fmt: skip
def test_defaults_are_those_of_the_estimator(settings, estimator, others):
    parameters = estimator().get_params(deep=False)
    expected = {name: others.get(name, parameters.get(name)) for name in defaults_of(settings)}
    assert defaults_of(settings) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ClassSettings, {"n_shards": None, "rows_per_shard": 8192, "idf_power": 2.0}),
        (EaseSettings, {"penalty": None, "dropout": None, "user_exponent": 0.0, "prior": 0.0}),
        (IALSSettings, {"max_iter": 16, "n_steps": 3}),
        (PPMISettings, {"context_exponent": 0.75, "eigenvalue_exponent": 0.5, "n_oversamples": 16, "n_power_iter": 1,
                        "memory_limit": 2**31}),
    ],
)  # fmt: skip
def test_defaults_that_no_estimator_has(settings, expected):
    assert defaults_of(settings) == expected


def test_settings_do_not_change():
    settings = NodeSettings("prone", 4)
    with pytest.raises(FrozenInstanceError):
        settings.window = 3
