#!/usr/bin/env python3
"""Measures every device of a machine and writes a record and a report; called by scripts/cloud-bench.sh, which says how.

Only the standard library. Each measurement is a child process with a time limit; one that fails is noted with its last words and
the others go on.
"""

import argparse
import html
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEP_SECONDS = 1800
WIDTH, HEIGHT, MARGIN = 640, 300, 50
COLOURS = ("#1b6ca8", "#c0392b", "#27864a", "#8e44ad", "#b9770e")


def run(command, limit=STEP_SECONDS, **options):
    """Runs a command; gives its outcome, standard output and last words."""
    begin = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, **options)
        ok, out, err = done.returncode == 0, done.stdout, done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        ok, out, err = False, "", str(error)
    return {"ok": ok, "seconds": round(time.monotonic() - begin, 1), "out": out, "words": err.strip()[-600:]}


def words_of(command):
    """First line of a program's output, or nothing."""
    done = run(command, limit=60)
    return done["out"].strip().splitlines()[0] if done["ok"] and done["out"].strip() else None


def gpu():
    """Name, driver, clocks and memory of NVIDIA GPUs, where their tool is installed."""
    fields = "name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit"
    done = run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], limit=60)
    return [line.strip() for line in done["out"].splitlines() if line.strip()] if done["ok"] else []


class Record:
    """The results so far, on disk after each step."""

    def __init__(self, folder):
        self.path = folder / "record.json"
        self.data = {"steps": [], "benches": [], "proofs": [], "resident": [], "gpus": []}

    def note(self, **values):
        self.data.update(values)
        self.save()

    def add(self, kind, entry):
        self.data[kind].append(entry)
        self.save()

    def save(self):
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(self.data, indent=1) + "\n")
        temporary.replace(self.path)


class Budget:
    """The time that all steps have together."""

    def __init__(self, minutes):
        self.end = time.monotonic() + 60 * minutes

    def left(self):
        return self.end - time.monotonic()

    def limit(self, most=STEP_SECONDS):
        """Seconds that a step may take."""
        return max(5, min(most, int(self.left())))

    def allows(self, record, name, least=10):
        """Whether a step should begin; if not, that is noted."""
        if self.left() >= least:
            return True
        record.add("steps", {"name": name, "ok": True, "seconds": 0, "words": "left out: the time is over"})
        return False


def lines_of(text):
    """The lines of a program's output that are JSON objects."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in found if isinstance(line, dict)]


def laws(record, folder, devices, budget):
    """The law suite and large results on each device."""
    for device in devices:
        if not budget.allows(record, f"laws of {device}"):
            continue
        print(f"laws {device}", flush=True)
        largest = "14" if device == "cpu" else "20"
        done = run([str(folder / "examples" / "laws"), device, largest], limit=budget.limit(180))
        entry = {"name": f"laws of {device}", "ok": done["ok"], "seconds": done["seconds"]}
        if not done["ok"]:
            entry["words"] = done["out"][-1500:] + done["words"]
        record.add("steps", entry)


def measure(record, folder, devices, sizes, budget):
    """Sums and transforms on each device, size by size, for as long as its share of the time lasts."""
    for place, device in enumerate(devices):
        if not budget.allows(record, f"sweep of {device}"):
            continue
        # Proofs and baselines come afterwards.
        share = max(10, int((budget.left() - 120) / (len(devices) - place)))
        own = [size for size in sizes if device != "cpu" or size <= 20]
        print(f"sweep {device}", flush=True)
        command = [str(folder / "examples" / "sweep"), device, str(min(share, 120)), *map(str, own)]
        done = run(command, limit=budget.limit(2 * min(share, 120)))
        entry = {"device": device, "log_size": own[-1], "ok": done["ok"], "seconds": done["seconds"], "words": done["words"]}
        # What was printed before a failure counts.
        entry["report"] = {"operations": lines_of(done["out"])}
        record.add("benches", entry)


def baseline(record, folder, sizes, budget):
    """sppark on the same GPU, where there are a GPU and nvcc."""
    if not record.data["gpus"] or not budget.allows(record, "sppark", 60):
        return
    print("sppark", flush=True)
    script = [sys.executable, str(ROOT / "scripts" / "sppark_baseline.py"), str(folder / "sppark"), *map(str, sizes)]
    done = run(script, limit=budget.limit(240))
    entry = {"device": "sppark", "log_size": sizes[-1], "ok": done["ok"], "seconds": done["seconds"], "words": done["words"]}
    entry["report"] = {"operations": lines_of(done["out"])}
    record.add("benches", entry)


def whole(record, binary, devices, budget):
    """`zkloom bench` for its proof of a dense network, with the key resident."""
    for device in devices:
        if not budget.allows(record, f"bench of {device}", 20):
            continue
        print(f"bench {device}", flush=True)
        command = [binary, "bench", "--backend", device, "--log-size", "10", "--repetitions", "3", "--json"]
        done = run(command, limit=budget.limit(120))
        entry = {"name": f"bench of {device}", "ok": done["ok"], "seconds": done["seconds"]}
        try:
            proof = json.loads(done["out"])["proof"]
            record.add("resident", {"device": device, **proof})
        except (ValueError, KeyError):
            entry["ok"], entry["words"] = False, done["words"] or done["out"][-600:]
        record.add("steps", entry)


def prove(record, binary, devices, models, folder, budget):
    """Compiles, sets up and proves each network on each device: cold, with the key's upload, in a process of its own."""
    for model, calibration, sample in models:
        name = Path(model).stem
        if not budget.allows(record, f"proofs of {name}", 20):
            continue
        circuit, keys = folder / f"{name}.circuit", folder / f"{name}-keys"
        steps = (
            [binary, "compile", str(model), "--calibration", str(calibration), "-o", str(circuit)],
            [binary, "setup", str(circuit), "-o", str(keys)],
        )
        for step in steps:
            done = run(step, limit=budget.limit())
            record.add("steps", {"name": f"{step[1]} {name}", "ok": done["ok"], "seconds": done["seconds"]})
        for device in devices:
            if not budget.allows(record, f"proof of {name} on {device}"):
                continue
            print(f"prove {name} on {device}", flush=True)
            proof = folder / f"{name}.proof"
            command = [binary, "prove", "--key", str(keys / "proving.key"), "--input", str(sample), "-o", str(proof)]
            runs = [run([*command, "--backend", device, "--json"], limit=budget.limit()) for _ in range(2)]
            verified = run([binary, "verify", "--key", str(keys / "verification.key"), "--proof", str(proof)], limit=budget.limit(60))
            entry = {"network": name, "device": device, "ok": all(r["ok"] for r in runs) and verified["ok"]}
            try:
                reports = [json.loads(r["out"]) for r in runs]
                entry["cold"], entry["warm"] = reports
            except ValueError:
                entry["ok"], entry["words"] = False, runs[-1]["words"]
            record.add("proofs", entry)


def series(record, operation):
    """Milliseconds by size and device for operations whose name begins like this."""
    found = {}
    for bench in record["benches"]:
        for rate in (bench.get("report") or {}).get("operations", []):
            if rate["operation"].startswith(operation):
                found.setdefault(bench["device"], {})[rate["log_size"]] = rate["milliseconds"]
    return {device: sorted(points.items()) for device, points in found.items()}


def plot(title, lines):
    """An SVG of milliseconds over log sizes, both logarithmic."""
    import math

    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [math.log10(max(y, 1e-3)) for _, y in points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), math.floor(min(ys)), math.ceil(max(ys) + 1e-9)
    across = lambda x: MARGIN + (x - low_x) / max(high_x - low_x, 1) * (WIDTH - 2 * MARGIN)
    up = lambda y: HEIGHT - MARGIN - (y - low_y) / max(high_y - low_y, 1) * (HEIGHT - 2 * MARGIN)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">']
    parts.append(f'<text x="{WIDTH / 2}" y="18" text-anchor="middle" font-size="14">{html.escape(title)}</text>')
    for exponent in range(low_y, high_y + 1):
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{up(exponent)}" y2="{up(exponent)}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{up(exponent) + 4}" text-anchor="end">{10.0 ** exponent:g} ms</text>')
    for x in sorted(set(xs)):
        parts.append(f'<text x="{across(x)}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">2^{x}</text>')
    for index, (device, line) in enumerate(sorted(lines.items())):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{across(x):.1f},{up(math.log10(max(y, 1e-3))):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{MARGIN + 10}" y="{36 + 15 * index}" fill="{colour}">{html.escape(device)}</text>')
    return "\n".join(parts) + "\n</svg>"


def table(heads, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def sections(record, price):
    """The report as (title, Markdown, plots)."""
    machine = [(key, record[key]) for key in ("machine", "gpus", "commit", "command", "date") if record.get(key)]
    yield "Machine", table(("what", "value"), [(k, "; ".join(v) if isinstance(v, list) else v) for k, v in machine]), []
    rows = [(d["name"], "yes" if d["available"] else "no", d["description"], ", ".join(d.get("composed", [])) or "-")
            for d in record.get("devices", [])]
    yield "Devices", table(("device", "usable", "description", "done by the processor"), rows), []
    outcome = lambda step: (step.get("words") or "passed") if step["ok"] else "FAILED"
    yield "Steps", table(("step", "outcome", "seconds"), [(s["name"], outcome(s), s["seconds"]) for s in record["steps"]]), []
    names = sorted({rate["operation"] for bench in record["benches"] for rate in (bench.get("report") or {}).get("operations", [])})
    for name in names:
        lines = series(record, name)
        rows = [(device, f"2^{size}", f"{time:.3f}") for device, line in sorted(lines.items()) for size, time in line]
        yield name, table(("device", "size", "ms"), rows), [plot(name, lines)]
    rows = []
    for proof in record["proofs"]:
        if not proof["ok"]:
            rows.append((proof["network"], proof["device"], "FAILED", "", "", "", ""))
            continue
        cold, warm = proof["cold"], proof["warm"]
        seconds = warm["seconds"]
        cost = f"{seconds * price / 3600 * 1e6:.1f}" if price else "-"
        moved = warm["transfers"]
        rows.append((proof["network"], warm["device"], f"{cold['seconds']:.3f}", f"{seconds:.3f}",
                     f"{warm['upload_seconds']:.3f}", f"{moved['uploaded'] / 1e6:.1f} / {moved['downloaded'] / 1e6:.2f}", cost))
    heads = ("network", "device", "first s", "second s", "of which key upload s", "MB up / down", "millionths of USD")
    yield "Whole proofs, process by process", table(heads, rows), []
    rows = [(p["device"], p["network"], f"{p['prove_milliseconds']:.1f}", f"{p['verify_milliseconds']:.1f}") for p in record["resident"]]
    yield "Proofs of a dense network, with the key resident", table(("device", "network", "prove ms", "verify ms"), rows), []
    failed = [b for b in record["benches"] if not b["ok"]]
    if failed:
        yield "What failed", table(("device", "size", "last words"), [(b["device"], b["log_size"], b["words"].replace("\n", " ")) for b in failed]), []


def write_report(record, folder, price):
    """report.md and report.html."""
    markdown, page = ["# zkLoom on this machine"], ["<!doctype html><meta charset=utf-8><title>zkLoom</title><h1>zkLoom on this machine</h1>"]
    for title, text, plots in sections(record, price):
        markdown += [f"## {title}", text]
        page.append(f"<h2>{html.escape(title)}</h2>")
        page += plots
        lines = [line.strip("| ").split(" | ") for line in text.splitlines() if not set(line) <= set("|- ")]
        cells = lambda line, tag: "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
        body = "".join(f"<tr>{cells(line, 'th' if index == 0 else 'td')}</tr>" for index, line in enumerate(lines))
        page.append(f"<table border=1 cellpadding=4 style='border-collapse:collapse'>{body}</table>")
    (folder / "report.md").write_text("\n\n".join(markdown) + "\n")
    (folder / "report.html").write_text("\n".join(page) + "\n")


def find_models(folder):
    """Networks with calibration and a sample: the bundled one, and those that scripts/ladder.py made in a folder."""
    fixtures = ROOT / "fixtures"
    models = [(fixtures / "digits-mlp.onnx", fixtures / "digits-calibration.npz", fixtures / "digit.npy")]
    for model in sorted(Path(folder).glob("*.onnx")) if folder else []:
        calibration, sample = (model.with_name(f"{model.stem}-{end}") for end in ("calibration.npz", "input.npy"))
        if calibration.exists() and sample.exists():
            models.append((model, calibration, sample))
    return models


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "cloud-bench", help="folder for the results")
    parser.add_argument("--price", type=float, help="price of the machine in USD per hour")
    parser.add_argument("--minutes", type=float, default=10, help="time for all of it; what is not begun by then is left out")
    parser.add_argument("--log-sizes", default="16,18,20,22,24,26", help="sizes of sums and transforms, rising")
    parser.add_argument("--models", type=Path, help="folder that scripts/ladder.py filled")
    parser.add_argument("--binaries", type=Path, help="folder with zkloom, examples/laws and examples/sweep instead of building them")
    parser.add_argument("--skip-tests", action="store_true", help="no laws")
    return parser.parse_args()


def build(record, budget):
    """The folder with the programs, or nothing."""
    print("building", flush=True)
    commands = (
        ["cargo", "build", "--release", "--locked", "-p", "zkloom-cli", "-p", "zkloom-backends", "--all-features"],
        ["cargo", "build", "--release", "--locked", "-p", "zkloom-backends", "--all-features", "--examples"],
    )
    for command in commands:
        done = run(command, limit=budget.limit())
        record.add("steps", {"name": " ".join(command[:2] + command[-2:]), "ok": done["ok"], "seconds": done["seconds"]})
        if not done["ok"]:
            print(done["words"], file=sys.stderr)
            return None
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    record, budget = Record(options.out), Budget(options.minutes)
    record.note(machine=f"{platform.processor() or platform.machine()}, {platform.platform()}", gpus=gpu(),
                commit=words_of(["git", "rev-parse", "HEAD"]), command=" ".join(sys.argv), date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    folder = options.binaries or build(record, budget)
    if folder is None:
        return 1
    binary = str(folder / "zkloom")
    doctor = run([binary, "doctor", "--json"])
    try:
        found = json.loads(doctor["out"])["devices"]
    except (ValueError, KeyError):
        print(f"zkloom doctor failed: {doctor['words']}", file=sys.stderr)
        return 1
    record.note(devices=found)
    usable = [device["name"] for device in found if device["available"] and not device.get("software")]
    # Accelerators first: the processor is the one that can wait.
    usable = [name for name in usable if name != "cpu"] + ["cpu"]
    if usable == ["cpu"]:
        print("no accelerator can be used here; the processor alone is measured", flush=True)
    sizes = sorted(int(size) for size in options.log_sizes.split(","))
    if not options.skip_tests:
        laws(record, folder, usable, budget)
    measure(record, folder, usable, sizes, budget)
    prove(record, binary, usable, find_models(options.models), options.out, budget)
    baseline(record, options.out, sizes, budget)
    whole(record, binary, usable, budget)
    write_report(record.data, options.out, options.price)
    failed = [s for kind in ("steps", "benches", "proofs") for s in record.data[kind] if not s["ok"]]
    print(f"wrote {options.out}/record.json, report.md and report.html; {len(failed)} steps failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
