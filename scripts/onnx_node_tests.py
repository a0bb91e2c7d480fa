#!/usr/bin/env python3
"""Run ONNX's own node tests through `zkloom run` and write a table of passed, refused and failed.

    scripts/onnx_node_tests.py --zkloom BINARY [--only OPERATOR,OPERATOR] [--markdown FILE] [--json FILE]

Needs numpy and an onnx wheel that ships onnx/backend/test/data/node (1.17 does). The first float input of a test stays the
network's input, all others become constants. Scales are calibrated on the test's own input. Tensors without a batch dimension of
one are flattened at the network's border. Exits 1 if a test failed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# The operators that zkLoom claims, by the names of ONNX's default domain.
OPERATORS = (
    "Abs Add ArgMax AveragePool BatchNormalization Clip Concat Constant Conv ConvTranspose DepthToSpace Div Dropout Elu Equal "
    "Erf Exp Expand Flatten Gather Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GroupNormalization HardSigmoid HardSwish "
    "Identity InstanceNormalization LRN LayerNormalization LeakyRelu LogSoftmax LpNormalization MatMul Max MaxPool "
    "MeanVarianceNormalization Min Mul Neg PRelu Pad Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax "
    "ReduceMean ReduceSum ReduceSumSquare Relu Reshape Resize Shape Sigmoid Slice Softmax Softplus SpaceToDepth Split Sqrt "
    "Squeeze Sub Sum Tanh Transpose Unsqueeze Upsample Where"
).split()
# Exit codes of zkloom that are a clear refusal: an unsuitable model, data or option.
REFUSED = 3
# Steps of the output's scale, or of its range in 8 bits, that an output may be off. Three roundings can meet in one node:
# the input's, the weights', the output's, each of which the operation may widen.
ALLOWED_STEPS = 4
# Operators that become several: centring, squares, a mean, an inverse root and a product are rounded one after the other.
COMPOSED = {"GroupNormalization", "InstanceNormalization", "LayerNormalization", "MeanVarianceNormalization"}
ALLOWED_STEPS_COMPOSED = 6
LEVELS = 255
TIME_LIMIT = 120
# Tests whose expected data other runtimes do not reproduce either: onnxruntime's output differs from them as zkLoom's does.
DISPUTED = {
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": "onnxruntime 1.32 is off by the same amount"
}


class Refused(Exception):
    """A test that zkLoom does not take, or that this harness can't put to it; the message says why."""


class Failed(Exception):
    """A wrong output, or a crash."""


def tests_of(folder, operators):
    """(operator, folder) of each test with exactly one node of an operator asked for."""
    for path in sorted(folder.iterdir()):
        model_file = path / "model.onnx"
        if not model_file.exists():
            continue
        nodes = onnx.load(model_file, load_external_data=False).graph.node
        if len(nodes) == 1 and nodes[0].domain in ("", "ai.onnx") and nodes[0].op_type in operators:
            yield nodes[0].op_type, path


def read_tensor(path):
    """An array from a serialised TensorProto; other kinds of values are refused."""
    tensor = TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        return numpy_helper.to_array(tensor)
    except Exception as error:  # sequences and optionals stand in the same files
        raise Refused(f"{path.name} holds no plain tensor") from error


def bind(model, arrays):
    """Makes every input but the first of float32 a constant; gives that input's name."""
    graph = model.graph
    names = [value.name for value in graph.input]
    floats = [name for name in names if name in arrays and arrays[name].dtype == np.float32 and arrays[name].size]
    if not floats:
        raise Refused("harness: no float32 input")
    chosen = next((name for name in floats if name in graph.node[0].input), floats[0])
    kept = [value for value in graph.input if value.name == chosen]
    for name in names:
        if name != chosen and name in arrays:
            graph.initializer.append(numpy_helper.from_array(arrays[name], name))
    del graph.input[:]
    graph.input.extend(kept)
    return chosen


def bridge(model, name, array, expected):
    """Puts reshapes around the node where its tensors have no batch dimension of 1: the network's input is then one row of all
    elements, and so is its output. Gives the input and output that belong to it."""
    from onnx import helper

    graph = model.graph
    output = graph.output[0].name
    leading = lambda tensor: tensor.ndim > 1 and tensor.shape[0] == 1
    element_type = lambda value: value.type.tensor_type.elem_type
    if not leading(array):
        inner = f"{name}__test"
        for node in graph.node:
            node.input[:] = [inner if used == name else used for used in node.input]
        shape = numpy_helper.from_array(np.array(array.shape, np.int64), f"{name}__shape")
        graph.initializer.append(shape)
        graph.node.insert(0, helper.make_node("Reshape", [name, shape.name], [inner], name="bridge_in"))
        value = helper.make_tensor_value_info(name, element_type(graph.input[0]), [1, array.size])
        graph.input[0].CopyFrom(value)
        array = array.reshape(1, -1)
    if not leading(expected) and expected.dtype == np.float32:
        inner = f"{output}__test"
        for node in graph.node:
            node.output[:] = [inner if made == output else made for made in node.output]
        shape = numpy_helper.from_array(np.array([1, expected.size], np.int64), f"{output}__shape")
        graph.initializer.append(shape)
        graph.node.append(helper.make_node("Reshape", [inner, shape.name], [output], name="bridge_out"))
        graph.output[0].CopyFrom(helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, expected.size]))
    return array, expected


def run_zkloom(zkloom, folder, sample):
    """`zkloom run` on a model in `folder`; gives its JSON report."""
    np.save(folder / "input.npy", np.ascontiguousarray(sample))
    command = [zkloom, "--json", "--quiet", "run", folder / "model.onnx", "--calibration", folder / "input.npy"]
    command += ["--input", folder / "input.npy", "--output", folder / "output.npy"]
    (folder / "output.npy").unlink(missing_ok=True)
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"over {TIME_LIMIT} s") from error
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    if done.returncode == 0:
        return report
    message = report.get("error", done.stderr.strip() or "no message")
    message = message.get("message", str(message)) if isinstance(message, dict) else str(message)
    message = " ".join(message.split()).replace(str(folder), "FOLDER")
    raise (Refused if done.returncode == REFUSED else Failed)(message)


def compare(report, found, expected, allowed_steps):
    """Checks an output against the test's, in steps of its own scale; gives the largest difference in steps."""
    if found.size != expected.size:
        raise Failed(f"{found.size} outputs, not {expected.size}")
    wanted = expected.astype(np.float64).ravel()
    if not np.isfinite(wanted).all():
        raise Failed("the test expects values that are not finite, and zkloom gave an output")
    # Outputs that are truth values or indices are exact.
    exact = expected.dtype.kind in "biu"
    step = 0.0 if exact else max(float(report.get("scale", 0.0)), float(np.abs(wanted).max()) / LEVELS)
    difference = float(np.abs(found.astype(np.float64).ravel() - wanted).max(initial=0.0))
    if difference > allowed_steps * step:
        raise Failed(f"off by {difference:.4g}, allowed {allowed_steps * step:.4g}")
    return difference / step if step else 0.0


def check_input_fits(model, sample, expected):
    """Refuses a test whose input 8 bits cannot hold: where rounding it to 255 levels moves the output further than is allowed."""
    from onnx.reference import ReferenceEvaluator

    step = float(np.abs(sample).max(initial=0.0)) / LEVELS * 2
    if not step or not np.isfinite(step):
        return
    rounded = (np.round(sample / step) * step).astype(sample.dtype)
    try:
        found = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: rounded})[0]
    except Exception:  # forms that the reference lacks are judged by zkloom's output alone
        return
    moved = float(np.abs(found.astype(np.float64).ravel() - expected.astype(np.float64).ravel()).max(initial=0.0))
    if moved > ALLOWED_STEPS * float(np.abs(expected).max()) / LEVELS:
        raise Refused(f"harness: rounding the input to 8 bits alone moves the output by {moved:.4g}")


def run_test(zkloom, path, scratch):
    """Puts one node test to zkloom; gives the largest difference in steps of the output's scale."""
    model = onnx.load(path / "model.onnx")
    data = path / "test_data_set_0"
    arrays = {
        value.name: read_tensor(data / f"input_{index}.pb")
        for index, value in enumerate(model.graph.input)
        if (data / f"input_{index}.pb").exists()
    }
    for own in model.opset_import:
        # Set 22 and later allow more types and change nothing else of these operators.
        own.version = min(own.version, 21)
    expected = read_tensor(data / "output_0.pb")
    name = bind(model, arrays)
    if arrays[name].size == 0 or expected.size == 0:
        raise Refused("harness: an empty tensor")
    # Of several outputs the first is tested.
    del model.graph.output[1:]
    sample, expected = bridge(model, name, arrays[name], expected)
    onnx.save(model, scratch / "model.onnx")
    report = run_zkloom(zkloom, scratch, sample)
    composed = any(node.op_type in COMPOSED for node in model.graph.node)
    try:
        allowed = ALLOWED_STEPS_COMPOSED if composed else ALLOWED_STEPS
        return compare(report, np.load(scratch / "output.npy"), expected, allowed)
    except Failed:
        check_input_fits(model, sample, expected)
        raise


def markdown(rows):
    """A table of counts, then each test that was refused or failed with its sentence."""
    counts = Counter((row["operator"], row["outcome"]) for row in rows)
    lines = ["| operator | passed | refused | failed | disputed |", "| --- | --- | --- | --- | --- |"]
    outcomes = ("passed", "refused", "failed", "disputed")
    for operator in sorted({row["operator"] for row in rows}):
        lines.append(f"| {operator} | " + " | ".join(str(counts[operator, outcome]) for outcome in outcomes) + " |")
    totals = Counter(row["outcome"] for row in rows)
    lines.append("| all | " + " | ".join(str(totals[outcome]) for outcome in outcomes) + " |")
    lines += ["", "| test | outcome | why |", "| --- | --- | --- |"]
    for row in rows:
        if row["outcome"] != "passed":
            why = row["why"].replace("|", "\\|")
            lines.append(f"| {row['test']} | {row['outcome']} | {why} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zkloom", type=Path, required=True, help="the zkloom program")
    parser.add_argument("--only", metavar="OPERATOR,OPERATOR", help="some of the operators")
    parser.add_argument("--data", type=Path, help="folder of node tests; default: the installed onnx wheel's")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, not to stdout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all outcomes there")
    options = parser.parse_args()
    folder = options.data or Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
    if not folder.is_dir():
        parser.error(f"{folder} is missing: this onnx ({onnx.__version__}) ships no node tests; install onnx 1.17, or give --data")
    operators = options.only.split(",") if options.only else OPERATORS
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for operator, path in tests_of(folder, set(operators)):
            row = {"operator": operator, "test": path.name}
            try:
                steps = run_test(options.zkloom.resolve(), path, Path(scratch))
                row.update(outcome="passed", steps=steps)
            except Refused as refusal:
                row.update(outcome="refused", why=str(refusal))
            except Failed as failure:
                disputed = DISPUTED.get(path.name)
                outcome, why = ("disputed", f"{failure}; {disputed}") if disputed else ("failed", str(failure))
                row.update(outcome=outcome, why=why)
            rows.append(row)
    if not rows:
        parser.error(f"no tests of {', '.join(operators)} in {folder}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    text = markdown(rows)
    if options.markdown:
        options.markdown.write_text(text)
    else:
        print(text, end="")
    return 1 if any(row["outcome"] == "failed" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
