//! This host's own affairs: local endpoints, the service manager, signals, limits.
//!
//! Invariant: nothing here touches the network; the client links this module alone. A system that is
//! not of Unix's kind has what the data plane needs of it, which does less.

#[cfg(unix)]
mod control;
#[cfg(unix)]
mod endpoint;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod hand_over;
#[cfg(unix)]
mod inherited;
#[cfg(not(unix))]
#[path = "fallback/local.rs"]
mod none;
#[cfg(unix)]
mod private_directory;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod stream;

#[cfg(unix)]
pub use control::{
    ControlListener, POLICY_ROUTER_SOCKET, bind_control, connect_control, default_control_path,
    named_control_path, peer_allowed, user_control_path, usual_control_path,
};
#[cfg(unix)]
pub use endpoint::{UnixEndpoint, bind_unix, private_directory};
#[cfg(unix)]
pub use files::{
    ends_within_line, is_locked, open_lockable, open_log, open_regular, read_handed, read_regular,
};
#[cfg(unix)]
pub use hand_over::make_directory;
#[cfg(unix)]
pub use inherited::{
    Inherited, InheritedFd, inherited, inherited_listener, inherited_stream, listen_fds,
};
#[cfg(not(unix))]
pub use none::{
    Inherited, LocalListener, LocalStream, OwnLocalListener, OwnLocalStream, UnixEndpoint,
    bind_unix, ends_within_line, inherited_listener, inherited_stream, is_one_file, make_directory,
    open_log,
};
#[cfg(unix)]
pub use private_directory::{PrivateDirectory, create_private, replace_private};
#[cfg(unix)]
pub use process::Process;
#[cfg(unix)]
pub use service::{
    Signal, Signals, is_root, raise_descriptor_limit, sd_notify, sd_notify_reloading,
    terminal_width,
};
#[cfg(unix)]
pub use stream::{LocalListener, LocalStream, OwnLocalListener, OwnLocalStream, is_one_file};

#[cfg(all(test, unix))]
mod tests;
