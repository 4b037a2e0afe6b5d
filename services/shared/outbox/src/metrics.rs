use std::sync::LazyLock;

use opentelemetry::metrics::Gauge;
use opentelemetry::{KeyValue, global};

use crate::mark::Topic;

static BACKLOG: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    global::meter("outbox")
        .u64_gauge("outbox.backlog")
        .with_unit("{event}")
        .with_description("Events that were pending in the last round of redelivery.")
        .build()
});

/// Records the number of events that a round of redelivery found.
pub(crate) fn record_backlog(table: &str, topic: Topic, pending: u64) {
    let attributes = [KeyValue::new("outbox.table", table.to_owned()), KeyValue::new("outbox.topic", topic.name())];
    BACKLOG.record(pending, &attributes);
}
