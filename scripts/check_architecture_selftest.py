"""Self-test of check_architecture.py: a tree without faults passes, and each fault planted in it is found where it is.

Run by `scripts/check_architecture.py --self-test`.
"""

import tempfile
from pathlib import Path

import check_architecture

WORKSPACE = '[workspace]\nmembers = ["plonkish", "verifier", "prover", "kernels", "backends", "model", "cli"]\n'
# Everything here looks like a fault to a careless reader, and is none.
INNOCENT = '''#![forbid(unsafe_code)]
//! Calling `x.unwrap()` or `panic!` in a comment is harmless; unsafe too.
/* nested /* panic!("no") */ unsafe { todo!() } */
const TEXT: &str = "x.unwrap() panic! unsafe \\" todo!()";
const RAW: &str = r#"unreachable!() " unsafe"#;
const QUOTE: char = '"';
fn lifetimes<'a, F: Fn(u32, u32) -> u32>(text: &'a str, _f: F) -> &'a str { text.trim_matches('\\'') }
fn unwrap_or(value: Option<u32>) -> u32 { value.unwrap_or(3) }
fn parser(reader: &mut Reader, tag: u8) -> Result<(), Error> { reader.expect(tag) }
fn six(&self, a: [u8; 2], b: (u8, u8), c: Map<u8, u8>, d: u8, e: u8, f: u8) {}
#[cfg(test)]
#[allow(dead_code)]
mod tests {
    fn fails() { Some(1).unwrap(); panic!("seen in tests only"); StdRng::seed_from_u64(1); }
}
'''
GOOD_TREE = {
    "Cargo.toml": WORKSPACE,
    "plonkish/Cargo.toml": "[dependencies]\nark-ff.workspace = true\n",
    "plonkish/src/lib.rs": INNOCENT,
    "verifier/Cargo.toml": "[dependencies]\nzkloom-plonkish.workspace = true\n\n[dev-dependencies]\nrand.workspace = true\n"
    "zkloom-prover.workspace = true\n",
    "verifier/src/lib.rs": "#![forbid(unsafe_code)]\n#[cfg(test)]\nmod forgeries;\n",
    "verifier/src/forgeries.rs": "fn f() { Some(1).unwrap(); }\n",
    "verifier/tests/story.rs": "fn f() { Some(1).unwrap(); StdRng::seed_from_u64(1); }\n",
    "prover/Cargo.toml": '[dependencies]\nzkloom-verifier = { path = "../verifier" }\n',
    "prover/src/lib.rs": "fn f() { Some(1).unwrap(); }\n"
    "// architecture: allow seeded-rng: the seed is entropy of the operating system\n"
    "fn g() { ChaCha20Rng::from_seed(seed); }\n",
    "prover/src/prove.rs": "fn prove() {\n" + "    step();\n" * 118 + "}\n",
    "kernels/Cargo.toml": "[dependencies]\nrayon.workspace = true\n",
    "kernels/src/lib.rs": "fn f() { unsafe { g() } }\n",
    "backends/Cargo.toml": "[dependencies]\nzkloom-kernels.workspace = true\n",
    "backends/src/lib.rs": "fn f() {\n" + "    step();\n" * 58 + "}\n",
    "model/Cargo.toml": "[dependencies]\ntract-onnx.workspace = true\n",
    "model/src/onnx.rs": "use tract_onnx::prelude::*;\nfn subtract() {}\n",
    "cli/Cargo.toml": '[dependencies]\nzkloom.workspace = true\nanyhow = "1"\n',
    "cli/src/main.rs": "fn main() {}\n",
    "scripts/tool.py": "pass\n",
}


def manifest(package):
    """A manifest that uses one package."""
    return f"[dependencies]\n{package}.workspace = true\n"


# Name of the fault, files that differ from the good tree, and the violations expected: file, line, rule.
FAULTS = [
    ("verifier uses prover", {"verifier/Cargo.toml": manifest("zkloom-prover")}, [("verifier/Cargo.toml", 2, "arrow")]),
    ("verifier uses kernels", {"verifier/Cargo.toml": manifest("zkloom-kernels")}, [("verifier/Cargo.toml", 2, "arrow")]),
    ("verifier uses rayon", {"verifier/Cargo.toml": manifest("rayon")}, [("verifier/Cargo.toml", 2, "package")]),
    ("plonkish uses verifier", {"plonkish/Cargo.toml": manifest("zkloom-verifier")}, [("plonkish/Cargo.toml", 2, "arrow")]),
    ("prover uses model", {"prover/Cargo.toml": manifest("zkloom-model")}, [("prover/Cargo.toml", 2, "arrow")]),
    ("model uses arkworks", {"model/Cargo.toml": manifest("ark-bn254")}, [("model/Cargo.toml", 2, "package")]),
    ("kernels uses backends", {"kernels/Cargo.toml": manifest("zkloom-backends")}, [("kernels/Cargo.toml", 2, "arrow")]),
    ("cli uses prover", {"cli/Cargo.toml": manifest("zkloom-prover")}, [("cli/Cargo.toml", 2, "arrow")]),
    ("backends uses anyhow", {"backends/Cargo.toml": manifest("anyhow")}, [("backends/Cargo.toml", 2, "package")]),
    (
        "renamed dependency",
        {"kernels/Cargo.toml": '[dependencies]\nshort = { package = "zkloom-model", path = "../model" }\n'},
        [("kernels/Cargo.toml", 2, "arrow")],
    ),
    (
        "table of its own, and a target's",
        {
            "kernels/Cargo.toml": "[dependencies.zkloom-model]\nworkspace = true\n\n"
            "[target.'cfg(unix)'.dependencies]\nzkloom-prover.workspace = true\n"
        },
        [("kernels/Cargo.toml", 1, "arrow"), ("kernels/Cargo.toml", 5, "arrow")],
    ),
    (
        "build dependency",
        {"kernels/Cargo.toml": "[build-dependencies]\nzkloom-model.workspace = true\n"},
        [("kernels/Cargo.toml", 2, "arrow")],
    ),
    ("unknown crate", {"Cargo.toml": WORKSPACE.replace('"cli"', '"cli", "surprise"')}, [("Cargo.toml", 2, "arrow")]),
    (
        "unsafe in the prover",
        {"prover/src/lib.rs": "fn f() {\n    unsafe { g() }\n}\n"},
        [("prover/src/lib.rs", 2, "unsafe")],
    ),
    (
        "no forbid in the verifier",
        {"verifier/src/lib.rs": "//! #![forbid(unsafe_code)]\n#[cfg(test)]\nmod forgeries;\n"},
        [("verifier/src/lib.rs", 1, "forbid-unsafe")],
    ),
    (
        "panics in the verifier",
        {
            "verifier/src/decode.rs": 'fn f() { x.unwrap(); }\nfn g() { panic!("x") }\nfn h() {\n    x\n        .expect("y");\n}\n'
            "fn i() { unreachable!() }\n"
        },
        [("verifier/src/decode.rs", line, "panic") for line in (1, 2, 5, 7)],
    ),
    (
        "panic after the tests",
        {"plonkish/src/lib.rs": INNOCENT + "fn late() { None.unwrap() }\n"},
        [("plonkish/src/lib.rs", INNOCENT.count("\n") + 1, "panic")],
    ),
    (
        "a test attribute that also covers other builds",
        {"verifier/src/decode.rs": '#[cfg(any(test, feature = "x"))]\nfn f() { x.unwrap(); }\n'},
        [("verifier/src/decode.rs", 2, "panic")],
    ),
    ("stub in the prover", {"prover/src/open.rs": "fn f() {\n    todo!()\n}\n"}, [("prover/src/open.rs", 2, "stub")]),
    ("long file", {"cli/src/long.rs": "// line\n" * 801}, [("cli/src/long.rs", 801, "file-length")]),
    ("long script", {"scripts/tool.py": "pass\n" * 801}, [("scripts/tool.py", 801, "file-length")]),
    (
        "long function",
        {"backends/src/lib.rs": "fn f()\nwhere\n    X: Y,\n{\n" + "    step();\n" * 56 + "}\n"},
        [("backends/src/lib.rs", 1, "function-length")],
    ),
    (
        "long driver",
        {"prover/src/prove.rs": "fn prove() {\n" + "    step();\n" * 119 + "}\n"},
        [("prover/src/prove.rs", 1, "function-length")],
    ),
    (
        "seven parameters",
        {"cli/src/main.rs": "fn main() {}\nfn f<T: Fn(u8, u8) -> u8>(a: u8, b: T, c: u8, d: u8, e: u8, f: u8, g: u8) {}\n"},
        [("cli/src/main.rs", 2, "parameters")],
    ),
    (
        "seeded generator",
        {"prover/src/lib.rs": "fn g() { ChaCha20Rng::from_seed(seed); }\nfn h() { StdRng::seed_from_u64(1); }\n"},
        [("prover/src/lib.rs", 1, "seeded-rng"), ("prover/src/lib.rs", 2, "seeded-rng")],
    ),
    (
        "tract named twice",
        {"model/src/graph.rs": "//! tract\nuse tract_onnx::Graph;\n"},
        [("model/src/graph.rs", 2, "tract"), ("model/src/onnx.rs", 1, "tract")],
    ),
    (
        "tract outside model",
        {"model/src/onnx.rs": "fn f() {}\n", "cli/src/main.rs": "fn main() { tract::run() }\n"},
        [("cli/src/main.rs", 1, "tract")],
    ),
    (
        "an allowance of what can't be allowed",
        {"verifier/src/decode.rs": "// architecture: allow panic: I would like to\nfn f() { x.unwrap(); }\n"},
        [("verifier/src/decode.rs", 1, "allowance"), ("verifier/src/decode.rs", 2, "panic")],
    ),
    (
        "an allowance without a reason",
        {"prover/src/lib.rs": "// architecture: allow seeded-rng:\nfn g() { ChaCha20Rng::from_seed(seed); }\n"},
        [("prover/src/lib.rs", 2, "seeded-rng")],
    ),
]


def violations_of(files):
    """(file, line, rule) of each violation in a tree of these files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [(found.file, found.line, found.rule) for found in check_architecture.check(root)[0]]


def run():
    """Print each failed case and a closing line; 0 if none failed."""
    cases = [("the good tree", {}, [])] + FAULTS
    failed = 0
    for name, changes, expected in cases:
        found = violations_of({**GOOD_TREE, **changes})
        if found != sorted(expected):
            failed += 1
            print(f"self-test: {name}: expected {sorted(expected)}, found {found}")
    print(f"architecture self-test: {len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0
