//! `polywire sub`.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::mpsc::{self, Sender},
    thread,
};

use jiff::Zoned;
use polywire::cli::SubscribeFlags;
use serde_json::Value;

use super::plain;
use crate::{
    client::{ClientError, Incoming, SocketClient},
    exit,
};

/// Messages that may wait to be printed; then the server is told to wait, by not reading.
const QUEUE: usize = 1024;

pub(crate) fn subscribe(flags: &SubscribeFlags) -> ExitCode {
    let (end, ended) = mpsc::channel();
    // The main thread is the one that may end the process; Ctrl-C, the end of the output and errors meet here.
    let flags = flags.clone();
    let on_signal = end.clone();
    let (ready, is_ready) = mpsc::channel();
    thread::spawn(move || wait_for_signal(&on_signal, ready));
    // Whoever reads that it listens may end it by a signal: nothing is sent, and the sender goes when signals are caught.
    let _ = is_ready.recv();
    thread::spawn(move || drop(end.send(run(&flags))));
    match ended.recv() {
        Ok(Err(error)) => exit::failed(&error),
        Ok(Ok(())) | Err(_) => ExitCode::SUCCESS,
    }
}

fn wait_for_signal(end: &Sender<Result<(), ClientError>>, ready: Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    // Without it Ctrl-C still ends the program, only not with exit code 0.
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let stop = polywire::stop_signal();
        drop(ready);
        stop.await;
    });
    let _ = end.send(Ok(()));
}

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Channel(String),
    User(String),
}

fn run(flags: &SubscribeFlags) -> Result<(), ClientError> {
    let channels = flags.channels.iter().cloned().map(Source::Channel);
    let mut sources = Vec::new();
    for source in channels.chain(flags.user.clone().map(Source::User)) {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    let mut clients = Vec::new();
    for source in sources {
        // The messages of a channel do not name it: each has a connection of its own.
        let mut client = SocketClient::connect(flags)?;
        match &source {
            Source::Channel(channel) => client.subscribe(channel)?,
            Source::User(user) => client.identify(user)?,
        }
        clients.push((source, client));
    }
    let names: Vec<_> = clients.iter().map(|(source, _)| source.name()).collect();
    eprintln!("listening on {}; stop with Ctrl-C", names.join(", "));

    let (sender, receiver) = mpsc::sync_channel(QUEUE);
    for (source, mut client) in clients {
        let sender = sender.clone();
        thread::spawn(move || {
            loop {
                let received = client.receive();
                let is_last = received.is_err();
                if sender
                    .send((source.clone(), Zoned::now(), received))
                    .is_err()
                    || is_last
                {
                    return;
                }
            }
        });
    }
    drop(sender);
    let count = flags.count.unwrap_or(u64::MAX);
    for _ in 0..count {
        let Ok((source, time, received)) = receiver.recv() else {
            break;
        };
        let line = show(flags, &source, &time, &received?);
        let mut out = io::stdout().lock();
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            // Whoever read the output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(ClientError::Output)?,
        }
    }
    Ok(())
}

impl Source {
    /// For people: a user is marked.
    fn name(&self) -> String {
        match self {
            Self::Channel(channel) => channel.clone(),
            Self::User(user) => format!("@{user}"),
        }
    }
}

fn show(flags: &SubscribeFlags, source: &Source, time: &Zoned, incoming: &Incoming) -> String {
    let Incoming { message, publisher } = incoming;
    if flags.raw {
        return plain(message);
    }
    if flags.json {
        let (key, name) = match source {
            Source::Channel(name) => ("channel", name),
            Source::User(name) => ("user", name),
        };
        let (name, time) = (Value::from(name.as_str()), time.strftime("%FT%T%.3f%:z"));
        return format!(
            r#"{{"{key}":{name},"time":"{time}","publisher":{publisher},"message":{message}}}"#
        );
    }
    let publisher = match publisher.as_str() {
        "null" => "-".to_owned(),
        publisher => plain(publisher),
    };
    let (time, name) = (time.strftime("%T%.3f"), source.name());
    format!("{time} {name} {publisher}: {message}")
}
