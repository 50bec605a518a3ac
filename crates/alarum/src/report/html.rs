//! The report of a run as one HTML file that needs nothing else: no request, no script from elsewhere.

use std::collections::BTreeSet;

use anyhow::Context;
use bench::Run;
use bench::format::Problem;
use bench::journal::Journal;
use bench::judge::Judgement;
use serde::Serialize;

use super::pictures::{Picture, Pictures};
use super::samples::{Asked, Card, cards};
use super::scores::{self, Chart, Group, HeadRow, Headline, HeatRow, OutcomeRow};
use super::{STYLE, words};

const TEMPLATE: &str = include_str!("template.html");
const SCRIPT: &str = include_str!("script.js");

/// What the template is filled with. Strings are escaped there, but for `style`, `script` and the drawings
/// of [`super::chart`], which hold no foreign text.
#[derive(Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    model: String,
    benchmark: String,
    judge: String,
    caveat: &'static str,
    finding: String,
    notes: Vec<String>,
    sample_count: String,
    leading: Option<Headline>,
    headlines: Vec<Headline>,
    safe_queries: Vec<Group>,
    categories: Vec<Chart>,
    languages: Vec<Group>,
    heat: Vec<HeatRow>,
    outcomes: Vec<OutcomeRow>,
    heads: Vec<HeadRow>,
    settings: Vec<(String, String)>,
    problems: Vec<Fault>,
    /// Id and name of each category that has samples.
    category_options: Vec<(String, String)>,
    subset_options: Vec<&'static str>,
    several_languages: bool,
    any_veiled: bool,
    cards: Vec<Card>,
    pictures: Vec<Picture>,
}

/// One problem of the benchmark.
#[derive(Serialize)]
struct Fault {
    place: String,
    what: String,
    remedy: String,
}

/// The whole page. The same run gives the same bytes.
///
/// # Errors
/// If the run was not scored, or a file of it cannot be read.
pub(crate) fn render(run: &Run) -> anyhow::Result<String> {
    fill("report.html", TEMPLATE, &page(run)?)
}

/// Fills a template whose name ends in `.html`: that is what turns escaping on.
pub(super) fn fill(name: &str, template: &str, page: &impl Serialize) -> anyhow::Result<String> {
    let mut environment = minijinja::Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment
        .add_template(name, template)
        .context("the report's own template")?;
    let template = environment
        .get_template(name)
        .context("the report's own template")?;
    template.render(page).context("cannot fill the report")
}

fn page(run: &Run) -> anyhow::Result<Page> {
    let results = run
        .results()
        .context("the run has no scores yet: let its evaluation finish")?;
    let (samples, taxonomy, problems) = (run.samples()?, run.taxonomy()?, run.problems()?);
    let records = Journal::read(&run.journal_path())?;
    let judgements = judgements(run)?;
    let mut pictures = Pictures::new(run.frames_path());
    let asked = Asked {
        samples: &samples,
        taxonomy: &taxonomy,
        records: &records,
        judgements: &judgements,
        conditions: &run.settings.conditions,
        epochs: run.settings.epochs,
    };
    let cards = cards(&asked, &mut pictures);
    let used: BTreeSet<&str> = samples
        .iter()
        .map(|sample| sample.category.as_str())
        .collect();
    let languages: BTreeSet<_> = samples.iter().map(|sample| sample.language).collect();
    Ok(Page {
        style: STYLE,
        script: SCRIPT,
        model: words::line(&results.model, 120),
        benchmark: words::line(&results.benchmark, 120),
        judge: words::line(&results.judge, 120),
        caveat: words::caveat(&results.judge),
        finding: words::finding(&results),
        notes: words::notes(&results),
        sample_count: words::counted(results.samples, "sample"),
        leading: scores::leading(&results),
        headlines: scores::headlines(&results),
        safe_queries: scores::safe_queries(&results),
        categories: scores::categories(&results, &taxonomy),
        languages: scores::languages(&results),
        heat: scores::heat(&results, &taxonomy),
        outcomes: scores::outcomes(&results),
        heads: scores::heads(&results),
        settings: settings(run)?,
        problems: problems.iter().map(fault).collect(),
        category_options: taxonomy
            .iter()
            .filter(|category| used.contains(category.id.as_str()))
            .map(|category| {
                (
                    words::line(&category.id, 120),
                    words::line(&category.name, 120),
                )
            })
            .collect(),
        subset_options: safety::Subset::ALL
            .into_iter()
            .filter(|subset| samples.iter().any(|sample| sample.subset == *subset))
            .map(safety::Subset::name)
            .collect(),
        several_languages: languages.len() > 1,
        any_veiled: cards.iter().any(Card::hides_frames),
        cards,
        pictures: pictures.into_all(),
    })
}

/// What the judge wrote; nothing if nothing was judged yet.
fn judgements(run: &Run) -> anyhow::Result<Vec<Judgement>> {
    let path = run.judgements_path();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line)
            .with_context(|| format!("{}: line {} is not a judgement", path.display(), index + 1))
    };
    text.lines().enumerate().map(parse).collect()
}

/// Every setting by the name that it has in `run.toml`.
fn settings(run: &Run) -> anyhow::Result<Vec<(String, String)>> {
    let value = serde_json::to_value(&run.settings).context("the run's settings")?;
    Ok(flattened(&value))
}

/// Every value of a configuration by its path, with dots.
pub(super) fn flattened(value: &serde_json::Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    collect("", value, &mut rows);
    rows
}

fn collect(name: &str, value: &serde_json::Value, rows: &mut Vec<(String, String)>) {
    use serde_json::Value;
    let text = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                collect(&format!("{name}{dot}{field}"), value, rows);
            }
            return;
        }
        Value::Array(items) => {
            let item = |item: &Value| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            };
            items.iter().map(item).collect::<Vec<_>>().join(", ")
        }
        Value::Null => words::NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.push((words::line(name, 200), words::plain(&text)));
}

fn fault(problem: &Problem) -> Fault {
    let line = problem
        .line
        .map(|line| format!(", line {line}"))
        .unwrap_or_default();
    let id = problem
        .id
        .as_ref()
        .map(|id| format!(" ({id})"))
        .unwrap_or_default();
    Fault {
        place: words::line(&format!("{}{line}{id}", problem.file), 200),
        what: words::line(&problem.what, 600),
        remedy: words::line(&problem.remedy, 400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::world;

    fn page_of_the_world() -> String {
        let folder = tempfile::tempdir().unwrap();
        render(&world::run(folder.path())).unwrap()
    }

    /// What stands in the page's body, where foreign text is.
    fn body(page: &str) -> &str {
        page.split_once("<body>")
            .unwrap()
            .1
            .rsplit_once("<script>")
            .unwrap()
            .0
    }

    #[test]
    fn foreign_text_stays_text() {
        let page = page_of_the_world();
        let body = body(&page);
        for escape in [
            "<script",
            "</script",
            "<img",
            "<textarea",
            "</textarea",
            "<b>model",
            "<i>no",
            "<memory",
        ] {
            assert!(!body.contains(escape), "{escape}");
        }
        for kept in [
            "&lt;script&gt;alert(1)",
            "onerror=&#x27;alert(2)",
            "&quot;quoted&quot;",
            "&amp;",
        ] {
            assert!(body.contains(kept), "{kept}");
        }
        assert!(
            page.contains("<title>scripted &lt;b&gt;model&lt;&#x2f;b&gt; on small 1"),
            "{}",
            &page[..900]
        );
    }

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        let page = page_of_the_world();
        assert!(
            page.chars()
                .all(|c| c == '\n' || c == '\t' || !c.is_control())
        );
        assert!(page.contains("␀ ␛[31m"));
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page = page_of_the_world();
        assert!(page.contains("content=\"default-src 'none'; img-src data:;"));
        for (at, _) in page
            .match_indices("href=\"")
            .chain(page.match_indices("src=\""))
        {
            let target = page[at..].split('"').nth(1).unwrap();
            assert!(
                target.starts_with('#') || target.starts_with("data:image/jpeg;base64,"),
                "{target}"
            );
        }
        for asking in ["url(", "@import", "http://", "https://", "fetch(", "<link"] {
            assert!(!page.contains(asking), "{asking}");
        }
    }

    #[test]
    fn the_same_run_gives_the_same_bytes() {
        assert_eq!(page_of_the_world(), page_of_the_world());
    }

    #[test]
    fn every_picture_is_in_the_page_once() {
        let page = page_of_the_world();
        // Six videos are shown; each has ten frames, six in sight.
        assert_eq!(page.matches("data:image/jpeg").count(), 6 * 6);
        assert!(page.contains("6 of 10 frames that the model saw"));
        assert!(page.matches("<use href=\"#p0\"/>").count() == 2);
    }

    #[test]
    fn a_long_answer_is_folded_and_whole() {
        let page = page_of_the_world();
        assert_eq!(page.matches("<details class=\"long\">").count(), 1);
        let folded = page
            .split("<details class=\"long\">")
            .nth(1)
            .unwrap()
            .split("</details>")
            .next()
            .unwrap();
        assert!(folded.matches("ab ").count() > world::LONG / 3);
        assert!(
            folded.contains("all 100001 characters"),
            "{}",
            &folded[..1000]
        );
    }

    #[test]
    fn errors_are_shown_as_errors() {
        let page = page_of_the_world();
        assert!(page.contains("SH-0.mp4 is cut short"));
        assert!(page.contains("no &lt;memory&gt;"));
        assert_eq!(page.matches("class=\"badge error\"").count(), 2);
    }

    #[test]
    fn only_frames_of_harmful_videos_are_veiled() {
        let page = page_of_the_world();
        assert_eq!(page.matches("class=\"seen veiled\"").count(), 4);
        assert_eq!(page.matches("class=\"seen\"").count(), 3 + 3);
    }

    #[test]
    fn a_lost_defence_can_be_found() {
        let page = page_of_the_world();
        // HH-2 was cut off by the limit and read all the same; SH-1 declined with its video too.
        assert_eq!(page.matches("data-change=\"lost\"").count(), 4);
    }

    #[test]
    fn alarm_heads_are_shown_where_the_model_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let page = render(&world::run_with_heads(folder.path())).unwrap();
        assert!(page.contains("<h2>Alarm heads</h2>"));
        assert!(page.contains("P(harmful): video 0.875, text 0.875"));
        assert!(page.contains("P(harmful): text 0.125"));
        assert!(!page_of_the_world().contains("Alarm heads"));
    }

    #[test]
    fn a_run_without_scores_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let run = world::run(folder.path());
        std::fs::remove_file(run.results_path()).unwrap();
        let error = format!("{:#}", render(&run).unwrap_err());
        assert!(error.starts_with("the run has no scores yet"), "{error}");
    }

    #[test]
    fn a_run_without_pictures_is_shown_without_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let run = world::run(folder.path());
        std::fs::remove_dir_all(run.frames_path()).unwrap();
        let page = render(&run).unwrap();
        assert_eq!(page.matches("data:image/jpeg").count(), 0);
        assert!(page.contains("1.2 s"));
    }
}
