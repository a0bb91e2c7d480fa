"""A network as a list of nodes over named tensors: built, counted, run forward, and differentiated for training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import operations

EPSILON = 1e-5


@dataclass
class Node:
    """One operation: its kind is ONNX's operator; parameters are names of the graph's arrays."""

    kind: str
    name: str
    inputs: list
    output: str
    parameters: list = field(default_factory=list)
    attributes: dict = field(default_factory=dict)


class Graph:
    """Nodes in order of evaluation, weights by name, and the shape (without samples) of each tensor."""

    def __init__(self, name, input_shape, seed):
        self.name, self.generator = name, np.random.default_rng(seed)
        self.nodes, self.weights, self.shapes = [], {}, {"input": tuple(input_shape)}
        self.output = None

    def _add(self, node, shape):
        if node.output in self.shapes:
            raise ValueError(f"{self.name}: tensor {node.output} is defined twice")
        self.nodes.append(node)
        self.shapes[node.output] = tuple(int(size) for size in shape)
        return node.output

    def _weight(self, name, shape, fan_in):
        """He-scaled normal weights."""
        values = self.generator.standard_normal(shape) * np.sqrt(2.0 / fan_in)
        self.weights[name] = values.astype(np.float32)
        return name

    def _constant(self, name, values):
        self.weights[name] = np.asarray(values, np.float32)
        return name

    def convolution(self, name, x, out, kernel, **options):
        """Conv; options: stride, padding (default keeps the size at stride 1), groups, bias."""
        channels, height, width = self.shapes[x]
        stride, groups = options.get("stride", 1), options.get("groups", 1)
        padding = options.get("padding", kernel // 2)
        inner = channels // groups
        parameters = [self._weight(f"{name}.weight", (out, inner, kernel, kernel), inner * kernel * kernel)]
        if options.get("bias", False):
            parameters.append(self._constant(f"{name}.bias", 0.05 * self.generator.standard_normal(out)))
        size = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
        attributes = {"kernel": kernel, "stride": stride, "padding": padding, "groups": groups}
        return self._add(Node("Conv", name, [x], f"{name}_out", parameters, attributes), [out, *size])

    def normalisation(self, name, x):
        """BatchNormalization; `settle` finds the statistics."""
        channels = self.shapes[x][0]
        values = {
            "weight": self.generator.uniform(0.8, 1.2, channels),
            "bias": 0.1 * self.generator.standard_normal(channels),
            "running_mean": np.zeros(channels),
            "running_var": np.ones(channels),
        }
        parameters = [self._constant(f"{name}.{part}", array) for part, array in values.items()]
        return self._add(Node("BatchNormalization", name, [x], f"{name}_out", parameters), self.shapes[x])

    def relu(self, name, x):
        """Relu."""
        return self._add(Node("Relu", name, [x], f"{name}_out"), self.shapes[x])

    def relu6(self, name, x):
        """Clip from 0 to 6, as exporters write ReLU6."""
        return self._add(Node("Clip", name, [x], f"{name}_out"), self.shapes[x])

    def add(self, name, x, y):
        """Sum of two tensors of one shape."""
        if self.shapes[x] != self.shapes[y]:
            raise ValueError(f"{self.name}: {name} adds shapes {self.shapes[x]} and {self.shapes[y]}")
        return self._add(Node("Add", name, [x, y], f"{name}_out"), self.shapes[x])

    def pool(self, kind, name, x, kernel, **options):
        """MaxPool or AveragePool; options: stride (default: the kernel), padding."""
        stride, padding = options.get("stride", kernel), options.get("padding", 0)
        if padding and kind != "MaxPool":
            raise ValueError(f"{self.name}: {name}: average pooling with padding is not supported here")
        channels, *sides = self.shapes[x]
        size = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
        attributes = {"kernel": kernel, "stride": stride, "padding": padding}
        return self._add(Node(kind, name, [x], f"{name}_out", [], attributes), [channels, *size])

    def global_average(self, name, x):
        """GlobalAveragePool."""
        return self._add(Node("GlobalAveragePool", name, [x], f"{name}_out"), [self.shapes[x][0], 1, 1])

    def subsample(self, name, x, stride):
        """Slice that keeps each `stride`-th row and column: the identity shortcut's way to a smaller image."""
        channels, *sides = self.shapes[x]
        size = [(side + stride - 1) // stride for side in sides]
        return self._add(Node("Slice", name, [x], f"{name}_out", [], {"stride": stride}), [channels, *size])

    def more_channels(self, name, x, before, after):
        """Pad with channels of zeros."""
        channels, *sides = self.shapes[x]
        attributes = {"before": before, "after": after}
        return self._add(Node("Pad", name, [x], f"{name}_out", [], attributes), [before + channels + after, *sides])

    def flatten(self, name, x):
        """Flatten from axis 1."""
        return self._add(Node("Flatten", name, [x], f"{name}_out"), [int(np.prod(self.shapes[x]))])

    def dense(self, name, x, out):
        """Gemm with transB and bias."""
        (width,) = self.shapes[x]
        parameters = [
            self._weight(f"{name}.weight", (out, width), width),
            self._constant(f"{name}.bias", 0.05 * self.generator.standard_normal(out)),
        ]
        return self._add(Node("Gemm", name, [x], f"{name}_out", parameters), [out])

    def finish(self, x):
        """Declares the network's output."""
        self.output = x
        return self

    def size(self, tensor):
        """Cells of a tensor for one sample."""
        return int(np.prod(self.shapes[tensor]))


def _linear(graph, node, x):
    weights = [graph.weights[name] for name in node.parameters]
    if node.kind == "Conv":
        return operations.convolution(x, weights[0], weights[1] if len(weights) > 1 else None, node.attributes)
    return x @ weights[0].T + weights[1]


def _shortcut(node, x):
    if node.kind == "Slice":
        stride = node.attributes["stride"]
        return x[:, :, ::stride, ::stride]
    sides = (node.attributes["before"], node.attributes["after"])
    return np.pad(x, ((0, 0), sides, (0, 0), (0, 0)))


def evaluate(graph, node, inputs):
    """Output of one node."""
    x = inputs[0]
    if node.kind in ("Conv", "Gemm"):
        return _linear(graph, node, x)
    if node.kind == "BatchNormalization":
        return operations.normalise(x, *(graph.weights[name] for name in node.parameters), EPSILON)
    if node.kind in ("Slice", "Pad"):
        return _shortcut(node, x)
    simple = {
        "Relu": lambda: np.maximum(x, 0),
        "Clip": lambda: np.clip(x, 0, 6),
        "Add": lambda: x + inputs[1],
        "MaxPool": lambda: operations.max_pool(x, node.attributes),
        "AveragePool": lambda: operations.average_pool(x, node.attributes),
        "GlobalAveragePool": lambda: x.mean(axis=(2, 3), keepdims=True),
        "Flatten": lambda: x.reshape(x.shape[0], -1),
    }
    return simple[node.kind]()


def _settle_node(graph, node, x):
    """Statistics of a BatchNormalization from what flows into it now, and He's scale for a Gemm's outputs."""
    _, _, mean, variance = node.parameters
    graph.weights[mean] = x.mean(axis=(0, 2, 3)).astype(np.float32)
    # A floor, so that a channel which happens to be silent is not blown up.
    spread = x.var(axis=(0, 2, 3))
    graph.weights[variance] = np.maximum(spread, 1e-3 * max(float(spread.mean()), 1e-6)).astype(np.float32)


def forward(graph, x, keep=False, settle=False):
    """The output for samples [n, ...]; with `keep` all tensors by name; with `settle` normalisations take statistics from x."""
    values = {"input": np.asarray(x, np.float32)}
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    for index, node in enumerate(graph.nodes):
        inputs = [values[name] for name in node.inputs]
        if settle and node.kind == "BatchNormalization":
            _settle_node(graph, node, inputs[0])
        values[node.output] = evaluate(graph, node, inputs).astype(np.float32, copy=False)
        if not keep:
            for name in set(node.inputs):
                if last_use[name] == index:
                    del values[name]
    return values if keep else values[graph.output]


def backward(graph, values, gradient):
    """Gradients of all weights, from `forward(keep=True)` and the gradient of the output; for chains without normalisation."""
    of_weights, flow = {}, gradient
    for node in reversed(graph.nodes):
        x = values[node.inputs[0]]
        if node.kind == "Conv":
            weight = graph.weights[node.parameters[0]]
            flow, *grads = operations.convolution_backward(x, weight, node.attributes, flow)
            of_weights.update(zip(node.parameters, grads))
        elif node.kind == "Gemm":
            of_weights[node.parameters[0]] = flow.T @ x
            of_weights[node.parameters[1]] = flow.sum(axis=0)
            flow = flow @ graph.weights[node.parameters[0]]
        elif node.kind == "Relu":
            flow = flow * (x > 0)
        elif node.kind == "MaxPool":
            flow = operations.max_pool_backward(x, node.attributes, flow)
        elif node.kind == "Flatten":
            flow = flow.reshape(x.shape)
        else:
            raise ValueError(f"{graph.name}: training does not know {node.kind} ({node.name})")
    return of_weights


def counts(graph):
    """Weights (all trained values), multiply-accumulates and cells of one inference."""
    result = {"weights": 0, "macs": 0, "linear_outputs": 0, "activations": 0, "nodes": len(graph.nodes)}
    statistics = ("running_mean", "running_var")
    for name, array in graph.weights.items():
        result["weights"] += 0 if name.endswith(statistics) else int(array.size)
    for node in graph.nodes:
        cells = graph.size(node.output)
        if node.kind in ("Conv", "Gemm"):
            # One product for each weight of an output cell's row.
            result["macs"] += cells * int(np.prod(graph.weights[node.parameters[0]].shape[1:]))
            result["linear_outputs"] += cells
        elif node.kind in ("Relu", "Clip", "MaxPool"):
            result["activations"] += cells
    return result
