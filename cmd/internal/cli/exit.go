package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/sink/snapshot"
	"github.com/tbcam/tbcam/sink/virtualcam"
	"github.com/tbcam/tbcam/sink/virtualcam/v4l2node"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// Exit codes, as docs/exit-codes.md lists them.
const (
	ExitOK          = 0
	ExitFailure     = 1 // anything not listed
	ExitUsage       = 2 // flags or arguments
	ExitNoCamera    = 3
	ExitBusy        = 4   // another program holds the camera
	ExitNoMode      = 5   // the camera lacks the mode that was asked for
	ExitStream      = 6   // the stream does not exist or cannot be used
	ExitSink        = 7   // a window, virtual camera or file cannot be used
	ExitInterrupted = 130 // before there was a result, or by a second signal
)

// codes maps errors to exit codes; the first that matches counts.
var codes = []struct {
	err  error
	code int
}{
	{capture.ErrNoCamera, ExitNoCamera},
	{capture.ErrBusy, ExitBusy},
	{capture.ErrNoMode, ExitNoMode},
	{ErrStream, ExitStream},
	{ErrSink, ExitSink},
	{ErrUsage, ExitUsage},
}

// Errors that the commands wrap to choose an exit code.
var (
	ErrStream = errors.New("stream")
	ErrSink   = errors.New("sink")
	ErrUsage  = errors.New("usage")
)

// Mark gives err the exit code of kind without changing its text.
func Mark(err, kind error) error {
	if err == nil {
		return nil
	}
	return &marked{err, kind}
}

type marked struct {
	error
	kind error
}

func (m *marked) Unwrap() []error { return []error{m.error, m.kind} }

// ExitCode returns the exit code for err.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ExitFailure
}

// Main runs a command that Finish has completed until it is done or a signal ends it,
// prints what went wrong in one line, and exits.
func Main(root *cobra.Command) {
	ctx := untilSignal()
	c, err := root.ExecuteContextC(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "unknown command") { // cobra's own
		err = Mark(err, ErrUsage)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		os.Exit(ExitInterrupted) // the user knows
	}
	if err != nil {
		PrintError(c, locateError(c, err))
	}
	os.Exit(ExitCode(err))
}

// withoutCable ends the remedies of a host that cannot use a cable.
const withoutCable = "without a cable use --stream unix:PATH"

// remedies are what helps against errors of packages that know no flags.
var remedies = []struct {
	err  error
	text string
}{
	{unixsock.ErrStranger, "allow that user with --allow-user NAME, or choose a path in $XDG_RUNTIME_DIR"},
	{unixsock.ErrPathTooLong, "choose a shorter path"},
	{unixsock.ErrNotSocket, "choose another path"},
	{unixsock.ErrListening, "end that program, or choose another path"},
	{tbdev.ErrName, "give NAME, NAME@PEER, unix:PATH, or the path of a device"},
	{capture.ErrNoneFound, "plug one in, or use --camera pattern"},
	{capture.ErrBandwidth, "choose --format mjpeg or a smaller --size, or plug the camera into another USB controller"},
	{capture.ErrNotNamed, "name one with --camera"},
	{capture.ErrNeedsLibcamera, "install PipeWire's plugin for it and log in again: apt install pipewire-libcamera libcamera-ipa" +
		" (Debian 13, Ubuntu 24.04 or newer), dnf install pipewire-plugin-libcamera, or pacman -S pipewire-libcamera libcamera-ipa"},
	{capture.ErrNotAllowed, "run: sudo usermod -aG video $USER, and log in again"},
	{v4l2.ErrNoLoopback, "run: sudo modprobe v4l2loopback exclusive_caps=1"},
	{v4l2node.ErrNotLoaded, "run: " + v4l2node.LoadCommand},
	{v4l2node.ErrNoneFree, "run: " + v4l2node.AddCommand},
	{v4l2node.ErrCannotAdd, "end what uses it, and run: " + v4l2node.MoreCommand},
	{virtualcam.ErrFormat, "end what reads it, or leave --virtual-camera-size and --virtual-camera-format out"},
	{virtualcam.ErrInUse, "end that, or use --virtual-camera auto"},
	{pipewire.ErrNoLibrary, "install it: apt install pipewire libpipewire-0.3-0 (libpipewire-0.3-0t64 from Debian 13 and Ubuntu 24.04 on)," +
		" dnf install pipewire-libs, or pacman -S libpipewire"},
	{pipewire.ErrNoSession, "run it as the user of the desktop, not as root or as a system service"},
	{pipewire.ErrNoSessionManager, "start one: systemctl --user start wireplumber (packages: wireplumber, for apt, dnf and pacman)"},
	{pipewire.ErrNotRunning, "start it: systemctl --user start pipewire wireplumber (packages: pipewire and wireplumber, for apt, dnf and pacman)"},
	{record.ErrExist, "--force overwrites it"},
	{snapshot.ErrExist, "--force overwrites it"},
	{record.ErrSymlink, "remove it or name its target"},
	{record.ErrDirectory, "end the path with / to record numbered files into it"},
	{record.ErrFormatChanged, "record to a file"},
	{record.ErrBufferFull, "allow more with --record-buffer SIZE"},
	{record.ErrNotFinalized, "run tbcam-view repair FILE"},
	{container.ErrJPEGOnly, "record to .mkv"},
	{container.ErrNoCode, "use tbcam-send --codec jpeg"},
	{container.ErrNotStreamable, "use mkv, mp4 or mjpeg"},
	{container.ErrFull, "record in segments, or to .mkv"},
	{container.ErrBusy, "stop that recording first"},
	{container.ErrNotRecording, "ffmpeg -i FILE -c copy may fix it"},
	{container.ErrDamaged, "ffmpeg -i FILE -c copy may save more"},
	{tbdev.ErrAmbiguous, "choose one with --stream NAME@PEER, for instance the PEER 0-1.1"},
	{tbdev.ErrKernelTooOld, "install a newer kernel; " + withoutCable},
	{tbdev.ErrOptionOff, "install a kernel that has it; " + withoutCable},
	{tbdev.ErrNotInstalled, "reboot if the kernel was updated, or install the rest of its modules:" +
		" apt install linux-modules-extra-$(uname -r) (Ubuntu) or dnf install kernel-modules-extra; " + withoutCable},
	{tbdev.ErrNoModule, "run: sudo modprobe thunderbolt_stream; " + withoutCable},
	{tbdev.ErrNotSetUp, "run: sudo tbcam-view setup on the viewer's host, then sudo tbcam-send setup on the sender's"},
	{tbdev.ErrNoService, "connect the cable, and load thunderbolt_stream on the other host too"},
	{tbdev.ErrManyServices, "choose one with --stream NAME@PEER"},
	{tbdev.ErrNoHopIDs, "run tbcam-view setup on the other host"},
	{tbdev.ErrNotAllowed, "run: sudo tbcam-view setup (at the camera's end: sudo tbcam-send setup)"},
	{tbdev.ErrLocked, "end that process"},
	{tbdev.ErrInUse, "end the programs that have the stream open"},
	{trust.ErrNotPairing, pairBoth},
	{trust.ErrPeerRefused, pairBoth},
	{trust.ErrMode, "run: chmod go-rwx FILE"},
	{trust.ErrOwner, "run it as that user, or run: sudo chown USER FILE"},
	{trust.ErrDamaged, "restore it from a backup; or remove it, and pair again"},
	{trust.ErrNoDir, "set XDG_STATE_HOME"},
	{trust.ErrNoPeer, "the command peers lists them"},
	{trust.ErrFingerprint, "the command peers self prints it on the other computer"},
	{trust.ErrNameTaken, "if that computer has a new key, run the command peers forget, and pair again"},
	{hub.ErrConflict, "leave --size, --fps and --format out, or change it for all viewers with tbcam-view mode"},
	{transport.ErrNoRemoteControl, "update tbcam-send on the other host"},
	{transport.ErrNoProbe, "update tbcam-send on the other host"},
	{transport.ErrOlderPeer, "update it"},
}

// pairBoth is what pairs two computers.
const pairBoth = "run tbcam-send pair on the camera's host, and tbcam-view pair at the other end"

// remedyOf returns the remedy of an error, behind a semicolon.
func remedyOf(err error) string {
	for _, r := range remedies {
		if errors.Is(err, r.err) {
			return "; " + placeholders(err).Replace(r.text)
		}
	}
	return ""
}

// Remedy returns what helps against an error, "" if nothing is known.
func Remedy(err error) string { return strings.TrimPrefix(remedyOf(err), "; ") }

// placeholders fills in what a remedy of a file needs: its path, and the user's name.
func placeholders(err error) *strings.Replacer {
	var file *trust.FileError
	if !errors.As(err, &file) {
		return strings.NewReplacer()
	}
	return strings.NewReplacer("FILE", quoteShell(file.Path), "USER", unixsock.UserName(uint32(os.Geteuid())))
}

// quoteShell writes a path so that a shell takes it as one word.
func quoteShell(path string) string {
	if !strings.ContainsAny(path, " \t\n'\"\\$`&;|<>()*?[]#~!{}") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// PrintError prints an error of a command with its remedy in one line, as its --log wants.
func PrintError(c *cobra.Command, err error) {
	program := c.Root().Name()
	if f := c.Flag("log"); f != nil && f.Value.String() == logJSON {
		newLog(os.Stderr, jsonFormat(program), slog.LevelInfo).Error(Explain(err), "exit_code", ExitCode(err))
		return
	}
	prefix := ""
	if isJournal(os.Stderr) {
		prefix = levelPrefix(slog.LevelError)
	}
	fmt.Fprintf(os.Stderr, "%s%s: %s\n", prefix, program, oneLine(Explain(err)))
}

// Explain returns the text of an error with its remedy, if there is one.
func Explain(err error) string { return plainWords(err.Error()) + remedyOf(err) }

// goWords are words of errors of Go's own packages, and what they mean here.
var goWords = strings.NewReplacer(
	context.DeadlineExceeded.Error(), "the time is up", context.Canceled.Error(), "interrupted",
	io.ErrUnexpectedEOF.Error(), "it ended too early", ": "+io.EOF.Error(), ": it ended",
)

// plainWords returns the text of an error without words of Go's own.
func plainWords(text string) string {
	if text == io.EOF.Error() {
		return "the other end was closed"
	}
	return goWords.Replace(text)
}

// untilSignal returns a context that the first SIGINT, SIGTERM or SIGHUP ends. The
// second SIGINT or SIGTERM ends the process immediately. A terminal that closes may
// send SIGHUP more than once, so that it is never a second signal; nohup has it
// ignored.
func untilSignal() context.Context {
	ends := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan os.Signal, 1)
	signal.Notify(received, ends...)
	go func() {
		<-received
		cancel()
		for s := range received {
			if s != syscall.SIGHUP {
				os.Exit(ExitInterrupted)
			}
		}
	}()
	return ctx
}
