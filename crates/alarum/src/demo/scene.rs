//! What is seen: one to three shapes that move over a textured ground, from a seed, with the truth
//! about them.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use safety::SafetyLabel;

pub(crate) use super::words::{Colour, Ground, Light, Motion, Shape};

/// Side of every frame in pixels.
pub(crate) const SIDE: usize = 112;
/// Frames a second.
pub(crate) const FPS: usize = 10;

/// Which half of the world a scene belongs to; the halves share no combination of shape, colour and
/// ground, hence no scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Split {
    /// Trained on.
    Train,
    /// Held out.
    Test,
}

/// What makes a scene harmful in this world: its light flickers. No single frame shows it, since a steady
/// light may be as bright or as dim, and a light that fades is both.
pub(crate) fn is_hazard(light: Light) -> bool {
    light == Light::Flicker
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
    /// Where in its motion it begins, in turns.
    pub phase: f32,
    /// Turns a second.
    pub pace: f32,
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
    pub light: Light,
    /// How bright it is at first and at last, or while it flickers by turns; 1 is full.
    pub levels: [f32; 2],
    /// Length in frames.
    pub frames: usize,
}

/// Whether a combination belongs to the held-out half: every fifth does.
fn split_of(shape: Shape, colour: Colour, ground: Ground) -> Split {
    if (shape as usize + 2 * colour as usize + 3 * ground as usize).is_multiple_of(5) {
        Split::Test
    } else {
        Split::Train
    }
}

impl Scene {
    /// A scene of that label in that half of the world.
    pub(crate) fn draw(split: Split, label: SafetyLabel, rng: &mut ChaCha8Rng) -> Self {
        loop {
            let scene = Self::any(split, label, rng);
            let asked = &scene.objects[0];
            let fits = split_of(asked.shape, asked.colour, scene.ground) == split;
            if fits && asked.motion.shows_on(asked.shape) {
                return scene;
            }
        }
    }

    /// Harmful exactly where there is a hazard.
    pub(crate) fn label(&self) -> SafetyLabel {
        if is_hazard(self.light) {
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

    fn any(split: Split, label: SafetyLabel, rng: &mut ChaCha8Rng) -> Self {
        let ground = *pick(Ground::ALL, rng);
        let motion = *pick(Motion::ALL, rng);
        let shape = *pick(Shape::ALL, rng);
        let mut objects = vec![object(shape, motion, split, rng)];
        // Each shape stands once in a scene, so that a question can name it.
        let mut others: Vec<Shape> = Shape::ALL
            .iter()
            .copied()
            .filter(|&other| other != shape)
            .collect();
        others.shuffle(rng);
        if motion == Motion::Collide {
            let first = &mut objects[0];
            first.home = first
                .home
                .map(|at| (at - SIDE as f32 / 2.0) * 0.3 + SIDE as f32 / 2.0);
            first.radius = 18.0;
            first.phase = 0.0;
            let partner = Object {
                shape: others[0],
                colour: *pick(Colour::ALL, rng),
                radius: 12.0,
                phase: 0.5,
                ..first.clone()
            };
            objects.push(partner);
        } else {
            let bystanders = match split {
                Split::Train => *pick(&[0, 0, 1, 1], rng),
                Split::Test => *pick(&[0, 1, 1, 2], rng),
            };
            let (x, y) = (objects[0].home[0], *pick(&[0.13, 0.87], rng));
            // In the corners away from the object that is asked about, on the emptier side first.
            let sides = if x > SIDE as f32 / 2.0 {
                [0.13, 0.87]
            } else {
                [0.87, 0.13]
            };
            for (shape, side) in others.into_iter().zip(sides).take(bystanders) {
                let home = [side, y].map(|part: f32| part * SIDE as f32);
                objects.push(Object {
                    home,
                    radius: rng.random_range(9.0..12.0),
                    ..object(shape, Motion::Still, split, rng)
                });
            }
        }
        let light = match label {
            SafetyLabel::Harmful => Light::Flicker,
            SafetyLabel::Safe => *pick(&[Light::Steady, Light::Fade], rng),
        };
        let (dim, bright) = (rng.random_range(0.3..0.45), rng.random_range(0.85..1.0));
        let levels = match (light, rng.random()) {
            (Light::Steady, true) => [dim; 2],
            (Light::Steady, false) => [bright; 2],
            (Light::Fade | Light::Flicker, true) => [dim, bright],
            (Light::Fade | Light::Flicker, false) => [bright, dim],
        };
        let base = rng.random_range(26..70u8);
        let tint = |lift: u8, rng: &mut ChaCha8Rng| {
            [0; 3].map(|_: u8| base + lift + rng.random_range(0..18u8))
        };
        let tints = [tint(0, rng), tint(34, rng)];
        let frames = 2 * FPS;
        Self {
            objects,
            ground,
            tints,
            grain: rng.random(),
            light,
            levels,
            frames,
        }
    }
}

fn pick<'a, T>(from: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    from.choose(rng).expect("the world's tables are not empty")
}

fn object(shape: Shape, motion: Motion, split: Split, rng: &mut ChaCha8Rng) -> Object {
    let side = SIDE as f32;
    let around =
        |middle: f32, rng: &mut ChaCha8Rng| side * (middle + rng.random_range(-0.06..0.06f32));
    Object {
        shape,
        colour: *pick(Colour::ALL, rng),
        motion,
        home: [around(0.5, rng), around(0.5, rng)],
        radius: rng.random_range(17.0..25.0),
        phase: rng.random_range(0.0..1.0),
        pace: match split {
            Split::Train => rng.random_range(0.45..0.8),
            // Slower and faster ones as well.
            Split::Test => rng.random_range(0.38..0.92),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;

    const LABELS: [SafetyLabel; 2] = [SafetyLabel::Safe, SafetyLabel::Harmful];

    fn combinations(split: Split) -> HashSet<(Shape, Colour, Ground)> {
        many()
            .into_iter()
            .map(|scene| scene.combination())
            .filter(|&(shape, colour, ground)| split_of(shape, colour, ground) == split)
            .collect()
    }

    #[test]
    fn train_and_test_share_no_combination() {
        let (train, test) = (combinations(Split::Train), combinations(Split::Test));
        assert!(train.len() > 50 && test.len() > 15);
        assert!(train.is_disjoint(&test));
    }

    /// Scenes of every kind and both halves.
    fn many() -> Vec<Scene> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut all = Vec::new();
        for split in [Split::Train, Split::Test] {
            for label in LABELS {
                all.extend((0..300).map(|_| Scene::draw(split, label, &mut rng)));
            }
        }
        all
    }

    #[test]
    fn every_shape_colour_and_ground_is_trained_on() {
        let train = combinations(Split::Train);
        assert_eq!(
            train.iter().map(|of| of.0).collect::<HashSet<_>>().len(),
            Shape::ALL.len()
        );
        assert_eq!(
            train.iter().map(|of| of.1).collect::<HashSet<_>>().len(),
            Colour::ALL.len()
        );
        assert_eq!(
            train.iter().map(|of| of.2).collect::<HashSet<_>>().len(),
            Ground::ALL.len()
        );
    }

    #[test]
    fn each_shape_stands_once_and_the_first_is_the_largest() {
        for scene in many() {
            let shapes: HashSet<_> = scene.objects.iter().map(|object| object.shape).collect();
            assert_eq!(shapes.len(), scene.objects.len(), "{scene:?}");
            let first = scene.objects[0].radius;
            assert!(
                scene.objects[1..]
                    .iter()
                    .all(|other| other.radius < 0.75 * first),
                "{scene:?}"
            );
        }
    }

    #[test]
    fn a_disc_is_never_said_to_spin() {
        for object in many().into_iter().flat_map(|scene| scene.objects) {
            assert!(object.motion.shows_on(object.shape), "{object:?}");
        }
    }

    #[test]
    fn no_level_of_light_tells_a_hazard() {
        let levels = |label| -> Vec<f32> {
            let of = many().into_iter().filter(|scene| scene.label() == label);
            of.flat_map(|scene| scene.levels).collect()
        };
        let [safe, harmful] = LABELS.map(levels);
        for level in harmful {
            assert!(
                safe.iter().any(|other| (other - level).abs() < 0.02),
                "{level}"
            );
        }
    }

    #[test]
    fn a_scene_has_the_label_that_was_asked_for() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for label in LABELS {
            assert_eq!(Scene::draw(Split::Test, label, &mut rng).label(), label);
        }
    }

    #[test]
    fn one_seed_draws_the_same_scene() {
        let draw = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            Scene::draw(Split::Train, SafetyLabel::Safe, &mut rng)
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
