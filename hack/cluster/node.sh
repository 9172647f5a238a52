#!/usr/bin/env bash
# The first process of the local node, in namespaces of its own (up.sh makes them). It starts what a node consists of
# and ends when one of these ends; with it everything ends. Its folders are always these, so that configuration files
# can name them:
#   /run/assay/state   .dev/cluster of the checkout
#   /run/assay/bin     programs of the control plane and kubelet; /run/assay/tools: containerd and kin
#   /run/assay/config  hack/cluster/node
#
# node.sh CHECKOUT PROGRAMS TOOLS, with the machine's network namespace as descriptor 3.
set -euo pipefail
checkout=$1 programs=$2 tools=$3
outside=10.99.0.2 node=10.99.0.1 pods=10.244.0.0/24 services=10.96.0.0/16

# Folders. What runs below writes to /run, /var and /tmp: here these are the state folder, or memory.
mount --make-rprivate /
exec 4<"$checkout/.dev/cluster" 5<"$checkout/hack/cluster/node" 6<"$programs" 7<"$tools"
mount -t tmpfs -o mode=755 assay /run
mkdir -p /run/assay/{state,config,bin,tools} /run/lock
mount --bind /proc/self/fd/4 /run/assay/state
mount --bind /proc/self/fd/5 /run/assay/config
mount --bind /proc/self/fd/6 /run/assay/bin
mount --bind /proc/self/fd/7 /run/assay/tools
exec 4<&- 5<&- 6<&- 7<&-
cd /run/assay/state
mkdir -p etcd containerd kubelet log/pods tmp/hostpath_pv secrets
chmod 700 secrets
chmod 1777 tmp
# The controller manager makes the folders of volumes, as the user that databases run as (see below).
chown 999:999 tmp/hostpath_pv
mount -t tmpfs -o mode=755 assay /var/lib
mkdir -p /var/lib/kubelet
mount --bind kubelet /var/lib/kubelet
mount --bind log /var/log
mount --bind tmp /tmp
export PATH=/run/assay/bin:/run/assay/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/assay TMPDIR=/tmp

# The kubelet wants these at certain values, and would set them for the whole machine. It sees files instead.
tunable() {
	local file=/run/assay/tunables/$1
	mkdir -p "$(dirname "$file")"
	echo "$2" >"$file"
	mount --bind "$file" "/proc/sys/$1"
}
tunable vm/overcommit_memory 1
tunable vm/panic_on_oom 0
tunable kernel/panic 10
tunable kernel/panic_on_oops 1
tunable kernel/keys/root_maxkeys 1000000
tunable kernel/keys/root_maxbytes 25000000
mount --make-rshared /

# Network: a cable to the machine, over which the machine reaches the API server, Services and Pods.
ip link set lo up
# This script is process 1 of its own process namespace, which nsenter keeps.
nsenter --net=/proc/self/fd/3 ip link add assay0 type veth peer name eth0 netns 1
ip address add $node/24 dev eth0
ip link set eth0 up
ip route add default via $outside
nsenter --net=/proc/self/fd/3 bash -euc "
	ip link set assay0 alias '$checkout'
	ip address add $outside/24 dev assay0
	ip link set assay0 up
	ip route add $services via $node
	ip route add $pods via $node"
exec 3<&-
echo 1 >/proc/sys/net/ipv4/ip_forward

# Who is who: static tokens for the node's own programs and the administrator, certificates where nothing else will do.
declare -A tokens
for name in admin kube-controller-manager kube-scheduler kube-proxy kubelet; do
	tokens[$name]=$(openssl rand -hex 16)
done
cat >secrets/tokens.csv <<-END
	${tokens[admin]},admin,admin,system:masters
	${tokens[kube-controller-manager]},system:kube-controller-manager,kube-controller-manager
	${tokens[kube-scheduler]},system:kube-scheduler,kube-scheduler
	${tokens[kube-proxy]},system:kube-proxy,kube-proxy
	${tokens[kubelet]},system:node:assay,kubelet,system:nodes
END
authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" \
		-keyout "secrets/$1.key" -out "secrets/$1.crt" 2>/dev/null
}
certificate() { # NAME SUBJECT AUTHORITY
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "secrets/$1.key" 2>/dev/null |
		openssl x509 -req -CA "secrets/$3.crt" -CAkey "secrets/$3.key" -CAcreateserial -days 3650 \
			-extfile <(echo 'extendedKeyUsage = clientAuth') -out "secrets/$1.crt" 2>/dev/null
}
authority client-ca
certificate kubelet-client /O=system:masters/CN=kube-apiserver client-ca
authority front-proxy-ca
certificate front-proxy-client /CN=front-proxy-client front-proxy-ca

kubeconfig() { # NAME FILE
	cat <<-END >"$2"
		apiVersion: v1
		kind: Config
		current-context: assay
		clusters: [{name: assay, cluster: {server: "https://$node:6443", certificate-authority-data: $(base64 -w0 secrets/apiserver.crt)}}]
		users: [{name: $1, user: {token: ${tokens[$1]}}}]
		contexts: [{name: assay, context: {cluster: assay, user: $1}}]
	END
	chmod 600 "$2"
}

declare -A names
start() { # NAME COMMAND [ARGUMENT...]
	"${@:2}" </dev/null >"log/$1.log" 2>&1 &
	names[$!]=$1
}
# Waits until a command succeeds, for as long as all that was started still runs.
until_ok() {
	local pid
	until "$@"; do
		for pid in "${!names[@]}"; do kill -0 "$pid" 2>/dev/null || report_end; done
		sleep 0.05
	done
}
report_end() {
	local code=0 ended
	wait -n -p ended || code=$?
	echo "${names[$ended]} ended with code $code, and the node with it. Its last words (the others are in log/${names[$ended]}.log):" >&2
	tail -n 20 "log/${names[$ended]}.log" >&2
	exit 1
}

# What runs in Pods is below one control group of each kind there is.
cgroups=(/sys/fs/cgroup)
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
	sed 's/[a-z]*/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
else
	cgroups=(/sys/fs/cgroup/*/)
fi
mkdir -p "${cgroups[@]/%//assay-node}"

# overlayfs cannot lie on everything (not on itself, for one); copying layers is slow and always possible.
mkdir -p containerd /run/assay/try/{lower,merged} try/{upper,work}
if mount -t overlay -o lowerdir=/run/assay/try/lower,upperdir=try/upper,workdir=try/work assay /run/assay/try/merged 2>/dev/null; then
	umount /run/assay/try/merged
	snapshotter=overlayfs
else
	snapshotter=native
fi
rm -r try
sed "s/@snapshotter@/$snapshotter/" /run/assay/config/containerd.toml >/run/assay/containerd.toml

start containerd containerd --config /run/assay/containerd.toml
start etcd etcd --data-dir=etcd --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
	--listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
	--initial-cluster=default=http://127.0.0.1:2380 --unsafe-no-fsync --log-level=warn
# It makes its serving certificate itself, with a key that serves for the tokens of service accounts too.
start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=$node --advertise-address=$node --secure-port=6443 \
	--cert-dir=secrets --token-auth-file=secrets/tokens.csv --client-ca-file=secrets/client-ca.crt \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--service-account-key-file=secrets/apiserver.key --service-account-signing-key-file=secrets/apiserver.key \
	--service-cluster-ip-range=$services --kubelet-preferred-address-types=InternalIP \
	--kubelet-client-certificate=secrets/kubelet-client.crt --kubelet-client-key=secrets/kubelet-client.key \
	--requestheader-client-ca-file=secrets/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client \
	--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
	--requestheader-extra-headers-prefix=X-Remote-Extra- \
	--proxy-client-cert-file=secrets/front-proxy-client.crt --proxy-client-key-file=secrets/front-proxy-client.key

until_ok test -s secrets/apiserver.crt -a -s secrets/apiserver.key
for name in kube-controller-manager kube-scheduler kube-proxy kubelet; do kubeconfig $name secrets/$name.kubeconfig; done
kubeconfig admin kubeconfig
ready() { kubectl --kubeconfig=kubeconfig get --raw /readyz --request-timeout=5s >/dev/null 2>&1; }
until_ok ready

# The folder of a volume belongs to whoever makes it, and nobody else may write to it: hence the user of the databases.
install -d -o 999 -g 999 -m 700 /run/controller-manager
install -o 999 -g 999 -m 600 secrets/kube-controller-manager.kubeconfig secrets/apiserver.{crt,key} /run/controller-manager
start kube-controller-manager setpriv --reuid=999 --regid=999 --clear-groups \
	kube-controller-manager --kubeconfig=/run/controller-manager/kube-controller-manager.kubeconfig --bind-address=127.0.0.1 \
	--cert-dir=/run/controller-manager --root-ca-file=/run/controller-manager/apiserver.crt \
	--service-account-private-key-file=/run/controller-manager/apiserver.key \
	--use-service-account-credentials --leader-elect=false --enable-hostpath-provisioner
start kube-scheduler kube-scheduler --kubeconfig=secrets/kube-scheduler.kubeconfig --bind-address=127.0.0.1 --leader-elect=false
start kube-proxy kube-proxy --config=/run/assay/config/kube-proxy.yaml
start kubelet kubelet --kubeconfig=secrets/kubelet.kubeconfig --config=/run/assay/config/kubelet.yaml --cert-dir=secrets/kubelet \
	--hostname-override=assay --node-ip=$node --node-labels=topology.kubernetes.io/zone=local

report_end
