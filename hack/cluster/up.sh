#!/usr/bin/env bash
# A real cluster for tests: kind's where Docker runs, else one node of our own in namespaces of its own (node.sh).
# hack/setup.sh cluster must have run. With --possible it only says whether, and if not why not.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

tell() {
	say "The cluster is ready. To use it:"
	say "  export KUBECONFIG=$kubeconfig"
	say "  $kubectl get pods --all-namespaces"
	say "Next: make install. To end it: make cluster-down."
}

# Without Docker and kind not every machine can do it.
node_is_possible() {
	[[ $(uname -s) == Linux ]] || die "Without Docker and kind, a cluster needs Linux; this is $(uname -s)."
	[[ $(id -u) -eq 0 ]] || die "Without Docker and kind, a cluster needs root: it makes namespaces, mounts and control groups. Run make cluster as root, or install Docker and kind."
	unshare --mount --net --pid --fork --mount-proc true 2>/dev/null ||
		die "This machine lets root make no mount, network and process namespaces (a container without privileges?): $(unshare --mount --net --pid --fork --mount-proc true 2>&1)"
	for program in ip nft runc openssl nsenter unshare setpriv; do
		has "$program" || die "A local node needs $program; hack/setup.sh cluster says how to have it."
	done
	unshare --net nft add table ip assay 2>/dev/null || die "This kernel has no nftables, which Services need."
	unshare --net ip link add assay0 type veth peer name assay1 2>/dev/null || die "This kernel has no veth devices, which Pods need."
}
if [[ ${1:-} == --possible ]]; then
	kind_is_ours || kind_works || node_is_possible
	exit 0
fi

one_at_a_time

if kind_is_ours || kind_works; then
	if kind get clusters 2>/dev/null | grep -qx "$kind_name"; then
		kind_is_ours || die "There is a kind cluster $kind_name that this checkout did not make. To end it: kind delete cluster --name $kind_name"
		say "The kind cluster $kind_name is there already"
		kind export kubeconfig --name "$kind_name" --kubeconfig "$kubeconfig" >&2
	else
		mkdir -p "$state"
		touch "$state/kind"
		kind create cluster --name "$kind_name" --config kind-config.yaml --kubeconfig "$kubeconfig" --wait 180s >&2
	fi
	kubectl=$(kubectl_of_cluster)
	tell
	exit 0
fi

started=$SECONDS
programs=$(hack/cluster/build.sh)
kubectl=$programs/kubectl
if node_pid >/dev/null; then
	say "It runs already."
	tell
	exit 0
fi

node_is_possible
other=$(cat /sys/class/net/assay0/ifalias 2>/dev/null || true)
[[ ! -e /sys/class/net/assay0 || $other == "$checkout" ]] ||
	die "The checkout ${other:-of somebody else} has its node running on this machine, which has room for one. To end that: make cluster-down there."
if [[ -e $state || -e /sys/class/net/assay0 ]]; then
	say "Removing what a cluster left that ended without make cluster-down"
	ip link delete assay0 2>/dev/null || true
	ASSAY_CLUSTER_LOCKED=1 hack/cluster/down.sh
fi

tools=$(hack/cluster/tools.sh containerd containerd-shim-runc-v2 ctr coredns)
hack/cluster/images.sh pause coredns
mkdir -p "$state"
unshare --mount --net --pid --fork --mount-proc --kill-child=KILL \
	bash hack/cluster/node.sh "$checkout" "$programs" "$tools" 3</proc/self/ns/net </dev/null >"$state/node.log" 2>&1 9>&- &
pid=$!
disown
echo "$pid" >"$state/pid"

kubectl() { "$programs/kubectl" --kubeconfig="$kubeconfig" "$@"; }
# Succeeds once a command does; says why when the node ended, or 90 s went by.
until_ok() {
	local last=$((SECONDS + 90))
	until "$@" >/dev/null 2>&1; do
		[[ -e /proc/$pid ]] || die "The node ended: $(cat "$state/node.log")"
		((SECONDS < last)) || die "The node did not get ready within 90 s: $("$@" 2>&1 || true). Logs: $state/node.log and $state/log"
		sleep 0.1
	done
}
until_ok test -S "/proc/$pid/root/run/containerd/containerd.sock"
hack/cluster/load.sh pause coredns
until_ok kubectl get --raw /readyz
kubectl apply --server-side -f hack/cluster/node/system.yaml >/dev/null
until_ok kubectl get node assay
kubectl wait --for=condition=Ready node/assay --timeout=90s >/dev/null || die "The node did not get ready. Logs: $state/log"
kubectl -n kube-system rollout status deployment/coredns --timeout=90s >/dev/null || die "CoreDNS did not get ready. Logs: $state/log"
say "A node is ready after $((SECONDS - started)) s"
tell
