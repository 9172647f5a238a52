//! How much may be asked.

use clap::Args;
use domain::Rate;

/// Limits on how often clients and callers may ask. A limit such as `600/1m` is that many at once after a rest, and as
/// many in each minute on the average.
#[derive(Args, Clone, Debug)]
pub struct RateLimitFlags {
    /// How much may be read from one address (of IPv6: from one /64). A whole class may be behind one.
    #[arg(long, env = "ASSAY_RATE_ADDRESS_READS", default_value = "30000/1m")]
    pub rate_address_reads: Rate,
    /// How much may be written from one address (of IPv6: from one /64).
    #[arg(long, env = "ASSAY_RATE_ADDRESS_WRITES", default_value = "6000/1m")]
    pub rate_address_writes: Rate,
    /// How much one subject of a tenant may read. Without authentication there are none.
    #[arg(long, env = "ASSAY_RATE_SUBJECT_READS", default_value = "6000/1m")]
    pub rate_subject_reads: Rate,
    /// How much one subject of a tenant may write.
    #[arg(long, env = "ASSAY_RATE_SUBJECT_WRITES", default_value = "1200/1m")]
    pub rate_subject_writes: Rate,
}
