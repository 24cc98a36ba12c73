//! Do the reports still read as they were approved? Every form in both languages, as files to be read aloud. Pictures
//! are left out: what they show stands beside them, and `charts` has tests of its own.

use super::text::{self, Style};
use super::{Lang, cases, html, json, markdown};
use crate::domain::profile::Profile;

#[track_caller]
fn check(name: String, report: String) {
    insta::with_settings!({
        omit_expression => true,
        prepend_module_to_snapshot => false,
        filters => vec![(r"<svg[\s\S]*?</svg>", "<svg/>"), (r"<style>[\s\S]*?</style>", "<style/>")],
    }, {
        insta::assert_snapshot!(name, report);
    });
}

/// A profile measured without a text and without a model.
fn bare() -> Profile {
    Profile {
        corpus: None,
        fertility: None,
        bytes_per_token: None,
        token_ratio: None,
        round_trip: None,
        unknown_rate: None,
        unknown_bytes: None,
        model: None,
        ..cases::profile()
    }
}

#[test]
fn text_reads_as_it_was_approved() {
    let runs = [cases::direct_run(), cases::failed_run(), cases::open_run()];
    let (profile, decision) = (cases::profile(), cases::decision());
    for lang in [Lang::En, Lang::Tr] {
        let style = Style::default().in_language(lang);
        check(format!("profile-{lang}"), text::profile(&profile, &style));
        check(format!("profile-bare-{lang}"), text::profile(&bare(), &style));
        check(format!("brief-{lang}"), text::brief(&profile, &decision, cases::background(&runs), &style));
        check(format!("decisions-{lang}"), text::decisions(&cases::log(), &style));
        check(format!("logged-{lang}"), text::logged(&cases::logged(), Some(&runs[0]), &style));
        check(format!("dossier-{lang}"), text::dossier(&profile, &decision, cases::background(&runs), &style));
        check(format!("run-{lang}"), text::run(&runs[0], &style));
        check(format!("run-failed-{lang}"), text::run(&runs[1], &style));
        check(format!("run-open-{lang}"), text::run(&runs[2], &style));
        check(format!("history-{lang}"), text::history(&runs, &style));
        check(format!("compare-{lang}"), text::compare(&runs, &style));
    }
    let coloured = Style { colour: true, ..Style::default() };
    check("history-coloured".into(), text::history(&runs, &coloured));
}

#[test]
fn markdown_reads_as_it_was_approved() {
    let runs = [cases::direct_run(), cases::failed_run()];
    for lang in [Lang::En, Lang::Tr] {
        let report = markdown::decision(&cases::profile(), &cases::decision(), cases::background(&runs), lang);
        check(format!("markdown-decision-{lang}"), report);
        check(format!("markdown-run-{lang}"), markdown::run(&runs[0], lang));
        check(format!("markdown-history-{lang}"), markdown::history(&runs, lang));
        check(format!("markdown-profile-{lang}"), markdown::profile(&cases::profile(), lang));
        check(format!("markdown-compare-{lang}"), markdown::compare(&runs, lang));
        check(format!("markdown-decisions-{lang}"), markdown::decisions(&cases::log(), lang));
    }
}

#[test]
fn html_reads_as_it_was_approved() {
    let runs = [cases::direct_run(), cases::failed_run()];
    for lang in [Lang::En, Lang::Tr] {
        let report = html::decision(&cases::profile(), &cases::decision(), cases::background(&runs), lang);
        check(format!("html-decision-{lang}"), report);
        check(format!("html-run-{lang}"), html::run(&runs[0], lang));
        check(format!("html-profile-{lang}"), html::profile(&bare(), lang));
        check(format!("html-history-{lang}"), html::history(&runs, lang));
        check(format!("html-decisions-{lang}"), html::decisions(&cases::log(), lang));
    }
}

#[test]
fn json_is_as_it_was_approved() {
    let whole = |value: serde_json::Value| format!("{value:#}");
    check("json-decision".into(), whole(json::decision(&cases::profile(), &cases::decision())));
    check("json-run".into(), whole(json::run(&cases::direct_run())));
    check("json-logged".into(), whole(json::logged(&cases::logged(), None)));
}
