// What `helm test` runs, in the operator's image: does the Service answer, is an operator ready, and does one of them lead?
import { get } from "node:http"

const url = process.env.SERVICE_URL

// A connection for each request, so that every request may meet another operator.
const ask = (path) =>
  new Promise((resolve, reject) => {
    const request = get(url + path, { agent: false, timeout: 2_000 }, async (response) => {
      let body = ""
      for await (const chunk of response) body += chunk
      if (response.statusCode === 200) resolve(body)
      else reject(new Error(`${path}: wanted 200, found ${response.statusCode}: ${body.trim()}`))
    })
    request.on("timeout", () => request.destroy(new Error(`${path}: no answer within 2 s`)))
    request.on("error", reject)
  })

const check = async () => {
  await ask("/healthz")
  const ready = await ask("/readyz")
  const metrics = await ask("/metrics")
  const version = /^eventstream_operator_build_info\{.*?version="([^"]+)"/m.exec(metrics)?.[1]
  if (version === undefined) throw new Error("/metrics: wanted eventstream_operator_build_info, found none")
  if (!/^leader_election_master_status\{.*\} 1$/m.test(metrics)) {
    throw new Error("/metrics: wanted an operator that leads, found one that does not")
  }
  return `operator ${version} leads: ${ready.trim()}`
}

const deadline = Date.now() + Number(process.env.TIMEOUT_SECONDS) * 1_000
for (;;) {
  try {
    console.log(await check())
    break
  } catch (error) {
    if (Date.now() > deadline) {
      console.error(`${url}: ${error.message}`)
      process.exit(1)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
