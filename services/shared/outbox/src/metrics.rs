use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

use crate::mark::Topic;

static BACKLOG: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    global::meter("outbox")
        .u64_gauge("outbox.backlog")
        .with_unit("{event}")
        .with_description("Events that were pending in the last round of redelivery.")
        .build()
});

static DROPPED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("outbox")
        .u64_counter("outbox.dropped")
        .with_unit("{event}")
        .with_description("Events whose first delivery was left to recovery, because the queue was full.")
        .build()
});

/// Records the number of events that a round of redelivery found.
pub(crate) fn record_backlog(table: &str, topic: Topic, pending: u64) {
    BACKLOG.record(pending, &attributes(table, topic));
}

/// Counts an event that the full queue of a courier drops.
pub(crate) fn record_dropped(table: &str, topic: Topic) {
    DROPPED.add(1, &attributes(table, topic));
}

fn attributes(table: &str, topic: Topic) -> [KeyValue; 2] {
    [KeyValue::new("outbox.table", table.to_owned()), KeyValue::new("outbox.topic", topic.name())]
}
