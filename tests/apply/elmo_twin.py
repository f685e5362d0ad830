"""ELMo in plain numpy, a word and a step at a time, in float64: nothing but the formulas of the papers."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def character_row(word, max_characters):
    body = {"<S>": [256], "</S>": [257]}.get(word, list(word.encode("utf-8"))[: max_characters - 2])
    row = [258, *body, 259]
    return row + [260] * (max_characters - len(row))


def token_vector(options, weights, word):
    x = weights["char_embed"][character_row(word, options.max_characters)]
    features = []
    for i, (width, n) in enumerate(options.filters):
        kernel = weights[f"CNN/W_cnn_{i}"][0].reshape(width * x.shape[1], n)
        windows = [x[start : start + width].ravel() @ kernel for start in range(len(x) - width + 1)]
        best = np.max(windows, axis=0) + weights[f"CNN/b_cnn_{i}"]
        features.append(np.tanh(best) if options.activation == "tanh" else np.maximum(best, 0))
    y = np.concatenate(features)
    for i in range(options.n_highway):
        carry = sigmoid(y @ weights[f"CNN_high_{i}/W_carry"] + weights[f"CNN_high_{i}/b_carry"])
        transform = np.maximum(y @ weights[f"CNN_high_{i}/W_transform"] + weights[f"CNN_high_{i}/b_transform"], 0)
        y = carry * transform + (1 - carry) * y
    if "CNN_proj/W_proj" in weights:
        y = y @ weights["CNN_proj/W_proj"] + weights["CNN_proj/b_proj"]
    return y


def clipped(x, limit):
    return x if limit is None else np.clip(x, -limit, limit)


def run_lstm(options, weights, cell, inputs, state):
    h, c = state
    outputs = []
    for x in inputs:
        i, j, f, o = np.split(np.concatenate([x, h]) @ weights[f"{cell}/W_0"] + weights[f"{cell}/B"], 4)
        c = clipped(sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j), options.cell_clip)
        h = sigmoid(o) * np.tanh(c)
        if f"{cell}/W_P_0" in weights:
            h = clipped(h @ weights[f"{cell}/W_P_0"], options.proj_clip)
        outputs.append(h)
    return outputs, (h, c)


def layers(options, weights, words, states=None):
    """Layers (n_layers + 1, n_words, 2 * projection_dim) of a sentence; `states` goes on and is changed."""
    weights = {name: np.asarray(array, dtype=np.float64) for name, array in weights.items()}
    tokens = [token_vector(options, weights, word) for word in ["<S>", *words, "</S>"]]
    states = {} if states is None else states
    sides = []
    for direction in range(2):
        inputs = tokens if direction == 0 else tokens[::-1]
        found = [np.array(tokens)]
        for layer in range(options.n_layers):
            zeros = np.zeros(options.projection_dim), np.zeros(options.dim)
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            outputs, states[cell] = run_lstm(options, weights, cell, inputs, states.get(cell, zeros))
            if options.skip_connections and layer:
                outputs = [out + x for out, x in zip(outputs, inputs)]
            inputs = outputs
            found.append(np.array(outputs if direction == 0 else outputs[::-1]))
        sides.append(np.array(found))
    return np.concatenate(sides, axis=2)[:, 1:-1]
