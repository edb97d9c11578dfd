package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// listen binds an address that a setting names.
func (n *node) listen(ctx context.Context, setting, at string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	if err == nil {
		return l, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, failed(err, "cannot listen at %s: %s", at, reason(err)).withHint("choose another: --%s %s", setting, another(at))
	}
	if other, ok := n.ownerOf(ctx, at); ok {
		if wanted := n.settings.text("listen"); other.Proxy == localURL(n.settings) {
			return nil, usedBy(wanted, other, "listen") // it has both ports; the one that people know is named
		}
		return nil, usedBy(at, other, setting)
	}
	return nil, failed(err, "%s is already used by another program. Choose another: --%s %s", at, setting, another(at))
}

// ownerOf asks the gateway of the default data directory, the one that is
// probably meant, whether the address is its own.
func (n *node) ownerOf(ctx context.Context, at string) (api.Status, bool) {
	path := filepath.Join(defaultData(), socketName)
	if path == filepath.Join(n.data, socketName) {
		return api.Status{}, false // that one is us
	}
	other, err := statusAt(ctx, path)
	if err != nil {
		return other, false
	}
	for _, base := range []string{other.Proxy, other.Admin} {
		if _, address, ok := strings.Cut(base, "://"); ok && address == reachable(at) {
			return other, true
		}
	}
	return other, false
}

func statusAt(ctx context.Context, socket string) (api.Status, error) {
	client := api.NewClient(api.Options{Socket: socket, Timeout: time.Second})
	defer client.Close()
	return client.Status(ctx)
}

// usedBy says that an address is taken by a gateway.
func usedBy(at string, other api.Status, setting string) *failure {
	return failed(nil, "%s is already used by llmgw (pid %d, up %s). Look at it: llmgw status. Or choose another: --%s %s",
		at, other.PID, age(time.Since(other.StartedAt)), setting, another(at))
}

// another suggests an address near one that is taken.
func another(at string) string {
	host, port, err := net.SplitHostPort(at)
	number, convErr := strconv.Atoi(port)
	if err != nil || convErr != nil || number == 0 || number+100 > 65535 {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort(host, strconv.Itoa(number+100))
}

// longestSocket is what every system takes as a socket's path.
const longestSocket = 103

// listenSocket opens the admin socket of a data directory. It comes into being
// in a directory that is nobody else's, gets its rights there, and then its
// name, in place of a stale one: at no moment can somebody else open it,
// whatever the umask and the rights of the data directory are.
func listenSocket(ctx context.Context, data string) (net.Listener, error) {
	private, err := os.MkdirTemp(data, ".s")
	if err != nil {
		return nil, invalid("making the admin socket: %v", err)
	}
	defer os.Remove(private) //nolint:errcheck // an empty directory left behind does no harm

	path := filepath.Join(private, "s")
	if len(path) > longestSocket {
		return nil, invalid("%s is too long a path for the admin socket", data).withHint("choose a shorter one: --data DIR")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, invalid("making the admin socket in %s: %s", shortPath(data), reason(err))
	}
	if l, ok := listener.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false) // its path is about to change
	}
	err = os.Chmod(path, 0o600)
	if err == nil {
		err = os.Rename(path, filepath.Join(data, socketName))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the admin socket: %w", err), listener.Close())
	}
	return listener, nil
}

func removeSocket(data string) error {
	err := os.Remove(filepath.Join(data, socketName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
