//! How does a report look in Markdown? For issues, wikis and version control: headings, tables, lists; curves as
//! sparklines. What stands in a report is decided in `content`.

use super::content::{self, background::Background};
use super::page::{Block, Chart, Page, Table, Tone};
use super::text;
use super::words::Words;
use crate::domain::decision::{Decision, DecisionLog, LoggedDecision, Recommendation};
use crate::domain::language::Lang;
use crate::domain::profile::Profile;
use crate::domain::run::Run;

/// The profile of a tokenizer pair.
pub fn profile(profile: &Profile, lang: Lang) -> String {
    render(&content::profile::page(profile, &Words::new(lang)), lang)
}

/// A decision with the evidence it rests on, beside what the seed expected and past runs measured.
pub fn decision(profile: &Profile, decision: &Decision, background: Background<'_>, lang: Lang) -> String {
    render(&content::background::dossier(profile, decision, background, &Words::new(lang)), lang)
}

/// How a run went.
pub fn run(run: &Run, lang: Lang) -> String {
    render(&content::run::page(run, &Words::new(lang)), lang)
}

/// Past runs, a line each.
pub fn history(runs: &[Run], lang: Lang) -> String {
    render(&content::history::list(runs, &Words::new(lang)), lang)
}

/// Past runs side by side.
pub fn compare(runs: &[Run], lang: Lang) -> String {
    render(&content::history::compare(runs, &Words::new(lang)), lang)
}

/// The decision log, a line each.
pub fn decisions(log: &DecisionLog, lang: Lang) -> String {
    render(&content::log::list(log, &Words::new(lang)), lang)
}

/// What a service recommended.
pub fn recommendation(given: &Recommendation, lang: Lang) -> String {
    render(&content::log::recommendation(given, &Words::new(lang)), lang)
}

/// A logged decision whole, with what became of it.
pub fn logged(logged: &LoggedDecision, became: Option<&Run>, lang: Lang) -> String {
    render(&content::log::entry(logged, became, &Words::new(lang)), lang)
}

fn render(page: &Page, lang: Lang) -> String {
    let mut out = format!("# {}\n", escaped(&page.title));
    for block in &page.blocks {
        let text = match block {
            Block::Heading(title) => format!("## {}", escaped(title)),
            Block::Answer(_, sentence) => format!("**{}**", escaped(sentence)),
            Block::Text(sentence) => escaped(sentence),
            Block::Note(sentence) => format!("_{}_", escaped(sentence)),
            Block::List(items) => items.iter().map(|i| format!("- {}", escaped(i))).collect::<Vec<_>>().join("\n"),
            Block::Table(rows) => table(rows),
            Block::Chart(chart) => match chart {
                Chart::Curves { .. } => format!("```text\n{}\n```", text::draw_plain(chart, lang)),
                Chart::Bars { .. } | Chart::Intervals { .. } | Chart::Position { .. } => continue,
            },
            Block::Commands(commands) => format!("```sh\n{}\n```", commands.join("\n")),
        };
        out.push('\n');
        out.push_str(&text);
        out.push('\n');
    }
    out
}

fn table(rows: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = vec![line(rows.columns.iter().map(|c| escaped(&c.title)).collect())];
    lines.push(line(rows.columns.iter().map(|c| if c.right { "---:" } else { ":---" }.to_string()).collect()));
    for row in &rows.rows {
        let cells = row.iter().map(|cell| match (cell.tone, cell.text.is_empty()) {
            (Tone::Strong, false) => format!("**{}**", escaped(&cell.text)),
            _ => escaped(&cell.text),
        });
        lines.push(line(cells.collect()));
    }
    lines.join("\n")
}

/// Letters that Markdown or HTML would read as marks, taken literally.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases;

    #[test]
    fn names_from_outside_cannot_become_marks() {
        assert_eq!(escaped("a_b|<c>\n*d*"), "a\\_b\\|&lt;c&gt; \\*d\\*");
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_header() {
        let report =
            decision(&cases::profile(), &cases::decision(), cases::background(&[cases::direct_run()]), Lang::Tr);
        let mut width = None;
        for line in report.lines() {
            let cells = line.replace("\\|", "").matches('|').count();
            width = if line.starts_with('|') { Some(*width.get_or_insert(cells)) } else { None };
            assert!(width.is_none_or(|w| w == cells), "{line}");
        }
    }
}
