//! Bicubic resizing that equals the references' byte for byte.
//!
//! Both references filter with Keys' kernel (a = -0.5) widened for shrinking, first along the rows,
//! then along the columns, with 8-bit values between, in fixed point. They differ only in how many
//! bits the weights have, which shows as a difference of one or two in some bytes.

use rayon::prelude::*;

use crate::Frame;

/// Whose arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `Image.resize(size, BICUBIC)` of Pillow: weights of 22 bits (`Resample.c`).
    Pillow,
    /// `resize(..., BICUBIC, antialias=True)` of torchvision on 8-bit tensors on a CPU, which the
    /// processors of `transformers` use: weights of 16 bits, as many behind the point as the largest
    /// weight leaves room for (PyTorch's `UpSampleKernel.cpp`). Images and videos, whatever their
    /// memory layout, come out alike.
    Torchvision,
}

/// The frame at `width × height`, both at least 1. A frame of that size is returned unchanged.
pub fn bicubic(frame: &Frame, width: u32, height: u32, flavour: Flavour) -> Frame {
    let rows = Weights::new(frame.width as usize, width as usize, flavour);
    let columns = Weights::new(frame.height as usize, height as usize, flavour);
    apply(frame, &rows, &columns)
}

/// All frames of one size at `width × height`, on all cores.
pub fn bicubic_all(frames: &[Frame], width: u32, height: u32, flavour: Flavour) -> Vec<Frame> {
    let Some(first) = frames.first() else { return Vec::new() };
    let rows = Weights::new(first.width as usize, width as usize, flavour);
    let columns = Weights::new(first.height as usize, height as usize, flavour);
    frames
        .par_iter()
        .map(|frame| {
            if (frame.width, frame.height) == (first.width, first.height) {
                apply(frame, &rows, &columns)
            } else {
                bicubic(frame, width, height, flavour)
            }
        })
        .collect()
}

fn apply(frame: &Frame, rows: &Weights, columns: &Weights) -> Frame {
    let across = if rows.is_identity() { None } else { Some(along_rows(&frame.rgb, rows)) };
    let rgb = across.as_ref().unwrap_or(&frame.rgb);
    let down = if columns.is_identity() { None } else { Some(along_columns(rgb, rows.to * 3, columns)) };
    let rgb = down.or(across).unwrap_or_else(|| frame.rgb.clone());
    Frame { width: rows.to as u32, height: columns.to as u32, rgb, seconds: frame.seconds }
}

/// For each output position along one axis, the inputs it is made of.
struct Weights {
    from: usize,
    to: usize,
    /// Bits behind the point.
    bits: u32,
    /// First input of each output.
    first: Vec<usize>,
    /// Inputs of each output; those after the last one in `fixed` are unused.
    count: Vec<usize>,
    /// `to × most` weights.
    fixed: Vec<i32>,
    most: usize,
}

impl Weights {
    fn new(from: usize, to: usize, flavour: Flavour) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = 2.0 * stretch;
        let most = support.ceil() as usize * 2 + 1;
        let (mut first, mut count) = (Vec::with_capacity(to), Vec::with_capacity(to));
        let mut weights = vec![0.0; to * most];
        for (i, weights) in weights.chunks_exact_mut(most).enumerate() {
            let center = scale * (i as f64 + 0.5);
            let begin = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let weights = &mut weights[..end - begin];
            for (x, weight) in weights.iter_mut().enumerate() {
                *weight = kernel(((x + begin) as f64 - center + 0.5) * (1.0 / stretch));
            }
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
            first.push(begin);
            count.push(end - begin);
        }
        let bits = match flavour {
            Flavour::Pillow => 22,
            Flavour::Torchvision => bits_of_16(weights.iter().copied().fold(0.0, f64::max)),
        };
        let fixed = weights.iter().map(|weight| (weight * f64::from(1 << bits)).round_away()).collect();
        Self { from, to, bits, first, count, fixed, most }
    }

    fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// First input and weights of one output.
    fn of(&self, output: usize) -> (usize, &[i32]) {
        let at = output * self.most;
        (self.first[output], &self.fixed[at..at + self.count[output]])
    }

    fn half(&self) -> i32 {
        1 << (self.bits - 1)
    }

    fn to_byte(&self, sum: i32) -> u8 {
        (sum >> self.bits).clamp(0, 255) as u8
    }
}

/// The most bits behind the point with which `largest` still fits 16 signed bits.
fn bits_of_16(largest: f64) -> u32 {
    (0..22).find(|bits| 0.5 + largest * f64::from(1 << (bits + 1)) >= 32_768.0).unwrap_or(22)
}

trait RoundAway {
    fn round_away(self) -> i32;
}

impl RoundAway for f64 {
    /// To the nearest integer as C does it: add a half towards the sign, cut.
    fn round_away(self) -> i32 {
        if self < 0.0 { (self - 0.5) as i32 } else { (self + 0.5) as i32 }
    }
}

/// Keys' cubic convolution with a = -0.5.
fn kernel(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn along_rows(rgb: &[u8], weights: &Weights) -> Vec<u8> {
    let height = rgb.len() / (weights.from * 3);
    let mut out = vec![0; height * weights.to * 3];
    for (input, output) in rgb.chunks_exact(weights.from * 3).zip(out.chunks_exact_mut(weights.to * 3)) {
        for (i, pixel) in output.chunks_exact_mut(3).enumerate() {
            let (first, weights_here) = weights.of(i);
            let mut sums = [weights.half(); 3];
            let inputs = input[first * 3..].chunks_exact(3);
            for (input, weight) in inputs.zip(weights_here) {
                for (sum, &byte) in sums.iter_mut().zip(input) {
                    *sum += i32::from(byte) * weight;
                }
            }
            for (byte, sum) in pixel.iter_mut().zip(sums) {
                *byte = weights.to_byte(sum);
            }
        }
    }
    out
}

fn along_columns(rgb: &[u8], stride: usize, weights: &Weights) -> Vec<u8> {
    let mut out = vec![0; stride * weights.to];
    let mut sums = vec![0; stride];
    for (i, output) in out.chunks_exact_mut(stride).enumerate() {
        let (first, weights_here) = weights.of(i);
        sums.fill(weights.half());
        for (row, weight) in rgb[first * stride..].chunks_exact(stride).zip(weights_here) {
            for (sum, &byte) in sums.iter_mut().zip(row) {
                *sum += i32::from(byte) * weight;
            }
        }
        for (byte, &sum) in output.iter_mut().zip(&sums) {
            *byte = weights.to_byte(sum);
        }
    }
    out
}
