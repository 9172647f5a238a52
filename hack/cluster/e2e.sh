#!/usr/bin/env bash
# e2e.sh [FILTER...]: installs the chart on the cluster and runs the tests of e2e/tests/cluster there. A cluster that runs
# is used and stays; else one is started for that and ended.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

hack/cluster/up.sh --possible
cluster_runs || trap 'hack/cluster/down.sh --quiet' EXIT
hack/cluster/up.sh
hack/cluster/images.sh
hack/cluster/load.sh gateway operator scorer postgres redis
hack/cluster/install.sh
ASSAY_CLUSTER_KUBECONFIG=$kubeconfig ASSAY_CLUSTER_KUBECTL=$(kubectl_of_cluster) ASSAY_HELM=$(helm_to_use) \
	cargo test --workspace --test cluster -- --nocapture "$@"
