//! Does the queue keep its promises: nothing lost, nothing done twice, no dead worker writes?

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

const TIME: SignedDuration = SignedDuration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn queue() -> (tempfile::TempDir, Queue) {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("queue.redb")).unwrap();
    (folder, queue)
}

fn fence(job: &Job) -> u64 {
    job.lease.as_ref().unwrap().fence
}

#[test]
fn jobs_are_given_out_in_the_order_they_came_and_each_once() {
    let (_folder, queue) = queue();
    for id in ["c", "a", "b"] {
        assert!(matches!(queue.submit(id, &json!(id), None, at(0)).unwrap(), Submitted::New(_)));
    }
    let given: Vec<String> = std::iter::from_fn(|| queue.lease("w", at(1), TIME).unwrap()).map(|job| job.id).collect();
    assert_eq!(given, ["c", "a", "b"]);
    assert_eq!(queue.lease("w", at(1), TIME).unwrap(), None);
}

#[test]
fn the_same_key_with_the_same_task_is_the_same_job_and_with_another_task_a_conflict() {
    let (_folder, queue) = queue();
    let Submitted::New(first) = queue.submit("one", &json!(1), Some("key"), at(0)).unwrap() else { unreachable!() };
    assert_eq!(queue.submit("two", &json!(1), Some("key"), at(5)).unwrap(), Submitted::Known(first.clone()));
    assert_eq!(queue.submit("two", &json!(2), Some("key"), at(5)).unwrap(), Submitted::Conflict(first));
    assert_eq!(queue.list().unwrap().len(), 1);
}

#[test]
fn a_worker_given_up_for_dead_can_no_longer_write() {
    let (_folder, queue) = queue();
    queue.submit("job", &json!(1), None, at(0)).unwrap();
    let first = queue.lease("slow", at(0), TIME).unwrap().unwrap();
    queue.start("job", fence(&first), at(0)).unwrap();
    assert!(queue.reconcile(at(30), false, 9).unwrap().is_empty(), "the lease still holds");
    assert_eq!(queue.reconcile(at(31), false, 9).unwrap().len(), 1);
    let second = queue.lease("quick", at(32), TIME).unwrap().unwrap();
    assert!(fence(&second) > fence(&first));
    for refused in [
        queue.finish("job", fence(&first), JobEnd::Done, at(33)).unwrap_err(),
        queue.heartbeat("job", fence(&first), at(33), TIME).unwrap_err(),
        queue.start("job", fence(&first), at(33)).unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
    }
    queue.finish("job", fence(&second), JobEnd::Done, at(34)).unwrap();
    assert_eq!(queue.get("job").unwrap().state, State::Done);
}

#[test]
fn heartbeats_keep_a_lease_alive() {
    let (_folder, queue) = queue();
    queue.submit("job", &json!(1), None, at(0)).unwrap();
    let job = queue.lease("w", at(0), TIME).unwrap().unwrap();
    assert!(!queue.heartbeat("job", fence(&job), at(25), TIME).unwrap());
    assert!(queue.reconcile(at(50), false, 9).unwrap().is_empty());
    queue.cancel("job", at(51)).unwrap();
    assert!(queue.heartbeat("job", fence(&job), at(52), TIME).unwrap(), "the worker hears of the cancellation");
}

#[test]
fn a_queue_held_by_one_service_is_refused_to_another_by_name() {
    let (folder, _queue) = queue();
    let error = Queue::open(folder.path().join("queue.redb")).unwrap_err();
    assert!(error.to_string().contains("in use by another service"), "{error}");
}

#[test]
fn a_job_that_keeps_bringing_its_worker_down_fails_in_the_end() {
    let (_folder, queue) = queue();
    queue.submit("bomb", &json!(1), None, at(0)).unwrap();
    for second in 0..3 {
        queue.lease("w", at(second), TIME).unwrap().unwrap();
        queue.reconcile(at(second), true, 2).unwrap();
    }
    let job = queue.get("bomb").unwrap();
    assert_eq!((job.state, job.crashes), (State::Failed, 3));
    assert!(job.failure.unwrap().contains("died 3 times"));
    assert_eq!(queue.resume("bomb").unwrap().state, State::Queued);
}

#[test]
fn what_has_ended_can_neither_be_cancelled_nor_done_again() {
    let (_folder, queue) = queue();
    queue.submit("job", &json!(1), None, at(0)).unwrap();
    let job = queue.lease("w", at(0), TIME).unwrap().unwrap();
    queue.finish("job", fence(&job), JobEnd::Done, at(1)).unwrap();
    assert!(matches!(queue.cancel("job", at(2)).unwrap_err(), StoreError::WrongState { .. }));
    assert!(matches!(queue.resume("job").unwrap_err(), StoreError::WrongState { .. }));
    assert!(matches!(queue.get("nobody").unwrap_err(), StoreError::NoJob { .. }));
}

/// What may happen to a queue.
#[derive(Debug, Clone)]
enum Act {
    Submit(u8),
    Lease,
    Finish,
    HandBack,
    Cancel(u8),
    Crash,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..6u8).prop_map(Act::Submit),
        Just(Act::Lease),
        Just(Act::Finish),
        Just(Act::HandBack),
        (0..6u8).prop_map(Act::Cancel),
        Just(Act::Crash),
    ];
    proptest::collection::vec(act, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_no_job_is_lost_or_done_twice(acts in acts()) {
        let (_folder, queue) = queue();
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        let mut done: BTreeMap<String, u32> = BTreeMap::new();
        let mut held: Option<(String, u64)> = None;
        for (n, act) in acts.into_iter().enumerate() {
            let now = at(n as i64);
            match act {
                Act::Submit(k) => {
                    let (key, id) = (format!("k{k}"), format!("j{n}"));
                    match queue.submit(&id, &json!(k), Some(&key), now).unwrap() {
                        Submitted::New(job) => prop_assert!(keys.insert(key, job.id).is_none()),
                        Submitted::Known(job) => prop_assert_eq!(keys.get(&key), Some(&job.id)),
                        Submitted::Conflict(_) => prop_assert!(false, "the same task is no conflict"),
                    }
                }
                Act::Lease => if held.is_none() {
                    held = queue.lease("w", now, TIME).unwrap().map(|j| (j.id.clone(), fence(&j)));
                },
                Act::Finish => if let Some((id, fence)) = held.take() {
                    queue.finish(&id, fence, JobEnd::Done, now).unwrap();
                    *done.entry(id).or_default() += 1;
                },
                Act::HandBack => if let Some((id, fence)) = held.take() {
                    queue.finish(&id, fence, JobEnd::HandedBack, now).unwrap();
                },
                Act::Cancel(k) => if let Some(id) = keys.get(&format!("k{k}")) {
                    let _ = queue.cancel(id, now);
                },
                Act::Crash => {
                    held = None;
                    queue.reconcile(now, true, u32::MAX).unwrap();
                }
            }
        }
        let mut left = 0;
        if let Some((id, fence)) = held {
            queue.finish(&id, fence, JobEnd::HandedBack, at(99)).unwrap();
        }
        while let Some(job) = queue.lease("w", at(100), TIME).unwrap() {
            queue.finish(&job.id, fence(&job), JobEnd::Done, at(100)).unwrap();
            *done.entry(job.id).or_default() += 1;
            left += 1;
            prop_assert!(left <= 40);
        }
        let jobs = queue.list().unwrap();
        prop_assert_eq!(jobs.len(), keys.len());
        prop_assert!(jobs.iter().all(|j| j.state.is_terminal()));
        prop_assert!(done.values().all(|n| *n == 1));
        let finished = jobs.iter().filter(|j| j.state == State::Done).count();
        prop_assert_eq!(finished, done.len());
    }
}
