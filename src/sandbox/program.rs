//! The filter as the kernel takes it: classic BPF over the number of the system call and its arguments.
//!
//! What a filter costs is its length: the kernel checks it, rewrites it twice and makes machine code of it, in each process
//! anew. So a number is not looked up among ranges: its place in a word of 32 bits is shifted out once, and each word of
//! numbers has one mask for each verdict. That is a third of the length. The kernel cannot foresee the answers of a filter
//! that shifts, as it tries to when it takes one; they are worked out at each call, in some 15 instructions.
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
    words: [Word; WORDS],
    /// Numbers whose arguments are looked at.
    checked: Vec<(usize, &'static Check)>,
}

/// The verdicts of numbers that share a word, one bit for each; those that are in no mask are unknown.
#[derive(Clone, Copy)]
pub(super) struct Word {
    allow: u32,
    check: u32,
    kill: u32,
    refuse: u32,
}

/// Numbers that may have a verdict of their own; those of today end below 500.
const NUMBERS: usize = WORDS * WORD;

/// Numbers that share a word, and how many words there are.
const WORD: usize = 32;
pub(super) const WORDS: usize = 16;

/// Verdicts that no profile changes; all other calls are unknown. Made by the compiler, since every run would make the same.
#[expect(clippy::indexing_slicing, reason = "the compiler does it, and would stop")]
pub(super) const fn words(
    allowed: &[libc::c_long],
    killed: &[libc::c_long],
    refused: &[libc::c_long],
) -> [Word; WORDS] {
    let mut words = [Word { allow: 0, check: 0, kill: 0, refuse: 0 }; WORDS];
    let mut place = 0;
    while place < WORDS {
        words[place].allow = mask(allowed, place);
        words[place].kill = mask(killed, place);
        words[place].refuse = mask(refused, place);
        let Word { allow, kill, refuse, .. } = words[place];
        assert!(allow & kill == 0 && allow & refuse == 0 && kill & refuse == 0, "a call has two verdicts");
        place += 1;
    }
    words
}

/// The bits of those numbers that are in a word.
const fn mask(mut calls: &[libc::c_long], word: usize) -> u32 {
    let mut mask = 0;
    while let Some((call, rest)) = calls.split_first() {
        let number = call.cast_unsigned() as usize;
        if number / WORD == word {
            mask |= 1 << (number % WORD);
        }
        calls = rest;
    }
    mask
}

// Operations of BPF: load a word of the call's description, a constant, or the word that was stored; store; move to the
// other register, shift by it, keep bits; jump if greater or equal, if equal, if bits are set, always;
// return.
const LOAD: u16 = 0x20;
const CONSTANT: u16 = 0x00;
const RECALL: u16 = 0x60;
const STORE: u16 = 0x02;
const TO_INDEX: u16 = 0x07;
const SHIFT_BY_INDEX: u16 = 0x6c;
const KEEP_BITS: u16 = 0x54;
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
    /// A filter with verdicts that [`words`] made; `None` for a processor whose numbers are not listed in `calls`.
    pub(super) fn for_this_processor(words: [Word; WORDS]) -> Option<Self> {
        // AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64
        let processor = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            0xc000_003e
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            0xc000_00b7
        } else {
            return None;
        };
        Some(Self { processor, words, checked: Vec::with_capacity(16) })
    }

    /// Gives calls a verdict in the place of the one that they had.
    pub(super) fn set(&mut self, calls: &[libc::c_long], verdict: Verdict) {
        for call in calls {
            let Ok(number) = usize::try_from(*call) else { continue };
            let Some(word) = self.words.get_mut(number / WORD) else { continue };
            let bit = 1_u32 << (number % WORD);
            let Word { allow, check, kill, refuse } = word;
            if *check & bit != 0 {
                self.checked.retain(|(known, _)| *known != number);
            }
            for mask in [&mut *allow, check, kill, refuse] {
                *mask &= !bit;
            }
            match verdict {
                Verdict::Allow => *allow |= bit,
                Verdict::Check(own) => {
                    *check |= bit;
                    self.checked.push((number, own));
                }
                Verdict::Kill => *kill |= bit,
                Verdict::Refuse => *refuse |= bit,
                Verdict::Unknown => {}
            }
        }
    }

    /// The instructions; `None` if there are more than a condition can jump over.
    pub(super) fn assemble(&self) -> Option<Vec<sock_filter>> {
        let mut code = Backwards::default();
        // All further numbers, those of the x32 table (bit 30) among them, are unknown.
        let begin = code.decide(self, Verdict::Unknown)?;
        // A call by another table of numbers (32 bit).
        let other = code.label(Verdict::Kill)?;
        code.branch(IF_EQUAL, self.processor, begin, other)?;
        code.push(step(LOAD, PROCESSOR));
        Some(code.forwards())
    }

    /// The instructions where `before` is in force already: the kernel takes the stricter of the two answers, so that only
    /// what has another verdict than there needs one here. `None` as of [`Self::assemble`].
    pub(super) fn assemble_beyond(&self, before: &Self) -> Option<Vec<sock_filter>> {
        let mut words = self.words;
        for (own, before) in words.iter_mut().zip(&before.words) {
            let same = own.allow & before.allow | own.kill & before.kill | own.refuse & before.refuse;
            let same = same | own.unknown() & before.unknown();
            *own = Word {
                allow: own.allow | same,
                check: own.check & !same,
                kill: own.kill & !same,
                refuse: own.refuse & !same,
            };
        }
        let mut beyond = Self { words, checked: self.checked.clone(), ..*self };
        let same: Vec<usize> =
            self.checked.iter().filter(|own| before.checked.contains(own)).map(|own| own.0).collect();
        for number in same {
            beyond.set(&[libc::c_long::try_from(number).ok()?], Verdict::Allow);
        }
        let mut code = Backwards::default();
        code.decide(&beyond, Verdict::Allow)?;
        Some(code.forwards())
    }
}

impl Word {
    fn unknown(self) -> u32 {
        !(self.allow | self.check | self.kill | self.refuse)
    }
}

/// Code that is written from its end, so that whatever is jumped to is there already.
#[derive(Default)]
struct Backwards {
    code: Vec<sock_filter>,
    /// Where verdicts are carried out.
    known: Vec<(Verdict, Label)>,
}

/// An instruction, counted from the end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

impl Backwards {
    fn push(&mut self, instruction: sock_filter) -> Label {
        self.code.push(instruction);
        Label(self.code.len().saturating_sub(1))
    }

    fn forwards(mut self) -> Vec<sock_filter> {
        self.code.reverse();
        self.code
    }

    /// How many instructions the next one to be pushed has to jump over to get there.
    fn distance(&self, to: Label) -> Option<u8> {
        let between = self.code.len().checked_sub(to.0)?.checked_sub(1)?;
        u8::try_from(between).ok()
    }

    fn branch(&mut self, code: u16, operand: u32, if_true: Label, if_false: Label) -> Option<Label> {
        let (if_true, if_false) = (self.distance(if_true)?, self.distance(if_false)?);
        Some(self.push(jump(code, operand, if_true, if_false)))
    }

    /// Loads the number and decides by it.
    fn decide(&mut self, program: &Program, beyond: Verdict) -> Option<Label> {
        self.code.reserve(128);
        let beyond = self.label(beyond)?;
        let mut words: Vec<(usize, Label)> = Vec::with_capacity(WORDS);
        // From the last to the first, as everything here.
        for (place, word) in program.words.iter().enumerate().rev() {
            let label = self.word(*word, place, &program.checked)?;
            if words.last().is_some_and(|(_, after)| *after == label) {
                words.pop();
            }
            words.push((place.saturating_mul(WORD), label));
        }
        words.reverse();
        let word = self.tree(&words)?;
        let over = self.distance(word)?;
        if over > 0 {
            self.push(step(JUMP, over.into()));
        }
        for instruction in [
            step(LOAD, NUMBER),
            step(STORE, 0),
            step(SHIFT_BY_INDEX, 0),
            step(CONSTANT, 1),
            step(TO_INDEX, 0),
            step(KEEP_BITS, u32::try_from(WORD).ok()?.checked_sub(1)?),
        ] {
            self.push(instruction);
        }
        let known = Label(self.code.len().saturating_sub(1));
        self.branch(IF_GREATER_OR_EQUAL, u32::try_from(NUMBERS).ok()?, beyond, known)?;
        Some(self.push(step(LOAD, NUMBER)))
    }

    /// Finds the word of the number, which is loaded.
    fn tree(&mut self, words: &[(usize, Label)]) -> Option<Label> {
        if let [(_, only)] = words {
            return Some(*only);
        }
        let (low, high) = words.split_at(words.len() / 2);
        let pivot = u32::try_from(high.first()?.0).ok()?;
        let high = self.tree(high)?;
        let low = self.tree(low)?;
        self.branch(IF_GREATER_OR_EQUAL, pivot, high, low)
    }

    /// Decides among the numbers of a word, by the bit that is stored.
    fn word(&mut self, word: Word, place: usize, checked: &[(usize, &'static Check)]) -> Option<Label> {
        // What is asked for most is looked at first, that is, written last.
        let mut otherwise = None;
        let unknown = word.unknown();
        for (verdict, mask) in [(Verdict::Unknown, unknown), (Verdict::Kill, word.kill), (Verdict::Refuse, word.refuse)]
        {
            otherwise = self.unless(verdict, mask, otherwise)?;
        }
        for (number, check) in checked.iter().filter(|(number, _)| number / WORD == place) {
            let bit = word.check & 1_u32 << (number % WORD);
            otherwise = self.unless(Verdict::Check(check), bit, otherwise)?;
        }
        let whole = self.unless(Verdict::Allow, word.allow, otherwise)??;
        let is_alone = [word.allow, word.kill, word.refuse, unknown].contains(&u32::MAX);
        Some(if is_alone { whole } else { self.push(step(RECALL, 0)) })
    }

    /// Where these bits are sent to a verdict, and all others elsewhere; if there is nowhere else yet, all.
    fn unless(&mut self, verdict: Verdict, mask: u32, otherwise: Option<Label>) -> Option<Option<Label>> {
        if mask == 0 {
            return Some(otherwise);
        }
        let so = self.label(verdict)?;
        Some(Some(match otherwise {
            None => so,
            Some(otherwise) => self.branch(IF_SET, mask, so, otherwise)?,
        }))
    }

    /// Where a verdict is carried out.
    fn label(&mut self, verdict: Verdict) -> Option<Label> {
        if let Some((_, label)) = self.known.iter().find(|(known, _)| *known == verdict) {
            return Some(*label);
        }
        let label = match verdict {
            Verdict::Check(check) => self.check(check)?,
            Verdict::Allow => self.push(step(RETURN, 0x7fff_0000)),
            Verdict::Kill => self.push(step(RETURN, 0x8000_0000)),
            Verdict::Refuse => self.push(step(RETURN, ERRNO | libc::EPERM.cast_unsigned())),
            Verdict::Unknown => self.push(step(RETURN, ERRNO | libc::ENOSYS.cast_unsigned())),
        };
        self.known.push((verdict, label));
        Some(label)
    }

    fn check(&mut self, check: &Check) -> Option<Label> {
        let (allow, refuse) = (self.label(Verdict::Allow)?, self.label(Verdict::Refuse)?);
        let half = |argument: u8, offset: u32| step(LOAD, ARGUMENTS + 8 * u32::from(argument) + offset);
        match *check {
            Check::AnyOf { argument, bits } => {
                self.branch(IF_SET, bits, allow, refuse)?;
                Some(self.push(half(argument, 0)))
            }
            Check::NoneOf { argument, bits } => {
                self.branch(IF_SET, bits, refuse, allow)?;
                Some(self.push(half(argument, 0)))
            }
            Check::Null { argument } => {
                self.branch(IF_EQUAL, 0, allow, refuse)?;
                let upper = self.push(half(argument, 4));
                self.branch(IF_EQUAL, 0, upper, refuse)?;
                Some(self.push(half(argument, 0)))
            }
            Check::OneOf { argument, values } => {
                let mut otherwise = refuse;
                for value in values.iter().rev() {
                    otherwise = self.branch(IF_EQUAL, *value, allow, otherwise)?;
                }
                Some(self.push(half(argument, 0)))
            }
        }
    }
}

const ERRNO: u32 = 0x0005_0000;

fn step(code: u16, operand: u32) -> sock_filter {
    jump(code, operand, 0, 0)
}

fn jump(code: u16, operand: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k: operand }
}
