package main

import (
	"context"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/proxy"
	"github.com/llmgw/llmgw/store"
)

// startTail has the admin API look on at exchanges. It comes before the first
// of them. When the node ends, streams of events end before their listeners are
// closed; until then, streams that are being drained can be watched.
func (n *node) startTail(context.Context) error {
	stop := n.proxy.Watch(onlooker{n.admin})
	n.store.OnChange(n.admin.Changed)
	n.onClose(func() error {
		stop()
		n.admin.Close()
		return nil
	})
	return nil
}

// liveNode is this node as the admin API sees it.
type liveNode struct {
	proxy *proxy.Proxy
	store *store.Store
}

func (n liveNode) Applied() (seq, revision int64) { return n.store.Applied() }

func (n liveNode) Cut(requestID string) bool { return n.proxy.Cut(requestID) }

func (n liveNode) Flights() []api.Flight {
	flying := n.proxy.Flights()
	now := time.Now()
	flights := make([]api.Flight, 0, len(flying))
	for i := range flying {
		flights = append(flights, viewFlight(&flying[i], now))
	}
	return flights
}

// onlooker tells the admin API of exchanges.
type onlooker struct{ to *admin.Server }

func (o onlooker) Started(f proxy.Flight) { o.to.Started(viewFlight(&f, f.StartedAt)) }
func (o onlooker) Ended(x proxy.Exchange) { o.to.Ended(viewExchange(&x)) }

func viewFlight(f *proxy.Flight, now time.Time) api.Flight {
	view := api.Flight{
		RequestID: f.RequestID, StartedAt: f.StartedAt.UTC(), Method: f.Method, Path: f.Path,
		Key: f.Key, User: f.User, Rule: f.Rule, Upstream: f.Upstream, Model: f.Model, Stream: f.Stream,
		Status: f.Status, SentBytes: f.SentBytes, FirstToken: millis(f.FirstToken), Node: f.Node,
	}
	if !f.LastWrite.IsZero() {
		view.LastWriteMS = millis(max(0, now.Sub(f.LastWrite)))
	}
	return view
}

func viewExchange(x *proxy.Exchange) api.Exchange {
	view := api.Exchange{
		RequestID: x.RequestID, Time: x.Time.UTC(), Method: x.Method, Path: x.Path,
		Status: x.Status, EndReason: x.EndReason, Error: x.Error,
		Key: x.Key, User: x.User, Rule: x.Rule, Upstream: x.Upstream, Wire: x.Wire,
		Model: x.Model, UpstreamModel: x.UpstreamModel, Stream: x.Stream,
		DurationMS: millis(x.Duration), UpstreamMS: millis(x.UpstreamTook), FirstTokenMS: millis(x.FirstToken),
		OverheadUS: x.Overhead.Microseconds(), RequestBytes: x.RequestBytes, ResponseBytes: x.ResponseBytes,
		InputTokens: asCounted(x.Usage.InputTokens), OutputTokens: asCounted(x.Usage.OutputTokens),
		CachedTokens: asCounted(x.Usage.CachedInputTokens), CacheWrites: asCounted(x.Usage.CacheWriteTokens),
		Reasoning: asCounted(x.Usage.ReasoningTokens),
		Attempts:  x.Attempts, Revision: x.Revision, Node: x.Node,
	}
	if x.Timing.Dispatched > 0 {
		view.Timing = viewTiming(&x.Timing)
	}
	return view
}

// viewTiming leaves out the steps after the last gap: the node remembers many
// exchanges, and most have few.
func viewTiming(t *proxy.Timing) *api.Timing {
	view := &api.Timing{
		Body: millis(t.Body), Dispatched: millis(t.Dispatched), Connect: millis(t.Connect), Header: millis(t.Header), FirstByte: millis(t.FirstByte),
		Chunks: t.Writes, Gap: millis(t.Gap), GapAt: millis(t.GapAt),
	}
	steps := len(t.Gaps)
	for steps > 0 && t.Gaps[steps-1] == 0 {
		steps--
	}
	if steps > 0 {
		view.GapStep, view.Gaps = millis(t.GapStep), slices.Clone(t.Gaps[:steps])
	}
	return view
}

// asCounted is what a provider counted, or nil where it said nothing.
func asCounted(c accounts.Count) *int64 {
	if !c.Known {
		return nil
	}
	return &c.N
}

// millis gives milliseconds with three decimals.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
