//! Checks the model within the bounds of `model::WORLDS` and prints what was found: `cargo run --package model`.

use std::process::ExitCode;
use std::time::Instant;

use model::{Checked, WORLDS, check};

fn main() -> ExitCode {
    let mut holds = true;
    for world in WORLDS {
        let begun = Instant::now();
        let Checked { states, depth, failures, never } = check(world.life());
        println!("{}: {states} states, {depth} deep, {:.1?}", world.name, begun.elapsed());
        println!("    {}", world.bounds);
        never.iter().for_each(|what| println!("    never here: {what}"));
        failures.iter().for_each(|failure| println!("    {failure}"));
        holds &= failures.is_empty();
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
