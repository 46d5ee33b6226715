//! seccomp: which system calls remain.
//!
//! Allowed is what a run that reads, computes and writes to open descriptors makes, in glibc and in musl. For the rest
//! there are three answers:
//!
//! * **Killed** is what nothing in this program or its libraries ever does, and what an intruder would begin with: to
//!   run a program, to look into other processes, to change mounts, namespaces or users, to load code into the kernel.
//!   An error would let him try the next thing.
//! * **`EPERM`** gets what a library may try and can do without: to open a file for writing, a socket, a child, memory
//!   that can be executed. A mistake in what a run needs then ends in a message, not in a signal.
//! * **`ENOSYS`** gets everything else, also calls that do not exist yet. It is the answer of an older kernel, for
//!   which every C library has another way (`clone3` becomes `clone`, whose flags can be looked at).

use std::io::ErrorKind;

use super::program::{Check, Program, Verdict, WORDS, Word, words};
use super::{Layer, Profile};

/// Forbids the calling thread what the profile does not need. `before` is what it is confined to by a filter already: then
/// the new one says only what is stricter.
pub(super) fn restrict(profile: &Profile, before: Option<&Profile>) -> Layer {
    let assembled = match before {
        None => program(profile),
        Some(before) => program_beyond(profile, before),
    };
    let Some(program) = assembled else { return Layer::Unavailable("no filter for this kind of processor") };
    match seccompiler::apply_filter(&program) {
        Ok(()) => Layer::InForce(None),
        Err(seccompiler::Error::Prctl(_)) => Layer::Unavailable("new privileges cannot be ruled out"),
        Err(seccompiler::Error::Seccomp(error)) => Layer::Unavailable(match error.kind() {
            ErrorKind::PermissionDenied => "the container runtime does not permit it",
            ErrorKind::OutOfMemory => "out of memory",
            _ => "the kernel has no filters of system calls",
        }),
        Err(_) => Layer::Unavailable("the kernel refused the filter"),
    }
}

/// The filter for a profile; `None` where the numbers of system calls are not known here.
pub(super) fn program(profile: &Profile) -> Option<Vec<seccompiler::sock_filter>> {
    verdicts(profile)?.assemble()
}

/// The filter for a profile where the one for `before` is in force.
pub(super) fn program_beyond(profile: &Profile, before: &Profile) -> Option<Vec<seccompiler::sock_filter>> {
    verdicts(profile)?.assemble_beyond(&verdicts(before)?)
}

fn verdicts(profile: &Profile) -> Option<Program> {
    const SAME: [Word; WORDS] = words(ALLOWED, KILLED, REFUSED);
    let mut program = Program::for_this_processor(SAME)?;
    let connected = profile.connects || profile.accepts;
    program.set(TALKS, if connected { Verdict::Allow } else { Verdict::Refuse });
    program.set(CONNECTS, if profile.connects { Verdict::Allow } else { Verdict::Refuse });
    program.set(ACCEPTS, if profile.accepts { Verdict::Allow } else { Verdict::Refuse });
    for (call, check) in CHECKED {
        program.set(&[*call], Verdict::Check(check));
    }
    if profile.connects {
        program.set(&[libc::SYS_socket], Verdict::Check(&SOCKETS));
        if cfg!(target_env = "gnu") {
            // glibc loads what resolves names (/etc/nsswitch.conf) as a library.
            program.set(&[libc::SYS_mmap, libc::SYS_mprotect], Verdict::Allow);
        }
    }
    Some(program)
}

type Calls = &'static [libc::c_long];

const ALLOWED: Calls = &[
    // Open descriptors, and files for reading (`open` and `openat` are checked; what `openat2` opens is Landlock's).
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    // Half an answer is taken back from a file; no other is open for writing.
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
    // Waiting, also by a runtime that asks a key service.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_restart_syscall,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads, signals, the end.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_tkill,
    // What the process knows about itself.
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Giving up more.
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
    // Older forms of the same.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_create,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getdents,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getrlimit,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

const KILLED: Calls = &[
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes, the kernel's insides.
    libc::SYS_bpf,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_userfaultfd,
    // Keys of the kernel.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Mounts, namespaces, files by their handles.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // Users and rights.
    libc::SYS_capset,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    // The machine.
    libc::SYS_acct,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_personality,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

const REFUSED: Calls = &[
    // Writing to the file system. Landlock forbids it, too, where there is one.
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fsetxattr,
    libc::SYS_linkat,
    libc::SYS_lsetxattr,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_renameat2,
    libc::SYS_setxattr,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    // Elsewhere: other processes, other directories, memory with a name.
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_kill,
    libc::SYS_memfd_create,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_renameat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_setrlimit,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// On a connection that there is.
const TALKS: Calls = &[
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// For a new connection; `bind` is musl's, for its questions to name servers. `listen` is nowhere.
const CONNECTS: Calls = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_socket,
    libc::SYS_socketpair,
];

const ACCEPTS: Calls = &[libc::SYS_accept, libc::SYS_accept4];

const WRITES: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).cast_unsigned();

const CHECKED: &[(libc::c_long, Check)] = &[
    (libc::SYS_openat, Check::NoneOf { argument: 2, bits: WRITES }),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, Check::NoneOf { argument: 1, bits: WRITES }),
    (libc::SYS_mmap, Check::NoneOf { argument: 2, bits: libc::PROT_EXEC.cast_unsigned() }),
    (libc::SYS_mprotect, Check::NoneOf { argument: 2, bits: libc::PROT_EXEC.cast_unsigned() }),
    // Threads, but no children.
    (libc::SYS_clone, Check::AnyOf { argument: 0, bits: libc::CLONE_THREAD.cast_unsigned() }),
    // Reading limits, not changing them; of this process or another.
    (libc::SYS_prlimit64, Check::Null { argument: 2 }),
    (
        libc::SYS_prctl,
        Check::OneOf {
            argument: 0,
            values: &[
                libc::PR_GET_DUMPABLE.cast_unsigned(),
                libc::PR_GET_NAME.cast_unsigned(),
                libc::PR_GET_NO_NEW_PRIVS.cast_unsigned(),
                libc::PR_GET_SECCOMP.cast_unsigned(),
                libc::PR_SET_NAME.cast_unsigned(),
                libc::PR_SET_NO_NEW_PRIVS.cast_unsigned(),
                libc::PR_SET_VMA.cast_unsigned(),
            ],
        },
    ),
    // Looking at terminals and pipes; not typing into the terminal (TIOCSTI).
    (libc::SYS_ioctl, Check::OneOf { argument: 1, values: CONTROLS }),
];

const CONTROLS: &[u32] = &[
    libc::FIOCLEX as u32,
    libc::FIONBIO as u32,
    libc::FIONREAD as u32,
    libc::TCGETS as u32,
    libc::TIOCGWINSZ as u32,
    // TCGETS2, which newer C libraries ask for.
    0x802c_542a,
];

/// Kinds of sockets that key services and names need; netlink is how glibc sees which addresses there are.
static SOCKETS: Check = Check::OneOf {
    argument: 0,
    values: &[
        libc::AF_INET.cast_unsigned(),
        libc::AF_INET6.cast_unsigned(),
        libc::AF_NETLINK.cast_unsigned(),
        libc::AF_UNIX.cast_unsigned(),
    ],
};
