//! Bicubic resizing that equals the references' byte for byte.
//!
//! Both references filter with Keys' kernel (a = -0.5) widened for shrinking, in fixed point, along
//! one axis and then along the other, with 8-bit values between. They differ in how many bits the
//! weights have, which shows as one or two in some bytes, and in which axis comes first, which shows
//! more.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::Frame;

/// Whose arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `Image.resize(size, BICUBIC)` of Pillow 13: weights of 22 bits, along the rows first unless
    /// the picture loses more than twice as much in height as in width. (Older releases always go
    /// along the rows first.)
    Pillow,
    /// `resize(..., BICUBIC, antialias=True)` of torchvision on 8-bit tensors on a CPU, which the
    /// processors of `transformers` use: weights of 16 bits, as many behind the point as the largest
    /// weight leaves room for (PyTorch's `UpSampleKernel.cpp`), along the rows first. Images and videos, whatever their
    /// memory layout, come out alike.
    Torchvision,
}

/// The frame at `width × height`, both at least 1. A frame of that size is returned unchanged.
pub fn bicubic(frame: &Frame, width: u32, height: u32, flavour: Flavour) -> Frame {
    Plan::new((frame.width, frame.height), (width, height), flavour).apply(frame)
}

/// All frames at `width × height`, on all cores.
pub fn bicubic_all(frames: &[Frame], width: u32, height: u32, flavour: Flavour) -> Vec<Frame> {
    let Some(first) = frames.first() else {
        return Vec::new();
    };
    let size = (first.width, first.height);
    let plan = Plan::new(size, (width, height), flavour);
    let resize = |frame: &Frame| {
        let same = (frame.width, frame.height) == size;
        if same {
            plan.apply(frame)
        } else {
            bicubic(frame, width, height, flavour)
        }
    };
    frames.par_iter().map(resize).collect()
}

/// All that does not depend on the pixels.
struct Plan {
    along_rows: Weights,
    along_columns: Weights,
    columns_first: bool,
}

impl Plan {
    fn new(from: (u32, u32), to: (u32, u32), flavour: Flavour) -> Self {
        let loses = |from: u32, to: u32| i64::from(from) - i64::from(to);
        let (width, height) = (loses(from.0, to.0), loses(from.1, to.1));
        Self {
            along_rows: Weights::new(from.0 as usize, to.0 as usize, flavour),
            along_columns: Weights::new(from.1 as usize, to.1 as usize, flavour),
            columns_first: flavour == Flavour::Pillow && height > 0 && height > 2 * width,
        }
    }

    fn apply(&self, frame: &Frame) -> Frame {
        let (rows, columns) = (&self.along_rows, &self.along_columns);
        let rgb = Cow::Borrowed(frame.rgb.as_slice());
        let rgb = if self.columns_first {
            along_rows(along_columns(rgb, rows.from * 3, columns), rows)
        } else {
            along_columns(along_rows(rgb, rows), rows.to * 3, columns)
        };
        Frame {
            width: rows.to as u32,
            height: columns.to as u32,
            rgb: rgb.into_owned(),
            seconds: frame.seconds,
        }
    }
}

/// For each output position along one axis, the inputs it is made of.
struct Weights {
    from: usize,
    to: usize,
    /// Bits behind the point.
    bits: u32,
    /// First input of each output.
    first: Vec<usize>,
    /// Inputs of each output.
    count: Vec<usize>,
    /// `to × most` weights, of which each output uses the first `count`.
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
        let fixed = weights
            .iter()
            .map(|weight| nearest(weight * f64::from(1 << bits)))
            .collect();
        Self {
            from,
            to,
            bits,
            first,
            count,
            fixed,
            most,
        }
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
    (0..22)
        .find(|bits| 0.5 + largest * f64::from(1 << (bits + 1)) >= 32_768.0)
        .unwrap_or(22)
}

/// To the nearest integer as C does it: add a half away from zero, cut.
fn nearest(x: f64) -> i32 {
    if x < 0.0 {
        (x - 0.5) as i32
    } else {
        (x + 0.5) as i32
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

fn along_rows<'a>(rgb: Cow<'a, [u8]>, weights: &Weights) -> Cow<'a, [u8]> {
    if weights.is_identity() {
        return rgb;
    }
    let height = rgb.len() / (weights.from * 3);
    let mut out = vec![0; height * weights.to * 3];
    let rows = rgb
        .chunks_exact(weights.from * 3)
        .zip(out.chunks_exact_mut(weights.to * 3));
    for (input, output) in rows {
        for (i, pixel) in output.chunks_exact_mut(3).enumerate() {
            let (first, taps) = weights.of(i);
            let mut sums = [weights.half(); 3];
            for (input, weight) in input[first * 3..].chunks_exact(3).zip(taps) {
                for (sum, &byte) in sums.iter_mut().zip(input) {
                    *sum += i32::from(byte) * weight;
                }
            }
            for (byte, sum) in pixel.iter_mut().zip(sums) {
                *byte = weights.to_byte(sum);
            }
        }
    }
    Cow::Owned(out)
}

/// `stride` bytes a row.
fn along_columns<'a>(rgb: Cow<'a, [u8]>, stride: usize, weights: &Weights) -> Cow<'a, [u8]> {
    if weights.is_identity() {
        return rgb;
    }
    let mut out = vec![0; stride * weights.to];
    let mut sums = vec![0; stride];
    for (i, output) in out.chunks_exact_mut(stride).enumerate() {
        let (first, taps) = weights.of(i);
        sums.fill(weights.half());
        for (row, weight) in rgb[first * stride..].chunks_exact(stride).zip(taps) {
            for (sum, &byte) in sums.iter_mut().zip(row) {
                *sum += i32::from(byte) * weight;
            }
        }
        for (byte, &sum) in output.iter_mut().zip(&sums) {
            *byte = weights.to_byte(sum);
        }
    }
    Cow::Owned(out)
}
