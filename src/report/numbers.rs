//! How is a number written for a person? Grouped, rounded as far as is honest, with its unit, and in Turkish with the
//! comma and the percent sign where Turkish has them. Knows no profile and no run.

use super::words::{Words, say};
use crate::domain::language::Lang;

/// Shown where a number is missing or not finite.
const NOTHING: &str = "-";

/// Digits in groups of three.
pub(super) fn count(n: u64, lang: Lang) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(if lang == Lang::Tr { '.' } else { ',' });
        }
        grouped.push(digit);
    }
    grouped
}

/// With so many decimals.
pub(super) fn fixed(value: f64, decimals: usize, lang: Lang) -> String {
    if !value.is_finite() {
        return NOTHING.to_string();
    }
    let mut text = format!("{value:.decimals$}");
    if text.starts_with('-') && text.chars().all(|c| "-0.".contains(c)) {
        text.remove(0);
    }
    if lang == Lang::Tr { text.replace('.', ",") } else { text }
}

/// With its sign, also where it is positive.
pub(super) fn signed(value: f64, decimals: usize, lang: Lang) -> String {
    let text = fixed(value, decimals, lang);
    if value > 0.0 && text.chars().any(|c| ('1'..='9').contains(&c)) { format!("+{text}") } else { text }
}

/// A share as a percentage: one decimal, more where that would show nothing at all.
pub(super) fn percent(share: f64, lang: Lang) -> String {
    let value = share * 100.0;
    let decimals = if value != 0.0 && value.abs() < 0.05 { 3 } else { 1 };
    let text = fixed(value, decimals, lang);
    match lang {
        _ if !value.is_finite() => text,
        Lang::En => format!("{text}%"),
        Lang::Tr => format!("%{text}"),
    }
}

/// A share as a whole percentage.
pub(super) fn whole_percent(share: f64, lang: Lang) -> String {
    let text = fixed(share * 100.0, 0, lang);
    if lang == Lang::Tr { format!("%{text}") } else { format!("{text}%") }
}

/// With as many decimals as it has, six at most.
pub(super) fn exact(value: f64, lang: Lang) -> String {
    let text = fixed(value, 6, Lang::En);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if lang == Lang::Tr { text.replace('.', ",") } else { text.to_string() }
}

/// Rounded to three figures: a count that is known no better.
pub(super) fn rough(n: f64, lang: Lang) -> String {
    let scale = 10f64.powi((n.abs().max(1.0).log10().floor() as i32 - 2).max(0));
    count(((n.abs() / scale).round() * scale) as u64, lang)
}

/// In the largest binary unit that leaves at least 1.
pub(super) fn bytes(n: u64, lang: Lang) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        // 1023.95 would be written as 1024.0.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{} {unit}", fixed(value, 1, lang))
}

/// In thousands, millions or billions: 8.2 B.
pub(super) fn short(n: f64, lang: Lang) -> String {
    let (value, unit) = match n.abs() {
        _ if !n.is_finite() => return NOTHING.to_string(),
        a if a >= 999.5e6 => (n / 1e9, if lang == Lang::Tr { " Mr" } else { " B" }),
        a if a >= 999.5e3 => (n / 1e6, if lang == Lang::Tr { " Mn" } else { " M" }),
        a if a >= 9_999.5 => (n / 1e3, if lang == Lang::Tr { " bin" } else { " k" }),
        _ => return count(n.abs().round() as u64, lang),
    };
    format!("{}{unit}", fixed(value, if value.abs() < 99.95 { 1 } else { 0 }, lang))
}

/// In the two units that matter: 3 min 20 s.
pub(super) fn duration(seconds: f64, words: &Words) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_string();
    }
    if seconds < 9.95 {
        return say!(words, "unit-seconds", n = fixed(seconds, 1, words.lang));
    }
    let s = seconds.round() as u64;
    let two = |large: u64, small: u64| ((s / large).to_string(), (s % large / small).to_string());
    match s {
        0..60 => say!(words, "unit-seconds", n = s.to_string()),
        60..3_600 => {
            let (n, rest) = two(60, 1);
            say!(words, "unit-minutes", n = n, rest = rest)
        }
        3_600..86_400 => {
            let (n, rest) = two(3_600, 60);
            say!(words, "unit-hours", n = n, rest = rest)
        }
        _ => {
            let (n, rest) = two(86_400, 3_600);
            say!(words, "unit-days", n = n, rest = rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_are_grouped_the_way_of_the_language() {
        assert_eq!(count(151_936, Lang::En), "151,936");
        assert_eq!(count(1_234_567, Lang::Tr), "1.234.567");
        assert_eq!(count(999, Lang::En), "999");
    }

    proptest::proptest! {
        #[test]
        fn grouping_changes_no_digit(n: u64) {
            for (lang, mark) in [(Lang::En, ","), (Lang::Tr, ".")] {
                let grouped = count(n, lang);
                proptest::prop_assert_eq!(grouped.replace(mark, ""), n.to_string());
                proptest::prop_assert!(grouped.split(mark).skip(1).all(|group| group.len() == 3));
            }
        }
    }

    #[test]
    fn a_number_that_is_none_is_not_written_as_one() {
        assert_eq!(fixed(f64::NAN, 2, Lang::En), "-");
        assert_eq!(percent(f64::INFINITY, Lang::Tr), "-");
        assert_eq!(short(f64::NAN, Lang::En), "-");
    }

    #[test]
    fn decimals_that_say_nothing_are_left_out() {
        assert_eq!(exact(0.5, Lang::Tr), "0,5");
        assert_eq!(exact(0.550_623_418_7, Lang::En), "0.550623");
        assert_eq!(exact(18.0, Lang::En), "18");
        assert_eq!(rough(1_010_123.4, Lang::En), "1,010,000");
        assert_eq!(rough(87.0, Lang::En), "87");
        assert_eq!(whole_percent(0.74, Lang::Tr), "%74");
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(fixed(-0.0001, 2, Lang::En), "0.00");
        assert_eq!(signed(0.0001, 2, Lang::En), "0.00");
        assert_eq!(signed(0.5, 2, Lang::Tr), "+0,50");
        assert_eq!(signed(-0.5, 2, Lang::En), "-0.50");
    }

    #[test]
    fn small_shares_do_not_round_to_nothing() {
        assert_eq!(percent(0.2134, Lang::En), "21.3%");
        assert_eq!(percent(0.2134, Lang::Tr), "%21,3");
        assert_eq!(percent(0.000_12, Lang::En), "0.012%");
        assert_eq!(percent(0.0, Lang::En), "0.0%");
    }

    #[test]
    fn sizes_and_durations_come_in_units_a_person_reads() {
        assert_eq!(bytes(512, Lang::En), "512 B");
        assert_eq!(bytes(1_288_490_189, Lang::En), "1.2 GiB");
        assert_eq!(bytes(1024 * 1024 - 1, Lang::En), "1.0 MiB");
        let (en, tr) = (Words::new(Lang::En), Words::new(Lang::Tr));
        assert_eq!(duration(200.0, &en), "3 min 20 s");
        assert_eq!(duration(200.0, &tr), "3 dk 20 sn");
        assert_eq!(duration(2.25, &tr), "2,2 sn");
        assert_eq!(duration(59.7, &en), "1 min 0 s");
        assert_eq!(duration(65_000.0, &en), "18 h 3 min");
        assert_eq!(duration(200_000.0, &en), "2 d 7 h");
        assert_eq!(short(8_190_735_360.0, Lang::En), "8.2 B");
        assert_eq!(short(260_032.0, Lang::En), "260 k");
        assert_eq!(short(9_999.0, Lang::En), "9,999");
    }
}
