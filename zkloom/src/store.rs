//! The home folder: SRS pins that this user trusts, and caches.
//!
//! `$ZKLOOM_HOME`, else `$XDG_DATA_HOME/zkloom`, else `$HOME/.local/share/zkloom`. Pins are what verification trusts; they get
//! there by an explicit act (`srs import`, `srs dev`, `srs trust`, or a `setup` that makes a development SRS).

use std::path::{Path, PathBuf};

use zkloom_verifier::SrsPin;

use crate::artifact::{Artifact, Kind, hex};
use crate::error::{Error, Result};
use crate::files::make_folder;
use crate::srs::Srs;

/// The home folder of pins and caches.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// A store in a given folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The store that the environment names.
    pub fn from_environment() -> Result<Self> {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = folder("ZKLOOM_HOME")
            .or_else(|| folder("XDG_DATA_HOME").map(|base| base.join("zkloom")))
            .or_else(|| folder("HOME").map(|base| base.join(".local/share/zkloom")));
        Ok(Self { root: root.ok_or(Error::NoHome)? })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All SRSs that are trusted, in the order of their identities. Files that are no pins are reported and left out.
    pub fn pins(&self) -> Result<Vec<SrsPin>> {
        let folder = self.root.join("pins");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
            paths.push(entry.map_err(Error::io(&folder))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pin"));
        paths.sort();
        let load = |path: &PathBuf| {
            Srs::load_pin(path).inspect_err(|error| tracing::warn!("{error}; it is ignored")).ok()
        };
        Ok(paths.iter().filter_map(load).collect())
    }

    fn pin_path(&self, identity: &[u8; 32]) -> PathBuf {
        self.root.join("pins").join(format!("{}.pin", hex(identity)))
    }

    /// Trusts an SRS from now on. Gives the file that says so.
    pub fn trust(&self, pin: &SrsPin) -> Result<PathBuf> {
        let path = self.pin_path(&pin.identity());
        make_folder(&self.root.join("pins"))?;
        Srs::save_pin(pin, &path)?;
        Ok(path)
    }

    /// The pin of an SRS, if it is trusted.
    pub fn pin(&self, identity: &[u8; 32]) -> Result<Option<SrsPin>> {
        let path = self.pin_path(identity);
        if !path.exists() {
            return Ok(None);
        }
        let place = path.display().to_string();
        let pin: SrsPin = Artifact::load(&path)?.expect(&place, Kind::SrsPin)?.decode(&place)?;
        if pin.identity() != *identity {
            return Err(Error::Damaged { place, reason: "it holds the pin of another SRS".to_owned() });
        }
        Ok(Some(pin))
    }

    /// Where the development SRS of a size is cached.
    pub fn development_path(&self, log_size: u32) -> Result<PathBuf> {
        Ok(make_folder(&self.root.join("cache"))?.join(format!("development-{log_size}.srs")))
    }

    /// Where Lagrange points are cached.
    pub fn lagrange_path(&self, identity: &[u8; 32], log_rows: u32) -> Result<PathBuf> {
        Ok(make_folder(&self.root.join("cache"))?.join(format!("{}-{log_rows}.lagrange", hex(identity))))
    }
}
