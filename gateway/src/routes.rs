//! The routes, each in the file named after it.

mod attempt;
pub(crate) mod caller;
pub(crate) mod dead_letters;
pub(crate) mod description;
pub(crate) mod pools;
pub(crate) mod scoring;
pub(crate) mod submissions;
