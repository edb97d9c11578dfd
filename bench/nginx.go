package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nginxConf is one nginx process that passes everything on, without buffering
// answers and with connections kept on both sides.
const nginxConf = `daemon off;
master_process off;
error_log stderr crit;
pid %[1]s/nginx.pid;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  keepalive_requests 100000000;
  upstream bench { server %[2]s; keepalive 4096; keepalive_requests 100000000; }
  server {
    listen %[3]s;
    location = /readyz { default_type text/plain; return 200 "ok\n"; }
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`

// nginx starts a second floor where nginx is on the PATH, and gives nil where
// it is not.
func (s *stand) nginx(ctx context.Context, upstream string) (*participant, error) {
	binary, err := exec.LookPath("nginx")
	if err != nil {
		return nil, nil //nolint:nilerr // it is no error that nginx is not installed
	}
	dir := filepath.Join(s.dir, "nginx")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	addr, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, upstream, addr), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "-p", dir, "-c", conf, "-e", "stderr")
	cmd.Stderr = os.Stderr
	c, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	s.started = append(s.started, c)
	if _, err := untilReady(ctx, addr); err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	return &participant{name: nameNginx, addr: addr, pid: c.pid}, nil
}
