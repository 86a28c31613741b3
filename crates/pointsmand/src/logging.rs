//! The daemon's log, on stderr: `RUST_LOG`, else `--log-level`, else the configuration's level.
//!
//! Invariant: people read text, programs JSON: what has parts (a problem, a flow) has them as fields there.

pub(crate) mod flows;
mod problems;
mod sink;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// The log, for those who change how loud it is, and those who say what has parts.
pub(crate) struct Log {
    /// `None`: the command line or the environment said it, and that is stronger.
    set: Option<Box<dyn Fn(EnvFilter) + Send + Sync>>,
    json: bool,
}

impl Log {
    /// One that nobody changes.
    #[cfg(test)]
    pub(crate) fn fixed() -> Self {
        Self {
            set: None,
            json: false,
        }
    }

    /// Whether it is one JSON object a line.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Takes the configuration's level, where nothing stronger was said; a word that is no level changes nothing.
    pub(crate) fn set(&self, level: Option<&str>) {
        if let (Some(set), Ok(filter)) = (&self.set, filter(level)) {
            set(filter);
        }
    }
}

/// Starts logging. `told` is the command line's level, `level` the configuration's.
pub(crate) fn start(told: Option<&str>, level: Option<&str>, json: bool) -> Result<Log, String> {
    let environment = std::env::var("RUST_LOG").ok();
    let (filter, fixed) = match environment.filter(|text| !text.is_empty()) {
        Some(text) => {
            let read = EnvFilter::try_new(&text);
            (
                read.map_err(|error| format!("RUST_LOG={text}: {error}"))?,
                true,
            )
        }
        None => (filter(told.or(level))?, told.is_some()),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink::stderr(json))
        .with_ansi(false)
        .with_timer(SystemTime);
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| error.to_string();
    let set: Box<dyn Fn(EnvFilter) + Send + Sync> = if json {
        let builder = builder.json().with_filter_reloading();
        let handle = builder.reload_handle();
        builder.try_init().map_err(failed)?;
        // The subscriber lives as long as the daemon.
        Box::new(move |filter| drop(handle.reload(filter)))
    } else {
        let builder = builder.with_filter_reloading();
        let handle = builder.reload_handle();
        builder.try_init().map_err(failed)?;
        Box::new(move |filter| drop(handle.reload(filter)))
    };
    Ok(Log {
        set: (!fixed).then_some(set),
        json,
    })
}

fn filter(level: Option<&str>) -> Result<EnvFilter, String> {
    let word = level.unwrap_or("info");
    if !["error", "warn", "info", "debug", "trace", "off"].contains(&word) {
        return Err(format!(
            "`{word}` is no log level (error, warn, info, debug, trace)"
        ));
    }
    Ok(EnvFilter::new(word))
}
