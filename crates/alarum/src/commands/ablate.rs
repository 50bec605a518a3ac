//! `alarum ablate`: an ablation table from one command. Each row is a recipe; what several rows have in
//! common is trained once. Every row is evaluated with every seed.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bench::Benchmark;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use train::recipe::{Recipe, START, Stage};
use train::stages::chain::{MODEL, stage_folder};

use crate::ablation::{Figures, table};
use crate::args::Ablate;
use crate::commands::train::{Words, chain, cores, open, users};
use crate::commands::{demo, doctor, eval};
use crate::local::LocalModel;
use crate::media;
use crate::progress::{UserError, print, say};

/// What is compared, and with which seeds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Each gives a starting checkpoint, data and benchmark of its own if the world is the miniature one.
    pub seeds: Vec<u64>,
    /// Where recipes' paths begin: the miniature world, made for each seed, or the recipes' own folders.
    #[serde(default)]
    pub world: World,
    /// Benchmark folder; of the miniature world its own.
    #[serde(default)]
    pub benchmark: Option<PathBuf>,
    /// Longest answer in tokens.
    pub max_tokens: usize,
    /// In the order of the table.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum World {
    Miniature,
    #[default]
    Own,
}

/// One line of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// As the table has it.
    pub name: String,
    /// Relative to the plan; absent for the starting checkpoint.
    #[serde(default)]
    pub recipe: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Ablate) -> Result<()> {
    let plan: Plan = toml::from_str(&media::text(&arguments.plan)?)
        .map_err(|error| UserError(format!("{}: {error}", arguments.plan.display())))?;
    let folder = arguments.plan.parent().unwrap_or(Path::new(""));
    let rows = read(&plan, folder)?;
    doctor::require_ffmpeg()?;
    let jobs = NonZeroUsize::new(arguments.jobs)
        .unwrap_or_else(cores)
        .get()
        .min(plan.seeds.len());
    let workers = NonZeroUsize::new(cores().get() / jobs).unwrap_or(NonZeroUsize::MIN);
    let queue = Mutex::new(plan.seeds.iter().copied());
    let all: Mutex<BTreeMap<u64, Vec<Figures>>> = Mutex::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let next = queue.lock().ok().and_then(|mut queue| queue.next());
                        let Some(seed) = next else { return Ok(()) };
                        let work = OneSeed {
                            plan: &plan,
                            seed,
                            out: arguments.out.join(format!("seed-{seed}")),
                            workers,
                        };
                        let figures = work.run(&rows)?;
                        if let Ok(mut all) = all.lock() {
                            all.insert(seed, figures);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        anyhow::Ok(())
    })?;
    let all = all.into_inner().unwrap_or_default();
    let by_seed: Vec<Vec<Figures>> = all.into_values().collect();
    let names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    let written = table(&names, &by_seed);
    let path = arguments.out.join("ablation.md");
    std::fs::write(&path, &written).with_context(|| format!("cannot write {}", path.display()))?;
    let path = arguments.out.join("ablation.json");
    std::fs::write(&path, serde_json::to_string_pretty(&by_seed)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    print(&written);
    Ok(())
}

/// Rows with their recipes, their paths still to be placed.
fn read(plan: &Plan, folder: &Path) -> Result<Vec<(String, Option<Recipe>)>> {
    if plan.seeds.is_empty() || plan.rows.is_empty() {
        bail!(UserError(
            "an ablation needs a seed and a row at least".into()
        ));
    }
    if plan.world == World::Own && plan.benchmark.is_none() {
        bail!(UserError(
            "name a benchmark folder, or write world = \"miniature\"".into()
        ));
    }
    plan.rows
        .iter()
        .map(|row| {
            let recipe = row.recipe.as_ref().map(|path| {
                let path = folder.join(path);
                match plan.world {
                    World::Own => open(&path, None),
                    // Its paths are placed for each seed.
                    World::Miniature => unplaced(&path),
                }
            });
            Ok((row.name.clone(), recipe.transpose()?))
        })
        .collect()
}

/// A recipe whose paths are still as they are written.
fn unplaced(path: &Path) -> Result<Recipe> {
    let recipe = Recipe::from_toml(&media::text(path)?);
    let recipe = recipe.map_err(|error| users(error).context(path.display().to_string()))?;
    Ok(recipe)
}

/// Everything of one seed.
struct OneSeed<'a> {
    plan: &'a Plan,
    seed: u64,
    out: PathBuf,
    workers: NonZeroUsize,
}

impl OneSeed<'_> {
    fn run(&self, rows: &[(String, Option<Recipe>)]) -> Result<Vec<Figures>> {
        let prefix = format!("seed {}", self.seed);
        let words = Words {
            prefix: Some(prefix.clone()),
        };
        if self.plan.world == World::Miniature {
            demo::prepare(&self.out, self.seed, self.workers, &words)?;
        }
        let joined = Joined::of(rows, self.seed)?;
        let benchmark = match &self.plan.benchmark {
            Some(folder) => folder.clone(),
            None => self.out.join(demo::BENCHMARK),
        };
        let benchmark = Benchmark::open(&benchmark)?;
        let mut figures = Vec::with_capacity(rows.len());
        let mut start = None;
        if let Some(mut recipe) = joined.recipe.clone() {
            if self.plan.world == World::Miniature {
                recipe.relative_to(&std::path::absolute(&self.out)?);
            }
            start = Some(recipe.model.clone());
            let folder = self.out.join("stages");
            chain(&recipe, &folder, self.workers, None, &words)?;
            for ((name, _), end) in rows.iter().zip(&joined.ends) {
                let model = match end {
                    Some(index) => stage_folder(&folder, &recipe, *index).join(MODEL),
                    None => recipe.model.clone(),
                };
                figures.push(self.evaluate(
                    name,
                    &model,
                    &benchmark,
                    joined.seconds(&folder, &recipe, *end)?,
                )?);
            }
        }
        if start.is_none() {
            bail!(UserError(
                "every row of the ablation is the starting checkpoint: give one a recipe".into()
            ));
        }
        Ok(figures)
    }

    fn evaluate(
        &self,
        name: &str,
        model: &Path,
        benchmark: &Benchmark,
        seconds: f64,
    ) -> Result<Figures> {
        let begun = Instant::now();
        let model = LocalModel::load(model, DType::F32, &Device::Cpu)?.called(name);
        let mut settings = eval::settings(&model, benchmark);
        settings.generation.max_tokens = self.plan.max_tokens;
        let run = self.out.join("runs").join(slug(name));
        let results = eval::evaluate(&run, settings, benchmark, &model)?;
        say(&format!(
            "seed {}  {name}: evaluated in {:.0} s",
            self.seed,
            begun.elapsed().as_secs_f64()
        ));
        Ok(Figures::of(&results, seconds))
    }
}

/// The stages of all rows as one tree.
struct Joined {
    recipe: Option<Recipe>,
    /// The last stage of each row.
    ends: Vec<Option<usize>>,
}

/// Whatever two stages must share to be one: what they start from, and all of their settings.
#[derive(Serialize)]
struct Key<'a> {
    parent: Option<usize>,
    stage: &'a Stage,
}

impl Joined {
    fn of(rows: &[(String, Option<Recipe>)], seed: u64) -> Result<Self> {
        let mut joined: Option<Recipe> = None;
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let mut ends = Vec::with_capacity(rows.len());
        for (name, recipe) in rows {
            let Some(recipe) = recipe else {
                ends.push(None);
                continue;
            };
            let all = joined.get_or_insert_with(|| Recipe {
                seed,
                model: recipe.model.clone(),
                stages: Vec::new(),
            });
            if all.model != recipe.model {
                bail!(UserError(format!(
                    "row `{name}` starts from another checkpoint than the rows before it"
                )));
            }
            let mut places: Vec<usize> = Vec::with_capacity(recipe.stages.len());
            for (index, stage) in recipe.stages.iter().enumerate() {
                let parent = recipe.parent(index).map(|parent| places[parent]);
                let resolved = Stage {
                    from: None,
                    ..stage.resolved()
                };
                let key = serde_json::to_string(&Key {
                    parent,
                    stage: &resolved,
                })?;
                let place = *known.entry(key).or_insert_with(|| {
                    let from =
                        parent.map_or(START.to_owned(), |parent| all.stages[parent].name.clone());
                    let taken = |name: &str| all.stages.iter().any(|stage| stage.name == name);
                    let mut unique = stage.name.clone();
                    let mut count = 2;
                    while taken(&unique) {
                        unique = format!("{}-{count}", stage.name);
                        count += 1;
                    }
                    all.stages.push(Stage {
                        name: unique,
                        from: Some(from),
                        ..resolved
                    });
                    all.stages.len() - 1
                });
                places.push(place);
            }
            ends.push(places.last().copied());
        }
        Ok(Self {
            recipe: joined,
            ends,
        })
    }

    /// What the stages up to `end` took.
    fn seconds(&self, folder: &Path, recipe: &Recipe, end: Option<usize>) -> Result<f64> {
        let mut seconds = 0.0;
        let mut here = end;
        while let Some(index) = here {
            for event in train::events::read(&stage_folder(folder, recipe, index))? {
                if let train::events::Event::Step(step) = event {
                    seconds += step.seconds;
                }
            }
            here = recipe.parent(index);
        }
        Ok(seconds)
    }
}

/// A name as a folder.
fn slug(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let slug: String = name.chars().map(plain).collect();
    slug.trim_matches('-').to_owned()
}
