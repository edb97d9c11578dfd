//go:build unix

package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

type signal = syscall.Signal

// What is said to servers.
const (
	freeze   = syscall.SIGSTOP
	goOn     = syscall.SIGCONT
	killed   = syscall.SIGKILL
	endFast  = syscall.SIGINT  // PostgreSQL: roll back, write down, end
	endAtAll = syscall.SIGQUIT // PostgreSQL: end with all children, without writing down
	endWell  = syscall.SIGTERM // Redis
)

// launch starts a program in a session of its own, so that Ctrl-C in a terminal is
// for the tests alone. Its files are not ours, so that nobody who reads our
// output waits for its end.
func launch(at place, path string, args []string) (pid int, err error) {
	log, err := os.OpenFile(filepath.Join(at.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.Command(path, args...) // it ends with Stop, Kill or its keeper, not with whoever asked for it
	cmd.Dir, cmd.Stdout, cmd.Stderr = at.dir, log, log
	lower(cmd, at)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	return pid, cmd.Process.Release() // reaped waits for it
}

// lower makes a command run as whom the place belongs to, in a session of its
// own and with nothing of our environment but what programs need.
func lower(cmd *exec.Cmd, at place) {
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + at.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if at.uid >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(at.uid), Gid: uint32(at.gid)}
	}
}

// send sends a signal. One who has ended meanwhile needs none.
func send(pid int, s signal) { _ = syscall.Kill(pid, s) }

// reaped says whether a process of ours has ended, and takes its leave of it when
// it has. It does not wait: a goroutine that did would outlive the tests of a
// package whose server they share.
func reaped(pid int) bool {
	var status syscall.WaitStatus
	got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
	return got == pid || errors.Is(err, syscall.ECHILD)
}

// keeper is a shell that outlives us. It ends the server and removes its
// directory when the pipe between us is closed, which the system does when this
// process ends, in whatever way.
type keeper struct {
	cmd *exec.Cmd
	say *os.File
}

// keeping reads the number of the process to end, the last line being the one
// that counts. The server may be frozen; PostgreSQL kills frozen children after
// five seconds, and is given ten.
const keeping = `trap '' HUP INT TERM QUIT
pid=
while read -r line; do pid=$line; done
if [ "${pid:-0}" != 0 ]; then
	kill -CONT "$pid"
	kill -"$2" "$pid"
	looks=0
	while kill -0 "$pid" && [ "$looks" -lt 200 ]; do sleep 0.05; looks=$((looks + 1)); done
	kill -KILL "$pid"
fi 2>/dev/null
rm -rf -- "$1"
`

func hire(at place, end signal) (*keeper, error) {
	listen, say, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting a keeper: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", keeping, "llmgw-keeper", at.dir, fmt.Sprint(int(end))) // it is there to outlive us
	cmd.Stdin, cmd.Dir = listen, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = listen.Close() // the shell has its own
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a keeper: %w", err), say.Close())
	}
	return &keeper{cmd: cmd, say: say}, nil
}

// watch tells which process to end; 0: none.
func (k *keeper) watch(pid int) error {
	if _, err := fmt.Fprintln(k.say, pid); err != nil {
		return fmt.Errorf("telling a keeper: %w", err)
	}
	return nil
}

// dismiss lets the keeper do its work now, and waits for it.
func (k *keeper) dismiss() error {
	if err := k.say.Close(); errors.Is(err, os.ErrClosed) {
		return nil // done before
	}
	if err := k.cmd.Wait(); err != nil {
		return fmt.Errorf("removing a server's directory: %w", err)
	}
	return nil
}
