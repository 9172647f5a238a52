//! One line of log for each outage, however often it is met.

/// Remembers whether an outage was spoken of.
#[derive(Debug, Default)]
pub struct Outage {
    met: bool,
}

impl Outage {
    /// Notes a failure. True when it is the first since the last success.
    pub fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.met, true)
    }

    /// Notes a success.
    pub fn over(&mut self) {
        self.met = false;
    }
}
