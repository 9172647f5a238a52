//! What people watch Assay with: its metrics as they are shown and as they are documented, and the expressions over them.

pub mod documented;
pub mod exposition;
pub mod expression;
pub mod promtool;

pub use documented::{DocumentedMetric, documented};
pub use exposition::{ShownMetric, shown};
pub use expression::{Mention, mentions};
