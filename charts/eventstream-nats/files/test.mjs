// What `helm test` runs: every server is healthy and has all its peers, a leaf its hub, and a stream on all servers takes an event
// and gives it back. Speaks NATS's text protocol itself, so that node alone is enough.
import { connect } from "node:net"

const { MONITORS, CLIENT, STREAM, REPLICAS, REMOTES } = process.env
const monitors = MONITORS.split(",")
const replicas = Number(REPLICAS)
const remotes = Number(REMOTES)

const look = async (monitor, path) => {
  const response = await fetch(`http://${monitor}${path}`, { signal: AbortSignal.timeout(5_000) })
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
  return response.json()
}

const expect = (what, found, wanted) => {
  if (found !== wanted) throw new Error(`${what}: wanted ${wanted}, found ${found}`)
}

const checkServer = async (monitor) => {
  await look(monitor, "/healthz")
  const { server_name, version } = await look(monitor, "/varz")
  const { routes } = await look(monitor, "/routez")
  expect("peers with a route", new Set((routes ?? []).map((route) => route.remote_id)).size, replicas - 1)
  const { config, meta_cluster } = await look(monitor, "/jsz")
  if (replicas > 1) {
    expect("servers in the JetStream cluster", meta_cluster?.cluster_size, replicas)
    if (!meta_cluster.leader) throw new Error("the JetStream cluster has no leader")
  }
  const { leafs } = await look(monitor, "/leafz")
  if (remotes > (leafs ?? []).length)
    throw new Error(`links to a hub: wanted ${remotes}, found ${(leafs ?? []).length}`)
  const leader = meta_cluster ? `, leader ${meta_cluster.leader}` : ""
  return `${server_name}: nats-server ${version}, domain ${config.domain}, ${replicas - 1} peers${leader}, ${(leafs ?? []).length} leaf links`
}

/** A client that sends one request at a time. */
const login = (address) =>
  new Promise((resolve, reject) => {
    const at = address.lastIndexOf(":")
    const socket = connect(Number(address.slice(at + 1)), address.slice(0, at))
    let buffer = Buffer.alloc(0)
    let answered = () => {}
    const request = (subject, body) =>
      new Promise((done, failed) => {
        const timer = setTimeout(() => failed(new Error(`${subject}: no answer within 5 s`)), 5_000)
        answered = (payload) => {
          clearTimeout(timer)
          const reply = JSON.parse(payload)
          if (reply.error) failed(new Error(`${subject}: ${reply.error.description}`))
          else done(reply)
        }
        const payload = typeof body === "string" ? body : JSON.stringify(body)
        socket.write(`PUB ${subject} ${inbox} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`)
      })
    const inbox = `_INBOX.${STREAM}`
    const line = (text) => {
      if (text.startsWith("-ERR")) reject(new Error(text))
      else if (text === "PING") socket.write("PONG\r\n")
      else if (text === "PONG") resolve({ request, close: () => socket.destroy() })
      else if (text.startsWith("INFO ")) {
        const options = { name: "helm-test", verbose: false, pedantic: false, lang: "node", version: "1", protocol: 1 }
        socket.write(`CONNECT ${JSON.stringify(options)}\r\nSUB ${inbox} 1\r\nPING\r\n`)
      }
    }
    socket.setTimeout(10_000, () => socket.destroy(new Error(`${address}: silent for 10 s`)))
    socket.on("error", reject)
    socket.on("data", (chunk) => {
      buffer = Buffer.concat([buffer, chunk])
      for (let end = buffer.indexOf("\r\n"); end >= 0; end = buffer.indexOf("\r\n")) {
        const text = buffer.toString("utf8", 0, end)
        if (!text.startsWith("MSG ")) {
          line(text)
          buffer = buffer.subarray(end + 2)
          continue
        }
        const size = Number(text.split(" ").at(-1))
        if (buffer.length < end + 2 + size + 2) return
        answered(buffer.toString("utf8", end + 2, end + 2 + size))
        buffer = buffer.subarray(end + 2 + size + 2)
      }
    })
  })

const checkStream = async () => {
  const client = await login(CLIENT)
  const config = { name: STREAM, subjects: [STREAM], num_replicas: replicas, storage: "file", max_bytes: 65_536 }
  const created = await client.request(`$JS.API.STREAM.CREATE.${STREAM}`, config)
  try {
    const { seq } = await client.request(STREAM, "helm test")
    const { message } = await client.request(`$JS.API.STREAM.MSG.GET.${STREAM}`, { seq })
    expect("the event read back", Buffer.from(message.data, "base64").toString(), "helm test")
    return `stream of ${replicas}: created${created.cluster ? ` (leader ${created.cluster.leader})` : ""}, published to, read, deleted`
  } finally {
    await client.request(`$JS.API.STREAM.DELETE.${STREAM}`, "").finally(client.close)
  }
}

/** Right after an installation or while a server restarts, a check may fail for a moment. */
const persist = async (name, check) => {
  for (const deadline = Date.now() + 60_000; ;) {
    try {
      return console.log(`ok      ${await check()}`)
    } catch (error) {
      if (Date.now() < deadline) await new Promise((resume) => setTimeout(resume, 1_000))
      else {
        process.exitCode = 1
        return console.log(`FAILED  ${name}: ${error.message}${error.cause ? ` (${error.cause.message})` : ""}`)
      }
    }
  }
}

await Promise.all(monitors.map((monitor) => persist(monitor, () => checkServer(monitor))))
if (CLIENT) await persist(CLIENT, checkStream)
else console.log("left out: the stream, because this test has no user to log in as, nor a certificate to show")
