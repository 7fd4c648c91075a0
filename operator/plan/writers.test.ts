import { assert, it } from "vitest"
import { emptyWorld, eventStreamOf, settle } from "../../testing/operator-world.ts"
import { plan } from "../plan.ts"
import { OperatorAnnotation } from "../specs/names.ts"
import type { Action, Inputs } from "./action.ts"

/** What the operator with that Lease goes by. */
const by = (operator: string, image = "writer:test"): Inputs => ({
  nowMillis: Date.parse("2026-01-02T00:00:00Z"),
  nonce: "abc123",
  defaults: { image, hosts: undefined, operator }
})
const tags = (actions: ReadonlyArray<Action>) => actions.map(({ _tag }) => _tag)

it("leaves the writers of another operator alone, whatever that one sets", () => {
  const { eventStream, world } = settle({ eventStream: eventStreamOf(), world: emptyWorld }, by("a/operator"))
  assert.deepEqual(tags(plan(eventStream, world, by("a/operator", "writer:next")).actions), ["Apply"])

  const other = plan(eventStream, world, by("b/operator", "writer:next"))
  assert.deepEqual(other.actions, [])
  assert.deepEqual(other.problems, [
    {
      about: "Kubernetes",
      reason: "NameConflict",
      message:
        "Deployment demo/logs-writer is looked after by another operator, whose Lease is a/operator; let only one look after " +
        "this namespace, or, if that one is gone, remove the annotation eventstream.dev/operator from the Deployment",
      stalled: true
    }
  ])

  const deployment = world.deployment!
  const { annotations } = deployment.metadata
  const left = Object.fromEntries(Object.entries(annotations!).filter(([name]) => name !== OperatorAnnotation))
  const free = { ...world, deployment: { ...deployment, metadata: { ...deployment.metadata, annotations: left } } }
  assert.deepEqual(tags(plan(eventStream, free, by("b/operator")).actions), ["Apply"])
})
