//! `alarum chat`: one answer, streamed.

use anyhow::Result;
use chat::{ChatRequest, Generation};

use crate::args::{Chat, Decoding};
use crate::local::LocalModel;
use crate::media;
use crate::progress::{print, print_line};

pub(crate) fn run(arguments: &Chat) -> Result<()> {
    let model = LocalModel::open(&arguments.model)?;
    let request = ChatRequest {
        id: "chat".to_owned(),
        system: arguments.system.clone(),
        media: media::read(&arguments.shown, model.own_sampling())?,
        text: arguments.question.clone(),
        generation: generation(&arguments.decoding),
    };
    model.answer(&request, &mut |piece| print(piece))?;
    print_line("");
    Ok(())
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
