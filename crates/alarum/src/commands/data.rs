//! `alarum data`: training data from format to format, mixed and checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use model::Processor;
use safety::SafetyLabel;
use train::data::check::{Checks, Findings, Severity, Stage, check};
use train::data::convert::{self, Convention, Conversion};
use train::data::mix::{Take, Unlabelled, mix};
use video::Decoder;

use crate::args::{Check, Convert, Data, DataStage, Format, Mix};
use crate::progress::{Bar, UserError, print_line, say};

pub(crate) fn run(command: &Data) -> Result<()> {
    match command {
        Data::Convert(arguments) => converted(arguments),
        Data::Mix(arguments) => mixed(arguments),
        Data::Check(arguments) => checked(arguments),
    }
}

fn converted(arguments: &Convert) -> Result<()> {
    let format = |format| match format {
        Format::Alarum => convert::Format::Alarum,
        Format::Sft => convert::Format::Sft,
        Format::Grpo => convert::Format::Grpo,
    };
    let how = Conversion {
        from: format(arguments.from),
        to: format(arguments.to),
        labels: if arguments.flip_labels {
            Convention::Reversed
        } else {
            Convention::Current
        },
        videos: arguments.videos.as_deref(),
    };
    let done = convert::convert(&arguments.input, &arguments.output, &how).map_err(users)?;
    for (key, count) in &done.ignored {
        say(&format!(
            "key `{key}` of {count} records has no place in the other format and is left out"
        ));
    }
    print_line(&format!(
        "{}: {} records, {} unlabelled, {} with one label of two",
        arguments.output.display(),
        done.records,
        done.unlabelled,
        done.half_labelled
    ));
    Ok(())
}

fn mixed(arguments: &Mix) -> Result<()> {
    for file in &arguments.assume_safe {
        if !arguments.take.iter().any(|(taken, _)| taken == file) {
            let file = file.display();
            let said =
                format!("--assume-safe {file}: nothing is taken of it; name it as in --take");
            return Err(UserError(said).into());
        }
    }
    let takes: Vec<Take> = arguments
        .take
        .iter()
        .map(|(file, count)| Take {
            file: file.clone(),
            count: *count,
            unlabelled: if arguments.assume_safe.contains(file) {
                Unlabelled::Safe
            } else {
                Unlabelled::Unknown
            },
        })
        .collect();
    let taken = mix(&arguments.output, &takes, arguments.seed).map_err(users)?;
    for (take, taken) in takes.iter().zip(&taken) {
        print_line(&format!(
            "{}: {} of {} records, {} taken to be safe, {} renamed",
            take.file.display(),
            take.count,
            taken.of,
            taken.labelled,
            taken.renamed
        ));
    }
    let total: usize = takes.iter().map(|take| take.count).sum();
    print_line(&format!(
        "{}: {total} records, seed {}",
        arguments.output.display(),
        arguments.seed
    ));
    Ok(())
}

fn checked(arguments: &Check) -> Result<()> {
    let stage = arguments.stage.map(|stage| match stage {
        DataStage::AtSft => Stage::AtSft,
        DataStage::Atc => Stage::Atc,
        DataStage::Cot => Stage::Cot,
        DataStage::Grpo => Stage::Grpo,
        DataStage::Dpo => Stage::Dpo,
    });
    let processor = arguments
        .model
        .as_deref()
        .map(Processor::open)
        .transpose()?;
    let checks = Checks {
        stage,
        decoder: Decoder::default(),
        processor: processor.map(Arc::new),
    };
    let bar = Bar::new("probe", 0);
    let findings = check(&arguments.file, &checks, &|done, total| {
        bar.length(total as u64);
        bar.set(done as u64, "");
    });
    let findings = findings.map_err(users)?;
    bar.finish(&format!(
        "{} videos and images",
        findings.videos + findings.images
    ));
    let file = arguments.file.display();
    for problem in &findings.problems {
        let id = problem
            .id
            .as_ref()
            .map_or(String::new(), |id| format!(" [{id}]"));
        let severity = match problem.severity {
            Severity::Unusable => "unusable",
            Severity::Doubtful => "doubtful",
        };
        print_line(&format!(
            "{file}:{}{id}: {severity}: {}",
            problem.line, problem.what
        ));
    }
    for line in summary(&findings) {
        print_line(&line);
    }
    if findings.is_unusable() {
        return Err(UserError(format!("{file} has records that cannot be used")).into());
    }
    Ok(())
}

/// What is in a file, a line each.
fn summary(findings: &Findings) -> Vec<String> {
    let Findings {
        records,
        videos,
        images,
        ..
    } = findings;
    let text = records - videos - images;
    let mut lines = vec![
        format!(
            "records   {records}: {videos} with a video, {images} with an image, {text} of text alone"
        ),
        format!(
            "tasks     {}",
            counts(&findings.tasks, |task| task.name().to_owned())
        ),
        format!(
            "subsets   {}",
            counts(&findings.subsets, |subset| subset
                .map_or("none", |subset| subset.name())
                .to_owned())
        ),
        format!(
            "labels    {} (visual textual, ? unknown)",
            counts(&findings.labels, |labels| labels.map(label).join(" "))
        ),
    ];
    let with = |missing: usize| {
        let unknown = |labels: &[Option<SafetyLabel>; 2]| {
            labels.iter().filter(|label| label.is_none()).count()
        };
        let counted = findings
            .labels
            .iter()
            .filter(|(labels, _)| unknown(labels) == missing);
        counted.map(|(_, count)| count).sum::<usize>()
    };
    lines.push(format!(
        "unlabelled {} without any label, {} with one of two",
        with(2),
        with(1)
    ));
    if let Some(tokens) = &findings.tokens
        && let (Some(least), Some(most)) = (tokens.first(), tokens.last())
    {
        let total: usize = tokens.iter().sum();
        let median = tokens[tokens.len() / 2];
        lines.push(format!(
            "tokens    {total} at most, each {least} to {most}, median {median}"
        ));
    }
    lines
}

fn label(label: Option<SafetyLabel>) -> &'static str {
    match label {
        Some(SafetyLabel::Safe) => "0",
        Some(SafetyLabel::Harmful) => "1",
        None => "?",
    }
}

fn counts<K>(counts: &BTreeMap<K, usize>, name: impl Fn(&K) -> String) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = counts
        .iter()
        .map(|(key, count)| format!("{}: {count}", name(key)))
        .collect();
    each.join(", ")
}

/// A data file that is not what it should be is the user's to mend.
fn users(error: train::Error) -> anyhow::Error {
    match error {
        train::Error::BadLines { .. } | train::Error::BadFile { .. } => {
            UserError(error.to_string()).into()
        }
        other => other.into(),
    }
}
