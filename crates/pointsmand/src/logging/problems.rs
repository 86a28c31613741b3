//! Problems of a configuration, in the daemon's log.

use pointsman_api as api;
use pointsman_config::{Problem, Problems, Severity};

use super::Log;
use crate::candidate::{MOST_TOLD, Refused, left_out};

impl Log {
    /// What is to be said of a configuration that is in force, or soon will be.
    pub(crate) fn problems(&self, problems: &Problems) {
        let problems = problems.folded();
        let (first, more) = problems.first(MOST_TOLD);
        for problem in first {
            match problem.severity {
                Severity::Error | Severity::Warning => self.problem(problem),
                Severity::Note if self.json => self.problem(problem),
                Severity::Note => tracing::info!("{problem}"),
            }
        }
        if more > 0 {
            tracing::info!(count = more, "{}", left_out(more));
        }
    }

    /// Why another configuration is not put in force.
    pub(crate) fn refused(&self, why: &Refused) {
        match self.parts(why) {
            Some(errors) => tracing::warn!(errors, "not reloaded, nothing changed"),
            None => tracing::warn!("not reloaded, nothing changed: {why}"),
        }
    }

    /// Why there is nothing to run.
    pub(crate) fn refused_to_start(&self, why: &Refused) {
        match self.parts(why) {
            Some(errors) => tracing::error!(errors, "not started: the configuration has errors"),
            None => tracing::error!("not started: {why}"),
        }
    }

    /// Says each problem by itself, for programs; how many were errors.
    fn parts(&self, why: &Refused) -> Option<usize> {
        let (Refused::Check(problems) | Refused::Tests(problems)) = why else {
            return None;
        };
        if !self.json {
            return None;
        }
        self.problems(problems);
        Some(problems.count(Severity::Error))
    }

    fn problem(&self, problem: &Problem) {
        if !self.json {
            return tracing::warn!("{problem}");
        }
        let api::Problem {
            severity: _,
            code,
            message,
            file,
            line,
            column,
            hint,
            related: _,
            count,
            text: _,
        } = api::Problem::from(problem);
        let (code, file, hint) = (code.as_str(), file.as_str(), hint.as_deref());
        match problem.severity {
            Severity::Error => {
                tracing::error!(code, file, line, column, hint, count, "{message}");
            }
            Severity::Warning => {
                tracing::warn!(code, file, line, column, hint, count, "{message}");
            }
            Severity::Note => tracing::info!(code, file, line, column, hint, count, "{message}"),
        }
    }
}
