//! The operations of this room written with the tensor library alone: right on every backend, and what the fused ones
//! are tested against.

use super::error::KernelError;
use super::{Activation, After, Before, Dropout, HeadNorms, Heads, KvCache, Loss, Map};
use burn::tensor::activation::{sigmoid, silu, softmax};
use burn::tensor::{DType, Device, FloatDType, IndexingUpdateOp, Int, IntDType, Tensor, TensorData};

/// Rows of logits that exist at once where operations are not fused.
pub const CHUNK: usize = 512;

pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f32) -> Tensor<D> {
    let inverse = x.clone().powi_scalar(2).mean_dim(D - 1).add_scalar(epsilon).sqrt().recip();
    x * inverse * weight.unsqueeze()
}

pub fn attention(
    qkv: Tensor<3>,
    norms: Option<HeadNorms>,
    cos: &Tensor<2>,
    sin: &Tensor<2>,
    heads: Heads,
) -> Tensor<3> {
    attention_onwards(qkv, norms, cos, sin, heads, &mut KvCache::default())
}

pub fn attention_onwards(
    qkv: Tensor<3>,
    norms: Option<HeadNorms>,
    cos: &Tensor<2>,
    sin: &Tensor<2>,
    heads: Heads,
    past: &mut KvCache,
) -> Tensor<3> {
    let [batch, length, width] = qkv.dims();
    let Heads { query, key_value, window, scale } = heads;
    let hd = width / (query + 2 * key_value);
    let split =
        |first: usize, count: usize| qkv.clone().narrow(2, first * hd, count * hd).reshape([batch, length, count, hd]);
    let (q_norm, k_norm) = norms.map(|n| ((n.query, n.epsilon), (n.key, n.epsilon))).unzip();
    let q = turned(split(0, query), q_norm, cos, sin);
    let mut k = turned(split(query, key_value), k_norm, cos, sin);
    let mut v = split(query + key_value, key_value).swap_dims(1, 2);
    if let Some((old_k, old_v)) = past.held.take() {
        k = Tensor::cat(vec![old_k, k], 2);
        v = Tensor::cat(vec![old_v, v], 2);
    }
    past.held = Some((k.clone(), v.clone()));
    let positions = k.dims()[2];
    let shared = |t: Tensor<4>| -> Tensor<4> {
        t.reshape([batch, key_value, 1, positions * hd])
            .expand([batch, key_value, query / key_value, positions * hd])
            .reshape([batch, query, positions, hd])
    };
    let device = qkv.device();
    let scores = q.matmul(shared(k).swap_dims(2, 3));
    let scores = match scale {
        Some(scale) => scores.mul_scalar(scale),
        None => scores.div_scalar((hd as f32).sqrt()),
    };
    let scores = scores + barrier(length, positions, window, &device).unsqueeze();
    let seen = softmax(scores, 3).matmul(shared(v));
    seen.swap_dims(1, 2).reshape([batch, length, query * hd])
}

/// `x`: `[batch, length, heads, head_dim]`, normed where a norm is given, turned by position ->
/// `[batch, heads, length, head_dim]`.
fn turned(mut x: Tensor<4>, norm: Option<(Tensor<1>, f32)>, cos: &Tensor<2>, sin: &Tensor<2>) -> Tensor<4> {
    if let Some((weight, epsilon)) = norm {
        x = rms_norm(x, weight, epsilon);
    }
    let x = x.swap_dims(1, 2);
    let half = x.dims()[3] / 2;
    let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let (cos, sin) = (cos.clone().unsqueeze::<4>(), sin.clone().unsqueeze::<4>());
    let turned = first.clone() * cos.clone() - second.clone() * sin.clone();
    Tensor::cat(vec![turned, second * cos + first * sin], 3)
}

/// 0 where one of the last `length` positions (row) sees a position (column), minus a lot where it does not:
/// `[length, positions]`.
fn barrier(length: usize, positions: usize, window: Option<usize>, device: &Device) -> Tensor<2> {
    let count = |from: usize, to: usize| Tensor::<1, Int>::arange(from as i64..to as i64, device);
    let rows = count(positions - length, positions).reshape([length, 1]).expand([length, positions]);
    let behind = rows - count(0, positions).reshape([1, positions]).expand([length, positions]);
    let later = behind.clone().lower_elem(0);
    let hidden = match window {
        Some(window) => later.bool_or(behind.greater_equal_elem(window as i64)),
        None => later,
    };
    hidden.float().mul_scalar(-1e30)
}

fn gated(gate_up: Tensor<3>, activation: Activation) -> Tensor<3> {
    let width = gate_up.dims()[2] / 2;
    let gate = gate_up.clone().narrow(2, 0, width);
    let bent = match activation {
        Activation::Silu => silu(gate),
        // x (1 + tanh u) / 2 is x sigmoid(2 u).
        Activation::GeluTanh => {
            let twice = (gate.clone() + gate.clone().powi_scalar(3) * 0.044_715) * (8.0 / std::f64::consts::PI).sqrt();
            gate * sigmoid(twice)
        }
    };
    bent * gate_up.narrow(2, width, width)
}

pub fn linears(x: Tensor<3>, before: Before, maps: Vec<Map>, after: After) -> Tensor<3> {
    let x = match before {
        Before::Nothing => x,
        Before::Norm { weight, epsilon } => rms_norm(x, weight, epsilon),
        Before::Gate(activation) => gated(x, activation),
    };
    let [batch, length, inside] = x.dims();
    let x = x.reshape([batch * length, inside]);
    let dropout = maps.iter().find_map(|m| m.side.as_ref().and_then(|s| s.dropout));
    let dropped = match dropout {
        Some(dropout) => x.clone() * mask(dropout, [batch * length, inside], &x.device()),
        None => x.clone(),
    };
    // One cast for all maps that ask for it.
    let narrow = maps.iter().find(|m| m.weight.dtype() == DType::BF16).map(|m| narrowed(x.clone(), &m.weight));
    let apply = |map: Map| {
        let input = narrow.clone().filter(|_| map.weight.dtype() == DType::BF16).unwrap_or_else(|| x.clone());
        let mut y = input.matmul(map.weight.transpose()).cast(FloatDType::F32);
        if let Some(bias) = map.bias {
            y = y + bias.unsqueeze();
        }
        if let Some(side) = map.side {
            y = y + dropped.clone().matmul(side.a.transpose()).matmul(side.b.transpose()).mul_scalar(side.scale);
        }
        y
    };
    let y = Tensor::cat(maps.into_iter().map(apply).collect(), 1);
    let out = y.dims()[1];
    let y = y.reshape([batch, length, out]);
    match after {
        After::Nothing => y,
        After::Residual(residual) | After::Known(residual) => y + residual,
    }
}

/// x in the width of a matrix it is multiplied with: an accelerator multiplies numbers of 16 bits many times as fast,
/// and sums them in 32.
fn narrowed(x: Tensor<2>, matrix: &Tensor<2>) -> Tensor<2> {
    if matrix.dtype() == DType::BF16 { x.cast(FloatDType::BF16) } else { x }
}

/// [`Dropout::factor`] of every element, worked out where the tensor is: `[.., ..]`.
pub(super) fn mask(dropout: Dropout, shape: [usize; 2], device: &Device) -> Tensor<2> {
    // Numbers of 32 bits in 64, where a product with 16 bits has room.
    let times = |x: Tensor<1, Int>, factor: i64| {
        let low = x.clone().bitwise_and_scalar(0xFFFF).mul_scalar(factor);
        let high = x.bitwise_right_shift_scalar(16).mul_scalar(factor).bitwise_and_scalar(0xFFFF);
        (low + high.bitwise_left_shift_scalar(16)).bitwise_and_scalar(0xFFFF_FFFFi64)
    };
    let mixed = |x: Tensor<1, Int>, shift: i64| x.clone().bitwise_xor(x.bitwise_right_shift_scalar(shift));
    let count = shape[0] * shape[1];
    let places = Tensor::<1, Int>::arange(0..count as i64, device).cast(IntDType::I64);
    let places = places.add_scalar(i64::from(dropout.first as u32)).bitwise_and_scalar(0xFFFF_FFFFi64);
    let seed = i64::from(dropout.seed as u32 ^ (dropout.seed >> 32) as u32);
    let x = times(places, 0x9E37_79B1).bitwise_xor_scalar(seed);
    let x = times(mixed(x, 16), 0x85EB_CA6B);
    let x = mixed(times(mixed(x, 13), 0xC2B2_AE35), 16);
    let least = (f64::from(dropout.rate) * f64::from(1 << 24)).ceil() as i64;
    let kept = x.bitwise_right_shift_scalar(8).greater_equal_elem(least);
    kept.float().mul_scalar(1.0 / (1.0 - dropout.rate)).reshape(shape)
}

pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    factors: Option<&[f32]>,
    want_weight: bool,
) -> Result<Loss, KernelError> {
    let ([n, _], [rows, _]) = (hidden.dims(), weight.dims());
    let device = hidden.device();
    let counts: Vec<bool> = targets.iter().map(|t| (*t as usize) < rows).collect();
    let mut lost = Vec::new();
    let mut d_hidden = Vec::new();
    let mut d_weight: Option<Tensor<2>> = None;
    for start in (0..n).step_by(CHUNK) {
        let length = CHUNK.min(n - start);
        let h = hidden.clone().narrow(0, start, length);
        let ids = targets[start..start + length].iter().map(|t| if (*t as usize) < rows { *t as i32 } else { 0 });
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.collect::<Vec<i32>>(), [length, 1]), &device);
        let logits = narrowed(h.clone(), &weight).matmul(weight.clone().transpose()).cast(FloatDType::F32);
        let shifted = logits.clone() - logits.max_dim(1);
        let log_sum = shifted.clone().exp().sum_dim(1).log();
        lost.push(log_sum.clone() - shifted.clone().gather(1, ids.clone()));
        let Some(factors) = factors else { continue };
        let factor: Vec<f32> = (start..start + length).map(|i| if counts[i] { factors[i] } else { 0.0 }).collect();
        let factor = Tensor::<2>::from_data(TensorData::new(factor, [length, 1]), &device);
        let p = (shifted - log_sum).exp() * factor.clone();
        let g = p.scatter(1, ids, factor.neg(), IndexingUpdateOp::Add);
        d_hidden.push(narrowed(g.clone(), &weight).matmul(weight.clone()).cast(FloatDType::F32));
        if want_weight {
            let part = g.transpose().matmul(h);
            d_weight = Some(match d_weight {
                Some(sum) => sum + part,
                None => part,
            });
        }
    }
    // All in one go: each reading waits for the device.
    let mut nats = if lost.is_empty() { vec![] } else { super::numbers(Tensor::cat(lost, 0))? };
    for (nats, counts) in nats.iter_mut().zip(&counts) {
        if !counts {
            *nats = 0.0;
        }
    }
    let d_hidden = (!d_hidden.is_empty()).then(|| Tensor::cat(d_hidden, 0));
    Ok(Loss { nats, d_hidden, d_weight })
}

pub fn gather_rows(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids = indices(ids, &table.device());
    table.select(0, ids).cast(FloatDType::F32)
}

pub fn scatter_rows(table: Tensor<2>, rows: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids = indices(ids, &table.device());
    table.select_assign(0, ids, rows, IndexingUpdateOp::Add)
}

fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), device)
}
