import { EventStreamSpec, EventStreamStatus, group, kind, version } from "./eventstream.ts"
import type { Rule } from "./rule.ts"
import { rangeRule, rules } from "./rules.ts"
import { type Json, type JsonObject, type Structural, structural } from "./structural.ts"

/** Structural schemas of the EventStream; `admission.ts` and the CRD are made from the same. */
export const specSchema = structural(EventStreamSpec)
export const statusSchema: Structural = {
  ...structural(EventStreamStatus),
  description: "What the operator observed.",
  // kstatus takes an object without observedGeneration for finished; -1 says that nobody has looked at it yet.
  default: { observedGeneration: -1 }
}

const validation = ({ cel, message, field }: Pick<Rule, "cel" | "message" | "field">) => ({
  rule: cel,
  message,
  ...(field !== undefined && { fieldPath: `.${field}` })
})

const validations = (path: string, { range }: Structural): ReadonlyArray<JsonObject> => [
  ...(range ? [validation(rangeRule(range))] : []),
  ...rules.filter((rule) => rule.path === path).map(validation)
]

/** Rules about metadata stand at the object and cannot name a `fieldPath` there. */
const objectValidations = rules
  .filter((rule) => rule.path === "")
  .map(({ cel, message, field }) => validation({ cel, message: `${field} ${message}` }))

const withoutUndefined = (object: Readonly<Record<string, Json | undefined>>): JsonObject =>
  Object.fromEntries(Object.entries(object).filter((entry): entry is [string, Json] => entry[1] !== undefined))

/** OpenAPI of a field, in the order a reader wants: what it is, then its bounds, then what is in it. */
const openApi = (path: string, schema: Structural): JsonObject => {
  const celRules = validations(path, schema)
  return withoutUndefined({
    description: schema.description,
    ...(schema.type === "intOrString"
      ? { anyOf: [{ type: "integer" }, { type: "string" }], "x-kubernetes-int-or-string": true }
      : { type: schema.type }),
    default: schema.default,
    enum: schema.enum,
    pattern: schema.pattern,
    minLength: schema.minLength,
    maxLength: schema.maxLength,
    format: schema.type === "integer" ? "int64" : undefined,
    minimum: schema.minimum,
    maximum: schema.maximum,
    minItems: schema.minItems,
    maxItems: schema.maxItems,
    maxProperties: schema.maxProperties,
    "x-kubernetes-list-type": schema.listType,
    "x-kubernetes-list-map-keys": schema.listMapKeys,
    "x-kubernetes-validations": celRules.length > 0 ? celRules : undefined,
    required: schema.required,
    properties:
      schema.properties &&
      Object.fromEntries(
        Object.entries(schema.properties).map(([name, field]) => [name, openApi(`${path}.${name}`, field)])
      ),
    items: schema.items && openApi(`${path}[]`, schema.items),
    additionalProperties: schema.additionalProperties && openApi(`${path}{}`, schema.additionalProperties)
  })
}

const column = (name: string, type: string, jsonPath: string, description: string, priority = 0) => ({
  name,
  type,
  jsonPath,
  description,
  ...(priority > 0 && { priority })
})

/** The CustomResourceDefinition of EventStream. */
export const customResourceDefinition: JsonObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `eventstreams.${group}` },
  spec: {
    group,
    scope: "Namespaced",
    names: {
      kind,
      listKind: `${kind}List`,
      plural: "eventstreams",
      singular: "eventstream",
      shortNames: ["evs"],
      categories: ["eventstreams"]
    },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: {
            specReplicasPath: ".spec.writer.replicas",
            statusReplicasPath: ".status.writer.replicas",
            labelSelectorPath: ".status.writer.selector"
          }
        },
        selectableFields: [{ jsonPath: ".spec.stream.name" }],
        additionalPrinterColumns: [
          column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether rows flow."),
          column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not."),
          column("Lag", "string", ".status.consumer.lag", "Messages not written yet."),
          column("Writers", "integer", ".status.writer.readyReplicas", "Writer Pods that are ready."),
          column("DLQ", "integer", ".status.delivery.deadLettered", "Dead letters."),
          column("Stream", "string", ".status.stream.name", "JetStream name of the stream."),
          column("Consumer", "string", ".status.consumer.name", "Name of the durable.", 1),
          column("Pending", "integer", ".status.consumer.pending", "Messages not delivered yet.", 1),
          column("LastWrite", "date", ".status.delivery.lastWriteTime", "Time since rows were last committed.", 1),
          column("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "More about the reason.", 1),
          column("Age", "date", ".metadata.creationTimestamp", "Time since creation.")
        ],
        schema: {
          openAPIV3Schema: {
            description: "Events of a JetStream stream become rows in PostgreSQL.",
            type: "object",
            required: ["spec"],
            "x-kubernetes-validations": objectValidations,
            properties: {
              apiVersion: { type: "string" },
              kind: { type: "string" },
              metadata: { type: "object" },
              spec: openApi("spec", { ...specSchema, description: "What is wanted." }),
              status: openApi("status", statusSchema)
            }
          }
        }
      }
    ]
  }
}
