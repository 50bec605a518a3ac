//! What an image or a video will cost, told from its size alone.

use super::size::{Extent, Size};
use super::{MediaKind, Processor};
use crate::error::{Error, Result};

/// The patches of one image or video and how they become vision tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Patches as `[t, h, w]`: frames, rows, columns.
    pub grid: [usize; 3],
    /// Patches along one side of a vision token.
    pub merge: usize,
}

impl Geometry {
    /// What the vision encoder reads.
    pub fn patches(&self) -> usize {
        self.grid.iter().product()
    }

    /// Vision tokens of one frame before compression.
    pub fn tokens_per_frame(&self) -> usize {
        let [_, h, w] = self.grid;
        (h / self.merge) * (w / self.merge)
    }

    /// Vision tokens before compression.
    pub fn tokens(&self) -> usize {
        self.grid[0] * self.tokens_per_frame()
    }
}

impl Processor {
    /// The geometry that [`Processor::prepare`] gives an image or video that is alone in its prompt:
    /// `frames` of `size` pixels, upright. A prompt with it has at most [`Geometry::tokens`] vision
    /// tokens, and exactly so many without compression.
    ///
    /// # Errors
    /// If the model cannot take frames of that size, or there are none.
    pub fn geometry(&self, kind: MediaKind, frames: usize, size: Size) -> Result<Geometry> {
        if frames == 0 {
            return Err(Error::Input("a video has no frames".to_owned()));
        }
        let patch = self.config.patch_size;
        let merge = self.merge(kind);
        let extent = Extent {
            frames: frames as u64,
            size,
            factor: (patch * merge) as u64,
        };
        let size = self.sizes(&[kind], &[extent])?[0];
        Ok(Geometry {
            grid: [
                frames,
                size.height as usize / patch,
                size.width as usize / patch,
            ],
            merge,
        })
    }
}
