//! The page in headless Chromium: a driver of ours loads it in a frame, uses it, and writes what it saw.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{explain, hostile, text};
use crate::harness::{CANARY, Case, tool};

/// Runs in the outer page. The page under test has its own policy, so that nothing of it can run but its own script.
const DRIVER: &str = r##"<!doctype html><meta charset="utf-8"><iframe id="page" width="1200" height="800"></iframe><pre id="result"></pre>
<script>
const frame = document.getElementById("page");
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const began = performance.now();
frame.onload = async () => {
  const w = frame.contentWindow, d = w.document, seen = { alerts: 0, violations: 0, loads: 0 };
  try {
    w.alert = () => seen.alerts++;
    d.addEventListener("securitypolicyviolation", () => seen.violations++);
    const rows = () => [...d.querySelectorAll("#files tbody tr")].filter((row) => !row.hidden);
    const set = async (id, value, event) => {
      d.getElementById(id).value = value;
      d.getElementById(id).dispatchEvent(new w.Event(event));
      await wait(200);
    };
    const key = (target, name) => target.dispatchEvent(new w.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
    seen.rows = rows().length;
    seen.shown = d.getElementById("shown").textContent;
    seen.elements = ["img", "script", "iframe", "link", "i", "b[onmouseover]", "[onclick]", "[onerror]"].map((one) => d.querySelectorAll(one).length);
    seen.scripts = [...d.scripts].map((script) => script.src).join();
    await set("search", "mallory", "input");
    seen.mallory = rows().length;
    await set("search", "", "input");
    await set("state", "f", "change");
    seen.findings = rows().length;
    await set("state", "", "change");
    d.querySelector("#files thead button").click();
    seen.first = rows().length;
    seen.pressed = d.querySelector("#files thead button").getAttribute("aria-pressed");
    d.querySelector("#files thead button").click();
    d.querySelector("button[data-k='1']").click();
    seen.second_set = rows().length;
    d.getElementById("reset").click();
    seen.reset = rows().length;
    key(d.body, "/");
    seen.slash = d.activeElement.id;
    const summaries = rows().map((row) => row.querySelector("summary"));
    summaries[0].focus();
    key(summaries[0], "ArrowDown");
    seen.arrow = d.activeElement === summaries[1];
    d.querySelector("ul a[href^='#f']").click();
    seen.link = d.activeElement.tagName === "SUMMARY" && d.activeElement.parentElement.open;
    // What injection would need: an inline script and a handler, both refused by the policy.
    d.body.append(Object.assign(d.createElement("script"), { textContent: "alert('inline')" }));
    d.body.insertAdjacentHTML("beforeend", "<img src=x onerror=alert('handler')>");
    await wait(300);
    seen.overflow = d.documentElement.scrollWidth > d.documentElement.clientWidth + 1;
    frame.width = 400;
    await wait(200);
    seen.narrow_overflow = d.documentElement.scrollWidth > d.documentElement.clientWidth + 1;
    seen.ms = Math.round(performance.now() - began);
  } catch (error) {
    seen.error = String(error);
  }
  document.getElementById("result").textContent = JSON.stringify(seen);
};
frame.src = "page.html";
</script>"##;

fn chromium(program: &Path, dir: &Path, args: &[&str], url: &Path) -> Vec<u8> {
    let output = Command::new(program)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .args(args)
        .arg(format!("file://{}", url.display()))
        .current_dir(dir)
        .output()
        .expect("chromium starts");
    assert!(output.status.success(), "chromium: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// 2,000 files in a handful of key sets, and hostile names among them.
fn repository() -> Case {
    let token = |n: usize| format!("ENC[AES256_GCM,data:eA==,iv:{n:042}A=,tag:{}==,type:str]", "A".repeat(22));
    let mut case = hostile(Case::new());
    for n in 0..2000 {
        let people: String = ["alice", "bob", "cluster"]
            .iter()
            .enumerate()
            .filter(|(place, _)| n % 20 != *place)
            .map(|(_, name)| format!("        - recipient: age1{name}{:050}\n          enc: x\n", 0))
            .collect();
        let in_clear = if n % 500 == 0 { format!("    left: {CANARY}\n") } else { String::new() };
        let content = format!(
            "kind: Secret\ndata:\n    password: {}\n{in_clear}sops:\n    age:\n{people}    lastmodified: \"2024-05-06T07:08:09Z\"\n    \
             mac: {}\n    encrypted_regex: ^data$\n    version: 3.13.3\n",
            token(n),
            token(1)
        );
        case = case.file(format!("clusters/{}/app-{:02}/secret-{n}.yaml", n % 3, n % 50), content);
    }
    case
}

#[test]
fn page_works_in_a_browser_and_lets_nothing_in() {
    let Some(program) = tool("chromium") else { return };
    let run = explain(repository(), &["-o", "html"]);
    let page = text(&run, 1);
    let world = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| world.path().join(name);
    fs::write(at("page.html"), &page).expect("write the page");
    fs::write(at("driver.html"), DRIVER).expect("write the driver");
    let dom = chromium(&program, world.path(), &["--virtual-time-budget=60000", "--dump-dom"], &at("driver.html"));
    let dom = String::from_utf8(dom).expect("UTF-8");
    let result =
        dom.split_once("<pre id=\"result\">").and_then(|(_, rest)| rest.split_once("</pre>")).expect("a result").0;
    let seen: Value = serde_json::from_str(&result.replace("&lt;", "<").replace("&amp;", "&")).expect("JSON");
    let want = [
        ("rows", Value::from(2006)),
        ("shown", "2006 of 2006 files".into()),
        // One script, ours; none of the names became an element or a handler.
        ("elements", vec![0, 1, 0, 0, 0, 0, 0, 0].into()),
        ("scripts", "".into()),
        ("mallory", 1.into()),
        ("findings", 4.into()),
        ("first", 1900.into()),
        ("pressed", "true".into()),
        ("second_set", 100.into()),
        ("reset", 2006.into()),
        ("slash", "search".into()),
        ("arrow", true.into()),
        ("link", true.into()),
        ("alerts", 0.into()),
        ("overflow", false.into()),
        ("narrow_overflow", false.into()),
    ];
    for (name, value) in want {
        assert_eq!(seen[name], value, "{name} of {seen}");
    }
    assert!(seen["error"].is_null(), "{seen}");
    assert!(seen["violations"].as_u64() >= Some(2), "the policy let something through: {seen}");

    // On paper every file is there, though nobody scrolls.
    chromium(&program, world.path(), &["--print-to-pdf=page.pdf", "--no-pdf-header-footer"], &at("page.html"));
    let pdf = fs::read(at("page.pdf")).expect("a PDF");
    let pages = pdf.windows(12).filter(|window| window.starts_with(b"/Type /Page\n")).count();
    assert!(pdf.starts_with(b"%PDF") && pages > 20, "{pages} pages");
}
