//! Lines of another format among those of a list's own: each is read as what it is, and that is told.

use super::look::{Look, look};
use super::report::Remark;
use super::{Format, Reading, Spot, adblock, dnsmasq, hosts};

impl Reading<'_> {
    /// Takes a line, without its comment, that another format alone gives a meaning; whether it is such a one.
    pub(super) fn foreign(&mut self, line: &str, number: u32) -> bool {
        let Look::Of(format) = look(line) else {
            return false;
        };
        let own = match self.told.format {
            Some(Format::Yaml) => Some(Format::Text),
            own => own,
        };
        if own == Some(format) || self.guest {
            return false;
        }
        let what = match format {
            Format::Adblock => "a rule of AdBlock's",
            Format::Dnsmasq => "an option of dnsmasq's",
            Format::Hosts => "a line of a hosts file",
            _ => "an entry of plain text",
        };
        self.strange(line, number, what);
        self.guest = true;
        match format {
            Format::Adblock => adblock::take(line, number, self),
            Format::Dnsmasq => dnsmasq::take(line, number, self),
            Format::Hosts => hosts::line(line, number, self),
            _ => self.entry(line, number, line, 0),
        }
        self.guest = false;
        true
    }

    /// Tells of a line that is read as what no other format than the list's has.
    pub(super) fn strange(&mut self, line: &str, number: u32, what: &str) {
        let spot = Spot::new(number, line, 0, line.len());
        let own = self.told.format.map_or("text", Format::as_str);
        let message = format!("`{line}` is {what} in a list of format `{own}`: it is read as that");
        self.told.say(Remark::OtherFormat, spot, message);
    }
}
