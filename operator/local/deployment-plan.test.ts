import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { KubeObject } from "../kube.ts"
import { planDeployment, podOf, templateHash } from "./deployment-plan.ts"

const now = "2026-01-01T00:00:00.000Z"

const deployment = (replicas: number, image: string): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "logs-writer", namespace: "demo", uid: "d1", generation: 3 },
  spec: {
    replicas,
    selector: { matchLabels: { app: "logs" } },
    template: { metadata: { labels: { app: "logs" } }, spec: { containers: [{ name: "writer", image }] } }
  }
})

/** Pods of a Deployment as a model: what a node does with them is up to the test. */
class World {
  pods: Array<KubeObject> = []
  #count = 0

  /** One look of the controller; the node starts and stops at once. */
  step(wanted: KubeObject) {
    const { create, remove } = planDeployment(wanted, this.pods, now)
    this.pods = this.pods.filter((pod) => !remove.includes(pod))
    for (let i = 0; i < create; i++) {
      const pod = podOf(wanted, "local", `p${this.#count++}`)
      this.pods.push({ ...pod, metadata: { ...pod.metadata, creationTimestamp: String(this.#count).padStart(6, "0") } })
    }
    return { create, remove: remove.length }
  }

  setReady(isReady: boolean, which: (pod: KubeObject) => boolean = () => true) {
    const conditions = [{ type: "Ready", status: isReady ? "True" : "False" }]
    this.pods = this.pods.map((pod) => (which(pod) ? { ...pod, status: { conditions } } : pod))
  }

  ready() {
    return this.pods.filter((pod) => JSON.stringify(pod["status"] ?? "").includes("True")).length
  }
}

const isOf = (wanted: KubeObject) => (pod: KubeObject) =>
  pod.metadata.labels?.["pod-template-hash"] === templateHash(wanted)

describe("planDeployment", () => {
  it("makes the replicas, and says so in status", () => {
    const world = new World()
    assert.deepEqual(world.step(deployment(2, "a")), { create: 2, remove: 0 })
    assert.deepInclude(planDeployment(deployment(2, "a"), world.pods, now).status, { replicas: 2, readyReplicas: 0 })
    world.setReady(true)
    const { create, remove, status } = planDeployment(deployment(2, "a"), world.pods, now)
    assert.deepEqual([create, remove], [0, []])
    assert.deepEqual(status, {
      observedGeneration: 3,
      replicas: 2,
      updatedReplicas: 2,
      readyReplicas: 2,
      availableReplicas: 2,
      unavailableReplicas: 0,
      conditions: [
        {
          type: "Available",
          status: "True",
          reason: "MinimumReplicasAvailable",
          message: "Deployment has minimum availability.",
          lastTransitionTime: now
        },
        {
          type: "Progressing",
          status: "True",
          reason: "NewReplicaSetAvailable",
          message: `Pods of template ${templateHash(deployment(2, "a"))} are available.`,
          lastTransitionTime: now
        }
      ]
    })
  })

  it("gives each Pod the template's labels, its owner, its node and a finalizer", () => {
    const { metadata, spec } = podOf(deployment(1, "a"), "local", "x2x4z") as KubeObject & { spec: object }
    assert.equal(metadata.name, `logs-writer-${templateHash(deployment(1, "a"))}-x2x4z`)
    assert.deepInclude(metadata.labels, { app: "logs" })
    assert.deepInclude(metadata.ownerReferences![0], { kind: "Deployment", uid: "d1", controller: true })
    assert.deepInclude(spec, { nodeName: "local" })
  })

  it("waits for the new Pod before it lets an old one go", () => {
    const world = new World()
    world.step(deployment(1, "a"))
    world.setReady(true)
    assert.deepEqual(world.step(deployment(1, "b")), { create: 1, remove: 0 })
    assert.deepEqual(world.step(deployment(1, "b")), { create: 0, remove: 0 })
    world.setReady(true)
    assert.deepEqual(world.step(deployment(1, "b")), { create: 0, remove: 1 })
    assert.isTrue(world.pods.every(isOf(deployment(1, "b"))))
  })

  it("keeps the old Pod while the new version never gets ready, and drops that version when it is mended", () => {
    const world = new World()
    world.step(deployment(1, "a"))
    world.setReady(true)
    world.step(deployment(1, "broken"))
    world.step(deployment(1, "broken"))
    assert.equal(world.ready(), 1)
    world.step(deployment(1, "c"))
    world.step(deployment(1, "c"))
    world.setReady(true, isOf(deployment(1, "c")))
    world.step(deployment(1, "c"))
    assert.lengthOf(world.pods, 1)
    assert.isTrue(world.pods.every(isOf(deployment(1, "c"))))
  })

  it("gives up the youngest first, and all for no replicas", () => {
    const world = new World()
    world.step(deployment(3, "a"))
    world.setReady(true)
    const names = world.pods.map(({ metadata }) => metadata.name)
    world.step(deployment(1, "a"))
    assert.deepEqual(
      world.pods.map(({ metadata }) => metadata.name),
      names.slice(0, 1)
    )
    world.step(deployment(0, "a"))
    assert.deepEqual(world.pods, [])
  })

  it("never has more than one Pod too many, never fewer ready ones than before while it rolls, and comes to an end", () => {
    const change = fc.record({ replicas: fc.integer({ min: 0, max: 4 }), image: fc.constantFrom("a", "b", "c") })
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.boolean()),
        (changes, coin) => {
          const world = new World()
          for (const { replicas, image } of changes) {
            const wanted = deployment(replicas, image)
            for (let i = 0; i < 4; i++) {
              const before = world.ready()
              world.step(wanted)
              assert.isAtLeast(world.ready(), Math.min(before, replicas))
              assert.isAtMost(world.pods.length, Math.max(replicas + 1, 5))
              if (coin.next().value) world.setReady(true)
            }
          }
          const last = deployment(changes.at(-1)!.replicas, changes.at(-1)!.image)
          for (let i = 0; i < 12; i++) {
            world.setReady(true)
            world.step(last)
          }
          assert.lengthOf(world.pods, changes.at(-1)!.replicas)
          assert.isTrue(world.pods.every(isOf(last)))
          assert.deepEqual(world.step(last), { create: 0, remove: 0 })
        }
      )
    )
  })
})
