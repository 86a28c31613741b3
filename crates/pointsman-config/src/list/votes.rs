//! What the lines of a text speak for: its format is what most of them have.
//!
//! Invariant: a line that is odd has one vote like the others.

use super::lines::{Line, Lines, before_text_comment};
use super::look::{Look, is_comment_of_text, look};
use super::strange::{Stranger, of_line};
use super::{Bytes, Format, Unreadable};

/// What the lines of a text speak for.
#[derive(Default)]
pub(super) struct Votes {
    adblock: usize,
    dnsmasq: usize,
    hosts: usize,
    text: usize,
    /// Of these, those that begin with a dot, which AdBlock's lists have, too.
    dotted: usize,
    /// Names, which stand in lists of text, and in AdBlock's.
    names: usize,
    /// Comments as AdBlock has them.
    bangs: usize,
    /// Comments as all others have them.
    hashes: usize,
    /// Whether it says at its beginning that it is AdBlock's.
    headed: bool,
    /// Lines of what is no list here, and what the last one was of.
    strange: usize,
    stranger: Option<Stranger>,
}

impl Votes {
    /// Counts a line that is a comment; whether it was.
    pub(super) fn comment(&mut self, line: &str) -> bool {
        if ["[Adblock", "[AutoProxy", "[uBlock"]
            .iter()
            .any(|head| line.starts_with(head))
        {
            self.headed |= self.is_none();
            return true;
        }
        if !is_comment_of_text(line) {
            return false;
        }
        match line.starts_with('!') {
            true => self.bangs += 1,
            false => self.hashes += 1,
        }
        true
    }

    pub(super) fn count(&mut self, line: &str) {
        if let Some(stranger) = of_line(line) {
            self.strange += 1;
            self.stranger = Some(stranger.or_before(self.stranger));
            return;
        }
        match look(before_text_comment(line)) {
            Look::Of(Format::Adblock) => self.adblock += 1,
            Look::Of(Format::Dnsmasq) => self.dnsmasq += 1,
            Look::Of(Format::Hosts) => self.hosts += 1,
            Look::Of(_) => {
                self.text += 1;
                self.dotted += usize::from(line.starts_with('.'));
            }
            Look::Name => self.names += 1,
            Look::Unknown => {}
        }
    }

    /// Counts some lines from the next one on that is whole.
    pub(super) fn look_on(&mut self, bytes: &mut dyn Bytes, most: usize) -> Result<(), Unreadable> {
        let mut lines = Lines::new(bytes);
        lines.next()?;
        let mut seen = 0;
        while seen < most
            && let Some((_, line)) = lines.next()?
        {
            let (Line::Text(line) | Line::Lossy(line)) = line else {
                continue;
            };
            let line = line.trim();
            if !line.is_empty() && !self.comment(line) {
                self.count(line);
                seen += 1;
            }
        }
        Ok(())
    }

    pub(super) fn scale(&mut self, to: usize, from: usize) {
        let Self {
            adblock,
            dnsmasq,
            hosts,
            text,
            dotted,
            names,
            strange,
            ..
        } = self;
        for count in [adblock, dnsmasq, hosts, text, dotted, names, strange] {
            *count = *count * to / from;
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.adblock + self.dnsmasq + self.hosts + self.text + self.names == 0
    }

    pub(super) fn winner(&self) -> Result<Format, Unreadable> {
        let Self {
            dnsmasq,
            names,
            bangs,
            hashes,
            ..
        } = *self;
        let (mut adblock, mut hosts, mut text) = (self.adblock, self.hosts, self.text);
        if self.headed || bangs > hashes {
            // It has plain names and lines of hosts files, too.
            adblock += names;
            if adblock > 0 {
                adblock += std::mem::take(&mut hosts);
            }
            if self.headed {
                adblock += self.dotted;
                text -= self.dotted.min(text);
            }
        } else {
            text += names;
        }
        let most = adblock.max(dnsmasq).max(hosts).max(text);
        if let Some(stranger) = self.stranger.filter(|_| self.strange > most) {
            return Err(stranger.error());
        }
        Ok(match most {
            0 if self.headed => Format::Adblock,
            0 => Format::Text,
            _ if most == adblock => Format::Adblock,
            _ if most == hosts => Format::Hosts,
            _ if most == dnsmasq => Format::Dnsmasq,
            _ => Format::Text,
        })
    }
}
