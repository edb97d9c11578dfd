package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
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

// listStreams gives what is in flight, the oldest first.
func (s *Server) listStreams(_ context.Context, in *streamList) (api.List[api.Flight], error) {
	flights := s.node.Flights()
	slices.SortFunc(flights, func(a, b api.Flight) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.RequestID, b.RequestID))
	})
	items := append([]api.Flight{}, flights[:min(len(flights), in.Limit)]...)
	return api.List[api.Flight]{Items: items}, nil
}

type oneStream struct {
	ID string `path:"id" maxLength:"64" doc:"Its request_id"`
}

// cutStream ends an exchange as the revocation of its key would, and gives it as
// it was before that.
func (s *Server) cutStream(ctx context.Context, in *oneStream) (api.Flight, error) {
	flights := s.node.Flights()
	at := slices.IndexFunc(flights, func(f api.Flight) bool { return f.RequestID == in.ID })
	if at < 0 || !s.node.Cut(in.ID) {
		return api.Flight{}, fail(http.StatusNotFound, api.CodeNotFound, "nothing of this id is in flight here", "list what is: GET /api/v1/streams")
	}
	who := callerOf(ctx)
	s.log.Info().Str("request_id", in.ID).Str("actor", who.User).Str("from", who.From).Msg("exchange cut")
	return flights[at], nil
}
