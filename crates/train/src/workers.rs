//! Threads that carry micro-batches side by side, their results taken in order, so that the number of
//! threads changes nothing but time.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, mpsc};

use crate::Error;

/// Threads in groups, each of which carries one micro-batch at a time.
///
/// A group is a pool of its own: matrix products stay inside of it, so that one micro-batch does not
/// wait for another's. Element-wise operations on large tensors go to one pool of candle's, however,
/// and take turns there, unless the process was started with `CANDLE_NUM_THREADS=1`: start it so when
/// there is more than one group.
pub struct Workers(Vec<rayon::ThreadPool>);

/// The tape is walked by recursion, one frame an operation.
const STACK_BYTES: usize = 64 << 20;

/// How far a fast group may be ahead of the next result to be taken, in rounds of all groups: what is
/// ahead waits in memory.
const AHEAD: usize = 2;

struct Queue {
    next: usize,
    taken: usize,
    stopped: bool,
}

impl Workers {
    /// `groups` micro-batches at a time, on `cores` threads in all.
    pub fn new(groups: NonZeroUsize, cores: NonZeroUsize) -> Result<Self, Error> {
        let threads = (cores.get() / groups).max(1);
        let turns = std::env::var("CANDLE_NUM_THREADS").is_ok_and(|threads| threads == "1");
        if groups.get() > 1 && !turns {
            tracing::warn!(
                groups,
                "micro-batches wait for each other without CANDLE_NUM_THREADS=1"
            );
        }
        let pool = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .stack_size(STACK_BYTES)
                .build()
        };
        let pools: Result<_, _> = (0..groups.get()).map(|_| pool()).collect();
        pools
            .map(Self)
            .map_err(|error| Error::Threads(error.to_string()))
    }

    /// Calls `make` for `0..count` on the groups and `take` on the calling thread with each result, in
    /// order. Breaks off at the first error of `take`.
    pub fn ordered<T: Send>(
        &self,
        count: usize,
        make: &(dyn Fn(usize) -> T + Sync),
        take: &mut dyn FnMut(usize, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let queue = Mutex::new(Queue {
            next: 0,
            taken: 0,
            stopped: false,
        });
        let changed = Condvar::new();
        let (send, receive) = mpsc::channel();
        let ahead = AHEAD * self.0.len();
        let claim = || {
            let lock = queue
                .lock()
                .expect("no thread panics while it holds the queue");
            let mut lock = changed
                .wait_while(lock, |queue| {
                    !queue.stopped && queue.next < count && queue.next >= queue.taken + ahead
                })
                .expect("no thread panics while it holds the queue");
            let index = lock.next;
            lock.next += 1;
            (!lock.stopped && index < count).then_some(index)
        };
        let change = |change: &dyn Fn(&mut Queue)| {
            change(
                &mut queue
                    .lock()
                    .expect("no thread panics while it holds the queue"),
            );
            changed.notify_all();
        };
        std::thread::scope(|scope| {
            for pool in &self.0 {
                let (send, claim) = (send.clone(), &claim);
                scope.spawn(move || {
                    while let Some(index) = claim() {
                        let made = catch_unwind(AssertUnwindSafe(|| pool.install(|| make(index))));
                        if send.send((index, made)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let mut waiting: BTreeMap<usize, Result<T, Box<dyn Any + Send>>> = BTreeMap::new();
            for expected in 0..count {
                while !waiting.contains_key(&expected) {
                    let (index, made) = receive.recv().expect("every claimed index is sent");
                    waiting.insert(index, made);
                }
                let result = match waiting.remove(&expected) {
                    Some(Ok(made)) => take(expected, made),
                    Some(Err(panic)) => {
                        change(&|queue| queue.stopped = true);
                        resume_unwind(panic)
                    }
                    None => unreachable!("it was waited for"),
                };
                if result.is_err() {
                    change(&|queue| queue.stopped = true);
                    return result;
                }
                change(&|queue| queue.taken += 1);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(groups: usize) -> Workers {
        let groups = NonZeroUsize::new(groups).unwrap();
        Workers::new(groups, groups).unwrap()
    }

    #[test]
    fn results_come_in_order_from_any_number_of_groups() {
        for groups in [1, 2, 5] {
            let mut taken = Vec::new();
            let uneven =
                |i: usize| (0..(50 - i) * 1000).fold(i, |sum, _| std::hint::black_box(sum));
            workers(groups)
                .ordered(50, &uneven, &mut |place, value| {
                    taken.push((place, value));
                    Ok(())
                })
                .unwrap();
            assert_eq!(taken, (0..50).map(|i| (i, i)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_breaks_off() {
        let mut taken = 0;
        let error = workers(3)
            .ordered(1000, &|i| i, &mut |place, _| {
                taken += 1;
                match place {
                    3 => Err(Error::Threads("enough".into())),
                    _ => Ok(()),
                }
            })
            .unwrap_err();
        assert!(error.to_string().contains("enough"));
        assert_eq!(taken, 4);
    }

    #[test]
    #[should_panic(expected = "the fourth")]
    fn a_panic_is_passed_on_and_nobody_waits_for_ever() {
        let make = |i: usize| assert!(i != 3, "the fourth");
        let _ = workers(2).ordered(1000, &make, &mut |_, ()| Ok(()));
    }
}
