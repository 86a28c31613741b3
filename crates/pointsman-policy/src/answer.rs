//! What may be answered to a request, and where a flow goes from there.

/// What becomes of a flow at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Silence.
    Blackhole,
    /// It goes on with the rules below.
    Continue,
    /// It is refused.
    Reject,
}

/// What a subscriber says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The request's fallback, at once.
    Fallback,
    /// This.
    Route(Route),
}

impl Route {
    /// All.
    pub const ALL: [Self; 3] = [Self::Continue, Self::Reject, Self::Blackhole];

    /// Its word in configurations and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackhole => "BLACKHOLE",
            Self::Continue => "CONTINUE",
            Self::Reject => "REJECT",
        }
    }

    /// The route of a word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|route| route.as_str().eq_ignore_ascii_case(word))
    }
}

impl Answer {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::Route(Route::Continue),
        Self::Route(Route::Reject),
        Self::Route(Route::Blackhole),
        Self::Fallback,
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "FALLBACK",
            Self::Route(route) => route.as_str(),
        }
    }

    /// The answer of a word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|answer| answer.as_str().eq_ignore_ascii_case(word))
    }
}
