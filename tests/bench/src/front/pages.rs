//! Report of the fronts.

use super::{Fronts, Measurement, Samples, Soak, WORKS, Work};
use crate::report::{Report, megabytes, millis};

/// Maximum growth of the resident set after it has settled.
const GROWTH: f64 = 1.1;

impl Fronts {
    /// Adds the measurements and their targets.
    pub(crate) fn report(&self, report: &mut Report) {
        let Self { apart: [embedded, envoy, by_hand, plain], mesh: [fronted, shared, direct], bare } = self;
        for (number, work) in WORKS.into_iter().enumerate() {
            let named = what(work);
            for Measurement { name, samples, .. } in [embedded, envoy, by_hand, plain] {
                report.figure(format!("{named}, own core: {name}"), figure(&samples[number]));
            }
            for Measurement { name, samples, .. } in [fronted, direct, shared] {
                report.figure(format!("{named}, mesh: {name}"), figure(&samples[number]));
            }
            for Measurement { name, samples, .. } in bare {
                report.figure(format!("{named}, bare service: {name}"), figure(&samples[number]));
            }
            let [fronted_bare, _, direct_bare] = bare;
            for (what, one, other) in
                [("axum with no service", embedded, plain), ("a bare service", fronted_bare, direct_bare)]
            {
                let ratio = one.samples[number].ratio(&other.samples[number]);
                report.figure(format!("{named}: embedded to {what}"), format!("{ratio:.2}"));
            }
            versus(report, named, number, embedded, envoy, 2.0);
            match work {
                Work::Get => {
                    versus(report, named, number, embedded, by_hand, 0.35);
                    versus(report, named, number, fronted, direct, 0.75);
                }
                Work::List => {
                    versus(report, named, number, embedded, by_hand, 0.35);
                    versus(report, named, number, fronted, direct, 0.70);
                }
                Work::Post | Work::All => {}
            }
        }
        for Measurement { name, resident, .. } in [embedded, envoy] {
            report.figure(format!("resident after that: {name}"), megabytes(*resident));
        }
        let ratio = share(embedded.resident, envoy.resident);
        report.target("resident: embedded to Envoy", format!("{ratio:.2}"), "≤ 0.50", ratio <= 0.5);
    }
}

impl Soak {
    /// Adds the results and their targets.
    pub(crate) fn report(&self, report: &mut Report) {
        let Self { name, peak, asked, requests, errors, error, times, settled, end } = self;
        report.figure(format!("{name}: at most, and asked for"), format!("{peak:.0}/s, {asked:.0}/s"));
        let told = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
        report.figure(format!("{name}: {requests} requests"), told);
        let first = error.as_deref().map(|first| format!(" ({first})")).unwrap_or_default();
        report.target(&format!("{name}: errors"), format!("{errors}{first}"), "0", *errors == 0);
        let grown = share(*end, *settled);
        let told = format!("{} → {}", megabytes(*settled), megabytes(*end));
        report.target(&format!("{name}: resident, settled → end"), told, "≤ +10 %", grown <= GROWTH);
    }
}

fn versus(report: &mut Report, what: &str, number: usize, embedded: &Measurement, other: &Measurement, least: f64) {
    let ratio = embedded.samples[number].ratio(&other.samples[number]);
    let told = format!("{what}: embedded to {}", other.name);
    report.target(&told, format!("{ratio:.2}"), &format!("≥ {least:.2}"), ratio >= least);
}

const fn what(work: Work) -> &'static str {
    match work {
        Work::Get => "one entry",
        Work::List => "list of 100",
        Work::Post => "adding one",
        Work::All => "all",
    }
}

fn figure(samples: &Samples) -> String {
    format!("{:.0}/s, {:.1} µs, {:.0} % busy", samples.rate(), samples.cost(), samples.busy() * 1e2)
}

#[allow(clippy::cast_precision_loss, reason = "bytes of a process")]
fn share(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}
