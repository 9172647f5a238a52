//! A Kubernetes control plane of our own: etcd, kube-apiserver and, where asked for, kube-controller-manager.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::folder::{in_path, write_secret};
use crate::front_proxy::FrontProxy;
use crate::kubernetes::Kubernetes;
use crate::launch::Launch;
use crate::place::Place;
use crate::readiness;
use crate::server::Server;

/// What may differ from one control plane to the next.
#[derive(Debug, Clone, Default)]
pub struct ControlPlaneOptions {
    /// Also runs kube-controller-manager (garbage collection, namespaces' end, autoscalers).
    pub controller_manager: bool,
}

/// A control plane without nodes: resources of any kind can be kept, watched and changed, but no Pod runs.
#[derive(Debug)]
pub struct ControlPlane {
    etcd: Server,
    etcd_port: u16,
    apiserver: Server,
    controller_manager: Option<Server>,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    front_proxy: FrontProxy,
}

impl ControlPlane {
    /// Starts it and waits until it is ready.
    pub async fn start(place: &Place, options: &ControlPlaneOptions) -> Result<Self> {
        let binaries = control_plane_binaries().await?;
        let folder = place.folder("control-plane")?;
        let (etcd_port, peer_port) = (place.port("etcd")?, place.port("etcd-peer")?);
        let secure_port = place.port("kube-apiserver")?;
        let token = token(&folder)?;
        let kubeconfig = write_kubeconfig(&folder, secure_port, &token)?;
        let front_proxy = FrontProxy::in_folder(&folder.join("front-proxy"))?;
        let kubectl = Some(binaries.join("kubectl")).filter(|file| file.exists());
        let control_plane = Self {
            etcd: Server::new(etcd(place, &binaries, &folder, etcd_port, peer_port)),
            etcd_port,
            apiserver: Server::new(
                apiserver(place, &binaries, &folder, etcd_port, secure_port).args(front_proxy.flags()),
            ),
            controller_manager: match options.controller_manager {
                true => Some(Server::new(controller_manager(place, &binaries, &folder, &kubeconfig)?)),
                false => None,
            },
            kubeconfig,
            kubectl: kubectl
                .or_else(|| in_path("kubectl"))
                .context("kubectl is neither beside kube-apiserver nor in PATH")?,
            front_proxy,
        };
        control_plane.start_etcd().await?;
        control_plane.start_apiserver().await?;
        if let Some(manager) = &control_plane.controller_manager {
            manager.start().await?;
        }
        Ok(control_plane)
    }

    /// A kubeconfig whose user may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubectl that goes with it.
    pub fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// Both, as others take them.
    pub fn kubernetes(&self) -> Kubernetes {
        Kubernetes { kubeconfig: self.kubeconfig.clone(), kubectl: self.kubectl.clone() }
    }

    /// How the API server proves itself to those who serve APIs behind it.
    pub fn front_proxy(&self) -> &FrontProxy {
        &self.front_proxy
    }

    /// The process that keeps the resources.
    pub fn etcd(&self) -> &Server {
        &self.etcd
    }

    /// The process that serves them.
    pub fn apiserver(&self) -> &Server {
        &self.apiserver
    }

    /// The process that acts on built-in resources, where one was asked for.
    pub fn controller_manager(&self) -> Option<&Server> {
        self.controller_manager.as_ref()
    }

    /// Stops the API server; what it serves stays in etcd.
    pub async fn stop_apiserver(&self) -> Result<()> {
        self.apiserver.terminate(Duration::from_secs(90)).await
    }

    /// Starts the API server after it was stopped or killed: same port, same data. Returns once it is ready.
    pub async fn start_apiserver(&self) -> Result<()> {
        let process = self.apiserver.start().await?;
        readiness::until(&process, Duration::from_secs(60), async || self.answer().await).await
    }

    /// Stops the API server and starts it again.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.stop_apiserver().await?;
        self.start_apiserver().await
    }

    /// Starts etcd after it was stopped or killed.
    pub async fn start_etcd(&self) -> Result<()> {
        let process = self.etcd.start().await?;
        let healthy = async || readiness::http_ok(self.etcd_port, "/health").await;
        readiness::until(&process, Duration::from_secs(30), healthy).await
    }

    /// Stops everything.
    pub async fn stop(&self) -> Result<()> {
        if let Some(manager) = &self.controller_manager {
            manager.kill9().await?;
        }
        self.stop_apiserver().await?;
        self.etcd.terminate(Duration::from_secs(10)).await
    }

    async fn answer(&self) -> Result<()> {
        self.kubernetes().kubectl(&["get", "--raw", "/readyz", "--request-timeout=4s"]).await.map(drop)
    }
}

/// The folder with kube-apiserver and etcd: `KUBEBUILDER_ASSETS`, else what `hack/cluster/build.sh` built or builds now.
pub async fn control_plane_binaries() -> Result<PathBuf> {
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|assets| !assets.is_empty()) {
        let assets = PathBuf::from(assets);
        if !assets.join("kube-apiserver").exists() || !assets.join("etcd").exists() {
            bail!("KUBEBUILDER_ASSETS is {}, where there is no kube-apiserver and etcd", assets.display());
        }
        return Ok(assets);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/cluster/build.sh");
    let output = Command::new("bash")
        .arg(&script)
        .stderr(std::process::Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("run {}", script.display()))?;
    if !output.status.success() {
        bail!("there is no control plane to run: {} failed", script.display());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// The kubectl for a cluster that we did not start: that of `PATH`, else ours.
pub async fn kubectl_path() -> Result<PathBuf> {
    match in_path("kubectl") {
        Some(kubectl) => Ok(kubectl),
        None => Ok(control_plane_binaries().await?.join("kubectl")),
    }
}

fn etcd(place: &Place, binaries: &Path, folder: &Path, client_port: u16, peer_port: u16) -> Launch {
    let (client, peer) = (format!("http://127.0.0.1:{client_port}"), format!("http://127.0.0.1:{peer_port}"));
    place
        .launch("etcd", binaries.join("etcd"))
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        .arg("--quota-backend-bytes=8589934592")
        // What it keeps is derived from Postgres and need not survive a loss of power.
        .arg("--unsafe-no-fsync")
        .arg("--log-level=warn")
}

fn apiserver(place: &Place, binaries: &Path, folder: &Path, etcd_port: u16, secure_port: u16) -> Launch {
    let certificates = folder.join("certificates");
    // The API server makes its certificate and key before it reads the key for service accounts: one key serves both.
    let key = certificates.join("apiserver.key");
    place
        .launch("kube-apiserver", binaries.join("kube-apiserver"))
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .arg(format!("--secure-port={secure_port}"))
        .arg(format!("--cert-dir={}", certificates.display()))
        .arg(format!("--token-auth-file={}", folder.join("tokens.csv").display()))
        .arg("--authorization-mode=RBAC")
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .arg(format!("--service-account-key-file={}", key.display()))
        .arg(format!("--service-account-signing-key-file={}", key.display()))
        .arg("--service-cluster-ip-range=10.96.0.0/16")
        // Its own address is loopback, which may not stand in the endpoints of a Service.
        .arg("--endpoint-reconciler-type=none")
}

fn controller_manager(place: &Place, binaries: &Path, folder: &Path, kubeconfig: &Path) -> Result<Launch> {
    let certificates = folder.join("certificates");
    Ok(place
        .launch("kube-controller-manager", binaries.join("kube-controller-manager"))
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--secure-port={}", place.port("kube-controller-manager")?))
        .arg(format!("--cert-dir={}", folder.join("controller-manager-certificates").display()))
        .arg(format!("--service-account-private-key-file={}", certificates.join("apiserver.key").display()))
        .arg(format!("--root-ca-file={}", certificates.join("apiserver.crt").display()))
        .args(["--use-service-account-credentials", "--leader-elect=false"])
        // Nobody should wait for an autoscaler's next look.
        .arg("--horizontal-pod-autoscaler-sync-period=2s"))
}

/// The administrator's token: made once for a folder.
fn token(folder: &Path) -> Result<String> {
    let file = folder.join("tokens.csv");
    if let Ok(line) = fs::read_to_string(&file) {
        return line.split(',').next().map(str::to_owned).context("tokens.csv is empty");
    }
    let token = uuid::Uuid::new_v4().simple().to_string();
    write_secret(&file, &format!("{token},admin,admin,\"system:masters\"\n"))?;
    Ok(token)
}

fn write_kubeconfig(folder: &Path, port: u16, token: &str) -> Result<PathBuf> {
    let file = folder.join("kubeconfig");
    let authority = folder.join("certificates/apiserver.crt");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: assay-dev\n\
         clusters:\n- name: assay-dev\n  cluster:\n    server: https://127.0.0.1:{port}\n    certificate-authority: {}\n\
         users:\n- name: admin\n  user:\n    token: {token}\n\
         contexts:\n- name: assay-dev\n  context:\n    cluster: assay-dev\n    user: admin\n",
        authority.display()
    );
    write_secret(&file, &text)?;
    Ok(file)
}
