import { type Rule, state } from "./rule.ts"

/** Rules of `spec.nats` and `spec.identity`. */
export const natsRules: ReadonlyArray<Rule> = [
  state("spec.nats", {
    field: "tls.mode",
    reads: ["servers", "tls.mode"],
    cel: "!has(self.tls) || !has(self.tls.mode) || self.tls.mode != 'Disabled' || !self.servers.exists(s, s.startsWith('tls://'))",
    message: "must not be Disabled with a tls:// URL in servers",
    holds: ({ servers, tls }) => tls?.mode !== "Disabled" || !servers.some((url) => url.startsWith("tls://"))
  }),
  state("spec.nats.tls", {
    field: "mode",
    reads: ["mode", "serverName", "caSecretRef", "clientSecretRef", "spiffeServerIDs"],
    cel: "!has(self.mode) || self.mode != 'Disabled' || (!has(self.serverName) && !has(self.caSecretRef) && !has(self.clientSecretRef) && !has(self.spiffeServerIDs))",
    message: "must not be Disabled where certificates or names are given",
    holds: ({ mode, serverName, caSecretRef, clientSecretRef, spiffeServerIDs }) =>
      mode !== "Disabled" || ![serverName, caSecretRef, clientSecretRef, spiffeServerIDs].some(Boolean)
  }),
  state("spec.nats.tls", {
    field: "spiffeServerIDs",
    reads: ["serverName", "spiffeServerIDs"],
    cel: "!has(self.serverName) || !has(self.spiffeServerIDs)",
    message: "must not be given together with serverName: it is checked instead of a name",
    holds: ({ serverName, spiffeServerIDs }) => serverName === undefined || spiffeServerIDs === undefined
  }),
  state("spec.nats.auth", {
    reads: ["credsSecretRef", "nkeySecretRef", "userPasswordSecretRef", "tokenSecretRef"],
    cel: "[has(self.credsSecretRef), has(self.nkeySecretRef), has(self.userPasswordSecretRef), has(self.tokenSecretRef)].filter(given, given).size() == 1",
    message: "must have exactly one of credsSecretRef, nkeySecretRef, userPasswordSecretRef and tokenSecretRef",
    holds: (methods) => Object.keys(methods).length === 1
  }),
  state("spec", {
    field: "identity.spiffe",
    reads: ["nats.tls.mode", "nats.tls.clientSecretRef", "identity.spiffe"],
    cel: "!has(self.identity) || !has(self.identity.spiffe) || !has(self.nats.tls) || (!has(self.nats.tls.clientSecretRef) && (!has(self.nats.tls.mode) || self.nats.tls.mode != 'Disabled'))",
    message: "must not be given with nats.tls.clientSecretRef, nor with nats.tls.mode Disabled",
    holds: ({ identity, nats }) =>
      identity?.spiffe === undefined || (nats.tls?.clientSecretRef === undefined && nats.tls?.mode !== "Disabled")
  }),
  state("spec.identity.spiffe", {
    field: "secretName",
    reads: ["provider", "secretName"],
    cel: "(self.provider == 'Secret') == has(self.secretName)",
    message: "must be given with provider Secret, and only then",
    holds: ({ provider, secretName }) => (provider === "Secret") === (secretName !== undefined)
  })
]
