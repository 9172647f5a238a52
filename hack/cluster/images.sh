#!/usr/bin/env bash
# images.sh [NAME...]: makes images without Docker, as archives in target/images: of Assay's services from static
# binaries, and of what a node without a registry needs besides. Whoever has Docker may use the Dockerfile instead.
# PROFILE=release builds the services as for production, which takes longer.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

folder=$(image_folder)
mkdir -p "$folder"
scratch=$(mktemp -d "$folder/unfinished.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) die "Images can be made on x86_64 and aarch64, not on $(uname -m)" ;;
esac

# archive NAME TAG CONFIG: one layer from $scratch/NAME, with nothing in it that differs from one time to the next.
archive() {
	local name=$1 tag=$2 config=$3 image=$scratch/$1.image layer
	mkdir "$image"
	local always=(--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu)
	tar "${always[@]}" -C "$scratch/$name" -cf "$image/layer.tar" .
	layer=$(sha256sum "$image/layer.tar" | cut -d' ' -f1)
	printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$architecture" "$config" "$layer" >"$image/config.json"
	printf '[{"Config":"config.json","RepoTags":["localhost/assay/%s:%s"],"Layers":["layer.tar"]}]' \
		"$name" "$tag" >"$image/manifest.json"
	tar "${always[@]}" -C "$image" -cf "$scratch/$name.tar" manifest.json config.json layer.tar
	mv "$scratch/$name.tar" "$folder/$name.tar"
	rm -r "$image" "${scratch:?}/$name"
	say "localhost/assay/$name:$tag: $(du -h "$folder/$name.tar" | cut -f1)"
}

# A service: its program, and whom it may trust.
service() {
	local name=$1 root=$scratch/$1 authorities=/etc/ssl/certs/ca-certificates.crt
	[[ -e $authorities ]] || die "There is no $authorities to put into images: install your system's package ca-certificates"
	install -D "$binaries/$name" "$root/$name"
	install -D -m 644 "$authorities" "$root$authorities"
	archive "$name" "$version" '{"User":"65532:65532","Entrypoint":["/'"$name"'"]}'
}

build_services() {
	local target profile=${PROFILE:-image}
	target=$(rustc -vV | sed -n 's/^host: //p')
	# Static, so that they need nothing else. With a target named, what runs while building is not built in this way.
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --profile "$profile" --target "$target" \
		--package gateway --package operator --package scorer --bins >&2
	binaries=${CARGO_TARGET_DIR:-$checkout/target}/$target/$profile
}

pause() {
	mkdir "$scratch/pause"
	cc -Os -static -s -Wall -Wextra -o "$scratch/pause/pause" hack/cluster/pause.c
	archive pause dev '{"User":"65535:65535","Entrypoint":["/pause"]}'
}

coredns() {
	install -D "$(hack/cluster/tools.sh coredns)/coredns" "$scratch/coredns/coredns"
	archive coredns dev '{"User":"65532:65532","Entrypoint":["/coredns"]}'
}

# userland NAME: what programs from Debian packages rest on: a shell and its tools, users, a locale.
userland() {
	local root=$scratch/$1 applet
	mkdir -p "$root"/{bin,etc,tmp,run,usr/bin,usr/lib/locale}
	chmod 1777 "$root/tmp" "$root/run"
	ln -s usr/lib "$root/lib"
	ln -s usr/lib64 "$root/lib64"
	mkdir "$root/usr/lib64"
	install busybox "$root/bin/busybox" 2>/dev/null || install "$(command -v busybox)" "$root/bin/busybox"
	for applet in $(busybox --list); do [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"; done
	printf 'root:x:0:0::/:/bin/sh\n%s:x:999:999::/tmp:/bin/sh\n' "$1" >"$root/etc/passwd"
	printf 'root:x:0:\n%s:x:999:\n' "$1" >"$root/etc/group"
	cp -a /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"
}

# needs ROOT FILE...: puts in all shared libraries that these files need.
needs() {
	local root=$1 library
	shift
	ldd "$@" 2>/dev/null | grep -oE '/[^ ]+' | grep -v ':$' | sort -u | while read -r library; do
		install -D -m 755 "$(realpath "$library")" "$root/usr/${library#/usr/}"
	done
}

database_config() { # PATH
	echo '{"User":"999:999","Env":["PATH='"$1"'","LANG=C.UTF-8"]}'
}

postgres() {
	local root=$scratch/postgres home
	home=$(compgen -G '/usr/lib/postgresql/*' | sort -V | tail -n 1) || die "There is no PostgreSQL to make an image of: run hack/setup.sh cluster as root on Debian"
	userland postgres
	mkdir -p "$root$home" "$root/usr/share/postgresql" "$root/usr/share/postgresql-common"
	cp -a "$home/bin" "$home/lib" "$root$home/"
	# Compiling queries needs all of LLVM, which nobody will miss here.
	rm -rf "$root$home"/lib/{bitcode,llvmjit*}
	cp -a "/usr/share/postgresql/${home##*/}" "$root/usr/share/postgresql/"
	rm -rf "$root/usr/share/postgresql/${home##*/}/man"
	cp -a /usr/share/zoneinfo "$root/usr/share/"
	needs "$root" "$root$home"/bin/* "$root$home"/lib/*.so
	archive postgres dev "$(database_config "$home/bin:/bin")"
}

redis() {
	local root=$scratch/redis
	has redis-server || die "There is no Redis to make an image of: run hack/setup.sh cluster as root on Debian"
	userland redis
	install "$(command -v redis-server)" "$(command -v redis-cli)" "$root/usr/bin/"
	needs "$root" "$root/usr/bin/redis-server" "$root/usr/bin/redis-cli"
	archive redis dev "$(database_config /usr/bin:/bin)"
}

[[ $# -gt 0 ]] || set -- gateway operator scorer postgres redis
for name in "$@"; do
	case $name in
	gateway | operator | scorer)
		[[ -n ${binaries:-} ]] || build_services
		service "$name"
		;;
	pause | coredns | postgres | redis) "$name" ;;
	*) die "images.sh makes no $name" ;;
	esac
done
