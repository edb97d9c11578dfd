package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"github.com/llmgw/llmgw/admin/fleet"
)

// fleetName is what nodes seal their talk with, among what is sealed.
const (
	fleetName  = "fleet"
	fleetBytes = 32
)

// fleet is how this gateway talks with others of what passes.
func (n *node) fleet() fleet.Options {
	o := fleet.Options{Secret: n.fleetSecret, Self: n.store.NodeID(), Name: nodeName()}
	if n.bus != nil {
		o.Bus = n.bus
	}
	return o
}

// fleetSecret is what the gateways on this store know. A copy of the store that
// was restored elsewhere is another log, and its gateways are no part of these.
func (n *node) fleetSecret(ctx context.Context) ([]byte, error) {
	secret, err := n.store.Sealed(ctx, fleetName, func() ([]byte, error) {
		fresh := make([]byte, fleetBytes)
		_, err := rand.Read(fresh)
		return fresh, err
	})
	if err != nil {
		return nil, err
	}
	head, err := n.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	of := hmac.New(sha256.New, secret)
	of.Write([]byte(head.Lineage))
	return of.Sum(nil), nil
}

// joinFleet comes when the admin API is there to show what is heard.
func (n *node) joinFleet(context.Context) error {
	n.parts.Go(func() error { return n.admin.Join(n.ctx) })
	return nil
}
