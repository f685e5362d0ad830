"""Convolutions and max pools beside numpy twins."""

import numpy as np
import pytest

from skembed.kernels.convolution import AT_ONCE, convolve, max_pool
from skembed.kernels.simd import SIMD_WIDTH

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("n_rows", "n_pixels"), [(1, 1), (1, 6), (3, 7), (4, 23)])
@pytest.mark.parametrize(("n_runs", "length", "step"), [(1, 5, 5), (3, 9, 3), (2, 4, 6)])
@pytest.mark.parametrize("n_channels", [16, 48])
def test_a_convolution_is_a_sum_of_runs(n_rows, n_pixels, n_runs, length, step, n_channels):
    input_row = (n_pixels + AT_ONCE) * step + 2
    runs = np.sort(RNG.integers(0, 9, size=n_runs))
    image = numbers((n_rows + 1) * input_row + 9 + length + AT_ONCE * step)
    weights, bias = numbers(n_channels // SIMD_WIDTH, n_runs * length, SIMD_WIDTH), numbers(n_channels)
    first, wide = 5, n_channels + 3
    output_row = n_pixels * wide
    out = np.full(first + n_rows * output_row + AT_ONCE * wide, 7.0, np.float32)
    convolve(image, runs, length, weights, bias, out, (n_rows, n_pixels), (input_row, step), (first, output_row, wide))
    assert (out[:first] == 7).all()
    by_channel = weights.transpose(1, 0, 2).reshape(n_runs * length, n_channels)
    for row in range(n_rows):
        for pixel in range(n_pixels):
            begins = runs + row * input_row + pixel * step
            seen = np.concatenate([image[begin : begin + length] for begin in begins]).astype(np.float64)
            begin = first + row * output_row + pixel * wide
            expected = np.maximum(bias + seen @ by_channel, 0)
            np.testing.assert_allclose(out[begin : begin + n_channels], expected, rtol=1e-4, atol=1e-5)
            if pixel + 1 < n_pixels:
                assert (out[begin + n_channels : begin + wide] == 7).all()  # what lies between is left alone


def test_numbers_that_are_none_are_seen():
    image, weights = np.full(8, np.nan, np.float32), np.ones((1, 1, 16), np.float32)
    out = np.zeros(6 * 16, np.float32)
    convolve(image, np.zeros(1, np.int64), 1, weights, np.zeros(16, np.float32), out, (1, 1), (0, 1), (0, 0, 16))
    assert np.isnan(out[:16]).all()


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 3), (4, 7), (6, 9), (11, 8)])
@pytest.mark.parametrize("beside", [0, 2])
def test_a_pool_takes_the_largest_of_each_window_even_where_all_are_negative(height, width, beside):
    channels, row = 32, width + beside
    places = numbers(height, row, channels) - 9
    places[:, width:] = 100  # not the image's
    n_rows, n_columns = (-(-(side - 3) // 2) + 1 for side in (height, width))
    out = np.full((n_rows, n_columns + beside, channels), 7.0, np.float32)
    max_pool(places.ravel(), (height, width, row * channels, channels), out.reshape(-1),
             (n_rows, n_columns, (n_columns + beside) * channels))  # fmt: skip
    for y in range(n_rows):
        for x in range(n_columns):
            window = places[2 * y : 2 * y + 3, 2 * x : min(2 * x + 3, width)]
            np.testing.assert_array_equal(out[y, x], window.max(axis=(0, 1)))
    assert (out[:, n_columns:] == 7).all()
