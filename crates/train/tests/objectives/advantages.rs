use serde::Deserialize;
use train::advantage::{Scale, advantages};

use crate::golden::{all_near, read};

#[derive(Deserialize)]
struct Group {
    rewards: Vec<f32>,
    deviation: Vec<f64>,
    none: Vec<f64>,
}

#[test]
fn advantages_are_those_of_pytorch() {
    let groups: Vec<Group> = read("advantages.json");
    assert_eq!(groups.len(), 6);
    for group in groups {
        for (scale, want) in [
            (Scale::Deviation, &group.deviation),
            (Scale::None, &group.none),
        ] {
            let found = advantages(&group.rewards, scale).unwrap();
            let found: Vec<f64> = found.into_iter().map(f64::from).collect();
            all_near(&format!("{scale:?} of {:?}", group.rewards), &found, want);
        }
    }
}
