//! A Redis that is reached over TLS.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use queue::{Queue, RateLimits};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::{Place, Redis, TempFolder};
use uuid::Uuid;

use crate::fixture::{connect, waiting};

/// An authority, whose certificate is in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let file = write(folder, &format!("{name}.crt"), &issuer.pem());
        Authority { issuer, file }
    }
}

/// Where the account under which Redis runs can read it.
fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, content).expect("a file");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("permissions");
    file
}

/// A Redis that proves to be `localhost`, and the port on which it speaks TLS.
async fn encrypted(folder: &Path, authority: &Authority) -> (Redis, u16) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &authority.issuer).expect("a certificate");
    let place = Place::owned(folder);
    let port = place.port("redis-tls").expect("a port");
    let files = [
        write(folder, "redis.crt", &certificate.pem()),
        write(folder, "redis.key", &key.serialize_pem()),
        authority.file.clone(),
    ];
    let [cert, key, ca] = files.each_ref().map(|file| file.to_str().expect("a path in UTF-8"));
    let tls = port.to_string();
    let settings = [
        ["--tls-port", &tls],
        ["--tls-cert-file", cert],
        ["--tls-key-file", key],
        ["--tls-ca-cert-file", ca],
        ["--tls-auth-clients", "no"],
    ];
    (Redis::start_with(&place, "redis", &settings.concat()).await.expect("a Redis with TLS"), port)
}

#[tokio::test]
async fn a_redis_behind_tls_serves_queues_and_limits_and_an_impostor_is_not_believed() {
    let folder = TempFolder::new().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("permissions");
    let (trusted, stranger) =
        (Authority::new(folder.path(), "trusted"), Authority::new(folder.path(), "stranger"));
    let (_redis, port) = encrypted(folder.path(), &trusted).await;
    let url = |host: &str, trust: &Authority| {
        format!("rediss://{host}:{port}/?ca_file={}", trust.file.to_str().expect("a path in UTF-8"))
    };
    let pool = "default".parse().expect("a pool");

    let believed = url("localhost", &trusted);
    let queue = connect(&believed);
    let job = Uuid::now_v7();
    assert_eq!(queue.enqueue(&pool, &[waiting(job, 5, 0)]).await.expect("enqueue"), 1);
    let rate = "5/1m".parse().expect("a rate");
    let limits = RateLimits::connect(&believed).expect("a URL");
    assert_eq!(limits.take("somebody", &rate, 2).await.expect("an answer").granted, 2);

    for (host, trust) in [("localhost", &stranger), ("127.0.0.1", &trusted)] {
        let queue: Queue = connect(&url(host, trust));
        let error = queue.depth(&pool).await.expect_err("an impostor");
        assert!(error.is_unavailable(), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
