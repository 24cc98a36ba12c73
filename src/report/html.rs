//! How does a report look in a browser? One file that needs no other: style and charts stand in it, nothing is loaded
//! from elsewhere, and there is no script. What stands in a report is decided in `content`.

use super::charts;
use super::content::{self, background::Background};
use super::page::{Block, Cell, Page, Table, Tone};
use super::words::Words;
use crate::domain::decision::{Decision, DecisionLog, LoggedDecision, Recommendation};
use crate::domain::language::Lang;
use crate::domain::profile::Profile;
use crate::domain::run::Run;
use maud::{DOCTYPE, Markup, PreEscaped, html};

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
    Parts { title: page.title.clone(), body: body(page, lang).into_string() }
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
    let page = html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body { main { h1 { (page.title) } (body(page, lang)) } }
        }
    };
    page.into_string()
}

/// The blocks, a line each.
fn body(page: &Page, lang: Lang) -> Markup {
    html! { @for block in &page.blocks { (element(block, lang)) "\n" } }
}

fn element(block: &Block, lang: Lang) -> Markup {
    match block {
        Block::Heading(title) => html! { h2 { (title) } },
        Block::Answer(tone, sentence) => html! { p class={ "answer " (class(*tone)) } { (sentence) } },
        Block::Text(sentence) => html! { p { (sentence) } },
        Block::Note(sentence) => html! { p.note { (sentence) } },
        Block::List(items) => html! { ul { @for item in items { li { (item) } } } },
        Block::Table(rows) => table(rows),
        Block::Chart(chart) => {
            let title = charts::title(chart);
            html! {
                figure role="img" aria-label=(title) {
                    figcaption { (title) }
                    (PreEscaped(charts::svg(chart, lang)))
                }
            }
        }
        Block::Commands(commands) => html! { pre { code { (commands.join("\n")) } } },
    }
}

fn table(rows: &Table) -> Markup {
    let side = |right: bool| right.then_some("right");
    let classes = |cell: &Cell, right: bool| {
        let classes = [side(right).unwrap_or(""), class(cell.tone)].join(" ");
        Some(classes.trim().to_string()).filter(|c| !c.is_empty())
    };
    html! {
        div.table {
            table {
                thead { tr { @for c in &rows.columns { th scope="col" class=[side(c.right)] { (c.title) } } } }
                tbody {
                    @for row in &rows.rows {
                        tr {
                            @for (i, (cell, column)) in row.iter().zip(&rows.columns).enumerate() {
                                @let classes = classes(cell, column.right);
                                @if i == 0 { th scope="row" class=[classes] { (cell.text) } }
                                @else { td class=[classes] { (cell.text) } }
                            }
                        }
                        "\n"
                    }
                }
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::{Because, Warnings};
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
        profile.warnings = Warnings(vec![Because::Said("<b>bold</b> & 'quoted'".into())]);
        let page = super::profile(&profile, Lang::En);
        assert!(!page.contains("<img") && !page.contains("<b>"));
        assert!(page.contains("&lt;b&gt;bold&lt;/b&gt; &amp; 'quoted'"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_from_outside_keeps_a_mark(text in ".*") {
            let safe = element(&Block::Text(text.clone()), Lang::En).into_string();
            let safe = safe.strip_prefix("<p>").unwrap().strip_suffix("</p>").unwrap();
            proptest::prop_assert!(!safe.contains(['<', '>', '"']));
            let back = safe.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
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
