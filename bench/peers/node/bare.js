// Fastify and undici, with nothing beside the work.

import Fastify from 'fastify'
import { Pool } from 'undici'
import { PARTS, schema } from './page.js'

const upstream = new Pool(process.env.UPSTREAM, { connections: 256, pipelining: 1 })
const app = Fastify({ logger: false })

async function item (part, id) {
  const { statusCode, body } = await upstream.request({ path: `/${part}/${id}`, method: 'GET' })
  if (statusCode !== 200) {
    await body.dump()
    throw new Error(`${part}: ${statusCode}`)
  }
  return body.json()
}

app.get('/page/:id', { schema }, async ({ params: { id } }) => {
  const [product, price, availability, rating, reviews, related, sellers] =
    await Promise.all(PARTS.map(part => item(part, id)))
  return { product, price, availability, rating, reviews, related, sellers }
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
