// Package servers answers: where does a test, or a benchmark, get a real
// PostgreSQL and a real Redis that are its own?
//
//  1. StartPostgres and StartRedis look for the programs on this machine, make a
//     temporary directory, and start a server in it that listens on a free port
//     of 127.0.0.1 and on a socket in the directory. Nothing that runs already is
//     in the way, and nothing is configured but what Options say.
//  2. A keeper, one small shell process a server, waits for the end of the process
//     that started the server, however that ends; then it ends the server and
//     removes the directory. So nothing is left behind by a test that was killed.
//  3. Databases makes empty databases and clones of a prepared one, so that every
//     test of a package has its own on one server.
//  4. What tests alone need is in testing.go: a server for the whole test binary,
//     and tests that are skipped loudly where the programs are missing.
//
// A server can be stopped, killed, frozen and brought back under the same
// address. What happens between a server and its client is the business of
// package faults. No goroutine outlives a call. Servers run on Unix only.
package servers
