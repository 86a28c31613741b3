//! The paths of the control API, and what stands behind each.
//!
//! `{id}` and `{name}` are percent-encoded path segments.

/// GET: [`crate::Status`].
pub const STATUS: &str = "/v1/status";
/// GET: [`crate::Diagnostics`].
pub const DIAGNOSTICS: &str = "/v1/diagnostics";
/// POST [`crate::ReloadRequest`] (an empty body is the default one): [`crate::Reload`].
pub const RELOAD: &str = "/v1/reload";
/// POST, no body: keeps what a reload with `confirm_within_ms` put in force; [`crate::Reload`].
pub const CONFIRM: &str = "/v1/reload/confirm";
/// POST, no body: puts in force again at once what was in force before such a reload; [`crate::Reload`].
pub const ROLL_BACK: &str = "/v1/reload/roll-back";
/// POST [`crate::ReplayRequest`] (an empty body is the default one): [`crate::Replay`].
pub const REPLAY: &str = "/v1/replay";
/// POST, no body: [`crate::Stop`], then the daemon drains.
pub const STOP: &str = "/v1/stop";
/// POST [`crate::ExplainRequest`]: [`crate::Explanation`].
pub const EXPLAIN: &str = "/v1/explain";
/// GET, query `flow=` (words, as FLOW has them), `contains=`, `full=true`: server-sent events, an
/// [`EVENT_DECISION`] for each flow that is decided from now on and meets what is asked for.
pub const FOLLOW: &str = "/v1/explain/follow";
/// GET, query `recent=false` for live ones alone, `after=` a number, `limit=` at most [`MOST_FLOWS`], `flow=` (words, as FLOW
/// has them) and `contains=`: [`crate::FlowList`].
pub const FLOWS: &str = "/v1/flows";
/// GET: [`crate::FlowRecord`]; DELETE: ends the flow and answers its record.
pub const FLOW: &str = "/v1/flows/{id}";
/// GET, query `full=true`: [`crate::Explanation`] of a live or recent flow.
pub const FLOW_EXPLAIN: &str = "/v1/flows/{id}/explain";
/// GET, query `flow=`, `contains=`, `begun=true`: server-sent events; `event:` is [`EVENT_END`], [`EVENT_MESSAGE`],
/// [`EVENT_GENERATION`], [`EVENT_MISSED`] or [`EVENT_RESET`], with `begun` also [`EVENT_BEGIN`]. Events have ids; a request with `Last-Event-ID` goes on behind that one.
pub const EVENTS: &str = "/v1/events";
/// GET, query `id=200,201`: subscribes, as long as it is read; server-sent events: [`EVENT_SUBSCRIBED`], then
/// [`EVENT_REQUEST`] and [`EVENT_OVER`]. 409 where another client subscribes to one of them already.
pub const REQUESTS: &str = "/v1/requests";
/// POST [`crate::request::Verdict`]: [`crate::request::Answered`].
pub const REQUEST: &str = "/v1/requests/{id}";
/// GET: [`crate::OutboundList`].
pub const OUTBOUNDS: &str = "/v1/outbounds";
/// PUT [`crate::SelectRequest`]: [`crate::OutboundState`] of the group.
pub const OUTBOUND_MEMBER: &str = "/v1/outbounds/{name}/member";
/// GET, query `shadowed=true`: [`crate::RuleList`].
pub const RULES: &str = "/v1/rules";
/// GET, query `as=tree|list|dot|svg` and `open=true`: [`crate::PolicyReply`].
pub const POLICY: &str = "/v1/policy";
/// GET, query `name=`, `type=`, `client=`: [`crate::NameExplanation`], what the DNS server answers.
pub const DNS_QUERY: &str = "/v1/dns/query";
/// GET: [`crate::DnsReply`], by the daemon's resolver.
pub const DNS: &str = "/v1/dns/{name}";
/// GET, query `type=`, `client=`, `answer=`, `full=true`: [`crate::NameExplanation`], who the DNS server asks for the name.
pub const DNS_EXPLAIN: &str = "/v1/dns/{name}/explain";
/// GET, query `address=`, `client=` (without one: of all): [`crate::KnownNames`], which names clients were told for an address.
pub const DNS_NAMES: &str = "/v1/dns/names";
/// GET: [`crate::FakeName`], of a name or of a fake address.
pub const DNS_FAKE: &str = "/v1/dns/fake/{name}";
/// GET: the OpenAPI document.
pub const OPENAPI: &str = "/v1/openapi.json";

/// The most flows of one [`crate::FlowList`], and so many unless fewer are asked for: about a megabyte.
pub const MOST_FLOWS: usize = 1000;

/// The event of a flow that was decided and is carried, or held in silence; its data is its [`crate::FlowRecord`] so far.
/// One that is refused ends at once.
pub const EVENT_BEGIN: &str = "begin";
/// The event of a flow that ended; its data is the whole [`crate::FlowRecord`].
pub const EVENT_END: &str = "end";
/// The event of a message that a rule sent; its data is a [`crate::flow::Message`].
pub const EVENT_MESSAGE: &str = "message";

/// The event of a flow that was decided; its data is a [`crate::Explanation`].
pub const EVENT_DECISION: &str = "decision";
/// The event of flows that fit what is asked for as far as is known of them; its data is a [`crate::flow::Untold`].
pub const EVENT_UNTOLD: &str = "untold";
/// The event of a configuration that came or went; its data is a [`crate::daemon::Change`].
pub const EVENT_GENERATION: &str = "generation";
/// The event of a reader that was too slow; its data is a [`crate::flow::Missed`].
pub const EVENT_MISSED: &str = "missed";
/// The event of a reader whose `Last-Event-ID` is not known any more, or never was; its data is a [`crate::flow::Reset`].
pub const EVENT_RESET: &str = "reset";

/// The first event of a subscription; its data is a [`crate::request::Subscribed`].
pub const EVENT_SUBSCRIBED: &str = "subscribed";
/// The event of a flow that waits for an answer; its data is a [`crate::request::Request`].
pub const EVENT_REQUEST: &str = "request";
/// The event of a flow that waits no longer and was not answered; its data is a [`crate::request::Over`].
pub const EVENT_OVER: &str = "over";

/// Every route: method, path.
pub const ALL: &[(&str, &str)] = &[
    ("get", STATUS),
    ("get", DIAGNOSTICS),
    ("post", RELOAD),
    ("post", CONFIRM),
    ("post", ROLL_BACK),
    ("post", REPLAY),
    ("post", STOP),
    ("post", EXPLAIN),
    ("get", FOLLOW),
    ("get", FLOWS),
    ("get", FLOW),
    ("delete", FLOW),
    ("get", FLOW_EXPLAIN),
    ("get", EVENTS),
    ("get", REQUESTS),
    ("post", REQUEST),
    ("get", OUTBOUNDS),
    ("put", OUTBOUND_MEMBER),
    ("get", RULES),
    ("get", POLICY),
    ("get", DNS_QUERY),
    ("get", DNS),
    ("get", DNS_EXPLAIN),
    ("get", DNS_NAMES),
    ("get", DNS_FAKE),
    ("get", OPENAPI),
];

/// A path with its `{...}` segment filled in, percent-encoded (RFC 3986, 2.1).
#[must_use]
pub fn filled(path: &str, segment: &str) -> String {
    let Some((head, rest)) = path.split_once('{') else {
        return path.to_owned();
    };
    let tail = rest.split_once('}').map_or("", |(_, tail)| tail);
    head.to_owned() + &encoded(segment) + tail
}

/// A text as a segment of a path or a value of a query, percent-encoded (RFC 3986, 2.1).
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
