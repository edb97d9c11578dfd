package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// measureReady starts the gateway on an empty store, again and again, and the
// floor beside it, which has nothing to make ready.
func measureReady(ctx context.Context, s *stand) error {
	var floor, gateway []float64
	for range s.rounds {
		took, err := s.stockStart(ctx)
		if err != nil {
			return err
		}
		floor = append(floor, took.Seconds()*1000)
		if took, err = s.gatewayStart(ctx); err != nil {
			return err
		}
		gateway = append(gateway, took.Seconds()*1000)
	}
	t := newTable("", "starts", "median ms", "least", "most", "to stock")
	for _, row := range []struct {
		name   string
		values []float64
	}{{nameStock, floor}, {nameGateway, gateway}} {
		middle, err := median(row.values)
		if err != nil {
			return err
		}
		ratio, err := medianRatio(row.values, floor)
		if err != nil {
			return err
		}
		t.add(row.name, strconv.Itoa(len(row.values)), oneDecimal(middle), oneDecimal(slices.Min(row.values)), oneDecimal(slices.Max(row.values)), asRatio(ratio))
	}
	return t.print(s.out)
}

// gatewayStart gives the time from exec to the first answer of /readyz.
func (s *stand) gatewayStart(ctx context.Context) (time.Duration, error) {
	data, err := s.emptyStore()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	g, err := launch(ctx, s.binary, data)
	if err != nil {
		return 0, err
	}
	at, err := untilReady(ctx, g.addr)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("starting llmgw: %w\nits log: %s", err, g.log), g.stop())
	}
	return at.Sub(begun), g.stop()
}

func (s *stand) stockStart(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	c, err := startRole(ctx, "stock", "-to", "http://127.0.0.1:9")
	if err != nil {
		return 0, err
	}
	at, err := untilReady(ctx, c.said)
	return at.Sub(begun), errors.Join(err, c.stop())
}
