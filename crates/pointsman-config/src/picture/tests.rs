//! Pictures are well-formed, hold every way out, and nothing in them overlaps.

use std::path::Path;

use expect_test::expect;
use proptest::prelude::*;

use pointsman_policy::Policy;

use super::scene::{Runs, Scene, scenes};
use super::svg::{WIDEST, draw};
use super::{as_dot, as_svg, dot};
use crate::damage;
use crate::files::{Disk, Memory};
use crate::fuzz_checks::{lowered, policy};
use crate::load::load;
use crate::setup::Setup;

/// Tags that open and close in pairs, attributes in quotes, no bare `<` or `&`; the texts in it.
fn texts(svg: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut texts = Vec::new();
    let mut rest = svg;
    while let Some((text, after)) = rest.split_once('<') {
        for part in text.split('&').skip(1) {
            let name = part.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot"].contains(&name), "{part}");
        }
        assert!(!text.contains('>'), "{text}");
        if !text.trim().is_empty() {
            texts.push(
                text.replace("&gt;", ">")
                    .replace("&lt;", "<")
                    .replace("&quot;", "\"")
                    .replace("&amp;", "&"),
            );
        }
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match (tag.strip_prefix('/'), tag.strip_suffix('/')) {
            (Some(name), _) => assert_eq!(open.pop(), Some(name), "{tag}"),
            (None, Some(_)) => {}
            (None, None) => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    let allowed = |c: char| c == '\n' || !c.is_control();
    assert!(svg.chars().all(allowed));
    texts
}

fn check(policies: &[&Policy]) {
    let scenes: Vec<Scene<'_>> = policies.iter().map(|policy| Scene::of(policy)).collect();
    check_scenes(&scenes);
}

fn check_scenes(scenes: &[Scene<'_>]) {
    for runs in [Runs::Folded, Runs::Open] {
        check_drawn(scenes, runs);
    }
}

fn check_drawn(scenes: &[Scene<'_>], runs: Runs) {
    let (svg, boxes) = draw(scenes, runs);
    let texts = texts(&svg);
    for scene in scenes.iter().filter(|scene| scene.forward.is_none()) {
        // Every outbound that a printed tree names.
        let tree = crate::tree::print::as_tree(scene.policy);
        for outbound in scene.policy.outbounds.iter() {
            let used = tree
                .lines()
                .any(|line| line.trim_end().ends_with(&format!(" {}", outbound.name)));
            let shown = texts.iter().any(|text| *text == *outbound.name);
            assert!(!used || shown, "{} in\n{tree}", outbound.name);
        }
    }
    for (at, a) in boxes.iter().enumerate() {
        assert!(a.x >= 0.0 && a.x + a.width <= WIDEST, "{a:?}");
        // Boxes come from the top to the bottom: those that could overlap are near.
        for b in boxes.iter().skip(at + 1).take(3) {
            let apart = a.x + a.width <= b.x
                || b.x + b.width <= a.x
                || a.y + a.height <= b.y
                || b.y + b.height <= a.y;
            assert!(apart, "{a:?} {b:?}");
        }
    }
    // Nothing is fetched from elsewhere.
    let own = texts.concat();
    for word in ["href", "url(", "@import"] {
        assert!(!svg.contains(word) || own.contains(word), "{word}");
    }
    // A title and a description for those who cannot see it come first.
    assert!(svg.contains(
        " role=\"img\" aria-labelledby=\"policy-title policy-desc\">\n<title id=\"policy-title\">"
    ));
    assert!(svg.contains("\n<desc id=\"policy-desc\">"));
    for line in dot::draw(scenes, runs).lines() {
        check_dot_line(line);
    }
    assert_eq!(draw(scenes, runs).0, svg);
}

/// A line of Graphviz text as these are made: what is within quotes has neither a bare quote, nor a line end, nor the
/// beginning of an entity that is not there.
fn check_dot_line(line: &str) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        assert!(!c.is_control(), "{line}");
        match c {
            '"' if !escaped => quoted = !quoted,
            '&' => assert!(quoted && line[at..].starts_with("&amp;"), "{line}"),
            _ if quoted => {}
            c => assert!(
                c.is_ascii_alphanumeric() || " _->[]{}=,;.".contains(c),
                "{line}"
            ),
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    assert!(!quoted, "{line}");
    let end = line.trim_end().chars().next_back();
    assert!(matches!(end, Some('{' | '}' | ';')), "{line}");
}

/// A rule list of the kind that people have: long runs, now and then something else.
fn long_list(rules: usize) -> String {
    let mut text = String::from(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: 0 }\noutbounds:\n  vpn: { type: socks5, server: '127.0.0.1:1' }\n  \
         media: { type: select, members: [vpn, DIRECT] }\nrules:\n",
    );
    for n in 0..rules {
        let rule = match n {
            n if n < rules / 3 => format!("DOMAIN-SUFFIX, site{n}.example, vpn"),
            n if n % 40 == 39 => format!("AND, [DST-PORT, {n}], [NETWORK, udp], REJECT"),
            n if n % 90 < 12 => format!("DST-PORT, {n}, DIRECT"),
            n if n % 90 < 60 => format!(
                "IP-CIDR, 10.{}.{}.0/24, DIRECT, no-resolve",
                n / 256,
                n % 256
            ),
            n if n % 90 < 70 => format!("PROCESS-NAME, program-{n}, media"),
            n => format!("DOMAIN, \"<b>&{n}.example\", vpn").replace("<b>&", "b"),
        };
        text.push_str(&format!("  - '{rule}'\n"));
    }
    text + "  - FALLBACK, DIRECT\n"
}

fn native(text: &str) -> Setup {
    let files = Memory::new([("pointsman.yaml", text)]);
    let loaded = load(Path::new("pointsman.yaml"), None, None, &files);
    loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems.0))
}

fn svg_of(policy: &Policy) -> String {
    draw(&[Scene::of(policy)], Runs::Folded).0
}

#[test]
fn long_lists_are_folded() {
    let setup = native(&long_list(400));
    let (svg, boxes) = draw(&scenes(&setup), Runs::Folded);
    assert!(boxes.len() < 120, "{}", boxes.len());
    let texts = texts(&svg);
    let folded =
        "133 \u{d7} domain under site0.example, site1.example, site2.example, ... and 130 more";
    assert!(texts.iter().any(|text| text == folded), "{texts:#?}");
    check_scenes(&scenes(&setup));
    let (_, boxes) = draw(&scenes(&setup), Runs::Open);
    assert!(boxes.len() > 2 * 400, "{}", boxes.len());
}

#[test]
fn names_of_outbounds_are_whole_up_to_the_widest() {
    for length in 1..=25 {
        let name = "p".repeat(length);
        let text = format!(
            "version: 1\noutbounds:\n  {name}: {{ type: socks5, server: '127.0.0.1:1' }}\npolicy: {name}\n"
        );
        let svg = as_svg(&native(&text), Runs::Folded);
        assert!(texts(&svg).contains(&name), "{name} in {svg}");
    }
}

#[test]
fn rows_say_what_holds_for_them() {
    let check = |tree: &str, row: &str| {
        let (body, _) = lowered(tree);
        let policy = policy(body.unwrap()).unwrap();
        check(&[&policy]);
        let texts = texts(&svg_of(&policy));
        assert!(texts.iter().any(|text| text == row), "{row} in {texts:#?}");
    };
    check("only [\n cond port eq 1 => reset\n]", "only these");
    check(
        "cond port eq 1 => reset else => cond port eq 2 => direct",
        "else port eq 2",
    );
    check(
        "cond port eq 1 => reset else => any [\n cond port eq 2 => direct\n reset\n]",
        "else",
    );
    let runs = "any [\n cond ip in 10.0.0.1 no-resolve => reset\n cond ip in 10.0.0.2 no-resolve => reset\n";
    check(
        &format!("{runs}]"),
        "2 \u{d7} ip in 10.0.0.1, 10.0.0.2 no-resolve",
    );
    check(
        &format!(
            "{runs} cond ip in 10.0.0.3 no-resolve => reset\n cond ip in 10.0.0.4 no-resolve => reset\n\
             cond ip in 10.0.0.5 no-resolve => reset\n]"
        ),
        "5 \u{d7} ip in 10.0.0.1, 10.0.0.2, 10.0.0.3, ... and 2 more, no-resolve",
    );
}

#[test]
fn a_picture_stays_as_it_is() {
    let (body, _) = lowered(
        "any [\n cond domain { ads => reset }\n cond port eq 22 => any [\n cond process.name has '<&\"' => \"My Proxy\"\n direct\n ] else => resolve\n log \"{domain}\"\n direct\n]",
    );
    let policy = policy(body.unwrap()).unwrap();
    check(&[&policy]);
    let svg = svg_of(&policy);
    let body = svg.split("</style>").nth(1).unwrap();
    expect![[r#"

        <rect class="page" width="683" height="430"/>
        <rect class="card" x="12" y="12" width="659" height="378" rx="10"/>
        <svg x="32" y="22" width="619" height="26"><text class="title" x="0" y="19">main</text></svg>
        <text class="soft" x="46" y="76.5">no inbound leads here</text>
        <path class="line" d="M32 108H46"/>
        <g><title>ads =&gt; reset (t:2)</title><rect class="box" x="46" y="94" width="76" height="28" rx="6"/>
        <text x="56" y="112.5">set ads</text>
        </g>
        <path class="lead" d="M130 108H550"/>
        <path class="tip" d="M552 104L559 108L552 112Z"/>
        <g><title>reset</title><rect class="refused" x="564" y="96" width="87" height="24" rx="12"/>
        <text class="name" x="607.5" y="112.5">reset</text>
        </g>
        <path class="line" d="M32 144H46"/>
        <g><title>cond port eq 22 =&gt; any [ (t:3)</title><rect class="box branch" x="46" y="130" width="100" height="28" rx="6"/>
        <text x="56" y="148.5">port eq 22</text>
        </g>
        <path class="line" d="M58 180H72"/>
        <g><title>cond process.name has &lt;&amp;&quot; =&gt; &quot;My Proxy&quot; (t:4)</title><rect class="box" x="72" y="166" width="204" height="28" rx="6"/>
        <text x="82" y="184.5">process.name has &quot;&lt;&amp;\&quot;&quot;</text>
        </g>
        <path class="lead" d="M284 180H550"/>
        <path class="tip" d="M552 176L559 180L552 184Z"/>
        <g><title>My Proxy</title><rect class="direct" x="564" y="168" width="87" height="24" rx="12"/>
        <text class="name" x="607.5" y="184.5">My Proxy</text>
        </g>
        <path class="line" d="M58 216H72"/>
        <g><title>direct (t:5)</title><rect class="rest" x="72" y="202" width="52" height="28" rx="6"/>
        <text class="soft" x="82" y="220.5">else</text>
        </g>
        <path class="lead" d="M132 216H550"/>
        <path class="tip" d="M552 212L559 216L552 220Z"/>
        <g><title>direct</title><rect class="direct" x="564" y="204" width="87" height="24" rx="12"/>
        <text class="name" x="607.5" y="220.5">direct</text>
        </g>
        <path class="line" d="M58 158V216"/>
        <path class="line" d="M32 252H46"/>
        <g><title>else</title><rect class="box branch" x="46" y="238" width="52" height="28" rx="6"/>
        <text x="56" y="256.5">else</text>
        </g>
        <path class="line" d="M58 288H72"/>
        <g><title>resolve (t:6)</title><rect class="box note" x="72" y="274" width="436" height="28" rx="6"/>
        <text x="82" y="292.5">resolve: from here on the address of a name is known</text>
        </g>
        <path class="line" d="M58 266V288"/>
        <path class="line" d="M32 324H46"/>
        <g><title>log 0 &quot;{domain}&quot; (t:7)</title><rect class="box note" x="46" y="310" width="132" height="28" rx="6"/>
        <text x="56" y="328.5">log &quot;{domain}&quot;</text>
        </g>
        <path class="line" d="M32 360H46"/>
        <g><title>direct (t:8)</title><rect class="rest" x="46" y="346" width="140" height="28" rx="6"/>
        <text class="soft" x="56" y="364.5">everything else</text>
        </g>
        <path class="lead" d="M194 360H550"/>
        <path class="tip" d="M552 356L559 360L552 364Z"/>
        <g><title>direct</title><rect class="direct" x="564" y="348" width="87" height="24" rx="12"/>
        <text class="name" x="607.5" y="364.5">direct</text>
        </g>
        <path class="line" d="M32 50V360"/>
        <circle class="direct" cx="37" cy="410" r="5"/><text class="legend" x="48" y="414">direct</text>
        <circle class="refused" cx="112" cy="410" r="5"/><text class="legend" x="123" y="414">refused</text>
        </svg>
    "#]].assert_eq(body);
    expect![[r##"
        digraph policy {
          rankdir=LR; ordering=out;
          node [shape=box, style="rounded,filled", fillcolor="#f4f5f7", color="#9aa3b2", fontname="monospace", fontsize=11];
          edge [color="#9aa3b2", fontname="monospace", fontsize=10];
          subgraph cluster_0 {
            label="main"; color="#c5cad3"; fontname="sans-serif";
            n0 [label="main", tooltip="", shape=circle, label="", width=0.2, fillcolor="#4a5568"];
            n1 [label="set ads", tooltip="ads => reset (t:2)"];
            n0 -> n1 [label="1"];
            n1 -> t0_72_65_73_65_74 [style=bold];
            n2 [label="port eq 22", tooltip="cond port eq 22 => any [ (t:3)"];
            n0 -> n2 [label="2"];
            n3 [label="process.name has \"<&amp;\\\"\"", tooltip="cond process.name has <&amp;\" => \"My Proxy\" (t:4)"];
            n2 -> n3 [label="1"];
            n3 -> t0_4d_79_20_50_72_6f_78_79 [style=bold];
            n4 [label="else", tooltip="direct (t:5)"];
            n2 -> n4 [label="2"];
            n4 -> t0_64_69_72_65_63_74 [style=bold];
            n5 [label="else", tooltip=""];
            n0 -> n5 [label="3"];
            n6 [label="resolve: from here on the address of a name is known", tooltip="resolve (t:6)", style="rounded,dashed"];
            n5 -> n6 [label="1"];
            n7 [label="log \"{domain}\"", tooltip="log 0 \"{domain}\" (t:7)", style="rounded,dashed"];
            n0 -> n7 [label="4"];
            n8 [label="everything else", tooltip="direct (t:8)"];
            n0 -> n8 [label="5"];
            n8 -> t0_64_69_72_65_63_74 [style=bold];
            t0_4d_79_20_50_72_6f_78_79 [label="My Proxy", tooltip="My Proxy", fillcolor="#2a7d50", color="#2a7d50", fontcolor=white];
            t0_64_69_72_65_63_74 [label="direct", tooltip="direct", fillcolor="#2a7d50", color="#2a7d50", fontcolor=white];
            t0_72_65_73_65_74 [label="reset", tooltip="reset", fillcolor="#c53030", color="#c53030", fontcolor=white];
          }
        }
    "##]].assert_eq(&dot::draw(&[Scene::of(&policy)], Runs::Folded));
}

#[test]
fn samples_and_examples_are_drawn() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut paths = vec![
        examples.join("household/pointsman.yaml"),
        examples.join("two-uplinks"),
        examples.join("by-program/config.toml"),
    ];
    if let Some(samples) = damage::shared("samples") {
        paths.extend([samples.join("reflow"), samples.join("boltconn/config.yml")]);
    }
    // Where the pictures are put for whoever wants to look at them.
    let to = std::env::var_os("POINTSMAN_PICTURES");
    for (number, path) in paths.iter().enumerate() {
        let Some(setup) = load(path, None, None, &Disk).setup else {
            panic!("{}", path.display());
        };
        check_scenes(&scenes(&setup));
        if let Some(to) = &to {
            std::fs::write(
                Path::new(to).join(format!("{number}.svg")),
                as_svg(&setup, Runs::Folded),
            )
            .unwrap();
            std::fs::write(
                Path::new(to).join(format!("{number}.dot")),
                as_dot(&setup, Runs::Folded),
            )
            .unwrap();
        }
    }
    if let Some(to) = &to {
        let svg = as_svg(&native(&long_list(400)), Runs::Folded);
        std::fs::write(Path::new(to).join("long.svg"), svg).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_a_picture(text: String, deep in 0_usize..40) {
        let word = crate::tree::lex::quote(&text);
        let tree = format!(
            "{}cond process.path has {word} => \"My Proxy\"{}",
            "cond port eq 1 => any [\n".repeat(deep),
            "\n]".repeat(deep)
        );
        if let (Some(body), _) = lowered(&tree) {
            check(&[&policy(body).unwrap()]);
        }
    }
}
