#!/usr/bin/env bash
# tools.sh NAME...: builds pinned versions of these tools from their Go modules into the cache's bin/, where they are
# not there yet, and prints that folder. Everything else it says goes to stderr.
set -euo pipefail

declare -A modules=(
	[helm]=helm.sh/helm/v4 [containerd]=github.com/containerd/containerd/v2
	[containerd-shim-runc-v2]=github.com/containerd/containerd/v2 [ctr]=github.com/containerd/containerd/v2
	[coredns]=github.com/coredns/coredns
)
declare -A versions=(
	[helm.sh/helm/v4]=v4.3.1 [github.com/containerd/containerd/v2]=v2.4.2 [github.com/coredns/coredns]=v1.15.0
)
declare -A packages=(
	[helm]=/cmd/helm [containerd]=/cmd/containerd [containerd-shim-runc-v2]=/cmd/containerd-shim-runc-v2 [ctr]=/cmd/ctr [coredns]=
)

bin=${ASSAY_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}/bin
# As build.sh has it: what both need is compiled once.
export CGO_ENABLED=0 GOWORK=off GOFLAGS=

# A Go program knows which version of its module it was built from.
is_built() { [[ -x $bin/$1 ]] && go version -m "$bin/$1" | grep -qF $'\tmod\t'"${modules[$1]}"$'\t'"${versions[${modules[$1]}]}"$'\t'; }

mkdir -p "$bin"
for name in "$@"; do
	[[ -n ${modules[$name]:-} ]] || { echo "tools.sh knows no $name, only ${!modules[*]}" >&2; exit 2; }
	is_built "$name" && continue
	(
		# A second build at the same time waits for the first, then finds its result.
		if command -v flock >/dev/null; then
			exec 9>"$bin.lock"
			flock 9
			! is_built "$name" || exit 0
		fi
		module=${modules[$name]} version=${versions[${modules[$name]}]}
		echo "Building $name $version from its Go module into $bin (once; a minute or two on 2 cores)" >&2
		unfinished=$(mktemp -d "$bin/unfinished.XXXXXX")
		trap 'rm -rf "$unfinished"' EXIT
		GOBIN=$unfinished nice go install -trimpath -ldflags '-s -w' "$module${packages[$name]}@$version" >&2 9>&-
		mv "$unfinished/$name" "$bin/$name"
	)
done
echo "$bin"
