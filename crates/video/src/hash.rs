//! Content hashes: SHA-256 in lower-case hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;

/// Of bytes in memory.
pub fn bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Of a file's bytes, read in pieces.
///
/// # Errors
/// [`Error::Read`] if the file cannot be opened or read.
pub fn file(path: &Path) -> Result<String, Error> {
    stream(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })
}

fn stream(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 17];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(digit)
        .collect()
}

fn digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).expect("a nibble is below 16")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(bytes(b"abc"), abc);
    }

    #[test]
    fn a_file_hashes_as_its_bytes_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let content = vec![7; (1 << 17) + 1];
        std::fs::write(&path, &content).unwrap();
        assert_eq!(file(&path).unwrap(), bytes(&content));
    }

    #[test]
    fn a_missing_file_is_named() {
        let said = file(Path::new("/nowhere/clip.mp4"))
            .unwrap_err()
            .to_string();
        assert_eq!(said, "cannot read /nowhere/clip.mp4");
    }
}
