//! How does the service come up and go down? It binds, starts its workers, answers, and when a signal comes it takes
//! nothing new, lets what is under way end, has the workers save their state, and leaves. What is answered is not known
//! here.

use super::config::Config;
use super::error::{ApiError, ServiceError};
use super::guard::{HostNames, guard};
use super::service::Service;
use super::{decisions, events, health, history, logs, openapi, profiles, runs, tables, web, worker};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// What a thread of the service does.
type Work = Box<dyn FnOnce(&Arc<Service>) + Send>;

/// Threads that answer; what takes long is done apart from them.
const THREADS: usize = 2;

/// Serves until `stop` is set. `ready` hears the address once the service listens.
///
/// # Errors
/// Whatever keeps it from starting.
pub fn serve(
    mut config: Config,
    stop: &Arc<AtomicBool>,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), ServiceError> {
    logs::begin(true, &std::env::var("HIBRIT_LOG").unwrap_or_else(|_| "info".into()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(64)
        .enable_all()
        .build()
        .map_err(|source| ServiceError::Runtime { source })?;
    let bind = |addr| move |source| ServiceError::Bind { addr, source };
    let listener = runtime.block_on(TcpListener::bind(config.addr)).map_err(bind(config.addr))?;
    config.addr = listener.local_addr().map_err(bind(config.addr))?;
    let names = HostNames::new(config.addr, &config.hosts);
    let service = Arc::new(Service::open(config, names)?);
    let mut threads = Vec::new();
    let mut spawn = |name: String, work: Work| {
        let service = service.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || work(&service));
        thread.map(|t| threads.push(t)).map_err(|source| ServiceError::Runtime { source })
    };
    for (number, device) in service.config.devices.clone().into_iter().enumerate() {
        let name = format!("worker-{number}");
        spawn(name.clone(), Box::new(move |service| worker::work(service, &name, &device)))?;
    }
    spawn("keeper".into(), Box::new(worker::keep_alive))?;
    announce(&service)?;
    ready(service.config.addr);
    runtime.block_on(listen(&service, listener, stop));

    let until = Instant::now() + service.config.limits.drain;
    for thread in threads {
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        if thread.is_finished() {
            // A panic in there was reported where it happened.
            let _ = thread.join();
        } else {
            tracing::warn!("a worker did not end in time; its job is put back at the next start");
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    tracing::info!("ended");
    Ok(())
}

/// Tells scripts the address.
fn announce(service: &Service) -> Result<(), ServiceError> {
    let addr = service.config.addr;
    tracing::info!(%addr, "listening");
    let Some(path) = &service.config.addr_file else { return Ok(()) };
    let fail = |source| ServiceError::File { verb: "write", path: path.clone(), source };
    crate::files::atomic::write(path, |file| write!(file, "{addr}")).map_err(fail)
}

/// Everything the service answers.
pub fn router(service: &Arc<Service>) -> Router {
    let (api, document) = openapi::assemble(&[
        decisions::routes,
        profiles::routes,
        runs::routes,
        events::routes,
        history::routes,
        tables::routes,
        health::routes,
    ]);
    let compress = SizeAbove::new(1_024).and(NotForContentType::SSE);
    api.merge(web::routes())
        .merge(openapi::route(document))
        .fallback(async || ApiError::not_found("such page or resource").into_response())
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this can be had, but not by this method").into_response()
        })
        .layer(DefaultBodyLimit::max(service.config.limits.body))
        .layer(CompressionLayer::new().compress_when(compress))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the service could not do this; its log says why")
                .into_response()
        }))
        .layer(from_fn_with_state(service.clone(), guard))
        .with_state(service.clone())
}

async fn listen(service: &Arc<Service>, listener: TcpListener, stop: &Arc<AtomicBool>) {
    let router = router(service);
    let limit = service.config.limits.connections;
    let connections = Arc::new(Semaphore::new(limit));
    let mut look = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = look.tick() => {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match connections.clone().try_acquire_owned() {
                    Ok(permit) => {
                        tokio::spawn(connection(service.clone(), router.clone(), stream, permit));
                    }
                    Err(_) => {
                        service.metrics.refused("connections");
                        tokio::spawn(turn_away(stream));
                    }
                },
                Err(error) => {
                    // Out of descriptors, most likely: to try at once again would only burn the processor.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    tracing::info!("draining");
    service.draining.send_replace(true);
    service.live.stop_all();
    service.notify();
    drop(listener);
    // All permits back: every connection has ended.
    let all = u32::try_from(limit).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(service.config.limits.drain, connections.acquire_many(all)).await;
}

async fn connection(service: Arc<Service>, router: Router, stream: TcpStream, permit: OwnedSemaphorePermit) {
    service.metrics.connections.inc();
    let _ = stream.set_nodelay(true);
    let mut draining = service.draining.subscribe();
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(service.config.limits.head)
        .max_headers(64)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // How a connection ends is its client's business.
        _ = served.as_mut() => {}
        _ = async { draining.wait_for(|ends| *ends).await.is_ok() } => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
    service.metrics.connections.dec();
    drop(permit);
}

/// Says politely that there is no room.
async fn turn_away(mut stream: TcpStream) {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let write = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), write).await;
}
