package proxy

import (
	"time"

	"github.com/llmgw/llmgw/rules"
)

// attemptWithAny sends the request to one candidate. Where the provider refuses
// the credential that went with it, nothing was executed and nothing of it goes
// to the client: it is sent again with another, as long as there is one.
func (x *exchange) attemptWithAny(to *rules.Candidate, giveUp time.Time) (*answer, *failure) {
	x.target = x.snap.target(to)
	pinned := x.decision.Credential(&x.request, to)
	x.refused = x.refused[:0]
	x.credential = x.target.credentialFor(pinned, nil)
	for {
		a, f := x.attempt(to)
		if f == nil || f.code != codeCredentialRefused || x.ctx.Err() != nil || !time.Now().Before(giveUp) {
			return a, f
		}
		other := x.otherCredential(pinned)
		if other == nil || !x.upload.reclaim() {
			return nil, f
		}
		if ended := x.tryAgain("401", nil, f); ended != nil {
			return nil, ended
		}
		x.credential = other
	}
}

// otherCredential gives a credential that has not been refused yet, of those
// that are configured now: what was refused may just have been replaced.
func (x *exchange) otherCredential(pinned string) *credential {
	x.refused = append(x.refused, x.credential.health)
	if now := x.p.snapshot.Load().sameAs(x.target); now != nil {
		return now.credentialFor(pinned, x.refused)
	}
	return nil
}

// sameAs finds the upstream of another snapshot that t is in this one; nil where
// it is gone, or stands elsewhere: a credential is for one place.
func (s *snapshot) sameAs(t *target) *target {
	for _, same := range s.upstreams {
		if u := same.upstream; u.ID == t.upstream.ID && u.URL == t.upstream.URL && u.Auth == t.upstream.Auth && u.Provider == t.upstream.Provider {
			return same
		}
	}
	return nil
}

// tryAgain ends an attempt that another one is about to make up for, unless the
// key has ended meanwhile. kind is what became of it, for the metric.
func (x *exchange) tryAgain(kind string, a *answer, f *failure) *failure {
	x.p.metrics.retries.WithLabelValues(x.upstreamName(), kind).Inc()
	x.logRetried(a, f)
	x.trace.attemptFailed(f)
	if a != nil {
		a.close()
	}
	x.try.end()
	return x.stillValid()
}
