//! Processes by `/proc`.
//!
//! Invariant: a process may end between any two reads; each function then answers `NotFound`, never a mixture.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::owner::{Ancestor, ProcessInfo};

/// No argument list or environment is read beyond this.
const LONGEST: u64 = 128 << 10;

pub(crate) fn owns(pid: u32, inode: u64) -> io::Result<bool> {
    let wanted = format!("socket:[{inode}]");
    let mut denied = None;
    for entry in fs::read_dir(proc(pid, "fd"))? {
        // A descriptor may be closed while we walk.
        let Ok(entry) = entry else { continue };
        match fs::read_link(entry.path()) {
            Ok(target) if target.as_os_str() == OsStr::new(&wanted) => return Ok(true),
            // The directory is another right than what is in it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(error),
            Ok(_) | Err(_) => {}
        }
    }
    denied.map_or(Ok(false), Err)
}

/// By the effective capabilities: one for the descriptors' directory, one for what they are (proc_pid_fd(5)).
pub(crate) fn may_see_others() -> bool {
    // Whoever cannot read that is told by the first search.
    fs::read_to_string("/proc/self/status").map_or(true, |status| sees_others(&status))
}

fn sees_others(status: &str) -> bool {
    const DAC_OVERRIDE: u64 = 1 << 1;
    const DAC_READ_SEARCH: u64 = 1 << 2;
    const SYS_PTRACE: u64 = 1 << 19;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    effective.is_none_or(|has| has & SYS_PTRACE != 0 && has & (DAC_OVERRIDE | DAC_READ_SEARCH) != 0)
}

/// The pids of the user, then those of all others; each the youngest first.
pub(crate) fn pids_by_user(uid: u32) -> io::Result<(Vec<u32>, Vec<u32>)> {
    let (mut of_user, mut others): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(meta) = entry.metadata() else { continue };
        if meta.uid() == uid {
            of_user.push(pid);
        } else {
            others.push(pid);
        }
    }
    of_user.sort_unstable_by(|one, other| other.cmp(one));
    others.sort_unstable_by(|one, other| other.cmp(one));
    Ok((of_user, others))
}

pub(crate) fn process(pid: u32) -> io::Result<ProcessInfo> {
    let uid = fs::metadata(proc(pid, ""))?.uid();
    let (name, path) = name_and_path(pid)?;
    let cgroup = fs::read_to_string(proc(pid, "cgroup"))
        .ok()
        .and_then(|text| cgroup_of(&text));
    let unit = cgroup.as_deref().and_then(unit_of);
    let user = user_name(uid);
    Ok(ProcessInfo {
        pid,
        name,
        path,
        uid,
        user,
        cgroup,
        unit,
    })
}

pub(crate) fn user_name(uid: u32) -> Option<String> {
    user_of(&fs::read("/etc/passwd").ok()?, uid)
}

pub(crate) fn user_named(name: &str) -> Option<u32> {
    number_of(&fs::read("/etc/passwd").ok()?, name)
}

pub(crate) fn command_line(pid: u32) -> io::Result<String> {
    let bytes = read(pid, "cmdline")?;
    let arguments: Vec<_> = bytes
        .strip_suffix(&[0])
        .unwrap_or(&bytes)
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    Ok(arguments.join(" "))
}

pub(crate) fn variable(pid: u32, name: &str) -> io::Result<Option<String>> {
    let bytes = read(pid, "environ")?;
    Ok(bytes
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .map(|value| String::from_utf8_lossy(value).into_owned()))
}

pub(crate) fn parents(pid: u32, depth: usize) -> Vec<Ancestor> {
    let mut ancestors = Vec::new();
    let mut child = pid;
    while ancestors.len() < depth {
        let Some(pid) = read(child, "stat").ok().and_then(|text| parent_of(&text)) else {
            break;
        };
        let Ok((name, path)) = name_and_path(pid) else {
            break;
        };
        ancestors.push(Ancestor { pid, name, path });
        child = pid;
    }
    ancestors
}

fn name_and_path(pid: u32) -> io::Result<(String, Option<PathBuf>)> {
    // Not readable for processes of others without privilege, and absent for the kernel's threads.
    let path = fs::read_link(proc(pid, "exe")).ok().map(undeleted);
    let name = path
        .as_deref()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let name = match name {
        Some(name) => name,
        None => String::from_utf8_lossy(&read(pid, "comm")?)
            .trim_end_matches('\n')
            .to_owned(),
    };
    Ok((name, path))
}

/// An executable that was replaced by an update is the same program to a rule.
fn undeleted(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(bytes) => OsString::from_vec(bytes.to_vec()).into(),
        None => path,
    }
}

fn proc(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

fn read(pid: u32, file: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(proc(pid, file))?
        .take(LONGEST)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// From `/proc/PID/stat`: the name in it may hold anything, so that the last `)` ends it. None for a process without one.
fn parent_of(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[end + 1..]).ok()?;
    text.split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
        .filter(|pid| *pid != 0)
}

/// From `/proc/PID/cgroup`: the unified hierarchy's path, unless that is the root and systemd's old one says more.
fn cgroup_of(text: &str) -> Option<String> {
    let of = |controller: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.strip_prefix(controller)?.strip_prefix(':')
        })
    };
    let (unified, systemd) = (of(""), of("name=systemd"));
    match (unified, systemd) {
        (None | Some("/"), Some(systemd)) => Some(systemd.to_owned()),
        (unified, _) => unified.map(str::to_owned),
    }
}

/// The innermost component that is a unit of processes.
fn unit_of(cgroup: &str) -> Option<String> {
    cgroup
        .rsplit('/')
        .find(|part| {
            [".service", ".scope"]
                .iter()
                .any(|suffix| part.ends_with(suffix))
        })
        .map(str::to_owned)
}

fn user_of(passwd: &[u8], uid: u32) -> Option<String> {
    let mut users = users(passwd);
    let (name, _) = users.find(|(_, number)| *number == uid)?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn number_of(passwd: &[u8], name: &str) -> Option<u32> {
    let mut users = users(passwd);
    let (_, number) = users.find(|(known, _)| *known == name.as_bytes())?;
    Some(number)
}

/// The users of `/etc/passwd`, with their numbers.
fn users(passwd: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    passwd.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next()?;
        let number = std::str::from_utf8(fields.nth(1)?).ok()?;
        Some((name, number.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_capabilities_let_others_be_seen() {
        for (effective, expected) in [
            ("CapEff:\t000001ffffffffff", true),
            ("CapEff:\t0000000000080004", true),
            ("CapEff:\t0000000000080002", true),
            ("CapEff:\t0000000000080000", false),
            ("CapEff:\t0000000000000006", false),
            ("CapEff:\t0000000000000000", false),
            ("CapPrm:\t0000000000000000", true),
            ("CapEff:\twhat", true),
        ] {
            let status = format!("Name:\tx\n{effective}\nSeccomp:\t0\n");
            assert_eq!(sees_others(&status), expected, "{effective}");
        }
    }

    #[test]
    fn parents_are_read_from_strange_names() {
        for (stat, expected) in [
            ("7 (sh) S 5 7 7", Some(5)),
            ("7 (a) S 9 (b)) R 6 7", Some(6)),
            ("1 (init) S 0 1", None),
            ("7 (sh", None),
            ("7 (sh) S", None),
            ("", None),
        ] {
            assert_eq!(parent_of(stat.as_bytes()), expected, "{stat}");
        }
    }

    #[test]
    fn cgroups_and_units_are_read() {
        for (text, cgroup, unit) in [
            (
                "0::/user.slice/user-1000.slice/session-2.scope\n",
                Some("/user.slice/user-1000.slice/session-2.scope"),
                Some("session-2.scope"),
            ),
            (
                "1:name=systemd:/system.slice/a.service\n0::/\n",
                Some("/system.slice/a.service"),
                Some("a.service"),
            ),
            (
                "4:memory:/x\n0::/a.service/worker\n",
                Some("/a.service/worker"),
                Some("a.service"),
            ),
            ("0::/\n", Some("/"), None),
            ("4:memory:/x\n", None, None),
        ] {
            assert_eq!(cgroup_of(text).as_deref(), cgroup, "{text}");
            assert_eq!(cgroup.and_then(unit_of).as_deref(), unit, "{text}");
        }
    }

    #[test]
    fn users_are_read() {
        let passwd = b"root:x:0:0::/root:/bin/sh\n# c\nbad\nalice:x:1000:1000::/:/bin/sh";
        for (uid, expected) in [(0, Some("root")), (1000, Some("alice")), (5, None)] {
            assert_eq!(user_of(passwd, uid).as_deref(), expected);
            if let Some(name) = expected {
                assert_eq!(number_of(passwd, name), Some(uid));
            }
        }
        for name in ["bad", "# c", "", "ali"] {
            assert_eq!(number_of(passwd, name), None, "{name}");
        }
    }
}
