#!/usr/bin/env bash
# Builds the programs of a Kubernetes control plane and node (main.go says
# which) from their Go modules, once for each version of this folder, and prints
# the folder they are in. Everything else it says goes to stderr.
#
# The result is kept in the user's cache folder under a key of what it was built
# from, so a second clone, or a second call, builds nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { echo "$*" >&2; }

if ! command -v go >/dev/null; then
	say "The control plane is built with Go 1.26 or newer, which is not installed."
	say "Install it (https://go.dev/dl), or point KUBEBUILDER_ASSETS at a folder with kube-apiserver, etcd and kubectl."
	exit 1
fi

export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
version=$(sed -n 's|^\s*k8s.io/kubernetes \(v[0-9.]*\)$|\1|p' go.mod)
flags=(-trimpath -buildvcs=false -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version")

cache=${ASSAY_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}
key=$({ cat main.go go.mod go.sum; go version; echo "CGO_ENABLED=$CGO_ENABLED ${flags[*]}"; } | sha256sum | cut -c1-16)
folder=$cache/control-plane-$key

if [[ ! -x $folder/kube-apiserver ]]; then
	mkdir -p "$cache"
	# A second build at the same time waits for the first, then finds its result.
	if command -v flock >/dev/null; then
		exec 9>"$cache/control-plane.lock"
		flock --nonblock 9 || { say "Another build of the control plane is running; waiting for it."; flock 9; }
	fi
	if [[ ! -x $folder/kube-apiserver ]]; then
		say "Building a Kubernetes $version control plane from its Go modules into $folder"
		say "This happens once and usually takes about 6 minutes on 2 cores."
		started=$SECONDS
		unfinished=$(mktemp -d "$cache/control-plane-unfinished.XXXXXX")
		trap 'rm -rf "$unfinished"' EXIT
		nice go build "${flags[@]}" -o "$unfinished/control-plane" . >&2 9>&-
		for name in etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet; do
			ln -s control-plane "$unfinished/$name"
		done
		chmod 755 "$unfinished"
		# A rename is whole or not at all: what stands under the key is always complete.
		mv -T "$unfinished" "$folder"
		say "Built in $((SECONDS - started)) s."
	fi
fi
echo "$folder"
