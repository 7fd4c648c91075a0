import { Effect, type Scope } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { freePort, natsServerBinary, server, tempDirectory } from "../testing/servers.ts"
import { type Manifest, manifestsOf, render, type Rendering, run } from "./helm.ts"

/**
 * Runs what eventstream-nats renders without a cluster: each Pod of its StatefulSet as a nats-server on 127.0.0.1, with the
 * Pod's own command, environment, volumes and stop hook. Only host names, ports and folders differ.
 */

/** Secrets by name, as the StatefulSet mounts them or takes them into the environment. */
export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>

/** One Pod's place on this machine. */
export interface Place {
  readonly pod: string
  /** Folder that stands for the container's root. */
  readonly root: string
  readonly logFile: string
  /** Port of 127.0.0.1 by the container's port. */
  readonly ports: Readonly<Record<number, number>>
}

export interface Release {
  readonly places: ReadonlyArray<Place>
  /** Whether the configuration is valid, as `nats-server -t` judges; fails with what it says. */
  readonly check: Effect.Effect<void, unknown, Scope.Scope>
  /** Starts one server, until the scope ends. */
  readonly start: (place: Place) => ReturnType<typeof server>
  /** Runs the container's preStop command. */
  readonly preStop: (place: Place) => Effect.Effect<unknown, unknown, Scope.Scope>
  /** Runs what `helm test` runs; what it prints. */
  readonly test: Effect.Effect<string, unknown, Scope.Scope>
}

const containerPorts = [4222, 6222, 7422, 8222]

const only = (manifests: ReadonlyArray<Manifest>, kind: string): Manifest => {
  const found = manifests.filter((manifest) => manifest.kind === kind)
  if (found.length !== 1) throw new Error(`wanted one ${kind}, found ${found.length}`)
  return found[0]!
}

/** Files of a volume by name: of the chart's ConfigMap, or of a Secret. */
const filesOf = (volume: any, configMap: Manifest, secrets: Secrets): Readonly<Record<string, string>> => {
  if (volume.configMap?.name === configMap.metadata.name) return configMap["data"]
  if (!volume.secret) return {}
  const secret = secrets[volume.secret.secretName]
  if (!secret) throw new Error(`no Secret ${volume.secret.secretName}`)
  if (!volume.secret.items) return secret
  return Object.fromEntries(volume.secret.items.map(({ key, path }: any) => [path, secret[key]]))
}

/**
 * Lays a release out; nothing runs yet.
 *
 * @param volumes folder that keeps the Pods' files. Unset: a temporary one
 */
export const release = Effect.fnUntraced(function* (rendering: Rendering, secrets: Secrets = {}, volumes?: string) {
  const manifests = manifestsOf(yield* render(rendering))
  const configMap = only(manifests, "ConfigMap")
  const { metadata, spec } = only(manifests, "StatefulSet")
  const pod = spec.template.spec
  const container = pod.containers.find(({ name }: any) => name === "nats")
  const folder = volumes ?? (yield* tempDirectory("eventstream-chart-nats-"))
  const binary = yield* natsServerBinary

  const places: Array<Place> = []
  for (let i = 0; i < spec.replicas; i++) {
    const ports: Record<number, number> = {}
    for (const port of containerPorts) ports[port] = yield* freePort
    const name = `${metadata.name}-${i}`
    places.push({ pod: name, root: join(folder, name), logFile: join(folder, `${name}.log`), ports })
  }

  const here = (text: string, { root, ports }: Place) => {
    const peers = places.reduce(
      (all, peer) => all.replaceAll(`${peer.pod}.${spec.serviceName}:6222`, `127.0.0.1:${peer.ports[6222]}`),
      text
    )
    return peers
      .replaceAll(/"0\.0\.0\.0:(\d+)"/g, (_, port) => `"127.0.0.1:${ports[port]}"`)
      .replaceAll(/(^|["=])\/(etc|data|run)\b/g, `$1${root}/$2`)
  }
  const command = (words: ReadonlyArray<string>, place: Place) => words.slice(1).map((word) => here(word, place))

  for (const place of places) {
    for (const { name, mountPath } of container.volumeMounts) {
      const mount = join(place.root, mountPath)
      mkdirSync(mount, { recursive: true })
      const volume = pod.volumes.find((each: any) => each.name === name) ?? {}
      for (const [file, content] of Object.entries(filesOf(volume, configMap, secrets))) {
        mkdirSync(dirname(join(mount, file)), { recursive: true })
        writeFileSync(join(mount, file), here(content, place), { mode: 0o600 })
      }
    }
  }

  const environment = (place: Place) => {
    const values = container.env.map(({ name, value, valueFrom }: any) => [
      name,
      value ??
        (valueFrom.fieldRef?.fieldPath === "metadata.name"
          ? place.pod
          : secrets[valueFrom.secretKeyRef.name]?.[valueFrom.secretKeyRef.key])
    ])
    return { ...process.env, ...Object.fromEntries(values) } as Record<string, string>
  }

  const testPod = only(manifests, "Pod")["spec"].containers[0]
  const testValues: Record<string, string> = Object.fromEntries(
    testPod.env.map(({ name, value }: any) => [
      name,
      places.reduce(
        (all, place) => all.replaceAll(`${place.pod}.${spec.serviceName}:8222`, `127.0.0.1:${place.ports[8222]}`),
        value.replace(`${metadata.name}:4222`, `127.0.0.1:${places[0]!.ports[4222]}`)
      )
    ])
  )

  const running: Release = {
    places,
    check: Effect.forEach(
      places,
      (place) => run(binary, ["-t", ...command(container.command, place)], { env: environment(place) }),
      { discard: true }
    ),
    start: (place) => {
      const { logFile } = place
      const env = environment(place)
      return server(binary, command(container.command, place), /Server is ready/, { logFile }, { env }, "SIGKILL")
    },
    preStop: (place) => run(binary, command(container.lifecycle.preStop.exec.command, place)),
    test: run(testPod.command[0], testPod.command.slice(1), { env: testValues }).pipe(
      Effect.map(({ stdout }) => stdout)
    )
  }
  return running
})
