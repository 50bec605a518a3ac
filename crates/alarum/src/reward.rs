//! A reward that a server computes: a judge model, or whatever a user has. One POST a rollout:
//!
//! ```json
//! {"version": 1, "id": "…", "task": "safety", "query": "…", "completion": "…", "reference": "…",
//!  "labels": {"visual": 1, "textual": 0}}
//! ```
//!
//! answered by `{"score": 0.5}`. A key for it comes from the environment variable
//! `ALARUM_REWARD_KEY` and is sent as a bearer token.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use train::BoxError;
use train::reward::settings::Endpoint;
use train::reward::{Judged, Reward};

/// Times that a busy or failing server is asked again.
const RETRIES: u32 = 4;
/// The first wait; it doubles.
const WAIT: Duration = Duration::from_millis(250);
/// More than this is no score.
const ANSWER_BYTES: u64 = 1 << 16;

/// The reward of an endpoint of a recipe.
pub(crate) fn endpoint(settings: &Endpoint) -> Result<Box<dyn Reward>, BoxError> {
    let timeout = Duration::try_from_secs_f64(settings.timeout_seconds)?;
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .build()
        .new_agent();
    Ok(Box::new(Served {
        agent,
        name: settings.name.clone(),
        url: settings.url.clone(),
        key: std::env::var("ALARUM_REWARD_KEY").ok(),
    }))
}

struct Served {
    agent: ureq::Agent,
    name: String,
    url: String,
    key: Option<String>,
}

#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    id: &'a str,
    task: &'a str,
    query: &'a str,
    completion: &'a str,
    reference: &'a str,
    labels: safety::Labels,
}

#[derive(Deserialize)]
struct Answer {
    score: f32,
}

impl Reward for Served {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        let question = Question {
            version: 1,
            id: &rollout.record.id,
            task: rollout.record.task.name(),
            query: &rollout.record.query,
            completion: rollout.completion,
            reference: &rollout.record.answer,
            labels: rollout.record.labels,
        };
        let body = serde_json::to_string(&question)?;
        let mut wait = WAIT;
        for _ in 0..RETRIES {
            match self.ask(&body) {
                Ok(score) => return Ok(score),
                Err(Asked::Final(error)) => return Err(error),
                Err(Asked::Again(_)) => std::thread::sleep(wait),
            }
            wait *= 2;
        }
        match self.ask(&body) {
            Ok(score) => Ok(score),
            Err(Asked::Final(error) | Asked::Again(error)) => Err(error),
        }
    }
}

/// Why there is no score.
enum Asked {
    /// It may be there later.
    Again(BoxError),
    /// It will not.
    Final(BoxError),
}

impl Served {
    fn ask(&self, body: &str) -> Result<f32, Asked> {
        let again = |error: BoxError| Asked::Again(error);
        let mut request = self.agent.post(&self.url).content_type("application/json");
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut reply = request.send(body).map_err(|error| again(error.into()))?;
        let status = reply.status();
        let text = reply
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES)
            .read_to_string()
            .map_err(|error| again(error.into()))?;
        if !status.is_success() {
            let error = format!("{} answered with status {status}", self.url).into();
            let passes = status.is_server_error() || status.as_u16() == 429;
            return Err(if passes {
                again(error)
            } else {
                Asked::Final(error)
            });
        }
        match serde_json::from_str::<Answer>(&text) {
            Ok(Answer { score }) => Ok(score),
            Err(error) => Err(Asked::Final(
                format!("{} answered without a score: {error}", self.url).into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use model::generate::Stop;
    use train::data::Record;

    use super::*;

    /// Answers each request with the next of `replies`; gives the address and what was asked.
    fn serve(replies: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/score", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let mut bodies = Vec::new();
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                bodies.push(String::from_utf8(body).unwrap());
                let (status, body) = reply.split_once(' ').unwrap();
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
            bodies
        });
        (url, serving)
    }

    fn asked(replies: Vec<&'static str>) -> (Result<f32, BoxError>, Vec<String>) {
        let (url, serving) = serve(replies);
        let reward = endpoint(&Endpoint {
            name: "judge".into(),
            url,
            weight: 1.0,
            timeout_seconds: 10.0,
        })
        .unwrap();
        let record = Record {
            id: "a".into(),
            query: "q".into(),
            answer: "r".into(),
            ..Record::default()
        };
        let score = reward.score(&Judged {
            record: &record,
            completion: "c",
            tokens: 1,
            max_tokens: 8,
            stop: Stop::Token,
        });
        (score, serving.join().unwrap())
    }

    #[test]
    fn a_score_is_read() {
        let (score, bodies) = asked(vec![r#"200 {"score": 0.5}"#]);
        assert_eq!(score.unwrap(), 0.5);
        assert!(bodies[0].contains(r#""completion":"c""#), "{bodies:?}");
    }

    #[test]
    fn a_busy_server_is_asked_again() {
        let (score, bodies) = asked(vec!["429 {}", "503 {}", r#"200 {"score": 1}"#]);
        assert_eq!((score.unwrap(), bodies.len()), (1.0, 3));
    }

    #[test]
    fn a_refusal_is_an_error_at_once() {
        let (score, bodies) = asked(vec!["401 {}"]);
        assert!(score.unwrap_err().to_string().contains("401"));
        assert_eq!(bodies.len(), 1);
    }

    #[test]
    fn an_answer_without_a_score_is_no_score() {
        let (score, _) = asked(vec![r#"200 {"points": 3}"#]);
        assert!(score.unwrap_err().to_string().contains("score"));
    }
}
