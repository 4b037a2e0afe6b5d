use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// Installs the handlers of SIGTERM and Ctrl-C, and returns a future that resolves at the first of them. To be called
/// before the process reports that it is up: until then a signal kills it at once.
///
/// # Errors
/// If the operating system doesn't let the process listen for signals.
pub fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
