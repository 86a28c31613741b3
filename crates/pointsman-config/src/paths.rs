//! Where configurations and state are kept where nobody says: the same for the daemon and for the client.

use std::path::{Path, PathBuf};

use crate::files::Files;

/// The files that may be the configuration where none is named, in order; behind them stands the embedded default.
pub fn candidates(files: &dyn Files) -> Vec<PathBuf> {
    let own = set(files, "XDG_CONFIG_HOME").map(PathBuf::from);
    let own = own.filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(set(files, "HOME")?).join(".config"));
    [own.or_else(home), Some("/etc".into())]
        .into_iter()
        .flatten()
        .map(|directory| directory.join("pointsman/pointsman.yaml"))
        .collect()
}

/// The configuration where none is named: the first of [`candidates`] that is there; `None`: the embedded default. One that
/// cannot be reached is there: what it says is not known, and so nothing else is taken in its stead.
pub fn configuration(files: &dyn Files) -> Option<PathBuf> {
    let mut candidates = candidates(files).into_iter();
    candidates.find(|path| files.may_be_there(path))
}

/// The directory of state: what was said, else the service manager's, else by user.
pub fn state(files: &dyn Files, said: Option<&Path>, root: bool) -> Option<PathBuf> {
    if let Some(path) = said {
        return Some(path.to_owned());
    }
    // systemd.exec(5): set where the unit says StateDirectory=.
    if let Some(path) = set(files, "STATE_DIRECTORY") {
        return Some(path.into());
    }
    if root {
        return Some("/var/lib/pointsman".into());
    }
    let own = set(files, "XDG_STATE_HOME").map(PathBuf::from);
    let own = own.filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(set(files, "HOME")?).join(".local/state"));
    Some(own.or_else(home)?.join("pointsman"))
}

fn set(files: &dyn Files, name: &str) -> Option<String> {
    files.variable(name).filter(|value| !value.is_empty())
}

/// In the directory of state: the file that a daemon holds locked as long as it lives, and writes a [`Holder`] into.
pub const LOCK: &str = "daemon.lock";

/// Which daemon keeps its state in a directory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// Its process number.
    pub pid: u32,
    /// Its control socket, absolute.
    pub control: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Memory;

    fn around(variables: &[(&str, &str)]) -> Memory {
        let there = [("/etc/pointsman/pointsman.yaml", "")];
        let mut files = Memory::new(there);
        let set = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        files.variables = variables.iter().map(set).collect();
        files
    }

    #[test]
    fn the_first_configuration_that_is_there_is_taken() {
        let check = |variables: &[(&str, &str)], expected: &[&str]| {
            let found = candidates(&around(variables));
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(found, expected);
        };
        let etc = "/etc/pointsman/pointsman.yaml";
        check(&[], &[etc]);
        check(
            &[("HOME", "/h")],
            &["/h/.config/pointsman/pointsman.yaml", etc],
        );
        check(
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")],
            &["/x/pointsman/pointsman.yaml", etc],
        );
        check(
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")],
            &["/h/.config/pointsman/pointsman.yaml", etc],
        );
        let found = configuration(&around(&[("HOME", "/h")]));
        assert_eq!(found.as_deref(), Some(Path::new(etc)));
        assert_eq!(configuration(&Memory::new([("x", "")])), None);
    }

    #[test]
    fn state_is_where_the_daemon_has_it() {
        let check =
            |said: Option<&str>, root, variables: &[(&str, &str)], expected: Option<&str>| {
                let found = state(&around(variables), said.map(Path::new), root);
                assert_eq!(found.as_deref(), expected.map(Path::new));
            };
        let (own, home) = (("XDG_STATE_HOME", "/s"), ("HOME", "/h"));
        let system = Some("/var/lib/pointsman");
        check(Some("/a"), true, &[("STATE_DIRECTORY", "/d")], Some("/a"));
        check(None, true, &[("STATE_DIRECTORY", "/d")], Some("/d"));
        check(None, true, &[own, home], system);
        check(None, false, &[own, home], Some("/s/pointsman"));
        let at_home = Some("/h/.local/state/pointsman");
        check(None, false, &[("XDG_STATE_HOME", "s"), home], at_home);
        check(None, false, &[home], at_home);
        check(None, false, &[], None);
    }
}
