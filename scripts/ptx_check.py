#!/usr/bin/env python3
"""Run the compiler's PTX of the field arithmetic, on awkward and on random elements, without a GPU (for maintainers).

    scripts/ptx_check.py NVCC [RANDOM_PAIRS]

NVCC is as for scripts/build_cuda.py. Compiles kernels/cuda/kernels.cu to PTX and interprets the kernel `check_field`, which writes
a + b, a - b, a * b and a * b by carry chains, for both moduli; the answers are compared with Python's integers.
"""

import itertools
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "kernels" / "cuda"
MODULI = [
    21888242871839275222246405745257275088548364400416034343698204186575808495617,
    21888242871839275222246405745257275088696311157297823662689037894645226208583,
]
WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF


def parse(text, kernel):
    """Instructions as (guard, name, operands), and the place of each label."""
    body = re.search(r"\.entry " + kernel + r"\(.*?\n\{(.*?)\n\}", text, re.S).group(1)
    body = re.sub(r"//[^\n]*", "", body)
    code, labels = [], {}
    for line in re.split(r";|(?<=:)\n", body):
        line = line.strip()
        if line.startswith(".") or not line:
            continue
        if line.endswith(":"):
            labels[line[:-1]] = len(code)
            continue
        guard, name, rest = re.match(r"(@!?%\w+\s+)?([\w.]+)\s*(.*)", line, re.S).groups()
        code.append((guard and guard.strip(), name, re.findall(r"\[[^\]]*\]|[%$]?[\w.$-]+", rest)))
    return code, labels


def place(registers, operand):
    base, _, offset = operand.strip("[]").partition("+")
    return registers[base] + int(offset or 0)


def run(program, parameters, memory):
    """One thread of one block of one; returns the number of instructions."""
    code, labels = program
    registers, carry, at, steps = {"%ctaid.x": 0, "%ntid.x": 1, "%tid.x": 0}, 0, 0, 0
    read = lambda operand: registers[operand] if operand.startswith("%") else int(operand)
    while True:
        guard, name, operands = code[at]
        at += 1
        steps += 1
        if guard and bool(registers[guard.lstrip("@!")]) == guard.startswith("@!"):
            continue
        parts = name.split(".")
        operation, width = parts[0], WORD if parts[-1].endswith("32") else LONG
        if operation == "ret":
            return steps
        if operation == "bra":
            at = labels[operands[0]]
        elif operation == "ld" and parts[1] == "param":
            registers[operands[0]] = parameters[int(operands[1].strip("[]").rpartition("_")[2])]
        elif operation in ("ld", "st"):
            values, address = (operands[:-1], operands[-1]) if operation == "ld" else (operands[1:], operands[0])
            start = place(registers, address)
            for number, value in enumerate(values):
                if operation == "ld":
                    registers[value] = memory[start + 4 * number]
                else:
                    memory[start + 4 * number] = read(value) & WORD
        elif operation in ("mov", "cvt", "cvta"):
            registers[operands[0]] = read(operands[1]) & width
        elif operation == "selp":
            registers[operands[0]] = (read(operands[1]) if registers[operands[3]] else read(operands[2])) & width
        elif operation == "setp":
            a, b = (read(operand) & width for operand in operands[1:])
            registers[operands[0]] = {"eq": a == b, "ne": a != b, "ge": a >= b, "gt": a > b, "lt": a < b}[parts[1]]
        else:
            carry = arithmetic(registers, operands[0], parts, [read(operand) & width for operand in operands[1:]], (width, carry))


def arithmetic(registers, target, parts, values, state):
    """Sets the target; returns the carry flag afterwards."""
    (operation, width), carry = (parts[0], state[0]), state[1]
    sets = "cc" in parts
    if operation in ("mad", "madc", "mul"):
        product = values[0] * values[1]
        if "wide" not in parts:
            product = product >> 32 if "hi" in parts else product & width
        result = product + (values[2] if len(values) > 2 else 0) + (carry if operation == "madc" else 0)
        width = LONG if "wide" in parts else width
    elif operation in ("add", "addc"):
        result = values[0] + values[1] + (carry if operation == "addc" else 0)
    elif operation in ("sub", "subc"):
        result = values[0] - values[1] - (carry if operation == "subc" else 0)
    elif operation in ("and", "or", "xor"):
        result = {"and": values[0] & values[1], "or": values[0] | values[1], "xor": values[0] ^ values[1]}[operation]
    elif operation == "shl":
        result = values[0] << values[1]
    elif operation == "shr":
        result = values[0] >> values[1]
    else:
        sys.exit(f"this interpreter does not know {'.'.join(parts)}")
    registers[target] = result & width
    return int(result < 0 or result > width) if sets else carry


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.ptx"
        command = [sys.argv[1], "-std=c++17", "-O3", "-arch=compute_80", "-ptx", "kernels.cu", "-o", str(target)]
        subprocess.run(command, cwd=FOLDER, check=True)
        program = parse(target.read_text(), "check_field")
    checked, most = 0, 0
    for base, modulus in enumerate(MODULI):
        edges = [0, 1, 2, modulus - 1, modulus - 2, modulus // 2, WORD, LONG, 1 << 224, (1 << 253) - 1, pow(2, 256, modulus)]
        pairs = list(itertools.product(edges, repeat=2))
        source = random.Random(base)
        pairs += [(source.randrange(modulus), source.randrange(modulus)) for _ in range(int(sys.argv[2]) if len(sys.argv) == 3 else 200)]
        for a, b in pairs:
            memory = {}
            for start, value in ((1000, a), (2000, b)):
                memory.update({start + 4 * i: value >> 32 * i & WORD for i in range(8)})
            most = max(most, run(program, [10000, 1000, 2000, 1, base], memory))
            found = [sum(memory[10000 + 32 * k + 4 * i] << 32 * i for i in range(8)) for k in range(4)]
            product = a * b * pow(2, -256, modulus) % modulus
            if found != [(a + b) % modulus, (a - b) % modulus, product, product]:
                sys.exit(f"modulus {modulus}: {a} and {b} give {found}")
            checked += 1
    print(f"{checked} pairs agree; {most} instructions for each at most")


if __name__ == "__main__":
    main()
