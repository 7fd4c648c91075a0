import { nkeys } from "@nats-io/transport-node"

/** Users of NATS with keys: NKeys, and the JWTs of decentralized accounts. Source: NATS documentation, "Decentralized JWT". */

type Keys = ReturnType<typeof nkeys.createUser>

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")

let issued = 0

const token = (issuer: Keys, claims: object) => {
  const common = { jti: `test-${++issued}`, iat: Math.floor(Date.now() / 1000), iss: issuer.getPublicKey() }
  const signed = `${base64url({ typ: "JWT", alg: "ed25519-nkey" })}.${base64url({ ...common, ...claims })}`
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString("base64url")}`
}

export const seedOf = (keys: Keys) => Buffer.from(keys.getSeed()).toString()

const connectionLimits = { subs: -1, data: -1, payload: -1 }
const accountLimits = { ...connectionLimits, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
const jetStreamLimits = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }

export interface Operator {
  /** Lines of nats-server's configuration. */
  readonly config: ReadonlyArray<string>
  /** Text of a .creds file of a new user of the account with JetStream. */
  readonly creds: (options?: { readonly expires?: Date; readonly permissions?: object }) => string
}

/** An operator with a system account and one account that has JetStream. */
export const makeOperator = (): Operator => {
  const operator = nkeys.createOperator()
  const accounts = { system: nkeys.createAccount(), app: nkeys.createAccount() }
  const account = (name: keyof typeof accounts, limits: object) =>
    token(operator, {
      name,
      sub: accounts[name].getPublicKey(),
      nats: { type: "account", version: 2, limits: { ...accountLimits, ...limits } }
    })
  const system = accounts.system.getPublicKey()
  const preload = [
    `${system}: ${account("system", {})}`,
    `${accounts.app.getPublicKey()}: ${account("app", jetStreamLimits)}`
  ]
  const claims = { type: "operator", version: 2, system_account: system }
  return {
    config: [
      `operator: ${token(operator, { name: "operator", sub: operator.getPublicKey(), nats: claims })}`,
      `system_account: ${system}`,
      "resolver: MEMORY",
      `resolver_preload: { ${preload.join(", ")} }`
    ],
    creds: ({ expires, permissions = {} } = {}) => {
      const user = nkeys.createUser()
      const jwt = token(accounts.app, {
        name: "user",
        sub: user.getPublicKey(),
        ...(expires ? { exp: Math.floor(expires.getTime() / 1000) } : {}),
        nats: { type: "user", version: 2, ...connectionLimits, ...permissions }
      })
      return `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seedOf(user)}\n------END USER NKEY SEED------\n`
    }
  }
}
