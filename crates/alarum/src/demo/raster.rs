//! Pixels of a scene: shapes as distance functions, so that edges are smooth, over a ground that is
//! drawn once.

use std::f32::consts::{PI, TAU};

use super::scene::{Colour, FPS, Ground, Light, Motion, Object, SIDE, Scene, Shape};

/// The RGB frames of a scene, `SIDE × SIDE × 3` bytes each.
pub(crate) fn frames(scene: &Scene) -> impl Iterator<Item = Vec<u8>> + '_ {
    let ground = ground(scene);
    (0..scene.frames).map(move |index| {
        let mut pixels = ground.clone();
        for object in scene.objects.iter().rev() {
            draw(&mut pixels, object, index as f32 / FPS as f32);
        }
        let level = level(scene, index);
        for channel in &mut pixels {
            *channel = (f32::from(*channel) * level).round() as u8;
        }
        pixels
    })
}

/// How bright the light is in a frame.
fn level(scene: &Scene, index: usize) -> f32 {
    let [first, last] = scene.levels;
    match scene.light {
        Light::Steady => first,
        Light::Fade => first + (last - first) * index as f32 / (scene.frames - 1) as f32,
        // By steps of the golden ratio, so that frames sampled at any even rate disagree.
        Light::Flicker => {
            let turn = (index / 3) as f32 * 0.618_034 + scene.objects[0].phase;
            if turn.rem_euclid(1.0) < 0.5 {
                first
            } else {
                last
            }
        }
    }
}

fn ground(scene: &Scene) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let mix = match scene.ground {
                Ground::Checks => f32::from((x / 14 + y / 14) % 2 == 0),
                Ground::Stripes => f32::from((x + y) / 10 % 2 == 0),
                Ground::Dots => {
                    let (dx, dy) = ((x % 16) as f32 - 8.0, (y % 16) as f32 - 8.0);
                    (4.5 - dx.hypot(dy)).clamp(0.0, 1.0)
                }
                Ground::Fade => (x + y) as f32 / (2 * SIDE) as f32,
                // Grains of two pixels: finer ones would be lost in the file.
                Ground::Noise => grain(scene.grain, x / 2, y / 2),
            };
            let [low, high] = scene.tints;
            pixels.extend((0..3).map(|c| blend(low[c], high[c], mix)));
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

/// Where an object is at a moment, how large, and how far turned.
struct Pose {
    centre: [f32; 2],
    radius: f32,
    turn: f32,
}

fn pose(object: &Object, seconds: f32) -> Pose {
    let turns = object.phase + object.pace * seconds;
    let swing = (turns * TAU).sin();
    let [x, y] = object.home;
    let rest = Pose {
        centre: [x, y],
        radius: object.radius,
        turn: 0.0,
    };
    match object.motion {
        Motion::Still => rest,
        Motion::Slide => Pose {
            centre: [x + 24.0 * swing, y],
            ..rest
        },
        Motion::Bounce => Pose {
            centre: [x, y + 22.0 - 44.0 * swing.abs()],
            ..rest
        },
        Motion::Orbit => Pose {
            centre: [x + 22.0 * (turns * TAU).cos(), y + 22.0 * swing],
            ..rest
        },
        Motion::Spin => Pose {
            // At half the pace, so that frames four a second apart show no shape as it was.
            turn: turns * PI,
            ..rest
        },
        Motion::Pulse => Pose {
            radius: object.radius * (1.0 + 0.5 * swing),
            ..rest
        },
        Motion::Collide => {
            // Two of these, half a turn apart, run at each other, touch and leave again.
            let side = if object.phase < 0.5 { -1.0 } else { 1.0 };
            let apart = (seconds * object.pace * PI).sin().abs();
            Pose {
                centre: [x + side * (0.92 * object.radius + 20.0 * apart), y],
                ..rest
            }
        }
    }
}

fn draw(pixels: &mut [u8], object: &Object, seconds: f32) {
    let pose = pose(object, seconds);
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
                    *channel = blend(*channel, fill, coverage);
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
    use safety::SafetyLabel;

    use super::*;
    use crate::demo::scene::Split;

    fn drawn(label: SafetyLabel, seed: u64) -> Vec<Vec<u8>> {
        let scene = Scene::draw(Split::Train, label, &mut ChaCha8Rng::seed_from_u64(seed));
        frames(&scene).collect()
    }

    #[test]
    fn every_frame_is_full() {
        let frames = drawn(SafetyLabel::Safe, 1);
        assert!(frames.len() >= 2 * FPS);
        assert!(frames.iter().all(|frame| frame.len() == SIDE * SIDE * 3));
    }

    /// Whether the light is seen to come and go at so many frames a second.
    #[track_caller]
    fn check_flicker(rate: usize) {
        for seed in 0..20 {
            let bright = |frame: &Vec<u8>| frame.iter().map(|&c| u32::from(c)).sum::<u32>();
            let seen: Vec<u32> = drawn(SafetyLabel::Harmful, seed)
                .iter()
                .step_by(FPS / rate)
                .map(bright)
                .collect();
            let changes = seen.windows(2).filter(|pair| {
                let (low, high) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                f64::from(high) > 1.4 * f64::from(low)
            });
            assert!(changes.count() >= 1, "seed {seed}");
        }
    }

    #[test]
    fn a_flicker_shows_at_two_frames_a_second() {
        check_flicker(2);
    }

    #[test]
    fn a_flicker_shows_at_five_frames_a_second() {
        check_flicker(5);
    }

    #[test]
    fn what_rests_in_steady_light_does_not_change() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let scene =
            std::iter::repeat_with(|| Scene::draw(Split::Test, SafetyLabel::Safe, &mut rng))
                .find(|scene| {
                    scene.objects[0].motion == Motion::Still && scene.light == Light::Steady
                })
                .unwrap();
        let frames: Vec<_> = frames(&scene).collect();
        assert!(frames.iter().all(|frame| frame == &frames[0]));
    }
}
