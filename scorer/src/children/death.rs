//! What a child died of.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

use crate::scoring::ScoringError;

/// Signals by which a person or a service manager ends processes.
const BY_REQUEST: [Signal; 3] = [Signal::HUP, Signal::INT, Signal::TERM];

/// What is said by Rust and by the parsers when the memory that they ask for is not to be had.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "failed to allocate"];

const STACK_OVERFLOW: &str = "has overflowed its stack";

/// The failure of the job whose process ended so, after these last words. The message is for the person who submitted
/// as well as for operators.
pub(super) fn of(status: ExitStatus, last_words: &str, memory_mib: u64) -> ScoringError {
    let by_request = |signal| BY_REQUEST.iter().any(|request| request.as_raw() == signal);
    let said = |words: &str| last_words.contains(words);
    if status.signal().is_some_and(by_request) {
        return ScoringError::Released {
            message: format!("its process was stopped from outside ({status})"),
        };
    }
    let message = if OUT_OF_MEMORY.into_iter().any(said) {
        format!("scoring it took more than the {memory_mib} MiB of memory that it may use")
    } else if said(STACK_OVERFLOW) {
        "scoring it overflowed the stack of its process".to_owned()
    } else if status.signal() == Some(Signal::XCPU.as_raw()) {
        "scoring it used up the processor time of its process".to_owned()
    } else {
        format!("scoring it ended its process ({status})")
    };
    ScoringError::Crashed { message }
}

/// The same of a process that died before it took any task: no submission's doing.
pub(super) fn at_birth(status: ExitStatus, last_words: &str) -> ScoringError {
    ScoringError::Released {
        message: format!("its process could not start ({status}): {}", last_words.trim()),
    }
}

/// The failure of the job whose process lived, but did not answer as it should.
pub(super) fn of_senses(error: &io::Error) -> ScoringError {
    ScoringError::Crashed { message: format!("scoring it left its process without an answer ({error})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died(signal: Signal, last_words: &str) -> String {
        match of(ExitStatus::from_raw(signal.as_raw()), last_words, 64) {
            ScoringError::Crashed { message } => message,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_crash_says_by_which_signal_or_for_want_of_what() {
        assert!(died(Signal::SEGV, "").contains("SIGSEGV"));
        assert!(died(Signal::KILL, "").contains("SIGKILL"));
        assert!(died(Signal::XCPU, "").contains("processor time"));
        let last_words = "thread 'main' has overflowed its stack\nfatal runtime error: stack overflow";
        assert!(died(Signal::ABORT, last_words).contains("stack"));
        for last_words in
            ["memory allocation of 1048576 bytes failed\n", "tree-sitter failed to allocate 64 bytes"]
        {
            assert!(died(Signal::ABORT, last_words).contains("64 MiB"), "{last_words}");
        }
    }

    #[test]
    fn an_exit_without_an_answer_is_a_crash() {
        let exited = of(ExitStatus::from_raw(1 << 8), "Error: cannot read a task", 64);
        assert!(matches!(exited, ScoringError::Crashed { message } if message.contains("exit status: 1")));
    }

    #[test]
    fn who_is_stopped_from_outside_spends_no_attempt() {
        for signal in BY_REQUEST {
            let stopped = of(ExitStatus::from_raw(signal.as_raw()), "", 64);
            assert!(matches!(stopped, ScoringError::Released { .. }), "{stopped}");
        }
    }
}
