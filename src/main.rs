//! The executable: harden, parse, run, write once, report.

use std::ffi::OsString;
use std::process::ExitCode;

use mimalloc::MiMalloc;
use unsops::cli::{self, Invocation};
use unsops::commands::{self, build, generate};
use unsops::deadline::Deadline;
use unsops::error::Error;
use unsops::process::{self, Output};
use unsops::secret::{self, Secret};
use zeroizing_alloc::ZeroAlloc;

/// Wipes every freed block, so that copies made by libraries and by growing buffers do not linger.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    process::harden();
    let code = match run() {
        Ok(code) => code,
        Err(error) => {
            process::write_stderr(&error.report());
            error.failure().code()
        }
    };
    ExitCode::from(code)
}

fn run() -> Result<u8, Error> {
    let env = process::environment();
    let deadline = Deadline::start(&env);
    let args: Vec<OsString> = process::arguments();
    if let Some(code) = build::stand_in(process::program_name().as_deref(), &args, &env, deadline)? {
        return Ok(code);
    }
    let output = match cli::parse(&args, &env, process::stdin_is_terminal())? {
        Invocation::Print(text) => Output::new(Secret::new(text.into_bytes())),
        Invocation::Command(command) => commands::run(command, &env, deadline)?,
        Invocation::Relayed { config, socket } => build::relay(&config, &socket, env.current_dir(), deadline)?,
        invocation => generate::generate(invocation, &env, deadline)?,
    };
    secret::wipe_stack();
    process::emit(output, deadline)
}
