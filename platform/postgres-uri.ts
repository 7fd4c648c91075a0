/** libpq's connection URIs. Source: PostgreSQL, "Connection URIs". */

export interface ConnectionUri {
  /** In the order they are to be tried; a port that is undefined is 5432. */
  readonly hosts: ReadonlyArray<{ readonly host: string; readonly port: string | undefined }>
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  /** Everything after the question mark, by name. */
  readonly parameters: ReadonlyMap<string, string>
}

/** The parts as they stand in the text, percent-encoded: `user:password@`, the hosts, `/database`, `?parameters`. */
const form = /^postgres(?:ql)?:\/\/(?:([^@/?#]*(?:@[^@/?#]*)*)@)?([^@/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/

/** `name`, `name:5432` or `[::1]:5432`. */
const hostForm = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]*)(?::(\d*))?$/

const textOf = (part: string | undefined) => (part === undefined || part === "" ? undefined : decodeURIComponent(part))

const hostsOf = (authority: string, parameters: ReadonlyMap<string, string>): ConnectionUri["hosts"] | undefined => {
  const names = authority === "" ? parameters.get("host")?.split(",") : authority.split(",")
  const ports = authority === "" ? (parameters.get("port")?.split(",") ?? []) : []
  const hosts = []
  for (const [index, name] of (names ?? []).entries()) {
    const match = hostForm.exec(name)
    if (match === null || match[1] === "") return undefined
    // As in libpq, one port is that of all hosts.
    const port = match[2] ?? (ports.length === 1 ? ports[0] : ports[index])
    hosts.push({
      host: decodeURIComponent(match[1]!.replace(/^\[(.*)\]$/, "$1")),
      port: port === "" ? undefined : port
    })
  }
  return hosts
}

/** Takes a URI apart; undefined when it is none. */
export const parseConnectionUri = (uri: string): ConnectionUri | undefined => {
  const match = form.exec(uri)
  if (match === null) return undefined
  const [, login, authority, path, query] = match
  const parameters = new Map(new URLSearchParams(query ?? "").entries())
  const colon = login?.indexOf(":") ?? -1
  try {
    const hosts = hostsOf(authority ?? "", parameters)
    if (hosts === undefined) return undefined
    return {
      hosts,
      database: textOf(path) ?? parameters.get("dbname"),
      user: textOf(colon < 0 ? login : login!.slice(0, colon)) ?? parameters.get("user"),
      password: textOf(colon < 0 ? undefined : login!.slice(colon + 1)) ?? parameters.get("password"),
      parameters
    }
  } catch {
    return undefined // a percent sign that encodes nothing
  }
}
