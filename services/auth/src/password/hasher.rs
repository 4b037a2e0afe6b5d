use std::net::IpAddr;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use kernel::{BoxError, Entropy, Error};
use tokio::sync::{mpsc, oneshot};
use transport::SourceNetwork;

use super::Password;
use super::queue::{FairQueue, Full, Place};
use crate::Config;
use crate::error::logins_busy;

/// Niceness of the hashing threads (setpriority(2): 0 to 19), so that hashing gives way to everything else on a busy
/// machine.
const NICENESS: i32 = 10;

/// Hashes passwords on threads of its own, one password a thread, with a bounded queue before them in
/// which sources take turns.
#[derive(Clone)]
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    queue: FairQueue,
    jobs: mpsc::UnboundedSender<Job>,
    /// Hash that the password of an address without an account is compared with, so that it takes as long as any other.
    dummy_hash: Arc<str>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The right to use a thread.
pub(crate) struct Slot {
    hasher: Hasher,
    _place: Place,
}

impl Hasher {
    /// Starts the threads.
    pub(crate) fn start(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, BoxError> {
        let params = Params::new(config.argon2_memory, config.argon2_iterations, 1, None)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let half = std::thread::available_parallelism().map_or(1, NonZero::get).div_euclid(2).max(1);
        let threads = config.hash_threads.map_or(half, usize::from);
        let jobs = spawn(threads)?;
        let dummy_hash = Arc::from(hash(&argon2, &entropy.array(), &entropy.array::<32>())?);
        Ok(Self { argon2, entropy, queue: FairQueue::new(threads, usize::from(config.hash_queue)), jobs, dummy_hash })
    }

    /// Waits for a thread, in the source's turn.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`LOGINS_BUSY`) when the queue, or the source's part of it, is full.
    pub(crate) async fn slot(&self, source: IpAddr) -> Result<Slot, Error> {
        let place = self.queue.enter(SourceNetwork::widest(source)).await.map_err(|Full| logins_busy())?;
        Ok(Slot { hasher: self.clone(), _place: place })
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // The caller's request has timed out.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_| Error::internal("the hashing threads are gone"))?;
        answered.await.map_err(|_| Error::internal("a hashing thread failed"))
    }
}

impl Slot {
    /// Hashes a password to a PHC string with its own salt.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        let (argon2, salt) = (self.hasher.argon2.clone(), self.hasher.entropy.array::<16>());
        let hashed = self.hasher.run(move || hash(&argon2, &salt, password.bytes())).await?;
        hashed.map_err(|error| Error::internal(error.to_string()))
    }

    /// Returns whether a password matches a hash. Without a hash it doesn't, after the same time.
    pub(crate) async fn verify(&self, password: Password, hash: Option<&str>) -> Result<bool, Error> {
        let known = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| Arc::clone(&self.hasher.dummy_hash), Arc::from);
        let argon2 = self.hasher.argon2.clone();
        let matches = self.hasher.run(move || {
            let parsed = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
            Ok::<_, String>(argon2.verify_password(password.bytes(), &parsed).is_ok())
        });
        Ok(matches.await?.map_err(Error::internal)? && known)
    }
}

fn hash(argon2: &Argon2<'_>, salt: &[u8; 16], password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    argon2.hash_password_with_salt(password, salt).map(|hash: PasswordHash| hash.to_string())
}

/// Starts the threads. Their queue holds no more jobs than slots are taken.
fn spawn(threads: usize) -> Result<mpsc::UnboundedSender<Job>, BoxError> {
    let (jobs, queue) = mpsc::unbounded_channel::<Job>();
    let queue = Arc::new(std::sync::Mutex::new(queue));
    for _ in 0..threads {
        let queue = Arc::clone(&queue);
        std::thread::Builder::new().name("hash".to_owned()).spawn(move || {
            // Best effort: without the permission, hashing competes with everything else.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            loop {
                let job = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).blocking_recv();
                match job {
                    // The job's caller learns of a panic; the thread goes on.
                    Some(job) => drop(catch_unwind(AssertUnwindSafe(job))),
                    None => break,
                }
            }
        })?;
    }
    Ok(jobs)
}
