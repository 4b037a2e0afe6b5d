//! The attacker: a separate process at nice 19, with the connections and streams that each attack defines.

mod calls;

use std::fmt;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use self::calls::{Source, keep_connection, keep_streams, pace_streams, register};
use crate::Result;

/// Timeout for an attack to reach its full strength.
const RAMP: Duration = Duration::from_secs(5);

/// An attack on a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// gRPC streams to auth that send headers and no message: 6 connections with 250 streams each, reopened when they
    /// end.
    StreamsToAuth,
    /// The same streams to mapping, which every read and every revocation needs.
    StreamsToMapping,
    /// 124 more such streams to auth each second.
    MoreStreamsToAuth,
    /// 124 more such streams to mapping each second.
    MoreStreamsToMapping,
    /// Registrations from one source without an account, on 200 connections.
    Registrations,
    /// 1,030 idle keep-alive connections.
    Connections,
}

const LOGIN: &str = "/therapy.auth.v1.AuthService/Login";
const REVOKE: &str = "/therapy.mapping.v1.MappingService/EndJournalAccess";

impl Attack {
    pub(super) const ALL: [Self; 6] = [
        Self::StreamsToAuth,
        Self::StreamsToMapping,
        Self::MoreStreamsToAuth,
        Self::MoreStreamsToMapping,
        Self::Registrations,
        Self::Connections,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StreamsToAuth => "6 × 250 to auth",
            Self::StreamsToMapping => "6 × 250 to mapping",
            Self::MoreStreamsToAuth => "124/s to auth",
            Self::MoreStreamsToMapping => "124/s to mapping",
            Self::Registrations => "200 registering",
            Self::Connections => "1,030 connections",
        }
    }

    /// Returns the number of attempts at full strength.
    const fn strength(self) -> u64 {
        match self {
            Self::StreamsToAuth | Self::StreamsToMapping => 6 * 250,
            // Never reached: the streams add up until the ramp ends.
            Self::MoreStreamsToAuth | Self::MoreStreamsToMapping => u64::MAX,
            Self::Registrations => 200,
            Self::Connections => 1_030,
        }
    }

    fn begin(self, source: &Arc<Source>, tasks: &mut JoinSet<()>) {
        let source = || Arc::clone(source);
        match self {
            Self::StreamsToAuth => (0..6).for_each(|_| drop(tasks.spawn(keep_streams(source(), LOGIN, 250)))),
            Self::StreamsToMapping => (0..6).for_each(|_| drop(tasks.spawn(keep_streams(source(), REVOKE, 250)))),
            Self::MoreStreamsToAuth => drop(tasks.spawn(pace_streams(source(), LOGIN, 124))),
            Self::MoreStreamsToMapping => drop(tasks.spawn(pace_streams(source(), REVOKE, 124))),
            Self::Registrations => (0..200).for_each(|of| drop(tasks.spawn(register(source(), of)))),
            Self::Connections => (0..1_030).for_each(|_| drop(tasks.spawn(keep_connection(source())))),
        }
    }
}

/// Outcomes of the attempts.
#[derive(Debug, Default)]
struct Counts {
    attempts: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, answered: bool) {
        if answered { &self.answered } else { &self.refused }.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [attempts, answered, refused] =
            [&self.attempts, &self.answered, &self.refused].map(|count| count.load(Ordering::Relaxed));
        write!(f, "{attempts} tried, {answered} answered, {refused} cut off")
    }
}

/// Arguments of the attacking process.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct AttackArgs {
    /// Run as the attacker.
    #[arg(long, hide = true, requires = "target")]
    attack: Option<Attack>,

    /// Address of the attacked front, on the loopback.
    #[arg(long, hide = true)]
    target: Option<SocketAddr>,

    /// Access token of the attacker's account.
    #[arg(long, hide = true, default_value = "")]
    token: String,

    /// Duration of the attack.
    #[arg(long, hide = true, default_value = "30s", value_parser = humantime::parse_duration)]
    lasts: Duration,
}

impl AttackArgs {
    /// Runs the attack, if the arguments name one. Prints a line at full strength, and the outcomes at the end.
    pub(crate) fn run(&self) -> Result<bool> {
        let (Some(attack), Some(target)) = (self.attack, self.target) else { return Ok(false) };
        if !target.ip().is_loopback() {
            return Err("only what listens on the loopback is attacked".into());
        }
        // Before any thread starts: niceness is per thread.
        rustix::process::nice(19)?;
        Builder::new_current_thread().enable_all().build()?.block_on(self.attack(attack, target))?;
        Ok(true)
    }

    async fn attack(&self, attack: Attack, target: SocketAddr) -> Result<()> {
        let source = Arc::new(Source::new(target, &self.token));
        let mut tasks = JoinSet::new();
        attack.begin(&source, &mut tasks);
        let at_strength = async {
            while source.counts.attempts.load(Ordering::Relaxed) < attack.strength() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // A front's limits may prevent full strength.
        let _ = tokio::time::timeout(RAMP, at_strength).await;
        writeln!(std::io::stdout(), "begun")?;
        tokio::time::sleep(self.lasts).await;
        writeln!(std::io::stdout(), "{}", source.counts)?;
        Ok(())
    }
}

/// The attacking process. It is killed when dropped.
pub(super) struct Attacker {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Attacker {
    /// Starts an attack and waits until it is at full strength.
    pub(super) fn start(attack: Attack, target: SocketAddr, token: &str, lasts: Duration) -> Result<Self> {
        let name = attack.to_possible_value().ok_or("an attack has a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--attack", name.get_name(), "--target", &target.to_string(), "--token", token])
            .args(["--lasts", &humantime::format_duration(lasts).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or("its output is piped")?).lines();
        let mut attacker = Self { child, said };
        attacker.line()?;
        Ok(attacker)
    }

    /// Waits for the end and returns the outcomes.
    pub(super) fn end(mut self) -> Result<String> {
        self.line()
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.said.next().ok_or("the attacker ended too early")??)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
