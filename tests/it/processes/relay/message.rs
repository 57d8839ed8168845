//! Just enough HTTP/1.1 to tell the requests of a DynamoDB client apart.

use serde_json::Value;
use tokio::{io::AsyncReadExt, net::TcpStream};

/// What a request asks for, in the words of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::processes) enum Op {
    Read,
    Trip,
    Elect,
    TakeOver,
    Renew,
    /// Hand over, or give back.
    HandOn,
    Close,
    Reopen,
    Hold,
    Release,
}

/// A request or an answer.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    body: usize,
}

impl Message {
    /// The status of an answer.
    pub(super) fn status(&self) -> u16 {
        self.head().split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(self.bytes.get(self.body..).unwrap()).unwrap()
    }

    pub(super) fn op(&self) -> Op {
        let request = self.json();
        let Some(values) = request.get("ExpressionAttributeValues") else {
            return Op::Read;
        };
        let text = |name: &str| values[name]["S"].as_str();
        let has = |name: &str| values.get(name).is_some();
        match text(":state") {
            Some("HALF_OPEN") => Op::Elect,
            Some("OPEN") if has(":half_open_owner") => Op::Hold,
            Some("OPEN") if text(":seen_state") == Some("HALF_OPEN") => Op::Reopen,
            Some("OPEN") => Op::Trip,
            Some("CLOSED") if has(":seen_expiration") => Op::Release,
            Some("CLOSED") => Op::Close,
            Some(state) => panic!("{state} is no state"),
            None if has(":half_open_owner") => Op::TakeOver,
            None if has(":seen_probe_lease_expiry") => Op::HandOn,
            None => Op::Renew,
        }
    }

    fn head(&self) -> &str {
        str::from_utf8(self.bytes.get(..self.body).unwrap()).unwrap()
    }
}

/// One end of a connection.
pub(super) struct Reader {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next message; `None` when the other end is gone.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((body, end)) = extent(&self.buffer)
                && end <= self.buffer.len()
            {
                let rest = self.buffer.split_off(end);
                return Some(Message { bytes: std::mem::replace(&mut self.buffer, rest), body });
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// Where the body of the first message begins and ends, once its head is there.
fn extent(buffer: &[u8]) -> Option<(usize, usize)> {
    let body = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(buffer.get(..body)?).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some((body, body + length.unwrap().trim().parse::<usize>().unwrap()))
}
