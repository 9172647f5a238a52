#!/usr/bin/env bash
# Ends the cluster that up.sh started, however it came to stand, and leaves nothing behind. Silent when there is none
# and --quiet is given.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

if [[ ! -e $state ]]; then
	[[ ${1:-} == --quiet ]] || say "There is no cluster"
	exit 0
fi
one_at_a_time
if kind_is_ours; then
	kind delete cluster --name "$kind_name" >&2
fi
gone() { [[ ! -e /proc/$1 ]] || grep -q '^State:\sZ' "/proc/$1/status" 2>/dev/null; }
if pid=$(node_pid); then
	# It has asked the kernel to have its child die with it. That is the first process of the node's namespaces, and is not
	# gone before all others there are.
	first=$(grep -l "^PPid:\s$pid\$" /proc/[0-9]*/status 2>/dev/null | head -n 1 | cut -d/ -f3 || true)
	kill -KILL "$pid"
	for process in $pid $first; do
		until gone "$process"; do sleep 0.05; done
	done
fi
# The network goes with its namespace, but the kernel takes its time with that.
if [[ $(cat /sys/class/net/assay0/ifalias 2>/dev/null) == "$checkout" ]]; then
	ip link delete assay0 2>/dev/null || true
fi
# The namespaces took processes and mounts with them. Control groups are the whole machine's, and so perhaps another checkout's.
if [[ -e /sys/class/net/assay0 ]]; then
	say "The control groups stay: another checkout's node runs"
elif compgen -G "/sys/fs/cgroup/$cgroup" >/dev/null || compgen -G "/sys/fs/cgroup/*/$cgroup" >/dev/null; then
	for attempt in {1..100}; do
		find /sys/fs/cgroup -path "*/$cgroup*" -type d -depth -exec rmdir {} + 2>/dev/null && break
		# A group is busy until the last of its processes is quite gone.
		[[ $attempt -lt 100 ]] || die "Control groups named $cgroup could not be removed from /sys/fs/cgroup"
		sleep 0.05
	done
fi
rm -rf --one-file-system "$state"
rmdir "$(dirname "$state")" 2>/dev/null || true
say "The cluster is gone"
