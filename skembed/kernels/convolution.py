"""Convolutions of images whose channels lie beside each other, with bias and ReLU, and max pools.

An image is rows of pixels, a pixel its channels. What a kernel of the net sees of a row of pixels lies there as one
run of numbers, so that a convolution is as many runs as the kernel has rows, and the same for each pixel but for where
it begins. Six pixels and sixteen channels of the output stay in registers while runs are read.
"""

from skembed.kernels.compile import compiled
from skembed.kernels.simd import SIMD_WIDTH, broadcast, clamp, load, multiply_add, pointer, store

__all__ = ["AT_ONCE", "convolve", "max_pool"]

AT_ONCE = 6  # pixels: with two halves of a SIMD vector each they fill the sixteen registers of AVX2 with what is read


@compiled()
def convolve(image, runs, length, weights, bias, out, rows, inputs, outputs):
    """Write ``max(0, bias + sum over runs of image @ weights)`` for each pixel of each row.

    Parameters
    ----------
    image : ndarray of float32, C-contiguous
    runs : ndarray of shape (n_runs,), int64
        Where the runs of the first pixel begin in the image.
    length : int
        Numbers of a run.
    weights : ndarray of shape (n_channels / 16, n_runs * length, 16), float32
    bias : ndarray of shape (n_channels,), float32
        Channels are a multiple of 16.
    out : ndarray of float32, C-contiguous
    rows : tuple of int
        How many rows, and pixels of a row. Pixels are computed by `AT_ONCE`: what is beyond a row is written, too, and
        the next row over it.
    inputs : tuple of int
        Numbers from one row of pixels of the image to the next, and from one pixel to the next.
    outputs : tuple of int
        Where the first pixel is written, and numbers from one row of `out` to the next, and from one pixel to the next.
    """
    read, weight, shift, written, starts = pointer(image), pointer(weights), pointer(bias), pointer(out), pointer(runs)
    n_rows, n_pixels = rows
    input_row, step = inputs
    first_output, output_row, wide = outputs
    zero, infinity = broadcast(0.0), broadcast(float("inf"))
    for block in range(len(bias) // SIMD_WIDTH):
        begun = load(shift, block * SIMD_WIDTH)
        for row in range(n_rows):
            for pixel in range(0, n_pixels, AT_ONCE):
                a, b, c, d, e, f = begun, begun, begun, begun, begun, begun
                at = block * len(runs) * length * SIMD_WIDTH
                for run in range(len(runs)):
                    begin = starts[run] + row * input_row + pixel * step
                    for place in range(begin, begin + length):
                        w = load(weight, at)
                        a = multiply_add(broadcast(read[place]), w, a)
                        b = multiply_add(broadcast(read[place + step]), w, b)
                        c = multiply_add(broadcast(read[place + 2 * step]), w, c)
                        d = multiply_add(broadcast(read[place + 3 * step]), w, d)
                        e = multiply_add(broadcast(read[place + 4 * step]), w, e)
                        f = multiply_add(broadcast(read[place + 5 * step]), w, f)
                        at += SIMD_WIDTH
                to = first_output + row * output_row + pixel * wide + block * SIMD_WIDTH
                store(written, to, clamp(a, zero, infinity))
                store(written, to + wide, clamp(b, zero, infinity))
                store(written, to + 2 * wide, clamp(c, zero, infinity))
                store(written, to + 3 * wide, clamp(d, zero, infinity))
                store(written, to + 4 * wide, clamp(e, zero, infinity))
                store(written, to + 5 * wide, clamp(f, zero, infinity))


@compiled()
def max_pool(image, size, out, output_size):
    """Write the largest of windows of three by three at steps of two; the last ones may reach beyond the image.

    Parameters
    ----------
    image : ndarray of float32, C-contiguous
    size : tuple of int
        Height and width of the image, numbers from one row of pixels to the next, and channels, a multiple of 16.
    out : ndarray of float32, C-contiguous
    output_size : tuple of int
        Height, width, and numbers from one row of pixels to the next.
    """
    read, written = pointer(image), pointer(out)
    height, width, row, channels = size
    n_rows, n_columns, output_row = output_size
    infinity = broadcast(float("inf"))
    for y in range(n_rows):
        for x in range(n_columns):
            for channel in range(0, channels, SIMD_WIDTH):
                largest = load(read, 2 * y * row + 2 * x * channels + channel)
                for i in range(2 * y, min(2 * y + 3, height)):
                    for j in range(2 * x, min(2 * x + 3, width)):
                        largest = clamp(load(read, i * row + j * channels + channel), largest, infinity)
                store(written, y * output_row + x * channels + channel, largest)
