//! Threads that share work, as many as the machine has room for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

use rustix::process::{Resource, getrlimit};

use crate::{limits, secret};

/// Items of some ten microseconds each for which another thread is worth its start.
const ITEMS_OF_A_THREAD: usize = 16;

/// Makes something of each item, on this thread and on up to `most` - 1 others. What was made is in the order of the items.
/// Where there are others, each wipes its stack at its end; what is done by this one alone is the caller's to wipe.
///
/// The allocators may reserve [`limits::THREAD_ADDRESSES`] for each thread. Where addresses are limited (`ulimit -v`)
/// there are only as many threads as fit, because a thread that took the last of them would leave nothing to any.
pub fn map<'i, I: Sync, T: Send>(most: usize, items: &'i [I], make: &(impl Fn(&'i I) -> T + Sync)) -> Vec<T> {
    let most = most.min(items.len());
    let most = if most > 1 { most.min(room()) } else { most };
    if most < 2 {
        return items.iter().map(make).collect();
    }
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let work = || {
        let mut own = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            own.push((index, make(item)));
        }
        made.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(own);
        secret::wipe_stack();
    };
    thread::scope(|scope| {
        for _ in 1..most {
            // Those that run do everything.
            if thread::Builder::new().stack_size(limits::THREAD_STACK).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut made = made.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    made.sort_unstable_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, made)| made).collect()
}

/// How many threads are worth starting for items that take some ten microseconds each; [`limits::CONCURRENCY`] at most.
pub fn for_small_items(count: usize) -> usize {
    match count / ITEMS_OF_A_THREAD {
        0 | 1 => 1,
        worth => worth.min(processors()).min(limits::CONCURRENCY.get()),
    }
}

/// Processors that this process may use. The sandbox may hide what tells them: the first answer is kept.
pub fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// How many threads have room in the address space of this process, this one included.
fn room() -> usize {
    let Some(bytes) = getrlimit(Resource::As).current else { return usize::MAX };
    usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes / limits::THREAD_ADDRESSES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn works_on_as_many_threads_as_asked_for_and_keeps_the_order() {
        let items: Vec<usize> = (0..8).collect();
        for most in [1, 2, 4] {
            // Nobody gets on before as many are there.
            let together = Barrier::new(most);
            let made = map(most, &items, &|item| {
                together.wait();
                (*item, thread::current().id())
            });
            assert_eq!(made.iter().map(|(item, _)| *item).collect::<Vec<_>>(), items);
            assert_eq!(made.iter().map(|(_, thread)| format!("{thread:?}")).collect::<BTreeSet<_>>().len(), most);
        }
        assert_eq!(map(0, &items, &|item| *item), items);
        assert!(map(4, &[] as &[usize], &|item| *item).is_empty());
    }

    #[test]
    fn starts_no_thread_for_a_few_small_items() {
        assert_eq!([0, 1, 16, 31].map(for_small_items), [1; 4]);
        assert_eq!(for_small_items(1_000_000), processors().min(20));
    }
}
