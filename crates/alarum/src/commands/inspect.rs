//! `alarum inspect`: what a model sees of a file and a question. Its JSON is a stable format, by which
//! users compare us with other implementations.

use anyhow::Result;
use chat::{ChatRequest, Media};
use serde::Serialize;

use crate::args::{Inspect, InspectArguments};
use crate::commands::chat::generation;
use crate::local::LocalModel;
use crate::media;
use crate::progress::print_line;

/// One sampled frame.
#[derive(Serialize)]
struct FrameView {
    seconds: f64,
    /// Of its raw RGB bytes, before any resizing.
    sha256: String,
}

#[derive(Serialize)]
struct FramesView {
    frames: Vec<FrameView>,
    width: u32,
    height: u32,
    source_sha256: String,
}

#[derive(Serialize)]
struct VisionTokens {
    before: usize,
    after: usize,
}

#[derive(Serialize)]
struct AlarmView {
    visual: usize,
    textual: usize,
}

#[derive(Serialize)]
struct Generated {
    ids: Vec<u32>,
    text: String,
}

#[derive(Serialize)]
struct TokensView {
    prompt: String,
    input_ids: Vec<u32>,
    grid: Vec<[usize; 3]>,
    vision_tokens: VisionTokens,
    frames: Vec<FrameView>,
    alarm: Option<AlarmView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<Generated>,
}

pub(crate) fn run(command: &Inspect) -> Result<()> {
    let (Inspect::Frames(arguments) | Inspect::Tokens(arguments) | Inspect::Logits(arguments)) =
        command;
    let model = LocalModel::open(&arguments.model)?;
    let shown = media::read(&arguments.shown, model.own_sampling())?;
    match command {
        Inspect::Frames(_) => frames(&shown, arguments),
        Inspect::Tokens(_) => tokens(&view(&model, shown, arguments, None)?, arguments),
        Inspect::Logits(_) => {
            let view = view(
                &model,
                shown,
                arguments,
                Some(arguments.generate.unwrap_or(0)),
            )?;
            logits(&view, &model, arguments)
        }
    }
}

fn frame_views(media: &Media) -> Vec<FrameView> {
    let view = |frame: &video::Frame| FrameView {
        seconds: frame.seconds.0,
        sha256: frame.sha256(),
    };
    media::clip(media).frames.iter().map(view).collect()
}

fn frames(shown: &[Media], arguments: &InspectArguments) -> Result<()> {
    let views: Vec<FramesView> = shown
        .iter()
        .map(|media| {
            let clip = media::clip(media);
            let (width, height) = clip
                .frames
                .first()
                .map_or((0, 0), |frame| (frame.width, frame.height));
            FramesView {
                frames: frame_views(media),
                width,
                height,
                source_sha256: clip.source_sha256.clone(),
            }
        })
        .collect();
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&views)?);
        return Ok(());
    }
    for view in &views {
        print_line(&format!(
            "{} frames of {} × {}, source {}",
            view.frames.len(),
            view.width,
            view.height,
            view.source_sha256
        ));
        for (index, frame) in view.frames.iter().enumerate() {
            print_line(&format!(
                "{index:>5}  {:>9.3} s  {}",
                frame.seconds, frame.sha256
            ));
        }
    }
    Ok(())
}

/// Everything up to the logits where `generate` is given, and that many greedy tokens.
fn view(
    model: &LocalModel,
    shown: Vec<Media>,
    arguments: &InspectArguments,
    generate: Option<usize>,
) -> Result<TokensView> {
    let frames = shown.iter().flat_map(frame_views).collect();
    let decoding = crate::args::Decoding {
        max_tokens: 1,
        temperature: 0.0,
        top_p: 1.0,
        top_k: 0,
        seed: 0,
    };
    let request = ChatRequest {
        id: "inspect".to_owned(),
        system: arguments.system.clone(),
        media: shown,
        text: arguments.query.clone(),
        generation: generation(&decoding),
    };
    let prepared = model.prepare(&request)?;
    let after = prepared
        .vision
        .iter()
        .map(model::VisionInput::tokens_after)
        .sum();
    let before = prepared
        .vision
        .iter()
        .map(model::VisionInput::tokens_before)
        .sum();
    let (logits, generated) = match generate {
        None => (None, None),
        Some(count) => {
            let (logits, ids) = model.greedy(&prepared, count)?;
            let generated = (count > 0).then(|| {
                let text = model.decode(&ids);
                text.map(|text| Generated { ids, text })
            });
            (Some(logits), generated.transpose()?)
        }
    };
    let sequence = prepared.sequence;
    Ok(TokensView {
        prompt: sequence.prompt,
        input_ids: sequence.input_ids,
        grid: prepared.vision.iter().map(|input| input.grid).collect(),
        vision_tokens: VisionTokens { before, after },
        frames,
        alarm: sequence.alarm.map(|alarm| AlarmView {
            visual: alarm.visual,
            textual: alarm.textual,
        }),
        logits,
        generated,
    })
}

fn tokens(view: &TokensView, arguments: &InspectArguments) -> Result<()> {
    if arguments.json {
        print_line(&serde_json::to_string(view)?);
        return Ok(());
    }
    print_line(&view.prompt);
    print_line("");
    print_line(&format!("tokens         {}", view.input_ids.len()));
    print_line(&format!(
        "vision tokens  {} of {}",
        view.vision_tokens.after, view.vision_tokens.before
    ));
    for [t, h, w] in &view.grid {
        print_line(&format!("grid           {t} × {h} × {w} patches"));
    }
    match &view.alarm {
        Some(alarm) => print_line(&format!(
            "alarm tokens   visual at {}, textual at {}",
            alarm.visual, alarm.textual
        )),
        None => print_line("alarm tokens   none in this model"),
    }
    Ok(())
}

/// Likeliest next tokens shown to a person.
const SHOWN: usize = 10;

fn logits(view: &TokensView, model: &LocalModel, arguments: &InspectArguments) -> Result<()> {
    if arguments.json {
        print_line(&serde_json::to_string(view)?);
        return Ok(());
    }
    let logits = view.logits.as_deref().unwrap_or_default();
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    for id in order.into_iter().take(SHOWN) {
        print_line(&format!(
            "{id:>8}  {:>9.4}  {:?}",
            logits[id as usize],
            model.decode(&[id])?
        ));
    }
    if let Some(generated) = &view.generated {
        print_line(&format!("\n{}", generated.text));
    }
    Ok(())
}
