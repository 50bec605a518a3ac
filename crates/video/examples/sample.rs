//! Samples one frame a second from a video, at most 448 pixels a side, and says how many.

use std::path::PathBuf;
use std::process::ExitCode;

use video::{Decoder, FrameSize, Sampling};

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example speaks for itself"
)]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(path) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: sample VIDEO [MAX_FRAMES]");
        return ExitCode::from(1);
    };
    let cap = arguments.next().and_then(|cap| cap.to_str()?.parse().ok());
    let sampling = Sampling::Fps {
        fps: 1.0,
        max_frames: cap.unwrap_or(180),
    };
    match Decoder::default().video(&path, sampling, FrameSize::Within { long_edge: 448 }) {
        Ok(clip) => {
            let first = &clip.frames[0];
            println!(
                "{} frames of {}x{}",
                clip.frames.len(),
                first.width,
                first.height
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}
