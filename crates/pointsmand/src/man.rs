//! The man page, from the same words as `--help`.

use std::io::{self, Write};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::Args;

/// What the page ends with, as man(7) has it.
const ENDS: &str = r"
.SH SIGNALS
.TP
SIGHUP
Reads the configuration again, all of it or nothing, and opens access logs again.
.TP
SIGUSR1
Opens access logs again, and nothing else.
.TP
SIGTERM, SIGINT
Takes no new flows and lets those under way go on for \fIshutdown.grace\fR; a second one ends them.
.SH EXIT STATUS
.TP
0
Ended as asked.
.TP
1
It failed: an address in use, another daemon on the control socket.
.TP
2
The command line is wrong.
.TP
78
The configuration has errors, or its own tests fail.
.SH FILES
.TP
/etc/pointsman/pointsman.yaml
The configuration where no other is named.
.TP
/var/lib/pointsman
What outlives the daemon: selections, what rules decided, copies of lists.
.TP
/run/pointsman.sock
The control socket of a daemon that root started by hand; that of the package's service is
/run/pointsman/pointsman.sock.
.SH ENVIRONMENT
.TP
POINTSMAN_CONTROL
The control socket; \fB\-\-control\fR is stronger.
.TP
STATE_DIRECTORY
Where state is kept; \fB\-\-state\fR is stronger.
.TP
NOTIFY_SOCKET
Told READY=1, RELOADING=1 and STOPPING=1, as sd_notify(3) says.
.TP
LISTEN_FDS, LISTEN_PID
Sockets that a service manager opened, for forwards that listen on \fIfd://N\fR.
.TP
RUST_LOG
The log's level; stronger than all else.
.SH SEE ALSO
pointsman(1)
";

/// Writes it.
///
/// # Errors
/// Those of writing.
pub(crate) fn write(to: &mut impl Write) -> io::Result<()> {
    let man = Man::new(Args::command()).section("8").manual("Pointsman");
    man.render(to)?;
    to.write_all(ENDS.as_bytes())
}
