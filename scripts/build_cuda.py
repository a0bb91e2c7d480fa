#!/usr/bin/env python3
"""Compile the CUDA kernels (for maintainers; builds and tests use the result, which is committed).

    scripts/build_cuda.py NVCC

NVCC is the path of NVIDIA's compiler, release 13.0: for instance from the Python wheels nvidia-cuda-nvcc==13.0.88, nvidia-nvvm==13.0.88,
nvidia-cuda-crt==13.0.88, nvidia-cuda-runtime and nvidia-cuda-cccl in a virtual environment, where it is
.../site-packages/nvidia/cu13/bin/nvcc. Writes kernels/cuda/zkloom.fatbin, zkloom.hash and REPORT.txt (registers and spills).
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "kernels" / "cuda"
REAL = ["80", "86", "89", "90", "100", "120"]
VIRTUAL = "80"
LIMIT = 4 << 20


def source_hash():
    """FNV-1a, as the test in kernels/src/cuda computes it."""
    value = 0xCBF29CE484222325
    for path in sorted([*FOLDER.glob("*.cuh"), *FOLDER.glob("*.cu")]):
        for byte in path.read_bytes() + b"\0":
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def compile_all(nvcc, target):
    codes = [f"-gencode=arch=compute_{sm},code=sm_{sm}" for sm in REAL]
    codes.append(f"-gencode=arch=compute_{VIRTUAL},code=compute_{VIRTUAL}")
    command = [nvcc, "-std=c++17", "-O3", "-fatbin", "-Xptxas", "-v", "-Xfatbin", "-compress-mode=size", "-t", "2"]
    run = subprocess.run([*command, *codes, "kernels.cu", "-o", target], cwd=FOLDER, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"the compiler failed:\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr


def usage(log):
    """(kernel, architecture) -> (registers, stack, spill stores, spill loads)."""
    table, entry, stack = {}, None, None
    for line in log.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)' for 'sm_(\d+)'", line):
            entry = found.groups()
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            stack = tuple(map(int, found.groups()))
        elif (found := re.search(r"Used (\d+) registers", line)) and entry:
            table[entry] = (int(found.group(1)), *(stack or (0, 0, 0)))
            entry = stack = None
    return table


def report(table, version, size):
    lines = [f"Compiled by scripts/build_cuda.py with {version}; {size} bytes.", ""]
    lines.append("Registers of each kernel, by compute capability; (s bytes) where it has a stack frame, !n where it spills n bytes.")
    lines.append("")
    lines.append(f"{'kernel':<18}" + "".join(f"{'sm_' + sm:>12}" for sm in REAL))
    for kernel in sorted({kernel for kernel, _ in table}):
        cells = []
        for sm in REAL:
            registers, stack, stores, loads = table[kernel, sm]
            cells.append(f"{registers}" + (f" (s{stack})" if stack else "") + (f" !{stores + loads}" if stores + loads else ""))
        lines.append(f"{kernel:<18}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    nvcc = sys.argv[1]
    version = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    version = "nvcc " + re.search(r"release [\d.]+, V([\d.]+)", version).group(1)
    before = source_hash()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "zkloom.fatbin"
        log = compile_all(nvcc, str(target))
        image = target.read_bytes()
    table = usage(log)
    if len(image) > LIMIT:
        sys.exit(f"{len(image)} bytes are more than {LIMIT}")
    if source_hash() != before:
        sys.exit("the sources changed in the meantime; run it again")
    text = report(table, version, len(image))
    (FOLDER / "zkloom.fatbin").write_bytes(image)
    (FOLDER / "zkloom.hash").write_text(before + "\n")
    (FOLDER / "REPORT.txt").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
