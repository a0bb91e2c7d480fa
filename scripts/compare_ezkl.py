#!/usr/bin/env python3
"""zkLoom and ezkl side by side on one machine in one run: time, memory, sizes, error, and their ratios.

    scripts/compare_ezkl.py --zkloom BINARY [--models FOLDER] [--only NAME,NAME] [--repetitions N] [--json FILE]

Needs ezkl, onnx and numpy from PyPI (and onnxruntime if it is there). The digits network is bundled; the others come from a
folder that scripts/ladder.py filled. Private input, public output; weights private for zkLoom and fixed in the key for ezkl,
which is its default. ezkl runs at its defaults and at the best settings that we know. Each step is a child process
with a time limit; zkLoom's times are those of the whole process, ezkl's those of the calls without Python's start. SRSs are made here: for measuring only.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
BUNDLED = "digits-mlp"
DEFAULT_NAMES = (BUNDLED, "digits-cnn", "lenet5")
# Name -> run arguments; scales None leaves them to ezkl's calibration.
SETTINGS = {
    "default": {"arguments": {}, "scales": None},
    # Fits small circuits into 2^12 rows: less accurate, several times faster.
    "tuned": {
        "arguments": {"decomp_base": 256, "decomp_legs": 3, "num_inner_cols": 4},
        "scales": [7],
    },
}
CALIBRATION_SAMPLES = 20
# ezkl 23.0.5 took 11.1 GB for a proof at 2^19 rows with max pooling and 9.6 GB at 2^20 without; the guard takes the worse.
BYTES_PER_ROW = 22_500
STEPS = ("setup", "prove", "verify")


class StepFailed(Exception):
    """A child process did not do its work; the message says which and how it ended."""


def limited(memory):
    """What a child does before it starts: bounds its address space, leads its own group."""

    def prepare():
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return prepare


def run_step(label, command, limit, memory):
    """Runs a command; gives wall and CPU seconds, peak memory and its standard output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=err, preexec_fn=limited(memory))
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, limit)
        _, status, usage = os.wait4(child.pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        wall, code = time.monotonic() - start, os.waitstatus_to_exitcode(status)
        child.returncode = code
        out.seek(0), err.seek(0)
        text, complaint = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if code:
        why = f"over {limit:.0f} s" if code == -signal.SIGKILL and wall >= limit else f"exit {code}"
        lines = (complaint.strip() or text.strip()).splitlines()
        raise StepFailed(f"{label}: {why}: {lines[-1][:200] if lines else 'no message'}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"wall": wall, "cpu": cpu, "peak_mib": usage.ru_maxrss / 1024, "stdout": text}


def ezkl_prepare(request):
    """Child: settings, calibration, circuit; says how many rows."""
    import ezkl

    run = ezkl.PyRunArgs()
    run.input_visibility, run.output_visibility, run.param_visibility = "private", "public", "fixed"
    for key, value in request["arguments"].items():
        setattr(run, key, value)
    if request["scales"]:
        run.input_scale = run.param_scale = request["scales"][0]
    ezkl.gen_settings("model.onnx", "settings.json", py_run_args=run)
    options = {"scales": request["scales"]} if request["scales"] else {}
    ezkl.calibrate_settings("calibration.json", "model.onnx", "settings.json", "resources", **options)
    ezkl.compile_circuit("model.onnx", "model.ezkl", "settings.json")
    return {"log_rows": json.loads(Path("settings.json").read_text())["run_args"]["logrows"]}


def ezkl_srs(request):
    """Child: an SRS for testing."""
    import ezkl

    ezkl.gen_srs("kzg.srs", request["log_rows"])
    return {}


def ezkl_setup(_request):
    """Child: both keys."""
    import ezkl

    ezkl.setup("model.ezkl", "vk.key", "pk.key", srs_path="kzg.srs")
    return {}


def ezkl_prove(_request):
    """Child: witness and proof; gives the public outputs as ezkl rescales them, and the bytes of the proof."""
    import ezkl

    ezkl.gen_witness("input.json", "model.ezkl", "witness.json")
    ezkl.prove("witness.json", "model.ezkl", "pk.key", "proof.json", srs_path="kzg.srs")
    proof = json.loads(Path("proof.json").read_text())
    outputs = proof["pretty_public_inputs"]["rescaled_outputs"]
    return {"outputs": [float(value) for tensor in outputs for value in tensor], "proof_bytes": len(proof["proof"])}


def ezkl_verify(_request):
    """Child: verification; a refusal is an exception."""
    import ezkl

    if not ezkl.verify("proof.json", "settings.json", "vk.key", srs_path="kzg.srs"):
        raise SystemExit("ezkl rejects its own proof")
    return {}


EZKL_STEPS = {
    "prepare": ezkl_prepare,
    "srs": ezkl_srs,
    "setup": ezkl_setup,
    "prove": ezkl_prove,
    "verify": ezkl_verify,
}


def concrete(source, target):
    """The model with its symbolic batch fixed to 1, as ezkl wants it."""
    import onnx

    model = onnx.load(source)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, target)


def float_outputs(model, sample):
    """What the float network gives."""
    try:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: sample})[0].ravel()
    except ImportError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        loaded = onnx.load(model)
        return ReferenceEvaluator(loaded).run(None, {loaded.graph.input[0].name: sample})[0].ravel()


class Ezkl:
    """ezkl in a folder, at named settings."""

    def __init__(self, network, tag, folder, options):
        self.name, self.tag, self.folder, self.options = "ezkl", tag, folder, options
        self.facts = {}
        concrete(network["model"], folder / "model.onnx")
        samples = np.load(network["calibration"])["x"][:CALIBRATION_SAMPLES]
        rows = {"input_data": [samples.ravel().tolist()]}
        (folder / "calibration.json").write_text(json.dumps(rows))
        rows = {"input_data": [np.load(network["input"]).ravel().tolist()]}
        (folder / "input.json").write_text(json.dumps(rows))

    def _step(self, step, request):
        command = [sys.executable, __file__, "--child", step, str(self.folder), json.dumps(request)]
        label = f"{self.name} {self.tag} {step}"
        result = run_step(label, command, self.options.limit, self.options.memory)
        # The child's own clock, without Python's start, replaces the process's.
        result.update(json.loads(result.pop("stdout").strip().splitlines()[-1]))
        return result

    def setup(self):
        """Circuit and SRS outside the measurement, then the keys."""
        settings = SETTINGS[self.tag]
        self.facts["log_rows"] = log_rows = self._step("prepare", settings)["log_rows"]
        need = BYTES_PER_ROW << log_rows
        if log_rows > self.options.skip_ezkl_above_rows:
            raise StepFailed(f"2^{log_rows} rows: over the limit of 2^{self.options.skip_ezkl_above_rows}")
        if need > self.options.memory:
            raise StepFailed(f"2^{log_rows} rows need about {need / 2**30:.0f} GiB of memory: not tried")
        self._step("srs", {"log_rows": log_rows})
        result = self._step("setup", {})
        self.facts["proving_key_bytes"] = (self.folder / "pk.key").stat().st_size
        self.facts["verification_key_bytes"] = (self.folder / "vk.key").stat().st_size
        return result

    def prove(self):
        """Witness and proof, the keys read from their files."""
        result = self._step("prove", {})
        self.facts["proof_bytes"] = result.pop("proof_bytes")
        self.facts["outputs"] = result.pop("outputs")
        return result

    def verify(self):
        """Verification in a process of its own."""
        return self._step("verify", {})


class Zkloom:
    """zkLoom in a folder."""

    def __init__(self, network, folder, options):
        self.name, self.tag, self.folder, self.options = "zkloom", "default", folder, options
        self.network, self.facts = network, {}

    def _step(self, step, *arguments):
        command = [str(self.options.zkloom), "--json", "--quiet", *map(str, arguments)]
        result = run_step(f"zkloom {step}", command, self.options.limit, self.options.memory)
        result["report"] = json.loads(result.pop("stdout"))
        return result

    def setup(self):
        """Circuit and SRS outside the measurement, then the keys."""
        circuit, keys = self.folder / "model.circuit", self.folder / "keys"
        data = self.network["calibration"]
        self._step("compile", "compile", self.network["model"], "--calibration", data, "-o", circuit)
        # The first run makes and caches the development SRS of this size; the second finds it.
        self._step("setup", "setup", circuit, "-o", self.folder / "first")
        result = self._step("setup", "setup", circuit, "-o", keys)
        self.facts["proving_key_bytes"] = (keys / "proving.key").stat().st_size
        self.facts["verification_key_bytes"] = (keys / "verification.key").stat().st_size
        result.pop("report")
        return result

    def prove(self):
        """Witness, proof and zkLoom's own check of it, the key read from its file."""
        proof, key = self.folder / "proof", self.folder / "keys" / "proving.key"
        proof.unlink(missing_ok=True)
        result = self._step("prove", "prove", "--key", key, "--input", self.network["input"], "-o", proof)
        report = result.pop("report")
        self.facts["proof_bytes"] = report["proof_bytes"]
        public = [tensor for tensor in report["tensors"] if tensor.get("reals")]
        self.facts["outputs"] = public[-1]["reals"] if public else None
        return result

    def verify(self):
        """Verification in a process of its own."""
        key, proof = self.folder / "keys" / "verification.key", self.folder / "proof"
        result = self._step("verify", "verify", "--key", key, "--proof", proof)
        result.pop("report")
        return result


def network_files(name, models):
    """Model, calibration and input of a network."""
    if name == BUNDLED:
        files = {"model": "digits-mlp.onnx", "calibration": "digits-calibration.npz", "input": "digit.npy"}
        return {key: FIXTURES / value for key, value in files.items()}
    if models is None:
        raise SystemExit(f"{name}: give --models FOLDER; scripts/ladder.py FOLDER makes one")
    suffixes = {"model": ".onnx", "calibration": "-calibration.npz", "input": "-input.npy"}
    files = {key: models / f"{name}{suffix}" for key, suffix in suffixes.items()}
    missing = [str(path) for path in files.values() if not path.exists()]
    if missing:
        raise SystemExit(f"{name}: missing {', '.join(missing)}; scripts/ladder.py {models} --only {name} makes them")
    return files


def contest(name, options, scratch):
    """All provers on one network: setups one after the other, then proofs and verifications in turn."""
    network = network_files(name, options.models)
    expected = float_outputs(network["model"], np.load(network["input"]))
    folders = {tag: scratch / f"{name}-{tag}" for tag in ("zkloom", *SETTINGS)}
    for folder in folders.values():
        folder.mkdir()
    provers = [Zkloom(network, folders["zkloom"], options)]
    provers += [Ezkl(network, tag, folders[tag], options) for tag in SETTINGS]
    rows = [{"network": name, "prover": prover.name, "settings": prover.tag} for prover in provers]
    steps = ["setup"] + ["prove", "verify"] * options.repetitions
    for step in steps:
        for prover, row in zip(provers, rows):
            if "failed" in row:
                continue
            print(f"{name}: {prover.name} {prover.tag}: {step}", file=sys.stderr)
            try:
                row.setdefault(step, []).append(getattr(prover, step)())
            except StepFailed as failure:
                row["failed"] = str(failure)
    for prover, row in zip(provers, rows):
        finish(row, prover.facts, expected)
        shutil.rmtree(prover.folder)
    return rows


def finish(row, facts, expected):
    """Medians in place of the single measurements; sizes; the largest error of an output."""
    for step in STEPS:
        runs = row.pop(step, [])
        if runs:
            for key in ("wall", "cpu", "peak_mib"):
                row[f"{step}_{key}"] = statistics.median(run[key] for run in runs)
    outputs = facts.pop("outputs", None)
    row.update(facts)
    if outputs is not None:
        if len(outputs) != len(expected):
            raise SystemExit(f"{row['network']}: {row['prover']} gave {len(outputs)} outputs, not {len(expected)}")
        row["largest_error"] = float(np.abs(np.array(outputs) - expected).max())
        row["largest_output"] = float(np.abs(expected).max())


COLUMNS = {
    "setup_wall": ("setup s", "{:.2f}"),
    "setup_cpu": ("setup CPU s", "{:.2f}"),
    "setup_peak_mib": ("setup MiB", "{:.0f}"),
    "prove_wall": ("prove s", "{:.3f}"),
    "prove_cpu": ("prove CPU s", "{:.3f}"),
    "prove_peak_mib": ("prove MiB", "{:.0f}"),
    "verify_wall": ("verify s", "{:.3f}"),
    "verify_cpu": ("verify CPU s", "{:.3f}"),
    "proof_bytes": ("proof B", "{:,}"),
    "proving_key_bytes": ("proving key B", "{:,}"),
    "verification_key_bytes": ("verification key B", "{:,}"),
    "largest_error": ("largest error", "{:.4f}"),
    "largest_output": ("largest output", "{:.2f}"),
}


def table(rows):
    """Markdown: each prover's figures, and below each of ezkl's lines how many times zkLoom's it is."""
    heads = ["network", "prover", *(head for head, _ in COLUMNS.values()), "failed"]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * len(heads)) + " |"]
    ours = {row["network"]: row for row in rows if row["prover"] == "zkloom"}
    for row in rows:
        cells = [form.format(row[key]) if key in row else "-" for key, (_, form) in COLUMNS.items()]
        lines.append("| " + " | ".join([row["network"], f"{row['prover']} {row['settings']}", *cells, row.get("failed", "")]) + " |")
        if row["prover"] == "ezkl":
            base = ours[row["network"]]
            ratio = [f"{row[key] / base[key]:.1f}x" if row.get(key) and base.get(key) else "-" for key in COLUMNS]
            lines.append("| " + " | ".join(["", "ezkl / zkloom", *ratio, ""]) + " |")
    return "\n".join(lines)


def available_memory():
    """Bytes that a child may take: nine tenths of what the kernel calls available."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 * 9 // 10
    raise SystemExit("/proc/meminfo lacks MemAvailable: give --memory")


def child(step, folder, request):
    """Runs one step of ezkl in its folder; the last line of stdout is the result."""
    os.chdir(folder)
    __import__("ezkl")
    wall, before = time.monotonic(), os.times()
    result = EZKL_STEPS[step](json.loads(request))
    after = os.times()
    result["wall"] = time.monotonic() - wall
    result["cpu"] = after.user + after.system - before.user - before.system
    print(json.dumps(result))
    return 0


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(*sys.argv[2:5])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zkloom", type=Path, required=True, help="the zkloom program")
    parser.add_argument("--models", type=Path, help="folder that scripts/ladder.py filled")
    parser.add_argument("--only", default=",".join(DEFAULT_NAMES), metavar="NAME,NAME", help="networks")
    parser.add_argument("--repetitions", type=int, default=1, help="proofs of each; medians count")
    parser.add_argument("--limit", type=float, default=900, metavar="SECONDS", help="for each step")
    parser.add_argument("--memory", type=float, metavar="GIB", help="for each step; default 90 %% of what is available")
    parser.add_argument("--skip-ezkl-above-rows", type=int, default=20, metavar="LOG2", help="default 20: a million rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    options.memory = int(options.memory * 2**30) if options.memory else available_memory()
    options.zkloom = options.zkloom.resolve()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        # Development SRSs are cached and trusted there, not in the user's folder.
        os.environ["ZKLOOM_HOME"] = str(Path(scratch) / "home")
        for name in options.only.split(","):
            rows += contest(name, options, Path(scratch))
            if options.json:
                # After each network, so that one that takes hours or fails costs no other's figures.
                partial = options.json.with_name(options.json.name + ".part")
                partial.write_text(json.dumps(rows, indent=2) + "\n")
                partial.replace(options.json)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
