//! The operator's policy in the commands: which one is in force, what it refuses.
//!
//! Whatever decrypts through [`super::decrypt::Decryptor`] keeps to the policy's keys and directories. What else decrypts
//! takes [`in_force`] and opens with `authority.guard(&keyring)`; whoever prints decrypted objects asks [`check_kinds`]
//! or [`check_kind`] first.

mod answer;

use crate::environment::Environment;
use crate::error::{Failure, Record};
use crate::generator::Piece;
use crate::limits;
use crate::policy::custody::CustodyError;
use crate::policy::{Authority, Denial, Unsettled};
use crate::text::Printable;

pub use self::answer::check;

/// What this run may do: everything where there is no policy.
///
/// # Errors
/// There is a policy, and it cannot be relied on, is malformed, or has no rule for this application.
pub fn in_force(env: &Environment) -> Result<Authority, Record> {
    Authority::in_force(env).map_err(|unsettled| match unsettled {
        Unsettled::Custody(source, error) => of_custody(source, &error),
        Unsettled::Malformed(source, errors) => {
            let mut record = Record::new(Failure::Usage, "not a valid policy, so nothing is decrypted").about(source);
            record.details = errors.iter().map(ToString::to_string).collect();
            record.hint("the operator of this sidecar can mend it; unsops check --policy FILE says more")
        }
        Unsettled::NoRule(denial) => record(Failure::Key, &denial),
    })
}

/// A policy file that cannot be relied on.
pub fn of_custody(source: Printable, error: &CustodyError) -> Record {
    let record = Record::new(Failure::Usage, format!("this policy cannot be relied on: {error}")).about(source);
    match error {
        CustodyError::Writable | CustodyError::WritableDirectory(_) => record.hint(
            "mount the policy read-only (a ConfigMap), and run as another user than root and than the owner of the file",
        ),
        CustodyError::NotAbsolute | CustodyError::Missing => {
            record.hint("UNSOPS_POLICY names the policy file; where no policy is wanted, leave it unset")
        }
        _ => record.hint("the policy must be a regular file that the user of this process may read and not change"),
    }
}

/// A refusal as a record.
pub fn record(class: Failure, denial: &Denial) -> Record {
    Record::new(class, denial.reason.to_string()).hint(denial.hint.to_string())
}

/// Checks that every object of a kind may come out.
///
/// # Errors
/// One record for each object that may not, up to [`limits::ERRORS`].
pub fn check_kinds<'a>(
    authority: &Authority,
    pieces: impl IntoIterator<Item = &'a Piece<'a>>,
) -> Result<(), Vec<Record>> {
    let resources = pieces.into_iter().flat_map(|piece| &piece.resources);
    let refused = resources.filter_map(|resource| {
        let refused = check_kind(authority, &resource.id().api_version, &resource.id().kind).err()?;
        Some(refused.about(Printable::new(resource.origin())))
    });
    let refused: Vec<Record> = refused.take(limits::ERRORS).collect();
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

/// Checks that a decrypted object of a kind may come out.
///
/// # Errors
/// A record that names the rule and who can change it, and says nothing of the object.
pub fn check_kind(authority: &Authority, api_version: &str, kind: &str) -> Result<(), Record> {
    authority.check_kind(api_version, kind).map_err(|denial| record(Failure::Generator, &denial))
}
