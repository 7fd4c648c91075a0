import { Schema } from "effect"
import { duration, freeText, int, optional, required, set, withDefault } from "../field.ts"
import { HostName, Identifier, SecretKey, SecretName, SortOrder } from "../names.ts"
import { CaSecretRef, ClientSecretRef } from "./certificates.ts"

const TlsSpec = Schema.Struct({
  mode: optional(
    Schema.Literals(["Disable", "Require", "VerifyCA", "VerifyFull"]),
    "As libpq's sslmode. Require encrypts and verifies nothing, VerifyCA verifies the server's certificate, VerifyFull its name too. Unset: sslmode of the Secret where it has one, else VerifyFull with a CA, else Require. Plain text only when asked for."
  ),
  caSecretRef: optional(
    CaSecretRef,
    "CA of the server's certificate. Unset: key ca.crt of secretRef, else the system's."
  ),
  clientSecretRef: optional(ClientSecretRef, "Client certificate. Files of Secrets are read anew at each connection.")
})

const PostgresSpec = Schema.Struct({
  secretRef: optional(
    Schema.Struct({
      name: required(SecretName, "Name of the Secret."),
      uriKey: withDefault(
        SecretKey,
        "uri",
        "Key that holds the connection URI; host, port, dbname, username and password are used when it is absent."
      )
    }),
    "Secret in this namespace in the shape of a CloudNativePG app Secret. Excludes host."
  ),
  host: optional(HostName, "Host of the database. Excludes secretRef."),
  port: withDefault(int(1, 65_535), 5432, "Port, with host."),
  database: optional(freeText(63), "Database, with host."),
  user: optional(freeText(63), "Role, with host."),
  passwordSecretRef: optional(
    Schema.Struct({
      name: required(SecretName, "Name of the Secret."),
      key: withDefault(SecretKey, "password", "Key that holds the password.")
    }),
    "Password of user, in a Secret of this namespace."
  ),
  tls: optional(TlsSpec, "Transport security."),
  statementTimeout: withDefault(duration("100ms", "1h"), "30s", "Longest a statement may run before it is cancelled."),
  lockTimeout: withDefault(duration("10ms", "1h"), "5s", "Longest a statement may wait for a lock.")
})

/** `spec.target`. */
export const TargetSpec = Schema.Struct({
  postgres: required(PostgresSpec, "The database; either secretRef or host with database and user."),
  schema: withDefault(
    Identifier,
    "public",
    "Schema of built-in tables, Json tables without one, ledger and dead letters."
  ),
  ddl: withDefault(
    Schema.Literals(["None", "CreateIfMissing"]),
    "CreateIfMissing",
    "Whether missing tables are created, by an init container of the writers. Existing tables are never altered."
  ),
  timeseries: optional(
    Schema.Struct({
      timeColumn: optional(
        Identifier,
        "Time column of a Json table; it makes the table a hypertable. Built-in tables know theirs."
      ),
      chunkInterval: optional(duration("1m", "8760h"), "Time range of a chunk. Unset: 24h."),
      compressAfter: optional(
        duration("1m", "876000h"),
        "Age at which chunks are compressed. Only the community edition of TimescaleDB can; elsewhere it is reported and left out."
      ),
      segmentBy: optional(
        set(Identifier, 16),
        "Columns by which compressed rows are grouped. Unset: TimescaleDB chooses."
      ),
      orderBy: optional(
        SortOrder,
        'Order of compressed rows within a segment, e.g. "time DESC, id". Unset: TimescaleDB chooses.'
      ),
      dropAfter: optional(
        duration("1m", "876000h"),
        "Age at which chunks are deleted with their rows. Only the community edition of TimescaleDB can; elsewhere it is reported and left out."
      )
    }),
    "Hypertables, where the TimescaleDB extension exists; plain tables elsewhere."
  )
})
