//! The service from outside: what it answers, and that it says what the command line says.

use crate::service::{PATIENCE, Service};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const INPUTS: &str = r#"{"source":"source-tokenizer","candidate":"candidate-tokenizer","corpus":["target-eval.txt"]}"#;

fn inputs() -> Value {
    serde_json::from_str(INPUTS).expect("JSON")
}

/// Numbers, ids and data of the events of a stream.
fn events(stream: &str) -> Vec<(String, Option<u64>, String)> {
    let field =
        |block: &str, name: &str| block.lines().find_map(|l| l.strip_prefix(name).map(|v| v.trim_start().to_string()));
    let blocks = stream.split("\n\n").filter(|b| b.contains("event:"));
    blocks
        .map(|b| {
            let number = field(b, "id:").and_then(|n| n.parse().ok());
            (field(b, "event:").unwrap_or_default(), number, field(b, "data:").unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_stored_profile_is_decided_on_as_the_command_line_decides() {
    let s = Service::start(&[]);
    let measured = s.post("/api/v1/profiles", &inputs());
    assert_eq!(measured.status, 201, "{measured:?}");
    let name = measured.json()["name"].as_str().expect("a name").to_string();
    assert_eq!(s.post("/api/v1/profiles", &inputs()).json()["name"], name.as_str(), "the same profile, the same name");
    assert_eq!(s.get("/api/v1/profiles").json()["profiles"].as_array().map(Vec::len), Some(1));
    assert_eq!(s.get(&format!("/api/v1/profiles/{name}")).json()["profile"], measured.json()["profile"]);

    let on_it = s.post("/api/v1/decisions", &json!({ "profile_name": name })).json();
    let brought = s.post("/api/v1/decisions", &json!({ "profile": measured.json()["profile"] })).json();
    let first = s.post("/api/v1/decisions", &json!({ "inputs": inputs() })).json();
    for other in [&brought, &first] {
        assert_eq!(other["decision"], on_it["decision"]);
    }
    let items = json!({ "items": [{ "profile_name": name, "resources": { "budget": 3600.0 } }, { "profile_name": "none" },
        { "inputs": inputs() }, { "profile_name": name, "resources": { "devices": 0 } }] });
    let batch = s.post("/api/v1/decisions/batch", &items).json();
    assert_eq!(batch["items"][0]["decision"]["resources"]["budget"], 3600.0);
    let statuses: Vec<&Value> = (1..4).map(|i| &batch["items"][i]["status"]).collect();
    assert_eq!(statuses, [404, 422, 422]);

    let arguments =
        ["decide", "--source", "source-tokenizer", "--candidate", "candidate-tokenizer", "--corpus", "target-eval.txt"];
    let there = s.program.run(&[&arguments[..], &["--server", &s.url(), "--quiet"]].concat());
    let sample = crate::runs::sample();
    let paths =
        arguments.map(|a| if sample.join(a).exists() { sample.join(a).display().to_string() } else { a.to_string() });
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let here = s.program.run(&[&paths[..], &["--quiet"]].concat());
    assert_eq!((there.code, &there.stdout), (0, &here.stdout), "{}", there.stderr);
    assert_eq!(s.program.json(&[&arguments[..], &["--server", &s.url()]].concat())["decision"], on_it["decision"]);

    let log = s.program.path("decisions.jsonl");
    let began = Instant::now();
    while std::fs::read_to_string(&log).unwrap_or_default().lines().count() < 6 && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(&log).expect("a log").lines().count(), 6, "every decision is logged");
    assert_eq!(s.get("/api/v1/decisions").json()["decisions"].as_array().map(Vec::len), Some(6));
    // The one decision log shows what was recommended here, and what the command line decided itself.
    let shown = s.program.json(&["history", "decisions"]);
    assert_eq!(shown["recommendations"].as_array().map(Vec::len), Some(6));
    assert_eq!(shown["decisions"].as_array().map(Vec::len), Some(1));
    let id = shown["recommendations"][0]["id"].as_str().expect("an id");
    assert_eq!(s.program.json(&["history", "decisions", id])["recommendation"]["id"], id);
    let text = s.program.run(&["history", "decisions"]).stdout;
    assert!(text.contains(id) && text.contains("advice only"), "{text}");
}

#[test]
fn a_run_is_queued_once_followed_and_remembered() {
    let s = Service::start(&[]);
    let first = s.submit("one", 1);
    assert_eq!(first.status, 202, "{first:?}");
    let id = first.json()["id"].as_str().expect("an id").to_string();
    let again = s.submit("one", 1);
    assert_eq!((again.status, again.json()["id"].as_str()), (200, Some(id.as_str())), "the same key is the same run");
    assert_eq!(s.submit("one", 2).status, 409, "another order under the same key");

    // The stream ends with the run; taken up later it goes on where it was.
    let stream = s.get(&format!("/api/v1/runs/{id}/events"));
    let all = events(&stream.body);
    assert_eq!(all.last().map(|e| e.0.as_str()), Some("end"), "{}", stream.body);
    let numbers: Vec<u64> = all.iter().filter_map(|e| e.1).collect();
    assert!(numbers.len() > 10 && numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
    assert!(all.iter().any(|e| e.2.contains("\"event\":\"step\"")));
    let middle = numbers[numbers.len() / 2];
    let rest = s.ask("GET", &format!("/api/v1/runs/{id}/events"), &[&format!("Last-Event-ID: {middle}")], "");
    let later: Vec<u64> = events(&rest.body).iter().filter_map(|e| e.1).collect();
    assert_eq!(later, numbers[numbers.len() / 2 + 1..]);

    let ended = s.wait_for(&id);
    assert_eq!(ended["state"], "done", "{ended:#}");
    assert_eq!(ended["run"], id.as_str(), "the run has the job's id in the history");
    // The stream is the run's one journal, in the run's own folder.
    let journal =
        std::fs::read_to_string(s.program.path(&format!("state/runs/{id}/journal.jsonl"))).expect("a journal");
    assert_eq!(journal.lines().count(), numbers.len());
    assert_eq!(journal.lines().filter(|l| l.contains("\"event\":\"began\"") && l.contains("\"stages\"")).count(), 1);
    assert!(!s.program.path("state/journals").exists());
    let curve = s.get(&format!("/api/v1/runs/{id}/curve")).json();
    assert!(curve["series"][0]["points"].as_array().is_some_and(|p| p.len() > 3), "{curve}");

    // The same report there and here.
    let shown = |more: &[&str]| s.program.run(&[&["history", "show", &id, "--quiet"], more].concat()).stdout;
    let url = s.url();
    assert_eq!(shown(&["--server", &url]), shown(&[]));
    assert_eq!(
        shown(&["--server", &url, "--format", "html", "--lang", "tr"]),
        shown(&["--format", "html", "--lang", "tr"])
    );
    let list = |more: &[&str]| s.program.run(&[&["history", "list", "--quiet"], more].concat()).stdout;
    assert_eq!(list(&["--server", &url, "--json"]), list(&["--json"]));

    let judged = s.post(&format!("/api/v1/history/{id}/feedback"), &json!({ "verdict": 0.5, "note": "okunaklı" }));
    assert_eq!(judged.json()["feedback"][0]["note"], "okunaklı");
    for wrong in
        [json!({}), json!({ "verdict": 2 }), json!({ "note": "  " }), json!({ "metric": { "name": "", "value": 1 } })]
    {
        assert_eq!(s.post(&format!("/api/v1/history/{id}/feedback"), &wrong).status, 422, "{wrong}");
    }
    assert_eq!(s.get("/api/v1/history?q=okunakl%C4%B1").json()["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(s.get("/api/v1/history?q=nothing").json()["runs"].as_array().map(Vec::len), Some(0));
    let export = s.get("/api/v1/history/export").body;
    assert!(export.lines().any(|l| l.contains(&id) && l.contains("okunaklı")));
    assert_eq!(s.get(&format!("/api/v1/history/compare?a={id}&b={id}")).json()["differences"], json!([]));

    // A command line that follows a run over there prints what a run here would have printed.
    let arguments = [
        "run",
        "keep",
        "--model",
        "base",
        "--candidate",
        "candidate-tokenizer",
        "--train",
        "target-train.txt",
        "--eval",
        "target-eval.txt",
        "--train-bytes",
        "12kB",
        "--eval-bytes",
        "3kB",
        "--set",
        "epochs=1",
        "--set",
        "batch=4",
        "--set",
        "accumulation=1",
        "--set",
        "sequence=64",
        "--server",
        &url,
    ];
    let run = s.program.json(&arguments);
    assert_eq!(run["outcome"]["strategy"], "keep", "{run:#}");
    let all = s.get("/api/v1/runs").json();
    assert_eq!(all["runs"].as_array().map(Vec::len), Some(2));
    let two = run["run"]["id"].as_str().expect("an id");
    let differ = s.get(&format!("/api/v1/history/compare?a={id}&b={two}")).json()["differences"].to_string();
    assert!(differ.contains("request.seed") && !differ.contains("request.model\""), "{differ}");
}

#[test]
fn runs_are_cancelled_and_resumed_and_a_signal_hands_them_on() {
    let mut s = Service::start(&[]);
    // The demo takes some seconds: long enough to be cancelled while it runs, and to keep another waiting.
    let demo = s.post("/api/v1/runs", &json!({ "task": { "demo": { "quick": true } } })).json();
    let demo = demo["id"].as_str().expect("an id").to_string();
    let waiting = s.submit("waits", 1).json()["id"].as_str().expect("an id").to_string();
    assert_eq!(s.post(&format!("/api/v1/runs/{waiting}/cancel"), &json!(null)).json()["state"], "cancelled");
    assert_eq!(s.post(&format!("/api/v1/runs/{waiting}/cancel"), &json!(null)).status, 409);
    assert_eq!(s.post(&format!("/api/v1/runs/{waiting}/resume"), &json!(null)).json()["state"], "queued");
    s.post(&format!("/api/v1/runs/{demo}/cancel"), &json!(null));
    assert_eq!(s.wait_for(&demo)["state"], "cancelled");
    assert_eq!(s.wait_for(&waiting)["state"], "done");
    assert_eq!(s.post("/api/v1/runs/nobody/cancel", &json!(null)).status, 404);
    assert_eq!(
        s.post(&format!("/api/v1/runs/{waiting}/resume"), &json!(null)).status,
        409,
        "what is done is not done again"
    );

    assert_eq!(s.post(&format!("/api/v1/runs/{demo}/resume"), &json!(null)).status, 200);
    let began = Instant::now();
    while s.get(&format!("/api/v1/runs/{demo}")).json()["progress"]["done"].as_u64().unwrap_or(0) < 2 {
        assert!(began.elapsed() < PATIENCE, "{}", s.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, took) = s.terminate();
    assert_eq!(code, Some(0), "{}", s.log());
    assert!(took < Duration::from_secs(60), "{took:?}");
    s.restart();
    let ended = s.wait_for(&demo);
    assert_eq!((ended["state"].as_str(), ended["attempts"].as_u64() >= Some(2)), (Some("done"), true), "{ended:#}");
}

#[test]
fn rules_scorer_health_and_metrics_are_there() {
    let s = Service::start(&[]);
    assert!(s.get("/api/v1/rules").json()["tables"].as_array().is_some_and(|t| t.len() >= 6));
    assert_eq!(s.get("/api/v1/rules?table=nothing").status, 422);
    let check = s.get("/api/v1/rules/check").json();
    assert_eq!((&check["check"]["usable"], &check["check"]["findings"]), (&json!(true), &json!([])));
    assert_eq!(s.get("/api/v1/rules/replay").json()["replayed"], json!([]));
    assert_eq!(s.get("/api/v1/scorer").json()["scorer"], Value::Null);
    assert_eq!(s.get("/api/v1/scorer/evaluation").status, 200);
    let promoted = s.post("/api/v1/scorer/promote", &json!(null));
    assert_eq!((promoted.status, &promoted.json()["live"]), (200, &json!(false)), "{promoted:?}");
    assert_eq!(s.get("/healthz").json()["status"], "ok");
    assert_eq!(s.get("/readyz").status, 200);
    let metrics = s.get("/metrics").body;
    for name in ["hibrit_http_requests_total", "hibrit_jobs{state=\"queued\"} 0", "hibrit_resident_memory_bytes"] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
    let catalog = s.get("/api/v1/catalog").json();
    assert_eq!(catalog["models"], json!(["base"]));
}

#[test]
fn every_path_of_the_document_can_be_asked_and_none_breaks() {
    let s = Service::start(&[]);
    let document = s.get("/api/v1/openapi.json").json();
    assert!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")));
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 20, "{}", paths.len());
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let path = path.replace("{id}", "nobody").replace("{name}", "nothing");
            let reply = s.ask(
                &method.to_uppercase(),
                &path,
                &["Content-Type: application/json"],
                if method == "post" { "{}" } else { "" },
            );
            assert!(reply.status < 500, "{method} {path}: {reply:?}");
        }
    }
    // Every reference leads somewhere.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_string));
                fields.values().for_each(|v| references(v, found));
            }
            Value::Array(all) => all.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    assert!(found.len() > 20);
}

#[test]
fn every_page_speaks_both_languages_and_loads_nothing_from_elsewhere() {
    let s = Service::start(&[]);
    let id = s.submit("page", 1).json()["id"].as_str().expect("an id").to_string();
    assert_eq!(s.wait_for(&id)["state"], "done");
    let name = s.post("/api/v1/profiles", &inputs()).json()["name"].as_str().expect("a name").to_string();
    let pages = [
        "/runs".to_string(),
        format!("/runs/{id}"),
        format!("/runs/{id}?by=time"),
        format!("/past/{id}"),
        format!("/past/{id}/decision"),
        format!("/compare?run={id}&run={id}"),
        "/history?q=base".into(),
        "/decide".into(),
        format!("/decide?profile={name}&budget=2"),
        "/profiles".into(),
        format!("/profiles/{name}"),
        "/rules".into(),
        "/scorer".into(),
        "/login".into(),
    ];
    for page in &pages {
        for (lang, word) in [("en", "Rules"), ("tr", "Kurallar")] {
            let reply =
                s.ask("GET", page, &[&format!("Accept-Language: {lang}-XX,{lang};q=0.9"), "Accept: text/html"], "");
            assert_eq!(reply.status, 200, "{page}: {reply:?}");
            assert!(
                reply.body.contains(&format!("<html lang=\"{lang}\">")) && reply.body.contains(word),
                "{page} {lang}"
            );
            for forbidden in ["src=\"http", "href=\"http", "style=", "<style", "onclick", "@import"] {
                assert!(!reply.body.contains(forbidden), "{page}: {forbidden}");
            }
            let policy = reply.header("content-security-policy").expect("a policy");
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        }
    }
    let missing = s.ask("GET", "/past/nobody", &["Accept: text/html"], "");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("<html"), "a person gets a page");
    let form = "verdict=1&note=g%C3%BCzel&metric_name=mmlu&metric_value=0.4";
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let sent = s.ask("POST", &format!("/past/{id}/feedback"), &[kind], form);
    assert_eq!(sent.status, 303, "{sent:?}");
    assert!(s.get(&format!("/past/{id}")).body.contains("güzel"));
}
