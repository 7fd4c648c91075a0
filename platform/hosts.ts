/**
 * In-cluster host names that have another address here: how `eventstream local` lets the same manifests work without a
 * cluster. Read from the variable EVENTSTREAM_HOSTS: `name=host:port` pairs separated by commas, e.g.
 * `nats.nats.svc=127.0.0.1:4222`. Unset in a cluster.
 */
export type HostMap = ReadonlyMap<string, { readonly host: string; readonly port: number }>

export const parseHosts = (text: string | undefined): HostMap => {
  const hosts = new Map<string, { host: string; port: number }>()
  for (const pair of (text ?? "").split(",")) {
    const match = /^\s*([^=\s]+)=(.+):(\d+)\s*$/.exec(pair)
    if (match) hosts.set(match[1]!, { host: match[2]!, port: Number(match[3]) })
  }
  return hosts
}

/** The URL with host and port replaced when its host is in the map; otherwise as it is. */
export const mapUrl = (url: string, hosts: HostMap): string => {
  const match = /^([a-z]+:\/\/)?([^/:]+)(?::\d+)?(.*)$/i.exec(url)
  const to = match && hosts.get(match[2]!)
  return to ? `${match[1] ?? ""}${to.host}:${to.port}${match[3]}` : url
}
