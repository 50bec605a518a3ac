//! A model small enough to be trained from nothing in minutes: VideoLLaMA3's architecture with a
//! million weights, and the files that its folder holds beside them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use model::Config;
use model::config::{Layout, TextConfig, VisionConfig};
use serde_json::json;
use tokenizers::Tokenizer;
use train::order::Batch;
use train::recipe::{Kind, Length, Stage, Training, Warmup};

use super::scene::SIDE;
use super::vocabulary;

/// Frames a second that the model is shown: three times the usual, since its hazards are motions.
const FPS: usize = 3;
/// Most frames of a clip.
const MAX_FRAMES: usize = 6;
/// Standard deviation of fresh weights.
pub(crate) const INITIAL_STD: f64 = 0.04;

/// Its sizes.
pub(crate) fn config(tokenizer: &Tokenizer) -> Result<Config> {
    Ok(Config {
        text: TextConfig {
            hidden_size: 128,
            intermediate_size: 384,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 32,
            vocab_size: tokenizer.get_vocab_size(true),
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            max_position_embeddings: 2048,
            tie_word_embeddings: true,
        },
        vision: VisionConfig {
            hidden_size: 96,
            intermediate_size: 192,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_channels: 3,
            patch_size: 14,
            layer_norm_eps: 1e-6,
            rope_theta: 10_000.0,
        },
        image_token_id: vocabulary::id(tokenizer, "<|image_pad|>")?,
        video_token_id: vocabulary::id(tokenizer, "<|video_pad|>")?,
        layout: Layout::Port,
    })
}

/// Writes everything of the model's folder but its weights.
pub(crate) fn save(tokenizer: &Tokenizer, folder: &Path) -> Result<Config> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let config = config(tokenizer)?;
    vocabulary::save(tokenizer, folder)?;
    let frame = SIDE * SIDE;
    let common = json!({
        "patch_size": 14, "temporal_patch_size": 1, "resample": 3, "do_resize": true, "do_rescale": true,
        "rescale_factor": 1.0 / 255.0, "do_normalize": true, "do_convert_rgb": true,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    });
    let with = |extra: serde_json::Value| {
        let mut all = common.clone();
        if let (Some(all), serde_json::Value::Object(extra)) = (all.as_object_mut(), extra) {
            all.extend(extra);
        }
        all
    };
    let processor = json!({
        "processor_class": "VideoLlama3Processor",
        "image_processor": with(json!({
            "image_processor_type": "VideoLlama3ImageProcessor", "merge_size": 1,
            "size": {"shortest_edge": 56 * 56, "longest_edge": frame},
        })),
        "video_processor": with(json!({
            "video_processor_type": "VideoLlama3VideoProcessor", "merge_size": 2, "fps": FPS,
            "max_frames": MAX_FRAMES, "min_frames": 1, "use_token_compression": false,
            "size": {"shortest_edge": 56 * 56, "longest_edge": frame * MAX_FRAMES},
        })),
    });
    let files = [
        ("config.json", config.to_port_json()),
        ("processor_config.json", processor),
    ];
    for (name, value) in files {
        let path = folder.join(name);
        std::fs::write(&path, serde_json::to_string_pretty(&value)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(config)
}

/// How the base model is trained, from nothing.
pub(crate) fn stage(records: PathBuf) -> Stage {
    Stage {
        name: "base".to_owned(),
        training: Training {
            length: Length::Steps(500),
            batch: Batch::samples(8),
            accumulation: 2,
            learning_rate: 1e-3,
            // A short run: the mean of squares must not remember the first steps for long.
            beta2: 0.95,
            warmup: Warmup::Ratio(0.1),
            weight_decay: 0.01,
            clip: 1.0,
            checkpoint_every: 100,
            keep: 1,
            frozen: Vec::new(),
            ..Training::default()
        },
        ..Stage::of(Kind::Sft, records)
    }
}
