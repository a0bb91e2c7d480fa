#!/usr/bin/env python3
"""Measures every device of a machine and writes a record and a report; called by scripts/cloud-bench.sh, which says how.

Only the standard library. Each measurement is a child process with a time limit; one that fails is noted with its last words and
the others go on.
"""

import argparse
import html
import json
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
        self.data = {"steps": [], "benches": [], "proofs": []}

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


def measure(record, binary, devices, sizes):
    """`zkloom bench` on each device and size."""
    for device in devices:
        for size in sizes:
            print(f"bench {device} 2^{size}", flush=True)
            done = run([binary, "bench", "--backend", device, "--log-size", str(size), "--repetitions", "3", "--json"])
            entry = {"device": device, "log_size": size, "ok": done["ok"], "seconds": done["seconds"]}
            try:
                entry["report"] = json.loads(done["out"])
            except ValueError:
                entry["ok"] = False
            if not entry["ok"]:
                entry["words"] = done["words"] or done["out"][-600:]
            record.add("benches", entry)


def prove(record, binary, devices, models, folder):
    """Compiles, sets up and proves each network on each device: cold, with the key's upload, in a process of its own."""
    for model, calibration, sample in models:
        name = Path(model).stem
        circuit, keys = folder / f"{name}.circuit", folder / f"{name}-keys"
        steps = (
            [binary, "compile", str(model), "--calibration", str(calibration), "-o", str(circuit)],
            [binary, "setup", str(circuit), "-o", str(keys)],
        )
        for step in steps:
            done = run(step)
            record.add("steps", {"name": f"{step[1]} {name}", "ok": done["ok"], "seconds": done["seconds"]})
        for device in devices:
            print(f"prove {name} on {device}", flush=True)
            proof = folder / f"{name}.proof"
            command = [binary, "prove", "--key", str(keys / "proving.key"), "--input", str(sample), "-o", str(proof)]
            runs = [run([*command, "--backend", device, "--json"]) for _ in range(2)]
            verified = run([binary, "verify", "--key", str(keys / "verification.key"), "--proof", str(proof)])
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
    yield "Tests", table(("step", "outcome", "seconds"),
                         [(s["name"], "passed" if s["ok"] else "FAILED", s["seconds"]) for s in record["steps"]]), []
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
    parser.add_argument("--log-sizes", default="16,18,20,22", help="sizes of multi-scalar multiplications; transforms go four times as far")
    parser.add_argument("--models", type=Path, help="folder that scripts/ladder.py filled")
    parser.add_argument("--binary", type=Path, help="a zkloom to measure instead of one built here")
    parser.add_argument("--skip-tests", action="store_true", help="no law suite")
    return parser.parse_args()


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    record = Record(options.out)
    record.note(machine=f"{platform.processor() or platform.machine()}, {platform.platform()}", gpus=gpu(),
                commit=words_of(["git", "rev-parse", "HEAD"]), command=" ".join(sys.argv), date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    binary = options.binary
    if binary is None:
        print("building", flush=True)
        done = run(["cargo", "build", "--release", "--locked", "-p", "zkloom-cli", "--all-features"], limit=3600)
        record.add("steps", {"name": "build", "ok": done["ok"], "seconds": done["seconds"]})
        if not done["ok"]:
            print(done["words"], file=sys.stderr)
            return 1
        binary = ROOT / "target" / "release" / "zkloom"
    binary = str(binary)
    doctor = run([binary, "doctor", "--json"])
    try:
        found = json.loads(doctor["out"])["devices"]
    except (ValueError, KeyError):
        print(f"zkloom doctor failed: {doctor['words']}", file=sys.stderr)
        return 1
    record.note(devices=found)
    usable = [device["name"] for device in found if device["available"] and not device.get("software")]
    if usable == ["cpu"]:
        print("no accelerator can be used here; the processor alone is measured", flush=True)
    if not options.skip_tests:
        print("law suites", flush=True)
        done = run(["cargo", "test", "--release", "--locked", "-p", "zkloom-backends", "--all-features"], limit=3600)
        record.add("steps", {"name": "law suites of all devices", "ok": done["ok"], "seconds": done["seconds"]})
    measure(record, binary, usable, [int(size) for size in options.log_sizes.split(",")])
    prove(record, binary, usable, find_models(options.models), options.out)
    write_report(record.data, options.out, options.price)
    failed = [s for kind in ("steps", "benches", "proofs") for s in record.data[kind] if not s["ok"]]
    print(f"wrote {options.out}/record.json, report.md and report.html; {len(failed)} steps failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
