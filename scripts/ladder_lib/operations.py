"""Forward and backward arithmetic of the layers in numpy; images are [samples, channels, height, width], float32."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def pad_images(x, padding, value=0.0):
    """Images with `padding` cells of `value` on each of the four sides."""
    if padding == 0:
        return x
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(x, sides, constant_values=value)


def windows(x, kernel, stride):
    """View [samples, channels, out height, out width, kernel, kernel] of padded images."""
    return sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]


def columns(x, kernel, stride):
    """im2col: [samples * out height * out width, channels * kernel * kernel], and the output's height and width."""
    view = windows(x, kernel, stride)
    samples, channels, height, width = view.shape[:4]
    matrix = view.transpose(0, 2, 3, 1, 4, 5).reshape(samples * height * width, channels * kernel * kernel)
    return matrix, height, width


def _depthwise(x, weight, stride, height, width):
    kernel = weight.shape[2]
    total = np.zeros((x.shape[0], x.shape[1], height, width), np.float32)
    for i in range(kernel):
        for j in range(kernel):
            part = x[:, :, i : i + stride * height : stride, j : j + stride * width : stride]
            total += part * weight[None, :, 0, i, j, None, None]
    return total


def convolution(x, weight, bias, attributes):
    """Conv with square kernel; `groups` is 1 or the number of channels (depthwise)."""
    kernel, stride = weight.shape[2], attributes["stride"]
    x = pad_images(x, attributes["padding"])
    height, width = ((size - kernel) // stride + 1 for size in x.shape[2:])
    if attributes["groups"] > 1:
        out = _depthwise(x, weight, stride, height, width)
    else:
        matrix, height, width = columns(x, kernel, stride)
        flat = matrix @ weight.reshape(weight.shape[0], -1).T
        out = flat.reshape(x.shape[0], height, width, -1).transpose(0, 3, 1, 2)
    return out if bias is None else out + bias[None, :, None, None]


def convolution_backward(x, weight, attributes, gradient):
    """Gradients of input, weight and bias of an ungrouped convolution."""
    kernel, stride, padding = weight.shape[2], attributes["stride"], attributes["padding"]
    padded = pad_images(x, padding)
    matrix, height, width = columns(padded, kernel, stride)
    flat = gradient.transpose(0, 2, 3, 1).reshape(-1, weight.shape[0])
    of_weight = (flat.T @ matrix).reshape(weight.shape)
    of_columns = (flat @ weight.reshape(weight.shape[0], -1)).reshape(
        x.shape[0], height, width, x.shape[1], kernel, kernel
    )
    of_input = np.zeros_like(padded)
    for i in range(kernel):
        for j in range(kernel):
            target = of_input[:, :, i : i + stride * height : stride, j : j + stride * width : stride]
            target += of_columns[..., i, j].transpose(0, 3, 1, 2)
    inner = slice(padding, -padding) if padding else slice(None)
    return of_input[:, :, inner, inner], of_weight, flat.sum(axis=0)


def normalise(x, scale, shift, mean, variance, epsilon):
    """BatchNormalization with given statistics."""
    factor = scale / np.sqrt(variance + epsilon)
    return x * factor[None, :, None, None] + (shift - mean * factor)[None, :, None, None]


def max_pool(x, attributes):
    """MaxPool; padding never wins."""
    padded = pad_images(x, attributes["padding"], -np.inf)
    return windows(padded, attributes["kernel"], attributes["stride"]).max(axis=(4, 5))


def max_pool_backward(x, attributes, gradient):
    """Gradient of the input, for windows that tile the image; the first of several equal maxima takes it."""
    kernel = attributes["kernel"]
    if attributes["stride"] != kernel or attributes["padding"]:
        raise ValueError("training knows max pooling by tiles only: choose stride = kernel and padding 0")
    samples, channels, height, width = gradient.shape
    tiles = windows(x, kernel, kernel).reshape(samples, channels, height, width, kernel * kernel)
    chosen = np.arange(kernel * kernel) == tiles.argmax(axis=-1)[..., None]
    spread = (chosen * gradient[..., None]).reshape(samples, channels, height, width, kernel, kernel)
    of_input = np.zeros_like(x)
    rows = spread.transpose(0, 1, 2, 4, 3, 5).reshape(samples, channels, height * kernel, width * kernel)
    of_input[:, :, : height * kernel, : width * kernel] = rows
    return of_input


def average_pool(x, attributes):
    """AveragePool without padding."""
    return windows(x, attributes["kernel"], attributes["stride"]).mean(axis=(4, 5))


def upscale(images, size):
    """Bilinear interpolation of [..., n, n] to [..., size, size], pixel centres aligned as image libraries do."""
    old = images.shape[-1]
    position = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    low = np.minimum(position.astype(int), old - 2)
    weight = np.zeros((size, old), np.float64)
    weight[np.arange(size), low] = 1 - (position - low)
    weight[np.arange(size), low + 1] = position - low
    return (weight @ images.astype(np.float64) @ weight.T).astype(np.float32)


def smooth_images(generator, samples, channels, size):
    """Random images with large and small features; each channel has mean 0 and deviation 1, as normalised photographs."""
    total = np.zeros((samples, channels, size, size), np.float32)
    for cells, strength in ((4, 1.0), (8, 0.6), (16, 0.3)):
        noise = generator.standard_normal((samples, channels, cells, cells))
        total += strength * upscale(noise, size)
    mean, deviation = total.mean(axis=(2, 3), keepdims=True), total.std(axis=(2, 3), keepdims=True)
    return ((total - mean) / deviation).astype(np.float32)
