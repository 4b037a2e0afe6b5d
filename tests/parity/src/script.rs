//! The script of requests to a whole mesh.

use contract::rest::{Route, routes};
use prost_reflect::DescriptorPool;

use crate::corpus::{self, Recorded, Request};

/// Parts of the script in order: later ones use what earlier ones create.
const PARTS: [&str; 11] = [
    include_str!("../mesh/accounts.txt"),
    include_str!("../mesh/profiles.txt"),
    include_str!("../mesh/mapping.txt"),
    include_str!("../mesh/journal.txt"),
    include_str!("../mesh/sessions.txt"),
    include_str!("../mesh/messages.txt"),
    include_str!("../mesh/search.txt"),
    include_str!("../mesh/nobody.txt"),
    include_str!("../mesh/hostile.txt"),
    include_str!("../mesh/endings.txt"),
    include_str!("../mesh/preconditions.txt"),
];

/// Returns the requests of the script.
#[must_use]
pub fn requests() -> Vec<Recorded> {
    PARTS.into_iter().flat_map(corpus::requests).collect()
}

/// Returns the routes of which the script has no success or no refusal.
#[must_use]
pub fn uncovered(pool: &DescriptorPool) -> Vec<String> {
    let (script, routes) = (requests(), routes(pool));
    assert!(routes.len() > 50, "{}", routes.len());
    let is_covered = |route: &Route| {
        let statuses: Vec<_> = script.iter().filter(|it| leads(route, &it.request)).map(|it| it.status).collect();
        statuses.iter().any(|status| *status < 300) && statuses.iter().any(|status| *status >= 400)
    };
    let uncovered = routes.into_iter().filter(|route| !is_covered(route));
    uncovered.map(|route| format!("{} has no recorded success or refusal", route.row)).collect()
}

/// Returns whether a request matches a route. A variable is any one segment.
fn leads(route: &Route, request: &Request) -> bool {
    let target = String::from_utf8_lossy(&request.target);
    let (method, template) = route.row.split_once(' ').expect("a method and a path");
    let path = target.split('?').next().unwrap_or_default();
    let (asked, own): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    let fits = |(asked, own): (&&str, &&str)| asked == own || own.starts_with('{') && !asked.is_empty();
    method == request.method && asked.len() == own.len() && asked.iter().zip(&own).all(fits)
}
