//! Queue before the hashing threads, in which sources take turns.
//!
//! A source that fills its own line delays itself: each free thread goes to the next source in a ring, and to the
//! oldest request of that source. A queue that is full makes room at the end of its longest line.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use transport::SourceNetwork;

/// A fair, bounded queue for a fixed number of threads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FairQueue {
    state: Arc<Mutex<State>>,
    limits: Limits,
}

/// Maximum waiting requests.
#[derive(Clone, Copy)]
struct Limits {
    total: usize,
    per_source: usize,
}

struct State {
    free: usize,
    waiting: usize,
    last_ticket: u64,
    lines: HashMap<SourceNetwork, VecDeque<Waiter>>,
    /// Sources that have a line, the next one first.
    ring: VecDeque<SourceNetwork>,
}

struct Waiter {
    ticket: u64,
    /// Sender of the admission; dropped unsent when the request must give up its place.
    admit: oneshot::Sender<()>,
}

/// The right to use a thread, until it is dropped.
pub(crate) struct Place(FairQueue);

/// A full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// A request in a line. Leaves it when dropped, and passes on a thread that it was given too late.
struct Waiting {
    queue: FairQueue,
    source: SourceNetwork,
    ticket: u64,
    admitted: oneshot::Receiver<()>,
}

impl FairQueue {
    /// Returns a queue for this many threads, in which at most `total` requests wait, and half of them from one source.
    pub(crate) fn new(threads: usize, total: usize) -> Self {
        let state = State { free: threads, waiting: 0, last_ticket: 0, lines: HashMap::new(), ring: VecDeque::new() };
        let limits = Limits { total, per_source: total.div_ceil(2) };
        Self { state: Arc::new(Mutex::new(state)), limits }
    }

    /// Waits for a thread.
    ///
    /// # Errors
    /// [`Full`] when the queue, or the source's part of it, is full.
    pub(crate) async fn enter(&self, source: SourceNetwork) -> Result<Place, Full> {
        if let Some(mut waiting) = self.line_up(source)? {
            (&mut waiting.admitted).await.map_err(|_| Full)?;
        }
        Ok(Place(self.clone()))
    }

    /// Takes a free thread, or else the last place in the source's line.
    fn line_up(&self, source: SourceNetwork) -> Result<Option<Waiting>, Full> {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return Ok(None);
        }
        let own = state.lines.get(&source).map_or(0, VecDeque::len);
        if own >= self.limits.per_source || state.waiting >= self.limits.total && !state.shorten_longer_than(own + 1) {
            return Err(Full);
        }
        let (admit, admitted) = oneshot::channel();
        let ticket = state.push(source, admit);
        Ok(Some(Waiting { queue: self.clone(), source, ticket, admitted }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, source: SourceNetwork, admit: oneshot::Sender<()>) -> u64 {
        self.last_ticket += 1;
        self.waiting += 1;
        let line = self.lines.entry(source).or_default();
        if line.is_empty() {
            self.ring.push_back(source);
        }
        line.push_back(Waiter { ticket: self.last_ticket, admit });
        self.last_ticket
    }

    /// Refuses the last request of the longest line, if it is longer than this. Returns whether it was.
    fn shorten_longer_than(&mut self, length: usize) -> bool {
        let longest = self.lines.iter_mut().max_by_key(|(_, line)| line.len());
        let Some((_, line)) = longest.filter(|(_, line)| line.len() > length) else { return false };
        self.waiting -= usize::from(line.pop_back().is_some());
        true
    }

    /// Gives a thread to the next source's oldest request, or keeps it free.
    fn release(&mut self) {
        while let Some(source) = self.ring.pop_front() {
            let Some(line) = self.lines.get_mut(&source) else { continue };
            let waiter = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&source);
            } else {
                self.ring.push_back(source);
            }
            let Some(waiter) = waiter else { continue };
            self.waiting -= 1;
            if waiter.admit.send(()).is_ok() {
                return;
            }
        }
        self.free += 1;
    }

    /// Takes a request out of its line. Returns whether it was there.
    fn remove(&mut self, source: SourceNetwork, ticket: u64) -> bool {
        let Some(line) = self.lines.get_mut(&source) else { return false };
        let Some(at) = line.iter().position(|waiter| waiter.ticket == ticket) else { return false };
        line.remove(at);
        self.waiting -= 1;
        if line.is_empty() {
            self.lines.remove(&source);
            self.ring.retain(|other| *other != source);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().release();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if !state.remove(self.source, self.ticket) && self.admitted.try_recv().is_ok() {
            state.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Entry = Pin<Box<dyn Future<Output = Result<Place, Full>>>>;

    fn source(number: u8) -> SourceNetwork {
        SourceNetwork::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)))
    }

    /// Polls a request once.
    fn poll(entry: &mut Entry) -> Poll<Result<Place, Full>> {
        entry.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A request that has taken its place in the queue.
    fn enter(queue: &FairQueue, number: u8) -> Entry {
        let queue = queue.clone();
        let mut entry: Entry = Box::pin(async move { queue.enter(source(number)).await });
        assert!(poll(&mut entry).is_pending(), "source {number} waits");
        entry
    }

    fn is_full(queue: &FairQueue, number: u8) -> bool {
        queue.line_up(source(number)).is_err()
    }

    fn place(poll: Poll<Result<Place, Full>>) -> Option<Place> {
        match poll {
            Poll::Ready(place) => place.ok(),
            Poll::Pending => None,
        }
    }

    /// A queue whose one thread is taken, and the right to it.
    async fn busy(total: usize) -> (FairQueue, Place) {
        let queue = FairQueue::new(1, total);
        let place = queue.enter(source(0)).await.unwrap();
        (queue, place)
    }

    #[tokio::test]
    async fn sources_take_turns() {
        let (queue, mut running) = busy(8).await;
        let mut entries: Vec<_> = [1, 1, 1, 2, 3, 2].iter().map(|&number| (number, enter(&queue, number))).collect();
        let mut served = Vec::new();
        while !entries.is_empty() {
            drop(running);
            let mut admitted = entries
                .iter_mut()
                .enumerate()
                .filter_map(|(at, (number, entry))| place(poll(entry)).map(|place| (at, *number, place)));
            let (at, number, next) = admitted.next().expect("a request is admitted");
            assert!(admitted.next().is_none(), "one thread, one request");
            drop(admitted);
            served.push(number);
            running = next;
            drop(entries.remove(at));
        }
        assert_eq!(served, [1, 2, 3, 1, 2, 1]);
    }

    #[tokio::test]
    async fn full_source_is_refused_and_others_are_not() {
        let (queue, _running) = busy(8).await;
        let _line: Vec<_> = (0..4).map(|_| enter(&queue, 1)).collect();
        assert!(is_full(&queue, 1));
        let _other = enter(&queue, 2);
    }

    #[tokio::test]
    async fn full_queue_shortens_its_longest_line() {
        let (queue, _running) = busy(8).await;
        let mut longest: Vec<_> = (0..4).map(|_| enter(&queue, 1)).collect();
        let _others: Vec<_> = [2, 2, 3, 4].iter().map(|&number| enter(&queue, number)).collect();
        let _newcomer = enter(&queue, 5);
        let waits: Vec<_> = longest.iter_mut().map(|entry| poll(entry).is_pending()).collect();
        assert_eq!(waits, [true, true, true, false], "the last one gives way");
        assert!(is_full(&queue, 2), "no line is longer than this one would be");
    }

    #[tokio::test]
    async fn abandoned_requests_leave_queue() {
        let (queue, running) = busy(4).await;
        let (given_up, granted) = (enter(&queue, 1), enter(&queue, 1));
        assert!(is_full(&queue, 1));
        drop(given_up);
        let mut next = enter(&queue, 1);
        drop(running);
        // It was admitted, and hangs up before it hears of it.
        drop(granted);
        let running = place(poll(&mut next)).expect("the thread is passed on");
        drop(running);
        let state = queue.state();
        assert_eq!((state.free, state.waiting, state.ring.len()), (1, 0, 0));
    }
}
