// Package fleet answers one question: how does whoever looks at one node see what
// passes through all of them?
//
//  1. Run derives a key and the names of channels from a secret of the
//     installation (seal.go), and listens to the channel of calls. Until somebody
//     looks nothing is sent, and an exchange pays for one atomic load.
//  2. A node with readers listens to a channel of its own and calls for what their
//     filters take (watch.go). A call is a lease: it is made again before it runs
//     out, and taken back when the last reader leaves.
//  3. The other nodes filter, bound and count what they have, and publish it
//     in batches (forward.go). Each batch says what was published before it, so
//     that one that was lost is counted. A call is always answered, if with an
//     empty batch: which nodes are there, and which say nothing, is known by that.
//  4. Streams and Cut ask all nodes, and wait a moment for the answers (ask.go,
//     answer.go); so does Traffic (traffic.go).
//  5. What is missing, and why, is an api.Partial (partial.go).
//
// Messages are sealed: whoever has the bus and no secret can read and forge
// nothing, and a batch that comes twice is taken once. What can be done is to
// keep messages back, or to have a node publish to nobody for as long as a lease
// lasts.
//
// The package does not remember, does not know who may see what, and never holds
// an exchange up.
package fleet
