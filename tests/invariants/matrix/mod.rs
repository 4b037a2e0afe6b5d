//! The authorisation matrix: every RPC, called by every kind of caller at the service's own port, against a table that a
//! person can read. What the table says is what the contract says; a change of it is a decision.

mod fixtures;
mod practice;
mod rows;
mod table;
mod wire;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use kit::engine::Engine;
use kit::mesh::TestMesh;
use proto::Rpc;

use crate::matrix::fixtures::{COLUMNS, Column, Stage};
use crate::matrix::rows::{Row, rows};
use crate::matrix::table::Table;
use crate::matrix::wire::Callee;

kit::on_each_engine!(every_rpc_answers_every_kind_of_caller_as_the_table_says);

/// How many columns are played at once: each begins with people who log in, which is dear.
const AT_ONCE: usize = 4;

async fn every_rpc_answers_every_kind_of_caller_as_the_table_says(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let rows = rows();
    let callee = Callee::of(&mesh, rows.iter().map(|row| row.service)).await;
    let columns = stream::iter(COLUMNS).map(|column| cells(&mesh, &callee, column, &rows)).buffered(AT_ONCE);
    let columns: Vec<_> = columns.collect().await;
    let mut table = Table::new(COLUMNS.map(Column::name));
    for (number, row) in rows.iter().enumerate() {
        table.row(row.name(), columns.iter().map(|cells| cells[number].clone()).collect());
    }
    mesh.stop().await;
    table.compare_with_golden();
}

/// What one kind of caller gets, RPC by RPC.
async fn cells(mesh: &TestMesh, callee: &Callee, column: Column, rows: &[Row]) -> Vec<String> {
    let mut stage = Stage::new(mesh, column);
    let mut cells = Vec::new();
    for row in rows {
        let Some(call) = stage.call(row).await else {
            cells.push("-".to_owned());
            continue;
        };
        let cell = callee.cell(row, &call).await;
        if row.changes && cell.starts_with("ok") {
            stage.spent(row);
        }
        cells.push(cell);
    }
    cells
}

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let rpcs: BTreeSet<_> = proto::RPCS.iter().map(|rpc: &Rpc| rpc.path).collect();
    let rows: BTreeSet<_> = rows().iter().map(|row| row.rpc.path).collect();
    let without: Vec<_> = rpcs.difference(&rows).collect();
    assert!(without.is_empty(), "say in tests/invariants/matrix/rows.rs who calls {without:?}, and how");
}
