//! How a scorer keeps its leases, and learns that it has lost one: `scorer/src/renewal.rs` and `cancellation.rs`. Both
//! run beside the attempt, which may be somewhere else when their answers arrive.

use domain::Claim;
use domain::queue_rules::{Adopt, Adoption, Renewal};

use crate::rules::Rules;
use crate::state::{NOW, State, rank};

/// What a renewal is in the middle of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Renewing {
    /// Nothing.
    #[default]
    Idle,
    /// Redis has no lease for the claim. Postgres is to be asked.
    Asking(Claim),
    /// Postgres has confirmed the claim. Redis is to take the lease back.
    Adopting(Claim),
}

impl State {
    /// The renewal goes one step further. An answer that is lost is asked for again later, so that is as if nobody had
    /// asked.
    pub(crate) fn renew(&mut self, rules: &Rules, which: usize) {
        match self.scorers[which].renewing {
            Renewing::Idle => {
                let Some(claim) = self.scorers[which].held() else { return };
                match self.queue.renew(NOW, &[claim])[..] {
                    [Renewal::Superseded] => self.scorers[which].lose(claim),
                    // One that Postgres has not started cannot be asked about.
                    [Renewal::Missing] if self.scorers[which].has_started() => {
                        self.scorers[which].renewing = Renewing::Asking(claim);
                    }
                    _ => {}
                }
            }
            Renewing::Asking(claim) => {
                if self.is_running_under(claim) {
                    self.scorers[which].renewing = Renewing::Adopting(claim);
                } else {
                    self.scorers[which].lose(claim);
                    self.scorers[which].renewing = Renewing::Idle;
                }
            }
            Renewing::Adopting(claim) => {
                let adopt = Adopt { claim, rank: rank(claim.job) };
                if (rules.adopt)(&mut self.queue, NOW, &[adopt]) == [Adoption::Superseded] {
                    self.scorers[which].lose(claim);
                }
                self.scorers[which].renewing = Renewing::Idle;
            }
        }
    }

    /// Looks whether what is worked on is still to be.
    pub(crate) fn look_for_cancellation(&mut self, which: usize) {
        let scorer = &self.scorers[which];
        if let Some(claim) = scorer.held().filter(|_| scorer.has_started())
            && !self.is_running_under(claim)
        {
            self.scorers[which].lose(claim);
        }
    }
}
