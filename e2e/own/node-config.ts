import { join } from "node:path"
import { addressesOf, dnsAddress, podSubnet } from "./network.ts"

/** Configuration files of a node's programs. A node's disk is its /var/lib and /var/log: what is below survives a power loss. */

/** Containerd of a node. */
export const runtimeRoot = "/var/lib/containerd"
export const runtimeState = "/run/containerd"

export const containerdSocket = (state: string) => join(state, "containerd.sock")

export interface ContainerdOptions {
  /** Folder that is kept. */
  readonly root: string
  /** Folder that goes with a power loss; its socket is {@link containerdSocket}. */
  readonly state: string
  /** Folder with runc and the CNI plugins. */
  readonly bin: string
  /** Folder with the CNI configuration. */
  readonly cni: string
  readonly pauseImage: string
}

export const containerdConfig = ({ root, state, bin, cni, pauseImage }: ContainerdOptions): string => `version = 3
root = "${root}"
state = "${state}"

[grpc]
  address = "${containerdSocket(state)}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${pauseImage}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE a process can't be made less killable than its parent.
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["${join(bin, "cni")}"]
  conf_dir = "${cni}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "${join(bin, "runc")}"
`

export const cniConfig = (node: string) => ({
  cniVersion: "1.0.0",
  name: "pods",
  plugins: [
    {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      hairpinMode: true, // a Pod may reach itself through its Service
      ipam: {
        type: "host-local",
        dataDir: "/run/cni", // a power loss frees all addresses
        ranges: [[{ subnet: addressesOf(node).pods }]],
        routes: [{ dst: "0.0.0.0/0" }]
      }
    },
    { type: "portmap", backend: "nftables", capabilities: { portMappings: true } }
  ]
})

/** What kubelet is told. `apiServerClient` is the certificate that the API server shows to it, and that one's own CA. */
export const kubeletConfig = (node: string, cgroup: string, apiServerClient: string) => ({
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  address: addressesOf(node).address,
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: apiServerClient }
  },
  authorization: { mode: "Webhook" },
  clusterDNS: [dnsAddress],
  clusterDomain: "cluster.local",
  resolvConf: "/dev/null", // there is no world beyond the cluster
  containerRuntimeEndpoint: `unix://${containerdSocket(runtimeState)}`,
  cgroupDriver: "cgroupfs",
  cgroupRoot: `/${cgroup}`,
  failCgroupV1: false,
  failSwapOn: false,
  makeIPTablesUtilChains: false,
  volumePluginDir: "/var/lib/kubelet/plugins",
  // The disk is the machine's, and others fill it.
  evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
  // Images come from archives: what is collected does not come back.
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  serializeImagePulls: false,
  syncFrequency: "10s",
  // Renewed every 3 s; the controller manager calls a node lost after 16 s of silence.
  nodeLeaseDurationSeconds: 12,
  nodeStatusUpdateFrequency: "4s"
})

export const kubeProxyConfig = (node: string, kubeconfig: string) => ({
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  mode: "nftables",
  clientConnection: { kubeconfig },
  clusterCIDR: podSubnet,
  hostnameOverride: node,
  // These limits are the machine's.
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" }
})
