use super::*;

const NAME: &str = "apps/db\u{1b}[31m/secret.enc.yaml";

fn report() -> Report {
    let at = |line, column| Position { line, column };
    let mut report = Report::default();
    report.take(vec![
        Finding::new(&rules::PARTLY_ENCRYPTED, NAME, at(7, 3), "value stringData.password is in clear")
            .excerpt(Some(Excerpt::Key("password".into()))),
        Finding::new(&rules::MISSING_FILE, "a<b>&\".yaml", at(3, 5), "x.enc.yaml does not exist")
            .excerpt(Excerpt::line(b"files:\n\n  - x.enc.yaml # ENC[AES256_GCM,data:CANARY,type:str]\n", 3, 5))
            .hint("did you mean y?"),
        Finding::new(&rules::OLD_SOPS, "o.yaml", at(0, 0), "written by sops 3.5.0"),
    ]);
    report
}

fn plain() -> Tint<'static> {
    let same: &dyn Fn(&str) -> String = &str::to_owned;
    Tint { error: same, warning: same, dim: same, bold: same }
}

#[test]
fn text_shows_place_reason_and_fix_but_no_token() {
    let text = report().text(&plain(), true);
    assert!(text.contains("a<b>&\".yaml:3:5: error[missing-file]: x.enc.yaml does not exist"), "{text}");
    assert!(text.contains("     3 | - x.enc.yaml # ENC[…]\n       |   ^"), "{text}");
    assert!(text.contains("= fix: did you mean y?"), "{text}");
    assert!(text.contains("     7 | password: …"), "{text}");
    assert!(text.contains("2 errors, 1 note: 0 SOPS files"), "{text}");
    assert!(!text.contains("CANARY") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn github_lines_cannot_be_broken_out_of() {
    let mut report = Report::default();
    let file = "a\n::error::x,y:z%.yaml";
    report.take(vec![Finding::new(&rules::STALE, file, Position { line: 2, column: 0 }, "old")]);
    let text = report.github();
    assert!(
        text.starts_with("::warning file=a\\u{a}%3A%3Aerror%3A%3Ax%2Cy%3Az%25.yaml,line=2,title=unsops stale::old%0A")
    );
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn junit_is_well_formed_whatever_names_hold() {
    let xml = report().junit();
    assert!(xml.contains("classname=\"a&lt;b&gt;&amp;&quot;.yaml\""), "{xml}");
    assert!(!xml.contains('\u{1b}'));
    assert!(xml.contains("tests=\"3\" failures=\"2\""), "{xml}");
    assert!(Report::default().junit().contains("<testcase name=\"no findings\""));
}

#[test]
fn json_and_sarif_hold_every_finding() {
    let json: serde_json::Value = serde_json::from_str(&report().json()).expect("JSON");
    assert_eq!(json["findings"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["findings"][0]["file"], "a<b>&\".yaml");
    let sarif: serde_json::Value = serde_json::from_str(&report().sarif()).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    assert_eq!(
        results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "apps/db%1B%5B31m/secret.enc.yaml"
    );
}

#[test]
fn order_does_not_depend_on_the_order_of_finding() {
    let one = report();
    let mut other = Report::default();
    let mut findings = one.findings().to_vec();
    findings.reverse();
    findings.push(one.findings()[0].clone());
    other.take(findings);
    assert_eq!(one.json(), other.json());
}

#[test]
fn findings_of_one_rule_in_one_file_are_cut() {
    let mut report = Report::default();
    let many = (0..1000).map(|line| Finding::new(&rules::ILLEGAL_KEY, "f", Position { line, column: 1 }, "x"));
    report.take(many.collect());
    assert_eq!(report.findings().len(), limits::FINDINGS_OF_A_RULE);
    assert_eq!(report.left_out, 1000 - limits::FINDINGS_OF_A_RULE);
}

#[test]
fn comments_silence_their_line_the_next_and_the_file() {
    let text = b"a: 1 # unsops:ignore stale, missing-file because x\nb\nc\n# unsops:ignore all\nd\n// unsops:ignore-file: old-sops\n# unsops:ignore no-such-rule\nunsops:ignore plaintext-secret\n";
    let silences = Silences::read(text);
    assert!(silences.covering("stale", 1).is_some() && silences.covering("missing-file", 2).is_some());
    assert!(silences.covering("stale", 3).is_none() && silences.covering("illegal-key", 1).is_none());
    assert!(silences.covering("illegal-key", 5).is_some());
    assert!(silences.covering("old-sops", 0).is_some() && silences.covering("old-sops", 100).is_some());
    assert!(silences.covering("plaintext-secret", 8).is_none());
    assert_eq!(silences.unknown, [(7, "no-such-rule".to_owned())]);
    assert!(Silences::read(b"a: b\n").is_empty());
}

#[test]
fn rules_are_told_apart_and_in_order() {
    let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted);
    for rule in RULES {
        assert_eq!(find(rule.id), Some(*rule));
        for text in [rule.title, rule.why, rule.fix] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{}", rule.id);
        }
    }
}

#[test]
fn excerpt_leaves_out_blanks_and_bounds_itself() {
    let long = format!("{}x", " ".repeat(10_000));
    let Some(Excerpt::Line { text, before }) = Excerpt::line(long.as_bytes(), 1, 10_001) else { panic!("a line") };
    assert_eq!((text.as_str(), before), ("x", 0));
    assert_eq!(Excerpt::line(b"a\n", 2, 1), None);
    assert_eq!(Excerpt::line(b"a\n", 0, 0), None);
    assert!(Excerpt::line(b"\xff\xfe ENC[", 1, 9).is_some());
}
