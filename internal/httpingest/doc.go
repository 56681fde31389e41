// SPDX-License-Identifier: Apache-2.0

// Package httpingest is what every HTTP intake of events shares: the server's life from listening to draining,
// a bound on concurrent requests, reading a body into a pooled buffer, the owner of a write key, and the answer
// that makes a sender do the right thing.
//
// The rule of the answers: a sender keeps what it sent until it reads a 2xx, and senders drop on most 4xx.
// So 4xx other than 429 is only for what can never succeed as it was sent; whatever could succeed later is 429
// or 5xx.
package httpingest
