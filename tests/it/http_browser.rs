//! The pages in a real browser: open, start a demo, watch the curve move, open the decision, give feedback, compare.
//! Skips, with a message, where there is no Chromium. Leaves screenshots in `target/browser`.

use crate::real_data::skip;
use crate::service::{PATIENCE, Service};
use headless_chrome::protocol::cdp::Page::CaptureScreenshotFormatOption;
use headless_chrome::{Browser, LaunchOptions, Tab};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("HIBRIT_CHROMIUM").map(PathBuf::from);
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    named.into_iter().chain(known).find(|p| p.is_file())
}

fn shot(tab: &Arc<Tab>, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder").join("browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    let picture = tab.capture_screenshot(CaptureScreenshotFormatOption::Png, None, None, true).expect("a picture");
    std::fs::write(folder.join(format!("{name}.png")), picture).expect("a file");
}

fn value(tab: &Arc<Tab>, script: &str) -> serde_json::Value {
    tab.evaluate(script, true).ok().and_then(|r| r.value).unwrap_or_default()
}

/// Waits until a script says true.
fn until(tab: &Arc<Tab>, what: &str, script: &str) {
    let began = Instant::now();
    while value(tab, script) != serde_json::Value::Bool(true) {
        assert!(began.elapsed() < PATIENCE, "{what}: {}", value(tab, "document.body.innerText"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Clicks what a script names, and waits for the page that comes.
fn go(tab: &Arc<Tab>, script: &str, where_to: &str) {
    value(tab, script);
    until(
        tab,
        where_to,
        &format!("location.pathname.match({where_to}) !== null && document.readyState === 'complete'"),
    );
}

#[test]
fn a_person_starts_a_demo_watches_it_judges_it_and_compares() {
    let Some(path) = chromium() else {
        skip(
            "HIBRIT_REQUIRE_BROWSER",
            "there is no Chromium (`apt-get install chromium`, or name one with HIBRIT_CHROMIUM)",
        );
        return;
    };
    let s = Service::start(&[]);
    let quiet =
        ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"].map(OsStr::new);
    let options = LaunchOptions::default_builder()
        .path(Some(path))
        .sandbox(false)
        .window_size(Some((1200, 1400)))
        .idle_browser_timeout(PATIENCE)
        .args(quiet.to_vec())
        .build()
        .expect("options");
    let browser = Browser::new(options).expect("the browser starts");
    let tab = browser.new_tab().expect("a tab");
    tab.set_default_timeout(PATIENCE);

    // Nothing may break the page's own policy, and nothing may be thrown.
    tab.navigate_to(&format!("{}/runs", s.url())).and_then(|t| t.wait_until_navigated()).expect("the page");
    assert!(value(&tab, "document.title").as_str().is_some_and(|t| t.contains("hibrit")));
    go(
        &tab,
        "document.querySelector('#demo [name=quick]').checked = true; document.querySelector('#demo button').click()",
        "/\\/runs\\/.+/",
    );

    // The curve moves while the run goes on, without the page being loaded anew.
    until(&tab, "a first curve", "document.querySelector('.drawing polyline') !== null");
    value(&tab, "window.first = document.querySelector('.drawing').innerHTML");
    until(&tab, "the curve moves", "document.querySelector('.drawing').innerHTML !== (window.first || '')");
    shot(&tab, "run-live");
    until(
        &tab,
        "the run is done",
        "document.getElementById('state')?.dataset.state === 'done' && document.getElementById('decision') !== null",
    );
    shot(&tab, "run-done");
    value(&tab, "document.querySelector('[data-by=time]').click()");
    until(
        &tab,
        "another axis",
        "document.querySelector('.drawing').innerText.includes('Time') || document.querySelector('.drawing svg').textContent.includes('Time')",
    );

    go(&tab, "document.getElementById('decision').click()", "/\\/past\\/.+\\/decision/");
    until(&tab, "the decision", "document.querySelectorAll('main figure svg').length >= 3");
    shot(&tab, "decision");
    go(&tab, "document.querySelector('.links a').click()", "/\\/past\\/[^/]+$/");
    value(
        &tab,
        "document.querySelector('#feedback [value=\"1\"]').checked = true; document.querySelector('#feedback textarea').value = 'reads well'",
    );
    value(&tab, "window.before = true; document.querySelector('#feedback button').click()");
    until(
        &tab,
        "thanks",
        "window.before === undefined && document.querySelector('.answer.good[role=status]') !== null",
    );
    assert!(value(&tab, "document.body.innerText").as_str().is_some_and(|t| t.contains("reads well")));

    // A second run to compare with.
    let id = s.submit("second", 5).json()["id"].as_str().expect("an id").to_string();
    assert_eq!(s.wait_for(&id)["state"], "done");
    tab.navigate_to(&format!("{}/history", s.url())).and_then(|t| t.wait_until_navigated()).expect("the page");
    shot(&tab, "history");
    go(
        &tab,
        "document.querySelectorAll('#picks input').forEach(i => i.click()); document.querySelector('#picks button').click()",
        "/\\/compare/",
    );
    until(&tab, "differences", "document.querySelectorAll('#differences tbody tr').length > 3");
    assert!(
        !value(&tab, "document.querySelector('#differences').innerText")
            .as_str()
            .unwrap_or("status")
            .contains("version")
    );
    shot(&tab, "compare");

    // Keys lead somewhere, and Turkish is a click away.
    value(
        &tab,
        "for (const key of ['g', 'u']) dispatchEvent(Object.assign(new KeyboardEvent('keydown', { key, bubbles: true })))",
    );
    value(
        &tab,
        "for (const key of ['g', 'u']) document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))",
    );
    until(&tab, "the rules by keys", "location.pathname === '/rules' && document.readyState === 'complete'");
    value(&tab, "document.querySelector('header form button').click()");
    until(&tab, "Turkish", "document.documentElement.lang === 'tr' && document.body.innerText.includes('Kurallar')");
    shot(&tab, "rules-tr");
}
