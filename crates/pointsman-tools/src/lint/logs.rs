//! Access logs that cannot be written where they are to be.

use std::path::Path;

use pointsman_config::files::Files;
use pointsman_config::places::Places;
use pointsman_config::problem::{Problems, Span};
use pointsman_config::setup::Setup;

/// Looks at the log of all flows, at that of queries and at those of forwards.
pub(super) fn look(
    setup: &Setup,
    files: &dyn Files,
    places: &mut Places<'_>,
    problems: &mut Problems,
) {
    if let Some(path) = &setup.access_log {
        let main = setup.files.first();
        let name = main.and_then(|main| main.file_name());
        let place = name.map(|name| {
            let name = name.to_string_lossy();
            let begins = |line: &&str| line.starts_with("access_log:");
            let first = places.line(&name.as_ref().into(), 1);
            let text = &first.source.text;
            let line = text.lines().zip(1..).find(|(line, _)| begins(line));
            first.source.line(line.map_or(1, |(_, number)| number))
        });
        if let Some(place) = place {
            tell(path, &place, setup, files, problems);
        }
    }
    for door in setup.dns.iter().flat_map(|dns| dns.doors.first()) {
        if let (Some(path), Some(span)) = (&door.access_log, &door.span) {
            tell(path, span, setup, files, problems);
        }
    }
    for forward in &setup.forwards {
        if let Some(path) = &forward.access_log {
            tell(path, &forward.span, setup, files, problems);
        }
    }
}

fn tell(path: &Path, place: &Span, setup: &Setup, files: &dyn Files, problems: &mut Problems) {
    let shown = path
        .strip_prefix(&setup.directory)
        .unwrap_or(path)
        .display();
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.filter(|it| **it != *setup.directory);
    let (message, hint) = if files.is_directory(path) == Some(true) {
        let message = format!("the access log `{shown}` is a directory");
        (message, "name a file in it")
    } else {
        match directory.map(|it| (it, files.is_directory(it))) {
            // The daemon makes what is missing; and a check may be made on another machine than its own.
            None | Some((_, None | Some(true))) => return,
            Some((it, Some(false))) => {
                let message = format!(
                    "`{}`, where the access log is to be, is no directory",
                    it.display()
                );
                (message, "name a file in a directory")
            }
        }
    };
    problems.warning("log-place", place, message).hint = Some(hint.to_owned());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pointsman_config::files::Memory;
    use pointsman_config::{Dialect, Problems, load};

    #[test]
    fn a_log_that_cannot_be_where_it_is_to_be_is_told() {
        let check = |path: &str, expected: &[&str]| {
            let text = format!("version: 1\npolicy: direct\naccess_log: {path}\n");
            let files = Memory::new([("etc/c.yaml", text.as_str()), ("etc/logs/a", "")]);
            let loaded = load(Path::new("etc/c.yaml"), Some(Dialect::Native), None, &files);
            let mut problems = Problems::default();
            crate::lint::lint(&loaded.setup.unwrap(), &files, &mut problems);
            let told = problems.0.iter().filter(|it| it.code == "log-place");
            let told = told.map(|it| format!("{}: {}", it.span.line(), it.sentence()));
            assert_eq!(told.collect::<Vec<_>>(), expected, "{path}");
        };
        check("flows.log", &[]);
        check("logs/flows.log", &[]);
        check("logs", &["3: the access log `logs` is a directory"]);
        check("lgos/flows.log", &[]);
        check(
            "logs/a/flows.log",
            &["3: `etc/logs/a`, where the access log is to be, is no directory"],
        );
    }
}
