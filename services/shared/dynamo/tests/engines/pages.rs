use std::sync::Arc;

use dynamo::secret::{Secret, Secrets};
use dynamo::{Item, PageRequest, PageTokens, Query, Sort, Table};
use futures_util::{StreamExt as _, stream};
use kernel::{Kind, PageSize};
use kit::engine::Engine;
use kit::entropy::SeededEntropy;

use crate::support::{BY_COLOUR, Thing, key, table, thing};

kit::on_each_engine![
    page_tokens_yield_each_item_once,
    token_is_bound_to_caller_and_query,
    filtered_pages_are_full_and_in_order,
    filtered_page_reads_at_most_500_items,
    filtered_token_is_bound_to_filter,
];

fn tokens() -> PageTokens {
    let secrets = Secrets::new(Secret::new([1; 32]), vec![]);
    PageTokens::new(&secrets, "things.list", Arc::new(SeededEntropy::default())).unwrap()
}

async fn fill(table: &Table) {
    fill_with(table, 7).await;
}

async fn fill_with(table: &Table, count: u64) {
    let put = |n| async move {
        let coloured = Thing { colour_pk: Some("red".to_owned()), colour_sk: Some("same".to_owned()), ..thing("x", n) };
        let _ = table.put_new(&key(&format!("{n}")), &coloured).await.unwrap();
    };
    stream::iter(0..count).map(put).buffer_unordered(8).collect::<()>().await;
}

/// Reads all items that a filter keeps, page by page.
async fn filtered(tokens: &PageTokens, query: &Query, size: i32, shown: impl Fn(u64) -> bool) -> Vec<Vec<u64>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let mut looked_at = 0;
        let show = |item: Item| {
            looked_at += 1;
            Ok(Some(item.parse::<Thing>()?.size).filter(|size| shown(*size)))
        };
        let page = tokens.filtered(query.clone(), request(&token, size), show).await.unwrap();
        assert!(looked_at <= 500, "{looked_at} items for one page");
        pages.push(page.items);
        let Some(next) = page.next else { return pages };
        token = next;
    }
}

fn request(token: &str, size: i32) -> PageRequest<'_> {
    PageRequest { caller: b"anna", token, size: PageSize::from_request(size).unwrap(), filters: b"" }
}

async fn page_tokens_yield_each_item_once(engine: Engine) {
    let (table, tokens) = (table(engine).await, tokens());
    fill(&table).await;
    for query in [table.query("THINGS"), table.query_index(&BY_COLOUR, "red").descending()] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = tokens.page(query.clone(), request(&token, 3)).await.unwrap();
            for item in page.items {
                seen.push(item.parse::<Thing>().unwrap().size);
            }
            let Some(next) = page.next else { break };
            token = next;
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
    }
}

async fn token_is_bound_to_caller_and_query(engine: Engine) {
    let (table, tokens) = (table(engine).await, tokens());
    fill(&table).await;
    let first = tokens.page(table.query("THINGS"), request("", 3)).await.unwrap();
    let token = first.next.unwrap();
    let own = request(&token, 3);
    // The size is free to change between pages (AIP-158).
    assert_eq!(tokens.page(table.query("THINGS"), request(&token, 50)).await.unwrap().items.len(), 4);
    let foreign = [
        (table.query("THINGS"), PageRequest { caller: b"otto", ..own }),
        (table.query("THINGS"), PageRequest { filters: b"minIntensity=3", ..own }),
        (table.query("OTHERS"), own),
        (table.query("THINGS").descending(), own),
        (table.query("THINGS").sort(Sort::BeginsWith("1".to_owned())), own),
        (table.query("THINGS").sort(Sort::Is("1".to_owned())), own),
        (table.query_index(&BY_COLOUR, "THINGS"), own),
        (table.query("THINGS"), request("nonsense", 3)),
    ];
    for (number, (query, request)) in foreign.into_iter().enumerate() {
        let error = tokens.page(query, request).await.unwrap_err();
        assert_eq!(
            (error.kind(), &*error.violations()[0].field),
            (Kind::InvalidArgument, "pageToken"),
            "case {number}"
        );
    }
}

async fn filtered_pages_are_full_and_in_order(engine: Engine) {
    let (table, tokens) = (table(engine).await, tokens());
    fill_with(&table, 97).await;
    for query in [table.query("THINGS"), table.query_index(&BY_COLOUR, "red").descending()] {
        let all = query.clone().page().await.unwrap().parse::<Thing>().unwrap();
        for (size, modulus) in [(1, 1), (1, 10), (3, 1), (3, 2), (7, 5), (50, 1), (50, 3), (200, 1), (7, 98)] {
            let shown = |size: u64| size % modulus == modulus - 1;
            let expected: Vec<_> = all.iter().map(|thing| thing.size).filter(|size| shown(*size)).collect();
            let pages = filtered(&tokens, &query, size, shown).await;
            let (last, full) = pages.split_last().unwrap();
            assert!(full.iter().all(|page| page.len() == usize::try_from(size).unwrap()), "{size} {modulus}");
            assert!(last.len() <= usize::try_from(size).unwrap());
            assert_eq!(pages.concat(), expected, "{size} {modulus}");
        }
    }
}

async fn filtered_page_reads_at_most_500_items(engine: Engine) {
    let (table, tokens) = (table(engine).await, tokens());
    fill_with(&table, 1_001).await;
    let query = table.query("THINGS");
    let all = query.clone().page().await.unwrap().parse::<Thing>().unwrap();
    let only = |numbers: &[usize]| -> Vec<u64> { numbers.iter().map(|number| all[*number].size).collect() };
    for numbers in [&[499, 500][..], &[0, 999, 1_000], &[1_000], &[]] {
        let expected = only(numbers);
        let pages = filtered(&tokens, &query, 50, |size| expected.contains(&size)).await;
        let of_page = |page: usize| only(&numbers.iter().copied().filter(|it| it / 500 == page).collect::<Vec<_>>());
        assert_eq!(pages, [of_page(0), of_page(1), of_page(2)], "{numbers:?}");
    }
}

async fn filtered_token_is_bound_to_filter(engine: Engine) {
    let (table, tokens) = (table(engine).await, tokens());
    fill(&table).await;
    let ask =
        async |request: PageRequest<'_>| tokens.filtered(table.query("THINGS"), request, |item| Ok(Some(item))).await;
    let red = PageRequest { filters: b"red", ..request("", 3) };
    let token = ask(red).await.unwrap().next.unwrap();
    assert_eq!(ask(PageRequest { token: &token, ..red }).await.unwrap().items.len(), 3);
    for foreign in
        [PageRequest { token: &token, filters: b"blue", ..red }, PageRequest { caller: b"otto", token: &token, ..red }]
    {
        assert_eq!(ask(foreign).await.unwrap_err().violations()[0].field, "pageToken");
    }
    let fails = tokens.filtered(table.query("THINGS"), red, |_| Err::<Option<()>, _>(kernel::Error::internal("no")));
    assert_eq!(fails.await.unwrap_err().kind(), Kind::Internal);
}
