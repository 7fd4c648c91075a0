import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { all, Databases, openRequest, testStore, timeOf } from "../../testing/store.ts"
import { batchOf } from "../encode.ts"
import { storedMessage } from "../stored-message.ts"
import { makeProcessor } from "./index.ts"

const events = makeProcessor({ type: "Events", storeRaw: true, skipSubjects: [] })

const batchFrom = (firstSeq: number, payloads: ReadonlyArray<object>, subject = "events.syslog") =>
  batchOf(
    events,
    payloads.map((payload, i) =>
      storedMessage({
        stream: "EVENTS",
        subject,
        seq: firstSeq + i,
        timeNanos: timeOf(firstSeq + i),
        data: Buffer.from(JSON.stringify(payload)),
        headers: undefined
      })
    )
  )

const time = "2024-01-15T10:30:00Z"

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("events in the database", (it) => {
  it.effect("of the same key: new message, level and severity for a plain one, no change for one that is OCSF", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore(events.tables)
      const lane = yield* store.open(openRequest())
      const first = batchFrom(1, [
        { time, id: "a", host: "first", message: "1", level: 3 },
        { time, id: "b", message: "other" },
        { time, id: "a", host: "second", message: "2", severity: "warn" }
      ])
      const written = { messages: 3, rows: 3, deadLettered: 0, dropped: 0 }
      assert.deepEqual(yield* store.write(lane, first, all(first)), { ...written, conflicts: 1 })
      const second = batchFrom(4, [
        { time, id: "a", host: "third", message: "3" },
        { time: "2024-01-15T10:30:00.000001Z", id: "a", message: "later" },
        { time, id: "A", message: "other" }
      ])
      assert.deepEqual(yield* store.write(lane, second, all(second)), { ...written, conflicts: 0 })
      assert.deepEqual(
        yield* session.query(
          "SELECT id, host, short_message, level, severity, raw_data::jsonb ->> 'host' AS raw FROM events ORDER BY id, event_timestamp"
        ),
        [
          { id: "A", host: null, short_message: "other", level: null, severity: null, raw: null },
          { id: "a", host: "first", short_message: "3", level: null, severity: null, raw: "first" },
          { id: "a", host: null, short_message: "later", level: null, severity: null, raw: null },
          { id: "b", host: null, short_message: "other", level: null, severity: null, raw: null }
        ]
      )

      const event = { class_uid: 3002, activity_id: 0, type_uid: "9007199254740993", time, id: "Alert-7", actor: "a=b" }
      const ocsf = batchFrom(7, [event, { ...event, id: "ALERT-7" }, { ...event, class_uid: 0 }], "events.ocsf.x")
      assert.deepEqual(yield* store.write(lane, ocsf, all(ocsf)), {
        messages: 2,
        rows: 2,
        conflicts: 1,
        deadLettered: 1,
        dropped: 0
      })
      assert.deepEqual(
        yield* session.query(
          "SELECT type_uid::text, metadata, actor, observables, severity, log_name FROM ocsf_events"
        ),
        [
          {
            type_uid: "9007199254740993",
            metadata: { uid: "Alert-7" },
            actor: { a: "b" },
            observables: [],
            severity: "Informational",
            log_name: "events.ocsf.x"
          }
        ]
      )
      assert.deepInclude(yield* store.totals(lane), { messages: 8, rows: 8, deadLettered: 1 })
    })
  )
})
