import type { ConditionType } from "../../crds/conditions.ts"
import type { Condition } from "../../crds/eventstream.ts"

/** What a reconcile says of one condition. */
export interface Said {
  readonly type: ConditionType
  readonly status: Condition["status"]
  readonly reason: string
  readonly message: string
}

/** RFC 3339 in whole seconds, as Kubernetes writes `metav1.Time`. */
export const kubeTime = (millis: number) => new Date(millis).toISOString().replace(/\.\d{3}Z$/, "Z")

export const find = (conditions: ReadonlyArray<Condition> | undefined, type: ConditionType): Condition | undefined =>
  conditions?.find((condition) => condition.type === type)

/** Whether a condition is there and true. */
export const holds = (conditions: ReadonlyArray<Condition> | undefined, type: ConditionType): boolean =>
  find(conditions, type)?.status === "True"

/** How long a condition has had its reason, in milliseconds; undefined when it does not hold or is about an older spec. */
export const ageOf = (
  conditions: ReadonlyArray<Condition> | undefined,
  type: ConditionType,
  generation: number,
  nowMillis: number
): number | undefined => {
  const condition = find(conditions, type)
  return condition?.status === "True" && condition.observedGeneration === generation
    ? nowMillis - Date.parse(condition.lastTransitionTime)
    : undefined
}

/** The condition as it is written: its transition time changes only with its status. */
export const conditionOf = (
  said: Said,
  previous: ReadonlyArray<Condition> | undefined,
  generation: number,
  nowMillis: number
): Condition => {
  const before = find(previous, said.type)
  return {
    ...said,
    observedGeneration: generation,
    lastTransitionTime: before?.status === said.status ? before.lastTransitionTime : kubeTime(nowMillis)
  }
}
