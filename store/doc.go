// Package store answers two questions: what outlives a request, and who is
// told when it changes?
//
//  1. Open brings the tables up to date, makes or opens the installation's
//     checksum secret, and keeps one connection for writing and a few for
//     reading.
//  2. Everything that changes goes through Change: it locks the head of the
//     log, hands over the State, compiles what would come of it, writes rows
//     stamped with the change's number, adds an entry to the log and, where the
//     configuration changed, to the history, commits, and rings the bell.
//  3. Advance is how a node takes over what was changed, by itself or by
//     another: it reads the log from where it stands, drops from the key cache
//     what the log names, loads the configuration when its revision moved, and
//     hands it to the function given to OnConfig. Follow calls it at every
//     ring and at every poll; Change calls it before it returns.
//  4. Identify finds whose key a hash is, from memory where it can.
//  5. History, Revision and RulesAt look back: which revisions there were, what
//     each changed of the rules, and the rules themselves. The way back to one
//     is a change like any other. Audit tells what each change did to each
//     object, rules or not.
//  6. Nodes tells which gateways run on the store, what is in force on each, and
//     for how long it has given no sign. Follow writes this one's row, beside the
//     following; Close takes it away.
//  7. OnChange's listeners are told of every change that this node has taken
//     over, in the order of the log.
//
// Below is a file of SQLite, or PostgreSQL (engine), where other nodes change the
// same store. There every change takes the lock of the head first, and so does
// what is written beside the log where it depends on what it read; NOTIFY wakes
// the nodes that follow; connections keep to the deadline of each call on the
// wire; and a COMMIT that was not answered is looked for behind that lock.
//
// Where there are other nodes, a Bus tells them of a change as soon as it is made,
// and a Shelf keeps for all what one has read. Both are others' to lose or forge:
// a message only drops things from memory and wakes Follow up, and what stands on
// the shelf is taken only where it opens, was read at a moment of the log that
// this node has read itself (chain), and is named by nothing since.
//
// With PostgreSQL, a node keeps a sealed copy of what it knows, in a file and on the
// shelf (copier). A store whose database is away opens with that, or with nothing,
// and Follow opens the database once it answers (absence). SQLite needs none: the
// file is here, or there is no store.
//
// Beside the log stands what is no change and is kept in no memory: logins to the
// admin API and their renewing, and when keys and tokens were last used. Making and
// ending personal access tokens and admin links are changes like any other.
//
// RotateSecret exchanges the key that everything is sealed with, while it is
// read. Backup copies the store while it is written to; VerifyBackup and Restore
// need no store that is open.
//
// The log is a chain: each entry's hash covers the entry before it. A log that
// does not continue where this node stands (a restored backup, another file
// under the same name) makes the node drop and load everything.
//
// The package does not decide who may change what (package admin does), nor
// what becomes of a request (package proxy). It holds no credential or key in
// clear, in memory or on disk.
package store
