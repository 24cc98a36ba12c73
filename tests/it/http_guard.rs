//! What the service refuses: strangers, foreign pages, paths, floods, the slow and the deep.

use crate::program::Program;
use crate::service::{PATIENCE, Service};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const JSON: &str = "Content-Type: application/json";

#[test]
fn whoever_calls_it_by_another_name_or_from_a_foreign_page_is_refused_on_every_method_and_stream() {
    let s = Service::start(&[]);
    let id = s.submit("x", 1).json()["id"].as_str().expect("an id").to_string();
    let events = format!("/api/v1/runs/{id}/events");
    let cancel = format!("/api/v1/runs/{id}/cancel");
    for (method, path) in [
        ("GET", "/runs"),
        ("GET", &events),
        ("POST", &cancel),
        ("GET", "/metrics"),
        ("DELETE", "/runs"),
        ("OPTIONS", "/api/v1/runs"),
    ] {
        for host in ["evil.example.org", "localhost", "127.0.0.1:1", ""] {
            assert_eq!(s.ask_as(host, method, path, &[], "").status, 421, "{method} {path} as {host:?}");
        }
        for origin in ["http://evil.example.org", "null", "https://localhost.evil.org", "file://"] {
            assert_eq!(
                s.ask(method, path, &[&format!("Origin: {origin}")], "").status,
                403,
                "{method} {path} from {origin}"
            );
        }
        assert_eq!(
            s.ask(method, path, &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"], "").status,
            403,
            "{method} {path}"
        );
    }
    let two = s.raw(b"GET /runs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Duration::from_secs(5)).expect("an answer");
    assert!(two.starts_with("HTTP/1.1 4"), "{two}");
    let address = format!("GET http://evil.example.org/runs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", s.addr);
    assert!(s.raw(address.as_bytes(), PATIENCE).expect("an answer").starts_with("HTTP/1.1 421"));
    let none = s.raw(b"GET /runs HTTP/1.0\r\n\r\n", PATIENCE).expect("an answer");
    assert!(none.starts_with("HTTP/1.0 421"), "{none}");
    let own = format!("Origin: http://{}", s.addr);
    assert_eq!(s.ask("GET", "/runs", &[&own], "").status, 200);
    let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(s.ask("GET", "/runs", &link, "").status, 200, "a link from elsewhere may lead here");
}

#[test]
fn a_token_is_needed_where_it_is_wanted_and_allows_what_it_says() {
    let p = Program::new();
    // Without a token nothing that others can reach is opened.
    p.refuses(&["serve", "--addr", "0.0.0.0:0", "--state", "state"], 2, &["no token yet", "hibrit token create"]);
    let token = |name: &str, scope: &str| {
        let made = p.json(&["token", "create", name, "--scope", scope, "--state", "state"]);
        made["token"].as_str().expect("a token").to_string()
    };
    let (reader, writer) = (token("reader", "read"), token("writer", "write"));
    p.refuses(&["token", "create", "reader", "--state", "state"], 2, &["already"]);
    let listed = p.run(&["token", "list", "--state", "state"]).stdout;
    assert!(listed.contains("reader") && !listed.contains(&reader), "{listed}");

    let s = Service::start_in(p, &["--require-token"]);
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    assert_eq!(s.get("/healthz").status, 200);
    for wrong in [
        None,
        Some("Authorization: Bearer".to_string()),
        Some(bearer("hibrit_0")),
        Some(format!("Authorization: Basic {reader}")),
    ] {
        let headers: Vec<&str> = wrong.iter().map(String::as_str).collect();
        let reply = s.ask("GET", "/api/v1/runs", &headers, "");
        assert_eq!(reply.status, 401, "{wrong:?}");
        assert!(reply.header("www-authenticate").is_some());
        for path in ["/metrics", "/api/v1/openapi.json", "/api/v1/runs/x/events", "/api/v1/history/export"] {
            assert_eq!(s.ask("GET", path, &headers, "").status, 401, "{path} {wrong:?}");
        }
    }
    assert_eq!(s.ask("GET", "/api/v1/runs", &[&bearer(&reader)], "").status, 200);
    let order = s.order(1).to_string();
    assert_eq!(s.ask("POST", "/api/v1/runs", &[&bearer(&reader), JSON], &order).status, 403, "reading is not writing");
    let asked = s.ask("POST", "/api/v1/decisions", &[&bearer(&reader), JSON], r#"{"profile_name":"x"}"#);
    assert_eq!(asked.status, 404, "whoever may read may ask for decisions");
    assert_eq!(s.ask("POST", "/api/v1/runs", &[&bearer(&writer), JSON], &order).status, 202);

    // A browser signs in; its cookie alone changes nothing from elsewhere.
    let page = s.ask("GET", "/runs", &["Accept: text/html"], "");
    assert_eq!((page.status, page.header("location").as_deref()), (303, Some("/login")));
    let kind = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(s.ask("POST", "/login", &[kind], "token=wrong").status, 401);
    let signed = s.ask("POST", "/login", &[kind], &format!("token={writer}"));
    let cookie = signed.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(&writer), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a pair"));
    assert_eq!(s.ask("GET", "/runs", &[&cookie], "").status, 200);
    assert_eq!(s.ask("POST", "/runs/demo", &[&cookie, kind], "quick=yes").status, 403, "no page is named");
    let own = format!("Origin: {}", s.url());
    assert_eq!(s.ask("POST", "/runs/demo", &[&cookie, &own, kind], "quick=yes").status, 303);
    let revoked = s.program.run(&["token", "revoke", "writer", "--state", "state"]);
    assert_eq!(revoked.code, 0);
    let began = Instant::now();
    while s.ask("GET", "/runs", &[&cookie], "").status != 401 {
        assert!(began.elapsed() < PATIENCE, "a revoked token still lets in");
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = s.log();
    assert!(!log.contains(&reader) && !log.contains(&writer) && !log.contains("hibrit_session"), "no secret is logged");
}

#[test]
fn no_name_leads_out_of_the_catalog_and_no_address_is_fetched() {
    let s = Service::start(&[]);
    for name in [
        "../past.redb",
        "..",
        "/etc/passwd",
        "base/../../x",
        "./base",
        "file:///etc/passwd",
        "http://127.0.0.1:9/x",
        "%2e%2e/x",
        "base\u{0}",
        "~root",
        "Qwen/Qwen3-8B",
        "*",
        ".",
        "",
        "outputs/../x",
        "\\\\host\\share",
        "base/",
    ] {
        let order = json!({ "source": "source-tokenizer", "candidate": name, "corpus": [] });
        let reply = s.post("/api/v1/profiles", &order);
        assert_eq!(reply.status, 422, "{name}: {reply:?}");
        assert!(!reply.body.contains("root:") && !reply.body.contains(&crate::runs::sample().display().to_string()));
        let mut order = s.order(1);
        order["task"]["auto"]["model"] = json!(name);
        assert_eq!(s.post("/api/v1/runs", &order).status, 422, "{name}");
        let mut order = s.order(1);
        order["task"]["auto"]["train"] = json!([name]);
        assert_eq!(s.post("/api/v1/runs", &order).status, 422, "{name}");
    }
    for path in [
        "/assets/../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/runs/..%2f..%2fstate",
        "/runs/%2e%2e",
        "/past/..%2f..%2ftokens.json",
        "/api/v1/runs/..%2f..%2fqueue/curve",
        "/profiles/%00",
    ] {
        let reply = s.get(path);
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
    assert_eq!(s.get("/api/v1/runs").json()["runs"], json!([]), "nothing was queued");
}

#[test]
fn large_deep_and_malformed_bodies_are_refused_with_a_sentence() {
    let s = Service::start(&[]);
    let decide = |body: &str| s.ask("POST", "/api/v1/decisions", &[JSON], body);
    let large = s.ask("POST", "/api/v1/decisions", &[JSON, "Content-Length: 99999999"], "");
    assert_eq!(large.status, 413, "{large:?}");
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, " ".repeat(100_000)).repeat(12);
    let head = format!(
        "POST /api/v1/decisions HTTP/1.1\r\nHost: {}\r\n{JSON}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        s.addr
    );
    let chunked = s.raw(format!("{head}{chunk}0\r\n\r\n").as_bytes(), PATIENCE);
    // The service may answer and close while the body is still on its way.
    assert!(chunked.map_or(true, |a| a.is_empty() || a.starts_with("HTTP/1.1 413")));
    let deep = format!("{{\"profile\":{{\"x\":{}", "[".repeat(200_000));
    for (body, status) in [
        (deep.as_str(), 400),
        ("{", 400),
        ("", 400),
        ("null", 422),
        ("[]", 422),
        ("{\"profile_nam\":\"x\"}", 422),
        ("{}", 422),
        ("{\"profile_name\":\"x\",\"inputs\":{\"candidate\":\"y\"}}", 422),
        ("{\"profile_name\":1e999}", 400),
        ("{\"profile_name\":\"x\",\"resources\":{\"budget\":-1}}", 422),
        ("\u{feff}{}", 400),
    ] {
        let reply = decide(body);
        assert_eq!(reply.status, status, "{:?}: {reply:?}", &body[..body.len().min(60)]);
        assert!(reply.json()["detail"].as_str().is_some_and(|d| !d.is_empty() && d.len() < 500));
    }
    assert_eq!(s.ask("POST", "/api/v1/decisions", &["Content-Type: text/plain"], "{}").status, 415);
    let batch = json!({ "items": vec![json!({ "profile_name": "x" }); 257] });
    assert_eq!(s.post("/api/v1/decisions/batch", &batch).status, 422);
    assert_eq!(s.get("/healthz").status, 200);
}

#[test]
fn the_slow_are_dropped_and_streams_and_connections_are_counted() {
    let s = Service::start(&["--max-streams", "2", "--max-connections", "8"]);
    // A head that never ends: the connection is closed after the time for heads (10 s), not kept for ever.
    let mut slow = TcpStream::connect(&s.addr).expect("a connection");
    slow.write_all(b"GET /runs HTTP/1.1\r\nHost: ").expect("written");
    slow.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let began = Instant::now();

    let id = s.post("/api/v1/runs", &json!({ "task": { "demo": { "quick": true } } })).json()["id"]
        .as_str()
        .expect("an id")
        .to_string();
    let open = || {
        let mut stream = TcpStream::connect(&s.addr).expect("a connection");
        write!(stream, "GET /api/v1/runs/{id}/events HTTP/1.1\r\nHost: {}\r\n\r\n", s.addr).expect("written");
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        (stream, String::from_utf8_lossy(&head).into_owned())
    };
    let (first, second, third) = (open(), open(), open());
    assert_eq!([&first.1, &second.1, &third.1], ["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 429"]);
    let refused = s.get(&format!("/api/v1/runs/{id}/events"));
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true));
    drop((first, second, third));
    let freed = Instant::now();
    while open().1 != "HTTP/1.1 200" {
        assert!(freed.elapsed() < PATIENCE, "a stream that was left still counts");
        std::thread::sleep(Duration::from_millis(100));
    }

    let idle: Vec<TcpStream> = (0..12).map(|_| TcpStream::connect(&s.addr).expect("a connection")).collect();
    let mut turned_away = 0;
    for mut stream in idle {
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        turned_away += u32::from(text.starts_with("HTTP/1.1 429") && text.contains("Retry-After"));
    }
    assert!(turned_away >= 4, "{turned_away}");

    let mut rest = Vec::new();
    let ended = slow.read_to_end(&mut rest);
    assert!(ended.is_ok() && began.elapsed() < Duration::from_secs(45), "{ended:?} after {:?}", began.elapsed());
    assert_eq!(s.get("/healthz").status, 200);
}
