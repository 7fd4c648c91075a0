import { createHash } from "node:crypto"

/**
 * Which life of a stream this is: 8 hex digits over its name and the server's `created` (RFC 3339 with nanoseconds, exactly
 * as the server writes it). A stream that is deleted and made again gets another one, so that neither its durable's name nor
 * its coverage is mistaken for the old stream's: JetStream accepts acks of the old one otherwise. Nothing else goes in:
 * metadata can be lost or come later, and the same stream must keep its key.
 */
export const incarnationOf = (stream: string, created: string): string =>
  createHash("sha256").update(`${stream}\n${created}`).digest("hex").slice(0, 8)
