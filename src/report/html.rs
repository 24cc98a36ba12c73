//! How does a report look in a browser? One file that needs no other: style and charts stand in it, nothing is loaded
//! from elsewhere, and there is no script. What stands in a report is decided in `content`.

use super::charts;
use super::content::{self, background::Background};
use super::page::{Block, Cell, Page, Table, Tone};
use super::words::{Lang, Words};
use crate::domain::decision::{Decision, LoggedDecision};
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

/// A report without its frame: title and elements, for a page that has a frame of its own.
pub struct Parts {
    /// As text, not escaped.
    pub title: String,
    /// As elements.
    pub body: String,
}

fn parts(page: &Page, lang: Lang) -> Parts {
    let body: Vec<String> = page.blocks.iter().map(|block| element(block, lang)).collect();
    Parts { title: page.title.clone(), body: body.join("\n") }
}

/// As [`profile`], without its frame.
pub fn profile_parts(profile: &Profile, lang: Lang) -> Parts {
    parts(&content::profile::page(profile, &Words::new(lang)), lang)
}

/// As [`decision`], without its frame.
pub fn decision_parts(profile: &Profile, decision: &Decision, background: Background<'_>, lang: Lang) -> Parts {
    parts(&content::background::dossier(profile, decision, background, &Words::new(lang)), lang)
}

/// As [`run`], without its frame.
pub fn run_parts(run: &Run, lang: Lang) -> Parts {
    parts(&content::run::page(run, &Words::new(lang)), lang)
}

/// Past runs side by side.
pub fn compare(runs: &[Run], lang: Lang) -> String {
    render(&content::history::compare(runs, &Words::new(lang)), lang)
}

/// Logged decisions with what became of them, a line each.
pub fn decisions(all: &[(LoggedDecision, Option<Run>)], lang: Lang) -> String {
    render(&content::log::list(all, &Words::new(lang)), lang)
}

/// A logged decision whole, with what became of it.
pub fn logged(logged: &LoggedDecision, became: Option<&Run>, lang: Lang) -> String {
    render(&content::log::entry(logged, became, &Words::new(lang)), lang)
}

fn render(page: &Page, lang: Lang) -> String {
    let title = escaped(&page.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        include_str!("report.css")
    );
    for block in &page.blocks {
        out.push_str(&element(block, lang));
        out.push('\n');
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn element(block: &Block, lang: Lang) -> String {
    match block {
        Block::Heading(title) => format!("<h2>{}</h2>", escaped(title)),
        Block::Answer(tone, sentence) => format!("<p class=\"answer {}\">{}</p>", class(*tone), escaped(sentence)),
        Block::Text(sentence) => format!("<p>{}</p>", escaped(sentence)),
        Block::Note(sentence) => format!("<p class=\"note\">{}</p>", escaped(sentence)),
        Block::List(items) => {
            let items: Vec<String> = items.iter().map(|i| format!("<li>{}</li>", escaped(i))).collect();
            format!("<ul>\n{}\n</ul>", items.join("\n"))
        }
        Block::Table(rows) => table(rows),
        Block::Chart(chart) => {
            let title = escaped(charts::title(chart));
            let drawn = charts::svg(chart, lang);
            format!("<figure role=\"img\" aria-label=\"{title}\">\n<figcaption>{title}</figcaption>\n{drawn}</figure>")
        }
        Block::Commands(commands) => format!("<pre><code>{}</code></pre>", escaped(&commands.join("\n"))),
    }
}

fn table(rows: &Table) -> String {
    let side = |right: bool| if right { " class=\"right\"" } else { "" };
    let head: String =
        rows.columns.iter().map(|c| format!("<th scope=\"col\"{}>{}</th>", side(c.right), escaped(&c.title))).collect();
    let cell = |(i, (cell, right)): (usize, (&Cell, bool))| {
        let text = escaped(&cell.text);
        let classes = [if right { "right" } else { "" }, class(cell.tone)].join(" ");
        let classes = classes.trim();
        let classes = if classes.is_empty() { String::new() } else { format!(" class=\"{classes}\"") };
        if i == 0 { format!("<th scope=\"row\"{classes}>{text}</th>") } else { format!("<td{classes}>{text}</td>") }
    };
    let row = |row: &Vec<Cell>| {
        let cells: String = row.iter().zip(rows.columns.iter().map(|c| c.right)).enumerate().map(cell).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = rows.rows.iter().map(row).collect();
    format!("<div class=\"table\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>")
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Strong => "strong",
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Muted => "muted",
    }
}

/// Letters that HTML would read as marks, taken literally, in text and in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases;

    fn whole(lang: Lang) -> String {
        let runs = [cases::direct_run(), cases::failed_run()];
        decision(&cases::profile(), &cases::decision(), cases::background(&runs), lang)
            + &run(&runs[0], lang)
            + &history(&runs, lang)
            + &profile(&cases::profile(), lang)
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_runs() {
        let page = whole(Lang::En);
        for forbidden in ["<script", "<link", "src=", "@import", "url(", "href="] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        // The only address is the name of SVG's vocabulary, which no browser fetches.
        let addresses = page.matches("http").count();
        assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    }

    #[test]
    fn names_from_outside_cannot_become_elements() {
        let mut profile = cases::profile();
        profile.candidate.name = "<img onerror=alert(1)>\"".into();
        profile.warnings = vec!["<b>bold</b> & 'quoted'".into()];
        let page = super::profile(&profile, Lang::En);
        assert!(!page.contains("<img") && !page.contains("<b>"));
        assert!(page.contains("&lt;b&gt;bold&lt;/b&gt; &amp; &#39;quoted&#39;"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_from_outside_keeps_a_mark(text in ".*") {
            let safe = escaped(&text);
            proptest::prop_assert!(!safe.contains(['<', '>', '"', '\'']));
            let back = safe.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            proptest::prop_assert_eq!(back.replace("&amp;", "&"), text);
        }
    }

    #[test]
    fn every_element_that_is_opened_is_closed() {
        for lang in [Lang::En, Lang::Tr] {
            let page = whole(lang);
            for name in ["html", "main", "table", "tr", "td", "th", "ul", "li", "p", "h1", "h2", "figure", "svg", "div"]
            {
                let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
                assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "{name}");
            }
            assert!(page.contains(&format!("<html lang=\"{lang}\">")));
        }
    }

    #[test]
    fn every_figure_of_a_decision_is_drawn() {
        let page = decision(&cases::profile(), &cases::decision(), cases::background(&[]), Lang::En);
        assert_eq!(page.matches("<figure").count(), page.matches("<svg").count());
        assert_eq!(page.matches("<svg").count(), 5);
    }
}
