package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/proxy/mock"
)

func newMock(a *app) *cobra.Command {
	var (
		listen  string
		wires   []string
		options mock.Options
	)
	c := &cobra.Command{
		Use:   "mock",
		Short: "start a stand-in LLM provider (OpenAI, Anthropic, Gemini wire formats)",
		Args:  takes(),
		RunE: a.does(func(ctx context.Context, _ []string) error {
			if err := address(listen); err != nil {
				return usage("--listen: %v", err)
			}
			if len(wires) != 1 || wires[0] != "all" {
				options.Wires = wires
			}
			if options.TTFT == 0 {
				options.TTFT = -1 // for the mock, zero is the default
			}
			if err := options.Validate(); err != nil {
				return usage("%v", err)
			}
			return a.serveMock(ctx, listen, options)
		}),
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4199", "where it answers (`ADDR`)")
	c.Flags().StringSliceVar(&wires, "wire", []string{"all"}, "the wire formats it speaks (`a,b`)")
	c.Flags().DurationVar(&options.TTFT, "ttft", mock.DefaultTTFT, "time to the first token (`TIME`)")
	c.Flags().Float64Var(&options.TokensPerSecond, "tps", mock.DefaultTokensPerSecond, "tokens per second of a stream; negative is as fast as it can (`N`)")
	c.Flags().IntVar(&options.Tokens, "tokens", mock.DefaultTokens, "the most tokens of one answer (`N`)")
	c.Flags().Float64Var(&options.ErrorRate, "error-rate", 0, "share of requests, 0 to 1, that get a 500 (`N`)")
	c.Flags().IntVar(&options.CutAfter, "cut-after", 0, "cut every answer after so many tokens (`N`)")
	return c
}

// serveMock answers until ctx ends. Streams under way are cut then: nobody's
// work is lost with a stand-in.
func (a *app) serveMock(ctx context.Context, listen string, options mock.Options) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return failed(err, "cannot listen at %s: %s", listen, reason(err)).withHint("choose another: --listen 127.0.0.1:0")
	}
	server := mock.NewServer(options)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(a.out, "mock provider at http://%s, Ctrl-C stops\n", listener.Addr())

	select {
	case err = <-served:
		return fmt.Errorf("serving the mock: %w", err)
	case <-ctx.Done():
	}
	err = server.Close()
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(context.Cause(ctx), err)
}
