//! Breaks what is between nodes and Redis under traffic of all protocols, and checks what the clients saw.
//!
//! `faults POLYWIRE [--rounds N] [--seed N] [--only NAME] [--folder FOLDER]` runs each fault whose name contains NAME: N
//! rounds of it, by default 20, and 3 where one takes long. It prints a row for each round, and fails when one is not good;
//! the logs of such a round stay in the folder.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{path::PathBuf, process::ExitCode};

use polywire_testing::faults::{FAULTS, HEADER, Patience, Runner};

const QUICK_ROUNDS: u64 = 20;
const SLOW_ROUNDS: u64 = 3;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().expect("the path of the program");
    let mut runner = Runner {
        program: std::path::absolute(program).expect("a path"),
        folder: PathBuf::from("target/faults"),
        patience: Patience::default(),
    };
    let (mut rounds, mut first, mut only) = (None, 1, String::new());
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .unwrap_or_else(|| panic!("{name} needs a value"));
        let number = || value.parse::<u64>().expect("a number");
        match &*name {
            "--rounds" => rounds = Some(number()),
            "--seed" => first = number(),
            "--only" => only = value,
            "--folder" => runner.folder = value.into(),
            _ => panic!("unknown: {name}"),
        }
    }
    println!("{HEADER}");
    let mut is_good = true;
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(&only)) {
        let usual = if fault.is_slow {
            SLOW_ROUNDS
        } else {
            QUICK_ROUNDS
        };
        for seed in first..first + rounds.unwrap_or(usual) {
            let outcome = runner.round(fault, seed);
            println!("{outcome}");
            is_good &= outcome.is_good();
        }
    }
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
