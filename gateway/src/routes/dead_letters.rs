//! `/api/dead-letters`

mod letter;
mod list;
mod redrive;
mod redrive_many;
mod show;

pub(crate) use list::{__path_list, list};
pub(crate) use redrive::{__path_redrive, redrive};
pub(crate) use redrive_many::{__path_redrive_many, redrive_many};
pub(crate) use show::{__path_show, show};

use crate::problem::{Code, Problem};

fn no_such_dead_letter() -> Problem {
    let detail = "There is no such dead letter: no job of this id has ended without a score.";
    Problem::new(Code::UnknownDeadLetter, detail)
}
