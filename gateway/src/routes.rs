//! The routes, each in the file named after it.

pub(crate) mod dead_letters;
pub(crate) mod scoring;
pub(crate) mod submissions;
