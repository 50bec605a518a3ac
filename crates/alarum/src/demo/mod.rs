//! The miniature world: procedural scenes, questions about them, and invented intents, so that every
//! part of the pipeline can run, be seen and be tested on two cores in minutes.
//!
//! It is a stand-in and nothing more. Its "hazards" are shapes that flicker or collide, its "harmful"
//! intents are made-up words under the names of the taxonomy's subcategories, and a model of it says
//! nothing about any real model. It holds no harmful content of the real world.
//!
//! In reading order: what is seen ([`scene`]), how it becomes a video file ([`render`]), what is asked
//! and answered ([`grammar`]), what is trained on and what is held out ([`world`]), and the tokens of
//! its language ([`vocabulary`]).

pub(crate) mod grammar;
pub(crate) mod lexicon;
pub(crate) mod raster;
pub(crate) mod render;
pub(crate) mod scene;
pub(crate) mod vocabulary;
pub(crate) mod world;
