#!/usr/bin/env python3
"""Compile the light models of the onnx wheel (exporters' graphs with constant weights) and say what is missing.

    scripts/onnx_light_models.py --zkloom BINARY [--data FOLDER] [--only NAME,NAME] [--markdown FILE]

Each model is imported, quantised with random calibration data and compiled to a circuit, as it is; where operators are refused,
once more with these replaced by the identity. Their weights are constants, drawn at random here, so that scales and tables are
those of a network and not of one number. Skips, saying so, if the models are not there. Exits 1 if a model does not compile even
without the operators that are refused.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# Exit code of zkloom for an unsuitable model.
REFUSED = 3
TIME_LIMIT = 1800
SAMPLES = 2


def concrete(model, seed=1):
    """Weights in place of the nodes that fill a constant in: random, and scaled so that activations keep their size."""
    from onnx import numpy_helper

    random = np.random.default_rng(seed)
    graph = model.graph
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    variances = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[4:5]}
    kept = []
    for node in graph.node:
        shape = shapes.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
        if shape is None:
            kept.append(node)
            continue
        shape = tuple(int(size) for size in shape)
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        values = random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in) if len(shape) > 1 else 0.1)
        if len(shape) == 1:
            values = 1 + np.abs(values) if node.output[0] in variances else values + np.float32(0.5)
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    names = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in names]
    del graph.input[:]
    graph.input.extend(inputs)
    used = {name for node in graph.node for name in node.input}
    needed = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(needed)
    return model


def without(model, operators):
    """The operators' nodes as identities."""
    for node in model.graph.node:
        if node.op_type in operators:
            node.op_type = "Identity"
            del node.input[1:]
            del node.attribute[:]
    return model


def compile_model(zkloom, folder, model):
    """(report, None) of `zkloom compile`, or (None, why not)."""
    import onnx

    onnx.save(model, folder / "model.onnx")
    command = [zkloom, "--json", "--quiet", "compile", folder / "model.onnx", "--calibration", folder / "data.npy"]
    command += ["-o", folder / "model.circuit"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    if done.returncode == 0:
        return report["report"], None
    error = report.get("error", done.stderr)
    message = error.get("message", str(error)) if isinstance(error, dict) else str(error)
    return None, " ".join(message.split()).replace(str(folder), "FOLDER") + ("" if done.returncode == REFUSED else " (crash)")


def unknown_operators(model, message):
    """Operators of the model that a refusal names."""
    return sorted({node.op_type for node in model.graph.node if re.search(rf"\b{node.op_type}\b", message)})


def judge(zkloom, path, scratch):
    """One row of the table."""
    import onnx

    model = concrete(onnx.load(path))
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    data = np.random.default_rng(2).random((SAMPLES, *shape[1:]), np.float32)
    np.save(scratch / "data.npy", data)
    report, why = compile_model(zkloom, scratch, model)
    missing = []
    if report is None:
        missing = unknown_operators(model, why)
        if not missing:
            return {"model": path.stem, "missing": [], "why": why}
        report, why = compile_model(zkloom, scratch, without(model, missing))
    return {"model": path.stem, "missing": missing, "report": report, "why": why}


def markdown(rows):
    """The table of docs/operators.md."""
    lines = ["| model | missing | weights | activations | rows | lanes | table sets | claims |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        name, missing = row["model"].removeprefix("light_"), ", ".join(row["missing"]) or "nothing"
        report = row.get("report")
        if report is None:
            lines.append(f"| {name} | {missing}; {row['why']} | | | | | | |")
            continue
        shape = report["shape"]
        cells = 2 * shape["lanes"] * report["rows_in_use"]
        figures = f"{shape['weights']:,} | {cells:,} | 2^{shape['log_rows']} | {shape['lanes']} | {shape['table_sets']} | {report['claims']}"
        lines.append(f"| {name} | {missing} | {figures} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zkloom", type=Path, required=True, help="the zkloom program")
    parser.add_argument("--data", type=Path, help="folder of light models; default: the installed onnx wheel's")
    parser.add_argument("--only", metavar="NAME,NAME", help="some of the models, without `light_`")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, not to stdout")
    options = parser.parse_args()
    try:
        import onnx
    except ImportError:
        print("skipped: no onnx wheel is installed")
        return 0
    folder = options.data or Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    paths = sorted(folder.glob("light_*.onnx"), key=lambda path: (path.stem == "light_vgg19", path.stem))
    if options.only:
        paths = [path for path in paths if path.stem.removeprefix("light_") in options.only.split(",")]
    if not paths:
        print(f"skipped: no light_*.onnx in {folder}")
        return 0
    rows = []
    for path in paths:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(judge(options.zkloom.resolve(), path, Path(scratch)))
        state = rows[-1].get("why") or "compiles"
        print(f"{path.stem}: missing {', '.join(rows[-1]['missing']) or 'nothing'}; {state}", file=sys.stderr, flush=True)
    if options.markdown:
        options.markdown.write_text(markdown(rows))
    else:
        print(markdown(rows), end="")
    return 1 if any(row.get("report") is None for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
