//! Bytes of a file: read into memory, or mapped where the file is large.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Files from this size on are mapped: below it reading is as fast, and nothing can happen to the bytes later.
const MAPPED_FROM: u64 = 1 << 20;

#[derive(Clone, Debug)]
enum Storage {
    Owned(Arc<[u8]>),
    Mapped(Arc<Mmap>),
}

/// Part of a file's bytes. Copies share them.
///
/// A mapped file must stay as it is while it is in use. What zkLoom writes is never changed in place, a new file takes the
/// old one's name; a program that cuts a file off while zkLoom reads it makes the system stop this process.
#[derive(Clone)]
pub struct Content {
    storage: Storage,
    range: Range<usize>,
}

impl Content {
    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let data = file.metadata().map_err(Error::io(path))?;
        if !data.is_file() || data.len() < MAPPED_FROM {
            return Ok(std::fs::read(path).map_err(Error::io(path))?.into());
        }
        // SAFETY: the mapping is private and read only; files are replaced by renaming, never changed in place (see the type).
        let mapped = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let range = 0..mapped.len();
        Ok(Self { storage: Storage::Mapped(Arc::new(mapped)), range })
    }

    /// Part of these bytes; what lies outside is left out.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let end = self.range.start.saturating_add(range.end).min(self.range.end);
        let start = self.range.start.saturating_add(range.start).min(end);
        Self { storage: self.storage.clone(), range: start..end }
    }

    /// Whether the bytes are the file's own, not a copy in memory.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.storage, Storage::Mapped(_))
    }
}

impl core::fmt::Debug for Content {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Some files are secret.
        f.debug_struct("Content").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { storage: Storage::Owned(bytes.into()), range }
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.storage {
            Storage::Owned(bytes) => bytes,
            Storage::Mapped(file) => file,
        };
        all.get(self.range.clone()).unwrap_or(&[])
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_and_large_ones_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (size, mapped) in
            [(0, false), (5, false), (MAPPED_FROM as usize - 1, false), (MAPPED_FROM as usize, true)]
        {
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let content = Content::of_file(&path).unwrap();
            assert_eq!(content.is_mapped(), mapped);
            assert_eq!(*content, *bytes);
            let part = content.part(2..4);
            assert_eq!(*part, *bytes.get(2..4).unwrap_or(&[]));
            assert_eq!(*part.part(1..9), *bytes.get(3..4).unwrap_or(&[]));
            assert_eq!(part.part(5..usize::MAX).len(), 0);
        }
        assert!(Content::of_file(&folder.path().join("nothing")).is_err());
        assert!(Content::of_file(folder.path()).is_err());
    }
}
