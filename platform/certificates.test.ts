import { assert, describe, it } from "vitest"
import { makeAuthority } from "../testing/certificates.ts"
import { readCertificates, readIdentity, uriNames } from "./certificates.ts"

const authority = makeAuthority("authority")
const pair = authority.issue("a")
const files = { certFile: "a.crt", keyFile: "a.key" }
const reading = (texts: Readonly<Record<string, string>>) => (path: string) => Buffer.from(texts[path]!)

describe("certificates", () => {
  it("are read one by one, whatever stands between them", () => {
    const bundle = Buffer.from(`# first\n${pair.certificate}\nnote\n${authority.certificate}`)
    assert.deepEqual(
      readCertificates("bundle", bundle).map(({ subject }) => subject),
      ["CN=a", "CN=authority"]
    )
    assert.throws(
      () => readCertificates("bundle", Buffer.from(pair.key)),
      "wanted certificates in PEM in bundle, found none"
    )
  })

  it("belong to their key or are refused", () => {
    const { certificate } = readIdentity(
      files,
      reading({ "a.crt": `${pair.certificate}${authority.certificate}`, "a.key": pair.key })
    )
    assert.strictEqual(certificate.subject, "CN=a")
    const other = authority.issue("b")
    assert.throws(
      () => readIdentity(files, reading({ "a.crt": pair.certificate, "a.key": other.key })),
      "the certificate of a.crt and the key of a.key do not belong together"
    )
  })

  it.each([
    ["URI:spiffe://a/b", ["spiffe://a/b"]],
    ["DNS:a.test, URI:spiffe://a/b, IP Address:127.0.0.1, URI:spiffe://c", ["spiffe://a/b", "spiffe://c"]],
    ['DNS:"x, URI:spiffe://a/b", email:y', []],
    ['URI:"spiffe://a/b, URI:spiffe://c"', ["spiffe://a/b, URI:spiffe://c"]],
    [String.raw`DNS:"\", URI:spiffe://a/b, DNS:\""`, []],
    ["DNS:URI:spiffe://a/b", []],
    [undefined, []]
  ])("%s has the URI names %j", (alternativeNames, names) => {
    assert.deepEqual(uriNames(alternativeNames), names)
  })
})
