package accounts

import "time"

// Node is one running gateway, as it has told of itself in the store, and as
// the node that was asked has seen it.
type Node struct {
	ID       string // made at each start
	Name     string // of its machine
	Version  string // of its program
	Language int    // the newest of rules that it knows; see rules.Language
	Bus      string // how it hears of changes

	Lineage  string // of the log that it follows
	Applied  int64  // the change up to which all is in force there
	Revision int64  // of the configuration in force there
	Behind   int64  // changes that it has yet to take over; less than 0: its log is not the one that is stored

	// MaxStaleness is the time after which it refuses requests where it could not
	// look for changes; 0: it never does.
	MaxStaleness time.Duration
	Problem      string // why it is degraded; empty: it is not

	StartedAt, SeenAt time.Time // by its own clock, which nobody may compare with another

	// Silence is for how long the node that was asked has seen no sign of it, by
	// the clocks of the one that was asked; never more than it really was.
	Silence time.Duration
	Self    bool // it is the node that was asked
}

// SilentAfter is the silence after which a node is taken to be away: it gives a
// sign three times within.
const SilentAfter = 30 * time.Second

// Silent says whether a node has given no sign for too long.
func (n *Node) Silent() bool { return n.Silence > SilentAfter }

// FencedAfter is how long after a change was committed a node without it
// certainly refuses requests; 0: it may answer for ever.
//
// A node measures the age of what it knows from the start of its last good look
// at the log. One that began after the commit has the change; so that without it
// the age is at least the time since the commit, and over MaxStaleness the node
// refuses. The margin is for clocks that run at different speeds.
func (n *Node) FencedAfter() time.Duration {
	if n.MaxStaleness <= 0 {
		return 0
	}
	return n.MaxStaleness + max(time.Second, n.MaxStaleness/20)
}
