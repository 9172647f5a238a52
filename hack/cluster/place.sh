# Sourced by the scripts beside it: where the cluster of this checkout is, and which kind of one.
# shellcheck shell=bash
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
checkout=$PWD
state=$checkout/.dev/cluster
kubeconfig=$state/kubeconfig
kind_name=assay
cgroup=assay-node

say() { echo "$*" >&2; }
die() {
	say "$@"
	exit 1
}
has() { command -v "$1" >/dev/null; }

# Whoever starts or ends the cluster waits for who does so already. Descriptor 9 is not for what goes on running.
one_at_a_time() {
	[[ -z ${ASSAY_CLUSTER_LOCKED:-} ]] && has flock || return 0
	exec 9<"$checkout"
	flock --timeout 600 9 || die "Another make cluster or make cluster-down has been at it for ten minutes"
}

# A client without an engine is common, so the engine is what is asked.
kind_works() { has kind && has docker && timeout 10 docker info >/dev/null 2>&1; }
kind_is_ours() { [[ -e $state/kind ]]; }

# The process whose end is the end of the local node, if it runs. A pid that now belongs to another process does not count.
node_pid() {
	local pid
	pid=$(cat "$state/pid" 2>/dev/null) || return 1
	{ tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "hack/cluster/node.sh $checkout "; } 2>/dev/null || return 1
	echo "$pid"
}

cluster_runs() { [[ -e $kubeconfig ]] && { kind_is_ours || node_pid >/dev/null; }; }

# ctr ARGUMENT...: asks containerd of the local node.
ctr_of_node() {
	local pid
	pid=$(node_pid) || die "There is no cluster: make cluster"
	"$(hack/cluster/tools.sh ctr)/ctr" --address "/proc/$pid/root/run/containerd/containerd.sock" --namespace k8s.io "$@"
}

# kubectl of the version that the local node has, or what is in PATH with kind.
kubectl_of_cluster() { if kind_is_ours && has kubectl; then command -v kubectl; else echo "$(hack/cluster/build.sh)/kubectl"; fi; }

# The helm that tests use too: the one that was named, one in PATH that is new enough, or the one built here.
helm_to_use() {
	if [[ -n ${ASSAY_HELM:-} ]]; then
		echo "$ASSAY_HELM"
	elif has helm && helm version --short 2>/dev/null | grep -qE '^v(3\.(1[6-9]|[2-9][0-9])|[4-9])\.'; then
		command -v helm
	else
		echo "$(hack/cluster/tools.sh helm)/helm"
	fi
}

# Where images.sh puts archives.
image_folder() { echo "${CARGO_TARGET_DIR:-$checkout/target}/images"; }
