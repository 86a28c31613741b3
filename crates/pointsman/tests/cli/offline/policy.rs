//! `policy`.

use expect_test::expect;

use super::check;

#[test]
fn policy_prints() {
    check(
        &["policy", "r.toml", "--as", "list"],
        "",
        expect![[r#"
        0
        - DOMAIN-SUFFIX, youtube.com, proxy
        - PROCESS-NAME-APP, zen.exe, vpn
        - FALLBACK, direct
        --
    "#]],
    );
    check(
        &["policy", "r.toml", "--as", "tree"],
        "",
        expect![[r#"
        0
        any [
          cond domain under youtube.com => proxy
          cond app eq "zen.exe" => vpn
          direct
        ]
        --
    "#]],
    );
    check(
        &["policy", "reflow", "--format", "json"],
        "",
        expect![[r#"
            0
            {"as":"tree","text":"reset\n"}
            --
        "#]],
    );
}

#[test]
fn policies_in_other_forms() {
    check(
        &["policy", "--as", "list", "reflow"],
        "",
        expect![[r#"
        0
        - FALLBACK, reset
        --
    "#]],
    );
    check(
        &["policy", "--as", "dot", "reflow"],
        "",
        expect![[r##"
        0
        digraph policy {
          rankdir=LR;
          node [shape=box, style="rounded,filled", fillcolor="#f4f5f7", color="#9aa3b2", fontname="monospace", fontsize=11];
          edge [color="#9aa3b2", fontname="monospace", fontsize=10];
          subgraph cluster_0 {
            label="r"; color="#c5cad3"; fontname="sans-serif";
            n0 [label="r", tooltip="", shape=circle, label="", width=0.2, fillcolor="#4a5568"];
            n1 [label="everything else", tooltip="reset (config:6)"];
            n0 -> n1 [label="1"];
            n1 -> t0_72_65_73_65_74 [style=bold];
            t0_72_65_73_65_74 [label="reset", fillcolor="#c53030", color="#c53030", fontcolor=white];
          }
        }
        --
    "##]],
    );
}
