import { assert, describe, it } from "vitest"
import type { KubeObject } from "../kube.ts"
import { renderTable } from "./table.ts"

const eventStream = (namespace: string, name: string, status?: object): KubeObject => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { namespace, name, uid: `${namespace}-${name}` },
  ...(status ? { status } : {})
})

const running = {
  conditions: [{ type: "Ready", status: "True", reason: "Running", message: "rows flow" }],
  consumer: { lag: "1.2k" },
  writer: { readyReplicas: 2 },
  delivery: { deadLettered: 3 }
}
const down = {
  conditions: [{ type: "Ready", status: "False", reason: "TargetUnreachable", message: "connect\nECONNREFUSED" }],
  consumer: { lag: "57" },
  writer: { readyReplicas: 0 }
}

const text = (...objects: ReadonlyArray<KubeObject>) => renderTable(objects).map((line) => line.text)

describe("renderTable", () => {
  it("has the columns of kubectl, aligned, and below what keeps those that are not ready", () => {
    assert.deepEqual(
      text(eventStream("demo", "orders", down), eventStream("demo", "logs", running), eventStream("demo", "new")),
      [
        "NAME     READY   REASON              LAG    WRITERS   DLQ",
        "logs     True    Running             1.2k   2         3",
        "new",
        "orders   False   TargetUnreachable   57     0",
        "orders: connect ECONNREFUSED"
      ]
    )
  })

  it("shows namespaces when there are several", () => {
    assert.deepEqual(text(eventStream("b", "logs", running), eventStream("a", "logs", running)), [
      "NAMESPACE   NAME   READY   REASON              LAG    WRITERS   DLQ",
      "a           logs   True    Running             1.2k   2         3",
      "b           logs   True    Running             1.2k   2         3"
    ])
  })
})
