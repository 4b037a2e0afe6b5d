//! Fuzzing of parsers that face the outside, by properties that hold for every input.
//!
//! [`target!`] makes two tests of a property: `few` tries the same few hundred inputs in every test run, `soak` tries
//! new ones for two minutes. Both shrink an input that fails, and name the seed that repeats it.

mod input;

use std::fmt::Debug;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::time::{Duration, Instant};

pub use input::{bytes, damaged, text};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestCaseResult, TestError, TestRunner};

/// Cases of one seed.
const CASES: u32 = 256;
/// Seed of the cases in every test run.
const SEED: u64 = 7;
/// Duration of a soak.
const SOAK: Duration = Duration::from_secs(120);
/// Limit of one case, far beyond what a busy machine needs for an input of this size.
const CASE_TIMEOUT: Duration = Duration::from_secs(60);

/// Declares the tests `few` and `soak` of a property, a function from an input to a `TestCaseResult`, in a module named
/// after it.
#[macro_export]
macro_rules! target {
    ($property:ident, $inputs:expr) => {
        mod $property {
            use super::*;

            #[test]
            fn few() {
                $crate::few(&$inputs, super::$property);
            }

            #[test]
            #[ignore = "takes two minutes: .ci/soak"]
            fn soak() {
                $crate::soak(concat!(module_path!(), "::soak"), &$inputs, super::$property);
            }
        }
    };
}

/// Checks a property with a few hundred inputs, the same every time.
///
/// # Panics
/// If an input fails; the message shows the smallest one.
pub fn few<S: Strategy>(inputs: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    run(SEED, inputs, &property);
}

/// Checks a property with new inputs for two minutes, or, with `PROPTEST_RNG_SEED` set, with those of that seed.
///
/// # Panics
/// If an input fails; the message shows the smallest one, and the seed that repeats it.
pub fn soak<S: Strategy>(name: &str, inputs: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    if let RngSeed::Fixed(seed) = Config::default().rng_seed {
        return run(seed, inputs, &property);
    }
    let first = RandomState::new().hash_one(name);
    let (started, mut seed) = (Instant::now(), first);
    while started.elapsed() < SOAK {
        run(seed, inputs, &property);
        seed = seed.wrapping_add(1);
    }
    let cases = u64::from(CASES) * seed.wrapping_sub(first);
    // On standard error, so that it is shown for passing tests too. A failed write can't be reported anywhere.
    let _ = writeln!(std::io::stderr(), "{name}: {cases} cases from seed {first} on");
}

#[allow(clippy::panic, reason = "a test whose input fails has failed")]
fn run<S: Strategy>(seed: u64, inputs: &S, property: &impl Fn(S::Value) -> TestCaseResult) {
    let config =
        Config { cases: CASES, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(inputs, |input| timed(input, property)) {
        panic!("{}", failure_message(seed, &error));
    }
}

fn timed<I>(input: I, property: &impl Fn(I) -> TestCaseResult) -> TestCaseResult {
    let started = Instant::now();
    property(input)?;
    let taken = started.elapsed();
    if taken < CASE_TIMEOUT { Ok(()) } else { Err(TestCaseError::fail(format!("one case takes {taken:?}"))) }
}

fn failure_message<I: Debug>(seed: u64, error: &TestError<I>) -> String {
    match error {
        TestError::Fail(why, input) => format!(
            "{why}\nsmallest input: {input:?}\nto repeat it: PROPTEST_RNG_SEED={seed}, and the soak of this target"
        ),
        TestError::Abort(why) => format!("no inputs: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn failing_property_names_smallest_input_and_seed() {
        let is_small = |number: u32| {
            prop_assert!(number < 100);
            Ok(())
        };
        let panicked = catch_unwind(|| few(&(0_u32..1_000), is_small)).unwrap_err();
        let told = panicked.downcast_ref::<String>().unwrap();
        assert!(told.contains("smallest input: 100\n") && told.contains("PROPTEST_RNG_SEED=7"), "{told}");
    }

    #[test]
    fn few_cases_are_the_same_every_time() {
        let seen = || {
            let seen = std::cell::RefCell::new(Vec::new());
            few(&text(&["a", "b"]), |text| {
                seen.borrow_mut().push(text);
                Ok(())
            });
            seen.into_inner()
        };
        assert_eq!(seen(), seen());
    }

    #[test]
    fn damaged_input_differs_nearly_always() {
        let changed = std::cell::Cell::new(0);
        few(&damaged(Just(b"some input".to_vec())), |input| {
            changed.set(changed.get() + u32::from(input != b"some input"));
            Ok(())
        });
        assert!(changed.get() > CASES / 2, "{changed:?}");
    }
}
