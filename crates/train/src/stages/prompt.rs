//! A record's sequence cut where the answer begins.

use model::Sequence;

/// Everything before the first label: what the model is asked. Nothing if there is no label, or only
/// labels.
pub fn prompt(sequence: &Sequence) -> Option<Sequence> {
    let cut = first_label(sequence)?;
    (cut > 0).then(|| Sequence {
        prompt: String::new(),
        input_ids: sequence.input_ids[..cut].to_vec(),
        vision: sequence.vision.clone(),
        alarm: sequence.alarm,
        labels: None,
    })
}

/// The labels themselves: what the model should say, the end of its turn included.
pub fn answer(sequence: &Sequence) -> Vec<u32> {
    sequence
        .labels
        .iter()
        .flatten()
        .flatten()
        .copied()
        .collect()
}

fn first_label(sequence: &Sequence) -> Option<usize> {
    sequence.labels.as_ref()?.iter().position(Option::is_some)
}

#[cfg(test)]
mod tests {
    use model::sequence::AlarmPositions;

    use super::*;

    fn sequence(labels: Option<Vec<Option<u32>>>) -> Sequence {
        Sequence {
            prompt: "p".into(),
            input_ids: vec![1, 2, 3, 4, 5],
            vision: vec![vec![0..1]],
            alarm: Some(AlarmPositions {
                visual: 1,
                textual: 2,
            }),
            labels,
        }
    }

    #[test]
    fn a_prompt_ends_where_the_answer_begins() {
        let whole = sequence(Some(vec![None, None, None, Some(4), None]));
        let prompt = prompt(&whole).unwrap();
        assert_eq!(prompt.input_ids, [1, 2, 3]);
        assert_eq!(prompt.alarm, whole.alarm);
        assert_eq!(answer(&whole), [4]);
    }

    #[test]
    fn without_an_answer_there_is_no_prompt() {
        assert_eq!(prompt(&sequence(None)), None);
        assert_eq!(prompt(&sequence(Some(vec![None; 5]))), None);
    }

    #[test]
    fn a_sequence_that_is_all_answer_has_no_prompt() {
        assert_eq!(prompt(&sequence(Some(vec![Some(1); 5]))), None);
    }
}
