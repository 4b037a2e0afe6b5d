//! Input strategies: texts made of a grammar's tokens, bytes, and damaged forms of either.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Maximum pieces of a short text, and of any.
const FEW: usize = 5;
const PIECES: usize = 24;
/// Maximum repetitions of a token: enough to expose superlinear parsers.
const REPETITIONS: usize = 2_000;
/// Maximum changes of one input.
const CHANGES: usize = 4;

/// Returns texts of the tokens of a grammar, with any characters and long runs of a token among them.
pub fn text(tokens: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        40 => select(tokens).prop_map(str::to_owned),
        8 => any::<char>().prop_map(String::from),
        1 => (select(tokens), 2..REPETITIONS).prop_map(|(token, times)| token.repeat(times)),
    ];
    // Half of them short: nearly valid inputs find most.
    let pieces = prop_oneof![vec(piece.clone(), 0..FEW), vec(piece, 0..PIECES)];
    pieces.prop_map(|pieces| pieces.concat())
}

/// Returns any bytes, in half of the cases made of the tokens of a grammar.
pub fn bytes(tokens: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![damaged(text(tokens).prop_map(String::into_bytes)), any::<Vec<u8>>()]
}

/// Returns the inputs with some of their bytes changed, added, removed, swapped or repeated; now and then with none.
pub fn damaged(inputs: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (inputs, vec(change(), 0..CHANGES)).prop_map(|(mut input, changes)| {
        for (change, at, other) in changes {
            apply(change, at, other, &mut input);
        }
        input
    })
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Flip(u8),
    Set(u8),
    Insert(u8),
    Remove,
    Cut,
    Swap,
    Repeat,
}

fn change() -> impl Strategy<Value = (Change, Index, Index)> {
    let change = prop_oneof![
        (0_u8..8).prop_map(|bit| Change::Flip(1 << bit)),
        any::<u8>().prop_map(Change::Set),
        any::<u8>().prop_map(Change::Insert),
        Just(Change::Remove),
        Just(Change::Cut),
        Just(Change::Swap),
        Just(Change::Repeat),
    ];
    (change, any::<Index>(), any::<Index>())
}

fn apply(change: Change, at: Index, other: Index, input: &mut Vec<u8>) {
    if input.is_empty() {
        if let Change::Set(byte) | Change::Insert(byte) | Change::Flip(byte) = change {
            input.push(byte);
        }
        return;
    }
    let (at, other) = (at.index(input.len()), other.index(input.len()));
    match change {
        Change::Flip(bits) => input[at] ^= bits,
        Change::Set(byte) => input[at] = byte,
        Change::Insert(byte) => input.insert(at, byte),
        Change::Remove => drop(input.remove(at)),
        Change::Cut => input.truncate(at),
        Change::Swap => input.swap(at, other),
        Change::Repeat => {
            let repeated = input[at.min(other)..=at.max(other)].to_vec();
            input.splice(at..at, repeated);
        }
    }
}
