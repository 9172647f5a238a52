//! What a client may choose for a job, and what of it cannot be.

use std::ops::RangeInclusive;

use domain::{Knobs, Pool, Priority};
use jiff::Timestamp;
use serde_json::Number;

use crate::problem::{Code, Problem};
use crate::whole::whole;

/// The choices as a request names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    pub(crate) rubric: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) priority: Option<Number>,
    pub(crate) retries: Option<Number>,
    pub(crate) backoff_seconds: Option<Number>,
    pub(crate) not_before: Option<Timestamp>,
}

/// The longest name a rubric can have, since it is also a resource's.
const LONGEST_RUBRIC: usize = 253;

/// `notBefore` travels to places that cannot tell other times: 1970-01-01 to 9999-12-31.
const TIMES: RangeInclusive<i64> = 0..=253_402_214_399;

impl Choices {
    /// The choices of a job, with the pools that this gateway knows; whether the rubric exists is for Postgres to say.
    ///
    /// # Errors
    /// What cannot be chosen.
    pub(crate) fn into_knobs(self, pools: &[Pool]) -> Result<Knobs, Problem> {
        let default = Knobs::default();
        let rubric = self.rubric.unwrap_or(default.rubric);
        if rubric.is_empty() || rubric.len() > LONGEST_RUBRIC || rubric.contains('\0') {
            return Err(Problem::new(Code::UnknownRubric, "There is no rubric of this name."));
        }
        if self.not_before.is_some_and(|time| !TIMES.contains(&time.as_second())) {
            return Err(Problem::new(
                Code::InvalidNotBefore,
                "notBefore lies outside the years 1970 to 9999.",
            ));
        }
        Ok(Knobs {
            rubric,
            pool: known_pool(self.pool.as_deref(), pools)?,
            priority: priority(self.priority)?,
            retries: within("retries", self.retries, 0..=Knobs::MAX_RETRIES, Code::InvalidRetries)?
                .unwrap_or(default.retries),
            backoff_seconds: within(
                "backoffSeconds",
                self.backoff_seconds,
                1..=Knobs::MAX_BACKOFF_SECONDS,
                Code::InvalidBackoff,
            )?
            .unwrap_or(default.backoff_seconds),
            not_before: self.not_before,
            ..default
        })
    }
}

fn known_pool(named: Option<&str>, pools: &[Pool]) -> Result<Pool, Problem> {
    let known = |name: &str| pools.iter().find(|pool| pool.as_str() == name);
    match named {
        Some(name) => known(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = pools.iter().map(Pool::as_str).collect();
            Problem::new(
                Code::UnknownPool,
                format!("There is no pool {name:?}; there are: {}.", names.join(", ")),
            )
        }),
        None => Ok(known(Pool::default().as_str()).or(pools.first()).cloned().unwrap_or_default()),
    }
}

fn priority(number: Option<Number>) -> Result<Priority, Problem> {
    let Some(number) = number else {
        return Ok(Priority::default());
    };
    whole(&number).and_then(|number| Priority::try_from(number).ok()).ok_or_else(|| {
        Problem::new(Code::InvalidPriority, format!("priority {number} is not a whole number from 0 to 9."))
    })
}

/// A whole number within these bounds, if one is given.
///
/// # Errors
/// When it is none, as a problem with this code.
pub(crate) fn within(
    name: &str,
    number: Option<Number>,
    bounds: RangeInclusive<u32>,
    code: Code,
) -> Result<Option<u32>, Problem> {
    let Some(number) = number else {
        return Ok(None);
    };
    let given = whole(&number).and_then(|number| u32::try_from(number).ok());
    given.filter(|whole| bounds.contains(whole)).map(Some).ok_or_else(|| {
        let (least, most) = (bounds.start(), bounds.end());
        Problem::new(code, format!("{name} {number} is not a whole number from {least} to {most}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(names: &[&str]) -> Vec<Pool> {
        names.iter().map(|name| name.parse().expect("a name")).collect()
    }

    #[test]
    fn a_job_that_names_no_pool_goes_to_default_or_else_to_the_first() {
        let pool = |names: &[&str]| Choices::default().into_knobs(&pools(names)).expect("knobs").pool;
        assert_eq!(pool(&["gpu", "default"]).as_str(), "default");
        assert_eq!(pool(&["gpu", "cpu"]).as_str(), "gpu");
    }

    #[test]
    fn a_number_that_is_no_priority_is_refused() {
        for text in ["-1", "10", "5.5", "123456789012345678901234567890"] {
            let number: Number = serde_json::from_str(text).expect("a number");
            let choices = Choices { priority: Some(number), ..Choices::default() };
            let problem = choices.into_knobs(&pools(&["default"])).expect_err(text);
            assert_eq!(problem, priority(serde_json::from_str(text).ok()).expect_err(text));
        }
    }

    #[test]
    fn a_time_that_kubernetes_cannot_tell_is_refused() {
        for (text, allowed) in [("1969-12-31T23:59:59Z", false), ("2100-01-01T00:00:00Z", true)] {
            let choices = Choices { not_before: text.parse().ok(), ..Choices::default() };
            assert_eq!(choices.into_knobs(&pools(&["default"])).is_ok(), allowed, "{text}");
        }
    }
}
