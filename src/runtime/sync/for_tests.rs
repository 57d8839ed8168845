//! Replacements, under loom, for channels that loom cannot follow. Each operation is one step, as
//! it is in the real channels under their locks.

mod atomic;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    task::{Context, Poll, Waker},
};

pub(crate) use self::atomic::{AtomicU64, AtomicUsize};

/// A value that several threads change. Loom orders the steps, and sees that each happens after
/// those before it.
#[derive(Debug)]
struct Shared<T> {
    steps: AtomicUsize,
    value: Mutex<T>,
}

impl<T> Shared<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self { steps: AtomicUsize::new(0), value: Mutex::new(value) })
    }

    /// Takes one step. It must not drop or wake a value that takes a step itself.
    fn step<R>(&self, take: impl FnOnce(&mut T) -> R) -> R {
        self.steps.fetch_add(1, Ordering::AcqRel);
        take(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A value that is set once. Making it is no step, so that no other thread comes in between.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    is_set: AtomicU64,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { is_set: AtomicU64::new(0), value: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        (self.is_set.load(Ordering::Acquire) == 1).then(|| self.value.get()).flatten()
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let mut is_made_here = false;
        let value = self.value.get_or_init(|| {
            is_made_here = true;
            make()
        });
        if is_made_here {
            self.is_set.store(1, Ordering::Release);
        }
        // The real cell also keeps other threads waiting until the value is there.
        while self.is_set.load(Ordering::Acquire) == 0 {
            ::loom::thread::yield_now();
        }
        value
    }
}

/// Wakes all waiters.
#[derive(Debug)]
pub(crate) struct Notify(Arc<Shared<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    notified: usize,
    waiters: Vec<Waker>,
}

impl Default for Notify {
    fn default() -> Self {
        Self(Shared::new(Waiting::default()))
    }
}

impl Notify {
    /// Waits for the first notice since this was called, not since it was polled.
    pub(crate) fn notified(&self) -> impl Future<Output = ()> {
        let since = self.0.step(|waiting| waiting.notified);
        poll_fn(move |context| {
            self.0.step(|waiting| {
                if waiting.notified != since {
                    return Poll::Ready(());
                }
                waiting.waiters.push(context.waker().clone());
                Poll::Pending
            })
        })
    }

    pub(crate) fn notify_waiters(&self) {
        let waiters = self.0.step(|waiting| {
            waiting.notified = waiting.notified.wrapping_add(1);
            std::mem::take(&mut waiting.waiters)
        });
        waiters.into_iter().for_each(Waker::wake);
    }
}

/// A bounded mailbox with one receiver.
pub(crate) mod flume {
    use std::collections::VecDeque;

    pub(crate) use ::flume::{RecvError, SendError, TryRecvError, TrySendError};

    use super::*;

    #[derive(Debug)]
    struct Channel<T> {
        queue: VecDeque<T>,
        room: usize,
        receiver: Option<Waker>,
        is_disconnected: bool,
    }

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Shared<Channel<T>>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Shared<Channel<T>>>);

    pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
        let queue = VecDeque::new();
        let channel = Shared::new(Channel { queue, room, receiver: None, is_disconnected: false });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(crate) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let receiver = self.0.step(|channel| {
                if channel.is_disconnected {
                    return Err(TrySendError::Disconnected(message));
                }
                if channel.queue.len() >= channel.room {
                    return Err(TrySendError::Full(message));
                }
                channel.queue.push_back(message);
                Ok(channel.receiver.take())
            })?;
            wake(receiver);
            Ok(())
        }

        /// Sends without waiting for room: no test fills a mailbox with such messages.
        pub(crate) async fn send_async(&self, message: T) -> Result<(), SendError<T>> {
            self.try_send(message).map_err(|refused| SendError(refused.into_inner()))
        }

        pub(crate) fn is_disconnected(&self) -> bool {
            self.0.step(|channel| channel.is_disconnected)
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            let first = self.0.step(|channel| channel.queue.pop_front());
            first.ok_or(TryRecvError::Empty)
        }

        pub(crate) async fn recv_async(&self) -> Result<T, RecvError> {
            poll_fn(|context| self.poll_recv(context)).await
        }

        fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
            let waker = context.waker().clone();
            let (polled, _unused) = self.0.step(|channel| match channel.queue.pop_front() {
                Some(message) => (Poll::Ready(Ok(message)), Some(waker)),
                None => (Poll::Pending, channel.receiver.replace(waker)),
            });
            polled
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.0.step(|channel| channel.queue.is_empty())
        }
    }

    /// The messages in a channel stay there for as long as there is a sender.
    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let _unused = self.0.step(|channel| {
                channel.is_disconnected = true;
                channel.receiver.take()
            });
        }
    }
}

/// One answer.
pub(crate) mod oneshot {
    use super::*;

    #[derive(Debug)]
    struct Slot<T> {
        answer: Option<T>,
        receiver: Option<Waker>,
        is_sender_gone: bool,
        is_receiver_gone: bool,
    }

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Shared<Slot<T>>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Shared<Slot<T>>>);

    /// The sender was dropped without an answer.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Gone;

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let slot = Shared::new(Slot {
            answer: None,
            receiver: None,
            is_sender_gone: false,
            is_receiver_gone: false,
        });
        (Sender(Arc::clone(&slot)), Receiver(slot))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(self, answer: T) -> Result<(), T> {
            self.0.step(|slot| {
                if slot.is_receiver_gone {
                    return Err(answer);
                }
                slot.answer = Some(answer);
                Ok(())
            })
        }

        pub(crate) fn is_closed(&self) -> bool {
            self.0.step(|slot| slot.is_receiver_gone)
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            wake(self.0.step(|slot| {
                slot.is_sender_gone = true;
                slot.receiver.take()
            }));
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, Gone>;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let waker = context.waker().clone();
            let (polled, _unused) = self.0.step(|slot| match slot.answer.take() {
                Some(answer) => (Poll::Ready(Ok(answer)), Some(waker)),
                None if slot.is_sender_gone => (Poll::Ready(Err(Gone)), Some(waker)),
                None => (Poll::Pending, slot.receiver.replace(waker)),
            });
            polled
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let _unused = self.0.step(|slot| {
                slot.is_receiver_gone = true;
                (slot.answer.take(), slot.receiver.take())
            });
        }
    }
}
