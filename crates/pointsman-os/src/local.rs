//! This host's own affairs: local endpoints, the service manager, signals, limits.
//!
//! Invariant: nothing here touches the network; the client links this module alone.

mod control;
mod endpoint;
mod files;
mod given;
mod inherited;
mod kept;
mod service;
mod stream;

pub use control::{
    ControlListener, POLICY_ROUTER_SOCKET, bind_control, connect_control, default_control_path,
    named_control_path, peer_allowed, user_control_path, usual_control_path,
};
pub use endpoint::{UnixEndpoint, bind_unix, private_directory};
pub use files::{
    ends_within_line, is_locked, open_lockable, open_log, open_regular, read_handed, read_regular,
};
pub use given::make_directory;
pub use inherited::{
    Inherited, InheritedFd, inherited, inherited_listener, inherited_stream, listen_fds,
};
pub use kept::{Kept, create_private, replace_private};
pub use service::{
    Signal, Signals, is_root, raise_descriptor_limit, sd_notify, sd_notify_reloading,
    terminal_width,
};
pub use stream::{LocalListener, LocalStream, OwnLocalListener, OwnLocalStream, is_one_file};

#[cfg(test)]
mod tests;
