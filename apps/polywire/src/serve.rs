//! `polywire serve`: a boot log in code.

use std::{io::Write, process::ExitCode, time::Duration};

use polywire::{cli::ServeFlags, compose, config, logging, on_hangup, stop_signals};
use polywire_core::{BackendStatus, Server};

use crate::exit::refused;

/// How long the backend may take to connect before the server says that it listens.
const BACKEND_PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked at meanwhile.
const BACKEND_LOOK: Duration = Duration::from_millis(5);

pub(crate) fn serve(flags: &ServeFlags) -> ExitCode {
    let config = match config::load(flags) {
        Ok(config) => config,
        Err(problems) => return refused(&problems),
    };
    logging::init(&config);
    if let Some(flag) = flags.with_password() {
        tracing::warn!(
            "everybody on this machine can read the password in {flag}: put it into the environment \
             (POLYWIRE_BACKEND, POLYWIRE_PERSISTENCE) or into a file (--backend-file, --config)"
        );
    }
    // Connections are descriptors; the soft limit is far below what the system allows.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refused(&error),
    };
    runtime.block_on(async {
        let built = match compose::builder(&config) {
            Ok(builder) => builder.build().await,
            Err(error) => Err(error),
        };
        let server = match built {
            Ok(server) => server,
            Err(error) => return refused(&error),
        };
        // Caught before anybody is told that there is a server to stop.
        let (stop, hurry) = stop_signals();
        wait_for_backend(&server).await;
        greet(&server);
        if let Some(certificates) = server.certificates() {
            tokio::spawn(on_hangup(move || certificates.notify_one()));
        }
        server.run_unless_hurried(stop, hurry).await;
        ExitCode::SUCCESS
    })
}

/// Gives the backend a moment to connect, so that the first publishes after "listening" are not refused. A
/// backend that needs longer does not hold the start up.
async fn wait_for_backend(server: &Server) {
    let ready = async {
        while server.space().backend_status() != BackendStatus::Ready {
            tokio::time::sleep(BACKEND_LOOK).await;
        }
    };
    if tokio::time::timeout(BACKEND_PATIENCE, ready).await.is_ok() {
        return;
    }
    match server.space().backend_status() {
        BackendStatus::Unusable(why) => {
            tracing::warn!("{why} Publishes are answered 503 until then.");
        }
        _ => {
            tracing::warn!(
                "the backend is not reached yet; publishes are answered 503 until it is"
            );
        }
    }
}

/// Tells the person who started the server what it is, where it is, and what to try.
fn greet(server: &Server) {
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    for listening in server.addresses() {
        let _ = writeln!(out, "listening on {listening}");
    }
    for line in server.banner() {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}
