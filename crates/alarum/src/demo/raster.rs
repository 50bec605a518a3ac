//! Pixels of a scene: shapes as distance functions, so that edges are smooth, over a ground that is
//! drawn once.

use std::f32::consts::{PI, TAU};

use super::scene::{Colour, FPS, FRAMES, Ground, Motion, Object, SIDE, Scene, Shape};

/// The RGB frames of a scene, `SIDE × SIDE × 3` bytes each.
pub(crate) fn frames(scene: &Scene) -> impl Iterator<Item = Vec<u8>> + '_ {
    let still = ground(scene, [0.0; 2]);
    (0..FRAMES).map(move |index| {
        let seconds = index as f32 / FPS as f32;
        // Around the middle of the clip, so that the camera ends as far off as it began.
        let away = seconds - FRAMES as f32 / FPS as f32 / 2.0;
        let shift = scene.drift.map(|drift| drift * away);
        let mut pixels = match scene.drift {
            [0.0, 0.0] => still.clone(),
            _ => ground(scene, shift),
        };
        for object in scene.objects.iter().rev() {
            draw(&mut pixels, object, &pose(object, seconds).moved(shift));
        }
        pixels
    })
}

fn ground(scene: &Scene, shift: [f32; 2]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
    // Far from zero, so that no pattern turns over there.
    let [left, top] = shift.map(|by| (10 * 112) as f32 - by.round());
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (x, y) = (x + left as usize, y + top as usize);
            let mix = match scene.ground {
                Ground::Checks => f32::from((x / 14 + y / 14) % 2 == 0),
                Ground::Stripes => f32::from((x + y) / 10 % 2 == 0),
                Ground::Dots => {
                    let (dx, dy) = ((x % 16) as f32 - 8.0, (y % 16) as f32 - 8.0);
                    (4.5 - dx.hypot(dy)).clamp(0.0, 1.0)
                }
                Ground::Fade => (x + y - 2 * 10 * 112) as f32 / (2 * SIDE) as f32,
                // Grains of two pixels: finer ones would be lost in the file.
                Ground::Noise => grain(scene.grain, x / 2, y / 2),
                Ground::Waves => 0.5 + 0.5 * (x as f32 / 5.0 + (y as f32 / 9.0).sin()).sin(),
                Ground::Lattice => f32::from(x % 18 < 4 || y % 18 < 4),
            };
            let [low, high] = scene.tints;
            pixels.extend((0..3).map(|c| blend(low[c], high[c], mix.clamp(0.0, 1.0))));
        }
    }
    pixels
}

/// Between 0 and 1, the same for one seed and place.
fn grain(seed: u32, x: usize, y: usize) -> f32 {
    let mut bits =
        seed ^ (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2c1b_3c6d);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297a_2d39);
    ((bits ^ (bits >> 15)) >> 8) as f32 / (1 << 24) as f32
}

fn blend(from: u8, to: u8, amount: f32) -> u8 {
    (f32::from(from) + (f32::from(to) - f32::from(from)) * amount).round() as u8
}

fn rgb(colour: Colour) -> [u8; 3] {
    match colour {
        Colour::Red => [225, 45, 40],
        Colour::Green => [50, 190, 70],
        Colour::Blue => [50, 95, 235],
        Colour::Yellow => [245, 210, 50],
        Colour::Purple => [165, 65, 205],
        Colour::White => [245, 245, 245],
    }
}

/// Where an object is at a moment, how large, how far turned, and how much of it is seen.
#[derive(Clone, Copy, Debug)]
struct Pose {
    centre: [f32; 2],
    radius: f32,
    turn: f32,
    opacity: f32,
}

impl Pose {
    fn moved(self, by: [f32; 2]) -> Self {
        let [x, y] = self.centre;
        Self {
            centre: [x + by[0], y + by[1]],
            ..self
        }
    }
}

/// What is left of an object that has gone.
const GONE: f32 = 0.06;
/// How far things move to each side, in pixels.
const REACH: f32 = 28.0;

fn pose(object: &Object, seconds: f32) -> Pose {
    let turns = object.phase + object.pace * seconds;
    let swing = (turns * TAU).sin();
    let [x, y] = object.home;
    let rest = Pose {
        centre: [x, y],
        radius: object.radius,
        turn: object.tilt * TAU,
        opacity: 1.0,
    };
    // From one end of its way to the other, then from the first end again.
    let along = REACH * (1.0 - 2.0 * (turns * 1.2).rem_euclid(1.0));
    let beside = object.side * 0.92 * object.radius;
    match object.motion {
        Motion::Still => rest,
        Motion::Slide => rest.moved([REACH * swing, 0.0]),
        Motion::Bounce => rest.moved([0.0, REACH - 2.0 * REACH * swing.abs()]),
        Motion::Rise => rest.moved([0.0, along]),
        Motion::Drop => rest.moved([0.0, -along]),
        // Slowly enough for each of four frames a second to be unlike the one before.
        Motion::Spin => Pose {
            turn: rest.turn + turns * PI,
            ..rest
        },
        Motion::Pulse => Pose {
            radius: object.radius * (1.0 + 0.45 * swing),
            ..rest
        },
        Motion::Fade => Pose {
            opacity: (1.0 + GONE) / 2.0 + (1.0 - GONE) / 2.0 * swing,
            ..rest
        },
        Motion::Flicker => {
            // By steps of the golden ratio, so that frames sampled at any even rate disagree.
            let step = (seconds * 4.0).floor();
            let seen = (object.phase + step * 0.618_034).rem_euclid(1.0) < 0.55;
            Pose {
                opacity: if seen { 1.0 } else { GONE },
                ..rest
            }
        }
        // Two of these run at each other, touch and leave again.
        Motion::Collide => {
            let apart = 22.0 * (turns * PI).sin().abs();
            rest.moved([beside + object.side * apart, 0.0])
        }
        // Two of these keep their distance.
        Motion::Lead => rest.moved([beside + object.side * object.gap + 16.0 * swing, 0.0]),
    }
}

fn draw(pixels: &mut [u8], object: &Object, pose: &Pose) {
    let fill = rgb(object.colour);
    let (sin, cos) = pose.turn.sin_cos();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (
                x as f32 + 0.5 - pose.centre[0],
                y as f32 + 0.5 - pose.centre[1],
            );
            let (dx, dy) = (cos * dx + sin * dy, cos * dy - sin * dx);
            let coverage = (0.5 - distance(object.shape, dx, dy, pose.radius)).clamp(0.0, 1.0);
            if coverage > 0.0 {
                let at = (y * SIDE + x) * 3;
                for (channel, fill) in pixels[at..at + 3].iter_mut().zip(fill) {
                    *channel = blend(*channel, fill, coverage * pose.opacity);
                }
            }
        }
    }
}

/// Signed distance to the outline in pixels, below zero inside; near enough around it.
fn distance(shape: Shape, x: f32, y: f32, radius: f32) -> f32 {
    let length = x.hypot(y);
    match shape {
        Shape::Circle => length - radius,
        Shape::Square => x.abs().max(y.abs()) - 0.85 * radius,
        Shape::Triangle => {
            let slanted = (x.abs() * 0.866 - y * 0.5) - 0.5 * radius;
            slanted.max(y - 0.6 * radius).max(-y - radius)
        }
        Shape::Ring => (length - 0.75 * radius).abs() - 0.25 * radius,
        Shape::Cross => {
            let arm = 0.3 * radius;
            let (x, y) = (x.abs(), y.abs());
            (x - radius).max(y - arm).min((y - radius).max(x - arm))
        }
        Shape::Star => {
            // Five points: the outline's radius falls and rises with the angle.
            let fifth = TAU / 5.0;
            let angle = (y.atan2(x) + PI / 2.0).rem_euclid(fifth) / fifth;
            let fold = (2.0 * angle - 1.0).abs();
            (length - radius * (0.45 + 0.65 * fold * fold)) * 0.7
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::demo::scene::{Hazard, Split};

    fn drawn(hazard: Option<Hazard>, seed: u64) -> Vec<Vec<u8>> {
        frames(&scene(hazard, Split::Train, seed)).collect()
    }

    #[test]
    fn every_frame_is_full() {
        let frames = drawn(None, 1);
        assert_eq!(frames.len(), FRAMES);
        assert!(frames.iter().all(|frame| frame.len() == SIDE * SIDE * 3));
    }

    #[test]
    fn a_flare_comes_and_goes() {
        let frames = drawn(Some(Hazard::Flare), 2);
        assert!(frames.windows(2).any(|pair| pair[0] != pair[1]));
        assert!(
            frames.windows(2).any(|pair| pair[0] == pair[1]),
            "between flickers nothing moves"
        );
    }

    /// How many different frames one sees at so many a second.
    #[track_caller]
    fn check_flare(rate: usize) {
        for seed in 0..20 {
            let scene = scene(Some(Hazard::Flare), Split::Train, seed);
            let frames: Vec<_> = frames(&scene).collect();
            let seen: std::collections::HashSet<_> = frames.iter().step_by(FPS / rate).collect();
            assert_eq!(seen.len(), 2, "seed {seed}");
        }
    }

    #[test]
    fn a_flare_shows_at_two_frames_a_second() {
        check_flare(2);
    }

    #[test]
    fn a_flare_shows_at_four_frames_a_second() {
        check_flare(4);
    }

    /// `safe` with the values that make its frame at 0 s that of the hazard at `seconds`.
    fn check_twin(hazard: Hazard, seconds: f32, safe: impl Fn(&Object, &Pose) -> Object) {
        for seed in 0..20 {
            for object in scene(Some(hazard), Split::Train, seed).objects {
                if object.motion != hazard.motion() {
                    continue;
                }
                let shown = pose(&object, seconds);
                let twin = pose(&safe(&object, &shown), 0.0);
                let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
                assert!(near(shown.centre[0], twin.centre[0]), "{object:?}");
                assert!(near(shown.centre[1], twin.centre[1]), "{object:?}");
                assert!(near(shown.turn, twin.turn) && near(shown.opacity, twin.opacity));
                assert!(near(shown.radius, twin.radius));
            }
        }
    }

    #[test]
    fn a_frame_of_what_spins_is_one_of_what_rests() {
        check_twin(Hazard::Whirl, 0.7, |object, shown| Object {
            motion: Motion::Still,
            tilt: shown.turn / TAU,
            ..object.clone()
        });
    }

    #[test]
    fn a_frame_of_what_flickers_is_one_of_what_fades() {
        for seconds in [0.0, 0.3, 0.6] {
            check_twin(Hazard::Flare, seconds, |object, shown| Object {
                motion: Motion::Fade,
                phase: if shown.opacity > 0.5 { 0.25 } else { 0.75 },
                ..object.clone()
            });
        }
    }

    #[test]
    fn a_frame_of_what_drops_is_one_of_what_rises() {
        check_twin(Hazard::Dive, 0.4, |object, _| Object {
            motion: Motion::Rise,
            phase: (1.0 - ((object.phase + object.pace * 0.4) * 1.2).rem_euclid(1.0)) / 1.2,
            ..object.clone()
        });
    }

    #[test]
    fn a_frame_of_a_crash_is_one_of_two_that_go_together() {
        check_twin(Hazard::Crash, 0.5, |object, shown| Object {
            motion: Motion::Lead,
            phase: 0.0,
            gap: (shown.centre[0] - object.home[0]).abs() - 0.92 * object.radius,
            ..object.clone()
        });
    }

    #[test]
    fn what_rests_does_not_change() {
        let resting = still();
        let frames: Vec<_> = frames(&resting).collect();
        assert!(frames.iter().all(|frame| frame == &frames[0]));
    }

    #[test]
    fn under_a_drifting_camera_everything_changes() {
        let drifting = Scene {
            drift: [5.0, -5.0],
            ground: Ground::Noise,
            ..still()
        };
        let frames: Vec<_> = frames(&drifting).collect();
        assert_ne!(frames[0], frames[FRAMES - 1]);
    }

    fn scene(hazard: Option<Hazard>, split: Split, seed: u64) -> Scene {
        Scene::draw(split, hazard, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn still() -> Scene {
        (0..)
            .map(|seed| scene(None, Split::Train, seed))
            .find(|scene| scene.objects[0].motion == Motion::Still)
            .unwrap()
    }
}
