//! The OpenAPI document, built from the table of routes and a sentence for each.

use serde_json::{Map, Value, json};

use crate::route;

/// The document that [`route::OPENAPI`] answers.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut paths = Map::new();
    for (method, path) in route::ALL {
        let entry = paths.entry(*path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = entry {
            methods.insert((*method).to_owned(), operation(method, path));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pointsman control API",
            "version": version,
            "description": "HTTP/1.1 and JSON over the control socket. Fields are added, never renamed.",
        },
        "paths": paths,
        "components": { "schemas": { "Error": {
            "type": "object",
            "required": ["error", "code"],
            "properties": {
                "error": { "type": "string", "description": "one sentence" },
                "code": { "type": "string", "description": "stable, kebab-case" },
                "problems": { "type": "array", "description": "of a configuration that was refused" },
            },
        } } },
    })
}

fn operation(method: &str, path: &str) -> Value {
    let (id, summary, body) = described(method, path);
    let mut parameters = Vec::new();
    if let Some((_, rest)) = path.split_once('{') {
        let name = rest.split_once('}').map_or(rest, |(name, _)| name);
        parameters.push(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        );
    }
    for (name, what) in queries(path, method) {
        let schema = match *name {
            "as" => json!({ "type": "string", "enum": ["tree", "list", "dot", "svg"] }),
            "after" | "limit" => json!({ "type": "integer" }),
            "address" | "answer" | "client" | "contains" | "flow" | "name" | "type" => {
                json!({ "type": "string" })
            }
            _ => json!({ "type": "boolean", "default": false }),
        };
        parameters
            .push(json!({ "name": name, "in": "query", "description": what, "schema": schema }));
    }
    let kind = if matches!(path, route::EVENTS | route::FOLLOW) {
        "text/event-stream"
    } else {
        "application/json"
    };
    let error = json!({ "description": "the daemon says no", "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/Error" } } } });
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": summary, "content": { kind: {} } },
            "default": error,
        },
    });
    if let Some(properties) = body {
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": {
            "type": "object", "properties": properties, "additionalProperties": false } } } });
    }
    operation
}

fn described(method: &str, path: &str) -> (&'static str, &'static str, Option<Value>) {
    match (method, path) {
        (_, route::STATUS) => ("status", "State, configuration, inbounds, outbounds", None),
        (_, route::DIAGNOSTICS) => (
            "diagnostics",
            "Counters, versions, host changes in force",
            None,
        ),
        (_, route::RELOAD) => (
            "reload",
            "Reads the configuration again: all of it takes effect, or nothing",
            Some(json!({
                "plan": { "type": "boolean", "description": "everything except the change" },
                "confirm_within_ms": { "type": ["integer", "null"], "description": "rolls back unless confirmed" },
                "redact": { "type": "boolean", "description": "a plan without names, addresses and programs" },
            })),
        ),
        (_, route::REPLAY) => (
            "replay",
            "What a candidate would do with recent flows; changes nothing",
            Some(json!({
                "config": { "type": ["string", "null"], "description": "an absolute path; else the daemon's own" },
                "text": { "type": "string", "description": "the candidate's text, which is not read from `config` then" },
                "dialect": { "type": ["string", "null"], "description": "by its shape where it is missing" },
                "last": { "type": ["integer", "null"], "description": "at most this many flows" },
                "redact": { "type": "boolean", "description": "without names, addresses and programs" },
            })),
        ),
        (_, route::CONFIRM) => (
            "confirm",
            "Confirms a reload, so that it is not rolled back",
            None,
        ),
        (_, route::ROLL_BACK) => (
            "rollBack",
            "Takes back at once a reload that waits for confirmation",
            None,
        ),
        (_, route::STOP) => ("stop", "Drains and ends", None),
        (_, route::EXPLAIN) => (
            "explain",
            "The decision on a flow, and its trace",
            Some(json!({
                "flow": { "type": ["object", "string"], "description": "what is known of the flow" },
                "full": { "type": "boolean", "description": "every visited rule, none folded" },
                "resolve": { "type": "boolean", "description": "the daemon resolves names" },
                "verify": { "type": "boolean", "description": "the list's entry is compared with the file" },
            })),
        ),
        (_, route::FOLLOW) => ("follow", "Explanations of flows as they are decided", None),
        (_, route::RULES) => ("rules", "Rules and what they decided", None),
        (_, route::FLOWS) => ("flows", "Flows, oldest first", None),
        ("delete", route::FLOW) => ("closeFlow", "Ends a flow", None),
        (_, route::FLOW) => ("flow", "The record of one flow", None),
        (_, route::FLOW_EXPLAIN) => (
            "explainFlow",
            "Why a live or recent flow went where it went",
            None,
        ),
        (_, route::EVENTS) => (
            "events",
            "Flows as they end, and with `begun` as they begin, messages of rules, changes of the configuration",
            None,
        ),
        (_, route::REQUESTS) => (
            "requests",
            "Flows that wait for this subscriber's answer",
            None,
        ),
        (_, route::REQUEST) => (
            "answer",
            "Answers a request",
            Some(json!({
                "sub_id": { "type": "integer", "description": "who was asked" },
                "route": { "type": "string", "description": "CONTINUE, REJECT, BLACKHOLE or FALLBACK" },
            })),
        ),
        (_, route::OUTBOUNDS) => ("outbounds", "Ways out", None),
        (_, route::OUTBOUND_MEMBER) => (
            "selectMember",
            "Selects a member of a group",
            Some(json!({ "member": { "type": "string" } })),
        ),
        (_, route::DNS_QUERY) => ("queryName", "What the DNS server answers to a query", None),
        (_, route::DNS) => (
            "dns",
            "The addresses of a name, by the daemon's resolver",
            None,
        ),
        (_, route::DNS_EXPLAIN) => (
            "explainName",
            "Who the DNS server asks for a name, and why",
            None,
        ),
        (_, route::DNS_NAMES) => (
            "knownNames",
            "The names that clients were told for an address",
            None,
        ),
        (_, route::DNS_FAKE) => (
            "fakeName",
            "The fake addresses of a name, or the name of one",
            None,
        ),
        (_, route::POLICY) => ("policy", "The policies as text", None),
        _ => ("openapi", "This document", None),
    }
}

fn queries(path: &str, method: &str) -> &'static [(&'static str, &'static str)] {
    match (method, path) {
        (_, route::FLOWS) => &[
            (
                "recent",
                "ended flows too, which is the default; `false` leaves them out",
            ),
            ("after", "only flows with a greater number"),
            ("limit", "at most this many: 1 to 1000, the default"),
            ("flow", "words that a flow must match, as FLOW has them"),
            (
                "contains",
                "a text that its destination, program, rule or outbound must contain",
            ),
        ],
        (_, route::DNS_QUERY) => &[
            ("name", "the name that is asked for"),
            ("type", "the type that is asked for: `A`, `HTTPS`, `65`"),
            ("client", "the address of who asks"),
        ],
        (_, route::DNS_EXPLAIN) => &[
            ("type", "the type that is asked for: `A`, `HTTPS`, `65`"),
            ("client", "the address of who asks"),
            (
                "answer",
                "what the upstream answers: addresses, names that it leads to, a code, comma-separated",
            ),
            ("full", "every visited rule, none folded"),
        ],
        (_, route::FLOW_EXPLAIN) => &[("full", "every visited rule, none folded")],
        (_, route::EVENTS) => &[
            ("begun", "flows also as they begin"),
            ("flow", "words that a flow must match, as FLOW has them"),
            (
                "contains",
                "a text that its destination, program, rule or outbound must contain",
            ),
        ],
        (_, route::FOLLOW) => &[
            ("flow", "words that a flow must match, as FLOW has them"),
            (
                "contains",
                "a text that its destination, program, rule or outbound must contain",
            ),
            ("full", "every visited rule, none folded"),
        ],
        (_, route::RULES) => &[(
            "shadowed",
            "which recent flows earlier rules took from later ones",
        )],
        (_, route::DNS_NAMES) => &[
            ("address", "the address"),
            ("client", "the client's address; without one, of all"),
        ],
        (_, route::REQUESTS) => &[("id", "numbers that rules ask, comma-separated")],
        (_, route::POLICY) => &[
            ("as", "which form"),
            (
                "open",
                "in pictures: a row for each rule; otherwise similar rules are folded into one",
            ),
        ],
        _ => &[],
    }
}
