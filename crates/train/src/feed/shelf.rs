//! What is in memory, who still needs it, and what is made next. No threads here: whoever holds the
//! lock decides.

use std::collections::{BTreeMap, BTreeSet};

use model::sequence::Kept;

use super::make::{Lent, Made};

/// What prepared media may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Videos and images.
    pub media: usize,
    /// Of decoded frames, patches and features.
    pub bytes: u64,
}

/// The state of one medium.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Making,
    Made(Made),
    Failed(String),
}

/// What is there of a medium.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Making,
    Made(Made),
    Failed(String),
}

#[derive(Debug, Default)]
struct Slot {
    held: Held,
    /// Given to somebody who may still have it.
    lent: Option<(Lent, Kept, u64)>,
    /// Bytes while it is made.
    foreseen: u64,
    /// Places of the plan that need it.
    due: BTreeSet<usize>,
}

impl Slot {
    /// Bytes that it has in memory, if any.
    fn bytes(&self) -> Option<u64> {
        match &self.held {
            Held::Making => Some(self.foreseen),
            Held::Made(made) => Some(made.bytes()),
            Held::Nothing | Held::Failed(_) => {
                let (lent, _, bytes) = self.lent.as_ref()?;
                lent.back().map(|_| *bytes)
            }
        }
    }

    /// Whether it would stay in memory if it were let go.
    fn is_lent(&self) -> bool {
        let own = usize::from(matches!(self.held, Held::Made(_)));
        (self.lent.as_ref()).is_some_and(|(lent, ..)| lent.holders() > own)
    }
}

/// Media by index.
#[derive(Debug)]
pub(super) struct Shelf {
    room: Room,
    slots: Vec<Slot>,
    /// Conversation and medium for each place that is still to come.
    plan: BTreeMap<usize, (usize, usize)>,
    /// Media that may have bytes in memory.
    live: BTreeSet<usize>,
    /// The most media and bytes that were in memory at once.
    pub(super) most: (usize, u64),
}

impl Shelf {
    /// Nothing yet; each medium will take so many bytes while it is made.
    pub(super) fn new(foreseen: Vec<u64>, room: Room) -> Self {
        let slot = |foreseen| Slot {
            foreseen,
            ..Slot::default()
        };
        Self {
            room,
            slots: foreseen.into_iter().map(slot).collect(),
            plan: BTreeMap::new(),
            live: BTreeSet::new(),
            most: (0, 0),
        }
    }

    /// From now on these come, each a conversation and its medium; what was planned before does not.
    pub(super) fn plan(&mut self, upcoming: impl Iterator<Item = (usize, usize)>) {
        for slot in &mut self.slots {
            slot.due.clear();
        }
        self.plan = upcoming.enumerate().collect();
        for (&place, &(_, medium)) in &self.plan {
            self.slots[medium].due.insert(place);
        }
        for slot in &mut self.slots {
            if slot.due.is_empty() && matches!(slot.held, Held::Made(_)) {
                slot.held = Held::Nothing;
            }
        }
    }

    /// What there is of a medium; what somebody still holds is taken back.
    pub(super) fn find(&mut self, medium: usize) -> Found {
        let slot = &mut self.slots[medium];
        if matches!(slot.held, Held::Nothing)
            && let Some((lent, kept, _)) = &slot.lent
            && let Some(shown) = lent.back()
        {
            let kept = kept.clone();
            slot.held = Held::Made(Made { shown, kept });
        }
        match &slot.held {
            Held::Nothing => Found::Nothing,
            Held::Making => Found::Making,
            Held::Made(made) => Found::Made(made.clone()),
            Held::Failed(reason) => Found::Failed(reason.clone()),
        }
    }

    /// The medium that the plan needs first, if there is room for it; it is being made from now on.
    pub(super) fn next(&mut self) -> Option<usize> {
        let places: Vec<(usize, usize)> = self
            .plan
            .iter()
            .map(|(&place, &(_, medium))| (place, medium))
            .take_while({
                // Behind as many places as there is room for, nothing can be begun.
                let mut distinct = BTreeSet::new();
                let most = self.room.media;
                move |(_, medium)| {
                    distinct.insert(*medium);
                    distinct.len() <= most.max(1)
                }
            })
            .collect();
        for (place, medium) in places {
            if matches!(self.find(medium), Found::Nothing) {
                return self.make_room(medium, place).then(|| {
                    self.begin(medium);
                    medium
                });
            }
        }
        None
    }

    /// The medium is being made for somebody who waits for it, room or not.
    pub(super) fn demand(&mut self, medium: usize) {
        self.make_room(medium, 0);
        self.begin(medium);
    }

    /// What became of a medium.
    pub(super) fn put(&mut self, medium: usize, made: Result<Made, String>) {
        self.slots[medium].held = match made {
            Ok(made) => Held::Made(made),
            Err(reason) => Held::Failed(reason),
        };
        self.measure();
    }

    /// A conversation has been given its medium; without further use for it, only the receiver has it.
    pub(super) fn give(&mut self, conversation: usize, medium: usize) {
        let slot = &mut self.slots[medium];
        if let Held::Made(made) = &slot.held {
            slot.lent = Some((made.lend(), made.kept.clone(), made.bytes()));
        }
        let of_conversation = |place: &&usize| self.plan[*place].0 == conversation;
        let place = slot.due.iter().find(of_conversation).copied();
        if let Some(place) = place {
            slot.due.remove(&place);
            self.plan.remove(&place);
        }
        if slot.due.is_empty() && matches!(slot.held, Held::Made(_)) {
            slot.held = Held::Nothing;
        }
    }

    /// Media and bytes in memory.
    fn load(&mut self) -> (usize, u64) {
        let slots = &self.slots;
        self.live.retain(|&medium| slots[medium].bytes().is_some());
        let bytes = self.live.iter().filter_map(|&medium| slots[medium].bytes());
        (self.live.len(), bytes.sum())
    }

    /// Whether a medium that is needed at `place` fits, if need be after what is needed last has gone.
    fn make_room(&mut self, medium: usize, place: usize) -> bool {
        loop {
            let (media, bytes) = self.load();
            let with = bytes.saturating_add(self.slots[medium].foreseen);
            if media == 0 || (media < self.room.media && with <= self.room.bytes) {
                return true;
            }
            let later = |&medium: &usize| {
                let slot = &self.slots[medium];
                let next = slot.due.first().copied().unwrap_or(usize::MAX);
                (matches!(slot.held, Held::Made(_)) && next > place && !slot.is_lent())
                    .then_some((next, medium))
            };
            let Some((_, last)) = self.live.iter().filter_map(later).max() else {
                return false;
            };
            self.slots[last].held = Held::Nothing;
        }
    }

    fn begin(&mut self, medium: usize) {
        self.slots[medium].held = Held::Making;
        self.live.insert(medium);
        self.measure();
    }

    fn measure(&mut self) {
        let (media, bytes) = self.load();
        self.most = (self.most.0.max(media), self.most.1.max(bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candle_core::{Device, Tensor};
    use model::template;

    use super::*;
    use crate::forward::Shown;

    fn made() -> Made {
        let tensor = Tensor::new(&[[1.0_f32]], &Device::Cpu).unwrap();
        Made {
            shown: Shown::Features(Arc::new(tensor)),
            kept: Kept {
                shown: template::Shown::Image,
                per_frame: vec![1],
            },
        }
    }

    /// Five media of ten bytes while they are made, four afterwards; conversation `i` shows `i % 5`.
    fn shelf(media: usize, bytes: u64, plan: &[usize]) -> Shelf {
        let mut shelf = Shelf::new(vec![10; 5], Room { media, bytes });
        shelf.plan(plan.iter().map(|&i| (i, i % 5)));
        shelf
    }

    #[test]
    fn media_are_made_in_the_order_of_the_plan() {
        let mut shelf = shelf(3, 100, &[2, 0, 7, 1]);
        assert_eq!([shelf.next(), shelf.next()], [Some(2), Some(0)]);
        assert_eq!([shelf.next(), shelf.next()], [Some(1), None]);
    }

    #[test]
    fn nothing_is_begun_without_room_for_its_bytes() {
        let mut shelf = shelf(9, 15, &[0, 1, 2]);
        assert_eq!(shelf.next(), Some(0));
        assert_eq!(shelf.next(), None);
        shelf.put(0, Ok(made()));
        assert_eq!([shelf.next(), shelf.next()], [Some(1), None]);
    }

    #[test]
    fn a_medium_larger_than_all_room_is_made_alone() {
        let mut shelf = shelf(1, 3, &[0, 1]);
        assert_eq!([shelf.next(), shelf.next()], [Some(0), None]);
    }

    #[test]
    fn what_a_receiver_still_holds_takes_room_and_is_not_made_again() {
        let mut shelf = shelf(1, 100, &[0, 1]);
        assert_eq!(shelf.next(), Some(0));
        shelf.put(0, Ok(made()));
        let Found::Made(held) = shelf.find(0) else {
            panic!("it was made")
        };
        shelf.give(0, 0);
        assert_eq!(shelf.next(), None);
        assert!(matches!(shelf.find(0), Found::Made(_)));
        shelf.give(0, 0);
        drop(held);
        assert_eq!(shelf.next(), Some(1));
        assert!(matches!(shelf.find(0), Found::Nothing));
    }

    #[test]
    fn what_is_needed_again_stays() {
        let mut shelf = shelf(2, 100, &[0, 1, 5]);
        assert_eq!(shelf.next(), Some(0));
        shelf.put(0, Ok(made()));
        shelf.give(0, 0);
        assert!(matches!(shelf.find(0), Found::Made(_)));
        shelf.give(5, 0);
        assert!(matches!(shelf.find(0), Found::Nothing));
    }

    #[test]
    fn what_is_needed_last_goes_first() {
        let mut shelf = shelf(2, 100, &[0, 1, 2, 5, 6]);
        for medium in [0, 1] {
            assert_eq!(shelf.next(), Some(medium));
            shelf.put(medium, Ok(made()));
        }
        shelf.give(0, 0);
        shelf.give(1, 1);
        assert_eq!(shelf.next(), Some(2));
        assert!(matches!(shelf.find(1), Found::Nothing));
        assert!(matches!(shelf.find(0), Found::Made(_)));
    }

    #[test]
    fn a_new_plan_frees_what_nobody_needs_any_more() {
        let mut shelf = shelf(1, 100, &[0]);
        assert_eq!(shelf.next(), Some(0));
        shelf.put(0, Ok(made()));
        shelf.plan([(3, 3)].into_iter());
        assert_eq!(shelf.next(), Some(3));
    }

    #[test]
    fn what_failed_is_not_tried_again() {
        let mut shelf = shelf(1, 100, &[0, 5, 1]);
        assert_eq!(shelf.next(), Some(0));
        shelf.put(0, Err("broken".into()));
        assert!(matches!(shelf.find(0), Found::Failed(_)));
        shelf.give(0, 0);
        assert!(matches!(shelf.find(0), Found::Failed(_)));
    }
}
