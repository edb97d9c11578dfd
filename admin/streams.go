package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
)

// Node is the gateway that runs here, as the admin API sees it.
type Node interface {
	// Flights gives the exchanges that are under way, in any order.
	Flights() []api.Flight
	// Cut ends one of them, and says whether it was there.
	Cut(requestID string) bool
	// Applied is the newest change, and the revision of the config, in force.
	Applied() (seq, revision int64)
}

type streamList struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many of the oldest"`
}

// listStreams gives what is in flight on all nodes, the oldest first.
func (s *Server) listStreams(ctx context.Context, in *streamList) (api.Streams, error) {
	others, missing := s.fleet.Streams(ctx, in.Limit)
	flights := fleet.Oldest(append(s.node.Flights(), others...), in.Limit)
	return api.Streams{Items: append([]api.Flight{}, flights...), Partial: missing}, nil
}

type oneStream struct {
	ID string `path:"id" maxLength:"64" doc:"Its request_id"`
}

// cutStream ends an exchange, on whichever node it is, as the revocation of its
// key would, and gives it as it was before that.
func (s *Server) cutStream(ctx context.Context, in *oneStream) (api.Flight, error) {
	who := callerOf(ctx)
	by := fleet.Actor{Name: who.User, From: who.From}
	if here := s.cutHere(in.ID, by); here != nil {
		return *here, nil
	}
	there, unheard := s.fleet.CutElsewhere(ctx, in.ID, by)
	switch {
	case there != nil:
		return *there, nil
	case unheard != nil:
		return api.Flight{}, fail(http.StatusServiceUnavailable, api.CodeUnavailable,
			"nothing of this id is in flight on the nodes that answered; it may be on "+namesOf(unheard)+": "+unheard.Problem,
			"try again, or cut it at the socket of that node")
	}
	return api.Flight{}, fail(http.StatusNotFound, api.CodeNotFound, "nothing of this id is in flight on any node", "list what is: GET /api/v1/streams")
}

// namesOf names the nodes of which nothing is known.
func namesOf(p *api.Partial) string {
	if len(p.Nodes) == 0 {
		return "others"
	}
	return strings.Join(p.Nodes, ", ")
}

// cutHere ends an exchange of this node; nil where it is not there.
func (s *Server) cutHere(id string, by fleet.Actor) *api.Flight {
	flights := s.node.Flights()
	at := slices.IndexFunc(flights, func(f api.Flight) bool { return f.RequestID == id })
	if at < 0 || !s.node.Cut(id) {
		return nil
	}
	s.log.Info().Str("request_id", id).Str("actor", by.Name).Str("from", by.From).Msg("exchange cut")
	return brief(flights[at])
}
