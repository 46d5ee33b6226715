//! Hostile files through the whole program, with little address space and a small stack.

use std::time::{Duration, Instant};

use super::{after, figure};
use crate::harness::{CANARY, Case, encrypted};

const GENERATOR: &str = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: gen\n";

/// KiB of stack; frames of unoptimised code are several times larger.
const STACK: u32 = if cfg!(debug_assertions) { 1024 } else { 256 };

/// Name, content, and the codes that may come of it as an encrypted file.
fn hostile_files() -> Vec<(&'static str, Vec<u8>)> {
    let repeated = |text: &str, times: usize| text.repeat(times).into_bytes();
    let stanza = |regex: &str| {
        format!("a: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\nsops:\n  encrypted_regex: {regex}\n  mac: x\n")
            .into_bytes()
    };
    let bomb: String = std::iter::once("a0: &a0 x\n".to_owned())
        .chain((1..26).map(|n| {
            let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
            format!("a{n}: &a{n} [{aliases}]\n")
        }))
        .collect();
    let anchors: String = (0..100_000).map(|n| format!("- &a{n} x\n")).collect();
    vec![
        ("flow.yaml", repeated("[", 100_000)),
        ("maps.yaml", repeated("{a: ", 100_000)),
        ("blocks.yaml", (0..3000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>().into_bytes()),
        ("dashes.yaml", repeated("- ", 100_000)),
        ("questions.yaml", repeated("? ", 100_000)),
        ("arrays.json", repeated("[", 100_000)),
        ("objects.json", repeated("{\"a\":", 100_000)),
        ("bomb.yaml", bomb.into_bytes()),
        ("anchors.yaml", anchors.into_bytes()),
        ("self.yaml", b"a: &a [*a]\nsops: {}\n".to_vec()),
        ("scalar.yaml", [b"a: ".as_slice(), &repeated("x", 8 << 20)].concat()),
        ("comments.yaml", repeated("# x\n", 1 << 20)),
        ("tabs.yaml", repeated("\t", 1 << 20)),
        ("quotes.yaml", repeated("\"", 1 << 20)),
        ("colons.yaml", repeated(": ", 1 << 19)),
        ("documents.yaml", repeated("---\n", 1 << 18)),
        ("zeros.yaml", vec![0; 1 << 20]),
        ("zeros.json", vec![0; 1 << 20]),
        ("zeros.bin", vec![0; 1 << 20]),
        ("lines.env", repeated("a=1\n", 1 << 19)),
        (
            "stanza.env",
            (0..100_000).map(|n| format!("sops_age__list_{n}__map_enc=x\n")).collect::<String>().into_bytes(),
        ),
        ("sections.ini", (0..100_000).map(|n| format!("[s{n}]\na=1\n")).collect::<String>().into_bytes()),
        ("brackets.ini", repeated("[", 1 << 20)),
        ("regex.yaml", stanza("'(a+)+$'")),
        ("counted.yaml", stanza("'((a{1,100}){1,100}){1,100}'")),
        ("long.yaml", stanza(&format!("'{}'", "(a|b)".repeat(1000)))),
        ("nested.yaml", stanza(&format!("'{}'", "(".repeat(4000)))),
        ("large.yaml", vec![b'#'; (32 << 20) + 1]),
    ]
}

#[test]
fn hostile_files_end_soon_within_256_mib_and_a_small_stack() {
    let mut slowest = (Duration::ZERO, "");
    let files = hostile_files();
    for (name, content) in &files {
        for manifest in
            [format!("files: [./{name}]\n"), format!("secretFrom:\n- metadata: {{name: s}}\n  files: [./{name}]\n")]
        {
            let case =
                Case::new().key("age.txt").file("gen.yaml", format!("{GENERATOR}{manifest}")).file(name, content);
            let start = Instant::now();
            let run = after(&format!("ulimit -v 262144; ulimit -s {STACK}"), &case, &["gen.yaml"]);
            if start.elapsed() > slowest.0 {
                slowest = (start.elapsed(), name);
            }
            assert!(matches!(run.status, Some(4..=7)) && run.stdout.is_empty(), "{name}: {}", run.redacted());
            assert!(run.stderr.len() < 10_000, "{name}: {} bytes of message", run.stderr.len());
        }
    }
    let (time, name) = slowest;
    figure(&format!(
        "{} files in 256 MiB; slowest {name}, {:.2} s (unoptimised build)",
        files.len(),
        time.as_secs_f64()
    ));
    assert!(time < Duration::from_secs(30), "{name} took {time:?}");
}

#[test]
fn files_as_deep_as_allowed_open_on_every_thread() {
    let depth = 250;
    let plain = format!("{}{CANARY}{}\n", "{a: ".repeat(depth), "}".repeat(depth));
    let Some(file) = encrypted(&plain, "deep.yaml", &[]) else { return };
    let names: Vec<String> = (0..8).map(|number| format!("deep{number}.yaml")).collect();
    let manifest = format!("{GENERATOR}secretFrom:\n- metadata: {{name: s}}\n  files: [{}]\n", names.join(", "));
    let case = Case::new().key("age.txt").file("gen.yaml", manifest);
    let case = names.iter().fold(case, |case, name| case.file(name, &file));
    assert_eq!(case.arg("gen.yaml").run().text().matches(CANARY).count(), names.len());
    figure(&format!("{} files of {depth} levels at once", names.len()));
}

#[test]
fn hostile_standard_input_ends_soon() {
    let mut slowest = (Duration::ZERO, "");
    for (name, content) in hostile_files() {
        let list = format!(
            "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\nfunctionConfig:\n  {GENERATOR}"
        );
        for stdin in [content.clone(), [list.as_bytes(), &content].concat()] {
            let case = Case::new().key("age.txt").stdin(stdin);
            let start = Instant::now();
            let run = after(&format!("ulimit -v 524288; ulimit -s {STACK}"), &case, &[]);
            if start.elapsed() > slowest.0 {
                slowest = (start.elapsed(), name);
            }
            assert!(matches!(run.status, Some(2..=7)) && run.stdout.is_empty(), "{name}: {}", run.redacted());
        }
    }
    let (time, name) = slowest;
    figure(&format!("slowest {name}, {:.2} s (unoptimised build)", time.as_secs_f64()));
    assert!(time < Duration::from_secs(30), "{name} took {time:?}");
}
