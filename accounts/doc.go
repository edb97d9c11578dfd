// Package accounts answers two questions: who is calling, and with whose
// credential may we call on? It holds the nouns of the gateway (keys,
// upstreams, credentials) as plain values, the form of a gateway key, and the
// sealing of secrets.
//
//  1. A gateway key is issued by an Issuer: random bytes and a checksum that
//     only this installation can make. Its SHA-256 is all that is stored.
//  2. A caller's key is checked against the checksum, hashed, and looked up;
//     what comes back is an Identity.
//  3. An upstream has credentials. Each is a reference (env:NAME, file:PATH) or
//     a value sealed with the installation's SecretKey, bound to the upstream
//     and its host.
//
// The package is pure: it does no IO, asks no clock, and imports nothing of
// ours. Storing is the business of package store, using that of package proxy.
package accounts
