//! Frames cut into patches of normalised pixels.

// T frames, h rows and w columns of patches, P side of a patch, m merge size

use rayon::prelude::*;
use video::Frame;

use crate::config::Layout;

/// How a byte becomes a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Of red, green and blue, after rescaling.
    pub mean: [f64; 3],
    /// Of red, green and blue, after rescaling.
    pub std: [f64; 3],
    /// Bytes are multiplied by it: 1 / 255.
    pub rescale: f64,
}

/// Patches along one side of a frame's cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// P, in pixels.
    pub patch: usize,
    /// m, in patches.
    pub merge: usize,
}

impl Normalisation {
    /// For each channel what each byte becomes, in the reference's own arithmetic: the port fuses
    /// the two steps (`_fuse_mean_std_and_rescale_factor` of `image_processing_backends.py`), the
    /// original rescales in f64, rounds to f32 and then normalises. They differ in the last bit.
    fn table(&self, layout: Layout) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (self.mean[channel] as f32, self.std[channel] as f32);
            std::array::from_fn(|byte| match layout {
                Layout::Port => {
                    let scale = (1.0 / self.rescale) as f32;
                    (byte as f32 - mean * scale) / (std * scale)
                }
                Layout::Original => ((byte as f64 * self.rescale) as f32 - mean) / std,
            })
        })
    }
}

/// `pixel_values` `[T·h·w, 3·P·P]` of frames of one size, whose sides are multiples of `P·m`, and
/// the grid `[T, h, w]`. Patches of one merge block follow each other; inside a patch the channel
/// comes first, then rows, then columns.
pub fn patches(
    frames: &[Frame],
    cut: Cut,
    normalisation: &Normalisation,
    layout: Layout,
) -> (Vec<f32>, [usize; 3]) {
    let Some(first) = frames.first() else {
        return (Vec::new(), [0; 3]);
    };
    let Cut { patch, merge } = cut;
    let (width, height) = (first.width as usize, first.height as usize);
    let (h, w) = (height / patch, width / patch);
    let table = normalisation.table(layout);
    let dim = 3 * patch * patch;
    let mut values = vec![0.0; frames.len() * h * w * dim];
    values
        .par_chunks_mut(h * w * dim)
        .zip(frames)
        .for_each(|(out, frame)| {
            // The n-th row of `out` is the patch (dy, dx) of merge block (by, bx).
            for (n, row) in out.chunks_exact_mut(dim).enumerate() {
                let (block, inside) = (n / (merge * merge), n % (merge * merge));
                let (by, bx) = (block / (w / merge), block % (w / merge));
                let top = (by * merge + inside / merge) * patch;
                let left = (bx * merge + inside % merge) * patch;
                for (line, values) in row.chunks_exact_mut(patch).enumerate() {
                    let (channel, y) = (line / patch, line % patch);
                    let start = ((top + y) * width + left) * 3;
                    let pixels = frame.rgb[start..start + 3 * patch].chunks_exact(3);
                    for (value, pixel) in values.iter_mut().zip(pixels) {
                        *value = table[channel][usize::from(pixel[channel])];
                    }
                }
            }
        });
    (values, [frames.len(), h, w])
}
