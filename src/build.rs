//! Links the unwinder of GCC into the executable, where its static library is there: a panic ends the process without
//! unwinding, and to load `libgcc_s.so.1` for nothing takes a tenth of the time of a small run.
//!
//! Only for native release builds with glibc. Elsewhere, and where GCC has no such library, nothing changes.
#![expect(clippy::disallowed_methods, reason = "a build script is told by variables, and asks the linker's driver")]

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    let is_native = env::var_os("HOST").is_some_and(|host| env::var_os("TARGET") == Some(host));
    let is_glibc = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if is("PROFILE", "release")
        && is_native
        && is_glibc
        && let Some(folder) = folder_of("libgcc_eh.a")
    {
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// The folder in which the driver that rustc links with has a library.
fn folder_of(library: &str) -> Option<PathBuf> {
    let answer = Command::new("cc").arg(format!("-print-file-name={library}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end());
    // It answers with the bare name where there is none.
    (path.is_absolute() && path.is_file()).then(|| path.parent().map(PathBuf::from))?
}
