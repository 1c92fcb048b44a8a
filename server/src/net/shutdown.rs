//! The signal that the server stops.
//!
//! Stopping has two steps. First it *begins*: no new connections, watches end, open requests
//! finish. Then, after a time-out or a second signal, it *hurries*: what is left is cut.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Cutting,
}

/// A signal that goes one way, shared by all who must notice. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: watch::Sender<Phase>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A signal that has not been given.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Running),
        }
    }

    /// Begins on SIGTERM or SIGINT, and hurries on the second one.
    ///
    /// # Errors
    /// When the operating system refuses the handlers. Call it inside a runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let given = shutdown.clone();
        tokio::spawn(async move {
            for phase in [Phase::Draining, Phase::Cutting] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                given.advance(phase);
            }
        });
        Ok(shutdown)
    }

    /// Gives the signal.
    pub fn begin(&self) {
        self.advance(Phase::Draining);
    }

    /// Ends the patience with what is still open.
    pub fn hurry(&self) {
        self.advance(Phase::Cutting);
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Waits until the signal is given.
    pub async fn begun(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until patience ends.
    pub async fn hurried(&self) {
        self.reached(Phase::Cutting).await;
    }

    async fn reached(&self, least: Phase) {
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = self
            .phase
            .subscribe()
            .wait_for(|phase| *phase >= least)
            .await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let moves = *phase < to;
            *phase = (*phase).max(to);
            moves
        });
    }
}
