//! URLs of lists: `http` and `https`, a host, a port, a path.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use pointsman_policy::Host;

/// A URL that can be fetched. Its text shows no query: tokens stand there.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub tls: bool,
    /// The server's name or address.
    pub host: Host,
    /// Its port: 80 or 443 where none is written.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// Why a text is no URL that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// User and password in the URL would be sent on and logged.
    #[error("a URL must not hold a login")]
    Login,
    /// No host, or one that is none.
    #[error("a URL needs a host")]
    NoHost,
    /// Not a URL at all.
    #[error("this is no URL")]
    NotUrl,
    /// Neither `http` nor `https`.
    #[error("only `http://` and `https://` can be fetched")]
    Scheme,
    /// From `https` to `http`.
    #[error("it leads from https to http")]
    Unsafe,
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// [`BadUrl`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_unspecific| BadUrl::NotUrl)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(BadUrl::Scheme),
        };
        let authority = uri.authority().ok_or(BadUrl::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::Login);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let host = Host::parse(host).map_err(|_unspecific| BadUrl::NoHost)?;
        Ok(Self {
            tls,
            host,
            port: authority.port_u16().unwrap_or_else(|| default_port(tls)),
            path: uri
                .path_and_query()
                .map_or("/", PathAndQuery::as_str)
                .to_owned(),
        })
    }

    /// Where a redirect leads: an absolute URL, or one relative to this one (RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`BadUrl`]; also where it leads from TLS to plain text.
    pub fn join(&self, to: &str) -> Result<Self, BadUrl> {
        let scheme = if self.tls { "https" } else { "http" };
        let base = format!("{scheme}://{}{}", self.authority(), self.path);
        let base = url::Url::parse(&base).map_err(|_unspecific| BadUrl::NotUrl)?;
        let mut joined = base.join(to).map_err(|_unspecific| BadUrl::NotUrl)?;
        joined.set_fragment(None);
        let joined = Self::parse(joined.as_str())?;
        if self.tls && !joined.tls {
            return Err(BadUrl::Unsafe);
        }
        Ok(joined)
    }

    /// Host and port as the `Host` header has them (RFC 9110, 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            host => host.to_string(),
        };
        if self.port == default_port(self.tls) {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadUrl, Url};

    #[test]
    fn what_can_be_fetched() {
        let check = |text: &str, expected: Result<(&str, &str), BadUrl>| {
            let got = Url::parse(text);
            let got = got.map(|url| (format!("{}:{}", url.host, url.port), url.path));
            let expected = expected.map(|(at, path)| (at.to_owned(), path.to_owned()));
            assert_eq!(got, expected, "{text}");
        };
        check("http://a.b", Ok(("a.b:80", "/")));
        check("https://A.b/x.txt?k=v", Ok(("a.b:443", "/x.txt?k=v")));
        check("http://127.0.0.1:8/x", Ok(("127.0.0.1:8", "/x")));
        check("http://[::1]:8/x", Ok(("::1:8", "/x")));
        check("http://u:p@a.b/", Err(BadUrl::Login));
        check("ftp://a.b/", Err(BadUrl::Scheme));
        check("a.b/x", Err(BadUrl::NotUrl));
        check("/x", Err(BadUrl::Scheme));
        check("http://a..b/", Err(BadUrl::NoHost));
        check("https://a.b/u@b/c", Ok(("a.b:443", "/u@b/c")));
        check("", Err(BadUrl::NotUrl));
    }

    #[test]
    fn where_redirects_lead() {
        let check = |from: &str, to: &str, expected: Result<&str, BadUrl>| {
            let got = Url::parse(from).unwrap().join(to);
            let got = got.map(|url| url.to_string());
            assert_eq!(got, expected.map(str::to_owned), "{from} -> {to}");
        };
        check("http://a.b/c/d", "/e", Ok("http://a.b/e"));
        check("http://a.b/c/d?x=/", "e", Ok("http://a.b/c/e"));
        check("http://a.b/c/d/e", "../f", Ok("http://a.b/c/f"));
        check("http://a.b/c/d?x=1", "./g/./h", Ok("http://a.b/c/g/h"));
        check("http://a.b/c/d", "", Ok("http://a.b/c/d"));
        check("http://a.b/c", "http://u:p@a.b/", Err(BadUrl::Login));
        check("http://a.b/c", "http://", Err(BadUrl::NotUrl));
        check("http://a.b:8/c", "https://d.e/f#g", Ok("https://d.e/f"));
        check("https://a.b/c", "//d.e/f", Ok("https://d.e/f"));
        check("https://a.b/c", "http://a.b/c", Err(BadUrl::Unsafe));
        check("http://a.b/c", "ftp://a.b/c", Err(BadUrl::Scheme));
    }

    #[test]
    fn a_redirect_may_change_the_query_alone() {
        let joined = Url::parse("http://a.b/c/d?x=1").unwrap().join("?y=2");
        assert_eq!(joined.unwrap().path, "/c/d?y=2");
    }

    #[test]
    fn a_query_is_never_shown() {
        let url = Url::parse("https://a.b/x?token=secret").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://a.b/x https://a.b/x");
    }
}
