//! Queries in requests of HTTP (RFC 8484): what a GET carries in its target, and how long an answer may be kept.

use data_encoding::BASE64URL_NOPAD;

use super::{Lifetime, MAX_MESSAGE, parse_response};

/// The media type of messages (RFC 8484 §6).
pub const MEDIA_TYPE: &str = "application/dns-message";

/// The longest `dns` in characters: that of the longest message.
const MAX_TEXT: usize = MAX_MESSAGE.div_ceil(3) * 4;

/// Why a target carries no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMessage {
    /// It has no `dns`, or several.
    NotOne,
    /// It is no base64url.
    NotEncoded,
    /// It is longer than a message can be.
    TooLong,
}

/// The message that the query of a target carries: `dns=AAABAAAB...`, in base64url (RFC 8484 §4.1.1, RFC 4648 §5). Other
/// parameters are passed over; the padding that the RFC forbids is, too.
///
/// # Errors
/// There is none.
pub fn message_of(query: Option<&str>) -> Result<Vec<u8>, NoMessage> {
    let given = query.unwrap_or_default().split('&');
    let mut texts = given.filter_map(|given| given.strip_prefix("dns="));
    let (Some(text), None) = (texts.next(), texts.next()) else {
        return Err(NoMessage::NotOne);
    };
    let text = text.trim_end_matches('=');
    if text.len() > MAX_TEXT {
        return Err(NoMessage::TooLong);
    }
    match BASE64URL_NOPAD.decode(text.as_bytes()) {
        Ok(message) if message.len() > MAX_MESSAGE => Err(NoMessage::TooLong),
        Ok(message) => Ok(message),
        Err(_where) => Err(NoMessage::NotEncoded),
    }
}

/// How many seconds a cache may keep a reply: as long as the records of its answer hold (RFC 8484 §5.1). What says that
/// there is nothing, and not for how long, or that nobody could tell, is kept by nobody.
#[must_use]
pub fn max_age(reply: &[u8]) -> u32 {
    let lifetime = parse_response(reply).map(|reply| reply.lifetime());
    match lifetime {
        Ok(Lifetime::Records(seconds) | Lifetime::Negative(seconds)) => seconds,
        Ok(Lifetime::Unstated | Lifetime::Failure) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_carries_one_message() {
        let check = |query: &str, expected: Result<&[u8], NoMessage>| {
            let got = message_of(Some(query));
            assert_eq!(got.as_deref(), expected.as_ref().map(|it| &**it), "{query}");
        };
        check("dns=AAEC", Ok(&[0, 1, 2]));
        check("dns=_-8", Ok(&[0xff, 0xef]));
        check("dns=_-8=", Ok(&[0xff, 0xef]));
        check("dns=", Ok(&[]));
        check("ct=x&dns=AAEC&y", Ok(&[0, 1, 2]));
        check("", Err(NoMessage::NotOne));
        check("DNS=AAEC", Err(NoMessage::NotOne));
        check("xdns=AAEC", Err(NoMessage::NotOne));
        check("dns=AAEC&dns=AAEC", Err(NoMessage::NotOne));
        // Base64 of another kind, bits that mean nothing, and what no letter stands for.
        for text in ["dns=/+8", "dns=AB", "dns=A", "dns=AA%3D%3D", "dns=AA AA"] {
            check(text, Err(NoMessage::NotEncoded));
        }
        let longest = "A".repeat(87_380);
        assert_eq!(
            message_of(Some(&format!("dns={longest}"))).map(|it| it.len()),
            Ok(65_535)
        );
        check(&format!("dns={longest}AAAA"), Err(NoMessage::TooLong));
        assert_eq!(message_of(None), Err(NoMessage::NotOne));
    }
}
