//! Where does the service say what it does? On stderr, a line of JSON or of text an event, with the id of the request
//! it belongs to; with the feature `otlp` also to a collector. Tokens, cookies, bodies and query strings never get here.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Begins to write logs; at most once a process, later calls change nothing. `filter` as in RUST_LOG.
pub fn begin(json: bool, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match json {
        true => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
        false => lines.with_ansi(false).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    #[cfg(feature = "otlp")]
    let subscriber = subscriber.with(otlp::layer());
    let _ = subscriber.try_init();
}

#[cfg(feature = "otlp")]
mod otlp {
    //! To an OpenTelemetry collector, at the address that OTEL_EXPORTER_OTLP_ENDPOINT names.

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::registry::LookupSpan;

    /// Sends spans; `None`, with a message, where no exporter can be had.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> Option<impl Layer<S>> {
        match opentelemetry_otlp::SpanExporter::builder().build() {
            Ok(exporter) => {
                let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
                let tracer = provider.tracer("hibrit");
                opentelemetry::global::set_tracer_provider(provider);
                Some(tracing_opentelemetry::layer().with_tracer(tracer))
            }
            Err(error) => {
                eprintln!("warning: no export of traces: {error}");
                None
            }
        }
    }
}
