//! What the native dialect takes where a key is not given: every default, once, with its reason.

use std::time::Duration;

use crate::setup::Balance;

/// The configuration without `--config` and without a file: a proxy for this host alone that
/// changes nothing about where traffic goes.
pub const DEFAULT: &str = include_str!("default.yaml");

/// `shutdown.grace`: what is left of an orchestrator's usual 30 s is for the second signal.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// `targets[].attempts`: a balance tries the next target; trying the same one again is for those
/// who ask for it.
pub(super) const ATTEMPTS: u32 = 1;

/// `targets[].backoff`: the time that a restarting server needs at least.
pub(super) const BACKOFF: Duration = Duration::from_millis(100);

/// `targets[].connect_timeout`: Linux sends its first three SYN within 7 s; later ones come after
/// most clients have given up.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `balance`: a second target that is never tried is never meant.
pub(super) const BALANCE: Balance = Balance::Failover;

/// `udp` of a SOCKS5 outbound: many servers carry none (`ssh -D`, Tor), and a refusal that names
/// the outbound is better than datagrams that vanish.
pub(super) const SOCKS_UDP: bool = false;

/// `watch`: a half-edited file must not take effect by itself unless asked for.
pub(super) const WATCH: bool = false;

/// The most that `history.keep` may be: a replay of more takes longer than anybody waits.
pub(super) const HISTORY_MOST: i64 = 100_000;
