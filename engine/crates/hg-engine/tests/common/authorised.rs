//! Services that say who may pass, and endpoints behind them.

use super::{Upstream, read_answer, read_head, read_n, value};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

pub const YES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// An endpoint that answers with the head that it got, and the length of the body.
pub fn echo() -> Upstream {
    Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let length = value(&head, "content-length").map_or(0, |n| n.parse().unwrap());
            let body = read_n(&mut s, length);
            let text = format!("{head}{}", body.len());
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            if s.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A service that answers so; every head that it gets is told.
pub fn service(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Upstream, Heads) {
    let heads = Heads::default();
    let told = heads.clone();
    let up = Upstream::play(move |mut s| {
        while let Some(head) = read_head(&mut s) {
            let answer = answer(&head);
            told.0.lock().unwrap().push(head);
            if s.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (up, heads)
}

#[derive(Clone, Default)]
pub struct Heads(pub Arc<Mutex<Vec<String>>>);

impl Heads {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub fn auth_json(more: &str) -> String {
    format!(
        r#"{{"forward_auth":{{"upstream":"auth","path":"/verify","method":"GET",
        "timeout_ms":60000,"headers":["cookie"],"answer_bytes":1000,"in_flight":1024{more}}}}}"#
    )
}

pub fn ask(s: &mut TcpStream, request: &[u8]) -> (String, String) {
    s.write_all(request).unwrap();
    let (head, body) = read_answer(s);
    (head, String::from_utf8(body).unwrap())
}
