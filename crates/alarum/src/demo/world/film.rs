//! Clips on disk.

use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::Clip;
use crate::demo::render::{is_rendered, render};

/// Renders the clips that `folder` does not hold yet, or holds of another world, calling `rendered` after each.
pub(crate) fn film(clips: &[Clip], folder: &Path, rendered: &(dyn Fn() + Sync)) -> Result<()> {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos)
        .with_context(|| format!("cannot create {}", videos.display()))?;
    clips.par_iter().try_for_each(|clip| {
        let path = folder.join(&clip.path);
        if !is_rendered(&clip.scene, &path) {
            render(&clip.scene, &path)?;
        }
        rendered();
        Ok(())
    })
}
