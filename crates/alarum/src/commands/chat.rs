//! `alarum chat`: one answer, streamed, and what the alarm heads of a model that has them say.

use anyhow::Result;
use chat::{AlarmScores, ChatRequest, Generation};

use crate::args::{Chat, Decoding};
use crate::local::LocalModel;
use crate::media;
use crate::progress::{print, print_line, say};

pub(crate) fn run(arguments: &Chat) -> Result<()> {
    let model = LocalModel::open(&arguments.model)?;
    let request = ChatRequest {
        id: "chat".to_owned(),
        system: arguments.system.clone(),
        media: media::read(&arguments.shown, model.own_sampling())?,
        text: arguments.question.clone(),
        generation: generation(&arguments.decoding),
    };
    let reply = model.answer(&request, &mut |piece| print(piece))?;
    print_line("");
    if let Some(alarm) = reply.alarm {
        say(&in_words(alarm));
    }
    Ok(())
}

/// What the alarm heads made of the prompt. It is talk beside the answer: a reader of stdout gets the answer alone.
fn in_words(alarm: AlarmScores) -> String {
    let video = alarm
        .visual
        .map(|score| format!("video {score:.3}, "))
        .unwrap_or_default();
    format!(
        "alarm heads, 0 safe to 1 harmful: {video}query {:.3}",
        alarm.textual
    )
}

/// The decoding that the flags ask for.
pub(crate) fn generation(decoding: &Decoding) -> Generation {
    Generation {
        max_tokens: decoding.max_tokens,
        temperature: decoding.temperature,
        top_p: decoding.top_p,
        top_k: decoding.top_k,
        seed: decoding.seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alarm_heads_are_said() {
        let alarm = AlarmScores {
            visual: Some(0.981_2),
            textual: 0.25,
        };
        assert_eq!(
            in_words(alarm),
            "alarm heads, 0 safe to 1 harmful: video 0.981, query 0.250"
        );
    }

    #[test]
    fn nothing_is_said_of_a_video_that_was_not_shown() {
        let alarm = AlarmScores {
            visual: None,
            textual: 0.5,
        };
        assert_eq!(
            in_words(alarm),
            "alarm heads, 0 safe to 1 harmful: query 0.500"
        );
    }
}
