//! Errors in JSON, whoever finds them: what the HTTP library's readers say of paths, queries and bodies, too.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use pointsman_api::Error;

/// The longest text that is put into words, in bytes.
const LONGEST: usize = 4 << 10;

/// Puts an answer that is no success and no JSON into an [`Error`].
pub(super) async fn in_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let json = HeaderValue::from_static("application/json");
    if status.is_success() || response.headers().get(CONTENT_TYPE) == Some(&json) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, LONGEST).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let text = match said.trim() {
        "" => status.canonical_reason().unwrap_or("the daemon says no"),
        text => text,
    };
    let told = axum::Json(Error::new(code(status), text)).into_response();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, json);
    Response::from_parts(parts, told.into_body())
}

fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "wrong-method",
        StatusCode::NOT_FOUND => "unknown-route",
        StatusCode::PAYLOAD_TOO_LARGE => "body-too-large",
        StatusCode::REQUEST_TIMEOUT => "too-slow",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "wrong-content-type",
        status if status.is_server_error() => "failed",
        _ => "bad-request",
    }
}
