package store_test

import (
	"testing"
	"time"

	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest"
	"github.com/llmgw/llmgw/store/storetest/inprocess"
)

func TestTheBusInOneProcess(t *testing.T) {
	storetest.RunBus(t, func(*testing.T) func() store.Bus {
		e := inprocess.New()
		return func() store.Bus { return e }
	})
}

func TestTheShelfInOneProcess(t *testing.T) {
	storetest.RunShelf(t, func(*testing.T) func() store.Shelf {
		e := inprocess.New()
		return func() store.Shelf { return e }
	})
}

func TestNodesInOneProcess(t *testing.T) {
	storetest.RunOthers(t, func(t *testing.T) func(*testing.T) *store.Store {
		path, e := newPath(t), inprocess.New()
		return func(t *testing.T) *store.Store {
			o := options(t, path)
			o.PollEvery, o.Bus, o.Shelf = time.Hour, e, e
			return openWith(t, o)
		}
	})
}
