// Package faults answers: what does a program do when the way to its database is
// ill?
//
// A Proxy listens on a port of 127.0.0.1 and passes bytes on to a server and back.
// Set changes, while it runs, what happens on the way:
//
//  1. New connections are led to the server, or refused by a closed port.
//  2. Bytes in each direction pass, pass late, or are held back, as they are by a
//     link that was pulled: TCP repeats them, so they arrive when it is whole again.
//  3. Cut and Forget end the connections that there are: with a reset, or so that
//     the client does not notice.
//
// It knows no protocol. What happens inside the server (frozen, killed) is the
// business of package servers.
package faults
