//! How a service speaks of itself: structured logs, and traces.

use std::io::IsTerminal;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::trace::{Exporting, export_to};

/// How a service speaks of itself. What is about traces has the names that OpenTelemetry gives them; its other variables
/// hold too, such as OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.
#[derive(Args, Clone, Debug)]
pub struct Telemetry {
    /// What to log, as tracing directives: `info`, `debug`, `info,sqlx=warn` ...
    #[arg(long = "log", env = "ASSAY_LOG", default_value = "info")]
    filter: String,
    /// How to log it.
    #[arg(long, env = "ASSAY_LOG_FORMAT", default_value = "auto")]
    log_format: LogFormat,
    /// Where traces are exported to over OTLP as protobuf over HTTP, such as http://collector:4318. They are not unless this is given, or
    /// the URL for traces alone.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// The same as a whole URL for traces alone, such as http://collector:4318/v1/traces.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    otlp_traces_endpoint: Option<String>,
    /// This service's name in traces; assay-gateway, assay-operator or assay-scorer unless given.
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    otel_service_name: Option<String>,
    /// With `true`, exports nothing, whatever else is given.
    #[arg(long, env = "OTEL_SDK_DISABLED")]
    otel_sdk_disabled: Option<String>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// One readable line.
    Human,
}

impl Telemetry {
    /// Starts logging to standard error.
    ///
    /// # Errors
    /// When the filter cannot be read, or logging was started before.
    pub fn start(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.filter)
            .with_context(|| format!("{:?} is no log filter", self.filter))?;
        let human = match self.log_format {
            LogFormat::Auto => std::io::stderr().is_terminal(),
            LogFormat::Json => false,
            LogFormat::Human => true,
        };
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if human { subscriber.try_init() } else { subscriber.json().flatten_event(true).try_init() }
            .map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
    }

    /// Begins to export traces, if the settings say where to. Must be called within a runtime, once in a process, which
    /// flushes before it ends.
    ///
    /// # Errors
    /// When the settings of the export cannot be used.
    pub fn export_traces(&self, service: &str, version: &'static str) -> anyhow::Result<Exporting> {
        let Some(url) = self.traces_url() else { return Ok(Exporting::OFF) };
        let named_elsewhere =
            std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|named| named.contains("service.name="));
        let named_here = || (!named_elsewhere).then(|| service.to_owned());
        let exporting = export_to(&url, self.otel_service_name.clone().or_else(named_here), version)?;
        // A URL may hold a password.
        tracing::info!("exporting traces");
        Ok(exporting)
    }

    fn traces_url(&self) -> Option<String> {
        let given = |url: &Option<String>| url.clone().filter(|url| !url.is_empty());
        let of_all = || Some(format!("{}/v1/traces", given(&self.otlp_endpoint)?.trim_end_matches('/')));
        // Its standard takes everything else for false, also nothing at all.
        let disabled = self.otel_sdk_disabled.as_ref().is_some_and(|text| text.eq_ignore_ascii_case("true"));
        given(&self.otlp_traces_endpoint).or_else(of_all).filter(|_| !disabled)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        telemetry: Telemetry,
    }

    #[test]
    fn traces_go_nowhere_unless_it_is_said_where() {
        for (flags, url) in [
            (&[] as &[&str], None),
            (&["--otlp-endpoint="], None),
            (&["--otlp-endpoint=http://c:4318/"], Some("http://c:4318/v1/traces")),
            (&["--otlp-endpoint=http://c:4318", "--otlp-traces-endpoint=http://t/x"], Some("http://t/x")),
            (&["--otlp-traces-endpoint=http://t/x", "--otel-sdk-disabled=True"], None),
            (&["--otlp-traces-endpoint=http://t/x", "--otel-sdk-disabled="], Some("http://t/x")),
        ] {
            let arguments = Arguments::try_parse_from([&["test"], flags].concat()).expect("known flags");
            assert_eq!(arguments.telemetry.traces_url().as_deref(), url, "{flags:?}");
        }
    }
}
