//! What can be wrong with a sample that could be read.

use std::path::{Component, Path};

use safety::{SafetyLabel, Sample, Subset, Taxonomy};

/// A thing that is wrong, and what to do.
pub(super) type Fault = (String, &'static str);

/// Characters of a query; longer ones are refused.
const QUERY_LIMIT: usize = 100_000;

/// Everything that is wrong with one sample by itself.
pub(super) fn faults(sample: &Sample, folder: &Path, taxonomy: &Taxonomy) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    if sample.id.trim().is_empty() {
        faults.push(("has an empty id".to_owned(), "give it an id of its own"));
    }
    if sample.query.trim().is_empty() {
        faults.push(("has an empty query".to_owned(), "write what the user asks"));
    }
    if sample.query.chars().count() > QUERY_LIMIT {
        faults.push((
            format!("has a query of more than {QUERY_LIMIT} characters"),
            "shorten it",
        ));
    }
    if taxonomy.category(&sample.category).is_none() {
        faults.push((
            format!(
                "category {:?} is not in the taxonomy {:?}",
                sample.category,
                taxonomy.name()
            ),
            "use an id of the taxonomy, or bring a taxonomy of your own",
        ));
    } else if taxonomy
        .subcategory(&sample.category, &sample.subcategory)
        .is_none()
    {
        faults.push((
            format!(
                "subcategory {:?} is not one of {:?}",
                sample.subcategory, sample.category
            ),
            "use an id of that category",
        ));
    }
    faults.extend(label_faults(sample));
    match &sample.video {
        None if sample.subset != Subset::SafeQ => faults.push((
            format!("is in {} and has no video", sample.subset.name()),
            "name its video, or move it to SafeQ if the query is safe",
        )),
        None => {}
        Some(video) => {
            faults.extend(inside(folder, &video.path).err());
            if !is_sha256(&video.sha256) {
                faults.push((
                    format!("has a video with the sha256 {:?}", video.sha256),
                    "write 64 lower-case hexadecimal digits",
                ));
            }
            if !(video.seconds.is_finite() && video.seconds > 0.0) {
                faults.push((
                    format!("has a video of {} seconds", video.seconds),
                    "write its length",
                ));
            }
        }
    }
    faults
}

fn label_faults(sample: &Sample) -> Vec<Fault> {
    let (visual, textual) = match sample.subset {
        Subset::HH => (Some(SafetyLabel::Harmful), SafetyLabel::Harmful),
        Subset::SH => (Some(SafetyLabel::Safe), SafetyLabel::Harmful),
        Subset::SafeQ => (None, SafetyLabel::Safe),
    };
    let mut faults = Vec::new();
    let mut compare = |name: &str, label: Option<SafetyLabel>, expected: Option<SafetyLabel>| {
        if let (Some(label), Some(expected)) = (label, expected)
            && label != expected
        {
            let (found, wanted) = (u8::from(label), u8::from(expected));
            let subset = sample.subset.name();
            faults.push((
                format!("is in {subset} with the {name} label {found}, which there is {wanted}"),
                "correct the label or the subset (0 safe, 1 harmful)",
            ));
        }
    };
    compare("visual", sample.labels.visual, visual);
    compare("textual", sample.labels.textual, Some(textual));
    faults
}

/// The file of a path that must stay inside the folder, also through links.
fn inside(folder: &Path, path: &str) -> Result<(), Fault> {
    let relative = Path::new(path);
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let leaves = || {
        (
            format!("video {path:?} leaves the benchmark's folder"),
            "use a path below the folder",
        )
    };
    if path.is_empty() || !plain {
        return Err(leaves());
    }
    let missing = |error: std::io::Error| {
        (
            format!("video {path:?} cannot be opened: {error}"),
            "put the file there, or remove the sample",
        )
    };
    let file = folder.join(relative).canonicalize().map_err(missing)?;
    let root = folder.canonicalize().map_err(missing)?;
    if !file.starts_with(&root) {
        return Err(leaves());
    }
    if !file.is_file() {
        return Err((
            format!("video {path:?} is not a file"),
            "put the file there, or remove the sample",
        ));
    }
    Ok(())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
