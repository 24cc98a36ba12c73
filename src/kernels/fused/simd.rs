//! The innermost loops over rows of f32, written so that the compiler turns them into vector instructions, and
//! compiled once for each instruction set; the widest that the processor has is taken at run time.

/// Lanes of an accumulator: one 512-bit register, or two of 256.
const LANES: usize = 16;

/// Defines a function whose body is compiled for AVX-512, for AVX2 with FMA and for the plain target.
macro_rules! simd {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident : $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        pub(super) fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn wide($($arg: $type),*) $(-> $result)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn middle($($arg: $type),*) $(-> $result)? { body($($arg),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    // SAFETY: the processor was just asked for exactly these features.
                    return unsafe { wide($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: as above.
                    return unsafe { middle($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}

/// e^x to about 2 units in the last place: x = n ln 2 + r, a polynomial for e^r, n into the exponent (the classic
/// scheme of Cephes). Inputs are clamped to ±87, so that the result is always a normal number.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts, so that n times the first is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4f32;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    // The last bits of `rounded` are n itself: a conversion would check for what the clamp has ruled out.
    y * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// Sum of f over elements of three rows of one length, in lanes. Blocks are arrays, so that no bound is checked inside.
#[inline(always)]
fn sum(x: &[f32], y: &[f32], z: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let ((x, x_rest), (y, y_rest), (z, z_rest)) =
        (x.as_chunks::<LANES>(), y.as_chunks::<LANES>(), z.as_chunks::<LANES>());
    for ((x, y), z) in x.iter().zip(y).zip(z) {
        for lane in 0..LANES {
            lanes[lane] += f(x[lane], y[lane], z[lane]);
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).zip(z_rest).map(|((x, y), z)| f(*x, *y, *z)).sum();
    all(lanes) + rest
}

/// Sum of all lanes, by halves.
#[inline(always)]
fn all(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The largest element.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for (top, v) in lanes.iter_mut().zip(block) {
            *top = if *v > *top { *v } else { *top };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

/// x <- exp((x - shift) * scale); the sum of the results.
#[inline(always)]
fn exponentials(x: &mut [f32], shift: f32, scale: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (blocks, last) = x.as_chunks_mut::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            block[lane] = exp((block[lane] - shift) * scale);
            lanes[lane] += block[lane];
        }
    }
    let mut rest = 0.0;
    for v in last {
        *v = exp((*v - shift) * scale);
        rest += *v;
    }
    all(lanes) + rest
}

/// 1 / rms(x).
#[inline(always)]
fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum(x, x, x, |x, _, _| x * x) / x.len() as f32 + epsilon).sqrt()
}

/// y = x · inverse · weight.
#[inline(always)]
fn scaled(x: &[f32], weight: &[f32], y: &mut [f32], inverse: f32) {
    let n = x.len();
    let (weight, y) = (&weight[..n], &mut y[..n]);
    for i in 0..n {
        y[i] = x[i] * inverse * weight[i];
    }
}

/// The gradient of x / rms(x) · weight with respect to x.
#[inline(always)]
fn norm_back(x: &[f32], weight: &[f32], dy: &[f32], inverse: f32, dx: &mut [f32]) {
    let n = x.len();
    let (weight, dy, dx) = (&weight[..n], &dy[..n], &mut dx[..n]);
    let k = inverse * inverse * inverse * sum(x, dy, weight, |x, dy, weight| x * dy * weight) / n as f32;
    for i in 0..n {
        dx[i] = dy[i] * weight[i] * inverse - x[i] * k;
    }
}

/// total += x · dy · factor.
#[inline(always)]
fn product_added(total: &mut [f32], x: &[f32], dy: &[f32], factor: f32) {
    let n = total.len();
    let (x, dy) = (&x[..n], &dy[..n]);
    for i in 0..n {
        total[i] += x[i] * dy[i] * factor;
    }
}

/// Turns the pairs (i, i + half) of a row by the angles whose cosines and sines are given; `direction` -1 turns back,
/// which is the gradient.
#[inline(always)]
fn turn(x: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
    let half = x.len() / 2;
    let (first, second) = x.split_at_mut(half);
    let (second, cos, sin) = (&mut second[..half], &cos[..half], &sin[..half]);
    for i in 0..half {
        let (u, v, s) = (first[i], second[i], direction * sin[i]);
        first[i] = u * cos[i] - v * s;
        second[i] = v * cos[i] + u * s;
    }
}

simd! {
    /// y = x / rms(x) · weight; gives 1 / rms(x).
    fn norm_row(x: &[f32], weight: &[f32], y: &mut [f32], epsilon: f32) -> f32 {
        let inverse = inverse_rms(x, epsilon);
        scaled(x, weight, y, inverse);
        inverse
    }
}

simd! {
    /// A head's rows, `stride` apart in `x`, normed (where there is a weight) and turned by their position's angles, one
    /// after another to `y` `[rows, width]`.
    fn turned_rows(
        x: &[f32],
        stride: usize,
        norm: Option<(&[f32], f32)>,
        angles: (&[f32], &[f32]),
        y: &mut [f32],
        width: usize,
    ) {
        let rows = y.chunks_exact_mut(width).zip(x.chunks(stride));
        let angles = angles.0.chunks_exact(width / 2).zip(angles.1.chunks_exact(width / 2));
        for ((y, x), (cos, sin)) in rows.zip(angles) {
            let x = &x[..width];
            match norm {
                Some((weight, epsilon)) => scaled(x, weight, y, inverse_rms(x, epsilon)),
                None => y.copy_from_slice(x),
            }
            turn(y, cos, sin, 1.0);
        }
    }
}

simd! {
    /// The gradient of a row of [`turned_rows`]: `d` goes back through position and norm to `out`; the norm's weight
    /// gets its share.
    fn turned_back_row(
        x: &[f32],
        norm: Option<(&[f32], f32)>,
        angles: (&[f32], &[f32]),
        d: &mut [f32],
        out: &mut [f32],
        share: &mut [f32],
    ) {
        turn(d, angles.0, angles.1, -1.0);
        match norm {
            Some((weight, epsilon)) => {
                let inverse = inverse_rms(x, epsilon);
                product_added(share, x, d, inverse);
                norm_back(x, weight, d, inverse, out);
            }
            None => out.copy_from_slice(d),
        }
    }
}

simd! {
    /// The gradient of [`norm_row`] with respect to x.
    fn norm_row_back(x: &[f32], weight: &[f32], dy: &[f32], inverse: f32, dx: &mut [f32]) {
        norm_back(x, weight, dy, inverse, dx);
    }
}

simd! {
    /// total += x · dy · factor: the gradient of [`norm_row`] with respect to its weight.
    fn add_product(total: &mut [f32], x: &[f32], dy: &[f32], factor: f32) {
        product_added(total, x, dy, factor);
    }
}

simd! {
    /// total += x.
    fn add(total: &mut [f32], x: &[f32]) {
        for (t, x) in total.iter_mut().zip(x) {
            *t += x;
        }
    }
}

simd! {
    /// Softmax of scale · x in place; gives the logarithm of the sum of exponentials, from which
    /// [`softmax_row_again`] makes the same row.
    fn softmax_row(x: &mut [f32], scale: f32) -> f32 {
        let top = largest(x);
        let total = exponentials(x, top, scale);
        let inverse = 1.0 / total;
        for v in x.iter_mut() {
            *v *= inverse;
        }
        top * scale + total.ln()
    }
}

simd! {
    /// Softmax of scale · x in place, given its logarithm of the sum of exponentials.
    fn softmax_row_again(x: &mut [f32], scale: f32, log_sum: f32) {
        for v in x.iter_mut() {
            *v = exp(*v * scale - log_sum);
        }
    }
}

simd! {
    /// The gradient of softmax(scale · x): dp <- p (dp - p·dp) scale.
    fn softmax_row_back(p: &[f32], dp: &mut [f32], scale: f32) {
        let n = p.len();
        let dp = &mut dp[..n];
        let mean = sum(p, dp, p, |p, dp, _| p * dp);
        for i in 0..n {
            dp[i] = p[i] * (dp[i] - mean) * scale;
        }
    }
}

simd! {
    /// y = silu(gate) · up.
    fn swiglu_row(gate: &[f32], up: &[f32], y: &mut [f32]) {
        let n = y.len();
        let (gate, up) = (&gate[..n], &up[..n]);
        for i in 0..n {
            y[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
        }
    }
}

simd! {
    /// The gradients of [`swiglu_row`].
    fn swiglu_row_back(gate: &[f32], up: &[f32], dy: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
        let n = dy.len();
        let (gate, up, d_gate, d_up) = (&gate[..n], &up[..n], &mut d_gate[..n], &mut d_up[..n]);
        for i in 0..n {
            let sigmoid = 1.0 / (1.0 + exp(-gate[i]));
            let silu = gate[i] * sigmoid;
            d_up[i] = dy[i] * silu;
            d_gate[i] = dy[i] * up[i] * (sigmoid + silu * (1.0 - sigmoid));
        }
    }
}

/// GELU's tanh form as x · sigmoid(2 u): sigmoid(2 u) = (1 + tanh u) / 2. Gives that sigmoid and the slope of 2 u.
#[inline(always)]
fn gelu_parts(x: f32) -> (f32, f32) {
    // 2 sqrt(2 / pi)
    const TWICE: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::SQRT_2;
    const CUBE: f32 = 0.044_715;
    let u = TWICE * x * (1.0 + CUBE * x * x);
    (1.0 / (1.0 + exp(-u)), TWICE * (1.0 + 3.0 * CUBE * x * x))
}

simd! {
    /// y = gelu(gate) · up, in its tanh form.
    fn geglu_row(gate: &[f32], up: &[f32], y: &mut [f32]) {
        let n = y.len();
        let (gate, up) = (&gate[..n], &up[..n]);
        for i in 0..n {
            y[i] = gate[i] * gelu_parts(gate[i]).0 * up[i];
        }
    }
}

simd! {
    /// The gradients of [`geglu_row`].
    fn geglu_row_back(gate: &[f32], up: &[f32], dy: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
        let n = dy.len();
        let (gate, up, d_gate, d_up) = (&gate[..n], &up[..n], &mut d_gate[..n], &mut d_up[..n]);
        for i in 0..n {
            let (sigmoid, slope) = gelu_parts(gate[i]);
            let gelu = gate[i] * sigmoid;
            d_up[i] = dy[i] * gelu;
            d_gate[i] = dy[i] * up[i] * (sigmoid + gelu * (1.0 - sigmoid) * slope);
        }
    }
}

simd! {
    /// Cross-entropy of a row of logits: its nats; the row becomes factor · (softmax - target).
    fn cross_entropy_row(x: &mut [f32], target: usize, factor: f32) -> f32 {
        let top = largest(x);
        let own = x[target] - top;
        let total = exponentials(x, top, 1.0);
        let k = factor / total;
        for v in x.iter_mut() {
            *v *= k;
        }
        x[target] -= factor;
        total.ln() - own
    }
}

simd! {
    /// Cross-entropy of a row of logits, which is left as it is.
    fn nats_row(x: &[f32], target: usize) -> f32 {
        let top = largest(x);
        sum(x, x, x, |x, _, _| exp(x - top)).ln() - (x[target] - top)
    }
}

simd! {
    /// The largest of each column and what stood in `top`, of rows of that length, a multiple of [`LANES`].
    fn column_maxima(x: &[f32], top: &mut [f32]) {
        let ((x, _), (top, _)) = (x.as_chunks::<LANES>(), top.as_chunks_mut::<LANES>());
        let across = top.len();
        for (v, top) in top.iter_mut().enumerate() {
            let mut own = *top;
            for block in x[v..].iter().step_by(across) {
                for lane in 0..LANES {
                    own[lane] = if block[lane] > own[lane] { block[lane] } else { own[lane] };
                }
            }
            *top = own;
        }
    }
}

simd! {
    /// x <- exp(x - top) in rows of one length, a multiple of [`LANES`], added up by column.
    fn column_exponentials(x: &mut [f32], top: &[f32], total: &mut [f32]) {
        let ((x, _), (top, _), (total, _)) =
            (x.as_chunks_mut::<LANES>(), top.as_chunks::<LANES>(), total.as_chunks_mut::<LANES>());
        let across = top.len();
        for (v, (top, total)) in top.iter().zip(total).enumerate() {
            let (top, mut own) = (*top, *total);
            for block in x[v..].iter_mut().step_by(across) {
                for lane in 0..LANES {
                    block[lane] = exp(block[lane] - top[lane]);
                    own[lane] += block[lane];
                }
            }
            *total = own;
        }
    }
}

simd! {
    /// Each column of rows of one length times its factor.
    fn column_scale(x: &mut [f32], by: &[f32]) {
        for row in x.chunks_exact_mut(by.len()) {
            for (v, by) in row.iter_mut().zip(by) {
                *v *= by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_a_few_units_in_the_last_place() {
        for i in -8000..8000 {
            let x = i as f32 * 0.01;
            let want = f64::from(x).exp();
            let off = (f64::from(exp(x)) - want).abs() / want;
            // 2^-23 is one unit in the last place.
            assert!(off < 4.0 * 2f64.powi(-23), "exp({x}) is off by {off:e}");
        }
    }

    #[test]
    fn rows_of_any_length_are_summed_whole() {
        for n in [0, 1, 15, 16, 17, 40] {
            let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(sum(&x, &x, &x, |x, y, z| x + y - z), (0..n).sum::<usize>() as f32);
        }
        assert_eq!(largest(&[-3.0; 19]), -3.0);
    }
}
