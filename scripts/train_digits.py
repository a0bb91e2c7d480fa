#!/usr/bin/env python3
"""Train the bundled digits network and write the fixtures that belong to it.

Needs scikit-learn, numpy and onnx; `fixtures/README.md` gives the exact versions and the command. The seeds are fixed, and
one thread of BLAS is used, so that the same versions give the same files.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

SPLIT_SEED = 20240
TRAINING_SEED = 7
HIDDEN_WIDTHS = (64, 32)
TEST_SHARE = 0.25
CALIBRATION_SAMPLES = 200
PIXEL_MAXIMUM = 16.0
LOWEST_ACCEPTED_ACCURACY = 0.97
OPSET = 13
IR_VERSION = 8


def load_pixels():
    """All 1,797 digits: pixels as float32 [n, 64] between 0 and 1, labels as int64 [n]."""
    digits = load_digits()
    pixels = (digits.data / PIXEL_MAXIMUM).astype(np.float32)
    return pixels, digits.target.astype(np.int64)


def train(pixels, labels):
    """Fit the 64-64-32-10 ReLU network; returns float32 (weights [in, out], biases [out]) for each layer."""
    classifier = MLPClassifier(
        hidden_layer_sizes=HIDDEN_WIDTHS,
        activation="relu",
        alpha=1e-3,
        learning_rate_init=2e-3,
        batch_size=64,
        max_iter=400,
        random_state=TRAINING_SEED,
    )
    classifier.fit(pixels, labels)
    if list(classifier.classes_) != list(range(10)):
        raise SystemExit("the training part lacks a class: choose another split seed")
    return [
        (weights.astype(np.float32), bias.astype(np.float32))
        for weights, bias in zip(classifier.coefs_, classifier.intercepts_)
    ]


def export(layers):
    """An ONNX model Gemm, Relu, Gemm, Relu, Gemm: `input` [batch, 64] float32 to `logits` [batch, 10] float32."""
    nodes, initializers = [], []
    source = "input"
    for number, (weights, bias) in enumerate(layers, start=1):
        last = number == len(layers)
        target = "logits" if last else f"dense{number}_out"
        # Rows of the stored matrix are output channels, as PyTorch's exporter writes Gemm.
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(weights.T), f"dense{number}.weight"))
        initializers.append(numpy_helper.from_array(bias, f"dense{number}.bias"))
        inputs = [source, f"dense{number}.weight", f"dense{number}.bias"]
        nodes.append(helper.make_node("Gemm", inputs, [target], name=f"dense{number}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [target], [f"relu{number}_out"], name=f"relu{number}"))
            source = f"relu{number}_out"
    graph = helper.make_graph(
        nodes,
        "digits-mlp",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", layers[0][0].shape[0]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", layers[-1][0].shape[1]])],
        initializers,
    )
    model = helper.make_model(
        graph,
        producer_name="zkloom-fixtures",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def run_exported(model, pixels):
    """Logits of the exported file itself, evaluated by onnx's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"input": pixels})[0]


def accuracy(logits, labels):
    """Share of samples whose largest logit is the label."""
    return float((logits.argmax(axis=1) == labels).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parent.parent / "fixtures"
    parser.add_argument("--output", type=Path, default=default, help="folder that receives the files")
    folder = parser.parse_args().output

    pixels, labels = load_pixels()
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=labels
    )
    model = export(train(train_x, train_y))
    measured = {
        "training": accuracy(run_exported(model, train_x), train_y),
        "test": accuracy(run_exported(model, test_x), test_y),
        "all": accuracy(run_exported(model, pixels), labels),
    }
    for name, value in measured.items():
        print(f"{name} accuracy: {value:.4f}")
    if measured["test"] < LOWEST_ACCEPTED_ACCURACY:
        print(f"test accuracy is under {LOWEST_ACCEPTED_ACCURACY}: nothing written", file=sys.stderr)
        return 1

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits-mlp.onnx").write_bytes(model.SerializeToString())
    np.savez_compressed(folder / "digits-test.npz", x=test_x, y=test_y)
    np.savez_compressed(folder / "digits-all.npz", x=pixels, y=labels)
    np.save(folder / "digit.npy", test_x[:1])
    # The training part is already shuffled, so its beginning is a fair sample.
    calibration = slice(0, CALIBRATION_SAMPLES)
    np.savez_compressed(folder / "digits-calibration.npz", x=train_x[calibration], y=train_y[calibration])
    print(f"training {len(train_y)}, test {len(test_y)}, calibration {CALIBRATION_SAMPLES}, written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
