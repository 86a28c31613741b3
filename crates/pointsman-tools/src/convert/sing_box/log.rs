//! sing-box's `log`.

use super::{SingBox, text_of};

impl SingBox<'_> {
    pub(super) fn log(&mut self) {
        let log = &self.root["log"];
        if log["disabled"] == true {
            self.level("error");
            let what = "`disabled` is not carried over: errors are logged";
            self.draft.report.note(self.place("log.disabled"), what);
        } else {
            match text_of(&log["level"]) {
                Some(level @ ("trace" | "debug" | "info" | "warn" | "error")) => self.level(level),
                Some("warning") => self.level("warn"),
                Some(level @ ("fatal" | "panic")) => {
                    self.level("error");
                    let what = format!("there is no level `{level}` here: errors are logged");
                    self.draft.report.note(self.place("log.level"), what);
                }
                Some(other) => {
                    let what = format!("there is no level `{other}`: it is not carried over");
                    self.draft.report.note(self.place("log.level"), what);
                }
                None => {}
            }
        }
        if text_of(&log["output"]).is_some() {
            let what = "`output` is not carried over: the log goes to standard error";
            self.draft.report.note(self.place("log.output"), what);
        }
        let known = ["disabled", "level", "output"];
        self.unknown("log", log, &known, &["timestamp"]);
    }

    fn level(&mut self, level: &str) {
        self.draft.head.push(format!("log: {{ level: {level} }}"));
    }
}
