//! `alarum train plan`: what a recipe would do, and about what it would take.

use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use comfy_table::{CellAlignment, Table};
use train::plan::{StagePlan, plan};

use crate::args::TrainPlan;
use crate::commands::train::{cores, open, users};
use crate::progress::{print_line, say};

/// Side of the matrices whose product tells how fast this machine is.
const SIDE: usize = 1024;

pub(crate) fn run(arguments: &TrainPlan) -> Result<()> {
    let recipe = open(&arguments.recipe, arguments.place.at.as_deref())?;
    let cache = tempfile::tempdir()?;
    let stages = plan(&recipe, cache.path()).map_err(users)?;
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&stages)?);
        return Ok(());
    }
    let speed = speed()?;
    print_line(&table(&stages, speed).to_string());
    let seconds: f64 = stages.iter().map(|stage| stage.flops / speed).sum();
    say(&format!(
        "about {} in all at {:.0} GFLOP/s, measured just now on {} cores; tokens are an upper bound, memory and time are estimates",
        duration(seconds),
        speed / 1e9,
        cores(),
    ));
    Ok(())
}

fn table(stages: &[StagePlan], speed: f64) -> Table {
    let mut table = Table::new();

    table.set_header([
        "stage",
        "kind",
        "records",
        "unlabelled",
        "trains",
        "of",
        "steps",
        "tokens",
        "written",
        "longest",
        "memory",
        "time",
    ]);
    for stage in stages {
        table.add_row([
            stage.name.clone(),
            stage.kind.to_string(),
            stage.records.to_string(),
            format!("{} / {}", stage.without_visual, stage.without_textual),
            short(stage.trained as f64),
            short(stage.parameters as f64),
            stage.steps.to_string(),
            short(stage.tokens as f64),
            short(stage.generated as f64),
            stage.longest.to_string(),
            format!("{}B", short(stage.bytes as f64)),
            duration(stage.flops / speed),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Floating-point operations a second of a matrix product.
fn speed() -> Result<f64> {
    let matrix = Tensor::randn(0f32, 1.0, (SIDE, SIDE), &Device::Cpu)?;
    matrix.matmul(&matrix)?;
    let (begun, times) = (Instant::now(), 4);
    for _ in 0..times {
        matrix.matmul(&matrix)?;
    }
    Ok(f64::from(times) * 2.0 * (SIDE as f64).powi(3) / begun.elapsed().as_secs_f64())
}

/// `1.5M` for 1,500,000.
fn short(number: f64) -> String {
    for (size, unit) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if number >= size {
            return format!("{:.1}{unit}", number / size);
        }
    }
    format!("{number:.0}")
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 172_800.0 => format!("{:.1} days", s / 86_400.0),
        s if s >= 7_200.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 120.0 => format!("{:.0} min", s / 60.0),
        s => format!("{s:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_short() {
        let all = [999.0, 1500.0, 2.25e6, 1.7e9].map(short);
        assert_eq!(all, ["999", "1.5k", "2.2M", "1.7G"]);
    }

    #[test]
    fn times_have_the_unit_that_people_use() {
        let all = [3.0, 600.0, 7_500.0, 604_800.0].map(duration);
        assert_eq!(all, ["3 s", "10 min", "2.1 h", "7.0 days"]);
    }
}
