//! Bytes on the wire: what the first bytes of a flow say, SOCKS, HTTP/1 for proxies, PROXY protocol, DNS.
//!
//! Every parser is a plain function from the bytes received so far to a [`Parse`], and every writer
//! returns bytes. Three promises hold for all parsers and are property-tested and fuzzed:
//!
//! 1. `used` never exceeds the length of the input;
//! 2. a verdict on a prefix survives more bytes: once `Done` or `Not`, the same whatever follows;
//! 3. `NeedMore` is never said of an input as long as the parser's documented maximum.
//!
//! Messages of DNS come whole: [`dns`] promises what stands there instead.
//!
//! So a caller may wait for bytes in a loop that ends, with a buffer that is bounded.
//!
//! ```
//! use pointsman_wire::{Parse, sniff};
//!
//! let Parse::Done(glance, _) = sniff::look(b"GET / HTTP/1.1\r\nHost: Example.com:80\r\n\r\n") else {
//!     unreachable!("the head is complete");
//! };
//! assert_eq!(glance.name.as_deref(), Some("example.com"));
//! ```
//!
//! Deliberately absent: sockets, a runtime, a clock, logging, and name validation (names are text here;
//! the policy's own type decides what a domain is).

pub mod dns;
#[doc(hidden)]
pub mod fuzz_checks;
pub mod host;
pub mod http;
pub mod likeness;
pub mod proxy_protocol;
mod read;
pub mod sniff;
pub mod socks;
mod verdict;

pub use host::RequestHost;
pub use verdict::{Parse, Unwritable, WhyNot};
