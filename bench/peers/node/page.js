// The parts of the page, and its shape, from which Fastify compiles a serialiser.

export const PARTS = ['product', 'price', 'availability', 'rating', 'reviews', 'related', 'sellers']

const text = { type: 'string' }
const integer = { type: 'integer' }

const item = {
  type: 'object',
  properties: {
    id: text,
    title: text,
    authors: { type: 'array', items: text },
    publisher: text,
    published: text,
    pages: integer,
    language: text,
    isbn: text,
    in_stock: { type: 'boolean' },
    rating: { type: 'number' },
    price: { type: 'object', properties: { amount: integer, currency: text } },
    about: text
  }
}

const page = { type: 'object', properties: Object.fromEntries(PARTS.map(part => [part, item])) }

export const schema = { response: { 200: page } }
