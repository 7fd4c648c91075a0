import { Effect, Result } from "effect"
import { contentHash } from "../platform/files.ts"
import { certificateEnd, filesOf, type NatsOptions, type NatsUnavailable } from "../platform/nats.ts"
import type { WriterMetrics } from "./metrics.ts"
import type { Progress } from "./progress.ts"

/** How often the files of certificates and credentials are looked at; there is nothing to look at where there are none. */
const period = "1 second"

/** Tells when the client certificate in the files ends. */
export const reportCertificate = (nats: NatsOptions, progress: Progress, metrics: WriterMetrics): Effect.Effect<void> =>
  Effect.sync(() => {
    const end = certificateEnd(nats)
    if (end === undefined) return // nothing, or a pair that is just being replaced
    progress.set({ certificateNotAfter: end.toISOString() })
    metrics.certificateExpiry.set({ source: "nats" }, end.getTime() / 1000)
  })

/**
 * Done when the files hold something else than when a connection was made of them, by their hash, and a connection can be made
 * of what they hold now. Until then the one that is there goes on: files that are replaced one after the other, or by what
 * NATS does not accept, interrupt nothing.
 *
 * @param attempt makes a connection and closes it
 */
export const renewed = Effect.fnUntraced(function* (
  nats: NatsOptions,
  {
    hash,
    attempt,
    changed
  }: {
    readonly hash: string
    readonly attempt: Effect.Effect<unknown, NatsUnavailable>
    /** To be done whenever they hold something new. */
    readonly changed: Effect.Effect<void>
  }
) {
  const files = filesOf(nats)
  if (files.length === 0) return yield* Effect.never
  let last = hash
  let said: string | undefined
  for (;;) {
    yield* Effect.sleep(period)
    const now = yield* contentHash(files)
    if (now !== last) yield* changed
    last = now
    if (now === hash) continue
    const tried = yield* Effect.result(attempt)
    if (Result.isSuccess(tried)) return
    const { message } = tried.failure
    if (message !== said) {
      yield* Effect.logWarning(`the connection goes on without the files that were replaced: ${message}`, {
        reason: "CertificateInvalid"
      })
    }
    said = message
  }
})
