"""Settings of contextual vectors, whatever the model: what parameters mean, and each that does not fit, by its name."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from skembed.apply.contextual_model import ModelDefaults, ScalarMix
from skembed.apply.model_directory import Dense
from skembed.text import _contextual
from skembed.text._contextual_settings import CONTEXTUAL_POOLINGS, ContextualSettings, settings_for

TRAINED = ScalarMix(np.array([1.0, -np.inf, 2.0]), 0.5, True)
DENSE = Dense(np.array([[2.0, 0], [0, 2]]), np.zeros(2), "Identity")


def model_of(dims=(4, 4, 4), max_length=32, **defaults):
    return SimpleNamespace(dims=dims, max_length=max_length, defaults=ModelDefaults(**defaults))


def test_what_is_auto_is_as_the_files_say():
    found = settings_for(model_of())
    assert vars(found) == {
        "layers": (2,), "mix_weights": None, "mix_gamma": 1.0, "mix_layer_norm": False, "poolings": ("mean",),
        "dense": False, "normalize": False, "max_length": 32, "windows": False, "prompt": "", "include_prompt": True,
    }  # fmt: skip
    found.check()
    said = {"dims": (1, 1, 1), "poolings": ("cls", "max"), "dense": (DENSE,), "normalize": True, "max_length": 12,
            "prompts": {"query": "ask: "}, "prompt": "say: ", "include_prompt": False}  # fmt: skip
    found = settings_for(model_of(**said), long_documents="windows")
    assert (found.poolings, found.dense, found.normalize, found.max_length) == (("cls", "max"), True, True, 12)
    assert (found.prompt, found.include_prompt, found.windows) == ("say: ", False, True)
    assert settings_for(model_of(**said), prompt="query").prompt == "ask: "
    assert settings_for(model_of(**said), prompt="else").prompt == "else"
    assert settings_for(model_of(**said), prompt="").prompt == ""
    own = settings_for(model_of(**said), pooling="mean")
    assert (own.poolings, own.dense, own.normalize) == (("mean",), False, False)
    assert settings_for(model_of(**said), pooling="mean", normalize=True).normalize is True
    assert settings_for(model_of(**said), normalize=False).normalize is False


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (-1, (2,)),
        (0, (0,)),
        (2, (2,)),
        (-3, (0,)),
        ([0, -1], (0, 2)),
        (np.array([1, 1]), (1, 1)),
        (np.int64(1), (1,)),
        ("mean", (0, 1, 2)),
    ],
)
def test_layers_are_counted_from_either_end(layer, expected):
    assert settings_for(model_of(), layer=layer).layers == expected


@pytest.mark.parametrize("name", CONTEXTUAL_POOLINGS)
def test_poolings_have_names_of_their_own(name):
    assert settings_for(model_of(), pooling=name).poolings == (CONTEXTUAL_POOLINGS[name],)
    both = settings_for(model_of(), pooling=["last", "mean-sqrt"]).poolings
    assert both == ("lasttoken", "mean_sqrt_len_tokens")


@pytest.mark.parametrize(
    ("params", "trained", "expected"),
    [
        (None, None, ((0, 0, 0), 1.0, False)),
        ({}, TRAINED, ((1, -np.inf, 2), 0.5, True)),
        ({"weights": [3, 2, 1]}, TRAINED, ((3, 2, 1), 0.5, True)),
        ({"gamma": 4, "layer_norm": False}, TRAINED, ((1, -np.inf, 2), 4.0, False)),
        ({"layer_norm": True}, None, ((0, 0, 0), 1.0, True)),
    ],
)
def test_a_mix_is_the_trained_one_but_for_what_is_given(params, trained, expected):
    found = settings_for(model_of(mix=trained), layer="mix", mix_params=params)
    assert (found.mix_weights, found.mix_gamma, found.mix_layer_norm) == expected
    mean = settings_for(model_of(mix=trained), layer="mean", mix_params=params)
    assert (mean.mix_weights, mean.mix_gamma, mean.mix_layer_norm) == ((0, 0, 0), 1.0, False)
    assert settings_for(model_of(mix=trained), layer=1, mix_params=params).mix_weights is None


@pytest.mark.parametrize(
    ("parameters", "model", "message"),
    [
        ({"layer": []}, {}, "layer is an empty list; expected numbers of layers."),
        ({"layer": 3}, {}, "layer=3 names 3, but the model has 3 layers: expected 0 (tokens without their context)"),
        ({"layer": [0, -4]}, {}, "names -4, but the model has 3 layers: expected 0 (tokens without their context) to 2 "
         "(the last one), or from the end -1 to -3."),
        ({"layer": [True]}, {}, "names True"),
        ({"layer": [0.5]}, {}, "names 0.5"),
        ({"layer": "mean"}, {"dims": (2, 4, 4)}, "layer='mean' adds layers up, but those of this model have 2, 4, 4"),
        ({"layer": 0}, {"dense": (DENSE,)}, "layer=0 does not fit pooling='auto', since the dense layers"),
        ({"layer": [1, 2]}, {"dense": (DENSE,)}, "layer=[1, 2] does not fit pooling='auto'"),
        ({}, {"dense": (DENSE,)}, "dense layer 0 of the directory takes 2 columns, and what stands before it gives 4"),
        ({}, {"dims": (1, 1), "poolings": ("cls", "max"), "dense": (DENSE, Dense(np.ones((1, 3)), np.ones(1), "Tanh"))},
         "dense layer 1 of the directory takes 3 columns, and what stands before it gives 2; "),
        ({"layer": "mix", "mix_params": {"weight": 1}}, {}, "mix_params has ['weight'], expected some of ['gamma', "),
        ({"layer": "mix", "mix_params": {"weights": [1, 2]}}, {}, "mix_params['weights'] is [1.0, 2.0], expected 3"),
        ({"layer": "mix", "mix_params": {"weights": [1, 2, np.nan]}}, {}, "expected 3 numbers, one a layer"),
        ({"layer": "mix", "mix_params": {"weights": [-np.inf] * 3}}, {}, "expected 3 numbers, one a layer"),
        ({"layer": "mix", "mix_params": {"weights": [1, 2, np.inf]}}, {}, "expected 3 numbers, one a layer"),
        ({"layer": "mix", "mix_params": {"weights": "abc"}}, {}, "mix_params['weights'] is 'abc', expected 3 numbers"),
        ({"layer": "mix", "mix_params": {"gamma": np.nan}}, {}, "mix_params['gamma'] is nan, expected a finite number"),
        ({"layer": "mix", "mix_params": {"gamma": None}}, {}, "mix_params['gamma'] is None, expected a finite number"),
        ({"layer": "mix", "mix_params": {"gamma": True}}, {}, "mix_params['gamma'] is True, expected a finite number"),
        ({"layer": "mix", "mix_params": {"layer_norm": "no"}}, {}, "mix_params['layer_norm'] is 'no', expected True"),
        ({"pooling": "sum"}, {}, "pooling='sum'; expected 'auto', one of 'mean', 'max', 'cls', 'last', 'mean-sqrt'"),
        ({"pooling": []}, {}, "pooling=[]; expected 'auto'"),
        ({"pooling": ["mean", "mean"]}, {}, "or a list of different ones of these."),
        ({"pooling": ["mean", 3]}, {}, "pooling=['mean', 3]"),
        ({"max_length": 33}, {}, "max_length=33, but the model has positions for 32 tokens; expected at most so many."),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_the_model_are_named(parameters, model, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        settings_for(model_of(**model), **parameters)


def test_dense_layers_follow_the_last_layer_alone_and_are_left_out_with_a_pooling_of_ones_own():
    model = model_of(dims=(4, 4, 2), dense=(DENSE,))
    for layer in (-1, 2, [2]):
        assert settings_for(model, layer=layer).dense
    assert not settings_for(model, layer=0, pooling="mean").dense


@pytest.mark.parametrize(
    ("asked", "said", "there", "expected"),
    [(None, None, 32, 32), (None, 12, 32, 12), (None, None, None, None), (8, 12, 32, 8), (32, 12, 32, 32),
     (99, None, None, 99), (np.int64(4), None, 32, 4)],
)  # fmt: skip
def test_lengths_are_those_asked_for_or_said_or_there(asked, said, there, expected):
    model = SimpleNamespace(dims=(4,), max_length=there, defaults=ModelDefaults(max_length=said))
    found = settings_for(model, max_length=asked).max_length
    assert found == expected
    assert found is None or type(found) is int


def test_vectors_go_through_dense_layers_and_then_to_length_one():
    model = model_of(dims=(4, 4, 2), dense=(DENSE, DENSE))
    vectors = np.array([[3.0, 4.0], [0.0, 0.0]])
    settings = settings_for(model)
    np.testing.assert_allclose(settings.finish(vectors, model), vectors * 4)
    unit = replace(settings, normalize=True)
    np.testing.assert_allclose(unit.finish(vectors, model), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(replace(unit, dense=False).finish(2 * vectors, model), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(replace(settings, dense=False).finish(vectors, model), vectors)


@pytest.mark.parametrize(
    ("device", "batch_size", "tokens"), [("cpu", "auto", 2**12), ("cuda", "auto", 2**16), ("mps", 7, 2**16)]
)
def test_readings_are_of_so_many_tokens_on_a_device(device, batch_size, tokens):
    settings = settings_for(
        model_of(), layer="mix", mix_params={"weights": [1, 2, 3], "gamma": 2.0, "layer_norm": True}
    )
    reading = replace(settings, windows=True, prompt="p", max_length=9).reading(
        batch_size, SimpleNamespace(type=device)
    )
    assert (reading.layers, reading.max_length, reading.windows, reading.prompt) == ((0, 1, 2), 9, True, "p")
    assert (reading.batch_size, reading.batch_tokens) == (None if batch_size == "auto" else 7, tokens)
    np.testing.assert_array_equal(reading.mix.weights, [1, 2, 3])
    assert (reading.mix.gamma, reading.mix.layer_norm) == (2.0, True)
    assert settings_for(model_of()).reading(3, SimpleNamespace(type="cpu")).mix is None


GOOD = ContextualSettings((0, 2), (1.0, 2.0), 1.0, False, ("mean",), False, False, 9, False, "", True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ()}, "expected layers and poolings, got () and ('mean',)"),
        ({"layers": (0, -1)}, "expected layers and poolings, got (0, -1)"),
        ({"poolings": ()}, "expected layers and poolings"),
        ({"poolings": ("mean", "sum")}, "expected layers and poolings"),
        ({"mix_weights": (1.0,)}, "expected 2 weights of layers, got 1"),
        ({"max_length": 0}, "expected max_length of at least 1, got 0"),
    ],
)
def test_settings_of_a_file_that_do_not_fit_together_are_refused(changes, message):
    for good in ({}, {"mix_weights": None}, {"max_length": None}, {"max_length": 1}):
        replace(GOOD, **good).check()
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(GOOD, **changes).check()


def test_a_fitted_vectorizer_has_a_probe_and_the_layers_of_its_model():
    from skembed import ContextualVectorizer

    vectorizer = ContextualVectorizer("nowhere")
    for probe, n_layers, sound in (
        (np.zeros(3, np.float32), 3, True), (np.zeros(3, np.float32), 2, False), (np.zeros(3), 3, False),
        (np.zeros((1, 3), np.float32), 3, False),
    ):  # fmt: skip
        vectorizer._settings, vectorizer._probe, vectorizer.n_layers_ = GOOD, probe, n_layers
        if sound:
            vectorizer._check_fitted()
            continue
        with pytest.raises(ValueError, match="expected a vector of float32, and layers that the model has"):
            vectorizer._check_fitted()


@pytest.mark.parametrize(
    ("documents", "characters", "sizes"), [(2, 99, [2, 2, 1]), (9, 5, [2, 1, 2]), (9, 4, [1, 2, 2])]
)
def test_documents_are_read_some_at_a_time(documents, characters, sizes, monkeypatch):
    monkeypatch.setattr(_contextual, "_CHUNK_DOCUMENTS", documents)
    monkeypatch.setattr(_contextual, "_CHUNK_CHARACTERS", characters)
    X = ["abcd", "e", ["fgh", "ij"], "k", ""]
    chunks = list(_contextual._chunks(X))
    assert [document for chunk in chunks for document in chunk] == X
    assert [len(chunk) for chunk in chunks] == sizes
    assert list(_contextual._chunks([])) == []
