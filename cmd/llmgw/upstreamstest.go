package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newUpstreamsTest(a *app) *cobra.Command {
	var model string
	c := &cobra.Command{
		Use: "test NAME", Short: "ask an upstream for its models, or one of them for a word, from the gateway", Args: takes("NAME"),
		Long: "Asks an upstream for its models, from the gateway and with the upstream's credential. With\n" +
			"--chat it asks that model for one word, as a stream, and tells when what came; that costs\n" +
			"a few tokens. No rule is asked, so that an upstream can be tested before one names it.",
		ValidArgsFunction: first(upstreamNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if model == "" && a.command.Flags().Changed("chat") {
				return usage("--chat: give the name of a model")
			}
			result, err := testUpstream(ctx, t, args[0], model)
			if err != nil {
				return err
			}
			err = writeOne(ctx, t.output, result, func(w io.Writer) {
				if result.OK {
					fmt.Fprintln(w, tested(result))
				}
			})
			if err != nil || result.OK {
				return err
			}
			return failed(nil, "upstream %q: %s", args[0], tested(result))
		}),
	}
	c.Flags().StringVar(&model, "chat", "", "ask this model for a word, as a stream (`MODEL`)")
	return c
}

func testUpstream(ctx context.Context, t talk, name, model string) (api.UpstreamTest, error) {
	if model == "" {
		return t.TestUpstream(ctx, name)
	}
	return t.TestChat(ctx, name, model)
}

// timings tells when what of an answer came.
func timings(c *api.ChatTest) string {
	var parts []string
	for _, one := range []struct {
		name string
		ms   float64
	}{
		{"dns", c.DNSMS}, {"connect", c.ConnectMS}, {"tls", c.TLSMS},
		{"first byte", c.FirstByteMS}, {"first token", c.FirstTokenMS}, {"total", c.TotalMS},
	} {
		if one.ms > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f ms", one.name, one.ms))
		}
	}
	return strings.Join(append(parts, plural(c.Chunks, "chunk")), " · ")
}
