//! Services of our own, which note what is done to them.

use std::{
    future::{Future, Pending, Ready, pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use tower::{BoxError, Service};

/// Does its work in `call`, and not in its future.
#[derive(Clone, Default)]
pub(crate) struct Eager {
    pub(crate) calls: Arc<AtomicUsize>,
}

impl Eager {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

impl Service<Result<u32, &'static str>> for Eager {
    type Response = u32;
    type Error = &'static str;
    type Future = Ready<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Result<u32, &'static str>) -> Self::Future {
        self.calls.fetch_add(1, SeqCst);
        ready(request)
    }
}

/// Is never ready, and `Clone` if what it holds is.
#[derive(Clone)]
pub(crate) struct NeverReady<T>(pub(crate) T);

/// Not `Clone`.
pub(crate) struct Unique;

impl<T> Service<()> for NeverReady<T> {
    type Response = u32;
    type Error = &'static str;
    type Future = Pending<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called, and was never ready")
    }
}

/// Panics if it is called without having said that it is ready, as services may.
#[derive(Default)]
pub(crate) struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<()> for Strict {
    type Response = ();
    type Error = &'static str;
    type Future = Ready<Result<(), &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(self.is_ready, "called before it was ready");
        self.is_ready = false;
        ready(Ok(()))
    }
}

/// Its calls never end.
#[derive(Clone)]
pub(crate) struct Hangs;

impl Service<()> for Hangs {
    type Response = u32;
    type Error = &'static str;
    type Future = Pending<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        pending()
    }
}

/// Where a service panics.
#[derive(Clone, Copy)]
pub(crate) enum Panics {
    InCall,
    InFuture,
}

impl Service<()> for Panics {
    type Response = u32;
    type Error = &'static str;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<u32, &'static str>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        match self {
            Self::InCall => panic!("in call"),
            Self::InFuture => Box::pin(async { panic!("in the future") }),
        }
    }
}

/// A service that connects as it becomes ready, and cannot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailsToConnect;

impl Service<()> for FailsToConnect {
    type Response = ();
    type Error = BoxError;
    type Future = Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Err("no connection".into()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called, and was never ready")
    }
}
