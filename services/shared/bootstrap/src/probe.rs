use chassis::Probe;
use dynamo::Table;

/// Returns a probe that succeeds while the service's table can be read.
#[must_use]
pub fn probe(table: &Table) -> Probe {
    let table = table.clone();
    Probe::new(move || {
        let table = table.clone();
        async move { table.ping().await }
    })
}
