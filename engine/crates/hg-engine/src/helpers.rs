//! Threads for what takes too long for a worker. They begin with the first job and end with the
//! engine.

use crate::counters::lock;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Jobs that may wait for each thread; at a tenth of a second each, the last one waits for some
/// seconds.
const WAITING: usize = 64;
/// The stack of a thread: enough for functions of passwords, which keep their memory elsewhere.
const STACK: usize = 512 * 1024;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that were started.
    threads: usize,
    idle: usize,
    ended: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    came: Condvar,
}

/// The threads and what waits for them.
pub(crate) struct Helpers {
    queue: Arc<Queue>,
    most: usize,
}

impl Helpers {
    /// Makes a pool of at most so many threads; starts none.
    pub(crate) fn new(most: usize) -> Self {
        Self { queue: Arc::default(), most: most.max(1) }
    }

    /// Has a job done. Reports false, and drops it, if too many wait or no thread can be made.
    pub(crate) fn submit(&self, job: Job) -> bool {
        let mut state = lock(&self.queue.state);
        if state.ended || state.jobs.len() >= WAITING * self.most {
            return false;
        }
        let needs_thread = state.idle <= state.jobs.len() && state.threads < self.most;
        if needs_thread {
            let queue = self.queue.clone();
            let builder = std::thread::Builder::new().name("helper".into()).stack_size(STACK);
            match builder.spawn(move || work(&queue)) {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads == 0 => return false,
                Err(_) => {}
            }
        }
        state.jobs.push_back(job);
        self.queue.came.notify_one();
        true
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        lock(&self.queue.state).ended = true;
        self.queue.came.notify_all();
    }
}

fn work(queue: &Queue) {
    let mut state = lock(&queue.state);
    loop {
        while let Some(job) = state.jobs.pop_front() {
            drop(state);
            // A job that panics takes neither the thread nor the others with it.
            let _ = catch_unwind(AssertUnwindSafe(job));
            state = lock(&queue.state);
        }
        if state.ended {
            return;
        }
        state.idle += 1;
        state = queue.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_are_done_although_one_panics() {
        let helpers = Helpers::new(1);
        let (tell, told) = mpsc::channel();
        assert!(helpers.submit(Box::new(|| std::panic::panic_any("asked to"))));
        for i in 0..3 {
            let tell = tell.clone();
            assert!(helpers.submit(Box::new(move || tell.send(i).unwrap())));
        }
        assert_eq!([told.recv(), told.recv(), told.recv()], [Ok(0), Ok(1), Ok(2)]);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let helpers = Helpers::new(1);
        let (go_on, waits) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let first = move || {
            begun.send(()).unwrap();
            let _ = waits.recv();
        };
        assert!(helpers.submit(Box::new(first)));
        has_begun.recv().unwrap();
        let taken = (0..2 * WAITING).filter(|_| helpers.submit(Box::new(|| ()))).count();
        assert_eq!(taken, WAITING);
        drop(go_on);
        let (tell, told) = mpsc::channel();
        while !helpers.submit(Box::new({
            let tell = tell.clone();
            move || tell.send(()).unwrap()
        })) {
            std::thread::yield_now();
        }
        told.recv().unwrap();
    }
}
