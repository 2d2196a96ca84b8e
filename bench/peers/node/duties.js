// The same with a gateway's duties: a log line a request, an id, a trace, timeouts, a circuit, security headers.

import { randomUUID } from 'node:crypto'
import Fastify, { LogController } from 'fastify'
import CircuitBreaker from 'opossum'
import { Pool } from 'undici'
import { PARTS, schema } from './page.js'
import { spanId, traceId } from './trace.js'

const TIMEOUT = 500 // ms

const SECURITY = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'strict-origin-when-cross-origin',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'"
}

const upstream = new Pool(process.env.UPSTREAM, {
  connections: 256,
  pipelining: 1,
  headersTimeout: TIMEOUT, // undici's own timers: they end the call itself, and cost less than a signal for each
  bodyTimeout: TIMEOUT
})

const circuit = new CircuitBreaker(item, {
  timeout: false, // the pool's are enough
  volumeThreshold: 20,
  errorThresholdPercentage: 50,
  resetTimeout: 5000,
  rollingPercentilesEnabled: false // nobody reads them, and they are sorted once a second
})

const app = Fastify({
  logger: { base: { gateway: 'page' } },
  // without Fastify's own two lines a request, because the hook below writes one
  logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
  genReqId: () => randomUUID()
})

app.addHook('onRequest', async (request, reply) => {
  reply.headers(SECURITY).header('x-request-id', request.id)
})

app.addHook('onResponse', async (request, reply) => {
  request.log.info({
    client: request.ip,
    method: request.method,
    path: request.url,
    status: reply.statusCode,
    bytes: Number(reply.getHeader('content-length')),
    ms: Math.round(reply.elapsedTime * 10) / 10
  }, 'answered')
})

async function item (part, id, requestId, trace) {
  const { statusCode, body } = await upstream.request({
    path: `/${part}/${id}`,
    method: 'GET',
    headers: {
      accept: 'application/json',
      'x-request-id': requestId,
      traceparent: `00-${trace}-${spanId()}-01`
    }
  })
  if (statusCode !== 200) {
    await body.dump()
    throw new Error(`${part}: ${statusCode}`)
  }
  return body.json()
}

app.get('/page/:id', { schema }, async request => {
  const { id } = request.params
  const trace = traceId(request.headers.traceparent)
  const [product, price, availability, rating, reviews, related, sellers] =
    await Promise.all(PARTS.map(part => circuit.fire(part, id, request.id, trace)))
  return { product, price, availability, rating, reviews, related, sellers }
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
