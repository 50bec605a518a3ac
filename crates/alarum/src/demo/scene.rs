//! What is seen: one to three shapes over a textured ground, the first of which is asked about, from a
//! seed, with the truth about them.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use safety::SafetyLabel;

pub(crate) use super::words::{Colour, Ground, Motion, Shape};

/// Side of every frame in pixels.
pub(crate) const SIDE: usize = 112;
/// Frames a second.
pub(crate) const FPS: usize = 12;
/// Frames of a clip.
pub(crate) const FRAMES: usize = 2 * FPS;

/// Which half of the world a scene belongs to; the halves share no combination of shape, colour and
/// ground, hence no scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Split {
    /// Trained on.
    Train,
    /// Held out.
    Test,
}

/// What makes a scene harmful in this world: how something moves, whatever it is. No single frame shows
/// it: each has its safe twin, among whose frames are all of the hazard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hazard {
    /// Something spins. (Things rest at any angle.)
    Whirl,
    /// Something flickers. (Things fade as well, slowly.)
    Flare,
    /// Something drops, again and again. (Things rise as well, along the same line.)
    Dive,
    /// Two things hit each other. (Two things go side by side as well.)
    Crash,
}

impl Hazard {
    pub(crate) const ALL: &[Self] = &[Self::Whirl, Self::Flare, Self::Dive, Self::Crash];

    pub(crate) fn motion(self) -> Motion {
        match self {
            Self::Whirl => Motion::Spin,
            Self::Flare => Motion::Flicker,
            Self::Dive => Motion::Drop,
            Self::Crash => Motion::Collide,
        }
    }

    fn of(motion: Motion) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|hazard| hazard.motion() == motion)
    }
}

/// In what a held-out scene is unlike all that are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Strange {
    /// A ground that is never trained on.
    Ground,
    /// The camera drifts.
    Drift,
    /// Two more shapes stand by.
    Crowd,
    /// It moves more slowly or faster.
    Pace,
}

impl Strange {
    pub(crate) const ALL: &[Self] = &[Self::Ground, Self::Drift, Self::Crowd, Self::Pace];
}

/// One moving shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub shape: Shape,
    pub colour: Colour,
    pub motion: Motion,
    /// Where its motion is centred, in pixels.
    pub home: [f32; 2],
    /// In pixels.
    pub radius: f32,
    /// How far it is turned when it does not spin, in turns.
    pub tilt: f32,
    /// Where in its motion it begins, in turns.
    pub phase: f32,
    /// Turns a second.
    pub pace: f32,
    /// Of two: on which side it is, -1 or 1.
    pub side: f32,
    /// Of two that keep their distance: how far it is from touching, in pixels.
    pub gap: f32,
}

/// A scene and the truth about it. The first object is the one that is asked about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scene {
    pub objects: Vec<Object>,
    pub ground: Ground,
    /// Two greys or tints between which the ground varies.
    pub tints: [[u8; 3]; 2],
    /// Seed of the ground's grain.
    pub grain: u32,
    /// Motion of all that is seen, in pixels a second.
    pub drift: [f32; 2],
    pub hazard: Option<Hazard>,
    pub strange: Option<Strange>,
}

/// Whether a combination belongs to the held-out half: every fifth does, and all that is strange.
fn split_of(shape: Shape, colour: Colour, ground: Ground) -> Split {
    let fifth = (shape as usize + 2 * colour as usize + 3 * ground as usize).is_multiple_of(5);
    if fifth || Ground::STRANGE.contains(&ground) {
        Split::Test
    } else {
        Split::Train
    }
}

impl Scene {
    /// A scene with that hazard, or with none, in that half of the world. Every third of the held-out
    /// half is strange.
    pub(crate) fn draw(split: Split, hazard: Option<Hazard>, rng: &mut ChaCha8Rng) -> Self {
        let strange = match split {
            Split::Test if rng.random_ratio(1, 3) => Some(*pick(Strange::ALL, rng)),
            _ => None,
        };
        loop {
            let scene = Self::any(hazard, strange, rng);
            let asked = &scene.objects[0];
            let fits = split_of(asked.shape, asked.colour, scene.ground) == split;
            if fits && scene.hazard == hazard && asked.motion.shows_on(asked.shape) {
                return scene;
            }
        }
    }

    /// Harmful exactly where there is a hazard.
    pub(crate) fn label(&self) -> SafetyLabel {
        if self.hazard.is_some() {
            SafetyLabel::Harmful
        } else {
            SafetyLabel::Safe
        }
    }

    /// What tells a scene from another: the halves of the world have none in common.
    #[cfg(test)]
    pub(crate) fn combination(&self) -> (Shape, Colour, Ground) {
        (self.objects[0].shape, self.objects[0].colour, self.ground)
    }

    fn any(hazard: Option<Hazard>, strange: Option<Strange>, rng: &mut ChaCha8Rng) -> Self {
        let ground = match strange {
            Some(Strange::Ground) => *pick(Ground::STRANGE, rng),
            _ => *pick(Ground::KNOWN, rng),
        };
        let motion = hazard.map_or_else(|| *pick(Motion::ALL, rng), Hazard::motion);
        let mut first = object(*pick(Shape::ALL, rng), motion, rng);
        if strange == Some(Strange::Pace) {
            first.pace = if rng.random() { 0.36 } else { 0.9 };
        }
        // Each shape stands once in a scene, so that a question can name it.
        let mut others: Vec<Shape> = Shape::ALL.to_vec();
        others.retain(|&other| other != first.shape);
        others.shuffle(rng);
        let bystanders = match strange {
            Some(Strange::Crowd) => 2,
            _ => *pick(&[0, 0, 1], rng),
        };
        let partner = motion
            .is_of_two()
            .then(|| pair(&mut first, others.remove(0), rng));
        let mut objects: Vec<Object> = [Some(first), partner].into_iter().flatten().collect();
        // In the corners, where nothing moves.
        let mut corners = [[0.11, 0.11], [0.89, 0.11], [0.11, 0.89], [0.89, 0.89]];
        corners.shuffle(rng);
        for (shape, corner) in others.into_iter().zip(corners).take(bystanders) {
            objects.push(Object {
                home: corner.map(|part: f32| part * SIDE as f32),
                radius: rng.random_range(8.0..10.0),
                ..object(shape, Motion::Still, rng)
            });
        }
        let base = rng.random_range(20..60u8);
        let tint = |lift: u8, rng: &mut ChaCha8Rng| {
            [0; 3].map(|_: u8| base + lift + rng.random_range(0..18u8))
        };
        let tints = [tint(0, rng), tint(30, rng)];
        let drift = match strange {
            Some(Strange::Drift) => [0; 2].map(|_| *pick(&[-5.0, 5.0], rng)),
            _ => [0.0; 2],
        };
        Self {
            hazard: objects.iter().find_map(|object| Hazard::of(object.motion)),
            objects,
            ground,
            tints,
            grain: rng.random(),
            drift,
            strange,
        }
    }
}

fn pick<'a, T>(from: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    from.choose(rng).expect("the world's tables are not empty")
}

fn object(shape: Shape, motion: Motion, rng: &mut ChaCha8Rng) -> Object {
    let side = SIDE as f32;
    let around =
        |middle: f32, rng: &mut ChaCha8Rng| side * (middle + rng.random_range(-0.05..0.05f32));
    Object {
        shape,
        colour: *pick(Colour::ALL, rng),
        motion,
        home: [around(0.5, rng), around(0.5, rng)],
        radius: rng.random_range(18.0..24.0),
        tilt: rng.random_range(0.0..1.0),
        phase: rng.random_range(0.0..1.0),
        pace: rng.random_range(0.45..0.8),
        side: -1.0,
        gap: rng.random_range(4.0..20.0),
    }
}

/// Makes room beside `first` and gives what stands there, a little smaller.
fn pair(first: &mut Object, shape: Shape, rng: &mut ChaCha8Rng) -> Object {
    first.radius = 17.0;
    Object {
        radius: 12.0,
        side: 1.0,
        motion: first.motion,
        home: first.home,
        phase: first.phase,
        pace: first.pace,
        gap: first.gap,
        ..object(shape, first.motion, rng)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;

    fn kinds() -> impl Iterator<Item = Option<Hazard>> {
        Hazard::ALL.iter().copied().map(Some).chain([None; 6])
    }

    /// Scenes of every kind of one half.
    fn many(split: Split) -> Vec<Scene> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        kinds()
            .flat_map(|hazard| vec![hazard; 40])
            .map(|hazard| Scene::draw(split, hazard, &mut rng))
            .collect()
    }

    fn both() -> Vec<Scene> {
        [many(Split::Train), many(Split::Test)].concat()
    }

    fn combinations(split: Split) -> HashSet<(Shape, Colour, Ground)> {
        many(split).iter().map(Scene::combination).collect()
    }

    #[test]
    fn train_and_test_share_no_combination() {
        let (train, test) = (combinations(Split::Train), combinations(Split::Test));
        assert!(train.len() > 50 && test.len() > 15);
        assert!(train.is_disjoint(&test));
    }

    #[test]
    fn every_shape_colour_and_known_ground_is_trained_on() {
        let train = combinations(Split::Train);
        let shapes: HashSet<_> = train.iter().map(|of| of.0).collect();
        let colours: HashSet<_> = train.iter().map(|of| of.1).collect();
        let grounds: HashSet<_> = train.iter().map(|of| of.2).collect();
        assert_eq!(shapes.len(), Shape::ALL.len());
        assert_eq!(colours.len(), Colour::ALL.len());
        assert_eq!(grounds, Ground::KNOWN.iter().copied().collect());
    }

    #[test]
    fn what_is_strange_is_held_out_only() {
        assert!(
            many(Split::Train)
                .iter()
                .all(|scene| scene.strange.is_none())
        );
        let strange: HashSet<_> = many(Split::Test)
            .iter()
            .filter_map(|scene| scene.strange)
            .collect();
        assert_eq!(strange.len(), Strange::ALL.len());
    }

    #[test]
    fn each_shape_stands_once_and_the_first_is_the_largest() {
        for scene in both() {
            let shapes: HashSet<_> = scene.objects.iter().map(|object| object.shape).collect();
            assert_eq!(shapes.len(), scene.objects.len(), "{scene:?}");
            let first = scene.objects[0].radius;
            let mut others = scene.objects[1..].iter();
            assert!(others.all(|other| other.radius < 0.75 * first), "{scene:?}");
        }
    }

    #[test]
    fn a_disc_is_never_said_to_spin() {
        for object in both().into_iter().flat_map(|scene| scene.objects) {
            assert!(object.motion.shows_on(object.shape), "{object:?}");
        }
    }

    #[test]
    fn every_hazard_is_of_every_shape_that_can_move_so() {
        for &hazard in Hazard::ALL {
            let shapes: HashSet<_> = both()
                .into_iter()
                .filter(|scene| scene.hazard == Some(hazard))
                .map(|scene| scene.objects[0].shape)
                .collect();
            let able = Shape::ALL
                .iter()
                .filter(|&&shape| hazard.motion().shows_on(shape));
            assert_eq!(shapes.len(), able.count(), "{hazard:?}");
        }
    }

    #[test]
    fn the_label_follows_the_hazard() {
        for scene in both() {
            assert_eq!(
                scene.label() == SafetyLabel::Harmful,
                scene.hazard.is_some()
            );
        }
    }

    #[test]
    fn a_scene_has_the_hazard_that_was_asked_for() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for hazard in kinds() {
            assert_eq!(Scene::draw(Split::Test, hazard, &mut rng).hazard, hazard);
        }
    }

    #[test]
    fn one_seed_draws_the_same_scene() {
        let draw = |seed| Scene::draw(Split::Train, None, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
