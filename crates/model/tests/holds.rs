//! Within every bound, everything that is always to be so is, and everything that is to happen does.

use model::{Checked, WORLDS, check};

fn check_world(name: &str) {
    let world = WORLDS.iter().find(|world| world.name == name).expect("a world of this name");
    let Checked { states, depth, failures } = check(world.life());
    println!("{name}: {states} states, {depth} deep; {}", world.bounds);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_two_faults_break_the_life_of_a_job() {
    check_world("any two faults");
}

#[test]
fn no_three_faults_of_scorers_break_the_life_of_a_job() {
    check_world("scorers in trouble");
}

#[test]
fn no_three_faults_of_redis_break_the_life_of_a_job() {
    check_world("Redis in trouble");
}

#[test]
fn no_fault_breaks_the_lives_of_two_jobs() {
    check_world("two jobs");
}
