// SPDX-License-Identifier: Apache-2.0

// Package seal encrypts what nobody is to read but who repairs failed events: to a public key, by HPKE (RFC 9180). The collector
// that seals cannot open.
package seal

// Prefix begins every sealed text: "millrace-sealed:v1:KEY_ID:BASE64".
const Prefix = "millrace-sealed:v1:"
