import { Schema } from "effect"
import { duration, freeText, int, optional, required, withDefault } from "../field.ts"
import { HostName, Identifier, SecretKey, SecretName } from "../names.ts"

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
      chunkInterval: optional(duration("1m", "8760h"), "Time range of a chunk. Unset: 24h.")
    }),
    "Hypertables, where the TimescaleDB extension exists; plain tables elsewhere."
  )
})
