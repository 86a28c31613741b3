//! A draft as the text of a file.

use pointsman_config::yaml::write;
use pointsman_policy::line::word;

use super::{Draft, Lines, Part, Section};
use crate::convert::emit::{Page, quoted, text};

/// The sections that stand at the top, and those below `dns`.
const AT_TOP: [Section; 3] = [Section::Inbounds, Section::Outbounds, Section::RuleSets];
const OF_DNS: [Section; 3] = [Section::Upstreams, Section::Hosts, Section::Domains];

impl Draft {
    /// The file, and which part stands on which line.
    pub(in crate::convert) fn page(&self) -> (String, Lines) {
        let mut page = Page::default();
        let mut lines = Lines::new();
        self.head(&AT_TOP, &mut page, &mut lines);
        page.line(0, "");
        page.line(0, "rules:");
        for (at, rule) in self.rules.iter().enumerate() {
            page.line(1, &format!("- {}", write::line(&rule.text)));
            lines.insert(page.lines(), Part::Rule(at));
        }
        (page.finish(), lines)
    }

    /// The file without its lists and the rules that ask for them: it loads wherever the lists are.
    pub(in crate::convert) fn without_lists(&self) -> String {
        let mut page = Page::default();
        self.head(&AT_TOP[..2], &mut page, &mut Lines::new());
        page.line(0, "");
        let last = self.rules.last().map_or("FALLBACK, REJECT", |r| &r.text);
        page.line(0, &format!("rules: [{}]", quoted(last)));
        page.finish()
    }

    /// All before the rules.
    fn head(&self, sections: &[Section], page: &mut Page, lines: &mut Lines) {
        page.line(0, &format!("# Converted from {}.", self.from));
        page.line(0, "version: 1");
        for line in &self.head {
            page.line(0, line);
        }
        for section in sections.iter().filter(|section| self.has_any(**section)) {
            page.line(0, "");
            self.section(*section, 0, page, lines);
        }
        if !self.dns.is_empty() || OF_DNS.into_iter().any(|section| self.has_any(section)) {
            page.line(0, "");
            page.line(0, "dns:");
            if let Some(served) = &self.served {
                page.line(1, &format!("listen: {}", quoted(&served.listen)));
                lines.insert(page.lines(), Part::Listener);
            }
            for section in OF_DNS {
                self.section(section, 1, page, lines);
            }
            page.pairs(1, &self.dns);
            if let Some(served) = &self.served {
                page.line(1, "rules:");
                let rules = served.rules.iter().enumerate();
                for (at, rule) in rules.filter(|_| sections.contains(&Section::RuleSets)) {
                    page.line(2, &format!("- {}", write::line(&rule.text)));
                    lines.insert(page.lines(), Part::NameRule(at));
                }
                let last = format!("FALLBACK, {}", word(&served.usual));
                page.line(2, &format!("- {}", write::line(&last)));
            }
        }
    }

    /// Writes a section, where anything stands in it.
    fn section(&self, section: Section, indent: usize, page: &mut Page, lines: &mut Lines) {
        if !self.has_any(section) {
            return;
        }
        page.line(indent, &format!("{}:", section.as_str()));
        let items = self.items.iter().enumerate();
        for (at, item) in items.filter(|(_, item)| item.section == section) {
            page.line(indent + 1, &format!("{}: {}", text(&item.name), item.value));
            lines.insert(page.lines(), Part::Item(at));
        }
    }
}
