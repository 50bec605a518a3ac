//! `alarum doctor`: what this machine has, what is missing and how to get it.

use std::process::Command;

use anyhow::Result;

use crate::progress::{UserError, print_line};

/// Fails at once where `ffmpeg` is missing, instead of once for each video.
pub(crate) fn require_ffmpeg() -> Result<()> {
    for finding in [program("ffmpeg"), program("ffprobe")] {
        if !finding.fine {
            return Err(UserError(format!(
                "{} {}: {}",
                finding.name, finding.found, finding.remedy
            ))
            .into());
        }
    }
    Ok(())
}

/// One line of the examination.
struct Finding {
    name: &'static str,
    fine: bool,
    found: String,
    remedy: &'static str,
}

/// Prints every finding; fails if something that evaluation needs is missing.
pub(crate) fn run() -> Result<()> {
    let findings = [
        program("ffmpeg"),
        program("ffprobe"),
        x264(),
        cores(),
        simd(),
        memory(),
    ];
    for finding in &findings {
        let mark = if finding.fine { "ok     " } else { "MISSING" };
        print_line(&format!("{mark}  {:<8}  {}", finding.name, finding.found));
        if !finding.fine {
            print_line(&format!("         {:<8}  {}", "", finding.remedy));
        }
    }
    let missing: Vec<_> = findings
        .iter()
        .filter(|finding| !finding.fine)
        .map(|finding| finding.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(UserError(format!("missing: {}", missing.join(", "))).into())
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

fn program(name: &'static str) -> Finding {
    let version = first_line(name, &["-version"]);
    Finding {
        name,
        fine: version.is_some(),
        found: version.unwrap_or_else(|| "not found in PATH".to_owned()),
        remedy: "install ffmpeg (Debian: apt-get install ffmpeg); it decodes every video",
    }
}

fn x264() -> Finding {
    let encoders = Command::new("ffmpeg")
        .args(["-hide_banner", "-encoders"])
        .output();
    let fine = encoders.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("libx264"));
    Finding {
        name: "libx264",
        fine,
        found: if fine {
            "renders the demo's videos"
        } else {
            "not in this ffmpeg"
        }
        .to_owned(),
        remedy: "only the demo needs it: install an ffmpeg built with libx264",
    }
}

fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Finding {
        name: "cores",
        fine: true,
        found: cores.to_string(),
        remedy: "",
    }
}

fn simd() -> Finding {
    #[cfg(target_arch = "x86_64")]
    let found: Vec<&str> = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect();
    #[cfg(not(target_arch = "x86_64"))]
    let found: Vec<&str> = vec![std::env::consts::ARCH];
    let found = if found.is_empty() {
        "none: expect it to be slow".to_owned()
    } else {
        found.join(" ")
    };
    Finding {
        name: "simd",
        fine: true,
        found,
        remedy: "",
    }
}

fn memory() -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gigabytes = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes / 1024.0 / 1024.0)
    };
    let found = match (gigabytes("MemTotal:"), gigabytes("MemAvailable:")) {
        (Some(total), Some(free)) => {
            format!(
                "{free:.1} of {total:.1} GB free; the 2B model takes about 9 GB in f32, 5 in bf16"
            )
        }
        _ => "unknown on this system".to_owned(),
    };
    Finding {
        name: "memory",
        fine: true,
        found,
        remedy: "",
    }
}
