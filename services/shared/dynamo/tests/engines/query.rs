use dynamo::{Key, Sort, Table};
use futures_util::future::join_all;
use kit::engine::Engine;

use crate::support::{BY_COLOUR, Thing, key, table, thing};

kit::on_each_engine![
    partition_is_read_in_utf8_order,
    sort_conditions_select_in_table_and_index,
    pages_of_any_limit_yield_each_item_once,
    page_ends_at_1_megabyte,
    equal_index_keys_are_paged_without_loss,
    item_without_index_keys_is_not_in_index,
    consistent_query_sees_preceding_write,
    scan_pages_yield_each_item_once,
];

async fn fill(table: &Table, names: &[&str]) {
    let puts = names.iter().map(|name| async move {
        let coloured =
            Thing { colour_pk: Some("red".to_owned()), colour_sk: Some((*name).to_owned()), ..thing(name, 1) };
        table.put_new(&key(name), &coloured).await.unwrap()
    });
    join_all(puts).await;
}

async fn names(query: dynamo::Query) -> Vec<String> {
    query.page().await.unwrap().parse::<Thing>().unwrap().into_iter().map(|thing| thing.name).collect()
}

async fn partition_is_read_in_utf8_order(engine: Engine) {
    let table = table(engine).await;
    let sorted = ["A", "B", "Z", "a", "a#", "a1", "b", "é", "ﬁ", "🙂"];
    fill(&table, &["é", "a", "🙂", "B", "a1", "A", "b", "Z", "a#", "ﬁ"]).await;
    let _ = table.put_new(&Key::new("OTHER", "C"), &thing("other", 1)).await.unwrap();
    assert_eq!(names(table.query("THINGS")).await, sorted);
    let mut reversed = sorted;
    reversed.reverse();
    assert_eq!(names(table.query("THINGS").descending()).await, reversed);
    assert_eq!(names(table.query("NOTHING")).await, [""; 0]);
}

async fn sort_conditions_select_in_table_and_index(engine: Engine) {
    let table = table(engine).await;
    fill(&table, &["a", "b#1", "b#2", "b#3", "c"]).await;
    let text = str::to_owned;
    let cases: [(Sort, &[&str]); 9] = [
        (Sort::Is(text("b#2")), &["b#2"]),
        (Sort::BeginsWith(text("b#")), &["b#1", "b#2", "b#3"]),
        (Sort::BeginsWith(text("")), &["a", "b#1", "b#2", "b#3", "c"]),
        (Sort::Between(text("b#1"), text("b#2")), &["b#1", "b#2"]),
        (Sort::Between(text("b"), text("bz")), &["b#1", "b#2", "b#3"]),
        (Sort::Before(text("b#1")), &["a"]),
        (Sort::UpTo(text("b#1")), &["a", "b#1"]),
        (Sort::From(text("b#3")), &["b#3", "c"]),
        (Sort::After(text("b#3")), &["c"]),
    ];
    for (number, (sort, expected)) in cases.into_iter().enumerate() {
        assert_eq!(names(table.query("THINGS").sort(sort.clone())).await, expected, "case {number} on the table");
        assert_eq!(
            names(table.query_index(&BY_COLOUR, "red").sort(sort)).await,
            expected,
            "case {number} on the index"
        );
    }
    let newest = table.query("THINGS").sort(Sort::BeginsWith(text("b#"))).descending().limit(2);
    assert_eq!(names(newest).await, ["b#3", "b#2"]);
}

async fn pages_of_any_limit_yield_each_item_once(engine: Engine) {
    let table = table(engine).await;
    let all: Vec<String> = (0..25).map(|n| format!("{n:02}")).collect();
    fill(&table, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for limit in [1, 2, 7, 24, 25, 26] {
        for query in [table.query("THINGS").consistent(), table.query_index(&BY_COLOUR, "red")] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let query = query.clone().limit(limit);
                let page = if let Some(cursor) = after { query.after(cursor) } else { query }.page().await.unwrap();
                assert!(page.items.len() <= usize::from(limit), "limit {limit}");
                after = page.next.clone();
                seen.extend(page.parse::<Thing>().unwrap().into_iter().map(|thing| thing.name));
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "limit {limit}");
        }
    }
}

async fn page_ends_at_1_megabyte(engine: Engine) {
    let table = table(engine).await;
    for n in 0..8 {
        let _ = table.put_new(&key(&format!("{n}")), &thing(&"x".repeat(300 * 1024), n)).await.unwrap();
    }
    let (mut sizes, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let query = table.query("THINGS").limit(100);
        let page = if let Some(cursor) = after { query.after(cursor) } else { query }.page().await.unwrap();
        assert!(page.items.len() <= 4, "a page of {} items of 300 KiB", page.items.len());
        after = page.next.clone();
        sizes.extend(page.parse::<Thing>().unwrap().into_iter().map(|thing| thing.size));
        pages += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, (0..8).collect::<Vec<_>>());
    assert!(pages >= 2, "2.4 MB came in {pages} page");
}

async fn equal_index_keys_are_paged_without_loss(engine: Engine) {
    let table = table(engine).await;
    let equal = |n: u64| {
        let same = Some("same".to_owned());
        Thing { colour_pk: same.clone(), colour_sk: same, ..thing("equal", n) }
    };
    for n in 0..9 {
        let _ = table.put_new(&key(&format!("{n}")), &equal(n)).await.unwrap();
    }
    for descending in [false, true] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = table.query_index(&BY_COLOUR, "same").limit(2);
            let query = if descending { query.descending() } else { query };
            let page = if let Some(cursor) = after { query.after(cursor) } else { query }.page().await.unwrap();
            after = page.next.clone();
            seen.extend(page.parse::<Thing>().unwrap().into_iter().map(|thing| thing.size));
            if after.is_none() {
                break;
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>(), "descending: {descending}");
    }
}

async fn item_without_index_keys_is_not_in_index(engine: Engine) {
    let table = table(engine).await;
    fill(&table, &["in"]).await;
    let _ = table.put_new(&key("out"), &thing("out", 1)).await.unwrap();
    assert_eq!(names(table.query_index(&BY_COLOUR, "red")).await, ["in"]);
    let _ = table.update(&key("in")).remove("colour_pk").run().await.unwrap();
    assert_eq!(names(table.query_index(&BY_COLOUR, "red")).await, [""; 0]);
    assert_eq!(names(table.query("THINGS")).await, ["in", "out"]);
}

async fn consistent_query_sees_preceding_write(engine: Engine) {
    let table = table(engine).await;
    for n in 0..20 {
        let _ = table.put_new(&key(&format!("{n:02}")), &thing("x", n)).await.unwrap();
        assert_eq!(u64::try_from(table.query("THINGS").consistent().page().await.unwrap().items.len()), Ok(n + 1));
    }
}

async fn scan_pages_yield_each_item_once(engine: Engine) {
    let table = table(engine).await;
    let mut expected: Vec<_> = (0..250).map(|number| format!("{number:03}")).collect();
    for name in &expected {
        let _ = table.put_new(&Key::new(format!("PARTITION#{}", name.len()), name), &thing(name, 1)).await.unwrap();
    }
    let _ = table.put_new(&Key::new("OTHER", "other"), &thing("other", 1)).await.unwrap();
    expected.push("other".to_owned());
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let rows = table.scan(after).await.unwrap();
        after = rows.next.clone();
        pages += 1;
        found.extend(rows.parse::<Thing>().unwrap().into_iter().map(|thing| thing.name));
        if after.is_none() {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(pages >= 3, "{pages}");
}
