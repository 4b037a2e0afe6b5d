//! Latency and failures of other callers during an attack, through the embedded front and through Envoy.
//!
//! The attacker is a separate process at nice 19, on one loopback address. The others log in, read a journal and
//! revoke, each from its own address and on a new connection for each call. A failed call counts as one that was never
//! answered. Both fronts run as shipped, Envoy with the limits of production.

mod attacker;
mod people;
mod site;

use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::attacker::Attacker;
pub(crate) use self::attacker::{Attack, AttackArgs};
use self::people::{CallStats, People, TIMEOUT};
use self::site::{Front, Site};
use crate::Result;
use crate::report::{Report, millis};

/// Target for the p99 of the other callers, in milliseconds.
const MOST_P99: f64 = 1_000.0;

/// Runs each attack against each front for this long.
pub(crate) async fn attacks(mesh: &Path, time: Duration, report: &mut Report) -> Result<()> {
    more_files()?;
    for front in [Front::Embedded, Front::Envoy] {
        let site = Site::start(mesh, front).await?;
        let people = People::register(&site.url).await?;
        let name = front.name();
        for called in people.call_for(time / 3).await? {
            report.figure(format!("{name}, in quiet: {}", called.what), figures(&called));
        }
        for attack in Attack::ALL {
            let attacker = Attacker::start(attack, site.address, &people.attackers_token, time)?;
            let called = people.call_for(time).await?;
            let told = attacker.end()?;
            report.figure(format!("{name}, {}", attack.name()), told);
            for called in called {
                let what = format!("{name}, {}: {}", attack.name(), called.what);
                let is_met = millis(&called.times, 0.99) < MOST_P99 && called.times.len() >= time.as_secs();
                if called.is_promised {
                    report.target(&what, figures(&called), "< 1 s", is_met);
                } else {
                    report.figure(what, figures(&called));
                }
            }
            people.recover().await?;
        }
        site.stop()?;
    }
    Ok(())
}

fn figures(called: &CallStats) -> String {
    let CallStats { times, failed, .. } = called;
    let quantile = |quantile| {
        let millis = millis(times, quantile);
        if millis < TIMEOUT.as_secs_f64() * 1e3 { format!("{millis:.0} ms") } else { "never".to_owned() }
    };
    format!("p50 {}, p99 {}, {failed} of {} failed", quantile(0.5), quantile(0.99), times.len())
}

/// Raises the limit of open files, and so of connections, of this process and its children.
fn more_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
