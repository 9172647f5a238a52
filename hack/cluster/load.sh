#!/usr/bin/env bash
# load.sh [--if-running] NAME...: gives images that images.sh made to the cluster that runs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

if [[ ${1:-} == --if-running ]]; then
	cluster_runs || exit 0
	shift
fi
folder=$(image_folder)
if ! kind_is_ours; then
	pid=$(node_pid) || die "There is no cluster to load images into: make cluster"
	snapshotter=$(sed -n 's/^ *snapshotter = "\(.*\)"/\1/p' "/proc/$pid/root/run/assay/containerd.toml")
fi
for name in "$@"; do
	if kind_is_ours; then
		kind load image-archive "$folder/$name.tar" --name "$kind_name" >&2
	else
		output=$(ctr_of_node images import --snapshotter "$snapshotter" "$folder/$name.tar" 2>&1) || die "$output"
	fi
done
