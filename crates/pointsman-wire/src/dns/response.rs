//! What a server answers (RFC 1035 §4.1, RFC 2308).
//!
//! Invariant: every record lies within the message; their data are not looked into but where a method says so.
//! What stands behind the OPT record is not kept: it only may help, and nothing before it points there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    CLASS_IN, HEADER, Record, Records, Section, WireName, code, flag, kind, query::plain_name_end,
    u16_at, u32_at,
};
use crate::WhyNot;

/// A response whose records are all there.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    bytes: &'a [u8],
    question_end: usize,
    kept_end: usize,
    kept_additional: u16,
    opt: Option<(usize, usize)>,
    code: u16,
}

/// How long a response holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// There are records of what was asked for; the least time of the answer, in seconds.
    Records(u32),
    /// There is no such name, or no record of that type, for so many seconds (RFC 2308 §5).
    Negative(u32),
    /// As [`Lifetime::Negative`], and the server does not say how long; the RFC says not to keep it.
    Unstated,
    /// The server failed or refused.
    Failure,
}

/// Records of an answer that are looked at for addresses: each is compared once for each alias.
const MAX_LOOKED_AT: usize = 512;

/// More aliases in a row are followed by nobody.
const MAX_ALIASES: usize = 16;

/// Reads a message from a server. Bytes behind its last record are passed over.
///
/// # Errors
/// It is no response, or malformed.
pub fn parse_response(bytes: &[u8]) -> Result<Response<'_>, WhyNot> {
    let flags = u16_at(bytes, 2).ok_or(CUT)?;
    if bytes.len() < HEADER {
        return Err(CUT);
    }
    if flags & flag::RESPONSE == 0 || flags & flag::OPCODE != 0 {
        return Err(WhyNot::AnotherProtocol);
    }
    let question_end = match u16_at(bytes, 4) {
        Some(0) => HEADER,
        Some(1) => match plain_name_end(bytes) {
            Some(end) if bytes.len() >= end + 4 => end + 4,
            _ => return Err(WhyNot::Malformed("the question")),
        },
        _ => return Err(WhyNot::Malformed("several questions")),
    };
    let mut response = Response {
        bytes,
        question_end,
        kept_end: question_end,
        kept_additional: 0,
        opt: None,
        code: flags & flag::CODE,
    };
    let mut records = Records::new(bytes, question_end);
    while let Some(record) = records.next() {
        match (record.kind, response.opt) {
            (kind::OPT, None) if record.section == Section::Additional => {
                let upper = bytes.get(record.ttl_at()).copied().unwrap_or(0);
                response.code |= u16::from(upper) << 4;
                response.opt = Some((record.data.start, record.data.end));
            }
            (kind::OPT, _) => return Err(WhyNot::Malformed("an OPT record out of place")),
            (_, None) => {
                response.kept_end = records.at();
                response.kept_additional += u16::from(record.section == Section::Additional);
            }
            (_, Some(_)) => {}
        }
    }
    match records.is_broken() {
        true => Err(CUT),
        false => Ok(response),
    }
}

const CUT: WhyNot = WhyNot::Malformed("a message that breaks off");

impl<'a> Response<'a> {
    /// The number of the query that it answers.
    #[must_use]
    pub fn id(&self) -> u16 {
        u16_at(self.bytes, 0).unwrap_or(0)
    }

    /// Its code, with the upper bits of its OPT record.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Whether not everything fitted: it is to be asked for over a stream.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.flags() & flag::TRUNCATED != 0
    }

    /// Whether it answers the query with that number and that question: in any case of letters, or without a question
    /// where the server tells nothing of the name.
    #[must_use]
    pub fn is_to(&self, id: u16, question: &[u8]) -> bool {
        let own = self.question();
        let same = own.len() == question.len()
            && own.len() >= 4
            && own.split_at(own.len() - 4).1 == question.split_at(own.len() - 4).1
            && own.eq_ignore_ascii_case(question);
        let tells = matches!(self.code, code::NO_ERROR | code::NX_DOMAIN);
        self.id() == id && (same || own.is_empty() && !tells)
    }

    /// The question that it repeats: name, type, class; empty where it repeats none.
    #[must_use]
    pub fn question(&self) -> &'a [u8] {
        self.bytes.get(HEADER..self.question_end).unwrap_or(&[])
    }

    /// Its records, of all sections.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records::new(self.bytes, self.question_end)
    }

    /// How long it holds.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        if !matches!(self.code, code::NO_ERROR | code::NX_DOMAIN) {
            return Lifetime::Failure;
        }
        let asked = self.kind();
        let (mut least, mut there, mut stated) = (u32::MAX, false, None);
        for record in self.records() {
            match record.section {
                Section::Answer => {
                    least = least.min(record.ttl);
                    let of_the_type = record.kind == asked || asked == kind::ANY;
                    there |= of_the_type && record.class == CLASS_IN;
                }
                Section::Authority if record.kind == kind::SOA && record.class == CLASS_IN => {
                    // The last of a SOA's numbers is the least time.
                    let minimum = record.data.end.checked_sub(4);
                    let minimum = minimum.filter(|at| *at >= record.data.start + 18);
                    if let (None, Some(minimum)) = (stated, minimum) {
                        stated = u32_at(self.bytes, minimum).map(|it| it.min(record.ttl));
                    }
                }
                Section::Authority => {}
                Section::Additional => break,
            }
        }
        match (there && self.code == code::NO_ERROR, stated) {
            (true, _) => Lifetime::Records(least),
            (false, Some(seconds)) => Lifetime::Negative(seconds.min(least)),
            (false, None) => Lifetime::Unstated,
        }
    }

    /// The addresses that it has for the name that was asked for, along its aliases, with the least time on the way in
    /// seconds. Those of the type that was asked for alone, and of the Internet's class.
    #[must_use]
    pub fn addresses(&self) -> Vec<(IpAddr, u32)> {
        let mut all = Vec::new();
        self.each_address(|address, ttl| all.push((address, ttl)));
        all
    }

    /// Calls for each of its [addresses](Self::addresses). Allocates nothing.
    pub fn each_address(&self, mut each: impl FnMut(IpAddr, u32)) {
        let Some(mut owner) = WireName::read(self.bytes, HEADER) else {
            return;
        };
        let mut least = u32::MAX;
        for _ in 0..MAX_ALIASES {
            let mut aliases = self.answers().filter(|it| it.kind == kind::CNAME);
            let Some(alias) = aliases.find(|it| self.owner_is(it, &owner)) else {
                break;
            };
            let Some(target) = WireName::read(self.bytes, alias.data.start) else {
                break;
            };
            least = least.min(alias.ttl);
            owner = target;
        }
        let asked = self.kind();
        let address = |record: Record| {
            let data = self.bytes.get(record.data.clone())?;
            let address: IpAddr = match record.kind {
                kind::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into(),
                kind::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into(),
                _ => return None,
            };
            Some((address, record.ttl.min(least)))
        };
        let own = self.answers().filter(|it| it.kind == asked);
        for (address, ttl) in own
            .filter(|it| self.owner_is(it, &owner))
            .filter_map(address)
        {
            each(address, ttl);
        }
    }

    /// The number and the text of its extended error (RFC 8914), where it has one.
    #[must_use]
    pub fn extended_error(&self) -> Option<(u16, &'a [u8])> {
        const EXTENDED_ERROR: u16 = 15;
        let (start, end) = self.opt?;
        let mut options = self.bytes.get(start..end)?;
        loop {
            let (option, length) = (u16_at(options, 0)?, u16_at(options, 2)?);
            let (value, behind) = options.get(4..)?.split_at_checked(usize::from(length))?;
            if option == EXTENDED_ERROR {
                return Some((u16_at(value, 0)?, value.get(2..)?));
            }
            options = behind;
        }
    }

    /// The bytes that are kept: all before the OPT record. Then the numbers of records in the three sections that they hold.
    pub(super) fn kept(&self) -> (&'a [u8], [u16; 3]) {
        let count = |at| u16_at(self.bytes, at).unwrap_or(0);
        let counts = [count(6), count(8), self.kept_additional];
        (self.bytes.get(..self.kept_end).unwrap_or(&[]), counts)
    }

    pub(super) fn question_end(&self) -> usize {
        self.question_end
    }

    pub(super) fn flags(&self) -> u16 {
        u16_at(self.bytes, 2).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn kind(&self) -> u16 {
        let at = self.question_end.saturating_sub(4);
        match self.question().is_empty() {
            true => 0,
            false => u16_at(self.bytes, at).unwrap_or(0),
        }
    }

    /// The records of the answer in the Internet's class: the same numbers mean something else in others.
    pub(super) fn answers(&self) -> impl Iterator<Item = Record> + use<'a> {
        let records = self
            .records()
            .take_while(|it| it.section == Section::Answer)
            .take(MAX_LOOKED_AT);
        records.filter(|it| it.class == CLASS_IN)
    }

    fn owner_is(&self, record: &Record, name: &WireName) -> bool {
        WireName::read(self.bytes, record.owner).is_some_and(|owner| owner == *name)
    }
}
