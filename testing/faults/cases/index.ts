import type { FaultCase } from "../campaign.ts"
import { messageCases } from "./messages.ts"
import { natsNetworkCases } from "./nats-network.ts"
import { natsServerCases } from "./nats-servers.ts"
import { postgresObjectCases } from "./postgres-objects.ts"
import { postgresServerCases } from "./postgres-servers.ts"
import { processCases } from "./processes.ts"
import { soakCase } from "./soak.ts"
import { streamCases } from "./streams.ts"
import { tlsCases } from "./tls.ts"
import { topologyCases } from "./topologies.ts"

/** All cases, in the order in which they run. */
export const cases: ReadonlyArray<FaultCase> = [
  ...processCases,
  ...natsServerCases,
  ...natsNetworkCases,
  ...streamCases,
  ...messageCases,
  ...topologyCases,
  ...postgresServerCases,
  ...postgresObjectCases,
  ...tlsCases,
  soakCase
]
