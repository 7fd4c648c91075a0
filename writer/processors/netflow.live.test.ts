import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { field, packed, protobuf } from "../../testing/protobuf.ts"
import { all, Databases, openRequest, testStore, timeOf } from "../../testing/store.ts"
import { batchOf } from "../encode.ts"
import { storedMessage } from "../stored-message.ts"
import { makeProcessor } from "./index.ts"
import type { Processor } from "./processor.ts"

const batchFrom = (processor: Processor, subject: string, payloads: ReadonlyArray<object | Uint8Array>) =>
  batchOf(
    processor,
    payloads.map((payload, i) =>
      storedMessage({
        stream: subject,
        subject,
        seq: i + 1,
        timeNanos: timeOf(i + 1),
        data: payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload)),
        headers: undefined
      })
    )
  )

const time = "2024-01-15T10:30:00Z"
const largest = "9223372036854775807"

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("in the database", (it) => {
  it.effect("flows of every form and scans share a table, and a second delivery adds nothing", () =>
    Effect.gen(function* () {
      const netflow = makeProcessor({ type: "NetFlow", storeRaw: true, skipSubjects: [] })
      const sweep = makeProcessor({ type: "Sweep", storeRaw: true, skipSubjects: [] })
      const { session, store } = yield* testStore(netflow.tables)
      const lane = yield* store.open(openRequest())
      const message = protobuf(
        field(6, Uint8Array.of(10, 0, 0, 1)),
        field(9, 18_446_744_073_709_551_615n),
        field(15, 4_294_967_295),
        field(26, 18),
        packed(102, [1, 4_294_967_295])
      )
      const flows = batchFrom(netflow, "flows.raw.netflow", [
        { timestamp: time, src_addr: "::1", dst_port: 443, protocol: "tcp", "nul\0": "\0\uD800" },
        message,
        { time, src_endpoint: { ip: "10.0.0.3" }, traffic: { bytes: -1 }, type_uid: largest }
      ])
      const written = { messages: 3, rows: 3, conflicts: 0, deadLettered: 0, dropped: 0 }
      assert.deepEqual(yield* store.write(lane, flows, all(flows)), written)
      const other = yield* store.open(openRequest({ incarnation: "1badcafe" }))
      assert.deepEqual(yield* store.write(other, flows, all(flows)), { ...written, conflicts: 3 })
      const columns = `src_endpoint_ip AS ip, bytes_total::text AS bytes, dst_as_number::text AS "as", type_uid::text,
        tcp_flags_labels AS labels, unmapped, dst_service_label AS service`
      assert.deepEqual(yield* session.query(`SELECT ${columns} FROM ocsf_network_activity ORDER BY src_endpoint_ip`), [
        {
          ip: "10.0.0.1",
          bytes: largest,
          as: "4294967295",
          type_uid: "400106",
          labels: ["ACK", "SYN"],
          unmapped: { as_path: [1, 4_294_967_295] },
          service: null
        },
        { ip: "10.0.0.3", bytes: "0", as: null, type_uid: largest, labels: [], unmapped: {}, service: null },
        {
          ip: "::1",
          bytes: "0",
          as: null,
          type_uid: "400106",
          labels: [],
          unmapped: { "nul\uFFFD": "\uFFFD\uFFFD" },
          service: "HTTPS"
        }
      ])
      assert.deepEqual(
        yield* session.query("SELECT raw_data FROM ocsf_network_activity WHERE src_endpoint_ip = '10.0.0.1'"),
        [{ raw_data: Buffer.from(message).toString("base64") }]
      )

      const scans = batchFrom(sweep, "sweep.x", [
        { ip: "10.0.0.9", last_sweep_time: time, tcp_ports_open: [443, 22], icmp_response_time_ns: 1_500_000 },
        { ip: "10.0.0.9", last_sweep_time: time, tcp_ports_scanned: ["x"] }
      ])
      const scanLane = yield* store.open(openRequest({ incarnation: "2badcafe" }))
      assert.deepInclude(yield* store.write(scanLane, scans, all(scans)), { rows: 2, conflicts: 0 })
      assert.deepEqual(
        yield* session.query(
          "SELECT ports_open, ports_scanned, bytes_total, duration::text FROM ocsf_network_activity WHERE activity_id = 99 ORDER BY duration"
        ),
        [
          { ports_open: [443, 22], ports_scanned: [], bytes_total: null, duration: "1" },
          { ports_open: [], ports_scanned: [], bytes_total: null, duration: null }
        ]
      )
    })
  )

  it.effect("flows and scans have tables without OCSF", () =>
    Effect.gen(function* () {
      const metrics = makeProcessor({ type: "NetFlow", output: "NetflowMetrics", skipSubjects: [] })
      const states = makeProcessor({ type: "Sweep", output: "SweepHostStates", skipSubjects: [] })
      const flows = yield* testStore(metrics.tables)
      const flowBatch = batchFrom(metrics, "netflow.x", [
        { timestamp: time, src_addr: "10.0.0.1", octets: 5 },
        { timestamp: time, src_addr: "10.0.0.1", octets: 5 }
      ])
      const flowLane = yield* flows.store.open(openRequest())
      assert.deepInclude(yield* flows.store.write(flowLane, flowBatch, all(flowBatch)), { rows: 2, conflicts: 0 })
      assert.deepEqual(
        yield* flows.session.query("SELECT src_addr, octets::int, packets::int, metadata FROM netflow_metrics"),
        Array.from({ length: 2 }, () => ({ src_addr: "10.0.0.1", octets: 5, packets: 0, metadata: null }))
      )

      const hosts = yield* testStore(states.tables)
      const scan = { ip: "10.0.0.1", last_sweep_time: time, tcp_ports_open: "[22]", icmp_packet_loss: "0.5" }
      const scanBatch = batchFrom(states, "sweep.x", [scan, { ...scan, gateway_id: "g" }, { ...scan, hostname: "h" }])
      const scanLane = yield* hosts.store.open(openRequest())
      assert.deepInclude(yield* hosts.store.write(scanLane, scanBatch, all(scanBatch)), { rows: 3, conflicts: 1 })
      assert.deepEqual(
        yield* hosts.session.query(
          "SELECT gateway_id, hostname, tcp_ports_open, icmp_packet_loss FROM sweep_host_states ORDER BY gateway_id"
        ),
        [
          { gateway_id: "g", hostname: null, tcp_ports_open: [22], icmp_packet_loss: 0.5 },
          { gateway_id: "unknown", hostname: null, tcp_ports_open: [22], icmp_packet_loss: 0.5 }
        ]
      )
    })
  )
})
