/**
 * What a kubelet reports of a Pod. Pure: the containers' states in, `status` out.
 * Source of names and reasons: Kubernetes core/v1 and the kubelet.
 */

export interface Terminated {
  /** 128 + the signal's number when a signal ended it. */
  readonly exitCode: number
  readonly reason: "Completed" | "Error"
  /** Why, in the container's own last words. */
  readonly message?: string
  readonly startedAt: string
  readonly finishedAt: string
}

export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | { readonly terminated: Terminated }

/** One container as the Pod runner knows it. */
export interface ContainerRecord {
  readonly name: string
  readonly image: string
  readonly state: ContainerState
  readonly last?: Terminated
  readonly restarts: number
  readonly ready: boolean
}

export interface PodRecord {
  readonly startTime: string
  readonly init: ReadonlyArray<ContainerRecord>
  readonly containers: ReadonlyArray<ContainerRecord>
}

export interface Condition {
  readonly type: string
  readonly status: "True" | "False"
  readonly lastTransitionTime: string
  readonly reason?: string
  readonly message?: string
}

export interface PodStatus {
  readonly phase: "Pending" | "Running"
  readonly conditions: ReadonlyArray<Condition>
  readonly startTime: string
  readonly hostIP: string
  readonly podIP: string
  readonly podIPs: ReadonlyArray<{ readonly ip: string }>
  readonly initContainerStatuses: ReadonlyArray<object>
  readonly containerStatuses: ReadonlyArray<object>
}

export const waiting = (reason: string, message?: string): ContainerState => ({
  waiting: message === undefined ? { reason } : { reason, message }
})

const hasFinished = ({ state }: ContainerRecord) => "terminated" in state && state.terminated.exitCode === 0

const containerStatus = (record: ContainerRecord) => ({
  name: record.name,
  image: record.image,
  imageID: "",
  state: record.state,
  lastState: record.last ? { terminated: record.last } : {},
  restartCount: record.restarts,
  ready: record.ready,
  started: "running" in record.state
})

const named = (records: ReadonlyArray<ContainerRecord>) => records.map(({ name }) => name).join(", ")

/** @param previous conditions as they were last reported: a time changes only with its status */
export const podStatus = (record: PodRecord, previous: ReadonlyArray<Condition>, now: string): PodStatus => {
  const condition = (type: string, missing: ReadonlyArray<ContainerRecord>, reason: string): Condition => {
    const status = missing.length === 0 ? "True" : "False"
    const before = previous.find((condition) => condition.type === type)
    return {
      type,
      status,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
      ...(status === "False" ? { reason, message: `containers not ready: ${named(missing)}` } : {})
    }
  }
  const uninitialized = record.init.filter((container) => !hasFinished(container))
  const unready = record.containers.filter(({ ready }) => !ready)
  return {
    phase: record.containers.some(({ state, last }) => last || !("waiting" in state)) ? "Running" : "Pending",
    conditions: [
      condition("PodScheduled", [], ""),
      condition("Initialized", uninitialized, "ContainersNotInitialized"),
      condition("ContainersReady", unready, "ContainersNotReady"),
      condition("Ready", unready, "ContainersNotReady")
    ],
    startTime: record.startTime,
    hostIP: "127.0.0.1",
    podIP: "127.0.0.1",
    podIPs: [{ ip: "127.0.0.1" }],
    initContainerStatuses: record.init.map(containerStatus),
    containerStatuses: record.containers.map(containerStatus)
  }
}
