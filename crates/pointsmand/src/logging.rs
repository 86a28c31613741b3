//! The daemon's log, on stderr: `RUST_LOG`, else `--log-level`, else the configuration's level.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// Starts logging. `level` is a word of the command line or the configuration.
pub(crate) fn start(level: Option<&str>, json: bool) -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(&text).map_err(|error| format!("RUST_LOG={text}: {error}"))?
        }
        Ok(_) | Err(_) => {
            let word = level.unwrap_or("info");
            if !["error", "warn", "info", "debug", "trace", "off"].contains(&word) {
                return Err(format!(
                    "`{word}` is no log level (error, warn, info, debug, trace)"
                ));
            }
            EnvFilter::new(word)
        }
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_timer(SystemTime);
    let started = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| error.to_string())
}
