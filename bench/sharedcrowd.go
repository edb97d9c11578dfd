package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// streamsEach is how many streams of a crowd share a connection.
const streamsEach = 200

// gatherShared is gather over HTTP/2 in clear text, streamsEach to a connection.
func gatherShared(ctx context.Context, to *participant, n int) (*crowd, error) {
	streaming, leave := context.WithCancel(ctx)
	c := &crowd{to: to, leave: leave}
	begun := make(chan struct{}, n)
	var shared *http.Client
	for i := range n {
		if i%streamsEach == 0 {
			shared = sharedClient()
		}
		first := sync.OnceFunc(func() { begun <- struct{}{} })
		c.reading.Go(func() {
			defer first()
			c.ended(c.readShared(streaming, shared, first))
		})
	}
	return c, c.untilBegun(ctx, begun, n)
}

// sharedClient speaks HTTP/2 over one connection.
func sharedClient() *http.Client {
	t := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1, DisableCompression: true}
	t.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: t}
}

// readShared asks for a stream and reads until it ends.
func (c *crowd) readShared(ctx context.Context, client *http.Client, hear func()) error {
	_, body, _ := bytes.Cut(chatRequest(c.to.addr, c.to.key, true), []byte("\r\n\r\n"))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.to.addr+chatPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.to.key)
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		return fmt.Errorf("status %d over %s", response.StatusCode, response.Proto)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(streamEvent(0)))); err != nil {
		return err
	}
	hear()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	return errors.New("the stream ended, and has no end")
}
