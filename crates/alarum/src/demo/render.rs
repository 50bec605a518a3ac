//! Scenes become real H.264 files through one `ffmpeg` child each.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::raster::frames;
use super::scene::{FPS, SIDE, Scene};

/// Raised whenever one scene would give other pixels, so that older files are drawn anew.
const VERSION: u32 = 2;

/// What a file of this scene carries in its metadata.
fn stamp(scene: &Scene) -> String {
    format!(
        "alarum-{}",
        video::hash::bytes(format!("{VERSION} {scene:?}").as_bytes())
    )
}

/// Whether `path` is this scene, finished; anything else there is to be drawn over.
pub(crate) fn is_rendered(scene: &Scene, path: &Path) -> bool {
    let stamp = stamp(scene).into_bytes();
    std::fs::read(path).is_ok_and(|bytes| bytes.windows(stamp.len()).any(|window| window == stamp))
}

/// Writes `scene` as an `.mp4`, aside first and then renamed. One scene gives the same bytes with
/// the same ffmpeg.
pub(crate) fn render(scene: &Scene, path: &Path) -> Result<()> {
    render_with("ffmpeg", scene, path)
}

fn render_with(program: &str, scene: &Scene, path: &Path) -> Result<()> {
    let aside = path.with_extension("mp4.tmp");
    let drawn =
        encode(program, scene, &aside).with_context(|| format!("cannot render {}", path.display()));
    if drawn.is_err() {
        // A missing file is as good as a removed one.
        let _nothing_to_keep = std::fs::remove_file(&aside);
        return drawn;
    }
    std::fs::rename(&aside, path).with_context(|| format!("cannot rename {}", aside.display()))
}

fn encode(program: &str, scene: &Scene, path: &Path) -> Result<()> {
    let mut child = Command::new(program)
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args([
            "-s",
            &format!("{SIDE}x{SIDE}"),
            "-r",
            &FPS.to_string(),
            "-i",
            "pipe:0",
        ])
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p",
        ])
        .args([
            "-threads",
            "1",
            "-fflags",
            "+bitexact",
            "-flags:v",
            "+bitexact",
        ])
        .args([
            "-metadata",
            &format!("comment={}", stamp(scene)),
            "-f",
            "mp4",
        ])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("cannot start {program}: install ffmpeg (Debian: apt-get install ffmpeg)")
        })?;
    let mut input = child.stdin.take().expect("the child's input is a pipe");
    let fed = frames(scene).try_for_each(|frame| input.write_all(&frame));
    drop(input);
    let mut said = String::new();
    let heard = child
        .stderr
        .take()
        .expect("the child's errors are a pipe")
        .read_to_string(&mut said);
    let status = child.wait().context("cannot wait for ffmpeg")?;
    heard.context("cannot read what ffmpeg says")?;
    if said.contains("Unknown encoder") {
        bail!(
            "this ffmpeg has no H.264 encoder: install one built with libx264 (Debian: apt-get install ffmpeg)"
        );
    }
    if !status.success() {
        bail!(
            "ffmpeg gave up: {}",
            said.lines().next_back().unwrap_or("it said nothing")
        );
    }
    fed.context("ffmpeg stopped reading frames")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::demo::scene::Split;

    fn scene(seed: u64) -> Scene {
        Scene::draw(
            Split::Train,
            safety::SafetyLabel::Safe,
            &mut ChaCha8Rng::seed_from_u64(seed),
        )
    }

    #[test]
    fn one_scene_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.mp4", "b.mp4"].map(|name| folder.path().join(name));
        for path in &paths {
            render(&scene(1), path).unwrap();
        }
        let [a, b] = paths.map(|path| std::fs::read(path).unwrap());
        assert!(a.len() > 1000);
        assert_eq!(a, b);
    }

    #[test]
    fn a_file_is_known_as_its_own_scene_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        assert!(!is_rendered(&scene(1), &path));
        render(&scene(1), &path).unwrap();
        assert!(is_rendered(&scene(1), &path));
        assert!(!is_rendered(&scene(2), &path));
    }

    #[test]
    fn a_missing_ffmpeg_says_how_to_get_it_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            render_with("no-such-ffmpeg", &scene(1), &folder.path().join("a.mp4")).unwrap_err();
        assert!(
            format!("{error:#}").contains("apt-get install ffmpeg"),
            "{error:#}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
