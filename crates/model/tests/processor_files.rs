//! The processor's files: three forms are read, and what is wrong with one is said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::{Path, PathBuf};

use model::Processor;
use model::config::Layout;
use model::processor::size::{Limits, TokenLimits};
use model::processor::{Bounds, Compression, ProcessorConfig};
use serde_json::{Value, json};
use video::Sampling;

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(folder)
        .join("checkpoint")
}

fn folder_with(files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in files {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    folder
}

fn read(files: &[(&str, Value)]) -> model::Result<ProcessorConfig> {
    ProcessorConfig::open(folder_with(files).path(), Layout::Port)
}

#[test]
fn the_new_and_the_older_files_of_the_port_are_read_alike() {
    let new = ProcessorConfig::open(&golden("sharded"), Layout::Port).unwrap();
    let older = ProcessorConfig::open(&golden("half"), Layout::Port).unwrap();
    assert_eq!(new, older);
    let limits = |tokens: u64| Limits {
        min_pixels: 16 * 196,
        max_pixels: tokens * 196,
    };
    assert_eq!(
        new.bounds,
        Bounds::Port {
            image: limits(48),
            video: limits(144)
        }
    );
    assert_eq!((new.image_merge, new.video_merge), (2, 2));
}

#[test]
fn the_originals_files_are_read() {
    let found = ProcessorConfig::open(&golden("original"), Layout::Original).unwrap();
    let limits = TokenLimits {
        min_tokens: 4,
        max_tokens: 48,
    };
    assert_eq!(found.bounds, Bounds::Original(limits));
    assert_eq!((found.image_merge, found.video_merge), (1, 2));
    let sampling = Sampling::Fps {
        fps: 1.0,
        max_frames: 180,
    };
    assert_eq!(found.sampling, sampling);
    assert_eq!(found.compression, Compression::On);
}

#[test]
fn a_folder_without_files_has_the_references_defaults() {
    assert_eq!(read(&[]).unwrap(), ProcessorConfig::port());
}

#[test]
fn the_ports_own_sampling_is_named() {
    let video = json!({"do_sample_frames": true, "fps": 2.0, "max_frames": 64, "merge_size": 2});
    let found = read(&[
        ("preprocessor_config.json", json!({})),
        ("video_preprocessor_config.json", video),
    ]);
    let want = Sampling::Transformers {
        fps: 2.0,
        min_frames: 4,
        max_frames: 64,
    };
    assert_eq!(found.unwrap().sampling, want);
}

#[test]
fn written_settings_are_read_back() {
    let mut config = ProcessorConfig::port();
    config.image_merge = 2;
    config.compression = Compression::Off;
    for sampling in [
        Sampling::Fps {
            fps: 2.5,
            max_frames: 7,
        },
        Sampling::Transformers {
            fps: 1.0,
            min_frames: 2,
            max_frames: 9,
        },
        Sampling::Uniform { frames: 8 },
    ] {
        config.sampling = sampling;
        let written = config.to_port_json().unwrap();
        assert_eq!(read(&[("processor_config.json", written)]).unwrap(), config);
    }
}

/// Reading `preprocessor_config.json` fails, and the message names the file and says `words`.
#[track_caller]
fn check(image: Value, words: &str) {
    let error = read(&[("preprocessor_config.json", image)])
        .unwrap_err()
        .to_string();
    assert!(error.contains("preprocessor_config.json"), "{error}");
    assert!(error.contains(words), "{error:?} does not say {words:?}");
}

#[test]
fn another_models_processor_is_refused() {
    check(
        json!({"image_processor_type": "Qwen2VLImageProcessor"}),
        "is not VideoLLaMA3's",
    );
}

#[test]
fn another_filter_is_refused() {
    check(json!({"resample": 2}), "only 3 (bicubic)");
}

#[test]
fn patches_over_time_are_refused() {
    check(json!({"temporal_patch_size": 2}), "only 1 is supported");
}

#[test]
fn an_untouched_size_is_refused() {
    check(json!({"do_resize": false}), "`do_resize` is false");
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    check(json!({"min_pixels": 5000, "max_pixels": 100}), "contradict");
    check(
        json!({"max_tokens": 4, "min_tokens": 5}),
        "min_tokens is above max_tokens",
    );
}

#[test]
fn unknown_sizes_are_refused() {
    check(json!({"size": {"height": 224, "width": 224}}), "\"height\"");
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    check(json!({"patch_size": 0}), "`patch_size` is 0");
    check(json!({"patch_size": 5000}), "more than 1024");
    check(json!({"merge_size": -1}), "`merge_size` is -1");
    check(json!({"merge_size": "2"}), "`merge_size` is \"2\"");
    check(json!({"image_std": [0.5, 0.0, 0.5]}), "`image_std`");
    check(json!({"image_mean": [0.5, 0.5]}), "not three numbers");
    check(json!({"rescale_factor": 0}), "`rescale_factor` is 0");
}

#[test]
fn different_patches_for_images_and_videos_are_refused() {
    let files = [
        ("preprocessor_config.json", json!({"patch_size": 14})),
        ("video_preprocessor_config.json", json!({"patch_size": 16})),
    ];
    let error = read(&files).unwrap_err().to_string();
    assert!(error.contains("one encoder for both"), "{error}");
}

// ---- a whole folder -----------------------------------------------------------------------------

fn copy(folder: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(folder)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn change(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(&path, value.to_string()).unwrap();
}

#[track_caller]
fn check_open(folder: &Path, words: &str) {
    let error = Processor::open(folder).unwrap_err().to_string();
    assert!(error.contains(words), "{error:?} does not say {words:?}");
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_model_embeds_is_refused() {
    let folder = copy("grouped");
    change(folder.path(), "config.json", |config| {
        config["text_config"]["vocab_size"] = json!(300);
    });
    check_open(
        folder.path(),
        "tokenizer.json has 313 tokens, the model embeds 300",
    );
}

#[test]
fn a_placeholder_with_another_id_is_refused() {
    let folder = copy("grouped");
    change(folder.path(), "config.json", |config| {
        config["video_token_id"] = json!(7);
    });
    check_open(
        folder.path(),
        "<|video_pad|> is 312 in tokenizer.json and 7 in config.json",
    );
}

#[test]
fn patches_of_another_size_than_the_encoders_are_refused() {
    let folder = copy("grouped");
    change(folder.path(), "config.json", |config| {
        config["vision_config"]["patch_size"] = json!(16);
    });
    check_open(folder.path(), "patch_size is 14, the vision encoder's 16");
}

#[test]
fn a_missing_tokenizer_is_named() {
    let folder = copy("grouped");
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    check_open(folder.path(), "tokenizer.json");
}

#[test]
fn a_checkpoint_without_a_template_has_the_published_form() {
    for (name, files) in [
        ("grouped", vec!["chat_template.jinja"]),
        ("original", vec!["chat_template.json"]),
    ] {
        let folder = copy(name);
        let with = prompt(folder.path());
        for file in files {
            std::fs::remove_file(folder.path().join(file)).unwrap();
        }
        if name == "original" {
            change(folder.path(), "tokenizer_config.json", |config| {
                config["chat_template"] = Value::Null;
            });
        }
        assert_eq!(prompt(folder.path()), with);
    }
}

/// A conversation with everything that a template has to write.
fn prompt(folder: &Path) -> String {
    use model::processor::Media;
    use model::{Message, Part, Purpose, Role};
    let frame = |level: u8, seconds: f64| video::Frame {
        width: 56,
        height: 56,
        rgb: vec![level; 56 * 56 * 3],
        seconds: video::Seconds(seconds),
    };
    let (image, frames) = (frame(9, 0.0), [frame(1, 0.25), frame(200, 2.675)]);
    let said = [
        Message::text(Role::System, "Be short."),
        Message::about(0, "What?"),
        Message::text(Role::Assistant, "This."),
        Message {
            role: Role::User,
            content: vec![
                Part::Text("And ".to_owned()),
                Part::Media(1),
                Part::Text("?".to_owned()),
            ],
        },
    ];
    let media = [Media::Image(&image), Media::Video(&frames)];
    let processor = Processor::open(folder).unwrap();
    processor
        .prepare(&said, &media, Purpose::Generation)
        .unwrap()
        .sequence
        .prompt
}
