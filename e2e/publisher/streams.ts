import { JetStreamApiError, jetstreamManager } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"

/** What JetStream itself says about a stream and its consumers: the other side of every EventStream's status. */

export interface ConsumerReport {
  readonly name: string
  readonly created: string
  /** Messages not delivered yet. */
  readonly pending: number
  /** Messages delivered and not acknowledged yet. */
  readonly ackPending: number
  /** Stream sequence up to which everything is acknowledged. */
  readonly ackFloor: number
}

export interface StreamReport {
  readonly name: string
  readonly created: string
  readonly subjects: ReadonlyArray<string>
  readonly replicas: number
  /** Replicas that are up to date, the leader included. */
  readonly current: number
  /** Server name of the leader; none while one is being elected. */
  readonly leader: string | null
  readonly messages: number
  readonly lastSequence: number
  readonly consumers: ReadonlyArray<ConsumerReport>
}

export class StreamUnknown extends Schema.TaggedError<StreamUnknown>()("StreamUnknown", {
  stream: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `stream ${this.stream}: ${this.detail}`
  }
}

const streamNotFound = 10059

/** The stream, or null when there is none. */
export const streamReport = (nats: NatsConnection, name: string, domain: string | undefined) =>
  Effect.tryPromise({
    try: async (): Promise<StreamReport | null> => {
      // The check would ask for account information first, which says nothing about the stream.
      const manager = await jetstreamManager(nats, { checkAPI: false, ...(domain === undefined ? {} : { domain }) })
      const info = await manager.streams.info(name).catch((error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === streamNotFound) return null
        throw error
      })
      if (info === null) return null
      const consumers = (await Array.fromAsync(manager.consumers.list(name))).map((consumer) => ({
        name: consumer.name,
        created: consumer.created,
        pending: consumer.num_pending,
        ackPending: consumer.num_ack_pending,
        ackFloor: consumer.ack_floor.stream_seq
      }))
      const followers = info.cluster?.replicas ?? []
      return {
        name,
        created: info.created,
        subjects: info.config.subjects ?? [],
        replicas: info.config.num_replicas,
        current: 1 + followers.filter(({ current, offline }) => current && !(offline ?? false)).length,
        leader: info.cluster?.leader ?? null,
        messages: info.state.messages,
        lastSequence: info.state.last_seq,
        consumers
      }
    },
    catch: (error) =>
      new StreamUnknown({ stream: name, detail: error instanceof Error ? error.message : String(error) })
  })

/**
 * Asks the leaders of a stream and of its consumers to hand over to a server; who leads in the end is the servers' election.
 * Source: nats-server 2.11, `JSApiLeaderStepdownRequest`.
 */
export const handOver = (nats: NatsConnection, stream: string, server: string) =>
  Effect.tryPromise({
    try: async () => {
      const manager = await jetstreamManager(nats, { checkAPI: false })
      const consumers = (await Array.fromAsync(manager.consumers.list(stream))).map(({ name }) => `${stream}.${name}`)
      const subjects = [
        `STREAM.LEADER.STEPDOWN.${stream}`,
        ...consumers.map((name) => `CONSUMER.LEADER.STEPDOWN.${name}`)
      ]
      const request = JSON.stringify({ placement: { preferred: server } })
      for (const subject of subjects) await nats.request(`$JS.API.${subject}`, request, { timeout: 5_000 })
    },
    catch: (error) => new StreamUnknown({ stream, detail: error instanceof Error ? error.message : String(error) })
  })
