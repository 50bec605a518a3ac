//! What the loop is run for: a model made ready ([`start`]), something to minimise on it
//! ([`supervised`], [`grpo`], [`dpo`]), its way to the disk ([`folder`]), and all of a recipe's
//! stages one after the other ([`chain`]).

pub mod chain;
pub mod dpo;
pub mod examples;
pub mod folder;
pub mod grpo;
pub mod job;
pub mod material;
pub mod prompt;
pub mod records;
pub mod start;
pub mod supervised;
