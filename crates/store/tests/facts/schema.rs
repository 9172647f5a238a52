//! Migrations.

use anyhow::Result;
use store::{Settings, Store};

use crate::database::Database;

#[tokio::test]
async fn the_schema_is_current_once_it_is_migrated() -> Result<()> {
    let url = testkit::fresh_database().await?;
    let store = Store::connect(&Settings::new(&url))?;
    assert!(store.check_schema().await.is_err());
    store::migrate(&url).await?;
    store.check_schema().await?;
    store::migrate(&url).await?;
    Ok(())
}

#[tokio::test]
async fn a_schema_of_a_newer_version_serves_and_one_that_lacks_a_step_does_not() -> Result<()> {
    let database = Database::fresh().await?;
    database
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 99999999999999, 'newer', TRUE, '', 0",
        )
        .await?;
    database.store.check_schema().await?;
    // A program of the version before is started again during an upgrade.
    database.store.prepare(&database.url).await?;
    // The newer one, and the last that this one knows.
    let lack = "DELETE FROM _sqlx_migrations WHERE version IN
      (SELECT version FROM _sqlx_migrations ORDER BY version DESC LIMIT 2)";
    assert_eq!(database.run(lack).await?, 2);
    assert!(database.store.check_schema().await.is_err());
    Ok(())
}

#[tokio::test]
async fn calls_before_the_migration_are_unavailable_and_not_wrong() -> Result<()> {
    let url = testkit::fresh_database().await?;
    let store = Store::connect(&Settings::new(&url))?;
    let error = store.job(uuid::Uuid::now_v7()).await.err();
    assert!(error.is_some_and(|error| error.is_unavailable()));
    Ok(())
}
