#!/usr/bin/env bash
# Builds the servers that tests and the embedded platform run, from pinned Go modules, into $BIN (default .bin/ of the
# repository). A binary whose stamp (version, flags, Go version) is unchanged is left alone, so a second call takes no time.
#
#   tools/build.sh [nats-server | plane | chart | node | NAME]...
#
# `plane` is etcd, kube-apiserver, kube-controller-manager and kubectl; `chart` is helm and kubeconform; `node` is what a
# Kubernetes node runs: kube-scheduler, kubelet, kube-proxy, containerd, its shim and ctr, runc, the CNI plugins, coredns.
# Needs only Go >= 1.26; runc also a C compiler, pkg-config and libseccomp's headers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${BIN:-$here/../.bin}
mkdir -p "$BIN/.stamp"
BIN=$(cd "$BIN" && pwd)
export GOWORK=off GOFLAGS=-buildvcs=false CGO_ENABLED=0

pinned() { awk -v module="$2" '$1 == "require" && $2 == module {print $3} $1 == module {print $2}' "$here/$1/go.mod" | head -1; }

# build NAME FOLDER PACKAGE VERSION LDFLAGS TAGS; NAME may lie in a folder of $BIN
build() {
  local name=$1 folder=$2 package=$3 version=$4 ldflags=$5 tags=$6 stamp started file=${1##*/}
  command -v go >/dev/null || { echo "tools/build.sh: wanted Go 1.26 or newer on PATH to build $name, found none; install Go and run again" >&2; exit 1; }
  stamp="$version|$ldflags|$tags|$(go env GOVERSION)"
  if [ -x "$BIN/$name" ] && [ "$(cat "$BIN/.stamp/$file" 2>/dev/null)" = "$stamp" ]; then return; fi
  started=$SECONDS
  echo "tools: building $name $version (once; kept in .bin/)" >&2
  # Into a temporary name first: an interrupted build must not leave half a binary that looks finished.
  (cd "$here/$folder" && nice -n 5 go build -mod=readonly -trimpath -tags "$tags" -ldflags "-s -w $ldflags" -o "$BIN/.building-$file" "$package")
  mkdir -p "$(dirname "$BIN/$name")"
  mv "$BIN/.building-$file" "$BIN/$name"
  echo "$stamp" >"$BIN/.stamp/$file"
  echo "tools: built $name in $((SECONDS - started)) s" >&2
}

# A Kubernetes binary reports the version it is given at link time; without it clients see v0.0.0.
kubernetes() {
  local version minor package flags=""
  version=$(pinned kubernetes k8s.io/kubernetes)
  minor=${version#v1.}; minor=${minor%%.*}
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+="-X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean -X $package.gitCommit=gomod -X $package.buildDate=2026-01-01T00:00:00Z "
  done
  build "$1" kubernetes "k8s.io/kubernetes/cmd/$1" "$version" "$flags" notest,grpcnotrace
}

# helm renders templates for the Kubernetes version it is told at link time, else for v1.20.
helm() {
  local version minor module=helm.sh/helm/v3
  version=$(pinned kubernetes k8s.io/kubernetes)
  minor=${version#v1.}; minor=${minor%%.*}
  build helm helm $module/cmd/helm "$(pinned helm $module)" \
    "-X $module/internal/version.version=$(pinned helm $module) -X $module/pkg/chartutil.k8sVersionMajor=1 -X $module/pkg/chartutil.k8sVersionMinor=$minor -X $module/pkg/lint/rules.k8sVersionMajor=1 -X $module/pkg/lint/rules.k8sVersionMinor=$minor" ""
}

containerd() {
  local version module=github.com/containerd/containerd/v2
  version=$(pinned containerd $module)
  build "$1" containerd "$module/cmd/$1" "$version" "-X $module/version.Version=$version" "no_btrfs no_devmapper no_zfs no_aufs"
}

cni() {
  local module=github.com/containernetworking/plugins
  build "cni/${1##*/}" cni "$module/plugins/$1" "$(pinned cni $module)" "" ""
}

# Whether PATH has a nats-server that tests accept (2.11 or newer); then none is built.
fitting_nats_server() {
  local version
  version=$(nats-server --version 2>/dev/null | sed -n 's/.*v\([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p')
  [ -n "$version" ] || return 1
  set -- $version
  [ "$1" -gt 2 ] || { [ "$1" -eq 2 ] && [ "$2" -ge 11 ]; }
}

one() {
  case $1 in
    plane) one etcd; one kube-apiserver; one kube-controller-manager; one kubectl ;;
    chart) one helm; one kubeconform ;;
    node) for part in kube-scheduler kubelet kube-proxy containerd containerd-shim-runc-v2 ctr runc cni coredns; do one $part; done ;;
    kube-apiserver | kube-controller-manager | kube-scheduler | kubectl | kubelet | kube-proxy) kubernetes "$1" ;;
    helm) helm ;;
    kubeconform) build kubeconform kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$(pinned kubeconform github.com/yannh/kubeconform)" "-X main.version=$(pinned kubeconform github.com/yannh/kubeconform)" "" ;;
    containerd | containerd-shim-runc-v2 | ctr) containerd "$1" ;;
    # Seccomp is C: without it no container may ask for the RuntimeDefault profile.
    runc) CGO_ENABLED=1 build runc runc github.com/opencontainers/runc "$(pinned runc github.com/opencontainers/runc)" "-X main.version=$(pinned runc github.com/opencontainers/runc)" seccomp ;;
    cni) for plugin in main/bridge main/loopback ipam/host-local meta/portmap; do cni $plugin; done ;;
    coredns) build coredns coredns . "$(pinned coredns github.com/coredns/coredns)" "" "" ;;
    etcd) build etcd etcd go.etcd.io/etcd/server/v3 "$(pinned etcd go.etcd.io/etcd/server/v3)" "" "" ;;
    nats-server) fitting_nats_server || build nats-server nats-server github.com/nats-io/nats-server/v2 "$(pinned nats-server github.com/nats-io/nats-server/v2)" "" "" ;;
    *) echo "tools/build.sh: unknown tool '$1'; known: nats-server, plane, chart, node and what those name" >&2; exit 2 ;;
  esac
}

[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
for tool in "$@"; do one "$tool"; done
