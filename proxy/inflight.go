package proxy

// InFlight counts the exchanges under way by the ID of the upstream that they were
// last sent to. One that was not sent yet counts for every draining upstream that it
// may still be sent to: it goes by the configuration that it began with. A fallback
// that is yet to come is not foreseen.
func (p *Proxy) InFlight() map[string]int {
	now := p.snapshot.Load()
	draining := now.draining()
	counts := map[string]int{}
	p.flights.each(func(x *exchange) {
		switch to := x.seen.target; {
		case to != nil && to.upstream != nil:
			counts[to.upstream.ID]++
		case to == nil && x.snap != now:
			for _, id := range draining {
				if x.snap.sendsTo(id) {
					counts[id]++
				}
			}
		}
	})
	return counts
}

// draining gives the IDs of the upstreams that are to become idle.
func (s *snapshot) draining() (ids []string) {
	if s == nil {
		return nil
	}
	for _, t := range s.upstreams {
		if t.upstream.Draining {
			ids = append(ids, t.upstream.ID)
		}
	}
	return ids
}

// sendsTo says whether requests that go by s may be sent to an upstream.
func (s *snapshot) sendsTo(id string) bool {
	if s == nil {
		return false
	}
	for _, t := range s.upstreams {
		if t.upstream.ID == id {
			return t.upstream.TakesRequests()
		}
	}
	return false
}
