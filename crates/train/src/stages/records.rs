//! The records of a stage: read, drawn, dressed in the stage's prompts, and checked for what its kind
//! of learning needs, before anything is spent.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safety::completion::parse;
use std::collections::HashSet;

use crate::Error;
use crate::data::{self, Record, Task};
use crate::order::shuffle;
use crate::recipe::{Atc, Kind, Stage, Take, Unlabelled};

/// The records of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// To learn from.
    pub records: Vec<Record>,
    /// Of these, with a video or an image that nobody labelled.
    pub without_visual: usize,
    /// Of these, with a query that nobody labelled.
    pub without_textual: usize,
}

/// As many problems are said in full.
const SAID: usize = 5;

/// Reads the files of `stage`, which is resolved; `seed` is the recipe's.
///
/// # Errors
/// Every problem of a file by line, with its remedy.
pub fn records(stage: &Stage, seed: u64) -> Result<Records, Error> {
    let mut all = Records::default();
    let mut ids = HashSet::new();
    for take in &stage.data {
        for record in drawn(take, read(take, stage)?, seed)? {
            if !ids.insert(record.id.clone()) {
                return Err(Error::BadLines {
                    path: take.file.clone(),
                    count: 1,
                    first: format!(
                        "id `{}` is also in another file of the stage: ids must differ",
                        record.id
                    ),
                });
            }
            all.without_visual +=
                usize::from(record.medium().is_some() && record.labels.visual.is_none());
            all.without_textual += usize::from(record.labels.textual.is_none());
            all.records.push(dressed(record, stage));
        }
    }
    if let Some(atc) = stage.atc {
        refuse_headless(&all, atc)?;
    }
    Ok(all)
}

fn read(take: &Take, stage: &Stage) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    let mut problems = Vec::new();
    for line in data::lines(&take.file)? {
        let line = line?;
        match line
            .record
            .and_then(|record| check(&record, stage).map(|()| record))
        {
            Ok(record) => records.push(record),
            Err(reason) => problems.push(format!("line {}: {reason}", line.number)),
        }
    }
    if problems.is_empty() {
        return Ok(records);
    }
    let more = if problems.len() > SAID { "; …" } else { "" };
    Err(Error::BadLines {
        path: take.file.clone(),
        count: problems.len(),
        first: problems[..problems.len().min(SAID)].join("; ") + more,
    })
}

/// What this kind of learning needs of a record.
fn check(record: &Record, stage: &Stage) -> Result<(), String> {
    if let Some(medium) = record.medium()
        && let path = medium.path()
        && !path.exists()
    {
        return Err(format!("{} does not exist", path.display()));
    }
    if let Some(Atc {
        unlabelled: Unlabelled::Refuse,
        ..
    }) = stage.atc
    {
        let lacks = match (record.medium(), record.labels.visual, record.labels.textual) {
            (Some(_), None, _) => Some("visual"),
            (_, _, None) => Some("textual"),
            _ => None,
        };
        if let Some(which) = lacks {
            return Err(format!(
                "record `{}` has no {which} label: label it, or write atc.unlabelled = \"skip\"",
                record.id
            ));
        }
    }
    let tagged = |text: &str| {
        let parts = parse(text);
        parts.answer.whole().is_some() && parts.video().is_some() && parts.text().is_some()
    };
    match stage.kind {
        Kind::Grpo if record.task == Task::Safety && !tagged(&record.answer) => Err(format!(
            "record `{}` has no reference with <answer>, <vidType> and <textType> to be rewarded by",
            record.id
        )),
        Kind::Grpo | Kind::Dpo if !record.turns.is_empty() => Err(format!(
            "record `{}` has further turns, which this stage cannot learn from: keep the first",
            record.id
        )),
        Kind::Dpo if record.rejected.is_none() => Err(format!(
            "record `{}` has no `rejected` answer to prefer the other to",
            record.id
        )),
        _ => Ok(()),
    }
}

/// So many of the records, in their order.
fn drawn(take: &Take, records: Vec<Record>, seed: u64) -> Result<Vec<Record>, Error> {
    let Some(count) = take.take else {
        return Ok(records);
    };
    if count > records.len() {
        return Err(Error::TooFew {
            path: take.file.clone(),
            wanted: count,
            found: records.len(),
        });
    }
    let mut places: Vec<usize> = (0..records.len()).collect();
    shuffle(&mut places, &mut ChaCha8Rng::seed_from_u64(seed));
    let chosen: HashSet<usize> = places.into_iter().take(count).collect();
    let numbered = records.into_iter().enumerate();
    Ok(numbered
        .filter(|(place, _)| chosen.contains(place))
        .map(|(_, record)| record)
        .collect())
}

fn dressed(mut record: Record, stage: &Stage) -> Record {
    if record.system.is_none() {
        record.system.clone_from(&stage.system);
    }
    if let Some(question) = &stage.question {
        record.query = question.replace("{query}", &record.query);
    }
    record
}

/// A head that no sample tells anything would stay as it was drawn.
fn refuse_headless(records: &Records, atc: Atc) -> Result<(), Error> {
    let visual = records
        .records
        .iter()
        .any(|record| record.labels.visual.is_some());
    let textual = records
        .records
        .iter()
        .any(|record| record.labels.textual.is_some());
    for (weight, is_taught, key) in [
        (atc.visual, visual, "atc.visual"),
        (atc.textual, textual, "atc.textual"),
    ] {
        if weight > 0.0 && !is_taught {
            let remedy = "give records with this label, or write 0";
            return Err(crate::recipe::refused(
                key,
                &format!("{weight}, but no record has such a label"),
                remedy,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TAGS: &str =
        "<think>t</think>\\n<answer>a</answer>\\n<vidType>0</vidType>\\n<textType>1</textType>";

    fn of(kind: Kind, lines: &[String]) -> Result<Records, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        std::fs::write(&path, lines.join("\n")).unwrap();
        std::fs::write(folder.path().join("v.mp4"), b"").unwrap();
        let mut records = records(&Stage::of(kind, path).resolved(), 1)?;
        for record in &mut records.records {
            record.video = None;
        }
        Ok(records)
    }

    fn line(id: &str, rest: &str) -> String {
        format!(r#"{{"id": "{id}", "query": "q", "answer": "a"{rest}}}"#)
    }

    #[track_caller]
    fn refused(kind: Kind, lines: &[String], words: &[&str]) {
        let error = of(kind, lines).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} lacks {word:?}");
        }
    }

    #[test]
    fn a_missing_video_is_named_with_its_line() {
        let lines = [line("a", ""), line("b", r#", "video": "gone.mp4""#)];
        refused(Kind::Sft, &lines, &["line 2", "gone.mp4"]);
    }

    #[test]
    fn an_unlabelled_sample_is_refused_where_heads_learn() {
        let lines = [line("a", r#", "labels": {"textual": 1}, "video": "v.mp4""#)];
        refused(Kind::Atc, &lines, &["line 1", "`a`", "visual", "skip"]);
    }

    #[test]
    fn a_text_needs_no_label_of_a_video() {
        let error = of(Kind::Atc, &[line("a", r#", "labels": {"textual": 1}"#)]).unwrap_err();
        assert!(error.to_string().contains("atc.visual"), "{error}");
    }

    #[test]
    fn unlabelled_samples_are_counted() {
        let lines = [line("a", ""), line("b", r#", "video": "v.mp4""#)];
        let records = of(Kind::Sft, &lines).unwrap();
        assert_eq!((records.without_visual, records.without_textual), (1, 2));
    }

    #[test]
    fn a_reference_without_tags_is_refused_where_it_is_rewarded_by() {
        refused(Kind::Grpo, &[line("a", "")], &["line 1", "<vidType>"]);
        let tagged = line("a", "").replace("\"a\"}", &format!("\"{TAGS}\"}}"));
        of(Kind::Grpo, &[tagged]).unwrap();
    }

    #[test]
    fn a_preference_needs_something_rejected() {
        refused(Kind::Dpo, &[line("a", "")], &["line 1", "`rejected`"]);
    }

    fn stage(take: Option<usize>, folder: &Path) -> Stage {
        let path = folder.join("data.jsonl");
        let lines: Vec<String> = (0..20).map(|i| line(&i.to_string(), "")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let mut stage = Stage::of(Kind::Sft, path);
        stage.data[0].take = take;
        stage.question = Some("Please: {query}".into());
        stage
    }

    #[test]
    fn a_draw_depends_on_the_seed_alone() {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(Some(5), folder.path());
        let draw = |seed| records(&stage, seed).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1).records.len(), 5);
    }

    #[test]
    fn more_than_there_are_cannot_be_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let error = records(&stage(Some(21), folder.path()), 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("21") && error.contains("20"), "{error}");
    }

    #[test]
    fn the_stages_words_stand_around_the_query() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(&stage(None, folder.path()), 1).unwrap();
        assert_eq!(records.records[0].query, "Please: q");
    }

    #[test]
    fn the_same_id_in_two_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = stage(None, folder.path());
        let again = folder.path().join("again.jsonl");
        std::fs::copy(&stage.data[0].file, &again).unwrap();
        stage.data.push(Take {
            file: again,
            take: None,
        });
        let error = records(&stage, 1).unwrap_err().to_string();
        assert!(
            error.contains("again.jsonl") && error.contains("`0`"),
            "{error}"
        );
    }
}
