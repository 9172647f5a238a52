//! Within every bound, everything that is always to be so is.

use model::{Checked, WORLDS, check};

fn check_world(name: &str) -> Checked {
    let world = WORLDS.iter().find(|world| world.name == name).expect("a world of this name");
    let checked = check(world.life());
    println!("{name}: {} states, {} deep; {}", checked.states, checked.depth, world.bounds);
    assert!(checked.failures.is_empty(), "{}", checked.failures.join("\n"));
    checked
}

/// And all that is worth withstanding does happen.
#[test]
fn no_two_faults_break_the_life_of_a_job() {
    let never = check_world("any two faults").never;
    assert!(never.is_empty(), "this never happens: {never:?}");
}

#[test]
fn no_fault_beside_an_audit_breaks_the_life_of_a_job() {
    check_world("any fault beside an audit");
}

#[test]
fn no_four_faults_of_scorers_break_the_life_of_a_job() {
    check_world("four faults of scorers");
}

#[test]
fn no_two_faults_of_three_scorers_break_the_life_of_a_job() {
    check_world("three scorers");
}

#[test]
fn two_jobs_do_not_get_in_each_other_s_way() {
    check_world("two jobs");
}

#[test]
fn two_jobs_survive_the_loss_of_redis_together() {
    check_world("two jobs, Redis emptied");
}
