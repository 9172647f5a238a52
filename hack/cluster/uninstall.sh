#!/usr/bin/env bash
# Takes away what install.sh installed, its volumes and its namespace; the custom resource definitions stay, as in any cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"
cluster_runs || die "There is no cluster"
helm=$(helm_to_use)
kubectl=$(kubectl_of_cluster)
export KUBECONFIG=$kubeconfig
"$helm" uninstall assay --namespace assay --ignore-not-found --wait --timeout 3m >&2
"$kubectl" delete namespace assay --ignore-not-found --timeout=120s >&2
