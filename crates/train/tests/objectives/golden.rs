//! Reads the reference's numbers and compares ours with them.

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use serde::de::DeserializeOwned;

/// Relative to the largest value of the same tensor.
const TOLERANCE: f64 = 1e-5;

pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn var(values: &[f32]) -> Var {
    Var::new(values, &Device::Cpu).unwrap()
}

#[track_caller]
pub(crate) fn close(what: &str, found: f64, want: f64) {
    all_near(what, &[found], &[want]);
}

#[track_caller]
pub(crate) fn all_close(what: &str, found: &Tensor, want: &[f64]) {
    let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
    let found: Vec<f64> = found.into_iter().map(f64::from).collect();
    all_near(what, &found, want);
}

#[track_caller]
pub(crate) fn all_near(what: &str, found: &[f64], want: &[f64]) {
    assert_eq!(found.len(), want.len(), "{what}");
    let largest = want
        .iter()
        .fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (found, want)) in found.iter().zip(want).enumerate() {
        assert!(
            (found - want).abs() <= TOLERANCE * largest,
            "{what}[{i}]: {found}, reference {want}"
        );
    }
}

#[track_caller]
pub(crate) fn scalar(loss: &Tensor) -> f64 {
    f64::from(loss.to_scalar::<f32>().unwrap())
}
