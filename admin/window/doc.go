// Package window answers one question: what ended within the last hour?
//
//  1. An Hour is shown, every so often, what has ended since it was last shown
//     something (Look). It counts that in steps of five seconds (hour.go), and by
//     who and what it was in cells of fifteen seconds, which become cells of a
//     minute when they are a quarter of an hour old (names.go). First-token times
//     are a histogram (times.go); what ended not well is grouped (trouble.go).
//  2. A Query asks for a part of that; a Part is the answer of one node, in a form
//     that can be added to those of others and sent to them (part.go).
//  3. Merge makes one answer of the parts of all nodes (merge.go). Series are laid
//     upon each other by age: the clocks of nodes may differ.
//
// Total, series and names of an answer cover the same exchanges, so they add up.
// They reach back to the beginning of a cell, which is a little less than was
// asked for; the answer says how much.
//
// Nothing is kept on disk, nothing is sampled, and memory is bounded whatever
// callers send. The package reads no clock; an Hour is not for several goroutines
// at once.
package window
