// SPDX-License-Identifier: Apache-2.0

// Drives the stock Segment SDK against a receiver, as an app would.
//
//   node drive.cjs <folder of package.json with node_modules> <url> <write key> <rounds>
//
// Prints one JSON object: the messageId of every call in order, those that the SDK gave up on, and the HTTP
// status of every request.
'use strict'

const path = require('node:path')
const { createRequire } = require('node:module')

const [folder, host, writeKey, rounds] = process.argv.slice(2)
const { Analytics } = createRequire(path.join(folder, 'package.json'))('@segment/analytics-node')

async function main() {
  const analytics = new Analytics({ host, writeKey, flushAt: 7, flushInterval: 100 })
  const calls = []
  const failed = []
  const statuses = []
  analytics.on('error', (err) => failed.push(String(err.code)))
  analytics.on('http_response', ({ status }) => statuses.push(status))

  const call = (type, params) =>
    new Promise((resolve) => {
      const slot = { type, id: null }
      calls.push(slot)
      analytics[type](params, (err, ctx) => {
        slot.id = ctx.event.messageId
        if (err) failed.push(slot.id)
        resolve()
      })
    })

  const pending = []
  for (let i = 0; i < Number(rounds); i++) {
    const userId = `user-${i}`
    pending.push(call('identify', { userId, traits: { plan: 'pro', n: i } }))
    pending.push(call('track', { userId, event: 'Order Completed', properties: { total: i + 0.5, products: [{ sku: 's' }] }, timestamp: new Date('2026-01-02T03:04:05.678Z') }))
    pending.push(call('page', { anonymousId: `anon-${i}`, name: 'Home', category: 'Docs', properties: { path: '/' } }))
    pending.push(call('screen', { userId, name: 'Cart' }))
    pending.push(call('group', { userId, groupId: 'g-1', traits: { employees: 12 } }))
    pending.push(call('alias', { userId, previousId: `anon-${i}` }))
  }
  await analytics.closeAndFlush({ timeout: 60_000 })
  await Promise.all(pending)
  console.log(JSON.stringify({ calls, failed, statuses }))
}

main().catch((err) => {
  console.error(err)
  process.exit(1)
})
