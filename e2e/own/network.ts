/** Addresses of a cluster made here. They exist only in the network namespace of its run, so every run may use the same. */

/** The bridge that the nodes hang on; the control plane listens on its address. */
export const bridge = { name: "nodes", address: "10.99.0.1" } as const
export const apiServer = `https://${bridge.address}:6443`
export const serviceSubnet = "10.96.0.0/16"
/** Cluster DNS, in {@link serviceSubnet}; `e2e/manifests/coredns.yaml` says the same. */
export const dnsAddress = "10.96.0.10"
export const podSubnet = "10.244.0.0/16"

export const nodeNames = ["node1", "node2", "node3"] as const

/** Addresses on the bridge, and subnet of the Pods. */
export const addressesOf = (node: string) => {
  const index = nodeNames.findIndex((name) => name === node) + 1
  if (index === 0) throw new Error(`wanted one of ${nodeNames.join(", ")}, found ${node}`)
  return {
    address: `10.99.0.${10 + index}`,
    // Kept over a power loss: peers remember it for longer than a boot takes.
    mac: `02:00:00:00:00:0${index}`,
    pods: `10.244.${index}.0/24`
  }
}

/** The node's end of the cable to the bridge. */
const nic = "eth0"
/** The bridge's end. */
export const portOf = (node: string) => `port-${node}`

/** Commands of ip(8) that lay the run's network: Pods and Services can be reached from it as from a node. */
export const machineNetwork = (): ReadonlyArray<string> => [
  "link set lo up",
  `link add ${bridge.name} type bridge`,
  `addr add ${bridge.address}/24 dev ${bridge.name}`,
  `link set ${bridge.name} up`,
  ...nodeNames.map((node) => `route add ${addressesOf(node).pods} via ${addressesOf(node).address}`),
  // The first node is never stopped.
  `route add ${serviceSubnet} via ${addressesOf(nodeNames[0]).address}`
]

/**
 * Commands of ip(8) that plug the node in.
 *
 * @param pid process 1 of the node
 */
export const plugIn = (node: string, pid: number): ReadonlyArray<string> => [
  `link add ${portOf(node)} type veth peer name ${nic} address ${addressesOf(node).mac} netns ${pid}`,
  `link set ${portOf(node)} master ${bridge.name} up`
]

/** Commands of ip(8) that the node itself runs once it is plugged in. */
export const nodeNetwork = (node: string): ReadonlyArray<string> => [
  "link set lo up",
  `addr add ${addressesOf(node).address}/24 dev ${nic}`,
  `link set ${nic} up`,
  `route add default via ${bridge.address}`,
  ...nodeNames
    .filter((other) => other !== node)
    .map((other) => `route add ${addressesOf(other).pods} via ${addressesOf(other).address}`)
]
