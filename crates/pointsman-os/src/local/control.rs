//! The control socket, both ends.
//!
//! Invariants: only its own user and root are answered, by the file's mode and by the peer's credentials; a directory in
//! a place where all may write is our own or is not used.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::endpoint::{UnixEndpoint, bind_unix, private_directory};
use super::service::is_root;

/// Where the daemon and its clients meet unless told otherwise: `/run/pointsman.sock` for root, else
/// [`user_control_path`].
pub fn default_control_path() -> PathBuf {
    if is_root() {
        PathBuf::from("/run/pointsman.sock")
    } else {
        user_control_path()
    }
}

/// `$XDG_RUNTIME_DIR/pointsman.sock`; where that is unset, in a directory of the user's own under the temporary one.
pub fn user_control_path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
    {
        Some(directory) => directory.join(SOCKET),
        None => own_temporary_directory().join(SOCKET),
    }
}

const SOCKET: &str = "pointsman.sock";

/// Where the service of a package listens: it runs as a user of its own, who may not write into `/run`.
const SERVICE_SOCKET: &str = "/run/pointsman/pointsman.sock";

/// Where a client looks for a daemon: [`default_control_path`], and as root the service's where nothing is there.
pub fn usual_control_path() -> PathBuf {
    let usual = default_control_path();
    let service = PathBuf::from(SERVICE_SOCKET);
    match is_root() && !usual.exists() && service.exists() {
        true => service,
        false => usual,
    }
}

/// The name of the control socket of a daemon that is called `policy-routerd`, as that program's own has it.
pub const POLICY_ROUTER_SOCKET: &str = "policy-routerd.sock";

/// The control socket that a word means which may be a path or a name: what begins with `/` or `.`, or holds `\\` or
/// `:`, is a path; anything else is a name in `directory`.
///
/// # Errors
/// Why it is neither, in words.
pub fn named_control_path(directory: &Path, word: &OsStr) -> Result<PathBuf, String> {
    let text = word.to_string_lossy();
    if text.starts_with(['/', '.']) || text.contains(['\\', ':']) {
        return Ok(word.into());
    }
    match text.as_ref() {
        "" => Err("a socket needs a name".to_owned()),
        name if name.contains('/') => Err(format!(
            "`{name}` is no socket's name: a name has no `/`, a path begins with `/` or `./`"
        )),
        name => Ok(directory.join(name)),
    }
}

fn own_temporary_directory() -> PathBuf {
    std::env::temp_dir().join(format!("pointsman-{}", rustix::process::geteuid().as_raw()))
}

/// The daemon's end; dropping it removes the path.
#[derive(Debug)]
pub struct ControlListener {
    listener: UnixListener,
    endpoint: UnixEndpoint,
}

impl ControlListener {
    /// Waits for a client that is allowed; others are hung up on.
    ///
    /// # Errors
    /// Those of `accept`.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (client, _) = self.listener.accept().await?;
            if peer_allowed(&client) {
                return Ok(client);
            }
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.endpoint.path()
    }
}

/// Listens on `path` with mode 0600, within a tokio runtime.
///
/// # Errors
/// `AddrInUse`: another daemon lives there. `PermissionDenied`: the directory under the temporary one is somebody
/// else's. Else those of the system.
pub fn bind_control(path: &Path) -> io::Result<ControlListener> {
    if let Some(parent) = path.parent()
        && parent == own_temporary_directory()
    {
        private_directory(parent)?;
    }
    let (listener, endpoint) = bind_unix(path, 0o600)?;
    Ok(ControlListener {
        listener: UnixListener::from_std(listener)?,
        endpoint,
    })
}

/// The client's end.
///
/// # Errors
/// `NotFound` and `ConnectionRefused`: no daemon lives there. `PermissionDenied`: it is not ours to ask, or the socket
/// is not served by our user or root; for root also by the user that root gave its directory to.
#[expect(
    clippy::disallowed_methods,
    reason = "the control socket is the one connection that is not the data plane's"
)]
pub async fn connect_control(path: &Path) -> io::Result<UnixStream> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let stream = UnixStream::connect(path).await.map_err(named)?;
    if !peer_allowed(&stream) && !is_given_to_peer(path, &stream) {
        let text = format!("{} is served by another user", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(stream)
}

/// Whether we are root and the other end is the user to whom root gave the socket's directory, as a service manager does.
fn is_given_to_peer(path: &Path, stream: &UnixStream) -> bool {
    is_root()
        && stream
            .peer_cred()
            .is_ok_and(|peer| given_to(path) == Some(peer.uid()))
}

/// The owner of a socket's directory, where nobody but root can have chosen it and nobody else may write there.
pub(super) fn given_to(path: &Path) -> Option<u32> {
    let directory = path.parent()?.canonicalize().ok()?;
    let closed = |directory: &Path| {
        let meta = std::fs::symlink_metadata(directory).ok()?;
        (meta.is_dir() && meta.mode() & 0o022 == 0).then(|| meta.uid())
    };
    let above = directory.ancestors().skip(1);
    let by_root = above.into_iter().all(|above| closed(above) == Some(0));
    closed(&directory).filter(|_| by_root)
}

/// Whether the other end is of our own user, or root.
pub fn peer_allowed(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
