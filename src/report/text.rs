//! How does a report look on a terminal? Sentences wrapped to its width, tables drawn with lines, curves as sparklines,
//! colours where they are wanted. What stands in a report is decided in `content`.

use super::content::{self, background::Background};
use super::page::{Block, Cell, Chart, Page, Series, Table, Tone};
use super::words::Words;
use crate::domain::decision::{Decision, DecisionLog, LoggedDecision, Recommendation};
use crate::domain::language::Lang;
use crate::domain::profile::Profile;
use crate::domain::run::Run;
use comfy_table::{
    Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, TableStyle, Width,
};
use owo_colors::OwoColorize;

/// How a text report is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal; below 40 counts as 40.
    pub width: u16,
    /// Whether ANSI colours may be used; not for files, pipes and `NO_COLOR`.
    pub colour: bool,
    /// The language.
    pub lang: Lang,
}

impl Default for Style {
    /// 100 columns of plain English.
    fn default() -> Self {
        Self { width: 100, colour: false, lang: Lang::En }
    }
}

impl Style {
    /// English, as wide as the terminal that stdout is, but not so wide that lines are hard to follow.
    pub fn for_terminal(colour: bool) -> Self {
        let width = comfy_table::Table::new().width().unwrap_or(Self::default().width).min(120);
        Self { width, colour, ..Self::default() }
    }

    /// The same in another language.
    pub fn in_language(self, lang: Lang) -> Self {
        Self { lang, ..self }
    }
}

/// So many of a thing, in English: "1 run", "3 runs".
pub fn counted(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", super::numbers::count(n, Lang::En), if n == 1 { "" } else { "s" })
}

/// The profile of a tokenizer pair.
pub fn profile(profile: &Profile, style: &Style) -> String {
    render(&content::profile::page(profile, &Words::new(style.lang)), *style)
}

/// What it takes to follow a decision, or to disagree with it.
pub fn brief(profile: &Profile, decision: &Decision, background: Background<'_>, style: &Style) -> String {
    render(&content::decision::brief(profile, decision, background, &Words::new(style.lang)), *style)
}

/// A decision with the evidence it rests on, beside what the seed expected and past runs measured.
pub fn dossier(profile: &Profile, decision: &Decision, background: Background<'_>, style: &Style) -> String {
    render(&content::background::dossier(profile, decision, background, &Words::new(style.lang)), *style)
}

/// How a run went: losses before and after, curves, incidents, files, what to run next.
pub fn run(run: &Run, style: &Style) -> String {
    render(&content::run::page(run, &Words::new(style.lang)), *style)
}

/// Past runs, a line each.
pub fn history(runs: &[Run], style: &Style) -> String {
    render(&content::history::list(runs, &Words::new(style.lang)), *style)
}

/// Past runs side by side.
pub fn compare(runs: &[Run], style: &Style) -> String {
    render(&content::history::compare(runs, &Words::new(style.lang)), *style)
}

/// The decision log, a line each.
pub fn decisions(log: &DecisionLog, style: &Style) -> String {
    render(&content::log::list(log, &Words::new(style.lang)), *style)
}

/// What a service recommended.
pub fn recommendation(given: &Recommendation, style: &Style) -> String {
    render(&content::log::recommendation(given, &Words::new(style.lang)), *style)
}

/// A logged decision whole, with what became of it.
pub fn logged(logged: &LoggedDecision, became: Option<&Run>, style: &Style) -> String {
    render(&content::log::entry(logged, became, &Words::new(style.lang)), *style)
}

fn render(page: &Page, look: Style) -> String {
    let look = Style { width: look.width.max(40), ..look };
    let mut out = lines(&page.title, "", look, Tone::Strong) + "\n";
    for block in &page.blocks {
        let text = match block {
            Block::Heading(title) => lines(title, "", look, Tone::Strong),
            Block::Answer(tone, sentence) => lines(sentence, "", look, *tone),
            Block::Text(sentence) => lines(sentence, "", look, Tone::Plain),
            Block::Note(sentence) => lines(sentence, "", look, Tone::Muted),
            Block::List(items) => {
                items.iter().map(|item| lines(item, "- ", look, Tone::Plain)).collect::<Vec<_>>().join("\n")
            }
            Block::Table(rows) => table(rows, look),
            Block::Chart(chart) => draw(chart, look),
            Block::Commands(commands) => {
                commands.iter().map(|c| paint(&format!("  {c}"), Tone::Strong, look)).collect::<Vec<_>>().join("\n")
            }
        };
        if text.is_empty() {
            continue;
        }
        // A blank line above every block but what follows its heading at once.
        if !out.ends_with("\n\n") && !matches!(block, Block::Note(_)) {
            out.push('\n');
        }
        out.push_str(&text);
        out.push('\n');
        if matches!(block, Block::Heading(_)) {
            out.push('\n');
        }
    }
    out
}

fn paint(text: &str, tone: Tone, look: Style) -> String {
    match (look.colour, tone) {
        (false, _) | (true, Tone::Plain) => text.to_string(),
        (true, Tone::Strong) => text.bold().to_string(),
        (true, Tone::Good) => text.green().to_string(),
        (true, Tone::Bad) => text.red().to_string(),
        (true, Tone::Muted) => text.dimmed().to_string(),
    }
}

/// The text broken at spaces so that no line is wider than the terminal, unless a single word is.
fn lines(text: &str, bullet: &str, look: Style, tone: Tone) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let indent = bullet.chars().count();
    let options = textwrap::Options::new(usize::from(look.width) - indent)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let line = |(i, line): (usize, &std::borrow::Cow<'_, str>)| {
        let start = if i == 0 { bullet.to_string() } else { " ".repeat(indent) };
        start + &paint(line, tone, look)
    };
    textwrap::wrap(text, options).iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// A rule under the header, none between rows and none around.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Spaces between two columns of a table; the last of them is the junction of the rule.
const GAP: u16 = 2;

/// With a row a line where the columns fit side by side, else with a line a cell.
fn table(rows: &Table, look: Style) -> String {
    let least: Vec<u16> = (0..rows.columns.len()).map(|i| least_width(rows, i)).collect();
    let gaps = GAP * u16::try_from(least.len().saturating_sub(1)).unwrap_or(u16::MAX);
    if least.iter().copied().fold(gaps, u16::saturating_add) > look.width {
        return records(rows, look);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(LINES);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let plain = Tone::Plain;
    table.set_header(rows.columns.iter().map(|c| cell(&c.title, plain, c.right)).collect::<Vec<_>>());
    for row in &rows.rows {
        let cells = row.iter().zip(&rows.columns).map(|(Cell { text, tone }, column)| cell(text, *tone, column.right));
        table.add_row(cells.collect::<Vec<_>>());
    }
    let last = least.len().saturating_sub(1);
    for (i, (column, width)) in table.column_iter_mut().zip(least).enumerate() {
        let gap = if i == last { 0 } else { GAP - 1 };
        column.set_padding((0, gap)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + gap)));
    }
    table.trim_fmt()
}

/// Numbers stay on one line, words in one piece unless they are very long; the first column says which row it is.
fn least_width(rows: &Table, column: usize) -> u16 {
    let longest_word = |text: &str| text.split(' ').map(|w| w.chars().count()).max().unwrap_or(0);
    let title = rows.columns.get(column).map_or(0, |c| longest_word(&c.title));
    let right = rows.columns.get(column).is_some_and(|c| c.right);
    let cells = rows.rows.iter().filter_map(|row| row.get(column)).map(|cell| match (right, column) {
        (true, _) => cell.text.chars().count(),
        (false, 0) => longest_word(&cell.text).min(36),
        (false, _) => longest_word(&cell.text).min(14),
    });
    u16::try_from(cells.fold(title, usize::max)).unwrap_or(u16::MAX)
}

fn records(rows: &Table, look: Style) -> String {
    let wide = rows.columns.iter().map(|c| c.title.chars().count()).max().unwrap_or(0);
    let record = |row: &Vec<Cell>| {
        let cells = row.iter().zip(&rows.columns).enumerate().filter(|(_, (cell, _))| !cell.text.is_empty());
        let lines = cells.map(|(i, (cell, column))| {
            let bullet = if i == 0 { "" } else { "  " };
            let title = if i == 0 { String::new() } else { format!("{:wide$}  ", column.title) };
            lines(&cell.text, &format!("{bullet}{title}"), look, cell.tone)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    rows.rows.iter().map(record).collect::<Vec<_>>().join("\n")
}

fn cell(text: &str, tone: Tone, right: bool) -> comfy_table::Cell {
    let cell = comfy_table::Cell::new(text);
    let cell = cell.set_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Muted => cell.add_attribute(Attribute::Dim),
    }
}

/// A chart in letters, for forms that have no better one.
pub(super) fn draw_plain(chart: &Chart, lang: Lang) -> String {
    draw(chart, Style { lang, ..Style::default() })
}

fn draw(chart: &Chart, look: Style) -> String {
    match chart {
        Chart::Curves { title, series, .. } => {
            let wide = series.iter().map(|s| s.name.chars().count()).max().unwrap_or(0);
            let room = usize::from(look.width).saturating_sub(wide + 24).clamp(10, 60);
            let curves = series.iter().map(|s| curve(s, wide, room, look.lang));
            std::iter::once(title.clone()).chain(curves).collect::<Vec<_>>().join("\n")
        }
        // Every number of these stands in a table or a sentence beside them.
        Chart::Bars { .. } | Chart::Intervals { .. } | Chart::Position { .. } => String::new(),
    }
}

fn curve(series: &Series, wide: usize, room: usize, lang: Lang) -> String {
    let values: Vec<f64> = series.points.iter().map(|(_, y)| *y).collect();
    let end = |y: Option<&f64>| super::numbers::fixed(y.copied().unwrap_or(f64::NAN), 3, lang);
    format!("  {:wide$}  {:>7} {} {}", series.name, end(values.first()), sparkline(&values, room), end(values.last()))
}

/// The values as blocks of eight heights between their least and their greatest, thinned out to `room` columns.
fn sparkline(values: &[f64], room: usize) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let columns = finite.len().min(room);
    let height = |value: f64| {
        let part = if high > low { (value - low) / (high - low) } else { 0.0 };
        HEIGHTS.get((part * 7.0).round() as usize).copied().unwrap_or('█')
    };
    (0..columns).filter_map(|i| finite.get(i * (finite.len() - 1) / (columns - 1).max(1))).map(|v| height(*v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases;
    use crate::report::page::Column;

    #[test]
    fn a_table_too_wide_for_the_terminal_becomes_a_list() {
        let column = |title: &str| Column { title: title.into(), right: false };
        let rows = Table {
            columns: vec![column("name"), column("where it stands"), column("how")],
            rows: vec![vec![
                String::from("first").into(),
                String::from("somewhere").into(),
                String::from("well").into(),
            ]],
        };
        let narrow = Style { width: 20, ..Style::default() };
        assert_eq!(table(&rows, narrow), "first\n  where it stands  somewhere\n  how              well");
        assert_eq!(table(&rows, Style::default()).lines().count(), 3);
    }

    #[test]
    fn a_sparkline_rises_from_its_least_to_its_greatest_value() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[1.0, 1.0], 8), "▁▁");
        assert_eq!(sparkline(&[], 8), "");
        assert_eq!(sparkline(&[1.0, f64::NAN, 2.0], 8), "▁█");
    }

    #[test]
    fn a_long_sparkline_is_thinned_out_and_keeps_both_ends() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let line = sparkline(&values, 20);
        assert_eq!(line.chars().count(), 20);
        assert!(line.starts_with('▁') && line.ends_with('█'));
    }

    #[test]
    fn things_are_counted() {
        assert_eq!((counted(1, "run"), counted(1_200, "run")), ("1 run".into(), "1,200 runs".into()));
    }

    #[test]
    fn sentences_are_wrapped_to_the_width_and_bullets_hang() {
        let look = Style { width: 20, ..Style::default() };
        assert_eq!(lines("one two three four five", "- ", look, Tone::Plain), "- one two three four\n  five");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [60, 80, 120] {
            let look = Style { width, ..Style::default() };
            let runs = [cases::direct_run()];
            let made = (cases::profile(), cases::decision());
            let both = brief(&made.0, &made.1, cases::background(&runs), &look)
                + &dossier(&made.0, &made.1, cases::background(&runs), &look);
            for line in both.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn wrapping_loses_no_word_and_keeps_to_the_width(text in "[a-zçğıöşü ]{0,200}", width in 40u16..120) {
            let wrapped = lines(&text, "- ", Style { width, ..Style::default() }, Tone::Plain);
            let words: Vec<&str> = wrapped.trim_start_matches("- ").split_whitespace().collect();
            proptest::prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
            for line in wrapped.lines() {
                let one_word = line.trim_start_matches("- ").split_whitespace().count() <= 1;
                proptest::prop_assert!(one_word || line.chars().count() <= usize::from(width));
            }
        }
    }

    #[test]
    fn a_plain_report_has_no_escape_codes_and_a_coloured_one_has() {
        let plain = Style::default();
        let coloured = Style { colour: true, ..plain };
        assert!(!history(&[], &plain).contains('\x1b'));
        assert!(history(&[], &coloured).contains('\x1b'));
    }
}
