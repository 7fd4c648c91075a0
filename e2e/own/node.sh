#!/usr/bin/env bash
# Process 1 of a node, in pid, mount, network, ipc and uts namespaces of its own: boots the node and stays; with it the node ends.
#   node.sh NAME FOLDER ADDRESS LOGS KUBECONFIG     FOLDER holds the configuration and the disk; PATH has the programs
set -euo pipefail
name=$1 folder=$2 address=$3 logs=$4 kubeconfig=$5

hostname "$name"
mount --make-rshared / # Pods may share mounts with the node
mount --bind "$folder/disk/lib" /var/lib
mount --bind "$folder/disk/log" /var/log
mount -t tmpfs tmpfs /run
mkdir /run/containerd /run/sysctl

# kubelet sets these, and they are the whole machine's: it gets files that look like them.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e "/proc/sys/$key" ] || continue
  cat "/proc/sys/$key" >"/run/sysctl/${key//\//.}"
  mount --bind "/run/sysctl/${key//\//.}" "/proc/sys/$key"
done

until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
ip -batch "$folder/network"
echo 1 >/proc/sys/net/ipv4/ip_forward
# Answers between Pods of one bridge must pass the rules that translated the question.
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

# As a service manager does: started again when it ends.
keep() {
  while :; do
    "$@" >>"$logs/$1.log" 2>&1 || true
    sleep 1
  done &
}
keep containerd --config "$folder/containerd.toml"
until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done
keep kubelet --config "$folder/kubelet.json" --kubeconfig "$kubeconfig" --hostname-override "$name" --node-ip "$address"
keep kube-proxy --config "$folder/kube-proxy.json"
wait
