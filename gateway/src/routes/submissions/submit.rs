//! `POST /api/submissions/:id/submit`

use axum::extract::State;
use store::SubmissionStatus;

use super::Standing;
use crate::app::SharedApp;
use crate::caller::Caller;
use crate::extract::Id;
use crate::problem::Problem;
use crate::repeat::repeat;

/// Makes a submission final. Doing so again is harmless.
pub(crate) async fn submit(
    State(app): State<SharedApp>,
    caller: Caller,
    Id(id): Id,
) -> Result<Standing, Problem> {
    let store = app.store(&caller);
    repeat(|| store.submit(id)).await??;
    Ok(Standing::new(id, SubmissionStatus::Submitted))
}
