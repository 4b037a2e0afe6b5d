use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process is told to stop: by SIGTERM, or by Ctrl-C.
///
/// # Errors
/// If the operating system doesn't let the process listen for signals.
pub async fn told_to_stop() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
