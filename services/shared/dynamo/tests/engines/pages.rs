use std::sync::Arc;

use dynamo::secret::{Secret, Secrets};
use dynamo::{PageRequest, PageTokens, Sort, Table};
use kernel::{Kind, PageSize};
use kit::engine::Engine;

use crate::support::{BY_COLOUR, SeededEntropy, Thing, key, table, thing};

kit::on_each_engine![following_the_tokens_gives_each_item_once, a_token_is_good_for_its_own_caller_and_query_alone,];

fn tokens() -> PageTokens {
    let secrets = Secrets::new(Secret::new([1; 32]), vec![]);
    PageTokens::new(&secrets, "things.list", Arc::new(SeededEntropy::default())).unwrap()
}

async fn fill(table: &Table) {
    for n in 0..7 {
        let coloured = Thing { colour_pk: Some("red".to_owned()), colour_sk: Some("same".to_owned()), ..thing("x", n) };
        let _ = table.put_new(&key(&format!("{n}")), &coloured).await.unwrap();
    }
}

fn request(token: &str, size: i32) -> PageRequest<'_> {
    PageRequest { caller: b"anna", token, size: PageSize::from_request(size).unwrap(), filters: b"" }
}

async fn following_the_tokens_gives_each_item_once(engine: Engine) {
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

async fn a_token_is_good_for_its_own_caller_and_query_alone(engine: Engine) {
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
