//! One call for many items, of which none holds up the others.

use std::slice;

use store::StoreError;

/// Makes a call for all items together. When Postgres chokes on that, it may be on one of them, in a way that nobody
/// foresaw: then each is tried alone, and has an error of its own.
///
/// # Errors
/// When Postgres does not answer, or chokes on every single item.
pub(crate) async fn together_or_apart<'i, I, O, Fut>(
    items: &'i [I],
    call: impl Fn(&'i [I]) -> Fut,
) -> Result<Vec<Result<O, StoreError>>, StoreError>
where
    Fut: Future<Output = Result<Vec<O>, StoreError>>,
{
    let defect = match call(items).await {
        Ok(answers) => return Ok(answers.into_iter().map(Ok).collect()),
        Err(defect @ StoreError::Defect(_)) if items.len() > 1 => defect,
        Err(error) => return Err(error),
    };
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        answers.push(match call(slice::from_ref(item)).await {
            Ok(answer) => answer.into_iter().next().ok_or_else(|| defect.clone()),
            // What was done so far is found when all of it is repeated.
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => Err(error),
        });
    }
    if answers.iter().all(Result::is_err) { Err(defect) } else { Ok(answers) }
}
