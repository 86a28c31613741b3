//! Owners are not known here.

use std::io;
use std::net::SocketAddr;

use crate::owner::{Ancestor, Network, ProcessInfo, SocketOwner};

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "owners of flows are not built for this system",
    ))
}

pub(crate) fn lookup(_: Network, _: SocketAddr, _: SocketAddr) -> io::Result<Option<SocketOwner>> {
    unsupported()
}

pub(crate) fn listener(_: SocketAddr) -> io::Result<Option<SocketOwner>> {
    unsupported()
}

pub(crate) fn owns(_: u32, _: u64) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn pids_by_user(_: u32) -> io::Result<(Vec<u32>, Vec<u32>)> {
    unsupported()
}

pub(crate) fn process(_: u32) -> io::Result<ProcessInfo> {
    unsupported()
}

pub(crate) fn command_line(_: u32) -> io::Result<String> {
    unsupported()
}

pub(crate) fn variable(_: u32, _: &str) -> io::Result<Option<String>> {
    unsupported()
}

pub(crate) fn parents(_: u32, _: usize) -> Vec<Ancestor> {
    Vec::new()
}

pub(crate) fn user_name(_: u32) -> Option<String> {
    None
}

pub(crate) fn user_named(_: &str) -> Option<u32> {
    None
}

pub(crate) fn may_see_others() -> bool {
    true
}
