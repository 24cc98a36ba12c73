//! What do scripts read? The objects behind `--json`, with the names of the published interface: `profile`, `decision`,
//! `outcome`. Numbers have full precision; one that is not finite is null.

use crate::domain::decision::{Decision, DecisionLog, LoggedDecision, Recommendation};
use crate::domain::outcome::{Outcome, Status};
use crate::domain::profile::Profile;
use crate::domain::run::{Feedback, Request, Run};
use serde::Serialize;
use serde_json::{Value, json};

/// Every type here is plain data with text keys, which always has a JSON form.
fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or(Value::Null)
}

/// `{"profile": ...}`
pub fn profile(profile: &Profile) -> Value {
    json!({ "profile": value(profile) })
}

/// `{"profile": ..., "decision": ...}`
pub fn decision(profile: &Profile, decision: &Decision) -> Value {
    json!({ "profile": value(profile), "decision": value(decision) })
}

/// `{"run": {id, started, ...}, "profile": ..., "decision": ..., "outcome": ...}`; the outcome is null while the run
/// goes on.
pub fn run(run: &Run) -> Value {
    let mut about = value(run);
    let mut take = |name: &str| about.as_object_mut().and_then(|run| run.remove(name)).unwrap_or(Value::Null);
    let (profile, decision, outcome) = (take("profile"), take("decision"), take("outcome"));
    json!({ "run": about, "profile": profile, "decision": decision, "outcome": outcome })
}

/// `{"runs": [...]}`, each as [`run`] gives it.
pub fn history(runs: &[Run]) -> Value {
    json!({ "runs": runs.iter().map(run).collect::<Vec<_>>() })
}

/// `{"log": {id, at, run, propensity, ...}, "profile": ..., "decision": ..., "outcome": ...}`; the outcome is null where no
/// run followed, or it goes on.
pub fn logged(logged: &LoggedDecision, became: Option<&Run>) -> Value {
    let mut about = value(logged);
    let mut take = |name: &str| about.as_object_mut().and_then(|log| log.remove(name)).unwrap_or(Value::Null);
    let (profile, decision) = (take("profile"), take("decision"));
    let outcome = became.map_or(Value::Null, |run| value(&run.outcome));
    json!({ "log": about, "profile": profile, "decision": decision, "outcome": outcome })
}

/// `{"decisions": [...], "recommendations": [...]}`: each decision as [`logged`] gives it, and what services recommended.
pub fn decisions(log: &DecisionLog) -> Value {
    let decisions: Vec<Value> = log.decisions.iter().map(|(log, became)| logged(log, became.as_ref())).collect();
    json!({ "decisions": decisions, "recommendations": value(&log.recommendations) })
}

/// `{"recommendation": {...}}`.
pub fn recommendation(given: &Recommendation) -> Value {
    json!({ "recommendation": value(given) })
}

/// What every command's object is made of; which parts are there depends on the command.
#[derive(schemars::JsonSchema)]
#[schemars(title = "hibrit", description = "The objects that hibrit prints with --json.")]
#[expect(dead_code, reason = "only its schema is used; the values are put together above")]
struct Published {
    /// Of analyze, decide, and of everything that concerns a run.
    profile: Option<Profile>,
    /// Of decide, and of everything that concerns a run.
    decision: Option<Decision>,
    /// Of a run that has ended.
    outcome: Option<Outcome>,
    /// About a run: when, with what, what people said since.
    run: Option<About>,
    /// Of history list and compare: as many objects like this one.
    runs: Option<Vec<Value>>,
    /// Of history decisions with an id: about a logged decision.
    log: Option<Logged>,
    /// Of history decisions: as many objects like this one.
    decisions: Option<Vec<Value>>,
    /// Of history decisions: what services recommended.
    recommendations: Option<Vec<Recommendation>>,
    /// Of history decisions with the id of what a service recommended.
    recommendation: Option<Recommendation>,
}

/// A logged decision without what stands beside it.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; the values are a log's own")]
struct Logged {
    /// Unique: time and eight hex digits.
    id: String,
    /// When (UTC, RFC 3339).
    at: String,
    /// hibrit's version.
    version: String,
    /// The run it led to; null where advice was all that was asked for.
    run: Option<String>,
    /// UTF-8 bytes of training text, where they were known.
    train_bytes: Option<u64>,
    /// Probability with which what was taken would be taken again.
    propensity: f64,
    /// What was taken, where it was something else than decided.
    taken: Option<crate::domain::strategy::Strategy>,
}

/// A run without what stands beside it.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; the values are a run's own")]
struct About {
    /// Unique: time of start and eight hex digits.
    id: String,
    /// When it began (UTC, RFC 3339).
    started: String,
    /// When it ended.
    ended: Option<String>,
    /// How it stands; null while it runs.
    status: Option<Status>,
    /// hibrit's version.
    version: String,
    /// What was asked for.
    request: Request,
    /// What people said of it since.
    feedback: Vec<Feedback>,
}

/// The JSON Schema of the objects.
pub fn schema() -> Value {
    schemars::schema_for!(Published).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases;

    #[track_caller]
    fn check(object: &Value, names: &[&str]) {
        for name in names {
            assert!(!object[*name].is_null(), "{name} is missing in {object}");
        }
    }

    #[test]
    fn the_names_that_scripts_rely_on_are_there() {
        let run = cases::direct_run();
        let json = super::run(&run);
        check(&json["profile"]["coverage"], &["vocabulary", "corpus", "vocabulary_naive"]);
        check(&json["profile"]["fertility"], &["source", "candidate"]);
        check(&json["profile"]["bytes_per_token"], &["source", "candidate"]);
        check(&json["profile"]["similarity"], &["score", "basis"]);
        check(&json["profile"], &["token_ratio"]);
        check(&json["profile"]["round_trip"], &["candidate"]);
        check(&json["profile"]["unknown_rate"], &["candidate"]);
        check(&json["decision"], &["strategy", "confidence", "matched_rows", "alternatives", "rules_sha256", "scorer"]);
        check(&json["outcome"], &["bits_per_byte", "equivalent_loss", "level", "strategy", "incidents"]);
        assert_eq!(json["profile"]["coverage"]["vocabulary"], 0.2134);
        assert_eq!(json["run"]["id"], run.id.as_str());
        assert!(json["run"]["profile"].is_null());
    }

    #[test]
    fn every_name_that_is_printed_is_in_the_published_schema() {
        let schema = schema();
        let mut printed = super::run(&cases::direct_run());
        printed["log"] = super::logged(&cases::logged(), None)["log"].take();
        for (part, value) in printed.as_object().unwrap() {
            let described = &schema["properties"][part];
            assert!(described.is_object(), "{part}");
            // Each part is a reference to its definition, or null.
            let reference = described["anyOf"][0]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            for name in value.as_object().unwrap().keys() {
                assert!(schema["$defs"][reference]["properties"][name].is_object(), "{part}.{name}");
            }
        }
    }

    #[test]
    fn every_command_uses_the_same_objects() {
        let run = cases::direct_run();
        let whole = super::run(&run);
        assert_eq!(whole["profile"], profile(&run.profile)["profile"]);
        assert_eq!(whole["decision"], decision(&run.profile, &run.decision)["decision"]);
        assert_eq!(history(std::slice::from_ref(&run))["runs"][0], whole);
    }
}
