//! The authorisation matrix: every RPC, called by every caller kind at the service's own port, against a readable
//! table. The table states the contract; a change of it is a decision.

mod fixtures;
mod practice;
mod rows;
mod table;
mod wire;

use futures_util::future::join_all;
use kit::engine::Engine;
use kit::mesh::TestMesh;

use crate::matrix::fixtures::{CALLER_KINDS, CallerKind, Fixtures};
use crate::matrix::rows::{Row, rows};
use crate::matrix::table::Table;
use crate::matrix::wire::Callee;

kit::on_each_engine!(authorisation_matrix_matches_golden_table);

async fn authorisation_matrix_matches_golden_table(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let rows = rows();
    let callee = Callee::of(&mesh, rows.iter().map(|row| row.service)).await;
    let columns = join_all(CALLER_KINDS.map(|kind| cells(&mesh, &callee, kind, &rows))).await;
    let mut table = Table::new(CALLER_KINDS.map(CallerKind::name));
    for (number, row) in rows.iter().enumerate() {
        table.row(row.name(), columns.iter().map(|cells| cells[number].clone()).collect());
    }
    mesh.stop().await;
    table.compare_with_golden();
}

/// Returns the cells of one caller kind, one per row.
async fn cells(mesh: &TestMesh, callee: &Callee, kind: CallerKind, rows: &[Row]) -> Vec<String> {
    let mut fixtures = Fixtures::new(mesh, kind);
    let mut cells = Vec::new();
    for row in rows {
        let Some(call) = fixtures.call(row).await else {
            cells.push("-".to_owned());
            continue;
        };
        let cell = callee.cell(row, &call).await;
        if row.changes && cell.starts_with("ok") {
            fixtures.invalidate(row);
        }
        cells.push(cell);
    }
    cells
}

#[test]
fn every_rpc_has_matrix_row() {
    let rows = rows().iter().map(|row| row.rpc.path.to_owned()).collect();
    assert_eq!(contract::tables::without_matrix_row(&contract::pool(), &rows), Vec::<String>::new());
}
