"""A graph as an ONNX model, named and attributed as PyTorch's exporter does it; nothing is folded."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .graph import EPSILON

OPSET = 17
IR_VERSION = 8


def _window(attributes):
    """Attributes that Conv and the pools share."""
    kernel, stride, padding = (attributes[key] for key in ("kernel", "stride", "padding"))
    return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}


def _attributes(node):
    if node.kind == "Conv":
        return {**_window(node.attributes), "dilations": [1, 1], "group": node.attributes["groups"]}
    if node.kind == "MaxPool":
        return {**_window(node.attributes), "dilations": [1, 1], "ceil_mode": 0}
    if node.kind == "AveragePool":
        return {**_window(node.attributes), "ceil_mode": 0, "count_include_pad": 1}
    fixed = {
        "BatchNormalization": {"epsilon": EPSILON, "momentum": 0.9, "training_mode": 0},
        "Flatten": {"axis": 1},
        "Gemm": {"alpha": 1.0, "beta": 1.0, "transB": 1},
        "Pad": {"mode": "constant"},
    }
    return fixed.get(node.kind, {})


def _constants(node):
    """Inputs that are no weights: exporters put a Constant node before each."""
    if node.kind == "Clip":
        return {"min": np.float32(0), "max": np.float32(6)}
    if node.kind == "Slice":
        stride = node.attributes["stride"]
        # "To the end" is the largest 64-bit integer, as exporters write it.
        end = np.iinfo(np.int64).max
        values = {"starts": [0, 0], "ends": [end, end], "axes": [2, 3], "steps": [stride, stride]}
        return {key: np.array(value, np.int64) for key, value in values.items()}
    if node.kind == "Pad":
        before, after = node.attributes["before"], node.attributes["after"]
        return {"pads": np.array([0, before, 0, 0, 0, after, 0, 0], np.int64), "value": np.float32(0)}
    return {}


def _nodes(node, rename):
    """ONNX's nodes for one of ours: constants first."""
    made, extra = [], []
    for key, value in _constants(node).items():
        name = f"{node.name}.{key}"
        tensor = numpy_helper.from_array(np.asarray(value), f"{name}.value")
        made.append(helper.make_node("Constant", [], [name], name=name, value=tensor))
        extra.append(name)
    inputs = [rename.get(name, name) for name in node.inputs] + node.parameters + extra
    output = rename.get(node.output, node.output)
    made.append(helper.make_node(node.kind, inputs, [output], name=node.name, **_attributes(node)))
    return made


def export(graph):
    """The model: `input` [batch, ...] to `output` [batch, ...], float32, batch symbolic."""
    rename = {graph.output: "output"}
    nodes = [made for node in graph.nodes for made in _nodes(node, rename)]
    initializers = [numpy_helper.from_array(array, name) for name, array in graph.weights.items()]

    def described(name, tensor):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *graph.shapes[tensor]])

    onnx_graph = helper.make_graph(
        nodes, graph.name, [described("input", "input")], [described("output", graph.output)], initializers
    )
    model = helper.make_model(
        onnx_graph,
        producer_name="zkloom-ladder",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model, samples):
    """The exported model's output: by onnxruntime if it is installed, else by onnx's reference evaluator; and who ran it."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model).run(None, {"input": samples})[0], "onnx.reference"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": samples})[0], "onnxruntime"
