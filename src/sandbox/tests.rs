use seccompiler::sock_filter;

use super::*;

const ALLOWED: u32 = 0x7fff_0000;
const KILLED: u32 = 0x8000_0000;
const REFUSED: u32 = 0x0005_0000 + libc::EPERM.cast_unsigned();
const UNKNOWN: u32 = 0x0005_0000 + libc::ENOSYS.cast_unsigned();

fn local() -> Profile {
    Profile { readable: Some(Vec::new()), ..Profile::default() }
}

fn network() -> Profile {
    Profile { connects: true, ..Profile::default() }
}

fn this_processor() -> u32 {
    if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 }
}

/// What the kernel would do with a call, by the rules of classic BPF; and the number of steps.
fn run(program: &[sock_filter], processor: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
    let word = |offset: u32| match offset {
        0 => number,
        4 => processor,
        _ => {
            let argument = arguments[(offset as usize - 16) / 8];
            if (offset - 16).is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
        }
    };
    let (mut at, mut loaded, mut steps) = (0_usize, 0_u32, 0);
    let (mut index, mut stored) = (0_u32, 0_u32);
    loop {
        let step = &program[at];
        steps += 1;
        at += 1;
        match step.code {
            0x20 => loaded = word(step.k),
            0x00 => loaded = step.k,
            0x60 => loaded = stored,
            0x02 => stored = loaded,
            0x07 => index = loaded,
            0x6c => loaded <<= index,
            0x54 => loaded &= step.k,
            0x35 => at += usize::from(if loaded >= step.k { step.jt } else { step.jf }),
            0x15 => at += usize::from(if loaded == step.k { step.jt } else { step.jf }),
            0x45 => at += usize::from(if loaded & step.k != 0 { step.jt } else { step.jf }),
            0x05 => at += step.k as usize,
            0x06 => return (step.k, steps),
            other => panic!("an instruction that is never made: {other:#x}"),
        }
    }
}

fn answer(profile: &Profile, call: libc::c_long, arguments: [u64; 6]) -> u32 {
    let program = calls::program(profile).expect("a processor that is known");
    run(&program, this_processor(), call as u32, arguments).0
}

/// The C libraries have different types for it.
fn number_of<T: TryInto<u64>>(request: T) -> u64 {
    request.try_into().unwrap_or_default()
}

#[test]
fn what_only_an_intruder_does_ends_the_process() {
    for profile in [local(), network()] {
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_bpf,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_io_uring_setup,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_init_module,
            libc::SYS_setuid,
            libc::SYS_perf_event_open,
        ] {
            assert_eq!(answer(&profile, call, [0; 6]), KILLED, "{call}");
        }
    }
}

#[test]
fn what_a_library_may_try_fails() {
    for call in [
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_truncate,
        libc::SYS_kill,
        libc::SYS_memfd_create,
        libc::SYS_clone3,
        libc::SYS_clone,
        libc::SYS_wait4,
    ] {
        let answer = answer(&local(), call, [0; 6]);
        assert!([REFUSED, UNKNOWN].contains(&answer), "{call}: {answer:#x}");
    }
    assert_eq!(answer(&local(), libc::SYS_clone3, [0; 6]), UNKNOWN, "the C library then takes clone");
}

#[test]
fn sockets_are_for_those_who_need_them() {
    let family = |family: libc::c_int| [family as u64, 1, 0, 0, 0, 0];
    assert_eq!(answer(&network(), libc::SYS_socket, family(libc::AF_INET6)), ALLOWED);
    assert_eq!(answer(&network(), libc::SYS_socket, family(libc::AF_UNIX)), ALLOWED);
    for other in [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK] {
        assert_eq!(answer(&network(), libc::SYS_socket, family(other)), REFUSED, "{other}");
    }
    for (call, by_local, by_network, by_server) in [
        (libc::SYS_connect, REFUSED, ALLOWED, REFUSED),
        (libc::SYS_sendto, REFUSED, ALLOWED, ALLOWED),
        (libc::SYS_accept4, REFUSED, REFUSED, ALLOWED),
        (libc::SYS_listen, UNKNOWN, UNKNOWN, UNKNOWN),
    ] {
        let server = Profile { accepts: true, ..local() };
        let answers = [local(), network(), server].map(|profile| answer(&profile, call, [0; 6]));
        assert_eq!(answers, [by_local, by_network, by_server], "{call}");
    }
}

#[test]
fn files_are_opened_for_reading_only() {
    let open = |flags: libc::c_int| answer(&local(), libc::SYS_openat, [0, 0, flags as u64, 0, 0, 0]);
    assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK), ALLOWED);
    assert_eq!(open(libc::O_PATH | libc::O_DIRECTORY), ALLOWED);
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_TMPFILE | libc::O_WRONLY] {
        assert_eq!(open(flags), REFUSED, "{flags:#x}");
    }
}

#[test]
fn arguments_decide_where_a_call_has_many_uses() {
    let first = |value: u64| [value, 0, 0, 0, 0, 0];
    let third = |value: u64| [0, 0, value, 0, 0, 0];
    for (call, arguments, want) in [
        (libc::SYS_clone, first(libc::CLONE_THREAD as u64 | libc::CLONE_VM as u64), ALLOWED),
        (libc::SYS_clone, first(libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64), REFUSED),
        (libc::SYS_mmap, third((libc::PROT_READ | libc::PROT_WRITE) as u64), ALLOWED),
        (libc::SYS_mmap, third((libc::PROT_READ | libc::PROT_EXEC) as u64), REFUSED),
        (libc::SYS_mprotect, third(libc::PROT_EXEC as u64), REFUSED),
        (libc::SYS_prctl, first(libc::PR_SET_NAME as u64), ALLOWED),
        (libc::SYS_prctl, first(libc::PR_SET_VMA as u64), ALLOWED),
        (libc::SYS_prctl, first(libc::PR_SET_DUMPABLE as u64), REFUSED),
        (libc::SYS_prctl, first(libc::PR_SET_PTRACER as u64), REFUSED),
        (libc::SYS_prlimit64, third(0), ALLOWED),
        (libc::SYS_prlimit64, third(1 << 32), REFUSED),
        (libc::SYS_prlimit64, third(8), REFUSED),
        (libc::SYS_ioctl, [0, number_of(libc::TCGETS), 0, 0, 0, 0], ALLOWED),
        (libc::SYS_ioctl, [0, number_of(libc::TIOCSTI), 0, 0, 0, 0], REFUSED),
    ] {
        assert_eq!(answer(&local(), call, arguments), want, "{call} {arguments:?}");
    }
}

#[test]
fn reading_waiting_threads_and_the_end_are_allowed() {
    for call in [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_openat2,
        libc::SYS_statx,
        libc::SYS_getdents64,
        libc::SYS_futex,
        libc::SYS_ppoll,
        libc::SYS_getrandom,
        libc::SYS_munmap,
        libc::SYS_rt_sigreturn,
        libc::SYS_exit_group,
        libc::SYS_tgkill,
        libc::SYS_seccomp,
        libc::SYS_landlock_restrict_self,
    ] {
        assert_eq!(answer(&local(), call, [0; 6]), ALLOWED, "{call}");
    }
}

#[test]
fn calls_of_tomorrow_and_of_other_tables_are_not_there() {
    let program = calls::program(&local()).expect("a processor that is known");
    for number in [480, 511, 512, 513, 0x4000_0000, 0x4000_003b, u32::MAX] {
        assert_eq!(run(&program, this_processor(), number, [0; 6]).0, UNKNOWN, "{number:#x}");
    }
    // int 0x80 on x86, 32 bit on ARM
    for other in [0x4000_0003, 0x4000_0028] {
        assert_eq!(run(&program, other, 1, [0; 6]).0, KILLED);
    }
}

/// Arguments that checks tell apart.
fn arguments() -> Vec<[u64; 6]> {
    let values = [0, 1, 2, 4, 7, 8, 16, 23, 0x5401, 0x5412, 0x0001_0000, 1 << 32, u64::MAX];
    let mut all: Vec<[u64; 6]> = values.iter().map(|value| [*value; 6]).collect();
    for place in 0..6 {
        all.extend(values.iter().map(|value| std::array::from_fn(|own| if own == place { *value } else { 0 })));
    }
    all
}

#[test]
fn a_second_filter_says_only_what_is_stricter_and_both_are_as_strict_as_the_whole() {
    // The kernel's order: to kill, an error, to allow.
    let strictness = |answer: u32| match answer {
        KILLED => 2,
        ALLOWED => 0,
        _ => 1,
    };
    let server = Profile { accepts: true, ..local() };
    let both = Profile { accepts: true, ..network() };
    for (before, after) in [
        (network(), local()),
        (both.clone(), server.clone()),
        (both, network()),
        (server, local()),
        (local(), local()),
        (local(), network()),
    ] {
        let first = calls::program(&before).expect("a processor that is known");
        let second = calls::program_beyond(&after, &before).expect("a processor that is known");
        let whole = calls::program(&after).expect("a processor that is known");
        assert!(second.len() <= 32, "{} instructions", second.len());
        for number in (0..600).chain([0x4000_003b, u32::MAX]) {
            for arguments in arguments() {
                let [first, second, whole] = [&first, &second, &whole]
                    .map(|program| strictness(run(program, this_processor(), number, arguments).0));
                assert_eq!(first.max(second), first.max(whole), "{number} {arguments:?}: {before:?} {after:?}");
            }
        }
    }
}

#[test]
fn the_kernel_takes_it_and_decides_in_few_steps() {
    for profile in [local(), network(), Profile { accepts: true, ..network() }] {
        let program = calls::program(&profile).expect("a processor that is known");
        // Its length is what it costs; a condition jumps over 255 at most.
        assert!(program.len() < 140, "{} instructions", program.len());
        let most = (0..600).map(|number| run(&program, this_processor(), number, [0; 6]).1).max();
        assert!(most < Some(30), "{most:?} steps");
    }
}

#[test]
fn the_switch_has_three_words_and_no_others() {
    let switch = |value: &str| Switch::from_environment(&Environment::new([(VARIABLE.into(), value.into())], None));
    assert_eq!(Switch::from_environment(&Environment::new([], None)), Ok(Switch::On));
    assert_eq!(
        ["", "on", "1", "off", "0", "strict"].map(|value| switch(value).ok()),
        [
            Some(Switch::On),
            Some(Switch::On),
            Some(Switch::On),
            Some(Switch::Off),
            Some(Switch::Off),
            Some(Switch::Strict)
        ]
    );
    assert!(switch("Off").is_err() && switch("strct").is_err());
}
