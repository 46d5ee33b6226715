//! The filter as the kernel takes it: classic BPF over the number of the system call and its arguments.
//!
//! Numbers are looked up in a tree: the kernel runs the filter once for every number when it is installed, and where it
//! cannot remember the answer, at each call.
//!
//! Source: Linux `Documentation/userspace-api/seccomp_filter.rst`, `include/uapi/linux/{seccomp,filter,audit}.h`.

use seccompiler::sock_filter;

/// What becomes of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is made.
    Allow,
    /// It is made if its arguments are right, else it fails with `EPERM`.
    Check(&'static Check),
    /// The process ends with SIGSYS.
    Kill,
    /// It fails with `EPERM`.
    Refuse,
    /// It fails with `ENOSYS`, as if the kernel did not have it.
    Unknown,
}

/// What the lower half of an argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It has one of the bits at least.
    AnyOf { argument: u8, bits: u32 },
    /// It has none of the bits.
    NoneOf { argument: u8, bits: u32 },
    /// Both halves are zero.
    Null { argument: u8 },
    /// It is one of the values.
    OneOf { argument: u8, values: &'static [u32] },
}

/// Verdicts by number.
pub(super) struct Program {
    processor: u32,
    verdicts: Vec<Verdict>,
}

/// Numbers that may have a verdict of their own; those of today end below 500.
const NUMBERS: usize = 512;

// Operations of BPF: load a word of the call's description, jump if greater or equal, if equal, if bits are set, always;
// return.
const LOAD: u16 = 0x20;
const IF_GREATER_OR_EQUAL: u16 = 0x35;
const IF_EQUAL: u16 = 0x15;
const IF_SET: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const PROCESSOR: u32 = 4;
const ARGUMENTS: u32 = 16;

impl Program {
    /// A filter that knows no call at all; `None` for a processor whose numbers are not listed in `calls`.
    pub(super) fn for_this_processor() -> Option<Self> {
        // AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64
        let processor = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            0xc000_003e
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            0xc000_00b7
        } else {
            return None;
        };
        Some(Self { processor, verdicts: vec![Verdict::Unknown; NUMBERS] })
    }

    /// Gives calls a verdict in the place of the one that they had.
    pub(super) fn set(&mut self, calls: &[libc::c_long], verdict: Verdict) {
        for call in calls {
            if let Some(own) = usize::try_from(*call).ok().and_then(|call| self.verdicts.get_mut(call)) {
                *own = verdict;
            }
        }
    }

    /// The instructions.
    pub(super) fn assemble(&self) -> Vec<sock_filter> {
        let mut code = vec![
            step(LOAD, PROCESSOR),
            jump(IF_EQUAL, self.processor, 1, 0),
            // A call by another table of numbers (32 bit).
            leave(Verdict::Kill),
            step(LOAD, NUMBER),
        ];
        let mut ranges: Vec<(u32, Verdict)> = Vec::new();
        let numbered = (0..).zip(self.verdicts.iter().copied());
        // All further numbers, those of the x32 table (bit 30) among them.
        let last = (u32::try_from(NUMBERS).unwrap_or(u32::MAX), Verdict::Unknown);
        for (number, verdict) in numbered.chain([last]) {
            if ranges.last().is_none_or(|(_, before)| *before != verdict) {
                ranges.push((number, verdict));
            }
        }
        tree(&ranges, &mut code);
        code
    }
}

/// Looks a number up in ranges, each known by its beginning.
fn tree(ranges: &[(u32, Verdict)], code: &mut Vec<sock_filter>) {
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let Some((pivot, verdict)) = high.first() else { return };
    if low.is_empty() {
        return leaf(*verdict, code);
    }
    let mut below = Vec::new();
    tree(low, &mut below);
    match u8::try_from(below.len()) {
        Ok(over) => code.push(jump(IF_GREATER_OR_EQUAL, *pivot, over, 0)),
        Err(_) => {
            // Further than a condition can jump.
            code.push(jump(IF_GREATER_OR_EQUAL, *pivot, 0, 1));
            code.push(step(JUMP, u32::try_from(below.len()).unwrap_or(u32::MAX)));
        }
    }
    code.append(&mut below);
    tree(high, code);
}

fn leaf(verdict: Verdict, code: &mut Vec<sock_filter>) {
    let Verdict::Check(check) = verdict else { return code.push(leave(verdict)) };
    let half = |argument: u8, offset: u32| step(LOAD, ARGUMENTS + 8 * u32::from(argument) + offset);
    let (allow, refuse) = (leave(Verdict::Allow), leave(Verdict::Refuse));
    match *check {
        Check::AnyOf { argument, bits } => code.extend([half(argument, 0), jump(IF_SET, bits, 1, 0), refuse, allow]),
        Check::NoneOf { argument, bits } => code.extend([half(argument, 0), jump(IF_SET, bits, 0, 1), refuse, allow]),
        Check::Null { argument } => code.extend([
            half(argument, 0),
            jump(IF_EQUAL, 0, 0, 2),
            half(argument, 4),
            jump(IF_EQUAL, 0, 1, 0),
            refuse,
            allow,
        ]),
        Check::OneOf { argument, values } => {
            code.push(half(argument, 0));
            // Each jumps over those that follow, and over the refusal.
            let left = (0..=u8::MAX).take(values.len()).collect::<Vec<_>>().into_iter().rev();
            code.extend(values.iter().zip(left).map(|(value, left)| jump(IF_EQUAL, *value, left.saturating_add(1), 0)));
            code.extend([refuse, allow]);
        }
    }
}

fn leave(verdict: Verdict) -> sock_filter {
    const ERRNO: u32 = 0x0005_0000;
    let action = match verdict {
        Verdict::Allow => 0x7fff_0000,
        Verdict::Kill => 0x8000_0000,
        Verdict::Check(_) | Verdict::Refuse => ERRNO | libc::EPERM.cast_unsigned(),
        Verdict::Unknown => ERRNO | libc::ENOSYS.cast_unsigned(),
    };
    step(RETURN, action)
}

fn step(code: u16, operand: u32) -> sock_filter {
    jump(code, operand, 0, 0)
}

fn jump(code: u16, operand: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k: operand }
}
