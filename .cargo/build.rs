//! Puts the list of crates into the binary, in the section and form that `cargo audit bin`, trivy, syft and grype read, and
//! leaves out of releases what only a program that unwinds needs. In static ones, functions stand in the order of their use.
//!
//! So every build has it, whoever makes it and however: `cargo auditable`, whose format this is (revision 1: procedural
//! macros and what they need are of kind `build`), would have to be installed first. No crate is needed: `cargo tree` knows
//! what is built, the compression is "stored", and the object file is one section. Where something is missing (another
//! kind of object file, another processor, no `cargo tree`), the binary is built without the list.
//!
//! Source: rust-secure-code/cargo-auditable, `PARSING.md` and `object_file.rs`.

#![expect(clippy::disallowed_methods, reason = "cargo passes everything in the environment; the list goes to OUT_DIR")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::{env, fs};

/// The symbol by which the section is kept, and by which a second list would be noticed.
const SYMBOL: &str = "AUDITABLE_VERSION_INFO";

/// Our other packages begin so (`src/sops/gcm`, `src/text/scan`).
const OURS: &str = "unsops-";

fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rerun-if-changed=Cargo.toml");
    add_linker_scripts();
    put_in_crates();
}

/// A release ends at a panic (`panic = "abort"`), but the compiler writes tables for unwinding wherever a function of the
/// standard library comes in, which does unwind elsewhere: 1.1 MB. GNU ld and LLD read the script; mold does not.
fn add_linker_scripts() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|own| own == value);
    let uses_mold = env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("mold"));
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let script = |name: &str, options: &str| {
        println!("cargo:rerun-if-changed=.cargo/{name}");
        println!("cargo:rustc-link-arg-bins=-Wl,{options}-T,{folder}/.cargo/{name}");
    };
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !uses_mold {
        script("no-unwinding.ld", "--no-eh-frame-hdr,");
        // What a short run calls, side by side (tests/order): a process pays for each 64 KiB of its file that it touches.
        // A static one pays for little else.
        if is("CARGO_CFG_TARGET_ENV", "musl") {
            script("order.ld", "");
        }
    }
}

fn put_in_crates() {
    println!("cargo:rerun-if-env-changed=CARGO_AUDITABLE_ORIG_ARGS");
    if env::var_os("CARGO_AUDITABLE_ORIG_ARGS").is_some() {
        return; // `cargo auditable` does it
    }
    let object = machine().and_then(|machine| Some(object_file(machine, &zlib(list()?.as_bytes()))));
    let Some((object, folder)) = object.zip(env::var("OUT_DIR").ok()) else { return };
    let path = format!("{folder}/crates.o");
    if fs::write(&path, object).is_ok() {
        println!("cargo:rustc-link-arg-bins={path}");
        println!("cargo:rustc-link-arg-bins=-Wl,-u,{SYMBOL}");
    }
}

/// The processor's number in ELF, where we know that the header needs no more than that.
fn machine() -> Option<u16> {
    let is_elf = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    match env::var("CARGO_CFG_TARGET_ARCH").ok()?.as_str() {
        "x86_64" if is_elf => Some(62),
        "aarch64" if is_elf => Some(183),
        _ => None,
    }
}

/// A crate as `cargo tree` names it: `name v1.2.3`.
type Crate = String;

/// What is built, as JSON.
fn list() -> Option<String> {
    let tree = tree("normal,build")?;
    let runtime: BTreeSet<Crate> = tree_names(&self::tree("normal,no-proc-macro")?);
    let mut above: Vec<Crate> = Vec::new();
    let mut needs: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
    for line in tree.lines() {
        let (depth, name) = depth_and_name(line)?;
        above.truncate(depth);
        if let Some(parent) = above.last() {
            needs.entry(parent.clone()).or_default().insert(name.clone());
        }
        needs.entry(name.clone()).or_default();
        above.push(name);
    }
    let numbers: BTreeMap<&Crate, usize> = needs.keys().zip(0..).collect();
    let root = format!("{} v{}", env::var("CARGO_PKG_NAME").ok()?, env::var("CARGO_PKG_VERSION").ok()?);
    let registry = registry(&fs::read_to_string("Cargo.lock").ok()?)?;
    let mut packages = Vec::new();
    for (package, dependencies) in &needs {
        let (name, version) = package.split_once(" v")?;
        let is_root = *package == root;
        let source = if is_root || name.starts_with(OURS) { "local" } else { registry.as_str() };
        let mut fields = format!(r#""name":"{name}","version":"{version}","source":"{source}""#);
        if !runtime.contains(package) {
            fields.push_str(r#","kind":"build""#);
        }
        if !dependencies.is_empty() {
            let numbers: Vec<String> = dependencies.iter().map(|package| numbers[package].to_string()).collect();
            fields.push_str(&format!(r#","dependencies":[{}]"#, numbers.join(",")));
        }
        if is_root {
            fields.push_str(r#","root":true"#);
        }
        packages.push(format!("{{{fields}}}"));
    }
    Some(format!(r#"{{"packages":[{}],"format":1}}"#, packages.join(",")))
}

/// The registry's name, from the address of its index in the lock file. `.cargo/deny.toml` allows no second one.
fn registry(lock: &str) -> Option<String> {
    let source = lock.lines().find_map(|line| line.strip_prefix("source = \"registry+"))?;
    source.trim_end_matches('"').rsplit('/').next()?.strip_suffix("-index").map(str::to_owned)
}

/// What `cargo tree` prints for this build: one crate a line, its depth before its name.
fn tree(edges: &str) -> Option<String> {
    let features: Vec<String> = env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-")))
        .collect();
    let output = Command::new(env::var_os("CARGO")?)
        .args(["tree", "--locked", "--offline", "--prefix", "depth", "--format", "{p}", "--edges", edges])
        .args(["--target", &env::var("TARGET").ok()?, "--no-default-features", "--features", &features.join(",")])
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout).and_then(|text| String::from_utf8(text).ok())
}

fn tree_names(tree: &str) -> BTreeSet<Crate> {
    tree.lines().filter_map(depth_and_name).map(|(_, name)| name).collect()
}

/// Reads `7syn v2.0.119`, with a place, `(proc-macro)` or `(*)` after it.
fn depth_and_name(line: &str) -> Option<(usize, Crate)> {
    let name = line.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let depth = line.strip_suffix(name)?.parse().ok()?;
    let mut words = name.split(' ');
    Some((depth, format!("{} {}", words.next()?, words.next()?)))
}

/// A zlib stream of blocks that are stored as they are (RFC 1950, RFC 1951 3.2.4).
fn zlib(content: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = content.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let size = u16::try_from(block.len()).expect("a chunk of at most 0xffff bytes");
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(size.to_le_bytes());
        stream.extend((!size).to_le_bytes());
        stream.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in content {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

/// Name, type, content, `sh_link`, `sh_info`, `sh_entsize`.
type Section<'a> = (&'a str, u32, &'a [u8], u32, u32, u64);

/// A relocatable ELF file, 64 bits, little endian, whose section `.dep-v0` is not loaded into memory.
fn object_file(machine: u16, content: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    const PROGBITS: u32 = 1;
    const SYMTAB: u32 = 2;
    const STRTAB: u32 = 3;
    let names = format!("\0{SYMBOL}\0.dep-v0\0.symtab\0.strtab\0.note.GNU-stack\0");
    let name = |wanted: &str| names.find(wanted).and_then(|at| u32::try_from(at).ok()).unwrap_or_default();

    // A null symbol, then ours: global, of data, in section 1, at its beginning.
    let mut symbols = vec![0; 24];
    symbols.extend(name(SYMBOL).to_le_bytes());
    symbols.extend([0x11, 0, 1, 0]);
    symbols.extend(0_u64.to_le_bytes());
    symbols.extend((content.len() as u64).to_le_bytes());

    // Without the last, empty one, a linker would think that we want the stack to be executable.
    let sections: [Section<'_>; 4] = [
        (".dep-v0", PROGBITS, content, 0, 0, 0),
        (".symtab", SYMTAB, &symbols, 3, 1, 24),
        (".strtab", STRTAB, names.as_bytes(), 0, 0, 0),
        (".note.GNU-stack", PROGBITS, &[], 0, 0, 0),
    ];
    let mut body = Vec::new();
    let mut headers = vec![0; HEADER]; // section 0 is null
    for (title, kind, bytes, link, info, entry) in sections {
        body.resize(body.len().next_multiple_of(8), 0);
        headers.extend(name(title).to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for field in [0, 0, (HEADER + body.len()) as u64, bytes.len() as u64] {
            headers.extend(field.to_le_bytes());
        }
        headers.extend(link.to_le_bytes());
        headers.extend(info.to_le_bytes());
        for field in [if kind == SYMTAB { 8_u64 } else { 1 }, entry] {
            headers.extend(field.to_le_bytes());
        }
        body.extend(bytes);
    }
    body.resize(body.len().next_multiple_of(8), 0);

    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(1_u16.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for field in [0, 0, (HEADER + body.len()) as u64] {
        file.extend(field.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for field in [64, 0, 0, 64, 5, 3_u16] {
        file.extend(field.to_le_bytes());
    }
    file.extend(body);
    file.extend(headers);
    file
}
