//! Every fused operation against its plain twin (values and gradients), and both against finite differences.
//! Sizes are chosen to be awkward: not multiples of 16, a single position, as many key heads as query heads.

use super::*;
use burn::tensor::{Device, TensorData};

/// Agreement asked for between the twins, relative to the largest value: both are f32, with sums in another order.
const CLOSE: f32 = 5e-6;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Seeded numbers, normal with deviation 1.
fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let sum_of_12 = |_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    let numbers: Vec<f32> = (0..shape.iter().product()).map(sum_of_12).collect();
    Tensor::from_data(TensorData::new(numbers, shape), &device()).require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    numbers(tensor.inner()).expect("Flex can always be read")
}

#[track_caller]
fn assert_close(what: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{what}");
    let top = b.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / top;
    assert!(off <= tolerance, "{what}: off by {off:e} of the largest value");
}

/// Inputs of an operation under test; all asked for gradients.
#[derive(Clone)]
struct Inputs {
    x: Tensor<3>,
    residual: Tensor<3>,
    matrices: Vec<Tensor<2>>,
    vectors: Vec<Tensor<1>>,
}

type Operation = dyn Fn(&Inputs) -> Tensor<3>;

/// Output, and gradients of sum(output · fixed weights) with respect to every input that is used.
fn run(inputs: &Inputs, operation: &Operation) -> Vec<Vec<f32>> {
    let y = operation(inputs);
    let mut all = vec![values(y.clone())];
    let pull = random(y.dims(), 99).inner().autodiff();
    let mut tape = (y * pull).sum().backward();
    let mut add = |gradient: Option<Vec<f32>>| all.push(gradient.unwrap_or_default());
    add(inputs.x.grad_remove(&mut tape).map(values));
    add(inputs.residual.grad_remove(&mut tape).map(values));
    for m in &inputs.matrices {
        add(m.grad_remove(&mut tape).map(values));
    }
    for v in &inputs.vectors {
        add(v.grad_remove(&mut tape).map(values));
    }
    all
}

/// The twins agree, and the fused one's gradient along a random direction is the finite difference.
fn check(what: &str, inputs: &Inputs, fused: &Operation, plain: &Operation) {
    let (a, b) = (run(inputs, fused), run(inputs, plain));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert_close(&format!("{what}, part {i}"), a, b, CLOSE);
    }
    // d/de f(input + e v) at 0 for every input, by central differences of step 1e-2: error of order e² + rounding / e,
    // about 1e-3 of the gradient's length, which a direction of normal numbers sees once.
    let pull = values(random(fused(inputs).dims(), 99));
    let inner = |moved: &Inputs| -> f64 {
        values(fused(moved)).iter().zip(&pull).map(|(y, p)| f64::from(*y) * f64::from(*p)).sum()
    };
    for (part, gradient) in a.iter().enumerate().skip(1).filter(|(_, g)| !g.is_empty()) {
        let (slope, direction) = slope(inputs, part, &inner);
        let along: f64 = gradient.iter().zip(&direction).map(|(g, v)| f64::from(*g) * f64::from(*v)).sum();
        let size: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let off = (slope - along).abs();
        assert!(off <= 4e-3 * size.max(1.0), "{what}, input {part}: slope {slope} against gradient {along}");
    }
}

/// The slope of a function when one input (counted as [`run`] counts its results) moves along a random direction.
fn slope(inputs: &Inputs, part: usize, at: &dyn Fn(&Inputs) -> f64) -> (f64, Vec<f32>) {
    fn moved<const D: usize>(t: &Tensor<D>, e: f32) -> (Tensor<D>, Vec<f32>) {
        let v = random(t.dims(), 7).inner();
        (t.clone().inner() + v.clone() * e, values(v))
    }
    let step = |e: f32| {
        let mut all = inputs.clone();
        let matrices = all.matrices.len();
        let direction = match part - 1 {
            0 => set(&mut all.x, e),
            1 => set(&mut all.residual, e),
            i if i < 2 + matrices => set(&mut all.matrices[i - 2], e),
            i => set(&mut all.vectors[i - 2 - matrices], e),
        };
        (at(&all), direction)
    };
    fn set<const D: usize>(place: &mut Tensor<D>, e: f32) -> Vec<f32> {
        let (tensor, direction) = moved(place, e);
        *place = tensor;
        direction
    }
    let ((up, direction), (down, _)) = (step(1e-2), step(-1e-2));
    ((up - down) / 2e-2, direction)
}

fn inputs(x: [usize; 3], residual: [usize; 3], matrices: &[[usize; 2]], vectors: &[usize]) -> Inputs {
    Inputs {
        x: random(x, 1),
        residual: random(residual, 2),
        matrices: matrices.iter().enumerate().map(|(i, m)| random(*m, 10 + i as u64)).collect(),
        vectors: vectors.iter().enumerate().map(|(i, v)| random([*v], 30 + i as u64)).collect(),
    }
}

#[test]
fn the_norm_agrees_with_its_twin() {
    for shape in [[2, 3, 16], [1, 1, 7], [3, 33, 50]] {
        let inputs = inputs(shape, [1, 1, 1], &[], &[shape[2]]);
        check(
            &format!("norm {shape:?}"),
            &inputs,
            &|i| fused::rms_norm(i.x.clone(), i.vectors[0].clone(), 1e-6),
            &|i| plain::rms_norm(i.x.clone(), i.vectors[0].clone(), 1e-6),
        );
    }
}

#[test]
fn what_stands_before_linear_maps_agrees_with_its_twin() {
    let dropout = Some(Dropout { rate: 0.3, seed: 7, first: 0 });
    for (batch, length, inside) in [(2, 5, 32), (1, 1, 3), (2, 19, 35)] {
        let (silu, gelu) = (Some(Activation::Silu), Some(Activation::GeluTanh));
        for (gate, sides, dropout) in [
            (None, false, None),
            (None, true, dropout),
            (silu, true, None),
            (silu, true, dropout),
            (gelu, false, None),
            (gelu, true, dropout),
        ] {
            let shapes = [[11, inside], [6, inside], [3, inside], [11, 3], [2, inside], [6, 2]];
            let width = if gate.is_some() { 2 * inside } else { inside };
            let inputs = inputs([batch, length, width], [batch, length, 17], &shapes, &[11, inside]);
            let before = move |i: &Inputs| match gate {
                Some(activation) => Before::Gate(activation),
                None => Before::Norm { weight: i.vectors[1].clone(), epsilon: 1e-6 },
            };
            check(
                &format!("gate {gate:?}, {batch} x {length} x {inside}, sides {sides}, {dropout:?}"),
                &inputs,
                &move |i| {
                    fused::linears(i.x.clone(), before(i), maps(i, sides, dropout), After::Residual(i.residual.clone()))
                },
                &move |i| {
                    plain::linears(i.x.clone(), before(i), maps(i, sides, dropout), After::Residual(i.residual.clone()))
                },
            );
        }
    }
}

#[test]
fn a_norms_weight_before_linear_maps_gets_its_gradient_where_the_input_asks_for_none() {
    let shapes = [[11, 5], [6, 5], [3, 5], [11, 3], [2, 5], [6, 2]];
    let all = inputs([1, 3, 5], [1, 3, 17], &shapes, &[11, 5]);
    let mut frozen = all.clone();
    frozen.x = frozen.x.inner();
    let linears = |i: &Inputs| {
        let before = Before::Norm { weight: i.vectors[1].clone(), epsilon: 1e-6 };
        fused::linears(i.x.clone(), before, maps(i, true, None), After::Nothing)
    };
    let (with, without) = (run(&all, &linears), run(&frozen, &linears));
    assert!(without[1].is_empty());
    assert_eq!(with.last(), without.last());
}

fn angles(length: usize, half: usize) -> (Tensor<2>, Tensor<2>) {
    let angle = |i: usize| (i / half) as f32 * 0.7f32.powi((i % half) as i32);
    let table = |f: fn(f32) -> f32| {
        let numbers: Vec<f32> = (0..length * half).map(|i| f(angle(i))).collect();
        Tensor::from_data(TensorData::new(numbers, [length, half]), &Device::flex())
    };
    (table(f32::cos), table(f32::sin))
}

#[test]
fn attention_agrees_with_its_twin() {
    // batch, length, heads, key heads, head_dim, window, norms, scale
    let cases = [
        (2, 7, 4, 2, 8, None, true, None),
        (1, 1, 2, 2, 4, None, true, None),
        (1, 70, 3, 3, 6, None, false, None),
        (2, 130, 4, 1, 16, None, true, None),
        (1, 90, 2, 1, 10, Some(5), true, None),
        (1, 150, 2, 2, 8, Some(100), false, None),
        (1, 70, 2, 1, 8, None, true, Some(0.2)),
        (2, 9, 2, 2, 6, Some(4), false, Some(1.0 / 12.0)),
    ];
    for (batch, length, query, key_value, hd, window, norms, scale) in cases {
        let width = (query + 2 * key_value) * hd;
        let inputs = inputs([batch, length, width], [1, 1, 1], &[], &[hd, hd]);
        let (cos, sin) = angles(length, hd / 2);
        let heads = Heads { query, key_value, window, scale };
        let given = move |i: &Inputs| {
            norms.then(|| HeadNorms { query: i.vectors[0].clone(), key: i.vectors[1].clone(), epsilon: 1e-6 })
        };
        let (c, s) = (cos.clone(), sin.clone());
        check(
            &format!(
                "attention {batch} x {length}, {query}/{key_value} heads of {hd}, window {window:?}, scale {scale:?}"
            ),
            &inputs,
            &move |i| fused::attention(i.x.clone(), given(i), &cos, &sin, heads),
            &move |i| plain::attention(i.x.clone(), given(i), &c, &s, heads),
        );
    }
}

/// Maps of 11 and 6 outputs (the second without a bias), side paths of ranks 3 and 2.
fn maps(i: &Inputs, sides: bool, dropout: Option<Dropout>) -> Vec<Map> {
    let side =
        |a: usize, b: usize| LoraAdapter { a: i.matrices[a].clone(), b: i.matrices[b].clone(), scale: 0.5, dropout };
    vec![
        Map { weight: i.matrices[0].clone(), bias: Some(i.vectors[0].clone()), side: sides.then(|| side(2, 3)) },
        Map { weight: i.matrices[1].clone(), bias: None, side: sides.then(|| side(4, 5)) },
    ]
}

#[test]
fn linear_maps_agree_with_their_twin() {
    let dropout = Some(Dropout { rate: 0.3, seed: 0x1234_5678_9ABC, first: 5 });
    for (batch, length, inside) in [(2, 9, 10), (1, 1, 5), (1, 300, 33)] {
        for (sides, dropout, residual) in
            [(false, None, false), (true, None, true), (true, dropout, false), (true, dropout, true)]
        {
            let inputs = inputs(
                [batch, length, inside],
                [batch, length, 17],
                &[[11, inside], [6, inside], [3, inside], [11, 3], [2, inside], [6, 2]],
                &[11],
            );
            let rest = move |i: &Inputs| if residual { After::Residual(i.residual.clone()) } else { After::Nothing };
            check(
                &format!("linear {batch} x {length} x {inside}, sides {sides}, {dropout:?}"),
                &inputs,
                &move |i| fused::linears(i.x.clone(), Before::Nothing, maps(i, sides, dropout), rest(i)),
                &move |i| plain::linears(i.x.clone(), Before::Nothing, maps(i, sides, dropout), rest(i)),
            );
        }
    }
}

#[test]
fn outputs_that_are_known_are_not_made_again_and_their_gradients_are_the_same() {
    let shapes = [[11, 5], [6, 5], [3, 5], [11, 3], [2, 5], [6, 2]];
    let inputs = inputs([1, 3, 5], [1, 3, 17], &shapes, &[11]);
    let dropout = Some(Dropout { rate: 0.3, seed: 7, first: 0 });
    let maps = move |i: &Inputs| maps(i, true, dropout);
    let fused = |after: fn(Tensor<3>) -> After| {
        run(&inputs, &move |i| fused::linears(i.x.clone(), Before::Nothing, maps(i), after(i.residual.clone())))
    };
    let (made, known) = (fused(After::Residual), fused(After::Known));
    assert_ne!(made[0], known[0], "nothing was spared");
    assert_eq!(made[1..], known[1..]);
    let known_residual = move |i: &Inputs| After::Known(i.residual.clone());
    let twin = run(&inputs, &move |i| plain::linears(i.x.clone(), Before::Nothing, maps(i), known_residual(i)));
    for (part, (a, b)) in known[1..].iter().zip(&twin[1..]).enumerate() {
        assert_close(&format!("gradient {part}"), a, b, CLOSE);
    }
}

/// bf16 keeps 8 bits: a relative rounding of 2⁻⁹ each of x and of sums' order.
#[test]
fn frozen_matrices_of_16_bits_give_what_their_rounded_values_give_and_the_twin_agrees_to_the_rounding() {
    use burn::tensor::FloatDType;
    let inputs = inputs([2, 9, 33], [2, 9, 17], &[[11, 33], [6, 33], [3, 33], [11, 3], [2, 33], [6, 2]], &[11]);
    let held = |dtype: FloatDType| {
        let mut i = inputs.clone();
        for m in &mut i.matrices[..2] {
            *m = m.clone().inner().cast(FloatDType::BF16).cast(dtype);
        }
        i
    };
    let (narrow, wide) = (held(FloatDType::BF16), held(FloatDType::F32));
    let linears = |i: &Inputs| {
        fused::linears(i.x.clone(), Before::Nothing, maps(i, true, None), After::Residual(i.residual.clone()))
    };
    let twin = |i: &Inputs| {
        plain::linears(i.x.clone(), Before::Nothing, maps(i, true, None), After::Residual(i.residual.clone()))
    };
    let (a, b, c) = (run(&narrow, &linears), run(&wide, &linears), run(&narrow, &twin));
    for (part, ((a, b), c)) in a.iter().zip(&b).zip(&c).enumerate() {
        assert_close(&format!("part {part} against 32 bits"), a, b, CLOSE);
        assert_close(&format!("part {part} against the twin"), a, c, 2e-2);
    }
    let table = narrow.matrices[0].clone();
    let (rows, ids) = (fused::gather_rows(table.clone(), &[3, 10, 3]), [3, 10, 3]);
    assert_eq!(values(rows.clone()), values(plain::gather_rows(table.clone(), &ids)));
    let loss = |t: Tensor<2>| fused::linear_cross_entropy(rows.clone(), t, &[1, 2, 3], Some(&[1.0; 3]), false);
    let (a, b) = (loss(table.clone()), loss(wide.matrices[0].clone()));
    assert_close("nats", &a.nats, &b.nats, CLOSE);
    let plain = plain::linear_cross_entropy(rows.clone(), table, &[1, 2, 3], Some(&[1.0; 3]), false);
    assert_close("nats of the twin", &a.nats, &plain.expect("Flex can be read").nats, 2e-2);
}

#[test]
fn only_the_asked_gradients_are_made() {
    let inputs = inputs([1, 3, 5], [1, 3, 17], &[[11, 5], [6, 5], [3, 5], [11, 3], [2, 5], [6, 2]], &[11]);
    let mut frozen = inputs.clone();
    frozen.matrices[0] = frozen.matrices[0].clone().inner();
    frozen.x = frozen.x.inner();
    let with = run(&inputs, &|i| fused::linears(i.x.clone(), Before::Nothing, maps(i, true, None), After::Nothing));
    let without = run(&frozen, &|i| fused::linears(i.x.clone(), Before::Nothing, maps(i, true, None), After::Nothing));
    assert!(without[1].is_empty() && without[3].is_empty());
    assert_eq!(with[5], without[5]);
}

#[test]
fn a_gate_gives_its_input_the_same_gradient_where_nothing_behind_it_is_trained() {
    let inputs = inputs([1, 3, 10], [1, 3, 17], &[[11, 5], [6, 5], [3, 5], [11, 3], [2, 5], [6, 2]], &[11]);
    let mut frozen = inputs.clone();
    for m in &mut frozen.matrices {
        *m = m.clone().inner();
    }
    let linears =
        |i: &Inputs| fused::linears(i.x.clone(), Before::Gate(Activation::Silu), maps(i, false, None), After::Nothing);
    let (with, without) = (run(&inputs, &linears), run(&frozen, &linears));
    assert_eq!(with[..2], without[..2]);
    assert!(!with[3].is_empty() && without[3].is_empty());
}

#[test]
fn cross_entropy_agrees_with_its_twin_and_with_finite_differences() {
    let (n, d, v) = (37, 13, 51);
    let (h, w) = (random([n, d], 1).inner(), random([v, d], 2).inner());
    let mut targets: Vec<u32> = (0..n as u32).map(|i| i * 7 % v as u32).collect();
    targets[3] = u32::MAX;
    let factors: Vec<f32> = (0..n).map(|i| if i == 5 { 0.0 } else { 0.1 + i as f32 * 0.01 }).collect();
    let run = |plain: bool, factors: Option<&[f32]>| {
        let (h, w) = (h.clone(), w.clone());
        if plain {
            plain::linear_cross_entropy(h, w, &targets, factors, true).expect("Flex can be read")
        } else {
            fused::linear_cross_entropy(h, w, &targets, factors, true)
        }
    };
    let (a, b) = (run(false, None), run(true, None));
    assert_close("nats", &a.nats, &b.nats, CLOSE);
    assert!(a.nats[3] == 0.0 && a.d_hidden.is_none() && a.d_weight.is_none());
    let (a, b) = (run(false, Some(&factors)), run(true, Some(&factors)));
    let gradient = |l: Option<Tensor<2>>| values(l.expect("factors were given"));
    let (dh, dw) = (gradient(a.d_hidden), gradient(a.d_weight));
    assert_close("d hidden", &dh, &gradient(b.d_hidden), CLOSE);
    assert_close("d weight", &dw, &gradient(b.d_weight), CLOSE);
    let loss = |h: Tensor<2>, w: Tensor<2>| -> f64 {
        let nats = fused::linear_cross_entropy(h, w, &targets, None, false).nats;
        nats.iter().zip(&factors).map(|(n, f)| f64::from(*n) * f64::from(*f)).sum()
    };
    // Central differences of step 1e-2, as above.
    for (gradient, at_w) in [(&dh, false), (&dw, true)] {
        let v = if at_w { random([v, d], 3).inner() } else { random([n, d], 3).inner() };
        let at = |e: f32| {
            let step = v.clone() * e;
            if at_w { loss(h.clone(), w.clone() + step) } else { loss(h.clone() + step, w.clone()) }
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        let along: f64 = gradient.iter().zip(values(v)).map(|(g, v)| f64::from(*g) * f64::from(v)).sum();
        let size: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!((slope - along).abs() <= 3e-3 * size, "slope {slope} against gradient {along}");
    }
}

#[test]
fn rows_are_gathered_and_added_back_by_id() {
    let table = random([9, 5], 1).inner();
    let ids = [3, 0, 3, 8];
    let a = fused::gather_rows(table.clone(), &ids);
    assert_eq!(values(a.clone()), values(plain::gather_rows(table.clone(), &ids)));
    let before = values(table.clone());
    let sums = values(fused::scatter_rows(table.clone(), a.clone(), &ids));
    assert_eq!(sums, values(plain::scatter_rows(table.clone(), a, &ids)));
    // The table itself was shared and must not have changed.
    assert_eq!(values(table), before);
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let dropout = Dropout { rate: 0.3, seed: 42, first: 0 };
    let n = 100_000;
    let dropped = (0..n).filter(|i| dropout.factor(*i) == 0.0).count() as f32 / n as f32;
    let mean = (0..n).map(|i| dropout.factor(i)).sum::<f32>() / n as f32;
    // Deviation of the share is sqrt(.3 * .7 / 1e5) = 0.0015.
    assert!((dropped - 0.3).abs() < 0.006, "{dropped}");
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    let other = Dropout { seed: 43, ..dropout };
    let same = (0..n).filter(|i| (dropout.factor(*i) == 0.0) == (other.factor(*i) == 0.0)).count() as f32 / n as f32;
    // Independent masks agree on .7² + .3² = 0.58 of the places.
    assert!((same - 0.58).abs() < 0.01, "{same}");
}

#[test]
fn the_mask_that_a_device_makes_is_the_one_that_a_cpu_makes_again_element_by_element() {
    for (rate, seed, first) in [
        (0.1, 0, 0),
        (0.05, 0x1234_5678_9ABC_DEF0, 7),
        (0.5, u64::MAX, u32::MAX as usize - 500),
        (0.999, 1 << 31, 1 << 40),
        (0.0, 3, 1),
    ] {
        let dropout = Dropout { rate, seed, first };
        let mask = values(plain::mask(dropout, [37, 53], &device()));
        let one_by_one: Vec<f32> = (0..37 * 53).map(|i| dropout.factor(i)).collect();
        assert_eq!(mask, one_by_one, "{dropout:?}");
    }
}

/// Values of PyTorch's `gelu(x, approximate="tanh")`, by its documented formula in f64.
#[test]
fn gelu_is_pytorchs_in_its_tanh_form_in_both_twins() {
    let gates = [-6.0f64, -3.0, -1.0, -0.1, 0.0, 0.1, 0.5, 1.0, 3.0, 6.0, 30.0, -30.0];
    let want = |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
    let n = gates.len();
    let both: Vec<f32> = gates.iter().map(|g| *g as f32).chain(std::iter::repeat_n(1.0, n)).collect();
    let x = Tensor::<3>::from_data(TensorData::new(both, [1, 1, 2 * n]), &Device::flex());
    let same = || vec![Map { weight: Tensor::eye(n, &Device::flex()), bias: None, side: None }];
    let gate = || Before::Gate(Activation::GeluTanh);
    let fused = fused::linears(x.clone(), gate(), same(), After::Nothing);
    let plain = plain::linears(x, gate(), same(), After::Nothing);
    for (name, y) in [("fused", fused), ("plain", plain)] {
        for (x, y) in gates.iter().zip(values(y)) {
            // Single precision, relative to the input's size.
            assert!((f64::from(y) - want(*x)).abs() < 1e-6 * x.abs().max(1.0), "{name}: gelu({x}) = {y}");
        }
    }
}
