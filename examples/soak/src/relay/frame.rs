//! Whole HTTP/1.1 messages, as far as the SDK and the engine use them.

use std::io;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpStream,
};

/// One request or answer, byte for byte.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    /// Where the body begins.
    body: usize,
    /// What `x-amz-target` asks for, without the version.
    pub(super) operation: String,
}

impl Frame {
    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    /// Whether it is an answer that says that all went well.
    pub(super) fn is_good(&self) -> bool {
        self.bytes.starts_with(b"HTTP/1.1 200 ")
    }
}

/// Reads one message; `None` is a connection that was closed between two.
pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Frame>> {
    let mut frame = Frame { bytes: Vec::new(), body: 0, operation: String::new() };
    let mut length = 0;
    loop {
        let start = frame.bytes.len();
        if stream.read_until(b'\n', &mut frame.bytes).await? == 0 {
            return if start == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let line = frame.bytes.get(start..).unwrap_or_default();
        if line == b"\r\n" {
            break;
        }
        let line = String::from_utf8_lossy(line);
        if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            } else if name.eq_ignore_ascii_case("x-amz-target") {
                frame.operation = value.rsplit('.').next().unwrap_or_default().to_owned();
            }
        }
    }
    let head = frame.bytes.len();
    frame.body = head;
    frame.bytes.resize(head.saturating_add(length), 0);
    stream.read_exact(frame.bytes.get_mut(head..).unwrap_or_default()).await?;
    Ok(Some(frame))
}

/// DynamoDB's answer to a request that it does not carry out.
pub(super) fn refusal(status: &str, code: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected by the soak"}}"#
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amzn-requestid: RELAY\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
