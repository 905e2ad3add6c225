//! `polywire serve`: a boot log in code.

use std::{io::Write, process::ExitCode};

use polywire::{cli::ServeFlags, compose, config, logging, stop_signal};
use polywire_core::Server;

use crate::exit::refused;

pub(crate) fn serve(flags: &ServeFlags) -> ExitCode {
    let config = match config::load(flags) {
        Ok(config) => config,
        Err(problems) => return refused(&problems),
    };
    logging::init(&config);
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
        greet(&server);
        server.run(stop_signal()).await;
        ExitCode::SUCCESS
    })
}

/// Tells the person who started the server what it is, where it is, and what to try.
fn greet(server: &Server) {
    let Some(address) = server.address() else {
        return;
    };
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = writeln!(out, "listening on http://{address}");
    for line in server.banner() {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}
