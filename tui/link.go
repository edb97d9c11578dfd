package tui

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// link is how the stream of events stands.
type link struct {
	state   linkState
	since   time.Time // of the state
	err     error     // where it is lost
	next    time.Time // when it is tried again
	tries   int
	mute    time.Time // since when calls stay without an answer while the stream stands; zero: they do not
	hello   api.Hello
	after   string // where the next stream goes on
	tally   api.Tally
	missed  int64 // events that came faster than they could be taken, and what earlier streams dropped
	partial *api.Partial
	heard   time.Time // when this stream began; zero: it has not
}

type linkState int

const (
	linking linkState = iota // the first time
	live
	lost
	loggedOut
	deaf // the person's role is told nothing of what happens
)

// lost says whether what is shown may be old.
func (l *link) lost() bool { return l.state == lost || l.state == loggedOut }

// noAnswer says whether a call failed without a word of the gateway's.
func noAnswer(err error) bool {
	var refusal *api.Error
	return err != nil && (!errors.As(err, &refusal) || refusal.Status == 0)
}

// muteFor says for how long the gateway has not answered, though its stream stands;
// 0: it does.
func (l *link) muteFor(now time.Time) time.Duration {
	if l.state != live || l.mute.IsZero() {
		return 0
	}
	return max(1, now.Sub(l.mute))
}

// heardUntil is up to when changes were told of, while the gateway is away or mute.
func (l *link) heardUntil() time.Time {
	if l.mute.IsZero() || l.lost() && l.since.Before(l.mute) {
		return l.since
	}
	return l.mute
}

// retryAfter is how long to wait before the nth try: 1, 2, 4, 8, 15 seconds.
func retryAfter(n int) time.Duration {
	return min(15*time.Second, time.Second<<min(max(n-1, 0), 4))
}

// problems say what is wrong, in fewer and fewer words. from is when the oldest of
// what is shown was loaded; zero: nothing is shown.
func (l *link) problems(now, from time.Time) []string {
	again, short := "trying again", ""
	if wait := l.next.Sub(now); wait > 0 {
		again += " in " + span(wait.Round(time.Second))
	}
	if !from.IsZero() {
		short = "; shown is " + span(now.Sub(from)) + " old"
	}
	since := "gateway not reachable since " + clockOf(l.since)
	return []string{
		since + " (" + reason(l.err) + "), " + again + age(now, from),
		since + ", " + again + short,
		"not reachable, " + again + short,
	}
}

// reason is why a call failed, in a few words.
func reason(err error) string {
	var (
		errno   syscall.Errno
		refusal *api.Error
	)
	switch {
	case err == nil:
		return "no reason given"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &refusal):
		return clean(refusal.Detail)
	}
	return clean(err.Error())
}

// advice is what to do about it, where the gateway said so.
func advice(err error) string {
	if errors.Is(err, context.DeadlineExceeded) { // here no flag has it wait longer
		return "llmgw doctor tells more"
	}
	var refusal *api.Error
	if errors.As(err, &refusal) {
		return clean(refusal.Hint)
	}
	return ""
}

// isCode says whether a call was refused with a code.
func isCode(err error, code string) bool {
	var refusal *api.Error
	return errors.As(err, &refusal) && refusal.Code == code
}

// isRefused says whether the person's role may not do what was asked, or see it.
func isRefused(err error) bool {
	var refusal *api.Error
	return errors.As(err, &refusal) && refusal.Code == api.CodeDenied && refusal.Status == 403
}

// nobodyCalls says whether the call was refused since no login, or one that has
// ended, was behind it.
func nobodyCalls(err error) bool {
	var refusal *api.Error
	return errors.As(err, &refusal) && refusal.Code == api.CodeDenied && (refusal.Status == 401 || refusal.Status == 0)
}
