//! One image or video as the vision encoder takes it.

/// Where the patches come from. The port's images and videos have different placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// One frame, never compressed.
    Image,
    /// Frames over time.
    Video,
}

/// The patches of one image or video, and which of its vision tokens are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionInput {
    /// Image or video.
    pub kind: MediaKind,
    /// `[N, patch_dim]` row by row, `N = t·h·w`: normalised pixels, patches of one merge block next
    /// to each other, channel first inside a patch.
    pub pixel_values: Vec<f32>,
    /// `3·P·P`.
    pub patch_dim: usize,
    /// Patches as `[t, h, w]`: frames, rows, columns. `h` and `w` are multiples of `merge`.
    pub grid: [usize; 3],
    /// Patches along one side of a vision token.
    pub merge: usize,
    /// For each of the `t·(h/merge)·(w/merge)` vision tokens, whether it enters the prompt.
    pub keep: Vec<bool>,
}

impl VisionInput {
    /// Vision tokens before compression.
    pub fn tokens_before(&self) -> usize {
        self.keep.len()
    }

    /// Vision tokens that enter the prompt.
    pub fn tokens_after(&self) -> usize {
        self.keep.iter().filter(|kept| **kept).count()
    }

    /// For each frame, the vision tokens that enter the prompt; at least one.
    pub fn kept_per_frame(&self) -> Vec<usize> {
        let [_, h, w] = self.grid;
        let per_frame = (h / self.merge) * (w / self.merge);
        self.keep
            .chunks(per_frame)
            .map(|frame| frame.iter().filter(|kept| **kept).count())
            .collect()
    }
}
