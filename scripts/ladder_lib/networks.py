"""The ladder's networks, as PyTorch's model zoos define them."""

from __future__ import annotations

from .graph import Graph

CLASSES = 10


def _normalised(graph, name, x, out, kernel, **options):
    """Conv without bias, BatchNormalization."""
    x = graph.convolution(f"{name}.conv", x, out, kernel, **options)
    return graph.normalisation(f"{name}.bn", x)


def _activated(graph, name, x, out, kernel, **options):
    """Conv without bias, BatchNormalization, Relu."""
    return graph.relu(f"{name}.relu", _normalised(graph, name, x, out, kernel, **options))


def _head(graph, name, x):
    """GlobalAveragePool, Flatten, Gemm."""
    x = graph.flatten("flatten", graph.global_average("avgpool", x))
    return graph.finish(graph.dense(name, x, CLASSES))


def lenet5():
    """LeNet-5 with Relu and max pooling, 28x28."""
    graph = Graph("lenet5", (1, 28, 28), 101)
    x = graph.relu("relu1", graph.convolution("conv1", "input", 6, 5, padding=2, bias=True))
    x = graph.pool("MaxPool", "pool1", x, 2)
    x = graph.relu("relu2", graph.convolution("conv2", x, 16, 5, padding=0, bias=True))
    x = graph.flatten("flatten", graph.pool("MaxPool", "pool2", x, 2))
    x = graph.relu("relu3", graph.dense("fc1", x, 120))
    x = graph.relu("relu4", graph.dense("fc2", x, 84))
    return graph.finish(graph.dense("fc3", x, CLASSES))


def digits_cnn():
    """Two convolutions and one dense layer for the 8x8 digits."""
    graph = Graph("digits-cnn", (1, 8, 8), 102)
    x = graph.relu("relu1", graph.convolution("conv1", "input", 8, 3, bias=True))
    x = graph.pool("MaxPool", "pool1", x, 2)
    x = graph.relu("relu2", graph.convolution("conv2", x, 16, 3, bias=True))
    x = graph.flatten("flatten", graph.pool("MaxPool", "pool2", x, 2))
    return graph.finish(graph.dense("fc", x, CLASSES))


def _shortcut(graph, name, x, width, stride, plain):
    """A residual block's second path: the input, or brought to the block's shape by a convolution or, `plain`, by zeros."""
    before = graph.shapes[x][0]
    if stride == 1 and before == width:
        return x
    if not plain:
        return _normalised(graph, f"{name}.downsample", x, width, 1, stride=stride, padding=0)
    more = (width - before) // 2
    return graph.more_channels(f"{name}.pad", graph.subsample(f"{name}.slice", x, stride), more, more)


def _residual(graph, name, x, width, stride, plain=False):
    """Basic block: two 3x3 convolutions, sum, Relu."""
    y = _activated(graph, f"{name}.1", x, width, 3, stride=stride)
    y = _normalised(graph, f"{name}.2", y, width, 3)
    other = _shortcut(graph, name, x, width, stride, plain)
    return graph.relu(f"{name}.relu", graph.add(f"{name}.add", y, other))


def _resnet20(name, plain):
    graph = Graph(name, (3, 32, 32), 103)
    x = _activated(graph, "stem", "input", 16, 3)
    for stage, width in enumerate((16, 32, 64), start=1):
        for block in range(3):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _residual(graph, f"layer{stage}.{block}", x, width, stride, plain)
    return _head(graph, "fc", x)


def resnet20():
    """ResNet-20 for CIFAR, shortcuts by convolution (option B)."""
    return _resnet20("resnet20", plain=False)


def resnet20_plain():
    """ResNet-20 for CIFAR, shortcuts without weights (option A: Slice and Pad)."""
    return _resnet20("resnet20-plain", plain=True)


def resnet18():
    """ResNet-18 for 224x224 and a thousand classes."""
    graph = Graph("resnet18", (3, 224, 224), 106)
    x = _activated(graph, "stem", "input", 64, 7, stride=2, padding=3)
    x = graph.pool("MaxPool", "maxpool", x, 3, stride=2, padding=1)
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _residual(graph, f"layer{stage}.{block}", x, width, stride)
    x = graph.flatten("flatten", graph.global_average("avgpool", x))
    return graph.finish(graph.dense("fc", x, 1000))


def _inverted(graph, name, x, out, stride, expansion):
    """MobileNet-v2's block: widen, depthwise, narrow; a residual sum where shapes allow it."""
    before = graph.shapes[x][0]
    hidden, y = before * expansion, x
    if expansion != 1:
        y = graph.relu6(f"{name}.relu1", _normalised(graph, f"{name}.expand", y, hidden, 1))
    y = _normalised(graph, f"{name}.depthwise", y, hidden, 3, stride=stride, groups=hidden)
    y = _normalised(graph, f"{name}.project", graph.relu6(f"{name}.relu2", y), out, 1)
    return graph.add(f"{name}.add", y, x) if stride == 1 and before == out else y


def mobilenet_v2():
    """MobileNet-v2, width 1.0, with the strides that 32x32 images are commonly given."""
    graph = Graph("mobilenet-v2", (3, 32, 32), 104)
    x = graph.relu6("stem.relu", _normalised(graph, "stem", "input", 32, 3))
    blocks = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for stage, (expansion, out, count, stride) in enumerate(blocks, start=1):
        for block in range(count):
            x = _inverted(graph, f"stage{stage}.{block}", x, out, stride if block == 0 else 1, expansion)
    x = graph.relu6("last.relu", _normalised(graph, "last", x, 1280, 1))
    return _head(graph, "classifier", x)


def vgg16():
    """VGG-16 for CIFAR, with normalisation and three dense layers."""
    graph = Graph("vgg16", (3, 32, 32), 105)
    x = "input"
    for stage, (width, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for layer in range(count):
            x = _activated(graph, f"features{stage}.{layer}", x, width, 3)
        x = graph.pool("MaxPool", f"pool{stage}", x, 2)
    x = graph.flatten("flatten", x)
    x = graph.relu("relu1", graph.dense("fc1", x, 512))
    x = graph.relu("relu2", graph.dense("fc2", x, 512))
    return graph.finish(graph.dense("fc3", x, CLASSES))


def _same_activations(name, kernel):
    graph = Graph(name, (3, 16, 16), 107)
    x = "input"
    for layer, width in enumerate((16, 32, 32), start=1):
        x = graph.relu(f"relu{layer}", graph.convolution(f"conv{layer}", x, width, kernel, bias=True))
    return _head(graph, "fc", x)


def mac_low():
    """Three 1x1 convolutions: the same tensors as mac-high."""
    return _same_activations("mac-low", 1)


def mac_high():
    """Three 5x5 convolutions: the same tensors as mac-low for 25 times the products of each convolution."""
    return _same_activations("mac-high", 5)


# Name -> (its graph, samples for calibration, epochs of training or 0 for random weights).
LADDER = {
    "digits-cnn": (digits_cnn, 64, 40),
    "lenet5": (lenet5, 64, 15),
    "mac-low": (mac_low, 32, 0),
    "mac-high": (mac_high, 32, 0),
    "resnet20": (resnet20, 16, 0),
    "resnet20-plain": (resnet20_plain, 16, 0),
    "mobilenet-v2": (mobilenet_v2, 16, 0),
    "vgg16": (vgg16, 16, 0),
    "resnet18": (resnet18, 8, 0),
}
