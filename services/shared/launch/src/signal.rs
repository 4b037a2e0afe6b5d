use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// Listens from now on for being told to stop, by SIGTERM or by Ctrl-C, and resolves then. To be called before anyone is
/// told that the process is up: until then a signal ends it at once.
///
/// # Errors
/// If the operating system doesn't let the process listen for signals.
pub fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
