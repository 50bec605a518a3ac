//! Where media are: below a folder, never above it.

use std::path::{Component, Path, PathBuf};

use crate::Error;
use crate::error::At;

/// Whether a path stays below the folder that it is relative to.
pub(super) fn is_inside(path: &Path) -> bool {
    let normal = |part| matches!(part, Component::Normal(_));
    !path.as_os_str().is_empty() && path.components().all(normal)
}

/// A folder that media are written relative to, every link in its own name resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(PathBuf);

impl Base {
    pub(super) fn of_folder(folder: &Path) -> Result<Self, Error> {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        Ok(Self(folder.canonicalize().at("open", folder)?))
    }

    /// The folder that a file is in.
    pub(super) fn of_file(file: &Path) -> Result<Self, Error> {
        Self::of_folder(file.parent().unwrap_or(Path::new("")))
    }

    /// The whole path of what is written as `path`: relative, or absolute and below this folder.
    pub(super) fn whole(&self, path: &Path) -> Result<PathBuf, String> {
        let below = path.strip_prefix(&self.0).unwrap_or(path);
        let below: PathBuf = below
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .collect();
        if is_inside(&below) {
            return Ok(self.0.join(below));
        }
        Err(format!(
            "video or image `{}` is not a path below {}",
            path.display(),
            self.0.display()
        ))
    }

    /// How `whole` is written from here.
    pub(super) fn relative(&self, whole: &Path) -> Result<PathBuf, String> {
        whole
            .strip_prefix(&self.0)
            .ok()
            .filter(|below| is_inside(below))
            .map(Path::to_owned)
            .ok_or_else(|| {
                format!(
                    "video or image {} is not below {}: write the file into a folder above its videos",
                    whole.display(),
                    self.0.display()
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, want: Option<&str>) {
        let whole = Base("/data/set".into()).whole(Path::new(path));
        assert_eq!(whole.ok().as_deref(), want.map(Path::new), "{path}");
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        check("videos/a.mp4", Some("/data/set/videos/a.mp4"));
        check("./videos/./a.mp4", Some("/data/set/videos/a.mp4"));
        check("/data/set/videos/a.mp4", Some("/data/set/videos/a.mp4"));
    }

    #[test]
    fn a_path_out_of_its_folder_is_refused() {
        for path in [
            "../a.mp4",
            "a/../../b",
            "/etc/passwd",
            "/data/set/../x",
            "",
            ".",
            "/data/set",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn a_path_is_written_from_the_folder_above_it() {
        let base = Base("/data/set".into());
        let written = |path: &str| base.relative(Path::new(path)).ok();
        assert_eq!(written("/data/set/v/a.mp4"), Some("v/a.mp4".into()));
        assert_eq!(written("/data/other/a.mp4"), None);
    }
}
