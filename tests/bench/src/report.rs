//! Report of figures and targets.

use std::io::Write as _;
use std::time::Duration;

use crate::journal::Journals;
use crate::load::{Latencies, Throughput, Times, UnderLogins};
use crate::practice::Practice;
use crate::search::{Searches, Writing};

const MEGABYTE: f64 = 1e6;

/// Lines of figures, some with a target and its verdict.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

struct Line {
    what: String,
    value: String,
    target: Option<(String, bool)>,
}

pub(crate) fn millis(times: &Times, quantile: f64) -> f64 {
    Duration::from_micros(times.value_at_quantile(quantile)).as_secs_f64() * 1e3
}

/// Formats bytes as megabytes, to one digit.
#[allow(clippy::cast_precision_loss, reason = "megabytes are shown to one digit")]
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / MEGABYTE)
}

impl Report {
    pub(crate) fn figure(&mut self, what: impl Into<String>, value: String) {
        self.lines.push(Line { what: what.into(), value, target: None });
    }

    pub(crate) fn target(&mut self, what: &str, value: String, target: &str, is_met: bool) {
        self.lines.push(Line { what: what.to_owned(), value, target: Some((target.to_owned(), is_met)) });
    }

    pub(crate) fn ready(&mut self, after: Duration) {
        let value = format!("{:.0} ms", after.as_secs_f64() * 1e3);
        self.target("ready after its start (median of 5)", value, "≤ 1 s", after <= Duration::from_secs(1));
    }

    #[allow(clippy::cast_precision_loss, reason = "megabytes are shown to one digit")]
    pub(crate) fn resident(&mut self, bytes: u64) {
        let megabytes = bytes as f64 / MEGABYTE;
        self.target("resident when idle (most of 5)", format!("{megabytes:.1} MB"), "≤ 150 MB", megabytes <= 150.0);
    }

    pub(crate) fn latency(&mut self, latencies: &Latencies) {
        let Latencies { raw, grpc, rest } = latencies;
        for (what, times) in [("raw GetItem", raw), ("GetClient by gRPC", grpc), ("GET /clients/{id}", rest)] {
            let value = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
            self.figure(format!("{what} ({} calls)", times.len()), value);
        }
        let over = |times| millis(times, 0.5) - millis(raw, 0.5);
        self.target(
            "p50 by gRPC over the raw GetItem",
            format!("+{:.3} ms", over(grpc)),
            "≤ +0.5 ms",
            over(grpc) <= 0.5,
        );
        self.target("p50 by REST over the raw GetItem", format!("+{:.3} ms", over(rest)), "≤ +1 ms", over(rest) <= 1.0);
    }

    pub(crate) fn throughput(&mut self, Throughput { grpc, rest }: &Throughput) {
        self.figure("GetClient by gRPC, 32 callers", format!("{grpc:.0}/s"));
        self.figure("GET /clients/{id}, 32 callers", format!("{rest:.0}/s"));
        let ratio = rest / grpc;
        self.target("throughput of the front to that of gRPC", format!("{ratio:.2}"), "≥ 0.70", ratio >= 0.7);
    }

    pub(crate) fn logins(&mut self, under: &UnderLogins) {
        let UnderLogins { quiet, busy, logins, hashing } = under;
        for (what, times) in [("GetClient in quiet", quiet), ("GetClient while 64 log in", busy)] {
            let value = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
            self.figure(format!("{what} ({} calls)", times.len()), value);
        }
        self.figure("logins", format!("{logins:.0}/s"));
        let ratio = millis(busy, 0.99) / millis(quiet, 0.99);
        self.target("p99 while 64 log in to that in quiet", format!("{ratio:.2}"), "≤ 2.00", ratio <= 2.0);
        self.target("hashing's share of the cores", format!("{:.0} %", hashing * 1e2), "≤ 50 %", *hashing <= 0.5);
    }

    pub(crate) fn journals(&mut self, journals: &Journals) {
        let Journals { short, long, units, add, put, opened, queried } = journals;
        let pages = [("newest 50 of 10^3 entries", short), ("newest 50 of 10^5 entries", long)];
        for (what, times) in pages.into_iter().chain([("POST /journal/{id}", add), ("raw PutItem", put)]) {
            let value = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
            self.figure(format!("{what} ({} calls)", times.len()), value);
        }
        let (of_short, of_long) = units;
        let same = (of_short - of_long).abs() <= 0.5;
        self.target("read units of the two pages", format!("{of_short}, {of_long}"), "the same", same);
        let ratio = millis(long, 0.5) / millis(short, 0.5);
        self.target("p50 at 10^5 entries to that at 10^3", format!("{ratio:.2}"), "≤ 1.20", ratio <= 1.2);
        let over = millis(add, 0.5) - millis(put, 0.5);
        self.target("p50 of adding over the raw PutItem", format!("+{over:.3} ms"), "≤ +1.5 ms", over <= 1.5);
        self.figure("lists of 100, opened, 32 callers", format!("{opened:.0}/s"));
        self.figure("lists of 100, raw Query, 32 callers", format!("{queried:.0}/s"));
        let ratio = opened / queried;
        self.target("throughput of opened lists to raw ones", format!("{ratio:.2}"), "≥ 0.60", ratio >= 0.6);
    }

    pub(crate) fn practice(&mut self, practice: &Practice) {
        let Practice { send, put, short, long, seen, few, many } = practice;
        for (what, times) in [
            ("POST /messages", send),
            ("raw PutItem", put),
            ("newest 50 of 10^2 messages", short),
            ("newest 50 of 10^5 messages", long),
            ("acknowledged to seen, 200 watchers", seen),
            ("free slots of the only week", few),
            ("free slots of a week, 10^4 others", many),
        ] {
            let value = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
            self.figure(format!("{what} ({} calls)", times.len()), value);
        }
        let over = millis(send, 0.5) - millis(put, 0.5);
        self.target("p50 of sending over the raw PutItem", format!("+{over:.3} ms"), "≤ +3 ms", over <= 3.0);
        let ratio = millis(long, 0.5) / millis(short, 0.5);
        self.target("p50 at 10^5 messages to that at 10^2", format!("{ratio:.2}"), "≤ 1.20", ratio <= 1.2);
        let late = millis(seen, 0.5);
        self.target("p50 from acknowledged to seen", format!("{late:.3} ms"), "≤ 250 ms", late <= 250.0);
        let ratio = millis(many, 0.5) / millis(few, 0.5);
        self.target("p50 at 10^4 other sessions to that at none", format!("{ratio:.2}"), "≤ 1.20", ratio <= 1.2);
    }

    pub(crate) fn searches(&mut self, searches: &Searches) {
        let Searches { imported: (entries, took), rare, common, many } = searches;
        let value = format!("{entries} in {:.0} s", took.as_secs_f64());
        self.target("entries imported", value, "≤ 300 s", *took <= Duration::from_secs(300));
        for (what, times) in [
            ("rare and common word, 10^3 entries", &rare[0]),
            ("rare and common word, 10^5 entries", &rare[1]),
            ("two common words, 10^3 entries", &common[0]),
            ("two common words, 10^5 entries", &common[1]),
            ("rare and common word, 200 journals", &many[0]),
            ("two common words, 200 journals", &many[1]),
        ] {
            let value = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
            self.figure(format!("{what} ({} calls)", times.len()), value);
        }
        for (words, [short, long], (target, most)) in
            [("rare and common word", rare, ("≤ 1.20", 1.2)), ("two common words", common, ("≤ 1.30", 1.3))]
        {
            let ratio = millis(long, 0.5) / millis(short, 0.5);
            let what = format!("p50 of {words} at 10^5 to that at 10^3");
            self.target(&what, format!("{ratio:.2}"), target, ratio <= most);
        }
        for (words, times) in ["rare and common word", "two common words"].into_iter().zip(many) {
            let median = millis(times, 0.5);
            let what = format!("p50 of {words} in 200 journals");
            self.target(&what, format!("{median:.3} ms"), "≤ 300 ms", median <= 300.0);
        }
    }

    pub(crate) fn writing(&mut self, writing: &Writing) {
        let Writing { with, without, findable, busy: [busy, busy_without] } = writing;
        for (what, times) in [
            ("entry of 200 words, with search", with),
            ("entry of 200 words, without", without),
            ("acknowledged to findable", findable),
            ("entry of 200 words, no pause, with search", busy),
            ("entry of 200 words, no pause, without", busy_without),
        ] {
            let value = format!("p50 {:.3} ms, p99 {:.3} ms", millis(times, 0.5), millis(times, 0.99));
            self.figure(format!("{what} ({} calls)", times.len()), value);
        }
        let ratio = millis(with, 0.5) / millis(without, 0.5);
        self.target("p50 of adding with search to that without", format!("{ratio:.2}"), "≤ 1.10", ratio <= 1.1);
        let late = millis(findable, 0.5);
        self.target("p50 from acknowledged to findable", format!("{late:.3} ms"), "≤ 200 ms", late <= 200.0);
    }

    /// Prints all lines and returns true if a target was missed.
    pub(crate) fn print(&self) -> bool {
        let mut shown = String::new();
        for Line { what, value, target } in &self.lines {
            let verdict = match target {
                Some((target, true)) => format!("{target:>10}  met"),
                Some((target, false)) => format!("{target:>10}  MISSED"),
                None => String::new(),
            };
            shown.push_str(format!("{what:<54}{value:>30}{verdict}").trim_end());
            shown.push('\n');
        }
        // A failed write can't be reported anywhere.
        let _ = std::io::stdout().write_all(shown.as_bytes());
        self.lines.iter().any(|line| matches!(line.target, Some((_, false))))
    }
}

/// Prints an error to standard error.
pub(crate) fn report_error(reason: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {reason}");
}
