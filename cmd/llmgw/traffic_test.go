package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// TestAnExchangeEndsUpInWhatEndedLately sends requests through a gateway, one of
// which goes wrong, and one of which stands still.
func TestAnExchangeEndsUpInWhatEndedLately(t *testing.T) {
	data := shortDir(t)
	serveAt(t, data)
	client := api.NewClient(api.Options{Socket: filepath.Join(data, socketName)})
	defer client.Close()
	for _, model := range []string{"mock", "mock"} {
		if code, text := types(t, "", "chat", "--data", data, "--model", model, "hello"); code != exitDone {
			t.Fatal(text)
		}
	}
	if code, text := types(t, "", "chat", "--data", data, "--model", "nobodys-model", "hello"); code == exitDone {
		t.Fatal(text)
	}
	q := api.WindowQuery{By: []string{"rule", "upstream", "model"}, Window: time.Minute}
	var w api.Window
	until(t, "all three are counted", func() bool {
		var err error
		if w, err = client.Window(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		return w.Total.Requests == 3
	})
	if c := w.Total; c.Refused != 1 || c.Errors != 0 || c.OutputTokens == 0 || c.FirstTokenP95 <= 0 || w.Unseen != 0 || w.Partial != nil || w.SinceS <= 0 || w.SinceS > 60 {
		t.Errorf("told is %+v", w)
	}
	at := slices.IndexFunc(w.By, func(s api.Share) bool { return s.Kind == "rule" && s.Name == "mock" })
	if at < 0 || w.By[at].Requests != 2 || w.By[at].FirstTokenP95 <= 0 || len(w.By[at].Series) == 0 {
		t.Errorf("shares are %+v", w.By)
	}
	if len(w.Recent) != 1 || w.Recent[0].Status != http.StatusBadRequest || w.Recent[0].Model != "nobodys-model" || w.Recent[0].Last == "" || w.Recent[0].Node != nodeName() {
		t.Errorf("trouble is %+v", w.Recent)
	}
	stalled := make(chan int, 1)
	go func() {
		code, _ := types(t, "", "chat", "--data", data, "--model", "mock-stall", "hello")
		stalled <- code
	}()
	until(t, "what is in flight is counted", func() bool {
		w, err := client.Window(t.Context(), q)
		return err == nil && w.Flights == 1 && w.Series[len(w.Series)-1].InFlight == 1
	})
	flights, err := client.Streams(t.Context())
	if err != nil || len(flights.Items) != 1 {
		t.Fatal(flights, err)
	}
	if _, err := client.CutStream(t.Context(), flights.Items[0].RequestID); err != nil {
		t.Error(err)
	}
	<-stalled
	until(t, "what was cut is told", func() bool {
		w, err := client.Window(t.Context(), q)
		return err == nil && w.Flights == 0 && len(w.Recent) == 2 && w.Recent[0].Last == flights.Items[0].RequestID
	})
}

// trafficOfAll sends requests to each of three gateways, and asks each.
func (c *trio) trafficOfAll(t *testing.T) {
	before, err := c.client[1].Window(t.Context(), api.WindowQuery{})
	if err != nil || before.Partial != nil {
		t.Fatal(before.Partial, err)
	}
	for i := range 6 {
		if status, err := c.ask(i%3, "mock"); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	if status, err := c.ask(2, "nobodys-model"); err != nil || status != http.StatusBadRequest {
		t.Fatal(status, err)
	}
	for i := range c.client {
		var w api.Window
		until(t, "all of them are told", func() bool {
			w, err = c.client[i].Window(t.Context(), api.WindowQuery{By: []string{"key", "rule"}})
			return err == nil && w.Partial == nil && w.Total.Requests == before.Total.Requests+7
		})
		if w.Total.Refused != before.Total.Refused+1 || w.Total.FirstTokenP50 <= 0 || len(w.Recent) == 0 || w.Recent[0].Model != "nobodys-model" || w.Unseen != 0 {
			t.Errorf("gateway %d tells %+v", i, w)
		}
		if at := w.Recent[0].Node; i != 2 && at != c.label[2] {
			t.Errorf("gateway %d tells of trouble at %s", i, at)
		}
	}
}
