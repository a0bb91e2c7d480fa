//! Writing files whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// Writes a file under a temporary name beside it, flushes it to disk and renames it. If anything fails, what stood there
/// before stands there still, and nothing half-written is left. A private file is readable by its owner only. A link is
/// followed; a device or pipe cannot be replaced and is written directly.
pub fn write_atomic(path: &Path, bytes: &[u8], private: bool) -> Result<()> {
    // Renaming onto a link would replace the link.
    let target = if path.is_symlink() { std::fs::canonicalize(path).ok() } else { None };
    let path = target.as_deref().unwrap_or(path);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name =
        path.file_name().ok_or_else(|| Error::Option(format!("{} is no file name", path.display())))?;
    if path.is_dir() {
        return Err(Error::Option(format!("{} is a folder, a file name is needed", path.display())));
    }
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return std::fs::write(path, bytes).map_err(Error::io(path));
    }
    let name = name.to_string_lossy();
    remove_leftovers(folder, &name);
    let temporary = folder.join(format!(".{name}.{}.part", unique()));
    let result = write_and_rename(&temporary, path, bytes, private);
    if result.is_err() {
        // The first error is the one to report; a leftover is removed where that is possible.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8], private: bool) -> Result<()> {
    let mut file = create(temporary, private).map_err(Error::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io(path))?;
    drop(file);
    std::fs::rename(temporary, path).map_err(Error::io(path))
}

/// Age from which a temporary file counts as abandoned, if its process is gone too. On a folder that several machines share a
/// process may live elsewhere.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The process in the name of a temporary file for `name`; nothing for any other file.
fn writer_of(file: &str, name: &str) -> Option<u32> {
    let unique = file.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".part")?;
    let (process, random) = unique.split_once('-')?;
    let hexadecimal = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { process.parse().ok() } else { None }
}

/// Whether a process with this number is known to be gone.
fn is_gone(process: u32) -> bool {
    let processes = Path::new("/proc");
    processes.join("self").exists() && !processes.join(process.to_string()).exists()
}

/// Removes what killed runs left of the file that is about to be written: it may be large, and secret. Only files that such a run
/// would have made, whose process is gone and that nobody has written to for an hour; what can't be removed stays.
fn remove_leftovers(folder: &Path, name: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(process) = file.to_str().and_then(|file| writer_of(file, name)) else { continue };
        let abandoned = entry.metadata().is_ok_and(|found| {
            let age = found.modified().ok().and_then(|time| time.elapsed().ok());
            found.is_file() && age.is_some_and(|age| age >= ABANDONED)
        });
        if abandoned && is_gone(process) && std::fs::remove_file(entry.path()).is_ok() {
            tracing::info!("removed {}, which a killed run left", entry.path().display());
        }
    }
}

fn create(path: &Path, private: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    // Never through a file or link that somebody else put there first.
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(path)
}

/// A name that nobody can foresee, so that nobody can take it before.
fn unique() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(std::time::Instant::now());
    format!("{}-{random:016x}", std::process::id())
}

/// Makes a folder with its parents.
pub fn make_folder(path: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(path).map_err(Error::io(path))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomic(&path, b"old", false).unwrap();
        // The target is a folder by the time of the renaming, so that the last step fails.
        std::fs::remove_file(&path).unwrap();
        let temporary = folder.path().join(".b.part");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inside"), b"old").unwrap();
        assert!(write_and_rename(&temporary, &path, b"new", false).is_err());
        assert!(write_atomic(&path, b"new", false).is_err());
        assert_eq!(std::fs::read(path.join("inside")).unwrap(), b"old");
        std::fs::remove_file(&temporary).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        // A name that is taken is not written through.
        std::fs::write(&temporary, b"mine").unwrap();
        assert!(write_and_rename(&temporary, &path, b"new", true).is_err());
        assert_eq!(std::fs::read(&temporary).unwrap(), b"mine");
        std::fs::remove_file(&temporary).unwrap();
        write_atomic(&path, b"new", true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_atomic(folder.path(), b"", false).is_err());
        assert!(matches!(write_atomic(Path::new("/nonexistent/x"), b"", false), Err(Error::Io { .. })));
    }

    #[test]
    fn leftovers_of_killed_runs_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let hour_ago = std::time::SystemTime::now() - ABANDONED - Duration::from_secs(60);
        // No process has this number: the kernel's largest is smaller.
        let (gone, alive) = (u32::MAX, std::process::id());
        let random = "0123456789abcdef";
        let make = |name: String, old: bool| {
            let file = File::create(folder.path().join(&name)).unwrap();
            if old {
                file.set_modified(hour_ago).unwrap();
            }
            name
        };
        let abandoned = make(format!(".a.key.{gone}-{random}.part"), true);
        let others = [
            make(format!(".a.key.{gone}-fedcba9876543210.part"), false),
            make(format!(".a.key.{alive}-{random}.part"), true),
            make(format!(".b.key.{gone}-{random}.part"), true),
            make(format!(".a.key.{gone}-{random}.part.txt"), true),
            make(format!(".a.key.{gone}-xyz.part"), true),
            make(".a.key.part".to_owned(), true),
            make(format!("a.key.{gone}-{random}.part"), true),
        ];
        let here = |name: &String| folder.path().join(name).exists();
        write_atomic(&path, b"new", true).unwrap();
        if Path::new("/proc/self").exists() {
            assert!(!here(&abandoned));
        }
        assert!(others.iter().all(here));
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, device) =
            (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write_atomic(&link, b"new", false).unwrap();
        write_atomic(&device, b"gone", false).unwrap();
        assert!(link.is_symlink() && device.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
