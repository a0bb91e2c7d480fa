#!/usr/bin/env python3
"""A folder for the ladder's benchmark from TeleSparse's released ResNet-20 networks and their one image.

    scripts/telesparse_variants.py RELEASED OUT
    cargo bench -p zkloom-benches --bench ladder -- --models OUT

RELEASED holds `8.npy` and `resnet20_*.onnx` of the folder Results/resnet20_cifar100 of mammadmaheri7/TeleSparseRepo. OUT gets each network
with its calibration (the image, mirrored, shifted by four, upside down, rotated, and with noise of deviation 0.3) and the image as its
input. Needs numpy.
"""

import shutil
import sys
from pathlib import Path

import numpy as np


def variants(image):
    """The image and five others made from it."""
    noise = np.random.default_rng(1).standard_normal(image.shape).astype(np.float32)
    return np.stack([
        image,
        image[:, :, ::-1],
        np.roll(image, (4, 4), (1, 2)),
        image[:, ::-1, :],
        np.rot90(image, 1, (1, 2)),
        image + np.float32(0.3) * noise,
    ]).astype(np.float32)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    released, out = Path(sys.argv[1]), Path(sys.argv[2])
    image_file, networks = released / "8.npy", sorted(released.glob("resnet20_*.onnx"))
    if not image_file.exists() or not networks:
        print(f"skipped: {released} does not hold 8.npy and resnet20_*.onnx")
        return
    out.mkdir(parents=True, exist_ok=True)
    image = np.load(image_file).astype(np.float32).reshape(3, 32, 32)
    for network in networks:
        shutil.copyfile(network, out / network.name)
        np.savez(out / f"{network.stem}-calibration.npz", input=variants(image))
        np.save(out / f"{network.stem}-input.npy", image[None])
    print(f"{len(networks)} networks in {out}")


if __name__ == "__main__":
    main()
