//! What happens in a run, as it happens: server-sent events from the run's journal. Every event has the number of its
//! line; a client that comes back with the last one it saw (`Last-Event-ID`) misses nothing and sees nothing twice, even
//! if the service was started anew meanwhile. Nothing is kept in memory for a client that reads slowly.

use super::error::{ApiError, Problem};
use super::openapi::{Params, PathParam, Routes};
use super::runs::view;
use super::service::{Service, refused};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Events on their way to a client; beyond that its reading sets the pace.
const AHEAD: usize = 64;
/// Lines that are read at once.
const LINES: usize = 256;
/// How often it is looked whether something was missed.
const LOOK: Duration = Duration::from_secs(2);

/// The routes.
pub fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(follow))
}

/// Where to go on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct From {
    /// The number of the last event that was seen; `Last-Event-ID` goes before it.
    after: Option<u64>,
}

/// One event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used; the stream is put together below")]
struct Told {
    /// `state`, `run` or `end`.
    event: Option<String>,
    /// The number of an event of the journal.
    id: Option<String>,
    /// JSON.
    data: String,
}

/// Follow a run
///
/// A stream of server-sent events. `event: state` carries how the run stands, without a number; `event: run` an event of
/// its journal, with its number as `id`; `event: end` says that nothing more will come.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = String, Path), From, ("Last-Event-ID" = Option<String>, Header, description = "The last event seen")),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = Told),
              (status = 404, description = "No such run", body = Problem),
              (status = 429, description = "Too many streams", body = Problem)))]
async fn follow(
    State(service): State<Arc<Service>>,
    PathParam(id): PathParam<String>,
    Params(from): Params<From>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    refused(service.queue.get(&id))?;
    let permit = service.streams.clone().try_acquire_owned().map_err(|_| {
        service.metrics.refused("streams");
        ApiError::busy("event streams")
    })?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    let tail = Tail {
        path: service.journal(&id),
        offset: 0,
        next: last.or(from.after).map_or(0, |n: u64| n.saturating_add(1)),
    };
    let (to, stream) = channel(AHEAD);
    tokio::spawn(async move {
        service.metrics.streams.inc();
        let time = service.config.limits.stream;
        let _ = tokio::time::timeout(time, tell(&service, &id, tail, &to)).await;
        service.metrics.streams.dec();
        drop(permit);
    });
    let stream = Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    Ok(([("x-accel-buffering", "no")], stream).into_response())
}

/// Tells a client everything until the run is over, the service ends, or the client goes away.
async fn tell(service: &Arc<Service>, id: &str, mut tail: Tail, to: &Sender<Result<Event, Infallible>>) {
    let mut draining = service.draining.subscribe();
    let mut changed_jobs = service.live.changed_jobs();
    let mut said = String::new();
    loop {
        // Asked for before anything is read, so that nothing falls in between.
        let mut changed = service.live.changed(id);
        let shared = service.clone();
        let job = id.to_string();
        let looked = tokio::task::spawn_blocking(move || {
            let job = shared.queue.get(&job).ok()?;
            let over = job.state.is_terminal();
            Some((over, view(&shared, job)))
        });
        let Ok(Some((over, run))) = looked.await else { return };
        let state = format!("{} {}", run.state, run.cancelling);
        if state != said {
            said = state;
            let Ok(event) = Event::default().event("state").json_data(&run) else { return };
            if to.send(Ok(event)).await.is_err() {
                return;
            }
        }
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let lines = tail.read();
                (tail, lines)
            });
            let Ok((back, lines)) = read.await else { return };
            tail = back;
            let full = lines.len() == LINES;
            for (n, line) in lines {
                let event = Event::default().event("run").id(n.to_string()).data(line);
                if to.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            if !full {
                break;
            }
        }
        if over {
            let _ = to.send(Ok(Event::default().event("end").data(said))).await;
            return;
        }
        let news = async {
            match &mut changed {
                Some(changed) => changed.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = news => {}
            _ = changed_jobs.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = to.closed() => return,
            _ = draining.wait_for(|ends| *ends) => return,
        }
        // Some steps a second are as good as some hundred, and cheaper.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A journal that is read as it grows.
struct Tail {
    path: PathBuf,
    offset: u64,
    /// Number of the first line that is wanted.
    next: u64,
}

impl Tail {
    /// The next whole lines, each with its number; a line that is still being written waits.
    fn read(&mut self) -> Vec<(u64, String)> {
        #[derive(Deserialize)]
        struct Numbered {
            n: u64,
        }
        let mut lines = Vec::new();
        let Ok(mut file) = std::fs::File::open(&self.path) else { return lines };
        if file.seek(SeekFrom::Start(self.offset)).is_err() {
            return lines;
        }
        let mut from = BufReader::new(file);
        while lines.len() < LINES {
            let mut line = String::new();
            match from.read_line(&mut line) {
                Ok(read) if read > 0 && line.ends_with('\n') => self.offset += read as u64,
                _ => break,
            }
            let Ok(numbered) = serde_json::from_str::<Numbered>(&line) else { continue };
            if numbered.n >= self.next {
                self.next = numbered.n + 1;
                lines.push((numbered.n, line.trim_end().to_string()));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_tail_gives_whole_lines_once_and_goes_on_after_the_last_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j.jsonl");
        let mut tail = Tail { path: path.clone(), offset: 0, next: 2 };
        assert!(tail.read().is_empty());
        let mut file = std::fs::File::create(&path).unwrap();
        for n in 0..4 {
            writeln!(file, "{{\"n\":{n}}}").unwrap();
        }
        write!(file, "{{\"n\":").unwrap();
        let numbers = |lines: Vec<(u64, String)>| lines.iter().map(|(n, _)| *n).collect::<Vec<_>>();
        assert_eq!(numbers(tail.read()), [2, 3]);
        assert!(tail.read().is_empty());
        writeln!(file, "4}}").unwrap();
        assert_eq!(numbers(tail.read()), [4]);
    }
}
