//! Token compression: which vision tokens of a video differ enough from the frame before.

/// A token is kept if its pixels differ by more than this on average, on a scale of 255.
pub const THRESHOLD: f32 = 0.1;

/// For each vision token of a video, whether it is kept: those of the first frame, those whose
/// normalised pixels differ from the frame before by more than [`THRESHOLD`] on average, and the
/// first of a frame that would have none. `pixel_values` and `grid` as
/// [`patches`](super::patches::patches) makes them, `merge` patches along a token's side.
///
/// `_get_compression_mask` of `video_processing_video_llama_3.py`. The mean is summed in f64, which
/// is nearer to the truth than the reference's f32; the means that bytes can have stand far enough
/// from the threshold for both to agree.
pub fn kept_tokens(pixel_values: &[f32], grid: [usize; 3], merge: usize) -> Vec<bool> {
    let [t, h, w] = grid;
    let tokens = (h / merge) * (w / merge);
    if t <= 1 || tokens == 0 {
        return vec![true; t * tokens];
    }
    let frame_length = pixel_values.len() / t;
    let token_length = frame_length / tokens;
    let mut keep = vec![true; tokens];
    let frames: Vec<&[f32]> = pixel_values.chunks_exact(frame_length).collect();
    for pair in frames.windows(2) {
        let start = keep.len();
        let [before, after] = pair else { continue };
        keep.extend(
            before
                .chunks_exact(token_length)
                .zip(after.chunks_exact(token_length))
                .map(|(before, after)| mean_difference(before, after) * 255.0 > THRESHOLD),
        );
        if !keep[start..].contains(&true) {
            keep[start] = true;
        }
    }
    keep
}

fn mean_difference(before: &[f32], after: &[f32]) -> f32 {
    let sum: f64 = before
        .iter()
        .zip(after)
        .map(|(a, b)| f64::from((b - a).abs()))
        .sum();
    (sum / before.len() as f64) as f32
}
