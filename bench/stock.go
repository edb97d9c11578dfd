package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// serveStock is the role of the floor: httputil.ReverseProxy as anybody would
// write it who knows that its transport keeps two connections by default.
func serveStock(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("stock", flag.ContinueOnError)
	to := flags.String("to", "", "where requests go")
	h2c := flags.Bool("h2c", false, "HTTP/2 in clear text, too")
	cert, key := flags.String("tls-cert", "", "certificate; speaks TLS"), flags.String("tls-key", "", "its key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	target, err := url.Parse(*to)
	if err != nil {
		return err
	}
	quiet := log.New(io.Discard, "", 0)
	transport := &http.Transport{
		MaxIdleConnsPerHost: 4096,
		DisableCompression:  true,
		IdleConnTimeout:     time.Minute,
	}
	defer transport.CloseIdleConnections()
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
		ErrorLog:  quiet,
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveOrProbe(proxy, w, r) }),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          quiet,
	}
	if *h2c {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	l, err := announce(ctx, out)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		if *cert != "" {
			ended <- server.ServeTLS(l, *cert, *key)
			return
		}
		ended <- server.Serve(l)
	}()
	untilParentEnds(ctx, in)
	err = server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		return errors.Join(err, served)
	}
	return err
}

// serveOrProbe answers /readyz as the gateway does.
func serveOrProbe(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" {
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	proxy.ServeHTTP(w, r)
}

// burn is the role of a process that takes a CPU for as long as it may.
func burn(ctx context.Context, _ []string, in io.Reader, out io.Writer) error {
	if _, err := io.WriteString(out, "burning\n"); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		untilParentEnds(ctx, in)
		stop()
	}()
	for n := uint64(1); ; n = n*6364136223846793005 + 1 {
		if n&(1<<20-1) == 1 && ctx.Err() != nil {
			return nil
		}
	}
}
