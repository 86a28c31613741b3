//! Clash's `mode`, and the group `GLOBAL` that gets every flow in one of them.
//!
//! Invariant: where the rules do not decide in Clash, they do not decide here.

use super::super::draft::Section;
use super::super::emit::{Map, list, text};
use super::{Clash, get, items, place, scalar};

/// The group of all that flows can go out by.
pub(super) const GLOBAL: &str = "GLOBAL";

impl Clash<'_> {
    /// What all flows get, where the rules do not decide.
    pub(super) fn mode(&mut self) {
        let Some(node) = get(self.root, "mode") else {
            return;
        };
        let at = place(node);
        let word = node.scalar().unwrap_or_default().to_ascii_lowercase();
        let out = match word.as_str() {
            "rule" => return,
            "direct" => self.direct.clone(),
            "global" => self.global(&at),
            _ => {
                let what = format!("there is no mode `{word}` here: the rules decide");
                return self.draft.report.lost(at, what);
            }
        };
        self.draft
            .rule(&at, &format!("mode: {word}"), "ALWAYS", &out);
        let begin = format!("`mode: {word}`: the rules do not decide, as in Clash");
        let all = "the first rule, `ALWAYS`, sends every flow";
        if word == "direct" {
            let what = format!("{begin}: {all} direct");
            self.draft.report.note(at, what);
        } else {
            let what = format!(
                "{begin}: {all} to the group `{out}`, and which member Clash had selected there is not known: until you select \
                 one, it is the first"
            );
            self.draft.report.lost(at, what);
            let what = format!(
                "`pointsman outbounds select '{out}' MEMBER` selects where every flow goes"
            );
            self.draft.known.next.push(what);
        }
        let what = format!(
            "to let the rules decide, remove the rule `ALWAYS`, which stands for `mode: {word}`"
        );
        self.draft.known.next.push(what);
        self.draft.known.all = Some(out);
    }

    /// The name of the group `GLOBAL`; where the file has none, it holds all proxies and groups, as in Clash.
    pub(super) fn global(&mut self, at: &str) -> String {
        if let Some(own) = self.out(GLOBAL) {
            return own;
        }
        let own = self.own_name(GLOBAL);
        let mut members = vec![text(&self.direct), "REJECT".to_owned()];
        for section in ["proxies", "proxy-groups"] {
            let names = items(get(self.root, section)).iter();
            for name in names.filter_map(|node| scalar(node, "name")) {
                let member = self.names.get(name).map(|own| text(own));
                members.extend(member.filter(|member| !members.contains(member)));
            }
        }
        let mut map = Map::default();
        map.text("type", "select").raw("members", list(members));
        self.udp.insert(GLOBAL.to_owned(), true);
        self.draft.firsts.insert(own.clone(), self.direct.clone());
        self.draft.item(Section::Outbounds, &own, &map, at);
        own
    }
}
