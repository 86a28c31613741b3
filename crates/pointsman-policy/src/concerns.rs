//! What rules decide on.

/// What rules decide on, and so whose facts they may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concerns {
    /// Flows.
    Flows,
    /// Queries for names.
    Queries,
    /// What was answered to them.
    Answers,
}
