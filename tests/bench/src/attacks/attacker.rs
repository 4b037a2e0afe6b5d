//! The attacker: a process of its own at nice 19, with so many connections and streams as each attack is stated with.

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

/// How long an attack may take to reach its strength.
const RAMP: Duration = Duration::from_secs(5);

/// What is done to a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// gRPC streams to auth that send headers and no message, on 6 connections with 250 streams each, renewed when they end.
    StreamsToAuth,
    /// The same to mapping, which every read and every revocation needs.
    StreamsToMapping,
    /// 124 such streams more each second.
    MoreStreamsToAuth,
    /// The same to mapping.
    MoreStreamsToMapping,
    /// Registrations by one source that has no account, on 200 connections.
    Registrations,
    /// 1,030 connections that are kept alive.
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

    /// How many attempts there are once it has its strength.
    const fn strength(self) -> u64 {
        match self {
            Self::StreamsToAuth | Self::StreamsToMapping => 6 * 250,
            // For as long as it may take: they add up.
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

/// What came of it.
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

/// What this process is told to attack.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Order {
    /// Be the attacker.
    #[arg(long, hide = true, requires = "target")]
    attack: Option<Attack>,

    /// The front that is attacked: on the loopback.
    #[arg(long, hide = true)]
    target: Option<SocketAddr>,

    /// The access token of the attacker's own account.
    #[arg(long, hide = true, default_value = "")]
    token: String,

    /// How long the attack lasts.
    #[arg(long, hide = true, default_value = "30s", value_parser = humantime::parse_duration)]
    lasts: Duration,
}

impl Order {
    /// Attacks, if that is what this process is for. Says when the attack has its strength, and at its end what came of it.
    pub(crate) fn obey(&self) -> Result<bool> {
        let (Some(attack), Some(target)) = (self.attack, self.target) else { return Ok(false) };
        if !target.ip().is_loopback() {
            return Err("only what listens on the loopback is attacked".into());
        }
        // Before there are threads: each would keep its own.
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
        // A front may keep it from ever getting there.
        let _ = tokio::time::timeout(RAMP, at_strength).await;
        writeln!(std::io::stdout(), "begun")?;
        tokio::time::sleep(self.lasts).await;
        writeln!(std::io::stdout(), "{}", source.counts)?;
        Ok(())
    }
}

/// The attacking process; it is killed when dropped.
pub(super) struct Attacker {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Attacker {
    /// Starts an attack, and waits until it has its strength.
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

    /// Waits for its end, and answers what came of it.
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
