#!/usr/bin/env python3
"""Write the ladder of convolutional networks into a folder: ONNX models, calibration data, one input each.

    scripts/ladder.py FOLDER [--only NAME,NAME]

For each NAME: NAME.onnx, NAME-calibration.npz, NAME-input.npy, for trained ones NAME-test.npz (samples that training never
saw), and in ladder.json the sizes of all. Needs numpy and onnx; checks with onnxruntime if it is installed. lenet5 and
digits-cnn are trained here on the digits in fixtures/, the others get random weights of sane scale. Seeds are fixed: the
same versions on the same machine give the same files.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "2")

import numpy as np

from ladder_lib import export, graph, operations, training
from ladder_lib.networks import LADDER

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
LOWEST_ACCEPTED_ACCURACY = 0.96
INPUT_SEED = 5000
# Largest difference between our forward pass and the exported model's, over the largest output.
TOLERANCE = 1e-4
COLUMNS = ("weights", "macs", "linear_outputs", "activations")


def digits(size):
    """Images [n, 1, size, size] and labels: those that digits-test.npz does not hold, and those that it does."""
    everything, held_out = np.load(FIXTURES / "digits-all.npz"), np.load(FIXTURES / "digits-test.npz")
    unseen = {row.tobytes() for row in held_out["x"]}
    seen = np.array([row.tobytes() not in unseen for row in everything["x"]])

    def shaped(pixels):
        images = pixels.reshape(-1, 1, 8, 8)
        return images if size == 8 else operations.upscale(images, size)

    return (shaped(everything["x"][seen]), everything["y"][seen]), (shaped(held_out["x"]), held_out["y"])


def trained(network, count, epochs):
    """Trains on the digits; gives the sets to save (first `count` of a shuffled training part for calibration), and accuracy."""
    (images, labels), (test_images, test_labels) = digits(network.shapes["input"][-1])
    training.train(network, images, labels, epochs)
    chosen = np.random.default_rng(INPUT_SEED).permutation(len(images))[:count]
    accuracy = training.accuracy(network, test_images, test_labels)
    if accuracy < LOWEST_ACCEPTED_ACCURACY:
        raise SystemExit(f"{network.name}: accuracy {accuracy:.3f} is under {LOWEST_ACCEPTED_ACCURACY}: nothing written")
    sets = {"calibration": (images[chosen], labels[chosen]), "test": (test_images, test_labels)}
    return sets, test_images[:1], accuracy


def random(network, count):
    """Settles the normalisations of a network with random weights on smooth random images; gives calibration set and input."""
    channels, size, _ = network.shapes["input"]
    generator = np.random.default_rng([INPUT_SEED, size])
    images = operations.smooth_images(generator, count + 1, channels, size)
    # At full size a few images have statistics enough: each channel sees thousands of cells.
    settling = images[: max(2, min(count, 16 * 1024 // (size * size) * 8))]
    graph.forward(network, settling, settle=True)
    return {"calibration": (images[:count], None)}, images[count:]


def check(network, model, sample):
    """The exported model computes what our forward pass does; gives who ran it and the difference."""
    expected = graph.forward(network, sample)
    found, runtime = export.run(model, sample)
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference < TOLERANCE:
        raise SystemExit(f"{network.name}: {runtime} differs from our forward pass by {difference:.2e} of the largest output")
    return {"checked_by": runtime, "difference": difference, "largest_output": float(np.abs(expected).max())}


def build(name, folder):
    """Makes one network and writes its files; gives its line of ladder.json."""
    start = time.monotonic()
    make, count, epochs = LADDER[name]
    network, accuracy = make(), None
    if epochs:
        sets, sample, accuracy = trained(network, count, epochs)
    else:
        sets, sample = random(network, count)
    model = export.export(network)
    row = {"input_shape": list(network.shapes["input"]), **graph.counts(network), **check(network, model, sample)}
    if accuracy is not None:
        row["test_accuracy"] = accuracy
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    np.save(folder / f"{name}-input.npy", sample)
    for part, (images, labels) in sets.items():
        arrays = {"x": images} if labels is None else {"x": images, "y": labels}
        np.savez_compressed(folder / f"{name}-{part}.npz", **arrays)
    seconds = time.monotonic() - start
    print(f"{name}: {seconds:.1f} s, agrees with {row['checked_by']} within {row['difference']:.1e}", file=sys.stderr)
    return row


def table(rows):
    """Markdown table of the sizes."""
    lines = ["| network | input | " + " | ".join(COLUMNS) + " | accuracy |", "| --- | --- |" + " --- |" * 5]
    for name, row in rows.items():
        accuracy = f"{100 * row['test_accuracy']:.1f} %" if "test_accuracy" in row else "random weights"
        shape = "x".join(map(str, row["input_shape"]))
        cells = " | ".join(f"{row[column]:,}" for column in COLUMNS)
        lines.append(f"| {name} | {shape} | {cells} | {accuracy} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that receives the files; made if it is missing")
    parser.add_argument("--only", metavar="NAME,NAME", help=f"some of: {', '.join(LADDER)}")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(LADDER)
    unknown = [name for name in names if name not in LADDER]
    if unknown:
        parser.error(f"no such network: {', '.join(unknown)}; there are {', '.join(LADDER)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    index = arguments.folder / "ladder.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    for name in names:
        known[name] = build(name, arguments.folder)
        # After each, so that an interrupted run leaves a true index.
        index.write_text(json.dumps(known, indent=2) + "\n")
    print(table({name: known[name] for name in LADDER if name in known}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
