"""Settings of trainers: their defaults are those of the estimators that have a parameter of the same name."""

from dataclasses import MISSING, FrozenInstanceError, fields

import pytest

import skembed
from skembed.training.autoencoder import AutoencoderSettings
from skembed.training.canonical import CanonicalSettings
from skembed.training.cooccurrence import CountSettings
from skembed.training.documents import ClassSettings
from skembed.training.ease import EaseSettings
from skembed.training.factorization import PPMISettings
from skembed.training.glove import GloVeSettings
from skembed.training.ials import IALSSettings
from skembed.training.interactions import InteractionSettings
from skembed.training.nodes import NodeSettings
from skembed.training.sequence_settings import SequenceSettings


def defaults_of(settings):
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
            {"penalty": None, "dropout": None, "user_exponent": 0.0, "max_iter": None},
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
        (ClassSettings, {"n_shards": None, "rows_per_shard": 8192}),
        (EaseSettings, {"penalty": None, "dropout": None, "user_exponent": 0.0}),
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
