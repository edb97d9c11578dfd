// Package redis answers one question: how do messages and shelved bytes go over
// Redis?
//
//  1. Parse reads where Redis is, and says what is wrong without repeating it.
//  2. Open makes a client. It connects to nothing yet: a Redis that is away is no
//     reason not to start.
//  3. Publish and Listen are a store.Bus. A connection that listens is asked
//     whether it still is one, so that one that broke without a word is noticed.
//  4. Take and Put are a store.Shelf.
//
// The package does not decide how often or how long anybody waits, beyond the
// deadlines it is given, and believes nothing of what it carries: both are package
// store's business.
package redis
