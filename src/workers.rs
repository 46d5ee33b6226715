//! Threads that share work, as many as the machine has room for.

use std::thread;

use rustix::process::{Resource, getrlimit};

use crate::limits;

/// Does `work` on this thread and on up to `most` - 1 others, and returns when all are done. `work` takes what is left
/// to do from a common place: where fewer threads can be had, those that run do everything.
///
/// The allocators may reserve [`limits::THREAD_ADDRESSES`] for each thread. Where addresses are limited (`ulimit -v`)
/// there are only as many threads as fit, because a thread that took the last of them would leave nothing to any.
pub fn share(most: usize, work: &(impl Fn() + Sync)) {
    thread::scope(|scope| {
        for _ in 1..most.min(room()) {
            if thread::Builder::new().stack_size(limits::THREAD_STACK).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Processors that this process may use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// How many threads have room in the address space of this process, this one included.
fn room() -> usize {
    let Some(bytes) = getrlimit(Resource::As).current else { return usize::MAX };
    usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes / limits::THREAD_ADDRESSES)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn does_the_work_on_as_many_threads_as_asked_for() {
        for most in [0, 1, 4] {
            let runs = AtomicUsize::new(0);
            share(most, &|| _ = runs.fetch_add(1, Ordering::SeqCst));
            assert_eq!(runs.into_inner(), most.max(1));
        }
    }
}
