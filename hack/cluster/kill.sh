#!/usr/bin/env bash
# kill.sh NAMESPACE POD: kill -9 of the first process of the Pod's first container, as its node's kernel would do it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"
cluster_runs || die "There is no cluster"
container=$("$(kubectl_of_cluster)" --kubeconfig="$kubeconfig" --namespace "$1" get pod "$2" \
	-o 'jsonpath={.status.containerStatuses[0].containerID}')
kill=(tasks kill --signal SIGKILL "${container#containerd://}")
if kind_is_ours; then
	docker exec "$kind_name-control-plane" ctr --namespace k8s.io "${kill[@]}"
else
	ctr_of_node "${kill[@]}"
fi
