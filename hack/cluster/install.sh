#!/usr/bin/env bash
# install.sh [HELM OPTION...]: installs or upgrades the chart on the cluster of `make cluster`, and says what to do next.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"
cluster_runs || die "There is no cluster to install on: make cluster"
helm=$(helm_to_use)
kubectl=$(kubectl_of_cluster)
export KUBECONFIG=$kubeconfig

namespace=assay
"$kubectl" create namespace $namespace --dry-run=client -o yaml |
	"$kubectl" label --local -f - pod-security.kubernetes.io/enforce=restricted -o yaml |
	"$kubectl" apply --server-side -f - >/dev/null
# Images keep their tag while programs change: a label of what is in them has Pods of an earlier one replaced.
contents=()
for name in gateway operator scorer; do
	settings=$name
	[[ $name != scorer ]] || settings=scorer.defaults
	contents+=(--set-string "$settings.podAnnotations.image-contents=$(sha256sum "$(image_folder)/$name.tar" | cut -c1-16)")
done
"$helm" upgrade --install assay charts/assay --namespace $namespace --values hack/cluster/values.yaml \
	"${contents[@]}" --wait --timeout 5m "$@" >/dev/null || {
	code=$?
	say "It did not get ready. What is there:"
	"$kubectl" -n $namespace get pods >&2
	"$kubectl" -n $namespace get events --sort-by=.lastTimestamp >&2 | tail -n 20 || true
	exit $code
}
# An account for whoever tries things out here; values.yaml lets it do everything.
"$kubectl" -n $namespace create serviceaccount administrator --dry-run=client -o yaml | "$kubectl" apply --server-side -f - >/dev/null
"$kubectl" -n $namespace get pods >&2
cat >&2 <<END

Installed. To hand in a submission and see it scored:

  export KUBECONFIG=$kubeconfig kubectl=$kubectl
  token=\$(\$kubectl -n $namespace create token administrator --audience=assay)
  \$kubectl -n $namespace port-forward service/assay-gateway 8080:80 >/dev/null &
  id=\$(curl -s localhost:8080/api/submissions -H "Authorization: Bearer \$token" -H 'Content-Type: application/json' \\
    -d '{"content": {"code": "print(1)"}, "submit": true}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -s localhost:8080/api/scoring -H "Authorization: Bearer \$token" -H 'Content-Type: application/json' -d "{\"submissionId\": \"\$id\"}"
  \$kubectl -n $namespace get scoringjobs

To take it away: make uninstall.
END
