//! Rows of a table by id, and rows added into a table by id.

use super::simd::add;
use super::{Numbers, dims, made, slice, storage, stored, uninit_buffer};
use burn::backend::Flex;
use burn::tensor::Tensor;

/// See [`super::super::gather_rows`].
pub fn gather_rows(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let table = storage(table);
    let width = dims(&table)[1];
    let mut rows = uninit_buffer(ids.len() * width);
    for (row, id) in rows.chunks_mut(width).zip(ids) {
        let place = *id as usize * width..(*id as usize + 1) * width;
        match stored(&table) {
            Numbers::F32(numbers) => row.copy_from_slice(&numbers[place]),
            Numbers::Bf16(numbers) => row.iter_mut().zip(&numbers[place]).for_each(|(to, from)| *to = from.to_f32()),
        }
    }
    Tensor::from_primitive::<Flex>(made(rows, [ids.len(), width]))
}

/// See [`super::super::scatter_rows`].
pub fn scatter_rows(table: Tensor<2>, rows: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let (mut table, rows) = (storage(table), storage(rows));
    let width = dims(&table)[1];
    if table.layout().start_offset() != 0 {
        table = table.to_contiguous();
    }
    // In place where nobody else holds the table, else on a copy of its own.
    let numbers = table.storage_mut::<f32>();
    for (row, id) in slice(&rows).chunks(width).zip(ids) {
        add(&mut numbers[*id as usize * width..][..width], row);
    }
    Tensor::from_primitive::<Flex>(table)
}
