//! The recipes of the repository.

use std::path::{Path, PathBuf};

use train::recipe::Recipe;

fn recipes() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let of = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path())
    };
    of(folder.clone())
        .chain(of(folder.join("ablation")))
        .filter(|path| path.is_file() && path.file_name().unwrap() != "ablation.toml")
        .collect()
}

#[test]
fn every_recipe_is_one() {
    let all = recipes();
    assert!(all.len() >= 9, "{all:?}");
    for path in all {
        Recipe::open(&path, None).unwrap_or_else(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            panic!("{}: {error} {source:?}", path.display())
        });
    }
}

#[test]
fn the_large_recipes_have_the_papers_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let recipe = Recipe::open(&folder.join("videosafety-r1-2b.toml"), None).unwrap();
    let [alarm, atc, cold_start, grpo] = recipe.stages.as_slice() else {
        panic!("the paper has four stages")
    };
    for stage in [alarm, atc, cold_start, grpo] {
        assert_eq!(stage.training.learning_rate, 1e-6);
        assert_eq!(
            stage.training.frozen.len(),
            2,
            "vision encoder and projector"
        );
    }
    assert_eq!(atc.atc.unwrap().visual, 0.1);
    assert_eq!(alarm.alarm.as_ref().unwrap().embeddings_learning_rate, 1e-5);
    let taken = |stage: &train::recipe::Stage| -> usize {
        stage.data.iter().filter_map(|take| take.take).sum()
    };
    assert_eq!(
        [alarm, cold_start, grpo].map(taken),
        [10_000, 15_000, 25_000]
    );
    let settings = grpo.grpo.as_ref().unwrap();
    assert_eq!(
        (settings.group, settings.max_tokens, settings.beta),
        (6, 768, 0.04)
    );
}
