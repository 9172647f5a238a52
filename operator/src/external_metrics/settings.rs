//! What the external metrics are told at start.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use domain::duration;

/// Shorter ones would be renewed all the time: they begin some minutes before they are made.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Flags and environment of the external metrics.
#[derive(Args, Clone, Debug)]
pub struct ExternalMetricsFlags {
    /// Where the external metrics API is served over TLS, which autoscalers ask by way of the API server. Without it, it is
    /// not served.
    #[arg(long, env = "ASSAY_EXTERNAL_METRICS_ADDR", requires = "external_metrics_service")]
    pub external_metrics_addr: Option<SocketAddr>,
    /// The Service in the operator's namespace that the APIService of external metrics names.
    #[arg(long, env = "ASSAY_EXTERNAL_METRICS_SERVICE")]
    pub external_metrics_service: Option<String>,
    /// The Secret in the operator's namespace that keeps the certificate of the external metrics API; the Service's name and
    /// `-tls` unless given. It is made and renewed by itself.
    #[arg(long, env = "ASSAY_EXTERNAL_METRICS_SECRET")]
    pub external_metrics_secret: Option<String>,
    /// How long a certificate of the external metrics API is valid. It is renewed after two thirds of that.
    #[arg(
        long,
        env = "ASSAY_EXTERNAL_METRICS_CERTIFICATE_LIFETIME",
        default_value = "90d",
        value_parser = duration::parse
    )]
    pub external_metrics_certificate_lifetime: Duration,
    /// How long the authority is valid that signs them. It is renewed after two thirds of that.
    #[arg(
        long,
        env = "ASSAY_EXTERNAL_METRICS_AUTHORITY_LIFETIME",
        default_value = "3650d",
        value_parser = duration::parse
    )]
    pub external_metrics_authority_lifetime: Duration,
}

/// The same, complete and free of contradictions.
#[derive(Clone, Debug)]
pub(crate) struct ExternalMetricsSettings {
    pub(super) addr: SocketAddr,
    pub(super) service: String,
    pub(super) secret: String,
    pub(super) lifetimes: Lifetimes,
}

/// How long certificates are valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    pub(super) certificate: Duration,
    pub(super) authority: Duration,
}

impl ExternalMetricsFlags {
    /// Refuses contradictions. None when external metrics are not to be served.
    ///
    /// # Errors
    /// When two settings contradict each other; the message names them.
    pub(crate) fn settings(&self) -> anyhow::Result<Option<ExternalMetricsSettings>> {
        let Some(addr) = self.external_metrics_addr else { return Ok(None) };
        let service = self.external_metrics_service.clone().context(
            "--external-metrics-addr needs --external-metrics-service: the certificate is for its name",
        )?;
        let lifetimes = Lifetimes {
            certificate: self.external_metrics_certificate_lifetime,
            authority: self.external_metrics_authority_lifetime,
        };
        ensure!(
            lifetimes.certificate >= SHORTEST_LIFETIME,
            "--external-metrics-certificate-lifetime {:?} is shorter than {SHORTEST_LIFETIME:?}",
            lifetimes.certificate
        );
        ensure!(
            lifetimes.authority / 3 >= lifetimes.certificate,
            "--external-metrics-authority-lifetime {:?} is less than three times \
            --external-metrics-certificate-lifetime {:?}: certificates would outlive who signs them",
            lifetimes.authority,
            lifetimes.certificate
        );
        let secret = self.external_metrics_secret.clone().unwrap_or_else(|| format!("{service}-tls"));
        Ok(Some(ExternalMetricsSettings { addr, service, secret, lifetimes }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        flags: ExternalMetricsFlags,
    }

    const SERVED: [&str; 3] =
        ["operator", "--external-metrics-addr=0.0.0.0:6443", "--external-metrics-service=metrics"];

    fn settings(flags: &[&str]) -> anyhow::Result<Option<ExternalMetricsSettings>> {
        Arguments::try_parse_from(flags)?.flags.settings()
    }

    #[test]
    fn external_metrics_are_off_unless_they_are_asked_for_and_then_need_a_service() {
        assert!(settings(&["operator"]).expect("nothing wrong").is_none());
        assert!(settings(&SERVED[..2]).is_err());
        let served = settings(&SERVED).expect("nothing wrong").expect("settings");
        assert_eq!(served.secret, "metrics-tls");
    }

    #[test]
    fn lifetimes_that_make_no_sense_are_refused_by_the_names_of_their_flags() {
        for (flag, named) in [
            ("--external-metrics-certificate-lifetime=14m", "--external-metrics-certificate-lifetime 840s"),
            ("--external-metrics-authority-lifetime=269d", "--external-metrics-authority-lifetime"),
        ] {
            let refusal = settings(&[&SERVED, [flag].as_slice()].concat()).expect_err(flag).to_string();
            assert!(refusal.contains(named), "{refusal}");
        }
    }
}
