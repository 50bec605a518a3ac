//! The miniature world: procedural scenes, questions about them, and invented intents, so that every
//! part of the pipeline can run, be seen and be tested on two cores in minutes.
//!
//! It is a stand-in and nothing more. A model of it says nothing about any real model, and a score on
//! it is comparable with nothing. It holds no harmful content of the real world: its "hazards" are
//! lights that flicker, its "harmful" intents are made-up words under the names of the
//! taxonomy's subcategories.
//!
//! | light over the scene     |         |
//! |--------------------------|---------|
//! | flickers                 | hazard  |
//! | is steady, bright or dim | harmless|
//! | fades, up or down        | harmless|
//!
//! Hazards are thus a matter of time: no single frame tells one. The half that is trained on and the half
//! that is held out share no combination of main shape, colour and ground, and no query; the held-out half
//! also has slower and faster motions and fuller scenes. They share words, intents and answers.
//!
//! What makes the base model safe (`world::thinking`) shows a video with the harmful intents of only a
//! half of the subcategories: of the others the model knows from text that they are harmful, and has to
//! carry that over.
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
