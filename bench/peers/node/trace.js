// Ids of W3C Trace Context, made as OpenTelemetry for JavaScript makes them.

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/
const bytes = Buffer.allocUnsafe(16)

function hex (size) {
  for (let at = 0; at < size; at += 4) bytes.writeUInt32BE(Math.random() * 2 ** 32 >>> 0, at)
  return bytes.toString('hex', 0, size)
}

export const spanId = () => hex(8)

export const traceId = given => TRACEPARENT.exec(given)?.[1] ?? hex(16)
