//! Datagrams, where the system can do all that is promised.

#[cfg(target_os = "linux")]
mod carried;
#[cfg(target_os = "linux")]
mod narrow;
#[cfg(target_os = "linux")]
mod order;
#[cfg(target_os = "linux")]
mod told;
