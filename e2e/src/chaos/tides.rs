//! Jobs that run for a while, so that faults meet them half-way.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::plan::LEASE;
use crate::Gate;
use crate::rows::Database;

/// How long jobs are held: longer than leases, so that whatever lasts longer than one meets jobs that run all the time.
const HELD: Duration = Duration::from_secs(LEASE.as_secs() * 2);

/// How long they are not, in between.
const FLOWING: Duration = Duration::from_millis(2_500);

/// How long Postgres may take over closing a gate before it counts as away.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Again and again closes a gate, names its rubric, and opens it, for ever. A Postgres that ends meanwhile opens it as
/// well.
pub(crate) async fn come_and_go(database: &Database, rubric: &watch::Sender<String>) {
    loop {
        if let Ok(Ok(gate)) = timeout(CLOSE_WITHIN, Gate::close(database)).await {
            rubric.send_replace(gate.rubric().to_owned());
            sleep(HELD).await;
            // A lock that Postgres lost by a restart is gone as well.
            let _ = gate.open().await;
        }
        sleep(FLOWING).await;
    }
}

/// Submissions, made with SQL, as many as there are to be jobs. Every sixth is so long that scoring it by what it says
/// takes a while: faults are to meet jobs in the middle of that, too.
pub(crate) async fn submissions(database: &Database, count: usize) -> anyhow::Result<Vec<Uuid>> {
    const LOAD: &str = r#"
INSERT INTO submissions (status, content)
SELECT 'SUBMITTED', jsonb_build_object('language', 'python',
  'code', '# ' || n || E'\n' || repeat(E'def f(x):\n    """Adds one."""\n    return x + 1\n',
    CASE WHEN n % 6 = 0 THEN 1500 ELSE 20 END),
  'documentation', '# Notes')
FROM generate_series(1, $1) n RETURNING id"#;
    let rows: Vec<(Uuid,)> =
        sqlx::query_as(LOAD).bind(i32::try_from(count)?).fetch_all(&database.pool).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
