//! Checks the model within the bounds of `model::WORLDS` and prints what was found: `cargo run --package model`.

use std::process::ExitCode;
use std::time::Instant;

use model::{Checked, WORLDS, check};

fn main() -> ExitCode {
    let mut holds = true;
    for world in WORLDS {
        let begun = Instant::now();
        let Checked { states, depth, failures } = check(world.life());
        println!("{:<40} {states:>9} states, {depth:>3} deep, {:>5.1?}", world.name, begun.elapsed());
        println!("    {}", world.bounds);
        for failure in &failures {
            println!("    {failure}");
        }
        holds &= failures.is_empty();
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
