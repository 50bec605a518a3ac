//! Records with their videos become what the network takes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use model::processor::{Media, Processor};
use model::sequence::Purpose;
use rayon::prelude::*;
use video::Clip;

use crate::BoxError;
use crate::data::{Medium, Record};
use crate::forward::{Example, Shown};

/// All records, in their order, as examples or as reasons why not.
#[derive(Debug, Default)]
pub struct Examples {
    /// To learn from.
    pub usable: Vec<Example>,
    /// Left out.
    pub unusable: Vec<Unusable>,
}

/// A record that cannot be learnt from.
#[derive(Debug, thiserror::Error)]
#[error("record {id} is left out")]
pub struct Unusable {
    /// Of the record.
    pub id: String,
    /// Most often that its video cannot be read.
    #[source]
    pub reason: BoxError,
}

/// Gives the frames of a video, as the processor's sampling wants them. Called once for each video,
/// from several threads at a time.
pub type Clips<'a> = dyn Fn(&Path) -> Result<Arc<Clip>, BoxError> + Sync + 'a;

/// Examples of all records. Those about one video share its patches, all of which are held in memory.
pub fn examples(processor: &Processor, records: &[Record], clips: &Clips<'_>) -> Examples {
    let mut results: Vec<(usize, Result<Example, BoxError>)> = by_video(records)
        .into_par_iter()
        .flat_map_iter(|places| of_one_video(processor, records, &places, clips))
        .collect();
    results.sort_by_key(|(place, _)| *place);
    let mut examples = Examples::default();
    for (place, result) in results {
        match result {
            Ok(example) => examples.usable.push(example),
            Err(reason) => {
                let id = records[place].id.clone();
                examples.unusable.push(Unusable { id, reason });
            }
        }
    }
    examples
}

/// Places of records that show the same video together; the others each alone.
fn by_video(records: &[Record]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<Medium, usize> = HashMap::new();
    for (place, record) in records.iter().enumerate() {
        let group = match record.medium() {
            Some(medium) => *known.entry(medium).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(group) {
            Some(places) => places.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

fn of_one_video(
    processor: &Processor,
    records: &[Record],
    places: &[usize],
    clips: &Clips<'_>,
) -> Vec<(usize, Result<Example, BoxError>)> {
    let medium = records[places[0]].medium();
    let path = medium.as_ref().map(Medium::path);
    let clip = match path.map(clips).transpose() {
        Ok(clip) => clip,
        Err(error) => {
            let reason = words(&error);
            return places
                .iter()
                .map(|&place| (place, Err(reason.as_str().into())))
                .collect();
        }
    };
    let media: Vec<Media<'_>> = clip
        .iter()
        .map(|clip| match &medium {
            Some(Medium::Image(_)) => Media::Image(&clip.frames[0]),
            _ => Media::Video(&clip.frames),
        })
        .collect();
    let mut patches = Vec::new();
    let example = |&place: &usize| {
        let record = &records[place];
        let result = processor.prepare(&record.messages(), &media, Purpose::Training);
        let example = result.map_err(BoxError::from).map(|prepared| {
            if patches.is_empty() {
                patches = prepared
                    .vision
                    .into_iter()
                    .map(Arc::new)
                    .map(Shown::Patches)
                    .collect();
            }
            Example {
                id: record.id.clone(),
                sequence: prepared.sequence,
                media: patches.clone(),
            }
        });
        (place, example)
    };
    places.iter().map(example).collect()
}

/// One failure as the reason of several records: its words and its causes', as an error's source is
/// owned by one.
fn words(error: &BoxError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}
