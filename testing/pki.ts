import { Effect } from "effect"
import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Authority, makeAuthority, type Pair } from "./certificates.ts"
import { tempDirectory } from "./servers.ts"

/** Certificates as files, as servers and their clients have them. */

export interface PairFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Pki {
  readonly authority: Authority
  readonly caFile: string
  /** Writes a file in one step, as whoever rotates it does; its path. */
  readonly put: (name: string, text: string) => string
  readonly putPair: (name: string, pair: Pair) => PairFiles
  /** Lines of nats-server's configuration: TLS with this pair, and further settings of its block. */
  readonly natsTls: (pair: PairFiles, ...settings: ReadonlyArray<string>) => ReadonlyArray<string>
}

export const spiffeId = (name: string) => `spiffe://demo.test/${name}`

/** An authority and a folder, which goes with the scope. */
export const makePki = Effect.gen(function* () {
  const folder = yield* tempDirectory("eventstream-pki-")
  const put = (name: string, text: string) => {
    const file = join(folder, name)
    writeFileSync(`${file}.new`, text, { mode: 0o600 })
    renameSync(`${file}.new`, file)
    return file
  }
  const authority = makeAuthority("authority")
  const caFile = put("ca.crt", authority.certificate)
  return {
    authority,
    caFile,
    put,
    putPair: (name, { certificate, key }) => ({
      certFile: put(`${name}.crt`, certificate),
      keyFile: put(`${name}.key`, key)
    }),
    natsTls: ({ certFile, keyFile }, ...settings) => {
      const files = [`cert_file: "${certFile}"`, `key_file: "${keyFile}"`, `ca_file: "${caFile}"`]
      return [`tls { ${[...files, ...settings].join(", ")} }`]
    }
  } satisfies Pki
})
