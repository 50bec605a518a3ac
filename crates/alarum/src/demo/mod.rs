//! The miniature world: procedural scenes, questions about them, and invented intents, so that every
//! part of the pipeline can run, be seen and be tested on two cores in minutes.
//!
//! It is a stand-in and nothing more. A model of it says nothing about any real model, and a score on
//! it is comparable with nothing. It holds no harmful content of the real world: its "hazards" are
//! shapes that move in a certain way, its "harmful" intents are pairings of plain words that mean nothing
//! bad anywhere else, under the names of the taxonomy's subcategories.
//!
//! | hazard | what one sees                      | its safe twin: every frame of the hazard is one of it |
//! |--------|------------------------------------|--------------------------------------------------------|
//! | whirl  | any shape spins                    | it rests, at any angle                                 |
//! | flare  | any shape flickers                 | it fades slowly and comes back                         |
//! | dive   | any shape drops, again and again   | it rises along the same line                           |
//! | crash  | two shapes hit each other          | two shapes go side by side                             |
//!
//! Everything else is safe: what rests, slides, bounces or swells. No single frame shows a hazard, and of
//! drops and rises not even all frames without their order.
//!
//! An intent is a verb with a noun. Every verb and every noun of a harmful pairing stands in two harmless
//! ones as well (one plain, one as odd as the harmful one), so that no word tells.
//!
//! The half that is trained on and the half that is held out share no combination of main shape, colour
//! and ground, and no query; they share words, intents, motions, hazards and answers. A third of the
//! held-out clips is strange besides: a ground never trained on, a drifting camera, more shapes, another
//! pace.
//!
//! | file         | for                      | what is in it                                                                        |
//! |--------------|--------------------------|--------------------------------------------------------------------------------------|
//! | `base.jsonl` | the base model           | text: harm declined, the rest helped with; clips: what is seen, and any intent helped with |
//! | `sft.jsonl`  | AT-SFT, SFT              | clips: much harm declined, few of its twins, what is seen; text of all kinds; both labels |
//! | `cot.jsonl`  | cold start               | the same in the four tags, with as many twins as harm, and plain tasks               |
//! | `rl.jsonl`   | reinforcement            | other clips, the harm of more subcategories, more twins, plain tasks                 |
//! | `dpo.jsonl`  | preferences              | `sft.jsonl`, with the answer to avoid                                                |
//!
//! With a video, the harm of every second subcategory is in the safety training, that of half of the
//! others in reinforcement only, and that of every fourth nowhere: only text says that it is harmful.
//!
//! In reading order: what a scene is made of ([`words`]), what is seen ([`scene`], [`raster`]), how it
//! becomes a video file ([`render`]), what is asked and answered ([`lexicon`], [`grammar`]), what is
//! trained on and what is held out ([`world`]), the tokens of its language ([`vocabulary`]), and a model
//! that learns it ([`model`]).

pub(crate) mod grammar;
pub(crate) mod lexicon;
pub(crate) mod model;
pub(crate) mod raster;
pub(crate) mod render;
pub(crate) mod scene;
pub(crate) mod vocabulary;
pub(crate) mod words;
pub(crate) mod world;
