//! Who carries runs out? One thread a device: it leases a job, carries it out by the pipeline, and leaves it with what
//! came of it. Another thread keeps the leases alive. What a run does is the pipeline's business.

use super::api::{RunOrder, RunTask};
use super::live::{JobHandle, Recorder};
use super::service::Service;
use crate::app::{self, AppError, Effort, Job, JobEnd};
use crate::domain::event::{Event, Observer};
use crate::domain::fault::{Fault, Kind};
use crate::domain::outcome::Status;
use crate::domain::run::Run;
use crate::sample;
use jiff::{SignedDuration, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a worker sleeps when nobody rings.
const NAP: Duration = Duration::from_secs(1);

fn lease_time(service: &Service) -> SignedDuration {
    SignedDuration::try_from(service.config.limits.lease).unwrap_or(SignedDuration::from_secs(30))
}

/// Carries jobs out, one after the other, until the service ends.
pub fn work(service: &Arc<Service>, name: &str, device: &str) {
    while !service.is_draining() {
        match service.queue.lease(name, Timestamp::now(), lease_time(service)) {
            Ok(Some(job)) => one(service, &job, device),
            Ok(None) => service.wait(NAP),
            Err(error) => {
                tracing::error!(%error, "the queue could not be read");
                service.wait(NAP);
            }
        }
    }
}

/// Keeps the leases of running jobs alive, puts lost ones back, and notices changes of rules, history and tokens.
pub fn keep_alive(service: &Arc<Service>) {
    let pause = (service.config.limits.lease / 4).min(NAP).max(Duration::from_millis(20));
    while !service.is_draining() || !service.live.all().is_empty() {
        for (id, track) in service.live.all() {
            match service.queue.heartbeat(&id, track.fence, Timestamp::now(), lease_time(service)) {
                Ok(false) => {}
                Ok(true) => track.stop.store(true, Ordering::Relaxed),
                Err(error) => {
                    tracing::error!(job = %id, %error, "the lease is lost; the job is ended here");
                    track.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        match service.queue.reconcile(Timestamp::now(), false, service.config.limits.crashes) {
            Ok(back) if !back.is_empty() => service.notify(),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "leases could not be looked through"),
        }
        service.refresh();
        std::thread::sleep(pause);
    }
}

fn one(service: &Arc<Service>, job: &Job, device: &str) {
    let Some(fence) = job.lease.as_ref().map(|l| l.fence) else { return };
    let track = service.live.begin(&job.id, fence);
    tracing::info!(job = %job.id, attempt = job.attempts, "begins");
    let ending = match service.queue.start(&job.id, fence, Timestamp::now()) {
        Err(error) => Err(AppError::from(error)),
        Ok(_) => {
            let done = catch_unwind(AssertUnwindSafe(|| carry_out(service, job, device, &track)));
            done.unwrap_or_else(|_| Ok(JobEnd::Failed("the run broke off: a fault of hibrit, see its log".into())))
        }
    };
    let cancelled = || service.queue.get(&job.id).is_ok_and(|j| j.cancel);
    let ending = match ending {
        Ok(JobEnd::HandedBack) if cancelled() => JobEnd::Cancelled,
        Ok(ending) => ending,
        Err(error) if error.kind() == Kind::Interrupted && cancelled() => JobEnd::Cancelled,
        Err(error) if error.kind() == Kind::Interrupted => JobEnd::HandedBack,
        Err(error) => {
            let hint = error.hint().map(|h| format!(" ({h})")).unwrap_or_default();
            JobEnd::Failed(format!("{error}{hint}"))
        }
    };
    tracing::info!(job = %job.id, ending = ?ending, "ends");
    if let Err(error) = service.queue.finish(&job.id, fence, ending, Timestamp::now()) {
        tracing::error!(job = %job.id, %error, "what came of it could not be written down");
    }
    service.refresh();
    service.live.end(&job.id);
}

fn carry_out(service: &Service, job: &Job, device: &str, track: &Arc<JobHandle>) -> Result<JobEnd, AppError> {
    let order: RunOrder = match serde_json::from_value(job.task.clone()) {
        Ok(order) => order,
        Err(error) => return Ok(JobEnd::Failed(format!("the job cannot be read: {error}"))),
    };
    let (out, journal) = (service.catalog.output(&job.id), service.journal(&job.id));
    let settings = service.config.settings.for_run(&job.id, journal.clone());
    if job.attempts > 1
        && let Ok(run) = app::run(&settings, &job.id)
        && matches!(run.status, Some(Status::Done | Status::Stopped))
    {
        // The service died between the end of the run and the word that it has ended.
        return Ok(ending_of(&run));
    }
    let mut recorder = Recorder::open(&journal, track.clone())?;
    if job.attempts > 1 {
        recorder.observe(&Event::Note { text: format!("Attempt {}: going on from what is there", job.attempts) });
    }
    // The flow itself lies in the folder `run` below a demo's.
    let flow = if matches!(order.task, RunTask::Demo(_)) { out.join("run") } else { out.clone() };
    if app::has_begun(&flow) {
        let run = app::resume(&settings, &flow, &track.stop, &mut recorder)?;
        recorder.finish()?;
        return Ok(ending_of(&run));
    }
    // What died before the run had begun has left nothing that counts but its journal.
    start_over(&out, &journal)?;
    let run = match order.task {
        RunTask::Demo(demo) => {
            let effort = if demo.quick { Effort::Quick } else { Effort::Full };
            let texts = sample::bilingual(demo.seed, effort.base_bytes(), effort.target_bytes());
            let sample = app::Sample {
                base_train: texts.base_train,
                target_train: texts.target_train,
                target_eval: texts.target_eval,
            };
            app::demo(&settings, &sample, effort, &out, demo.seed, &track.stop, &mut recorder)?
        }
        RunTask::Auto(auto) => {
            let request = match auto.request(&service.catalog, out.clone(), device, track.stop.clone()) {
                Ok(request) => request,
                Err(refusal) => return Ok(JobEnd::Failed(refusal.problem().detail.clone())),
            };
            app::auto(&settings, &request, &mut recorder)?
        }
    };
    recorder.finish()?;
    Ok(ending_of(&run))
}

fn ending_of(run: &Run) -> JobEnd {
    match run.status {
        Some(Status::Interrupted) => JobEnd::HandedBack,
        Some(Status::Failed) => JobEnd::Failed("no usable model came out".into()),
        Some(Status::Done | Status::Stopped) | None => JobEnd::Done,
    }
}

/// Clears what a worker that died has left in a run's folder, but for the journal.
fn start_over(out: &Path, journal: &Path) -> Result<(), AppError> {
    let fail = |source| AppError::File { verb: "clear", path: PathBuf::from(out), source };
    let entries = match std::fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(fail)?,
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        if path == journal {
            continue;
        }
        let removed = match entry.file_type().map_err(fail)?.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.map_err(fail)?;
    }
    Ok(())
}
