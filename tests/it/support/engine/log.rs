//! What was asked of the engine, and what became of it.

use serde_json::Value;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It did not reach the engine, or not yet.
    Lost,
    /// The engine answered it with success. Whether the client saw that is
    /// another matter.
    Applied,
    /// The engine refused it, or the script answered in its place.
    Refused {
        /// The HTTP status.
        status: u16,
        /// DynamoDB's code, if there is one.
        code: String,
    },
}

/// One request as the engine's network saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    id: u64,
    /// The label of the client that sent it.
    pub(crate) client: String,
    /// `GetItem`, `UpdateItem`, ...
    pub(crate) operation: String,
    /// The body that the SDK sent.
    pub(crate) body: Value,
    /// What became of it.
    pub(crate) fate: Fate,
    /// When it was sent.
    pub(crate) at: tokio::time::Instant,
}

#[derive(Default)]
pub(super) struct Log {
    next_id: u64,
    requests: Vec<Request>,
}

impl Log {
    pub(super) fn push(&mut self, client: &str, operation: &str, body: &Value) -> u64 {
        self.next_id += 1;
        self.requests.push(Request {
            id: self.next_id,
            client: client.to_owned(),
            operation: operation.to_owned(),
            body: body.clone(),
            fate: Fate::Lost,
            at: super::now(),
        });
        self.next_id
    }

    /// Notes the answer to a request, unless the log was cleared since.
    pub(super) fn answer(&mut self, id: u64, status: u16, body: &str) {
        let Ok(place) = self.requests.binary_search_by_key(&id, |request| request.id) else {
            return;
        };
        let request = &mut self.requests[place];
        request.fate = if status == 200 {
            Fate::Applied
        } else {
            let kind = serde_json::from_str::<Value>(body)
                .ok()
                .and_then(|error| Some(error["__type"].as_str()?.to_owned()))
                .unwrap_or_default();
            let code = kind.rsplit('#').next().unwrap_or_default().to_owned();
            Fate::Refused { status, code }
        };
    }

    /// The label of the client that sent a request.
    pub(super) fn client(&self, id: u64) -> Option<&str> {
        let place = self.requests.binary_search_by_key(&id, |request| request.id).ok()?;
        Some(&self.requests[place].client)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.clone()
    }

    pub(super) fn count(&self, wanted: impl Fn(&Request) -> bool) -> usize {
        self.requests.iter().filter(|request| wanted(request)).count()
    }

    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}
