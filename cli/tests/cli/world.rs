//! One compiled network with keys and a proof, made once for all tests, and how to run the program.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// Path of a fixture.
pub fn fixture(name: &str) -> String {
    format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The program with a home folder of its own.
pub fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkloom"));
    command.env("ZKLOOM_HOME", home).env_remove("RUST_LOG");
    command
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        command.output().expect("the program can be started").into()
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The run failed with an exit code, told so in these words on stderr, and left stdout clean.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing: {self:#?}");
        }
        assert_eq!(self.stdout, "", "a failed command prints no result");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"));
        assert!(value.is_object() && self.stdout.lines().count() == 1, "{self:#?}");
        value
    }
}

/// Files that many tests read and none changes.
pub struct World {
    pub home: PathBuf,
    pub folder: PathBuf,
    _lock: File,
}

impl World {
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(program(&self.home).args(arguments))
    }

    /// Proves the digit of the fixtures with the shared key, or with other options given last.
    pub fn prove(&self, output: &str, more: &[&str]) -> Run {
        let (key, input) = (self.path("keys/proving.key"), fixture("digit.npy"));
        let arguments = ["prove", "--key", &key, "--input", &input, "-o", output];
        self.run(&[&arguments[..], more].concat())
    }

    /// Proves an input from a file with the shared key.
    pub fn prove_input(&self, input: &str, output: &str) -> Run {
        self.run(&["prove", "--key", &self.path("keys/proving.key"), "--input", input, "-o", output])
    }

    pub fn verify(&self, proof: &str) -> Run {
        self.run(&["verify", "--key", &self.path("keys/verification.key"), "--proof", proof])
    }

    /// Compiles the digits network with options, and makes its keys in `FOLDER/keys`; gives that folder.
    pub fn keys(&self, folder: &Path, compile: &[&str], setup: &[&str]) -> PathBuf {
        let (circuit, keys) = (folder.join("digits.circuit"), folder.join("keys"));
        let (circuit, target) = (circuit.display().to_string(), keys.display().to_string());
        let (model, data) = (fixture("digits-mlp.onnx"), fixture("digits-calibration.npz"));
        let arguments = ["compile", &model, "--calibration", &data, "-o", &circuit];
        self.run(&[&arguments[..], compile].concat()).succeeds();
        self.run(&[&["setup", &circuit, "-o", &target], setup].concat()).succeeds();
        keys
    }
}

/// The shared files: `digits.circuit`, `keys/`, `digit.proof`, `dev.srs`. The folder is made anew for each run of the tests; a lock
/// keeps two runs apart.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let lock = File::create(base.join("cli.lock")).expect("a lock file can be made");
        lock.lock().expect("the lock can be had");
        let folder = base.join("cli");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("the last run's files can be removed");
        }
        std::fs::create_dir(&folder).expect("the folder can be made");
        let world = World { home: folder.join("home"), folder, _lock: lock };
        world.keys(&world.folder, &[], &[]);
        world.prove(&world.path("digit.proof"), &[]).succeeds();
        world.run(&["srs", "dev", "--log-size", "8", "-o", &world.path("dev.srs")]).succeeds();
        world
    })
}

/// A folder that goes away with the value.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder can be made")
}

/// Names of everything in a folder, sorted, hidden files too.
pub fn listing(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("its entries too").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
