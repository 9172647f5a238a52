//! A primary that sentinels replace.

use testkit::Sentinels;

use crate::fixture::connect;
use crate::recovery::Running;

#[tokio::test]
async fn a_primary_that_sentinels_replace_is_followed_and_so_is_the_way_back() {
    let sentinels = Sentinels::start().await.expect("sentinels");
    let [first, second] = sentinels.servers() else { panic!("two servers") };
    let mut running = Running::on(connect(&sentinels.url())).await;

    first.kill9().await.expect("kill");
    running.until_away().await;
    sentinels.until_primary(second).await.expect("a failover");
    running.until_reached().await;
    running.rebuild().await;
    running.serves().await;

    first.start_again().await.expect("start");
    sentinels.until_followed().await.expect("a replica");
    let mut running = Running::on(connect(&sentinels.url())).await;
    // It does not even refuse connections. A sentinel that answers no more delays nobody for long.
    second.pause().await.expect("pause");
    sentinels.sentinels()[0].pause().await.expect("pause");
    running.until_away().await;
    running.until_reached().await;
    running.rebuild().await;
    running.serves().await;
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_unavailable_and_no_defect() {
    let sentinels = Sentinels::start().await.expect("sentinels");
    let queue = connect(&sentinels.url().replace("/assay", "/other"));
    let error = queue.is_current(&"default".parse().expect("a pool")).await.expect_err("no such name");
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("No such master"), "{error}");
}
