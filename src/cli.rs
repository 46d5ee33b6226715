//! From argv to an [`Invocation`]: who called us, and how (`protocols.md` 5.2 in the design notes; upstream:
//! kustomize `api/internal/plugins/execplugin`, `kyaml/fn/runtime/exec`).

mod build;
mod check;
mod cmp;
mod color;
mod completions;
mod diff;
mod doctor;
mod explain;
mod filter;
mod install;
mod key_args;
mod policy;
mod render;
mod verbosity;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::environment::Environment;
use crate::error::{Failure, Record};

pub use self::build::BuildArgs;
pub use self::check::{CheckArgs, CheckOutput, CheckSeverity};
pub use self::cmp::{CmpArgs, CmpCommand};
pub use self::color::ColorArgs;
pub use self::completions::{CompletionsArgs, ManArgs};
pub use self::diff::{DiffArgs, DiffForm};
pub use self::doctor::{DoctorArgs, DoctorOutput};
pub use self::explain::{ExplainArgs, ExplainOutput};
pub use self::filter::FilterArgs;
pub use self::install::InstallArgs;
pub use self::key_args::KeyArgs;
pub use self::policy::PolicyArgs;
pub use self::render::RenderArgs;
pub use self::verbosity::{VerboseArgs, VerbosityArgs};

/// How the process was called.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// A sub-command.
    Command(Command),
    /// kustomize's legacy exec plugin: the config is in this file; resources to transform, if any, come on stdin.
    Legacy(PathBuf),
    /// The same, where kustomize's temporary file is gone: the config is in `KUSTOMIZE_PLUGIN_CONFIG_STRING`.
    LegacyVariable,
    /// The same within `unsops build`, which answers through this socket.
    Relayed {
        /// The config file.
        config: PathBuf,
        /// The socket of the build.
        socket: PathBuf,
    },
    /// A person or script names a generator manifest. Standard input is not read: an inherited pipe may never end.
    Manifest(PathBuf),
    /// Help or version: text to print.
    Print(String),
    /// A KRM function (ResourceList), or a generator manifest, on standard input.
    Stdin,
}

/// Decrypts SOPS files and prints Kubernetes manifests: a kustomize plugin (KRM exec function and legacy exec plugin),
/// drop-in for KSOPS and SopsSecretGenerator.
///
/// Without FILE, standard input is read: a ResourceList (kustomize, kpt) or a generator manifest.
#[derive(Parser)]
#[command(
    name = "unsops",
    version,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    after_help = AFTER_HELP
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Generator manifest: `viaduct.ai/*` (KSOPS) or `goabout.com/v1beta1` (SopsSecretGenerator)
    file: Option<PathBuf>,
}

/// The sub-commands; each has its arguments in a file of its own beside this one, and its work in `commands`.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Build(Box<BuildArgs>),
    Cmp(CmpArgs),
    Check(CheckArgs),
    Completions(CompletionsArgs),
    Doctor(DoctorArgs),
    Explain(ExplainArgs),
    Install(InstallArgs),
    Filter(FilterArgs),
    Diff(DiffArgs),
    Man(ManArgs),
    Render(RenderArgs),
}

/// All arguments and sub-commands, for completions and manual pages.
pub fn definition() -> clap::Command {
    Arguments::command()
}

/// Set by `unsops build` for the kustomize that it starts: the real git, where kustomize may fetch.
pub const BUILD_GIT: &str = "UNSOPS_BUILD_GIT";

/// Set by `unsops build` for the kustomize that it starts: the socket by which plugin calls reach it.
pub const BUILD_SOCKET: &str = "UNSOPS_BUILD_SOCKET";

const AFTER_HELP: &str = "\
Keys: UNSOPS_KEYS=DIR, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, ~/.config/sops/age/keys.txt
Files are read beneath the enclosing Git work tree; UNSOPS_ROOT=DIR sets another root.

Exit codes: 0 complete output, 1 internal, 2 usage, 3 generator manifest, 4 file, 5 not SOPS or malformed,
6 no key, 7 integrity, 8 key service unavailable, 9 standard output";

/// Tells how the process was called. `args` are those after the program's name, which says nothing: the binary
/// may be installed under any name.
///
/// # Errors
/// A usage [`Record`].
pub fn parse(args: &[OsString], env: &Environment, stdin_is_terminal: bool) -> Result<Invocation, Record> {
    if let Some(config) = args.first().filter(|config| is_plugin_call(config, env)) {
        if args.len() > 1 {
            return Err(Record::new(Failure::Usage, "a plugin call takes no arguments")
                .hint("remove `argsOneLiner` and `argsFromFile` from the generator manifest"));
        }
        if let Some(socket) = env.var_os(BUILD_SOCKET) {
            return Ok(Invocation::Relayed { config: config.into(), socket: socket.into() });
        }
        return Ok(match Path::new(config).is_file() {
            true => Invocation::Legacy(config.into()),
            false => Invocation::LegacyVariable,
        });
    }
    if let [file] = args
        && is_surely_a_file(file)
    {
        return Ok(Invocation::Manifest(file.into()));
    }
    let [] = args else { return parse_words(args) };
    if stdin_is_terminal {
        return Err(Record::new(Failure::Usage, "no generator manifest: standard input is a terminal")
            .hint("unsops FILE, or unsops < generator.yaml; `unsops --help` says more"));
    }
    Ok(Invocation::Stdin)
}

/// Whether an argument can be no option and no sub-command: setting up clap for all of them takes longer than the key.
fn is_surely_a_file(argument: &OsStr) -> bool {
    let bytes = argument.as_encoded_bytes();
    !bytes.starts_with(b"-") && (bytes.contains(&b'.') || bytes.contains(&b'/'))
}

fn parse_words(args: &[OsString]) -> Result<Invocation, Record> {
    match Arguments::try_parse_from(std::iter::once(OsStr::new("unsops")).chain(args.iter().map(OsString::as_os_str))) {
        Ok(Arguments { command: Some(command), .. }) => Ok(Invocation::Command(command)),
        Ok(Arguments { file: Some(file), .. }) => Ok(Invocation::Manifest(file)),
        // `--`
        Ok(Arguments { file: None, .. }) => Ok(Invocation::Stdin),
        Err(asked) if matches!(asked.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Invocation::Print(asked.to_string()))
        }
        Err(error) => Err(usage(&error, args)),
    }
}

/// Whether kustomize calls us as a legacy plugin: its variable is set, or the file bears its temporary name. A
/// sub-command never shadows such a call, whatever the generator is called.
fn is_plugin_call(config: &OsStr, env: &Environment) -> bool {
    let is_temporary =
        Path::new(config).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"kust-plugin-config-"));
    let has_config = Path::new(config).is_file() || env.var_os("KUSTOMIZE_PLUGIN_CONFIG_STRING").is_some();
    has_config && (is_temporary || env.var_os("KUSTOMIZE_PLUGIN_CONFIG_ROOT").is_some())
}

/// clap's error in our shape: its kind, and the argument made printable.
fn usage(error: &clap::Error, args: &[OsString]) -> Record {
    let message = match error.kind() {
        ErrorKind::MissingRequiredArgument => "a required argument is missing",
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => "an argument has a value that is not possible",
        ErrorKind::ArgumentConflict => "these arguments exclude each other",
        ErrorKind::UnknownArgument if args.len() > 1 => "too many arguments, or one that is not known",
        ErrorKind::UnknownArgument => "this argument is not known",
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8",
        _ => "the arguments are not understood",
    };
    Record::new(Failure::Usage, message)
        .hint("a KRM function takes no words in `exec.args`; `unsops --help` shows the ways of calling")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: &[&str], vars: &[(&str, &str)]) -> Result<Invocation, Record> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let env = Environment::new(vars.iter().map(|(k, v)| ((*k).into(), (*v).into())), None);
        parse(&args, &env, false)
    }

    #[test]
    fn plugin_call_takes_the_file_kustomize_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("kust-plugin-config-123");
        std::fs::File::create_new(&config).unwrap();
        let path = config.to_str().unwrap();
        assert_eq!(call(&[path], &[]).unwrap(), Invocation::Legacy(config.clone()));
        assert_eq!(
            call(&[path], &[("KUSTOMIZE_PLUGIN_CONFIG_ROOT", "/x")]).unwrap(),
            Invocation::Legacy(config.clone())
        );
        assert_eq!(call(&[path, "--help"], &[]).unwrap_err().failure, Failure::Usage);
    }

    #[test]
    fn plugin_call_without_its_file_takes_the_variable() {
        let vars = [("KUSTOMIZE_PLUGIN_CONFIG_ROOT", "/x"), ("KUSTOMIZE_PLUGIN_CONFIG_STRING", "kind: ksops")];
        assert_eq!(call(&["/tmp/gone"], &vars).unwrap(), Invocation::LegacyVariable);
    }

    #[test]
    fn named_file_is_a_manifest() {
        for name in ["gen.yaml", "./check", "gen"] {
            assert_eq!(call(&[name], &[]).unwrap(), Invocation::Manifest(name.into()));
        }
    }

    #[test]
    fn nothing_on_a_terminal_is_usage() {
        let env = Environment::new([], None);
        assert_eq!(parse(&[], &env, true).unwrap_err().failure, Failure::Usage);
        assert_eq!(parse(&[], &env, false).unwrap(), Invocation::Stdin);
    }

    #[test]
    fn help_and_version_are_text() {
        assert!(matches!(call(&["--help"], &[]).unwrap(), Invocation::Print(text) if text.contains("Exit codes")));
        assert!(matches!(call(&["-V"], &[]).unwrap(), Invocation::Print(text) if text.starts_with("unsops ")));
        assert_eq!(call(&["--no-such"], &[]).unwrap_err().failure, Failure::Usage);
        assert_eq!(call(&["--no.such"], &[]).unwrap_err().failure, Failure::Usage);
    }

    #[test]
    fn no_sub_command_is_taken_for_a_file() {
        for command in definition().get_subcommands() {
            assert!(!is_surely_a_file(OsStr::new(command.get_name())), "{}", command.get_name());
        }
    }
}
